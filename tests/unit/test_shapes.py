"""The parameters of a network, told without making it."""

import pytest
from small import make_config

from nmt.config import ModelConfig
from nmt.model.recurrent import CELLS
from nmt.model.seq2seq import Seq2Seq
from nmt.model.shapes import parameter_shapes
from nmt.model_folder.weights import parameters_of


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("attention", ["dot", "general", "additive"])
@pytest.mark.parametrize("reads", [{}, {"context": "upper"}, {"input_feeding": True}, {"attend_embeddings": True}])
@pytest.mark.parametrize(("joint", "tied"), [(True, True), (True, False), (False, True), (False, False)])
def test_they_are_those_of_the_network(cell, attention, reads, joint, tied):
    shape = {"cell": cell, "attention": attention, **reads, "encoder_layers": 2, "decoder_layers": 3}
    config = make_config(joint, tie_embeddings=tied, **shape)
    sizes = (11, 11) if joint else (11, 13)
    expected = {name: tuple(each.shape) for name, each in parameters_of(Seq2Seq.from_config(config, *sizes)).items()}
    assert parameter_shapes(config, sizes) == expected


def test_a_joint_vocabulary_has_one_size():
    assert ModelConfig().tie_embeddings
    with pytest.raises(ValueError, match=r"a joint vocabulary has one size, got 11 \(source\) and 12 \(target\)"):
        parameter_shapes(make_config(), (11, 12))

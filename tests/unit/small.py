"""Settings of a very small network."""

from pathlib import Path

from nmt.config import Config, DataConfig, ModelConfig


def make_config(joint: bool = True, **model: object) -> Config:
    shape = {"embedding_size": 6, "hidden_size": 8, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0.0, **model}
    pair = (Path("a"), Path("b"))
    data = DataConfig(train=pair, valid=pair, joint_vocabulary=joint)
    return Config(folder=Path("unused"), data=data, model=ModelConfig(**shape))

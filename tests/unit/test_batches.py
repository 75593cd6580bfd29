"""Which sentences go through the network together."""

from hypothesis import given
from hypothesis import strategies as st

from nmt.decoding.batches import make_batches


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 8), st.integers(1, 200))
def test_every_sentence_once_and_bounds_held(lengths, batch_size, batch_tokens):
    batches = make_batches(lengths, batch_size, batch_tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= batch_tokens
    order = [lengths[index] for batch in batches for index in batch]
    assert order == sorted(lengths, reverse=True)

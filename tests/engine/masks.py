"""The engine's dropout masks, made a second time, in NumPy, from the published definition of Philox4x32-10."""

import numpy as np

from rnn_engine.reference import Noise
from rnn_engine.spec import CELLS

_MASK = np.uint64(0xFFFFFFFF)


def philox(counter, key):
    """Random words [..., 4] for counters [..., 4] and a key of two words (Salmon et al. 2011)."""
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> np.uint64(32)) ^ c1 ^ k0, p1 & _MASK, (p0 >> np.uint64(32)) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & _MASK, (k1 + np.uint64(0xBB67AE85)) & _MASK
    return np.stack([c0, c1, c2, c3], axis=-1)


_LAYER, _RECURRENT, _ZONEOUT_C, _ZONEOUT_H, _ATTENTION, _LINEAR, _VALUES, _ROWS = range(8)


def dropout_masks(case, seed):
    """What the input of each layer but the first is multiplied by: L-1 arrays [T, B, D*R]."""
    spec, scale = case.spec, 1 / (1 - case.dropout)
    once = case.recurrent_dropout > 0 or case.dropout_mask == "sentence"  # then the same mask for all steps
    return tuple(
        ~_dropped(case, seed, (_LAYER, layer, 0), spec.directions * width, case.dropout, once) * scale
        for layer, width in enumerate(spec.state_sizes[:-1], 1)
    )


def noise(case, seed):
    """The masks inside the layers."""
    spec, recurrent, zoneout = case.spec, None, None
    places = [divmod(pseudo_layer, spec.directions) for pseudo_layer in range(spec.pseudo_layers)]
    if case.recurrent_dropout:
        p = case.recurrent_dropout
        recurrent = tuple(
            ~_dropped(case, seed, (_RECURRENT, *place), spec.state_sizes[place[0]], p, True)[0] / (1 - p)
            for place in places
        )
    if any(case.zoneout):
        zoneout = tuple(
            tuple(
                _dropped(case, seed, (kind, *place), sizes[place[0]], p, False)
                for kind, sizes, p in zip(
                    (_ZONEOUT_C, _ZONEOUT_H), (spec.hidden_sizes, spec.state_sizes), case.zoneout, strict=True
                )
            )
            for place in places
        )
        if CELLS[case.cell].single_state:  # c is h
            zoneout = tuple((h, h) for _, h in zoneout)
    return Noise(recurrent, zoneout)


def attention_masks(case, seed):
    """What attention's weights are multiplied by, [heads, T, B, S]."""
    places = [(_ATTENTION, head, 0) for head in range(case.heads)]
    return np.stack([~_dropped(case, seed, place, case.S, case.dropout, False) for place in places]) / (
        1 - case.dropout
    )


def linear_factors(seed, steps, batch, columns, probability, once=False):
    """What `linear` multiplies its result by, [T, B, columns]."""
    return _factors(seed, _LINEAR, (steps, batch, columns), probability, once)


def value_factors(seed, steps, batch, columns, probability, once=False):
    """The same of `dropout`."""
    return _factors(seed, _VALUES, (steps, batch, columns), probability, once)


def kept_rows(seed, steps, batch, probability):
    """Which rows `dropout` keeps, bool [T, B]: sentences are the columns of one row a step."""
    return ~_marked(seed, _ROWS << 28, (1, steps, batch), probability, True)[0]


def _factors(seed, kind, shape, probability, once):
    kept = ~_marked(seed, kind << 28, shape, probability, once)
    return kept / (1 - probability) if probability < 1 else 0.0 * kept


def _dropped(case, seed, place, columns, probability, once):
    """Where a mask of (kind, layer, direction) drops a value, bool [T, B, columns]."""
    kind, layer, direction = place
    site = layer | direction << 24 | kind << 28
    return _marked(seed, site, (case.T, case.B, columns), probability, once)


def _marked(seed, site, shape, probability, once):
    steps, batch, columns = shape
    blocks = (columns + 3) // 4
    counter = np.zeros((steps, batch, blocks, 4), np.uint64)
    counter[..., 0] = np.arange(blocks)
    counter[..., 1] = np.arange(batch)[:, None]
    counter[..., 2] = 0 if once else np.arange(steps)[:, None, None]
    counter[..., 3] = site
    words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32)).reshape(steps, batch, 4 * blocks)[..., :columns]
    return words < np.uint64(min(probability * 2**32, 2**32 - 1))

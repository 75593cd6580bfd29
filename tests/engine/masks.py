"""The engine's dropout masks, made a second time, in NumPy, from the published definition of Philox4x32-10."""

import numpy as np

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


def dropout_masks(case, seed):
    """What the input of each layer but the first is multiplied by: L-1 arrays [T, B, D*R]."""
    return tuple(
        _mask(case, seed, layer, case.spec.directions * width)
        for layer, width in enumerate(case.spec.state_sizes[:-1], 1)
    )


def _mask(case, seed, layer, columns):
    blocks = (columns + 3) // 4
    counter = np.zeros((case.T, case.B, blocks, 4), np.uint64)
    counter[..., 0] = np.arange(blocks)
    counter[..., 1] = np.arange(case.B)[:, None]
    counter[..., 2] = np.arange(case.T)[:, None, None]
    counter[..., 3] = layer
    words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32)).reshape(case.T, case.B, 4 * blocks)[..., :columns]
    return (words >= np.uint64(case.dropout * 2**32)) / (1 - case.dropout)

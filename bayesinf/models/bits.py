"""Signs and states as bits, 64 to a word, and how many of them are set; this imports numba."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["ones", "packed"]

# Every second bit, every second pair, every second nibble, and the last bit of every byte.
_1 = np.uint64(0x5555555555555555)
_2 = np.uint64(0x3333333333333333)
_4 = np.uint64(0x0F0F0F0F0F0F0F0F)
_8 = np.uint64(0x0101010101010101)


@numba.njit(nogil=True, cache=True, inline="always")
def ones(word):
    """Count the bits that are set; compilers know this form and use the processor's own count."""
    word = word - ((word >> np.uint64(1)) & _1)
    word = (word & _2) + ((word >> np.uint64(2)) & _2)
    word = (word + (word >> np.uint64(4))) & _4
    return (word * _8) >> np.uint64(56)


def packed(on: np.ndarray) -> np.ndarray:
    """Pack truth values (row, column) into bits, (column, word), with zeros behind the last row."""
    rows, columns = on.shape
    bits = np.zeros((columns, -(-rows // 64) * 8), np.uint8)
    bits[:, : -(-rows // 8)] = np.packbits(on, axis=0).T
    return bits.view(np.uint64)

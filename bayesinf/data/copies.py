"""Recordings that hold the same stretch of time twice, so that each state in it counts twice.

A file that was put together from others, or written to twice, holds a stretch of rows again, as
rows further down or as another repeat. A state by itself comes again by right; that many states
come again one after the other, while they change, has no other explanation than a copy, or a cycle
without noise, of which no more is learnt the second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["refuse_copies"]

BLOCK = 8  # rows in a row by which a stretch is looked for
OFTEN = 8  # times that such a block may come again to be one that is looked at
PLACES = 100  # blocks that are looked at
BITS = 80.0  # by which a stretch must surprise to be no chance
FEW = 20  # times that a row must come before what follows it says how surprising that is
SHARE = 1 / 8  # of a repeat that it must be long


def refuse_copies(raster: xr.Dataset, source: object) -> None:
    """Refuse a raster of which a stretch of rows comes twice.

    Parameters
    ----------
    raster : with ``states`` (repeat, time, site).
    source : the file.

    Raises
    ------
    DataError : where the two stretches are.
    """
    on = raster["states"].values == 1
    rows = _hashed(on)
    count, times = rows.shape
    if times <= BLOCK:
        return
    key = _keys(BLOCK)
    block = sum(rows[:, k : times - BLOCK + 1 + k] * key[k] for k in range(BLOCK))
    bits = None
    _, code, number = np.unique(block, return_inverse=True, return_counts=True)
    code = code.reshape(-1)
    several = np.flatnonzero((number[code] > 1) & (number[code] <= OFTEN))
    if not several.size:
        return
    order = several[np.argsort(code[several], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(code[order]) > 0])
    chosen = np.unique(np.linspace(0, len(starts) - 1, PLACES).round().astype(int))
    for k in chosen:
        first, *others = order[starts[k] :][: number[code[order[starts[k]]]]]
        for other in others:
            a, b = (divmod(int(p), block.shape[1]) for p in (first, other))
            low, high = _stretch(rows, a, b)
            here, there = a[1] + low, b[1] + low
            length = high - low if a[0] != b[0] else min(high - low, there - here)
            if length < SHARE * times:
                continue
            bits = _surprise(on, rows) if bits is None else bits
            if bits[a[0], here : here + length].sum() >= BITS:
                raise _refused((a[0], here), (b[0], there), length, count, source)


def _hashed(on):
    """One whole number for each row of states, (repeat, time)."""
    packed = np.packbits(on, axis=-1)
    width = -(-packed.shape[-1] // 8) * 8
    padded = np.zeros((*packed.shape[:-1], width), np.uint8)
    padded[..., : packed.shape[-1]] = packed
    words = padded.view(np.uint64)
    return np.sum(words * _keys(words.shape[-1]), axis=-1, dtype=np.uint64)


def _surprise(on, rows):
    """Bits by which each row surprises whoever knows the row before, (repeat, time).

    Each site follows from itself, −log₂ p(s_i(t+1) | s_i(t)) added up; where a row comes often, all
    of the next one follows from it, and the less surprising of the two counts.
    """
    now, then = on[:, :-1], on[:, 1:]
    apart = np.zeros(rows[:, 1:].shape)
    for before in (False, True):
        among = np.maximum((now == before).sum((0, 1)), 1)
        up = ((now == before) & then).sum((0, 1)) / among
        with np.errstate(divide="ignore"):
            cost = -np.log2(np.stack([1 - up, up]))
        for site in range(on.shape[2]):
            there = now[..., site] == before
            apart[there] += cost[then[..., site][there].astype(int), site]
    first, number = np.unique(rows[:, :-1], return_inverse=True, return_counts=True)[1:]
    pair = rows[:, :-1] * _keys(2)[0] + rows[:, 1:] * _keys(2)[1]
    both, times = np.unique(pair, return_inverse=True, return_counts=True)[1:]
    often = number[first].reshape(apart.shape)
    joint = np.log2(often) - np.log2(times[both].reshape(apart.shape))
    found = np.where(often >= FEW, np.minimum(apart, joint), apart)
    return np.pad(found, ((0, 0), (1, 0)))


def _keys(count):
    """Odd numbers by which words are multiplied before they are added up, modulo 2⁶⁴."""
    return np.random.default_rng(0).integers(2**63, size=count, dtype=np.uint64) * 2 + 1


def _stretch(rows, a, b):
    """From where to where, about places (repeat, time) that agree, the rows are the same."""
    (i, s), (j, t) = a, b
    back, ahead = min(s, t), rows.shape[1] - max(s, t)
    same = rows[i, s - back : s + ahead] == rows[j, t - back : t + ahead]
    unlike = np.flatnonzero(~same)
    before, after = unlike[unlike < back], unlike[unlike > back]
    low = before[-1] + 1 if before.size else 0
    high = after[0] if after.size else same.size
    return low - back, high - back


def _refused(first, second, length, repeats, source):
    def place(repeat, time):
        where = f"times {time + 1} to {time + length}"
        return f"{where} of repeat {repeat + 1}" if repeats > 1 else where

    return DataError(
        "the recording holds the same states twice",
        source=source,
        where=f"{place(*second)} (counting from 1)",
        expected="each state once",
        found=f"a copy of {place(*first)}",
        remedy="leave the copy out: states that are counted twice make errors too small",
    )

"""How a number is stored in a file: without loss, and small.

netCDF compresses arrays in parts, and holds whole multiples of a unit as whole numbers; its readers
undo both. What is rounded to a power of two (``rounding``) is such a multiple.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["stored"]

# Arrays of fewer bytes are stored as they are: to compress one takes HDF5 some 2 kB of its own.
SMALL = 2**11
# Numbers that are compressed together, at least: the draws of one, or of some; parts of a variable,
# at most; and how many are looked at at a time.
TOGETHER, PARTS, TRIED = (2**11, 2**16), 2**12, 2**17


def stored(variable: xr.Variable, together: tuple[str, ...]) -> dict[str, object]:
    """How a variable is stored, without loss: compressed, the draws of a number together; and whole
    multiples of a power of two, as ``compact`` leaves them, as whole numbers with their unit.

    Both are netCDF's own ways, which its readers undo.
    """
    import numpy as np

    if variable.dtype.kind not in "fiub" or variable.nbytes < SMALL:
        return {}
    how, values, unit = {"zlib": True, "complevel": 6, "shuffle": True}, variable.values, 0.0
    kind = values.dtype
    if kind == np.float64:
        unit, most = _unit(values)
        whole = [k for k in map(np.iinfo, ("int16", "int32")) if most <= k.max * unit]
        if whole:
            kind = whole[0].dtype
            how |= {"dtype": kind, "scale_factor": np.float64(unit)}
            how["_FillValue"] = kind.type(whole[0].min)
    if variable.dims[:2] == together and values.ndim > 2:
        parts = [_part(values.shape, numbers) for numbers in TOGETHER]
        scaled = unit if kind != values.dtype else 1
        how["chunksizes"] = min(parts, key=lambda part: _squeezed(values, scaled, kind, part))
    return how


def _unit(values):
    """The largest power of two of which all numbers are whole multiples, and the largest number;
    zero and infinity where there is none.
    """
    import numpy as np

    power, most, flat = 1024, 0.0, values.ravel()
    for first in range(0, flat.size, TRIED):
        some = np.abs(flat[first : first + TRIED])
        some = some[some > 0]  # neither zero nor unknown
        if some.size:
            most = max(most, float(some.max()))
            fraction, exponent = np.frexp(some)
            if not np.isfinite(most):
                return 0.0, math.inf
            whole = np.ldexp(fraction, 53).astype(np.int64)
            last = np.log2(whole & -whole).astype(np.int64)
            power = min(power, int((exponent - 53 + last).min()))
    return (math.ldexp(1.0, power), most) if power < 1024 else (1.0, 0.0)


def _part(shape, numbers):
    """The shape of a part of all draws that holds about so many numbers."""
    rest = math.prod(shape[2:])
    together, part = max(-(-rest // PARTS), numbers // math.prod(shape[:2]), 1), []
    for size in reversed(shape[2:]):
        part.append(min(size, together))
        together = -(-together // size)
    return (*shape[:2], *reversed(part))


def _squeezed(values, unit, kind, part):
    """Compressed bytes a number, in parts of this shape, of the first of them."""
    import numpy as np

    found = numbers = 0
    for place in np.ndindex(*(-(-n // m) for n, m in zip(values.shape, part, strict=True))):
        corner = tuple(slice(k * m, (k + 1) * m) for k, m in zip(place, part, strict=True))
        piece = np.nan_to_num(values[corner] / unit).astype(kind)
        by_byte = piece.reshape(-1, 1).view(np.uint8).T
        found, numbers = found + len(zlib.compress(by_byte.tobytes(), 4)), numbers + piece.size
        if numbers >= TRIED:
            break
    return found / numbers

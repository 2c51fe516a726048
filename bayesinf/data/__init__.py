"""From a file of the user's to labelled, validated data: read once, checked once.

    tables.py   any file -> labelled arrays: ``read``
    curve.py    y(x) with error bars: ``curve``, ``axes``
    binary.py   spins with energies: ``spins``; who is on at which time: ``raster``
    arrays.py   what these check alike

``curve``, ``spins`` and ``raster`` take from a file what a fit needs and refuse what no fit should
see: each refusal is a DataError that names the file, the row and the remedy.
``curve_from_arrays``, ``spins_from_arrays`` and ``raster_from_arrays`` are the same gate for arrays
in memory. Both ways give the same Dataset, which is passed on as it is and not checked again.
"""

from bayesinf.data.binary import raster, raster_from_arrays, spins, spins_from_arrays
from bayesinf.data.curve import axes, curve, curve_from_arrays
from bayesinf.data.tables import read

__all__ = [
    "axes",
    "curve",
    "curve_from_arrays",
    "raster",
    "raster_from_arrays",
    "read",
    "spins",
    "spins_from_arrays",
]

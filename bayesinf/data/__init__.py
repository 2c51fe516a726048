"""From a file of the user's to labelled, validated data: read once, checked once.

    tables.py       any file -> labelled arrays: ``read``, by its suffix to
    text.py         tables of text: where numbers begin, their names and units,
    dialects.py     decimal commas and thousands, dates.py times, units.py units,
    headings.py     rows above the numbers, steps.py an axis that these tell; columns.py labels all;
    jcamp.py        spectra in JCAMP-DX, instruments.py other formats with keywords,
    sheets.py       workbooks, containers.py files of arrays
    curve.py        y(x) with error bars: ``curve``, ``axes``; roles.py which column is what, why;
    bars.py         error bars as people write them, made standard deviations of y;
    sweeps.py       passes over the same x that are no one curve
    spins.py        spins with energies: ``spins``;
    rasters.py      who is on at which time: ``raster``, of states.py or spikes.py;
    copies.py       what is recorded twice
    series.py       what was measured at which times, in repeats: ``series``, ``times``,
    layouts.py      ``repeats``, and how the arrays of those lie
    origins.py      the past to learn from, the future to forecast: ``rolling_origins``, ``lagged``
    arrays.py       what these check alike

``curve``, ``spins``, ``raster`` and ``series`` take from a file what a fit needs and refuse what no
fit should see: each refusal is a DataError that names the file, the row and the remedy.
``curve_from_arrays``, ``spins_from_arrays``, ``raster_from_arrays`` and ``series_from_arrays`` are
the same gate for arrays in memory. Both ways give the same Dataset, which is passed on as it is and
not checked again.
"""

from bayesinf.data.curve import axes, curve, curve_from_arrays, within
from bayesinf.data.origins import Split, lagged, rolling_origins
from bayesinf.data.rasters import raster, raster_from_arrays
from bayesinf.data.series import repeats, series, series_from_arrays, times
from bayesinf.data.spins import spins, spins_from_arrays
from bayesinf.data.tables import read

__all__ = [
    "Split",
    "axes",
    "curve",
    "curve_from_arrays",
    "lagged",
    "raster",
    "raster_from_arrays",
    "read",
    "repeats",
    "rolling_origins",
    "series",
    "series_from_arrays",
    "spins",
    "spins_from_arrays",
    "times",
    "within",
]

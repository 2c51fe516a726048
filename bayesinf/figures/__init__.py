"""Pictures that every report can have: InferenceData in, matplotlib Figure out.

    canvas.py      colours, style, axes, labels, and the draws behind a picture
    posteriors.py  densities against the prior, parameters in pairs, intervals
    traces.py      how the draws came about
    predictive.py  statistics of data against replicas; what the priors expect
    bands.py       data with a band, against whatever they were measured at
    forecasts.py   forecasts as a fan, and their scores by horizon
    matrices.py    couplings as a heat map, panels on one scale

A fit is one of bayesinf's, or any other InferenceData, of PyMC, emcee or others.

Where a function takes ``var_names``, each entry is a variable (``"J"``, all of its elements) or one
element of it, spelt as the pictures spell it (``"J[0, 1]"``).
"""

from bayesinf.figures.bands import abscissa, band, predictive_band
from bayesinf.figures.canvas import (
    COLORS,
    axis_label,
    canvas,
    elements,
    few_ticks,
    in_lines,
    interval,
    key,
    padded,
    span,
    styled,
    with_units,
)
from bayesinf.figures.forecasts import forecast_fan
from bayesinf.figures.matrices import heat_map, matrices
from bayesinf.figures.posteriors import density, forest, pair, prior_posterior
from bayesinf.figures.predictive import new_rows, predictive_statistics, prior_predictive
from bayesinf.figures.traces import representative, trace_rank

__all__ = [
    "COLORS",
    "abscissa",
    "axis_label",
    "band",
    "canvas",
    "density",
    "elements",
    "few_ticks",
    "forecast_fan",
    "forest",
    "heat_map",
    "in_lines",
    "interval",
    "key",
    "matrices",
    "new_rows",
    "padded",
    "pair",
    "predictive_band",
    "predictive_statistics",
    "prior_posterior",
    "prior_predictive",
    "representative",
    "span",
    "styled",
    "trace_rank",
    "with_units",
]

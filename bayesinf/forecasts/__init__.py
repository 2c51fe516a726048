"""Forecasts from a posterior, and how good they were.

    paths.py    each draw of the parameters goes its own way: ``forecast``
    rows.py     rows of a new file: the group ``predictions``, and their table
    scores.py   coverage, CRPS, log score and skill by horizon: ``scores``, ``references``

``forecast`` iterates each draw from a state of its own with noise of its own; together the paths
are draws of the predictive distribution at each horizon. ``scores`` holds such draws, from one
origin or many (``bayesinf.data.rolling_origins``), to what came: do central intervals cover it as
often as they say, and how small is the CRPS, beside the forecasts of whoever knows no model?
"""

from bayesinf.forecasts.paths import forecast
from bayesinf.forecasts.rows import foretold, predictions
from bayesinf.forecasts.scores import crps, log_density, references, scores

__all__ = ["crps", "forecast", "foretold", "log_density", "predictions", "references", "scores"]

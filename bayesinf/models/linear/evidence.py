"""Which of several regressions do the data favour? Evidence, for three widths of what they share.

A wide prior costs evidence in proportion to its width, and a level that one model has and another
has not would be decided by that width alone. So what models share has one and the same proper
prior, and every comparison is told at several widths of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.posterior import dataset

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.models.linear.definition import Regression
    from bayesinf.models.linear.varying import Varying

__all__ = ["evidences"]


def evidences(
    problems: Mapping[str, Regression | Varying], widths: Sequence[float] = (0.1, 1.0, 10.0)
) -> xr.Dataset:
    """Compare models of one data set by their evidence.

        log p(y | model),   each prior of an unshrunk or null column wider by a factor

    Parameters
    ----------
    problems : model to what is fitted, all with a normal prior.
    widths : factors on the standard deviations of those priors; 1 stands for the priors as stated.

    Returns
    -------
    Dataset with ``log_evidence`` and ``log_bayes_factor``, that over the first model, (model,
    width).

    Raises
    ------
    DataError : the models are of different data, or a prior that they share differs.
    FitError : a prior that is not normal.
    """
    # Of regressions with non-linear parameters the one at their priors' medians is looked at.
    first, *others = (getattr(one, "reference", one) for one in problems.values())
    for other in others:
        if not np.array_equal(first.y, other.y) or not _same_error(first, other):
            raise DataError(
                "models of different data cannot be compared",
                expected="the same data and error bars in all",
            )
    for name, (column, prior) in _columns(first).items():
        for other in others:
            theirs = _columns(other).get(name)
            if theirs and np.allclose(column, theirs[0]) and prior != theirs[1]:
                raise DataError(
                    f"the models disagree about the prior of {name}, which they share",
                    expected=str(prior),
                    found=str(theirs[1]),
                    remedy="state one prior for it in all of them",
                )
    value = np.array(
        [[one.widened(float(w)).log_evidence() for w in widths] for one in problems.values()]
    )
    dims = ("model", "width")
    return dataset(
        {"log_evidence": value, "log_bayes_factor": value - value[0]},
        {"log_evidence": dims, "log_bayes_factor": dims},
        {"model": list(problems), "width": list(widths)},
        sampled=False,
    )


def _columns(problem):
    """Columns on the data and priors of all that has a normal prior of its own."""
    null = {} if problem.basis is None else problem.basis.null
    on_data = {name: (problem.X @ column, prior) for name, (column, prior) in null.items()}
    return {**problem.unshrunk, **on_data}


def _same_error(one, other):
    if one.error is None or other.error is None:
        return one.error is other.error
    return np.array_equal(one.error, other.error)

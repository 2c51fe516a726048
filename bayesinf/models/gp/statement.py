"""The problem, stated: data, kernel and mean by name, and a proper prior of every parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.errors import DataError, FitError
from bayesinf.models.gp import kernels
from bayesinf.models.gp.definition import NOISE, Process
from bayesinf.models.gp.kernels import Kernel
from bayesinf.models.gp.means import Mean
from bayesinf.models.gp.means import mean as named_mean
from bayesinf.priors import InverseChi, LogNormal, Prior, Uniform

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["process"]


def process(
    data: xr.Dataset,
    kernel: str | Kernel = "squared_exponential",
    mean: str | Callable | Mean = "zero",
    *,
    noise: Prior | float | None = None,
    priors: Mapping[str, Prior] | None = None,
    units: Mapping[str, str] | None = None,
    workers: int | None = None,
) -> Process:
    """State a Gaussian process on validated data, and every prior.

    Parameters
    ----------
    data : as of ``bayesinf.data.curve`` or ``curve_from_arrays``: x, y and, where they are known,
        errors under the user's names, sorted by x, which may repeat.
    kernel : ``exponential``, ``squared_exponential``, ``matern32``, ``matern52``,
        ``rational_quadratic``, ``periodic``, or sums and products of the classes of those names.
    mean : ``zero``, ``repulsive``, or a function of x whose further arguments, with priors or
        numbers as defaults, are parameters as well.
    noise : sd of the noise beyond the errors: a prior, a number, or None for the default prior.
    priors : name of a parameter to its prior; else wide ones around the extent of the data.
    units : of parameters of the mean, where that is a function.
    workers : threads for large matrices.

    Raises
    ------
    DataError : y does not vary.
    FitError : an unknown kernel, mean or parameter; a value that a parameter cannot have.
    """
    x, y, error = axes(data)
    columns = [column for column in (x, y, error) if column is not None]
    numbers = [column.values.astype(float) for column in columns]
    if np.ptp(numbers[1]) == 0:
        raise DataError("y does not vary", expected="a curve", found=f"{numbers[1][0]} throughout")
    kernel, mean = kernels.kernel(kernel), named_mean(mean)
    inferred, fixed = _parameters(kernel, mean, noise, dict(priors or {}), *numbers[:2])
    doubled = {x.name, y.name} & {*inferred, *fixed}
    if doubled:
        raise FitError(
            f"the data and a parameter are both called {', '.join(doubled)}: rename the data"
        )
    return Process(
        numbers[0],
        numbers[1],
        None if error is None else numbers[2],
        kernel,
        mean,
        inferred,
        fixed,
        str(x.name),
        str(y.name),
        {str(column.name): dict(column.attrs) for column in columns},
        dict(units or {}),
        workers,
    )


def _parameters(kernel, mean, noise, given, x, y):
    """Priors of what is inferred and values of what is fixed, both by name."""
    asked = kernel.parameters() | {NOISE: noise} | mean.parameters()
    doubled = {*kernel.parameters(), NOISE} & mean.parameters().keys()
    if doubled:
        raise FitError(
            f"the mean may not call a parameter {', '.join(doubled)}: the kernel and "
            "the noise have those names"
        )
    unknown = given.keys() - asked.keys()
    if unknown:
        raise FitError(
            f"no parameter {', '.join(sorted(unknown))}: a prior can be given for "
            f"{', '.join(asked)}"
        )
    defaults = _defaults(kernel, x, y)
    filled = {n: defaults[n] if v is None else v for n, v in (asked | given).items()}
    fixed = {name: float(v) for name, v in filled.items() if not isinstance(v, Prior)}
    for name, value in fixed.items():
        positive = name in kernel.parameters() and not value > 0
        if not np.isfinite(value) or positive or (name == NOISE and value < 0):
            raise FitError(f"{name} cannot be fixed at {value}")
    return {name: v for name, v in filled.items() if name not in fixed}, fixed


def _defaults(kernel, x, y) -> dict[str, Prior]:
    """State the priors: wide, around the extent of the data.

    Length scales around a fifth of the range of x, periods a third, amplitudes around the sd of
    y, pure numbers around 1, all log-normal; the noise inverse-χ with one degree of freedom and
    a hundredth of the sd of y; the wall of a repulsive mean as steep as the range of y over a
    tenth of the range of x, beginning in the lower half of x.
    """
    width, spread, extent = np.ptp(x), np.std(y), np.ptp(y)
    of = {"x": LogNormal(width / 5, 1.0), "y": LogNormal(spread, 1.5), "1": LogNormal(1.0, 1.0)}
    found = {name: of[kind] for name, kind in kernel.measured().items()}
    found |= {n: LogNormal(width / 3, 1.0) for n in found if n.startswith("period")}
    return found | {
        NOISE: InverseChi(1.0, 0.01 * spread),
        "gamma": LogNormal(10 * extent / width, 1.5),
        "r0": Uniform(x[0], x[0] + width / 2),
    }

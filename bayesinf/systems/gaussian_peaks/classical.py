"""The classical answer, and the quadratic approximation held against the posterior.

All but ``classical`` read a stored fit, beside which the classical answer stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import elements
from bayesinf.posterior import noted
from bayesinf.report import short, signed
from bayesinf.systems.gaussian_peaks.choice import chosen
from bayesinf.systems.gaussian_peaks.lines import Lines

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "certified_table",
    "classical",
    "comparison",
    "correlations",
    "known",
    "quadratic_verdict",
    "scalars",
    "widening",
]

SHIFT, RATIO, CORRELATION = 0.1, 0.1, 0.1  # what nobody would see in a quoted result


def classical(dataset: xr.Dataset, **model) -> xr.Dataset:
    """Fit a spectrum by least squares, as every fitting program does.

    Parameters
    ----------
    dataset, **model : as for ``fit``.

    Returns
    -------
    a Dataset with NAME and NAME_error, the standard error, of each variable of the posterior, as of
    ``curve.NonlinearRegression.classical``.
    """
    return chosen(dataset, **model)[0].classical()


def comparison(fit: xr.DataTree) -> pd.DataFrame:
    """Hold the posterior that emcee sampled against the quadratic approximation at the optimum.

    Parameters
    ----------
    fit : made with ``method="emcee"``.

    Returns
    -------
    one row a fitted parameter: mean and sd of the approximation (for inferred noise the standard
    error times √(ν/(ν−2)), the sd of Student's t) and of the posterior, the ``shift`` of the mean
    in posterior sds, the ``ratio`` of the sds, Laplace / emcee.
    """
    import pandas as pd

    columns = ["Laplace mean", "Laplace sd", "emcee mean", "emcee sd", "shift", "ratio"]
    rows = {}
    for label, draws, best, error, _ in scalars(fit, Lines.of(fit).fitted):
        mean, sd, error = draws.mean(), draws.std(), error * widening(fit)
        rows[label] = best, error, mean, sd, (mean - best) / sd, error / sd
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return frame.rename_axis("parameter")


def correlations(fit: xr.DataTree) -> pd.DataFrame:
    """Correlations of the quadratic approximation and of the posterior, the strongest first."""
    import pandas as pd

    lines = Lines.of(fit)
    flat = [name for variable in lines.fitted for name in lines.names(variable)]
    found = noted(fit, "classical")["correlation"].sel(fitted=flat, fitted_other=flat).to_numpy()
    drawn = elements(fit, lines.fitted)
    labels, draws = list(drawn), np.stack([array.to_numpy().ravel() for array in drawn.values()])
    i, j = np.triu_indices(len(labels), 1)
    laplace, emcee = found[i, j], np.corrcoef(draws)[i, j]
    frame = pd.DataFrame(
        {
            "Laplace": laplace,
            "emcee": emcee,
            "difference": laplace - emcee,
            "ratio": laplace / emcee,
        },
        pd.Index([f"{labels[a]}, {labels[b]}" for a, b in zip(i, j, strict=True)], name="pair"),
    )
    return frame.iloc[np.argsort(-np.abs(emcee))]


def quadratic_verdict(fit: xr.DataTree) -> tuple[bool, str]:
    """Say whether the quadratic approximation may stand in for a posterior that emcee sampled.

    It may where no mean is off by more than 0.1 posterior sd, no sd by more than 10 %, and no
    correlation by more than 0.1.
    """
    table, pairs = comparison(fit), correlations(fit)
    shift, off, gap = table["shift"].abs(), table["ratio"] - 1, pairs["difference"].abs()
    worst = off.abs().idxmax()
    good = shift.max() <= SHIFT and abs(off[worst]) <= RATIO and gap.max() <= CORRELATION
    where = "at the optimum" if good else "at the optimum, only from the sampled posterior"
    return bool(good), (
        f"Errors may {'' if good else 'not '}be read from the curvature {where}: a mean is off by "
        f"up to {shift.max():.2f} sd ({shift.idxmax()}), an sd by up to {abs(off[worst]):.0%} "
        f"({worst}), a correlation by up to {gap.max():.2f} ({gap.idxmax()})."
    )


def certified_table(fit: xr.DataTree) -> pd.DataFrame:
    """Certified values against optimum, standard error and posterior, a row each."""
    import pandas as pd

    values, sds, rows = known(fit, "certified"), known(fit, "certified_sd"), {}
    for label, draws, best, error, _ in scalars(fit):
        if label in values:
            value, sd = values[label], sds[label]
            ratio = draws.std() / sd / widening(fit)
            rows[label] = {
                "certified": short(value, 8),
                "sd": short(sd, 6),
                "optimum off": short(best / value - 1, 1),
                "sd off": short(error / sd - 1, 1),
                "mean − certified": f"{signed((draws.mean() - value) / draws.std(), 3)} sd",
                "ratio of sds": f"{ratio:.3f}",
            }
    found, value = (
        float(noted(fit, name)["residual_sum_of_squares"]) for name in ("classical", "certified")
    )
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")
    row = [short(value, 10), "–", short(found / value - 1, 1), "–", "–", "–"]
    frame.loc["residual sum of squares"] = row
    return frame


def scalars(
    fit: xr.DataTree, names: Sequence[str] | None = None
) -> Iterator[tuple[str, np.ndarray, float, float, str]]:
    """Give each scalar's label, draws, optimum, standard error and unit."""
    best, error = known(fit, "classical"), known(fit, "classical", "_error")
    for label, array in elements(fit, names).items():
        yield label, array.to_numpy(), best[label], error[label], array.units


def known(fit: xr.DataTree, note: str, suffix: str = "") -> dict[str, float]:
    """Return what a note says of each scalar of the posterior, by its label.

    Parameters
    ----------
    fit : what ``fit`` returned.
    note : ``truth``, ``certified``, ``certified_sd`` or ``classical``; a fit may lack it.
    suffix : of the note's variables, as ``_error``.
    """
    found, values = noted(fit, note), {}
    for label, array in elements(fit).items():
        value = None if found is None else found.get(f"{array.name}{suffix}")
        if value is not None:
            values[label] = float(value.sel(peak=array["peak"]) if value.ndim else value)
    return values


def widening(fit: xr.DataTree) -> float:
    """Sd of the posterior over the standard error: Student's t where the noise is inferred."""
    dof = float(noted(fit, "classical")["degrees_of_freedom"])
    normal = fit.attrs["likelihood"] == "normal" and "noise" in fit["posterior"]
    return np.sqrt(dof / (dof - 2)) if normal and dof > 2 else 1.0

"""The fit of a spectrum, and the curves of its posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.inference import kinds
from bayesinf.models import curve
from bayesinf.models import problem as driver
from bayesinf.models.noise import refuse_unless_fits
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.gaussian_peaks.choice import bars_shift, chosen
from bayesinf.systems.gaussian_peaks.lines import Lines
from bayesinf.systems.gaussian_peaks.support import refuse_unsupported

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["KNOWN", "curves", "fit"]

# Half a standard error of bias is what an interval of 95 % bears, and still holds 92 %. Asked only
# of bars that are square roots; of a background of two counts it caught all of 200 spectra.
SQUARE_ROOTS = kinds.Question(
    "square-root bars",
    "bars_shift",
    "max",
    0.5,
    "≤",
    True,
    "error bars that are square roots of the data shift a parameter by {value:.2g} standard errors",
    "take the likelihood of counts (--likelihood poisson), or bars from the curve (--error none "
    "--likelihood shot)",
)
KNOWN = ("truth", "certified", "certified_sd")  # notes that a spectrum passes on to its fit


def fit(
    dataset: xr.Dataset,
    *,
    method: str | None = None,
    case: str | None = None,
    settings: Settings = DEFAULT,
    **model,
) -> xr.DataTree:
    """Infer the peaks of a spectrum.

    Parameters
    ----------
    dataset : as ``simulate``, ``read`` or ``nist`` return it; what it knows beforehand, ``truth``
        or certified values, goes with the fit.
    method : "laplace" (the default) or "emcee".
    case : what the data are called in a report; by default what they call themselves.
    settings : length and seed.
    **model : as for ``problem``: ``peaks``, ``background``, ``shape``, ``priors``, ... Without a
        ``likelihood`` the data's own is taken, as of ``chosen``.

    Returns
    -------
    InferenceData with ``height``, ``center``, ``sigma``, ``amplitude`` (area), ``fwhm`` (peak,),
    the background's parameters, and those of the scatter, ``noise`` where it is inferred. Beside it
    stand ``classical``, the classical answer, and ``curve``, the mean curve with its components.
    The root attribute ``why`` says what was noticed of the data.

    Raises
    ------
    DataError : data that cannot be used. FitError : peaks that the data do not hold or determine.
    """
    refuse_unless_fits(axes(dataset)[1].size, settings)
    stated, why = chosen(dataset, **model)
    refuse_unsupported(stated, dataset, model)
    found = driver.fit(
        stated,
        method,
        settings,
        system="gaussian_peaks",
        notes={name: _known(dataset, name, int(stated.attrs["peaks"])) for name in KNOWN},
        attrs={
            "case": dataset.attrs.get("case", "") if case is None else case,
            "why": why,
            "model": f"{Lines.told(stated.attrs)}, {stated.likelihood} likelihood",
            "equation": f"{Lines.told(stated.attrs).equation}, \\quad {stated.likelihood.equation}",
        },
    )
    shift = bars_shift(stated)
    if shift is not None:
        found["sample_stats"] = found["sample_stats"].to_dataset().assign(bars_shift=shift)
        found.attrs |= kinds.declare(*stated.questions, SQUARE_ROOTS)
    return annotated(found, curve=_mean_curve(found, stated))


def _known(dataset, name, peaks):
    """What is known beforehand, None where that is of another number of peaks."""
    note = noted(dataset, name)
    return note if note is not None and note.sizes.get("peak") == peaks else None


# The curve of a fit


def curves(fit: xr.DataTree, x: np.ndarray, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate a posterior's background, (draw, point), and peaks, (draw, peak, point).

    Parameters
    ----------
    fit : what ``fit`` returned.
    x : (point,).
    most : draws, taken evenly from all of them.
    """
    lines, posterior = Lines.of(fit), fit["posterior"]
    model, params = lines.lmfit()
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    chosen, values = np.linspace(0, total - 1, most).astype(int), {}
    for variable in lines.fitted:
        draws = posterior[variable].to_numpy().reshape(total, -1)[chosen]
        values |= zip(lines.names(variable), draws.T, strict=True)
    parts = [curve.evaluate(component, params, x, values) for component in model.components]
    background = np.zeros((most, len(x))) if lines.background == "none" else parts.pop(0)
    return background, np.stack(parts, axis=1)


def _mean_curve(fit, stated):
    """Mean of the posterior's curve at the data, its components on a fine grid, and residuals."""
    x = stated.curve.x
    grid = np.linspace(x.min(), x.max(), 600)
    background, peaks = curves(fit, grid)
    at_data, peaks_at_data = curves(fit, x)
    mean = (at_data + peaks_at_data.sum(axis=1)).mean(axis=0)
    posterior = fit["posterior"].to_dataset()
    scatter = {name: posterior[name].mean().to_numpy() for name in stated.scattering}
    expected, scale = stated.likelihood.expected(stated.y, mean, stated.scatter(scatter))
    (y,) = fit["observed_data"].data_vars.values()
    arrays = {
        "grid": grid,
        "background": background.mean(axis=0),
        "peaks": peaks.mean(axis=0),
        "mean": mean,
        "residual": (stated.y - expected) / scale,
    }
    dims = {"background": ("grid",), "peaks": ("peak", "grid"), "mean": ("point",)}
    units = dict.fromkeys(dims, y.units)
    coords = {"grid": arrays.pop("grid"), "peak": fit["posterior"]["peak"].values}
    return dataset(arrays, dims | {"residual": ("point",)}, coords, units, sampled=False)

"""A batch of spectra as one InferenceData: what it holds, and rows under those names."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from bayesinf.batches import NOT_ASKED, QUESTIONS, Held
from bayesinf.batches.store import EACH
from bayesinf.data.spectra import Source
from bayesinf.inference import kinds
from bayesinf.models.likelihoods import NOISE
from bayesinf.posterior import provenance
from bayesinf.settings import Settings
from bayesinf.systems.gaussian_peaks.batch.fitting import DRAWS, KEPT
from bayesinf.systems.gaussian_peaks.batch.residuals import STATISTICS
from bayesinf.systems.gaussian_peaks.batch.statement import Model
from bayesinf.systems.gaussian_peaks.lines import Lines

__all__ = ["arrays", "attributes", "coords", "layout", "sizes", "variables"]

STEP = 1e-3  # standard errors, of the differences by which errors go over to tied parameters
EVIDENCE = {
    "pareto_k": "pareto_k",
    "effective_draws": "effective",
    "weight_shift": "moved",
    "condition_number": "condition",
    "last_step": "step",
    "starts_agreeing": "agreeing",
    "starts_rivals": "rivals",
    "points": "points",
}
WHOLE = ("starts_agreeing", "starts_rivals", "points")


def sizes(model: Model) -> dict[str, int]:
    """Return the dimensions besides the spectra's."""
    count = len(model.free)
    return {
        "chain": 1,
        "draw": KEPT,
        "peak": model.peaks,
        "statistic": len(STATISTICS),
        "fitted": count,
        "fitted_other": count,
    }


def coords(model: Model, source: Source) -> dict[str, tuple[object, str]]:
    """Return the coordinates, dimension to values and unit."""
    found = {
        "peak": (np.arange(1, model.peaks + 1), "1"),
        "statistic": (list(STATISTICS), "1"),
        "fitted": (model.free, "1"),
        "fitted_other": (model.free, "1"),
    }
    if list(source.dims) == ["spectrum"]:
        found["spectrum"] = (list(source.names), "1")
    return found | dict(source.coords)


def _units(model):
    return dict(model.stated.units) | {NOISE: model.y_unit}


def variables(model: Model, noisy: bool) -> dict[str, bool]:
    """Return the variables of the posterior, each to whether there is one for each peak."""
    of_peaks = dict.fromkeys(model.stated.stacked, True)
    others = dict.fromkeys([NOISE] if noisy else [], False)
    return dict.fromkeys(model.lines.of_background, False) | of_peaks | others


def layout(model: Model, noisy: bool) -> dict[str, dict[str, Held]]:
    """Return what the file holds, group to name to ``Held``.

    Parameters
    ----------
    noisy : whether the noise is inferred of any spectrum.
    """
    units, per_peak = _units(model), variables(model, noisy)

    def own(name, lead=()):
        dims = (*lead, EACH, "peak") if per_peak[name] else (*lead, EACH)
        return Held(dims, units=units.get(name, "1"))

    draws = {name: own(name, ("chain", "draw")) for name in per_peak}
    known = {f"classical.{name}": own(name) for name in per_peak}
    known |= {f"classical.{name}_error": own(name) for name in per_peak}
    free = [name for name in model.lines.fitted]
    known |= {f"moments.{name}": own(name) for name in free}
    known |= {f"moments.{name}_sd": own(name) for name in free}
    known["reason"] = Held(kind="str")
    known["classical.covariance"] = Held((EACH, "fitted", "fitted_other"))
    known["classical.residual_sum_of_squares"] = Held()
    statistics = {name: Held(kind="i4" if name in WHOLE else "f8") for name in EVIDENCE}
    statistics |= {
        "p_value": Held((EACH, "statistic")),
        "code": Held(kind="i4"),
    }
    return {
        "posterior": draws,
        "log_likelihood": {model.y_name: Held(("chain", "draw", EACH))},
        "sample_stats": statistics,
        "constant_data": known,
    }


def arrays(rows: Mapping[str, np.ndarray], model: Model, noisy: bool) -> dict:
    """Return a portion's rows under the names of ``layout``, the spectra first."""
    found = {}
    draws = np.concatenate([rows["draws"], rows["draws_noise"][..., None]], axis=-1)
    for name, values in _named(draws, model).items():
        if name in variables(model, noisy):
            found["posterior", name] = values[:, None]
    found["log_likelihood", model.y_name] = rows["log_likelihood"][:, None]
    theta = np.concatenate([rows["theta"], rows["noise"][:, None]], axis=-1)
    errors = _errors(rows, model)
    for name, values in _named(theta, model).items():
        if name in variables(model, noisy):
            found["constant_data", f"classical.{name}"] = values
            found["constant_data", f"classical.{name}_error"] = errors[name]
    mean, sd = (np.concatenate([rows[n], rows["noise"][:, None]], axis=-1) for n in ("mean", "sd"))
    widths = dict(zip(model.free, np.moveaxis(sd, -1, 0), strict=False))
    for name, values in _named(mean, model).items():
        if name in model.lines.fitted:
            found["constant_data", f"moments.{name}"] = values
            found["constant_data", f"moments.{name}_sd"] = _stacked(widths, model, name)
    found["constant_data", "classical.covariance"] = rows["covariance"]
    found["constant_data", "classical.residual_sum_of_squares"] = rows["rss"]
    for name, row in EVIDENCE.items():
        found["sample_stats", name] = rows[row]
    for name in ("p_value", "code"):
        found["sample_stats", name] = rows[name]
    found["constant_data", "reason"] = rows["reason"]
    return found


def _named(theta, model):
    """Arrays by the names of the posterior, of points that may be NaN."""
    with np.errstate(all="ignore"):
        return model.stated.draws(theta)


def _stacked(by_lmfit, model, name):
    """An array over peaks of arrays by lmfit's names; a width that is shared is that of all."""
    if name not in model.stated.stacked:
        return by_lmfit[name]
    parts = model.stated.stacked[name][1].values()
    first = next(iter(parts))
    return np.stack([by_lmfit.get(part, by_lmfit[first]) for part in parts], axis=-1)


def _errors(rows, model):
    """Standard errors by the names of the posterior, by propagation where they are tied."""
    count, size = rows["theta"].shape
    unit = rows["error"]
    fine = np.isfinite(unit).all(axis=1)
    root = np.full((count, size, size), np.nan)
    if fine.any():
        scaled = rows["covariance"][fine] / (unit[fine, :, None] * unit[fine, None, :])
        root[fine] = unit[fine, :, None] * np.linalg.cholesky(scaled)
    noise = np.broadcast_to(rows["noise"][:, None, None], (count, size, 1))
    sides = []
    for side in (STEP, -STEP):
        theta = rows["theta"][:, None, :] + side * np.moveaxis(root, 2, 1)
        sides.append(_named(np.concatenate([theta, noise], axis=-1), model))
    up, down = sides
    found = {name: np.linalg.norm((up[name] - down[name]) / (2 * STEP), axis=1) for name in up}
    dof = np.maximum(rows["points"] - size, 1)
    return found | {NOISE: rows["noise"] / np.sqrt(2 * dof)}


def attributes(
    model: Model, source: Source, settings: Settings, sha256: str, elapsed: float
) -> dict[str, object]:
    """Return the root attributes of the file."""
    lines = model.lines
    told = lines.attrs | {"origin": "that of each spectrum", "end": "that of each spectrum"}
    normal = model.stated.likelihood
    priors = {name: str(prior) for name, prior in model.priors.items()}
    default = "flat over what a spectrum of its extent could show"
    priors = {name: default for name in lines.fitted if name not in priors} | priors
    return {
        **told,
        "system": "gaussian_peaks",
        "family": "curve",
        "model": f"{Lines.told(lines.attrs)}, {normal} likelihood, each spectrum by itself",
        "method": "laplace",
        "inference": "batch",
        "likelihood": str(normal),
        "equation": f"{lines.equation}, \\quad {normal.equation}",
        "seed": settings.seed,
        "settings": settings.replace(draws=KEPT, chains=1).to_json(),
        "weighed_draws": DRAWS,
        "priors": json.dumps(priors),
        "data_sha256": sha256,
        "data_read_as": source.said,
        **provenance(),
        "elapsed_seconds": elapsed,
        "not_asked": json.dumps(NOT_ASKED),
        **kinds.declare(*QUESTIONS),
    }

"""What follows from a posterior: curves, the well, B₂, and how all that compares with the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference import kinds
from bayesinf.models import gp
from bayesinf.posterior import dataset as labelled
from bayesinf.posterior import noted
from bayesinf.systems.lennard_jones import wells
from bayesinf.systems.lennard_jones.classical import classical
from bayesinf.systems.lennard_jones.data import scales
from bayesinf.systems.lennard_jones.level import EVIDENCE, constant_of
from bayesinf.systems.lennard_jones.model import predict
from bayesinf.systems.lennard_jones.potentials import (
    DISTANCE_UNITS,
    ENERGY_UNITS,
    POTENTIALS,
    second_virial,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["curves", "derived", "rows_around", "truth", "virial"]

GRID = 120  # distances at which curves are drawn; between them cubics meet values and slopes
FOLLOWED = 200  # draws of the posterior whose curves are drawn
TEMPERATURES = (100.0, 150.0, 200.0, 300.0, 500.0, 700.0)  # K

CONSTANT = kinds.Question(
    "zero of the energies",
    "constant_evidence",
    "max",
    EVIDENCE,
    "≤",
    True,
    "that the energies level off elsewhere than at zero has a log Bayes factor of {value:.2g}",
    "let the constant be inferred",
)
NOISE = replace(gp.questions.NOISE_BEYOND, limit=EVIDENCE)
FORM = kinds.Question(
    "form of the process",
    "form_evidence",
    "max",
    kinds.FIFTYFOLD,
    "≤",
    True,
    "that the curve is smooth in log r and falls off has a log Bayes factor of {value:.2g}",
    "leave mean and coordinate to the default: beside a wall a process in r misjudges what lies "
    "between the rows",
)


def derived(
    posterior: xr.DataTree,
    dataset: xr.Dataset,
    functions: Mapping[str, Callable | None],
    noise_evidence: float | None = None,
    form_evidence: float | None = None,
) -> tuple[dict[str, xr.Dataset], xr.Dataset, dict[str, str]]:
    """Draw what a report tells of a fit, and what its checks ask besides.

    Parameters
    ----------
    posterior : of the process.
    dataset : as of ``noticed``.
    functions : the ``mean`` and the ``coordinate``, where these were functions.
    noise_evidence : log Bayes factor of inferred noise against that which was fixed, if it was.
    form_evidence : that of the default form against this one, where that is a process in r.

    Returns
    -------
    notes to stand beside the fit: curves, well, virial coefficient, classical and true potential;
    evidence for ``sample_stats``; and the root attribute that declares the questions to it.
    """
    drawn = curves(posterior, **functions)
    r = drawn["distances"]
    within = rows_around(posterior)
    read = wells.well(drawn, within)
    found = {"curve": drawn, "well": read, "classical": classical(dataset, r.values)}
    evidence, questions = wells.judged(read, within), [*wells.QUESTIONS]
    if not dataset.attrs["constant"] and "constant_evidence" in dataset.attrs:
        evidence["constant_evidence"] = dataset.attrs["constant_evidence"]
        questions.append(CONSTANT)
    if noise_evidence is not None:
        evidence["noise_evidence"] = noise_evidence
        questions.append(NOISE)
    if form_evidence is not None:
        evidence["form_evidence"] = form_evidence
        questions.append(FORM)
    if _physical(r.units, drawn["curve"].units):
        found["virial"] = virial(posterior, **functions)
    known = truth(dataset, r.values)
    if known is not None:
        found["truth"] = known
        if "curve" in known:
            for question, value in _of_potential(posterior, dataset, functions).items():
                evidence[question.variable] = value
                questions.append(question)
    return found, labelled(evidence, sampled=False), kinds.declare(*questions)


def rows_around(posterior: xr.DataTree) -> wells.Bracket:
    """Return where the rows of a fit have the well, as of ``wells.bracket``."""
    known, draws = posterior["constant_data"], posterior["posterior"]
    r, u = known["distances"].values, posterior["observed_data"]["energies"].values
    noise = draws["noise"].median() if "noise" in draws else known["noise"]
    bars = known["error"].values if "error" in known else np.zeros(len(u))
    level = np.median(getattr(constant_of(draws), "values", 0.0))
    return wells.bracket(r, u, np.hypot(bars, float(noise)), float(level))


def _of_potential(posterior, dataset, functions):
    """What is asked of curves whose potential is known, with the answers."""
    potential, asked = POTENTIALS[dataset.attrs["potential"]], gp.questions
    r = posterior["constant_data"]["distances"].values
    grid = np.geomspace(r.min(), r.max(), asked.PLACES)
    drawn = predict(posterior, grid, most=asked.COVERING, **functions)["curve"].values
    return asked.of_known_curve(drawn, potential(grid))


def curves(posterior: xr.DataTree, **functions: Callable | None) -> xr.Dataset:
    """Draw energies, and slopes where the paths have them, over the range of the data.

    Parameters
    ----------
    posterior : what ``fit`` returned.
    **functions : ``mean`` and ``coordinate``, as for ``predict``.

    Returns
    -------
    a Dataset over chain, draw and ``new``, with coordinate ``distances``: ``curve``, ``slope``;
    where the energies stand on one, ``constant``, (chain, draw); and ``mean``, the posterior mean
    of the curve, (new,).
    """
    r = posterior["constant_data"]["distances"].values
    grid = np.geomspace(r.min(), r.max(), GRID)
    grid[[0, -1]] = r.min(), r.max()
    smooth = gp.kernels.from_dict(json.loads(posterior.attrs["kernel"])).smooth
    drawn = predict(posterior, grid, slope=smooth, most=FOLLOWED, **functions)
    average = drawn["mean"].mean(("chain", "draw"), keep_attrs=True)
    kept = drawn[["curve", "slope"] if smooth else ["curve"]].assign(mean=average)
    level = _constants(posterior)
    return kept if level is None else kept.assign(constant=level)


def _constants(posterior):
    """The constants of the draws that curves follow, or None."""
    chosen = gp.thinned(posterior, FOLLOWED)
    return chosen.get("constant")


def virial(
    posterior: xr.DataTree,
    temperatures: Sequence[float] = TEMPERATURES,
    *,
    inward: float = 0.8,
    **functions: Callable | None,
) -> xr.Dataset:
    """Draw the second virial coefficient from a potential's posterior.

    Where the data begin outside ``inward`` times the zero crossing, the curves are continued to
    there by the process, mean and all.

    Parameters
    ----------
    posterior : what ``fit`` returned, on data in units of length and energy.
    temperatures : K.
    inward : in units of σ, where the potential may be taken for infinite.
    **functions : as for ``curves``.

    Returns
    -------
    a Dataset with ``B2``, cm³/mol, (chain, draw, temperature).

    Raises
    ------
    FitError : data in reduced units.
    """
    r, u = posterior["constant_data"]["distances"], posterior["observed_data"]["energies"]
    units = r.units, u.units
    if not _physical(*units):
        raise FitError(
            "a virial coefficient needs energies in K and distances in Å, or other units of that "
            f"kind, not {units[1]} and {units[0]}"
        )
    level = _constants(posterior)
    apart = 0.0 if level is None else level
    sigma, _ = scales(r, (u - np.median(apart)).assign_attrs(u.attrs))
    grid = np.linspace(min(r.values.min(), inward * sigma), r.values.max(), 250)
    curve = predict(posterior, grid, most=FOLLOWED, **functions)["curve"] - apart
    found = second_virial(grid, curve.transpose("chain", "draw", "new").values, temperatures, units)
    return labelled(
        {"B2": found}, {"B2": ("temperature",)}, _temperatures(temperatures), {"B2": "cm³/mol"}
    )


def truth(
    dataset: xr.Dataset, grid: np.ndarray, temperatures: Sequence[float] = TEMPERATURES
) -> xr.Dataset | None:
    """Return what is known beforehand: what a dataset says, and what follows from its potential.

    Parameters
    ----------
    dataset : as of ``simulate`` or ``read``.
    grid : (new,), distances.
    temperatures : K.

    Returns
    -------
    a Dataset with the dataset's ``truth.NAME`` as NAME and, where it names a ``potential``,
    ``curve`` and ``slope`` on the grid; ``depth``, ``minimum`` and ``crossing`` of the well, NaN
    where they do not lie within the grid; and in units of length and energy ``B2``. None where
    nothing is known.
    """
    found = noted(dataset, "truth")
    potential = POTENTIALS.get(dataset.attrs.get("potential"))
    if potential is None:
        return found
    r, u = dataset["distances"], dataset["energies"]
    step = 1e-5 * grid
    slope = (potential(grid + step) - potential(grid - step)) / (2 * step)
    of_u, of_slope = u.units, gp.ratio(u.units, r.units)
    known = labelled(
        {"curve": potential(grid), "slope": slope} | _true_well(potential, grid),
        {"curve": ("new",), "slope": ("new",)},
        {"distances": ("new", grid, {"units": r.units})},
        {"curve": of_u, "slope": of_slope, "depth": of_u, "minimum": r.units, "crossing": r.units},
        sampled=False,
    )
    if _physical(r.units, of_u):
        sigma, _ = scales(r, u)
        fine = np.linspace(0.65 * sigma, 8 * sigma, 20_000)
        exact = second_virial(fine, potential(fine), temperatures, (r.units, of_u))
        coords, units = _temperatures(temperatures), {"B2": "cm³/mol"}
        known = known.merge(
            labelled({"B2": exact}, {"B2": ("temperature",)}, coords, units, sampled=False)
        )
    return known if found is None else known.merge(found)


def _true_well(potential, grid):
    """Depth, minimum and zero crossing of a potential; NaN where they lie outside the grid."""
    from scipy.optimize import brentq, minimize_scalar

    first, last = grid[0], grid[-1]
    finest = {"xatol": 1e-8 * last}
    bottom = minimize_scalar(potential, bounds=(first, last), method="bounded", options=finest)
    found = {"depth": -bottom.fun, "minimum": bottom.x, "crossing": np.nan}
    if bottom.fun > 0 or bottom.fun >= min(potential(first), potential(last)):
        found = dict.fromkeys(found, np.nan)
    if potential(first) > 0 > bottom.fun:
        found["crossing"] = brentq(potential, first, bottom.x)
    return {name: np.float64(value) for name, value in found.items()}


def _physical(of_r, of_u):
    """Whether units are those of length and energy, and not reduced ones."""
    size = DISTANCE_UNITS.get(of_r, np.nan) * ENERGY_UNITS.get(of_u, np.nan)
    return bool(np.isfinite(size))


def _temperatures(values):
    return {"temperature": ("temperature", np.asarray(values), {"units": "K"})}

"""The process: its priors, the fit, and what follows from a posterior: curves, well, B₂."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.posterior import annotated, noted
from bayesinf.posterior import dataset as labelled
from bayesinf.priors import InverseChi, LogNormal, Prior, Uniform
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.lennard_jones.classical import classical
from bayesinf.systems.lennard_jones.data import checked, scales
from bayesinf.systems.lennard_jones.potentials import (
    DISTANCE_UNITS,
    ENERGY_UNITS,
    POTENTIALS,
    lennard_jones,
    second_virial,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "MEANS",
    "curves",
    "default_priors",
    "fit",
    "predict",
    "problem",
    "truth",
    "virial",
    "well",
]

MEANS = ("zero", "repulsive", "lennard_jones")
GRID = 120  # distances at which curves are drawn; between them cubics meet values and slopes
FOLLOWED = 200  # draws of the posterior whose curves are drawn
TEMPERATURES = (100.0, 150.0, 200.0, 300.0, 500.0, 700.0)  # K


def default_priors(mean: str, sigma: float, epsilon: float) -> dict[str, Prior]:
    """State the priors that this system adds to those of the family, around σ and ε of the data.

    Noise: inverse-χ, one degree of freedom, around a thousandth of ε. A wall begins between 0.85
    and 0.97 σ, where energies are positive, and may be a few times steeper or flatter than
    100 ε/σ. ε and σ of a Lennard-Jones mean are known to a factor of 1.65 and to 10 %.
    """
    return {"noise": InverseChi(1.0, 1e-3 * epsilon)} | {
        "repulsive": {
            "gamma": LogNormal(100 * epsilon / sigma, 1.0),
            "r0": Uniform(0.85 * sigma, 0.97 * sigma),
        },
        "lennard_jones": {"epsilon": LogNormal(epsilon, 0.5), "sigma": LogNormal(sigma, 0.1)},
    }.get(mean, {})


def problem(
    dataset: xr.Dataset,
    mean: str | Callable = "repulsive",
    kernel: str | gp.kernels.Kernel = "squared_exponential",
    *,
    priors: Mapping[str, Prior] | None = None,
    noise: Prior | float | None = None,
    workers: int | None = None,
) -> gp.Process:
    """State the process on the rows of a dataset; arguments as for ``fit``."""
    data = checked(dataset)
    r, u = data["distances"], data["energies"]
    called = mean if isinstance(mean, str) else ""
    given = default_priors(called, *scales(r, u)) | dict(priors or {})
    ours = called == "lennard_jones"
    return gp.process(
        data,
        kernel,
        _prior_mean(mean),
        priors=given | ({} if noise is None else {"noise": noise}),
        units={"epsilon": u.units, "sigma": r.units} if ours else None,
        workers=workers,
    )


def fit(
    dataset: xr.Dataset,
    *,
    mean: str | Callable = "repulsive",
    kernel: str | gp.kernels.Kernel = "squared_exponential",
    method: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    noise: Prior | float | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer a pair potential's Gaussian process from all rows of a dataset.

    Parameters
    ----------
    dataset : as of ``simulate`` or ``read``: ``distances``, which may repeat, ``energies`` and,
        where it is known, ``error``, the sd of their noise; ``noise`` is then what comes on top.
    mean : ``zero``, ``repulsive``, ``lennard_jones``, or a function as for ``gp.process``.
    kernel, method : as for ``gp.fit``.
    priors : name of a parameter to its prior; else ``default_priors`` and those of the family.
    noise : a number or a prior, in place of the default prior.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``length_scale``, ``amplitude``, ``noise`` and, by mean, ``gamma`` and
    ``r0``, or ``epsilon`` and ``sigma``. Beside it are noted ``curve``, ``well``, ``classical``, in
    units of length and energy ``virial``, and ``truth`` where the potential is known.

    Raises
    ------
    DataError : data that cannot be used. FitError : a mean, kernel or parameter that is not known.
    """
    state = problem(dataset, mean, kernel, priors=priors, noise=noise, workers=settings.workers)
    given, attrs = _prior_mean(mean), {"case": dataset.attrs.get("case", "")}
    if state.mean.name == "lennard_jones" and given is not lennard_jones:
        attrs["mean"] = "lennard_jones()"  # a function of the user's, not to be taken for ours
    found = driver.fit(state, method, settings, system="lennard_jones", attrs=attrs)
    return annotated(found, **derived(found, dataset, given))


def predict(
    posterior: xr.DataTree, distances: np.ndarray, *, mean: Callable | None = None, **options
) -> xr.Dataset:
    """Draw energies, and with ``slope=True`` slopes dU/dr, at some distances; as ``gp.predict``."""
    ours = lennard_jones if posterior.attrs["mean"] == "lennard_jones" else None
    return gp.predict(posterior, distances, mean=mean or ours, **options)


def _prior_mean(mean):
    """What the family calls a mean: of these names only ``lennard_jones`` is not its own."""
    if isinstance(mean, str) and mean not in MEANS:
        raise FitError(f"unknown mean {mean!r}: use one of {', '.join(MEANS)}, or a function of r")
    # The numbers in the signature of the potential are no priors; those of the fit replace them.
    return lennard_jones if isinstance(mean, str) and mean == "lennard_jones" else mean


# What follows from a posterior


def derived(
    posterior: xr.DataTree, dataset: xr.Dataset, mean: str | Callable
) -> dict[str, xr.Dataset]:
    """Draw what a report tells of a fit: curves, well, virial coefficient; classical and truth."""
    mean = None if isinstance(mean, str) else mean
    drawn = curves(posterior, mean)
    r = drawn["distances"]
    found = {"curve": drawn, "well": well(drawn), "classical": classical(dataset, r.values)}
    if _physical(r.units, drawn["curve"].units):
        found["virial"] = virial(posterior, mean=mean)
    known = truth(dataset, r.values)
    return found if known is None else found | {"truth": known}


def curves(posterior: xr.DataTree, mean: Callable | None = None) -> xr.Dataset:
    """Draw energies, and slopes where the paths have them, over the range of the data.

    Returns
    -------
    a Dataset over chain, draw and ``new``, with coordinate ``distances``: ``curve``, ``slope``; and
    ``mean``, the posterior mean of the curve, (new,).
    """
    r = posterior["constant_data"]["distances"].values
    grid = np.linspace(r.min(), r.max(), GRID)
    smooth = gp.kernels.from_dict(json.loads(posterior.attrs["kernel"])).smooth
    drawn = predict(posterior, grid, mean=mean, slope=smooth, most=FOLLOWED)
    average = drawn["mean"].mean(("chain", "draw"), keep_attrs=True)
    return drawn[["curve", "slope"] if smooth else ["curve"]].assign(mean=average)


def well(drawn: xr.Dataset) -> xr.Dataset:
    """Read the well's depth, the distance of its minimum, and the zero crossing off drawn curves.

    Each curve is followed between the grid's points by the cubic that meets its values and slopes
    (straight lines for an exponential kernel, whose paths have no slopes).

    Parameters
    ----------
    drawn : as of ``curves``.

    Returns
    -------
    a Dataset over chain and draw with ``depth``, ``minimum`` and ``crossing``; NaN where a curve
    has none within the data's range.
    """
    from scipy.interpolate import CubicHermiteSpline

    r, energy = drawn["distances"].values, drawn["curve"].values
    fine = np.linspace(r[0], r[-1], 20 * (len(r) - 1) + 1)
    flat = energy.reshape(-1, len(r))
    if "slope" in drawn:
        slope = drawn["slope"].values.reshape(-1, len(r))
        flat = CubicHermiteSpline(r, flat, slope, axis=1)(fine)
    else:
        flat = np.array([np.interp(fine, r, row) for row in flat])
    low = np.argmin(flat, axis=1)
    # A minimum at a positive energy, on the way down the wall, is no well.
    inside = (low > 0) & (low < len(fine) - 1) & (flat.min(axis=1) < 0)
    low = np.clip(low, 1, len(fine) - 2)
    row = np.arange(len(flat))
    left, middle, right = flat[row, low - 1], flat[row, low], flat[row, low + 1]
    bend = np.maximum(left - 2 * middle + right, 1e-300)
    shift, step = 0.5 * (left - right) / bend, fine[1] - fine[0]
    falls = (flat[:, :-1] > 0) & (flat[:, 1:] <= 0)
    k = np.argmax(falls, axis=1)
    with np.errstate(all="ignore"):
        share = flat[row, k] / (flat[row, k] - flat[row, k + 1])
    found = {
        "depth": np.where(inside, -(middle - 0.125 * (left - right) ** 2 / bend), np.nan),
        "minimum": np.where(inside, fine[low] + shift * step, np.nan),
        "crossing": np.where(falls.any(axis=1), fine[k] + share * step, np.nan),
    }
    of_r, of_u = drawn["distances"].units, drawn["curve"].units
    units = {"depth": of_u, "minimum": of_r, "crossing": of_r}
    return labelled({n: v.reshape(energy.shape[:2]) for n, v in found.items()}, units=units)


def virial(
    posterior: xr.DataTree,
    temperatures: Sequence[float] = TEMPERATURES,
    *,
    mean: Callable | None = None,
    inward: float = 0.8,
) -> xr.Dataset:
    """Draw the second virial coefficient from a potential's posterior.

    Where the data begin outside ``inward`` times the zero crossing, the curves are continued to
    there by the process, mean and all.

    Parameters
    ----------
    posterior : what ``fit`` returned, on data in units of length and energy.
    temperatures : K.
    mean : as for ``predict``.
    inward : in units of σ, where the potential may be taken for infinite.

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
    grid = np.linspace(min(r.values.min(), inward * scales(r, u)[0]), r.values.max(), 250)
    drawn = predict(posterior, grid, mean=mean, most=FOLLOWED)
    found = second_virial(grid, drawn["curve"].values, temperatures, units)
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

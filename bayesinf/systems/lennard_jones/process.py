"""The process: its priors, the fit, and what follows from a posterior: curves, well, B₂."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models import gp
from bayesinf.priors import InverseChi, LogNormal, Prior, Uniform
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.lennard_jones.data import scales, validated
from bayesinf.systems.lennard_jones.potentials import (
    DISTANCE_UNITS,
    ENERGY_UNITS,
    TRUTHS,
    lennard_jones,
    second_virial,
)

if TYPE_CHECKING:
    import xarray as xr

MEANS = ("zero", "repulsive", "lennard_jones")
# The classical recipe, in units of σ and ε: exponential kernel, these numbers, and no doubt.
CLASSICAL = {"length_scale": 0.1, "amplitude": 1.0, "noise": 1e-9**0.5, "gamma": 150.0, "r0": 0.95}
GRID = 120  # distances at which curves are drawn; between them cubics meet values and slopes
TEMPERATURES = (100.0, 150.0, 200.0, 300.0, 500.0, 700.0)  # K


def default_priors(mean: str, sigma: float, epsilon: float) -> dict[str, Prior]:
    """State the priors that this system adds to those of ``gp.fit``, around σ and ε of the data.

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


def fit(
    distances: np.ndarray,
    energies: np.ndarray,
    error: np.ndarray | None = None,
    *,
    mean: str | Callable = "repulsive",
    kernel: str | gp.kernels.Kernel = "squared_exponential",
    method: str = "mcmc",
    priors: Mapping[str, Prior] | None = None,
    reference: xr.Dataset | None = None,
    case: str = "",
    truth: str = "",
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer a pair potential's Gaussian process.

    Parameters
    ----------
    distances, energies : (point,), arrays or DataArrays that carry units; distances may repeat.
    error : (point,) or one number, sd of the energies' noise where it is known; ``noise`` is then
        what comes on top.
    mean : ``zero``, ``repulsive``, ``lennard_jones``, or a function as for ``gp.fit``.
    kernel, method : as for ``gp.fit``.
    priors : name of a parameter to its prior; else ``default_priors`` and those of ``gp.fit``.
    reference : joins ``constant_data``.
    case, truth : what the data are called in a report, and a key of ``TRUTHS`` where it is known.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``length_scale``, ``amplitude``, ``noise`` and, by mean, ``gamma`` and
    ``r0``, or ``epsilon`` and ``sigma``.

    Raises
    ------
    DataError : data that cannot be used. FitError : a mean, kernel or parameter that is not known.
    """
    from bayesinf.data import curve_from_arrays

    curve_from_arrays(distances, energies)  # refused before scales are read off them
    validated(distances, energies)
    units = [getattr(a, "attrs", {}).get("units", "1") for a in (distances, energies)]
    sigma, epsilon = scales(np.asarray(distances), np.asarray(energies), units)
    called = mean if isinstance(mean, str) else ""
    own = {"mean": called} if called == "lennard_jones" else {}
    if mean is not lennard_jones and getattr(mean, "__name__", "") == "lennard_jones":
        own = {"mean": "lennard_jones()"}  # a function of the user's, not to be taken for ours
    return gp.fit(
        distances,
        energies,
        error,
        kernel=kernel,
        mean=prior_mean(mean),
        method=method,
        priors=default_priors(called, sigma, epsilon) | dict(priors or {}),
        units={"epsilon": units[1], "sigma": units[0]} if called == "lennard_jones" else None,
        reference=reference,
        system="lennard_jones",
        settings=settings,
        attrs=own | {"case": case, "truth": truth},
    )


def predict(
    posterior: xr.DataTree, distances: np.ndarray, *, mean: Callable | None = None, **options
) -> xr.Dataset:
    """Draw energies, and with ``slope=True`` slopes dU/dr, at some distances; as ``gp.predict``."""
    return gp.predict(posterior, distances, mean=mean or named_mean(posterior), **options)


def prior_mean(mean: str | Callable) -> str | Callable:
    """Return what ``gp.fit`` calls a mean: of these names only ``lennard_jones`` is not its own."""
    if isinstance(mean, str) and mean not in MEANS:
        raise FitError(f"unknown mean {mean!r}: use one of {', '.join(MEANS)}, or a function of r")
    # The numbers in the signature of the potential are no priors; those of the fit replace them.
    return lennard_jones if isinstance(mean, str) and mean == "lennard_jones" else mean


def named_mean(posterior: xr.DataTree) -> Callable | None:
    """Return the function behind a fit's mean, where that is one of ours."""
    return lennard_jones if posterior.attrs["mean"] == "lennard_jones" else None


def classical(
    distances: np.ndarray,
    energies: np.ndarray,
    at: np.ndarray,
    *,
    sigma: float = 1.0,
    epsilon: float = 1.0,
    wall: bool = True,
) -> np.ndarray:
    """Predict energies by the classical recipe: kernel ridge with fixed numbers.

        U(r) = m(r) + k(r)ᵀ w,   (K + 1e-9 ε² 1) w = U − m,   K_ij = ε² exp(−|r_i − r_j| / 0.1 σ)

    Parameters
    ----------
    distances, energies : (point,), to train on.
    at : (new,), where to predict.
    sigma, epsilon : units of length and energy in which the recipe's numbers are.
    wall : whether m is the wall γ = 150 ε/σ inside r₀ = 0.95 σ, or zero.
    """
    from scipy.linalg import cho_factor, cho_solve

    r, u, at = (np.asarray(values, dtype=float) for values in (distances, energies, at))
    mean, theta = gp.Repulsive(), classical_numbers(sigma, epsilon, wall)
    value = lambda a: epsilon**2 * np.exp(-np.abs(a[:, None] - r) / theta["length_scale"])
    matrix = value(r) + theta["noise"] ** 2 * np.eye(len(r))
    weights = cho_solve(cho_factor(matrix, lower=True), u - mean.value(r, theta))
    return mean.value(at, theta) + value(at) @ weights


def classical_numbers(sigma: float, epsilon: float, wall: bool = True) -> dict[str, float]:
    """Return the recipe's hyperparameters in units of the data; without a wall its slope is 0."""
    unit = {"length_scale": sigma, "amplitude": epsilon, "noise": epsilon,
            "gamma": epsilon / sigma, "r0": sigma}  # fmt: skip
    return {n: v * unit[n] for n, v in CLASSICAL.items()} | ({} if wall else {"gamma": 0.0})


# What follows from a posterior


def well(posterior: xr.DataTree) -> xr.Dataset:
    """Draw the well's depth, the distance of its minimum, and where the energy crosses zero.

    Each drawn curve is followed between the grid's points by the cubic that meets its values and
    slopes (straight lines for an exponential kernel, whose paths have no slopes).

    Parameters
    ----------
    posterior : what ``fit`` returned.

    Returns
    -------
    a Dataset over chain and draw with ``depth``, ``minimum`` and ``crossing``; NaN where a curve
    has none within the data's range.
    """
    from scipy.interpolate import CubicHermiteSpline

    from bayesinf.posterior import dataset

    drawn = curves(posterior)
    r, energy = drawn["x"].values, drawn["curve"].values
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
    shift = 0.5 * (left - right) / bend
    step = fine[1] - fine[0]
    falls = (flat[:, :-1] > 0) & (flat[:, 1:] <= 0)
    k = np.argmax(falls, axis=1)
    with np.errstate(all="ignore"):
        share = flat[row, k] / (flat[row, k] - flat[row, k + 1])
    found = {
        "depth": np.where(inside, -(middle - 0.125 * (left - right) ** 2 / bend), np.nan),
        "minimum": np.where(inside, fine[low] + shift * step, np.nan),
        "crossing": np.where(falls.any(axis=1), fine[k] + share * step, np.nan),
    }
    of_r, of_u = (
        posterior[g][n].units for g, n in (("constant_data", "x"), ("observed_data", "y"))
    )
    units = {"depth": of_u, "minimum": of_r, "crossing": of_r}
    shape = energy.shape[:2]
    return dataset({n: v.reshape(shape) for n, v in found.items()}, None, None, units)


def curves(posterior: xr.DataTree, points: int = GRID) -> xr.Dataset:
    """Draw energies, and slopes where the paths have them, over the range of the data."""
    r = posterior["constant_data"]["x"].values
    smooth = gp.rebuild(posterior, named_mean(posterior)).kernel.smooth
    grid = np.linspace(r.min(), r.max(), points)
    return predict(posterior, grid, slope=smooth, most=200)


def truth_of(posterior: xr.DataTree) -> Callable | None:
    """Return the potential that the data were made from; None where that is not known."""
    return TRUTHS.get(posterior.attrs["truth"])


def physical(posterior: xr.DataTree) -> bool:
    """Say whether the data are in units of length and energy, and not in reduced ones."""
    x, y = posterior["constant_data"]["x"], posterior["observed_data"]["y"]
    size = DISTANCE_UNITS.get(x.units, np.nan) * ENERGY_UNITS.get(y.units, np.nan)
    return bool(np.isfinite(size))


def virial(
    posterior: xr.DataTree, temperatures: Sequence[float] = TEMPERATURES, inward: float = 0.8
) -> xr.Dataset:
    """Draw the second virial coefficient from a potential's posterior.

    Where the data begin outside ``inward`` times the zero crossing, the curves are continued to
    there by the process, mean and all.

    Parameters
    ----------
    posterior : what ``fit`` returned, on data in units of length and energy.
    temperatures : K.
    inward : in units of σ, where the potential may be taken for infinite.

    Returns
    -------
    a Dataset with ``B2``, cm³/mol, (chain, draw, temperature).

    Raises
    ------
    FitError : data in reduced units.
    """
    from bayesinf.posterior import dataset

    x, y = posterior["constant_data"]["x"], posterior["observed_data"]["y"]
    units = x.units, y.units
    if not physical(posterior):
        raise FitError(f"a virial coefficient needs energies in K and distances in Å, or other "
                       f"units of that kind, not {units[1]} and {units[0]}")  # fmt: skip
    sigma, _ = scales(x.values, y.values, units)
    grid = np.linspace(min(x.values.min(), inward * sigma), x.values.max(), 250)
    drawn = predict(posterior, grid, most=200)
    found = second_virial(grid, drawn["curve"].values, temperatures, units)
    coords = {"temperature": ("temperature", np.asarray(temperatures), {"units": "K"})}
    return dataset({"B2": found}, {"B2": ("temperature",)}, coords, {"B2": "cm³/mol"})


def true_virial(posterior: xr.DataTree, temperatures: np.ndarray) -> np.ndarray | None:
    """Integrate B₂ of the true potential, finely; None where that is not known."""
    known = truth_of(posterior)
    if known is None:
        return None
    x, y = posterior["constant_data"]["x"], posterior["observed_data"]["y"]
    sigma, _ = scales(x.values, y.values)
    grid = np.linspace(0.65 * sigma, 8 * sigma, 20_000)
    return second_virial(grid, known(grid), temperatures, (x.units, y.units))

"""The process: the forms that it may have, their priors, the fit, and predictions from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.posterior import annotated
from bayesinf.priors import InverseChi, LogNormal, Normal, Prior, Uniform
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.lennard_jones.data import checked, scales
from bayesinf.systems.lennard_jones.level import above, noticed
from bayesinf.systems.lennard_jones.potentials import lennard_jones

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FORMS", "MEANS", "default_priors", "fit", "predict", "problem"]

MEANS = ("zero", "repulsive", "lennard_jones")
COORDINATES = {"r": "x", "log": "log", "inverse": "inverse", "inverse_cube": "inverse_cube"}
DECAY = LogNormal(6.0, 0.4)  # power with which the size falls off: dispersion's, to a factor of 1.5

# What a process of a pair potential may be: name to arguments of ``problem``. In log r, with a size
# that falls off as a power of r, a wall and a tail are alike; in r they are not, and a mean must
# tell them apart.
FORMS: Mapping[str, Mapping[str, object]] = {
    "falling": {},
    "zero": {"mean": "zero"},
    "repulsive": {"mean": "repulsive"},
    "lennard_jones": {"mean": "lennard_jones"},
}


def default_priors(mean: str, sigma: float, epsilon: float, level: float = 0) -> dict[str, Prior]:
    """State the priors that this system adds to those of the family, around σ and ε of the data.

    Noise: inverse-χ, one degree of freedom, around a thousandth of ε. A wall begins between 0.85
    and 0.97 σ, where energies are positive, and may be a few times steeper or flatter than
    100 ε/σ. ε and σ of a Lennard-Jones mean are known to a factor of 1.65 and to 10 %. A constant
    is known to 2 ε about the ``level`` of the outermost energies.
    """
    return {
        "noise": InverseChi(1.0, 1e-3 * epsilon),
        "constant": Normal(level, 2 * epsilon),
    } | {
        "repulsive": {
            "gamma": LogNormal(100 * epsilon / sigma, 1.0),
            "r0": Uniform(0.85 * sigma, 0.97 * sigma),
        },
        "lennard_jones": {"epsilon": LogNormal(epsilon, 0.5), "sigma": LogNormal(sigma, 0.1)},
    }.get(mean, {})


IN_R = ("r", None)  # a process whose smoothness and size are the same at all distances


def problem(
    dataset: xr.Dataset,
    mean: str | Callable | None = None,
    kernel: str | gp.kernels.Kernel = "squared_exponential",
    *,
    coordinate: str | tuple[Callable, Callable] | None = None,
    envelope: str | float | Prior | None = None,
    priors: Mapping[str, Prior] | None = None,
    noise: Prior | float | None = None,
    workers: int | None = None,
) -> gp.Process:
    """State the process on the rows of a dataset; arguments as for ``fit``.

    Energies that ``noticed`` has found to stand on a constant have it as a parameter.
    """
    data = checked(dataset)
    r, u = data["distances"], data["energies"]
    lifted, level = bool(dataset.attrs.get("constant")), dataset.attrs.get("level", 0.0)
    mean, coordinate, envelope = _form(mean, coordinate, envelope)
    called = mean if isinstance(mean, str) else ""
    size = scales(r, above(dataset)["energies"].sortby(dataset["distances"]))
    stated = default_priors(called, *size, level)
    if not lifted:
        stated.pop("constant")
    prior_mean = gp.means.mean(_prior_mean(mean))
    return gp.process(
        data,
        kernel,
        gp.Lifted(prior_mean) if lifted else prior_mean,
        coordinate=COORDINATES.get(coordinate, coordinate) if _named(coordinate) else coordinate,
        envelope=envelope,
        priors=stated | dict(priors or {}) | ({} if noise is None else {"noise": noise}),
        units={"epsilon": u.units, "sigma": r.units} if called == "lennard_jones" else None,
        workers=workers,
    )


def fit(
    dataset: xr.Dataset,
    *,
    mean: str | Callable | None = None,
    kernel: str | gp.kernels.Kernel = "squared_exponential",
    coordinate: str | tuple[Callable, Callable] | None = None,
    envelope: str | float | Prior | None = None,
    constant: bool | None = None,
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
    coordinate : in which the kernel measures distances: ``r``, ``log``, ``inverse``,
        ``inverse_cube``, or (function, derivative).
    envelope : whether the size of the curve falls off as a power of r, as for ``gp.process``.
        Without mean, coordinate and envelope the mean is zero, the coordinate log r, and the size
        falls off as r^−decay, decay around 6; a mean alone stands in r, its size the same
        everywhere.
    constant : whether the energies stand on a constant, which is then inferred; None to find out,
        as ``noticed`` does.
    priors : name of a parameter to its prior; else ``default_priors`` and those of the family.
    noise : a number or a prior, in place of the default prior.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``length_scale``, ``amplitude``, ``noise`` and, by form, ``decay``,
    ``constant``, ``gamma`` and ``r0``, or ``epsilon`` and ``sigma``. Beside it are noted ``curve``,
    ``well``, ``classical``, in units of length and energy ``virial``, and ``truth`` where the
    potential is known. Its checks ask besides whether the well is where the lowest energies are
    and no deeper than they let it be, whether a constant is missing, and, where the potential is
    known, whether the curves cover it; where all noise was stated, whether there is more; and of a
    zero or repulsive mean in r, whether energies that are smooth in log r make the data likelier.

    Raises
    ------
    DataError : data that cannot be used. FitError : a mean, kernel or parameter that is not known.
    """
    import xarray as xr

    from bayesinf.systems.lennard_jones.derived import derived

    dataset = noticed(dataset, constant, settings)
    stated = partial(
        problem,
        dataset,
        mean,
        kernel,
        coordinate=coordinate,
        envelope=envelope,
        priors=priors,
        workers=settings.workers,
    )
    state = stated(noise=noise)
    given, attrs = _prior_mean(mean), {"case": dataset.attrs.get("case", "")}
    name = state.mean.name
    if name.partition(" + ")[0] == "lennard_jones" and given is not lennard_jones:
        # A function of the user's, not to be taken for ours.
        attrs["mean"] = name.replace("lennard_jones", "lennard_jones()")
    noticed_in = ("constant", "level", "constant_evidence")
    attrs |= {known: dataset.attrs[known] for known in noticed_in if known in dataset.attrs}
    functions = {
        "mean": None if isinstance(given, str | None) else given,
        "coordinate": None if _named(coordinate) else coordinate,
    }
    found = driver.fit(state, method, settings, system="lennard_jones", attrs=attrs)
    beyond = None
    if gp.NOISE in state.fixed and len(state.inferred):
        rival = stated(noise=None)
        beyond = gp.log_evidence(rival, settings) - gp.log_evidence(state, settings)
    better = None
    if (
        not priors
        and mean in ("zero", "repulsive")
        and _form(mean, coordinate, envelope)[1:] == IN_R
    ):
        rival = problem(dataset, kernel=kernel, noise=noise)
        better = gp.log_evidence(rival, settings) - gp.log_evidence(state, settings)
    notes, evidence, questions = derived(found, dataset, functions, beyond, better)
    found = annotated(found, **notes)
    found["sample_stats"] = xr.DataTree(found["sample_stats"].to_dataset().merge(evidence))
    found.attrs |= questions
    return found


def predict(
    posterior: xr.DataTree, distances: np.ndarray, *, mean: Callable | None = None, **options
) -> xr.Dataset:
    """Draw energies, and with ``slope=True`` slopes dU/dr, at some distances; as ``gp.predict``."""
    named = posterior.attrs["mean"].partition(" + ")[0]
    ours = lennard_jones if named == "lennard_jones" else None
    return gp.predict(posterior, distances, mean=mean or ours, **options)


def _form(mean, coordinate, envelope):
    """Mean, coordinate and envelope, where some of them are left to us."""
    if mean is None and coordinate is None and envelope is None:
        return "zero", "log", DECAY
    if _named(coordinate) and (coordinate or "r") not in COORDINATES:
        raise FitError(
            f"unknown coordinate {coordinate!r}: use one of {', '.join(COORDINATES)}, or a "
            "function of r with its derivative"
        )
    envelope = DECAY if envelope == "power" else envelope
    return mean or "zero", coordinate or "r", envelope


def _named(coordinate):
    return coordinate is None or isinstance(coordinate, str)


def _prior_mean(mean):
    """What the family calls a mean: of these names only ``lennard_jones`` is not its own."""
    if isinstance(mean, str) and mean not in MEANS:
        raise FitError(f"unknown mean {mean!r}: use one of {', '.join(MEANS)}, or a function of r")
    # The numbers in the signature of the potential are no priors; those of the fit replace them.
    return lennard_jones if isinstance(mean, str) and mean == "lennard_jones" else mean

"""The model of the data: the fit, what the data leave to the prior, and what goes with a fit."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import logistic
from bayesinf.models.binary import constant_sites, identical_pairs, moments
from bayesinf.models.couplings import Prior, named
from bayesinf.priors import Normal
from bayesinf.posterior import annotated
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

# Beyond this many transitions × sites², chains are too slow and draws too large: see ``plan``.
CHAINS_REACH = 5e7
DRAWS_BYTES = 30e6  # of the couplings' draws in one file
POINTWISE = 8e6  # draws × transitions up to which draws are no more than they need be
MIXED = 500  # draws of a chain below which R-hats of so many parameters are noise
FEW = 1000  # draws of all chains below which a reader should know
REFIT = 40  # draws of a fit that is only scored
HELD_BY_PRIOR = 0.9  # of the prior's sd, from which a coupling's posterior sd says nothing


def fit(
    data: xr.Dataset | logistic.Transitions,
    *,
    symmetric: bool = False,
    self_coupling: bool = True,
    prior: str | object = "inferred",
    method: str = "mcmc",
    attrs: Mapping[str, object] | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer fields and couplings of a population from its transitions.

    Parameters
    ----------
    data : as of ``simulate`` or ``read``; or transitions.
    symmetric : whether J_ij = J_ji.
    self_coupling : whether a site's next state depends on its own present one.
    prior, method, attrs : as for ``logistic.fit``.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``h`` (site), ``J`` (target, source) and, where it is inferred, the
    couplings' width ``scale``, in the encoding of the data, which the root attribute ``encoding``
    says. The attribute ``remarks`` lists what in the data says nothing of some parameters, and
    ``peak_memory_bytes`` is the most that the process had held by then.

    Raises
    ------
    DataError, FitError : as of ``logistic.fit``.
    """
    steps = transitions(data)
    found = logistic.fit(
        steps, encoding=steps.encoding, symmetric=symmetric, self_coupling=self_coupling,
        prior=prior, method=method, system="boltzmann_kinetic", settings=settings,
        attrs={"case": getattr(data, "attrs", {}).get("case", ""),
               "remarks": json.dumps(remarks(steps), ensure_ascii=False), **(attrs or {})},
    )  # fmt: skip
    found.attrs["peak_memory_bytes"] = peak_memory()
    known = [name for name in ("h", "J") if name in getattr(data, "data_vars", {})]
    return annotated(found, truth=data[known]) if known else found


def peak_memory() -> int:
    """Most memory that this process has held so far, in bytes; 0 where that is not counted."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def transitions(data: xr.Dataset | logistic.Transitions) -> logistic.Transitions:
    """Take the steps from one state to the next out of the data; a seam is none."""
    if isinstance(data, logistic.Transitions):
        return data
    return logistic.transitions(data["states"], data["states"].attrs["encoding"])


def plan(
    steps: logistic.Transitions, method: str | None, settings: Settings, *, exact: bool = False
) -> tuple[str, Settings, str]:
    """Choose how to fit data of this size, where that was not said.

    Parameters
    ----------
    steps : the data.
    method : as for ``fit``; None chooses chains, or for large data Laplace.
    settings : of a fit of ordinary size.
    exact : whether to leave the number of draws as it is.

    Returns
    -------
    the method; the settings, with fewer draws where those would fill a file and with more where
    chains could not be judged by them; what was chosen, in words, or nothing.
    """
    chosen = method or ("laplace" if large(steps) else "mcmc")
    most = min(DRAWS_BYTES / (8 * steps.sites**2), max(2000, POINTWISE / len(steps)))
    keep = max(25, int(most / settings.chains))
    keep = settings.draws if exact else keep
    wanted = settings.draws if exact or chosen == "laplace" else max(settings.draws, MIXED)
    draws, prior_draws = min(wanted, keep), min(settings.prior_draws, max(50, keep))
    said = []
    if method is None and chosen == "laplace":
        said.append(
            f"{len(steps)} transitions of {steps.sites} sites are too many for chains, so the "
            "posterior is the Laplace approximation, which so many data justify"
        )
    if draws * settings.chains < min(FEW, settings.draws * settings.chains):
        said.append(f"{settings.chains * draws} draws are kept, to spare files and memory")
    return chosen, settings.replace(draws=draws, prior_draws=prior_draws), "; ".join(said)


def large(steps: logistic.Transitions) -> bool:
    """Say whether data are so many that a fit fills all cores for minutes."""
    return len(steps) * steps.sites**2 > CHAINS_REACH


def remarks(steps: logistic.Transitions) -> list[str]:
    """Say which parameters the data say nothing of, a sentence each, for a reader.

    Sites that are constant, sites that always agree or never do, and fewer transitions than
    parameters are no mistakes: the prior speaks there, and who reads the report should know where.
    """
    states = np.concatenate([steps.now, steps.next])
    found = []
    for k in constant_sites(states):
        found.append(f"Site {steps.labels[k]} is always {states[0, k]}: its field, and all "
                     "couplings to it and from it, are held by the prior.")  # fmt: skip
    if len(states) > 1:
        # Samples of every site, in the form that the moments ask for.
        import xarray as xr

        seen = moments(xr.DataArray(states, dims=("sample", "site")), steps.encoding)
        twins = [" and ".join(str(steps.labels[k]) for k in pair) for pair in identical_pairs(seen)]
        if twins:
            found.append(f"Sites {', '.join(twins)} always agree, or never do: the data see only "
                         "the sum or the difference of the couplings from them.")  # fmt: skip
    parameters = steps.sites + 1
    if len(steps) < parameters:
        found.append(f"There are {len(steps)} transitions and {parameters} parameters for each "
                     "site: without the prior the couplings would not be determined.")  # fmt: skip
    return found


def at_width(posterior: xr.DataTree) -> Prior:
    """Return the normal prior of the couplings' width that a fit has found, its posterior mean.

    Large data that hold a part out are fitted again with it: that the one number was found with
    that part changes nothing, and without a width to be looked for the fit takes a fraction.
    """
    h = named("normal", posterior.attrs["encoding"]).h
    if "scale" not in posterior["posterior"]:
        return named("normal", posterior.attrs["encoding"])
    return Prior(h, Normal(0.0, float(posterior["posterior"]["scale"].mean())))


def refitted(
    posterior: xr.DataTree, data: xr.Dataset | logistic.Transitions, settings: Settings = DEFAULT
) -> xr.DataTree:
    """Fit a part of large data by Laplace's approximation, from where all of them have led.

    Parameters
    ----------
    posterior : the fit to all, under a normal prior, of a width that was stated or found.
    data : the part.
    settings : seed; of the draws 40 are enough to be scored.

    Returns
    -------
    an InferenceData with ``posterior`` alone.
    """
    import xarray as xr

    prior = at_width(posterior)
    h, J = (posterior["posterior"][name].mean(("chain", "draw")).values for name in ("h", "J"))
    kind = {name: bool(posterior.attrs[name]) for name in ("symmetric", "self_coupling")}
    settings = settings.replace(chains=4, draws=REFIT // 4)
    found = logistic.near(transitions(data), h, J, prior=prior, settings=settings, **kind)
    return xr.DataTree.from_dict({"posterior": found})


def held_by_prior(posterior: xr.DataTree) -> np.ndarray:
    """Say which couplings the data hardly constrain: posterior sd > 0.9 of the prior's.

    Where the width is inferred, the prior's is taken to be its posterior mean.

    Returns
    -------
    (target, source), bool; never true where a coupling is fixed.
    """
    J = posterior["posterior"]["J"]
    sd = J.std(("chain", "draw")).values
    if "scale" in posterior["posterior"]:
        wide = float(posterior["posterior"]["scale"].mean())
    else:
        wide = posterior["prior"]["J"].std(("chain", "draw")).values
    return (sd > HELD_BY_PRIOR * wide) & (sd > 0)


def thinned(posterior: xr.DataTree, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return fields and couplings of at most so many draws, evenly spread: (draw, ...)."""
    draws = posterior["posterior"]
    h, J = (draws[name].transpose("chain", "draw", ...).values for name in ("h", "J"))
    h, J = h.reshape(-1, *h.shape[2:]), J.reshape(-1, *J.shape[2:])
    which = np.unique(np.linspace(0, len(h) - 1, min(most, len(h))).round().astype(int))
    return h[which], J[which]

"""The model of the data: the fit, how it is planned, and the two fits that are compared.

The asymmetric model lets the effect of j on i differ from that of i on j; the symmetric one is its
special case. ``fit_both`` fits either, to all transitions and once more without those by which the
two are judged.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.models import problem as driver
from bayesinf.models.binary import constant_sites, identical_pairs, logistic, of_states
from bayesinf.models.binary.couplings import CouplingPrior, named
from bayesinf.posterior import noted
from bayesinf.priors import Normal
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.boltzmann_kinetic.statistics import held_out

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "MODELS",
    "SCORED",
    "fit",
    "fit_both",
    "large",
    "plan",
    "refitted",
    "remarks",
    "split",
    "thinned",
    "transitions",
]

MODELS = ("symmetric", "asymmetric")

# Transitions × sites² beyond which a fit fills all cores for minutes, and chains are too slow.
CHAINS_REACH = 5e7
DRAWS_BYTES = 30e6  # of the couplings' draws in one file
POINTWISE = 8e6  # draws × transitions up to which draws are no more than they need be
MIXED = 500  # draws of a chain below which R-hats of so many parameters are noise
FEW = 1000  # draws of all chains below which a reader should know
SCORED = 100  # draws a chain of a fit that is only scored, and
REFIT = 40  # of all chains where it is made from where all of the data have led
FEWEST = 10  # transitions below which no part of the data can be held out


def transitions(dataset: xr.Dataset) -> logistic.Transitions:
    """Take the steps from one state to the next out of the data; a seam is none."""
    return logistic.transitions(dataset["states"], dataset["states"].attrs["encoding"])


def fit(
    dataset: xr.Dataset,
    *,
    symmetric: bool = False,
    self_coupling: bool = True,
    prior: str | CouplingPrior = "inferred",
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer fields and couplings of a population from its transitions.

    Parameters
    ----------
    dataset : as of ``simulate`` or ``read``.
    symmetric : whether J_ij = J_ji.
    self_coupling : whether a site's next state depends on its own present one.
    prior, method : as for ``logistic.fit``.
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
    steps, truth = transitions(dataset), noted(dataset, "truth")
    found = driver.fit(
        logistic.problem(
            steps,
            encoding=steps.encoding,
            symmetric=symmetric,
            self_coupling=self_coupling,
            prior=prior,
            workers=settings.workers,
        ),
        method,
        settings,
        system="boltzmann_kinetic",
        notes={} if truth is None else {"truth": truth},
        attrs={
            "case": dataset.attrs.get("case", ""),
            "remarks": json.dumps(remarks(steps), ensure_ascii=False),
        },
    )
    found.attrs["peak_memory_bytes"] = _peak_memory()
    return found


def plan(
    dataset: xr.Dataset, method: str | None, settings: Settings, *, exact: bool = False
) -> tuple[str, Settings, str]:
    """Choose how to fit data of this size, where that was not said.

    Parameters
    ----------
    dataset : as for ``fit``.
    method : as for ``fit``; None chooses chains, or for large data Laplace.
    settings : of a fit of ordinary size.
    exact : whether to leave the number of draws as it is.

    Returns
    -------
    the method; the settings, with fewer draws where those would fill a file and with more where
    chains could not be judged by them; what was chosen, in words, or nothing.
    """
    steps = transitions(dataset)
    count, sites = len(steps), steps.sites
    chosen = method or ("laplace" if large(steps) else "mcmc")
    most = min(DRAWS_BYTES / (8 * sites**2), max(2000, POINTWISE / count))
    keep = settings.draws if exact else max(25, int(most / settings.chains))
    wanted = settings.draws if exact or chosen == "laplace" else max(settings.draws, MIXED)
    draws, prior_draws = min(wanted, keep), min(settings.prior_draws, max(50, keep))
    said = []
    if method is None and chosen == "laplace":
        said.append(
            f"{count} transitions of {sites} sites are too many for chains, so the posterior is "
            "the Laplace approximation, which so many data justify"
        )
    if draws * settings.chains < min(FEW, settings.draws * settings.chains):
        said.append(f"{settings.chains * draws} draws are kept, to spare files and memory")
    return chosen, settings.replace(draws=draws, prior_draws=prior_draws), "; ".join(said)


def large(steps: logistic.Transitions) -> bool:
    """Say whether data are so many that a fit fills all cores for minutes."""
    return len(steps) * steps.sites**2 > CHAINS_REACH


def split(steps: logistic.Transitions) -> np.ndarray | None:
    """Say which transitions are held out, (transition,), bool; None where there are too few."""
    return held_out(steps.repeat) if len(steps) >= FEWEST else None


def fit_both(
    dataset: xr.Dataset,
    *,
    method: str | None = None,
    settings: Settings = DEFAULT,
    exact: bool = False,
    refit: bool = True,
    scheduler: str | None = None,
    **options,
) -> tuple[dict[str, xr.DataTree], dict[str, xr.DataTree]]:
    """Fit both models to all transitions, and to those that are not held out.

    Parameters
    ----------
    dataset : as for ``fit``.
    method, settings, exact : as for ``plan``, whose words become the attribute ``plan``.
    refit : whether to fit without what is held out as well.
    scheduler : as for ``parallel.map``.
    **options : as for ``fit``: ``prior``, ``self_coupling``.

    Returns
    -------
    the fits of ``symmetric`` and ``asymmetric``; and of the fits without what ``split`` holds out,
    which are only scored and have fewer draws, ``posterior`` at least. These are none where data
    are too few, or that is not asked for.
    """
    method, settings, words = plan(dataset, method, settings, exact=exact)
    steps = transitions(dataset)
    unseen = split(steps) if refit else None
    part = None if unseen is None else steps.take(~unseen)
    call = partial(
        _fit_one, dataset=dataset, part=part, method=method, settings=settings, **options
    )
    jobs = [(name, again) for again in (False, True)[: 1 + (part is not None)] for name in MODELS]
    if not large(steps):
        found = parallel.map(
            call, jobs, scheduler=scheduler, workers=settings.workers, label="Fitting"
        )
    elif method == "laplace":  # a large fit fills the cores by itself
        found = [call(job) for job in jobs[:2]]
        found += [refitted(fit, part, settings) for fit in found]
    else:
        found = [call(job) for job in jobs]
    for fit in found[:2]:
        fit.attrs["plan"] = words
    return dict(zip(MODELS, found[:2], strict=True)), dict(zip(MODELS, found[2:], strict=False))


def _fit_one(job, dataset, part, method, settings, **options):
    """Fit one model to all transitions, or to those that are not held out."""
    name, again = job
    options |= {"symmetric": name == "symmetric", "method": method}
    if not again:
        return fit(dataset, settings=settings, **options)
    settings = settings.replace(draws=min(settings.draws, SCORED))
    return logistic.fit(part, encoding=part.encoding, settings=settings, **options)


def refitted(
    posterior: xr.DataTree, part: logistic.Transitions, settings: Settings = DEFAULT
) -> xr.DataTree:
    """Fit a part of large data by Laplace's approximation, from where all of them have led.

    The couplings' width is that which all of the data have found, its posterior mean: that this one
    number was found with what is held out changes nothing, and without a width to be looked for the
    fit takes a fraction of the time.

    Parameters
    ----------
    posterior : the fit to all, under a normal prior, of a width that was stated or found.
    part : the part.
    settings : seed; of the draws 40 are enough to be scored.

    Returns
    -------
    an InferenceData with ``posterior`` alone.
    """
    import xarray as xr

    draws = posterior["posterior"]
    h, J = (draws[name].mean(("chain", "draw")).values for name in ("h", "J"))
    form = {name: bool(posterior.attrs[name]) for name in ("symmetric", "self_coupling")}
    settings = settings.replace(chains=4, draws=REFIT // 4)
    found = logistic.near(part, h, J, prior=at_width(posterior), settings=settings, **form)
    return xr.DataTree.from_dict({"posterior": found})


def at_width(posterior: xr.DataTree) -> CouplingPrior:
    """Return the normal prior of the couplings' width that a fit has found, its posterior mean."""
    normal = named("normal", posterior.attrs["encoding"])
    if "scale" not in posterior["posterior"]:
        return normal
    return CouplingPrior(normal.h, Normal(0.0, float(posterior["posterior"]["scale"].mean())))


def remarks(steps: logistic.Transitions) -> list[str]:
    """Say which parameters the data say nothing of, a sentence each, for a reader.

    Sites that are constant, sites that always agree or never do, and fewer transitions than
    parameters are no mistakes: the prior speaks there, and who reads the report should know where.
    """
    states = np.concatenate([steps.now, steps.next])
    found = []
    for k in constant_sites(states):
        found.append(
            f"Site {steps.labels[k]} is always {states[0, k]}: its field, and all couplings to it "
            "and from it, are held by the prior."
        )
    if len(states) > 1:
        seen = of_states(states, steps.encoding)
        twins = [" and ".join(str(steps.labels[k]) for k in pair) for pair in identical_pairs(seen)]
        if twins:
            found.append(
                f"Sites {', '.join(twins)} always agree, or never do: the data see only the sum or "
                "the difference of the couplings from them."
            )
    parameters = steps.sites + 1
    if len(steps) < parameters:
        found.append(
            f"There are {len(steps)} transitions and {parameters} parameters for each site: "
            "without the prior the couplings would not be determined."
        )
    return found


def thinned(posterior: xr.DataTree, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return fields and couplings of at most so many draws, evenly spread: (draw, ...)."""
    draws = posterior["posterior"]
    h, J = (draws[name].transpose("chain", "draw", ...).values for name in ("h", "J"))
    h, J = h.reshape(-1, *h.shape[2:]), J.reshape(-1, *J.shape[2:])
    which = np.unique(np.linspace(0, len(h) - 1, min(most, len(h))).round().astype(int))
    return h[which], J[which]


def _peak_memory():
    """Most memory that this process has held so far, in bytes; 0 where that is not counted."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most

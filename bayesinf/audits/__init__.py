"""May a covariance be used? The normal around an optimum, of any fit, put to the question.

Somebody has a point and a covariance, from SciPy's curve_fit, from lmfit, from a maximum a
posteriori, and quotes x ± σ. That is right where the density is a normal, the point its top and
the covariance its inverse curvature. ``audit`` asks all three, and answers in one sentence with
the numbers to use instead:

    from bayesinf import audit
    print(audit(f, x, y, popt, pcov, sigma).attrs["answer"])

The result is a fit like any other: its posterior holds draws by a better method, with checks of
their own (``bayesinf.check``); what was found of the normal stands beside it as the note ``audit``,
and ``verdict`` judges it.

    claims.py           a point, a covariance, a density: what is asked about
    curves.py           claims of curve_fit and lmfit; densities.py of a PyMC model or log density
    sampling.py         the better draws; valleys.py those of a curve where its valley is bent
    files.py            a posterior's own mean and covariance
    findings.py         what is measured; transformations.py coordinates in which a normal holds
    judging.py          limits, verdict, the sentence

Tierney & Kadane, JASA 81, 82 (1986), doi:10.1080/01621459.1986.10478240; Vehtari et al., JMLR 25,
72 (2024), arXiv:1507.02646; Venzon & Moolgavkar, Applied Statistics 37, 87 (1988),
doi:10.2307/2347496, on profiles.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.audits import files, judging, sampling
from bayesinf.audits.claims import Claim
from bayesinf.checks import Verdict
from bayesinf.errors import DataError
from bayesinf.foreign import adopted
from bayesinf.inference import kinds
from bayesinf.posterior import annotated, load, noted
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

OTHER_OPTIMA = kinds.Question(
    "other optima",
    "rivals_missed",
    "max",
    0,
    "≤",
    True,
    "optima that are nearly as good and hold no draw: {value:.0f}",
    "state priors or bounds that tell them apart, or quote each",
)

__all__ = ["audit", "audited", "instead", "told", "verdict"]


def audit(
    what: object,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    popt: ArrayLike | None = None,
    pcov: ArrayLike | None = None,
    sigma: ArrayLike | None = None,
    *,
    absolute_sigma: bool | None = None,
    bounds: object = None,
    names: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    function: Callable | None = None,
    args: Sequence = (),
    kws: Mapping | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Ask whether a fit's covariance may be used.

        p(θ | data) ≈ N(θ̂, C) ?

    Parameters
    ----------
    what : a curve f(x, *θ), fitted by SciPy; a ModelResult, Minimizer or MinimizerResult of lmfit;
        a PyMC model or a ``LogDensity``; a posterior, as InferenceData or the path of its file.
    x, y, sigma : of a curve, as ``curve_fit`` took them.
    popt, pcov : of a curve, what it returned; of a PyMC model its maximum, parameter to value, and
        a covariance, None for the one that is found here.
    absolute_sigma : whether sigma are the error bars; by default they are where they are given,
        whatever the fit was told. False: shares of a noise that nobody knows.
    bounds : of a curve, as ``curve_fit`` took them.
    names : of a curve's parameters; by default the arguments of f.
    units : parameter to unit.
    function, args, kws : of a MinimizerResult, which does not keep them.
    method : of the draws: of a curve "laplace" or "emcee", of a model one of its own, such as
        "nuts"; None for the quickest that is believed.
    settings : length and seed of the draws.

    Returns
    -------
    InferenceData: draws of the posterior by a better method, flat between bounds. Beside it
    ``noted(fit, "audit")``, what was found, a row a parameter; the root attribute ``answer`` says
    in one sentence whether the covariance may be used, and the numbers to use.

    Raises
    ------
    DataError : arguments that do not go together; nothing that can be audited.
    FitError : the data leave parameters open, or no method draws from the posterior.
    """
    if isinstance(what, str | os.PathLike):
        what = load(what)
    if hasattr(what, "children") or callable(getattr(what, "groups", None)):
        fit = _without(adopted(what))
        return _annotated(fit, files.measured(fit))
    claim = _claim(
        what,
        (x, y, popt, pcov, sigma),
        {"absolute_sigma": absolute_sigma, "bounds": bounds, "names": names, "units": units},
        {"function": function, "args": args, "kws": kws},
        settings,
    )
    return audited(claim if method is None else replace(claim, routes=(method,)), settings)


def audited(
    claim: Claim,
    settings: Settings = DEFAULT,
    *,
    system: str | None = None,
    notes: Mapping[str, xr.Dataset | None] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    """Audit a claim: as ``audit``, for whoever has stated it.

    Parameters
    ----------
    claim : what is audited.
    settings : length and seed of the draws.
    system, notes, attrs : as of ``models.problem.fit``.
    """
    from bayesinf.audits import findings

    fit = sampling.drawn(claim, settings, system, notes, attrs)
    named = {str(name): each.values for name, each in fit["posterior"].data_vars.items()}
    draws = claim.theta(named).reshape(-1, len(claim.names))
    found = findings.measured(claim, draws, settings, sampling.open_ends(fit))
    found = found.assign(sampling.of_checks(fit))
    return _annotated(kinds.asked(fit, OTHER_OPTIMA, float(found["rivals_missed"])), found)


def verdict(fit: xr.DataTree) -> Verdict:
    """Judge the normal that was audited, from the fit or its file alone.

    Parameters
    ----------
    fit : what ``audit`` returned.

    Returns
    -------
    a ``Verdict``, believed where the covariance may be used.

    Raises
    ------
    DataError : the fit is no audit.
    """
    return judging.judged(_note(fit))


def instead(fit: xr.DataTree) -> dict[str, str]:
    """Return the numbers to use in place of the claim's, parameter to value with uncertainty."""
    return judging.instead(_note(fit))


def told(fit: xr.DataTree) -> str:
    """Tell an audit in lines of text: the answer, and what each question found."""
    judged = verdict(fit)
    marks = {
        one.name: "passed" if one.passed else "FAILED" if one.required else "look"
        for one in judged.checks
    }
    wide = max(map(len, marks))
    lines = [f"  {marks[one.name]:6}  {one.name:{wide}}  {one.message}" for one in judged.checks]
    return "\n".join([str(fit.attrs["answer"]), "", *lines])


def _note(fit):
    found = noted(fit, "audit")
    if found is None:
        raise DataError("nothing was audited", expected="what bayesinf.audit returned")
    return found


def _without(fit):
    """The fit without an audit that it bears: its draws are asked about, and no claim of old."""
    import xarray as xr

    fit, known = fit.copy(), fit["constant_data"].to_dataset()
    old = [name for name in known.variables if str(name).startswith("audit.")]
    fit["constant_data"] = xr.DataTree(known.drop_vars(old))
    return fit


def _annotated(fit, found):
    fit = annotated(fit, audit=found)
    fit.attrs["answer"] = judging.sentence(found)
    return fit


def _claim(what, positional, options, own, settings):
    x, y, popt, pcov, sigma = positional
    if type(what).__module__.split(".")[0] == "lmfit":
        from bayesinf.audits.curves import of_lmfit

        keep = {name: options[name] for name in ("absolute_sigma", "units")}
        return of_lmfit(what, **own, **keep)
    if callable(what) and not hasattr(what, "free_RVs"):
        from bayesinf.audits.curves import of_curve_fit

        missing = [
            n for n, v in zip(("x", "y", "popt", "pcov"), positional, strict=False) if v is None
        ]
        if missing:
            raise DataError(
                "a curve alone cannot be audited",
                where=", ".join(missing),
                expected="audit(f, x, y, popt, pcov, sigma)",
            )
        bounds = options.pop("bounds")
        bounds = (-np.inf, np.inf) if bounds is None else bounds
        return of_curve_fit(what, x, y, popt, pcov, sigma, bounds=bounds, **options)
    if not (hasattr(what, "free_RVs") or hasattr(what, "priors") or hasattr(what, "backend")):
        raise DataError(
            "nothing to audit",
            expected="a curve and its fit, a result of lmfit, a PyMC model, a LogDensity, or a "
            "posterior",
            found=type(what).__name__,
        )
    from bayesinf.audits.densities import of_density

    return of_density(what, popt, pcov, units=options["units"], settings=settings)

"""May this covariance be used? The questions, their limits, and the answer in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.audits.findings import NORMAL_END
from bayesinf.checks import Check, Verdict
from bayesinf.checks.optima import BEYOND
from bayesinf.checks.weights import AGREEING, SAME, pareto_limit
from bayesinf.report import short
from bayesinf.report.numbers import summarised

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SLOPE", "instead", "judged", "sentence"]

SLOPE = 0.1  # largest step to the optimum, in sd
CURVATURE = 0.1  # by which an sd of the claim may differ from that of the curvature
SCALE = 0.03  # likewise among all directions, for one factor to be common to them
OUTSIDE = 0.01  # share of the normal that may lie where the density is zero
SHAPE = 0.3  # sd, by which quantiles of a marginal may differ from a normal's
KURTOSIS = 2.0  # of all together, over a normal's: that of Student's t of six degrees of freedom
RIVAL = 3.0  # log density below the best at which another optimum still counts
CHI_SQUARE = 1e-3  # chance of such a χ², below which the error bars are doubted
WEIGHED = 4000  # draws of the normal behind the weights
SAMPLE = "use the draws in place of the normal"


def judged(found: xr.Dataset) -> Verdict:
    """Judge what was measured.

    Parameters
    ----------
    found : as of ``findings.measured``, or ``files.measured``.

    Returns
    -------
    a ``Verdict`` on the normal, which is believed where its covariance may be used.
    """
    asked = (_matrix, _slope, _hessian, _optima, _range, _edges, _scale, _weights)
    asked += (_profile, _draws, _noise)
    checks = [check for question in asked for check in question(found)]
    return Verdict("normal", tuple(checks))


def _check(name, value, limit, passed, good, bad, remedy, required=True):
    message = good if passed else bad
    return Check(name, float(value), limit, bool(passed), required, message, remedy)


def _worst(found, values):
    """Name of the parameter that has the largest value, and that value."""
    values = np.nan_to_num(np.abs(np.asarray(values, dtype=float)), nan=0.0, posinf=1e300)
    k = int(np.argmax(values))
    return str(found["parameter"].values[k]), float(values[k])


def _matrix(found):
    if "is_covariance" in found and not found["is_covariance"]:
        bad = "the matrix is no covariance (not finite, or not positive definite)"
        yield _check("matrix", 0, "positive definite", False, "", bad, SAMPLE)


def _slope(found):
    if "slope" not in found:
        return
    slope, edge = float(found["slope"]), found["at_edge"].values
    good = f"the point is at the optimum (a Newton step of {short(slope, 1)} sd away)"
    name, far = _worst(found, found["from_mode"])
    downhill = "" if np.isfinite(slope) else ", and there is no slope to follow"
    bad = f"the point is not at an optimum: {name} is {short(far, 2)} sd from the mode"
    if np.isfinite(slope):
        bad += f" (a Newton step of {short(slope, 2)} sd there)"
    bad += downhill
    # A step may be short where the density only looks like a parabola from far away.
    passed = slope <= SLOPE and (far <= 5 * SLOPE or bool(found["is_elsewhere"]))
    if edge.any() and not np.isfinite(slope):
        passed, good = True, "the point is at a bound in every direction"
    remedy = "let the optimiser run on, from the mode that is given here"
    yield _check("slope", slope, f"≤ {SLOPE} sd", passed, good, bad, remedy)


def _hessian(found):
    if "hessian_eigenvalue" not in found:
        return
    values = found["hessian_eigenvalue"].values
    edge = [str(n) for n in found["parameter"].values[found["at_edge"].values]]
    known = values[np.isfinite(values)]
    least = known.min() if known.size else np.nan
    good = "the density falls off in every direction"
    bad = f"the density rises along some direction (eigenvalue {short(least, 2)}): a saddle, no top"
    if not np.isfinite(least):
        bad = "the density has no curvature at the point"
    if edge:
        bad = f"{' and '.join(edge)} {'are' if edge[1:] else 'is'} at a bound, "
        bad += "where there is no curvature to approximate by"
    remedy = "start elsewhere" if not edge else "quote a limit, or draws within the bound"
    passed = least > 0 and not edge
    yield _check("Hessian", least, "> 0", passed, good, bad, remedy)


def _scale(found):
    if "hessian_eigenvalue" not in found:
        return
    values = found["hessian_eigenvalue"].values
    values = values[np.isfinite(values)]
    if not len(values) or not (values > 0).all():
        return
    ratios = np.sqrt(values)  # sd of the claim over that of the curvature
    worst = ratios[np.argmax(np.abs(np.log(ratios)))]
    good = f"its sds are those of the curvature (to {short(abs(worst - 1), 1)})"
    bad = f"its sds differ from those of the curvature, by a factor of {short(worst, 3)} at most"
    remedy = "take the covariance of the curvature at the mode"
    factors = np.log(found["ratio"].values)
    common = float(np.exp(factors.mean()))
    if np.ptp(factors) < SCALE and abs(np.log(common)) > SCALE:
        bad = f"all its sds are {short(common, 3)} times what they should be"
        chi = float(found["chi_square"])
        if not found["inferred_noise"] and abs(common / np.sqrt(chi) - 1) < SCALE:
            bad += (
                f", which is √χ²_red = {short(np.sqrt(chi), 3)}: the error bars, though known, "
                "were taken for shares of an unknown noise"
            )
            remedy = "fit with absolute_sigma=True (lmfit: scale_covar=False)"
        elif found["inferred_noise"]:
            bad += ", so the noise was taken for another than the residuals show"
            remedy = "fit with absolute_sigma=False, or state sigma with absolute_sigma=True"
    passed = abs(np.log(worst)) <= np.log1p(CURVATURE)
    yield _check("curvature", worst, f"within {CURVATURE:.0%}", passed, good, bad, remedy)


def _edges(found):
    if "outside" not in found:
        return
    share, beyond = float(found["outside"]), found["beyond_bounds"].values
    name, most = _worst(found, beyond)
    good = "the normal lies within the bounds"
    bad = f"{share:.1%} of the normal lies where the density is zero"
    if most > OUTSIDE:
        bad = f"{most:.0%} of the normal lies beyond the bounds of {name}"
    passed = max(share, most) <= OUTSIDE
    yield _check("edges", max(share, most), f"≤ {OUTSIDE:.0%}", passed, good, bad, SAMPLE)


def _range(found):
    if "open" not in found:
        return
    name, far = _worst(found, found["open"])
    good = "the density falls to zero on all sides"
    bad = (
        f"the likelihood does not fall to zero along {name}: what lies beyond, or the box, moves "
        f"its mean by {short(far, 2)} sd"
    )
    remedy = f"state a prior of {name}, or quote a limit"
    yield _check("range", far, f"≤ {BEYOND:g} sd", far <= BEYOND, good, bad, remedy)


def _optima(found):
    if "better" not in found:
        return
    better, rivals = float(found["better"]), int(found["rivals"])
    if found["is_elsewhere"] and better > 0.01:
        where = "; ".join(
            f"{n} = {short(v, 3)}"
            for n, v in zip(found["parameter"].values, found["mode"].values, strict=True)
        )
        bad = f"another optimum is higher, by {short(better, 2)} in log density, at {where}"
    else:
        some = "another optimum is" if rivals == 1 else f"{rivals} other optima are"
        bad = f"{some} nearly as good ({short(found['rival_below'], 2)} below in log density)"
    good = "no other optimum comes near"
    passed = rivals == 0 and not (found["is_elsewhere"] and better > 0.01)
    remedy = "start from the better one, and sample both where they are alike"
    yield _check("optima", rivals, f"none within {RIVAL:g}", passed, good, bad, remedy)


def _moved(found, kind, mean, sd):
    """By how much a mean and an sd differ from the normal's, in sd and as a log, and whose most."""
    shift = np.abs(found[mean].values - found["point"].values) / found[sd].values
    change = np.abs(np.log(found["sd"].values / found[sd].values))
    name, worst = _worst(found, np.maximum(shift, change))
    k = list(found["parameter"].values).index(name)
    return name, worst, float(shift[k]), float(found["sd"].values[k] / found[sd].values[k])


def _weights(found):
    if "pareto_k" not in found:
        return
    shape, limit = float(found["pareto_k"]), pareto_limit(WEIGHED)
    name, worst, shift, ratio = _moved(found, "weighted", "weighted_mean", "weighted_sd")
    same = shape < 1 and worst <= SAME
    good = f"its draws cover the density (Pareto k̂ {signed(shape)})"
    bad = f"its draws miss the density (Pareto k̂ {signed(shape)})"
    passed = shape <= limit or same
    yield _check("Pareto k̂", shape, f"≤ {limit:.2f}", passed, good, bad, SAMPLE)
    said = f"weights move {name} by {shift:.2f} sd, its sd by a factor of {1 / ratio:.2f}"
    passed = worst <= AGREEING
    limit = f"≤ {AGREEING} sd and {AGREEING:.0%}"
    yield _check("moments", worst, limit, passed, said, said, SAMPLE)


def _profile(found):
    if "profile_low" not in found:
        return
    point, sd = found["point"].values, found["sd"].values
    low, high = found["profile_low"].values, found["profile_high"].values
    off = np.maximum(
        np.abs(low - (point - NORMAL_END * sd)), np.abs(high - (point + NORMAL_END * sd))
    )
    open_ = found["profiled"].values & ~(np.isfinite(low) & np.isfinite(high))
    off = np.where(open_, np.inf, off / found["mode_sd"].values)
    name, worst = _worst(found, np.where(found["profiled"].values, off, 0.0))
    good = f"profile likelihoods have its 95 % intervals (ends within {short(worst, 1)} sd)"
    off = short(worst, 2)
    bad = f"the profile likelihood of {name} has another 95 % interval (an end {off} sd off)"
    if open_.any():
        bad = f"the profile likelihood of {name} has no 95 % interval, for it levels off"
    limit, passed = f"≤ {2 * AGREEING} sd", worst <= 2 * AGREEING
    yield _check("profile", min(worst, 1e9), limit, passed, good, bad, SAMPLE)


def _draws(found):
    name, worst, shift, ratio = _moved(found, "drawn", "drawn_mean", "drawn_sd")
    good = f"draws agree with it (means to {shift:.2g} sd, sds to {abs(1 - ratio):.0%})"
    bad = f"draws say {name} = {_drawn(found, name)} in place of {_claimed(found, name)}"
    limit, passed = f"≤ {AGREEING} sd and {AGREEING:.0%}", worst <= AGREEING
    yield _check("draws", worst, limit, passed, good, bad, SAMPLE)
    name, far = _worst(found, found["departure"])
    good, bad = "marginals are normal", f"the marginal of {name} is no normal ({far:.1g} sd off)"
    yield _check("shape", far, f"≤ {SHAPE} sd", far <= SHAPE, good, bad, SAMPLE)
    spread = float(found["kurtosis"])
    if np.isfinite(spread):
        good = "so are all parameters together"
        bad = f"together they are no normal (kurtosis {spread:.2g} times that of one)"
        passed = spread <= KURTOSIS
        yield _check("joint shape", spread, f"≤ {KURTOSIS}", passed, good, bad, SAMPLE)
    said = str(found["draws_failed"].values)
    good, bad = "the draws pass their own checks", f"the draws fail checks of their own: {said}"
    remedy = "draw longer, or by another method"
    yield _check("posterior", float(not said), "believed", not said, good, bad, remedy)


def _noise(found):
    said = str(found["data_failed"].values)
    good, bad = "the data look like their replicas", f"{said}, so that no covariance counts"
    remedy = "look at the residuals, and state how the data scatter"
    yield _check("data", float(not said), "as replicas", not said, good, bad, remedy)
    chance = float(found["chi_square_p"]) if "chi_square_p" in found else np.nan
    if not np.isfinite(chance):
        return
    chi = float(found["chi_square"])
    good = f"χ²_red is {short(chi, 3)}, as the error bars have it"
    bad = f"χ²_red is {short(chi, 3)}: curve and error bars do not describe the data"
    remedy = "look at the residuals before any covariance"
    passed = chance >= CHI_SQUARE
    yield _check("error bars", chi, f"p ≥ {CHI_SQUARE}", passed, good, bad, remedy, required=False)


# --- the answer -----------------------------------------------------------------------------------


def _drawn(found, name):
    one = found.sel(parameter=name)
    mean, sd = float(one["drawn_mean"]), float(one["drawn_sd"])
    within = [float(one[f"drawn_{end}"]) for end in ("central_low", "median", "central_high")]
    return summarised(mean, sd, *within) + _unit(one)


def _claimed(found, name):
    from bayesinf.report import number

    one = found.sel(parameter=name)
    return number(float(one["point"]), float(one["sd"])) + _unit(one)


def _unit(one):
    unit = str(one["unit"].values)
    return "" if unit in ("", "1") else f" {unit}"


def instead(found: xr.Dataset) -> dict[str, str]:
    """Return the numbers to use, parameter to value: the claim's, or what the draws say."""
    names = [str(name) for name in found["parameter"].values]
    if judged(found).believed:
        return {name: _claimed(found, name) for name in names}
    return {name: _drawn(found, name) for name in names}


def signed(value):
    """A number of two decimals with a minus sign."""
    return f"{value:.2f}".replace("-", "−")


MOST_NAMED = 8  # parameters in the sentence


def sentence(found: xr.Dataset) -> str:
    """Answer in one sentence, with the numbers to use."""
    verdict, numbers = judged(found), instead(found)
    told = [f"{name} = {value}" for name, value in list(numbers.items())[:MOST_NAMED]]
    rest = len(numbers) - len(told)
    told = ", ".join(told) + (f", and {rest} more" if rest else "")
    if verdict.believed:
        return f"The covariance may be used: {told}."
    failed = [check for check in verdict.checks if check.required and not check.passed]
    said = "; ".join(check.message for check in failed[:2])
    if str(found["data_failed"].values) and failed[0].name == "data":
        return (
            f"The covariance may not be used: {said}. Under this model, wrong as it is, draws say "
            f"{told}."
        )
    if str(found["draws_failed"].values) and not any(one.name == "range" for one in failed):
        return (
            f"The covariance may not be used: {said}. Nor may the draws yet, by which it would be "
            f"replaced: {found['draws_failed'].values}; they say {told}."
        )
    if any(check.name == "range" for check in failed):
        return (
            f"The covariance may not be used: {said}. State a prior: until then no number is the "
            f"data's alone, and within the box, flat, draws say {told}."
        )
    return (
        f"The covariance may not be used: {said}. Use {told}{_coordinates(found)}{_others(found)}."
    )


def _others(found):
    """Where another optimum is that the draws leave out."""
    if "rivals_missed" not in found or not found["rivals_missed"]:
        return ""
    at = zip(found["parameter"].values, found["rival"].values, strict=True)
    told = ", ".join(f"{name} = {short(value, 3)}" for name, value in list(at)[:MOST_NAMED])
    return f", or the optimum that is as good at {told}: draws are of one alone"


def _coordinates(found):
    """In which coordinates a normal would hold, if there are some."""
    words = [str(each) for each in found["transformation"].values]
    if not any(words):
        return ""
    shape = float(found["transformed_k"]) if "transformed_k" in found else np.nan
    better = float(found["transformed_departure"].max())
    if not (better <= 0.35 and not shape > 0.7):
        return ""
    told = [f"{word} = {summarised_number(found, k)}" for k, word in enumerate(words) if word]
    holds = f" (Pareto k̂ {signed(shape)})" if np.isfinite(shape) else ""
    return f"; or the normal in {', '.join(told)}, where it holds{holds}"


def summarised_number(found, k):
    """A parameter in its transformed coordinate, as mean ± sd."""
    from bayesinf.report import number

    return number(*(float(found[f"transformed_{each}"].values[k]) for each in ("mean", "sd")))

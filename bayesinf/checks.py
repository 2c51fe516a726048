"""May this posterior be believed? One verdict, read from the InferenceData alone.

What there is to check depends on how the posterior was made: chains must agree, an ensemble must be
long against its memory, a Laplace approximation must sit on the optimum and resemble the posterior,
a closed form must be well conditioned and its draws must follow it. Every posterior must moreover
predict data like those that it was fitted to. How far single observations and the prior decide the
answer is advice: it qualifies the words, and does not make a posterior unbelieved.

The thresholds are the constants below. A question is a function from the InferenceData to
``Check`` objects, known by its name in the table at the end; ``inference.kinds`` says which of them
a kind of inference is asked. What a family answers for itself it declares as a ``kinds.Question``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import diagnostics
from bayesinf.errors import CheckFailed
from bayesinf.foreign import adopted
from bayesinf.inference import kinds
from bayesinf.posterior import element_names, observation_names, reported, true_values

if TYPE_CHECKING:
    import xarray as xr

RHAT = 1.01  # largest rank-normalised split R-hat
ESS_PER_CHAIN = 100  # smallest bulk and tail effective sample size, in each chain
EBFMI = 0.3  # smallest energy fraction of missing information
STEPS_PER_TAU = 50  # shortest run of an ensemble, in autocorrelation times
ACCEPTANCE = (0.1, 0.9)  # of each walker
GRADIENT = 0.01  # largest slope at an optimum, in log density per posterior sd
START_AGREES = 0.01  # log density that may part two starts that found the same optimum
START_RIVALS = 3.0  # log density below the best at which another optimum still counts (5 % of it)
# All that a classical estimate must pass.
OF_AN_OPTIMUM = ("gradient", "Hessian", "starts", "maximum")
PARETO_K = 0.7  # largest Pareto k̂; less where the draws are few
AGREEING = 0.25  # sd of a mean, and share of an sd, by which weights may move raw draws
SAME = 0.05  # likewise, where k̂ is above its limit
CORRECTED = 0.5  # likewise draws that were resampled by them
BEYOND = 0.1  # sd of a mean, by which what lies beyond the draws may move it
CONDITION = 1e12  # largest condition number
MOMENTS_P = 1e-3  # chance that right draws miss their closed form, all elements taken together
PREDICTIVE_P = 0.01  # smallest predictive p-value, times the number of statistics
TRUTH_P = 1e-3  # chance below which a known truth lies too far out among the draws
# What a model is likely to leave out where the data's residuals are not like those of replicas.
LEFT_OUT = {
    "largest residual": "look for outliers, or let the noise have heavy tails",
    "residual skewness": "look for outliers to one side, or for counts taken for a measurement",
    "residual spread": "let the noise grow with the signal",
    "residual memory": "look for a trend that the model leaves out, or let the noise have memory",
    "chi-square": "check the error bars",
}
PRIOR_SENSITIVITY = 0.05  # power-scaling sensitivity from which a prior matters
SMALL = 32  # elements up to which a variable's prior sensitivity is looked at


@dataclass(frozen=True)
class Check:
    """One question to a posterior, and its answer.

    Parameters
    ----------
    name : what is checked.
    value : the number looked at, the worst where there are many.
    threshold : what the number should be, in words.
    passed : whether it is.
    required : whether the posterior cannot be believed without.
    message : the finding, as a clause.
    remedy : what to do where it failed.
    """

    name: str
    value: float
    threshold: str
    passed: bool
    required: bool
    message: str
    remedy: str


@dataclass(frozen=True)
class Verdict:
    """All checks of one posterior.

    Parameters
    ----------
    inference : the kind of inference that made it.
    checks : what was looked at.
    unasked : questions that this posterior cannot be asked, to the reason: a file of another
        library's without replicas, a model that has no data.
    """

    inference: str
    checks: tuple[Check, ...]
    unasked: Mapping[str, str] = field(default_factory=dict)

    @property
    def believed(self) -> bool:
        """Whether every required check passed."""
        return all(check.passed for check in self.checks if check.required)

    @property
    def words(self) -> str:
        """The verdict for people: believed, or what to distrust and what to do."""
        return self._found + self._not_asked

    @property
    def _not_asked(self):
        said = [f"{name.replace('_', ' ')} ({reason})" for name, reason in self.unasked.items()]
        return f" Not asked: {', '.join(said)}." if said else ""

    @property
    def _found(self):
        failed = [check for check in self.checks if not check.passed]
        if not failed:
            opening = "Believed as far as it was asked" if self.unasked else "Believed"
            all_of_them = (
                f"All {len(self.checks)} checks pass" if self.checks[1:] else "Its check passes"
            )
            return f"{opening}. {all_of_them}: {_listed(self.checks)}."
        if self.believed:
            asked = " that could be asked" if self.unasked else ""
            opening = f"Believed: all required checks{asked} pass. Keep in mind that "
        else:
            opening, failed = "Do not believe yet: ", [check for check in failed if check.required]
        remedies = dict.fromkeys(check.remedy for check in failed)
        return f"{opening}{_listed(failed)}; {'; '.join(remedies)}."

    def to_dict(self) -> dict:
        """Return the verdict as plain values that JSON can hold."""
        checks = [asdict(check) for check in self.checks]
        for check in checks:  # JSON has no infinity
            check["value"] = check["value"] if math.isfinite(check["value"]) else None
        return {
            "inference": self.inference,
            "believed": self.believed,
            "words": self.words,
            "checks": checks,
            **({"not_asked": dict(self.unasked)} if self.unasked else {}),
        }

    def require(self) -> Verdict:
        """Return the verdict itself where the posterior is believed.

        Raises
        ------
        CheckFailed : it is not.
        """
        if not self.believed:
            raise CheckFailed(self)
        return self


def _listed(checks) -> str:
    return ", ".join(check.message for check in checks)


def check(posterior: xr.DataTree, inference: str | None = None) -> Verdict:
    """Ask a posterior every question that its kind of inference calls for.

    Parameters
    ----------
    posterior : an InferenceData. Of a fit of bayesinf's the root attribute ``inference`` says how
        it was made; one that has a root attribute ``classical`` is a classical estimate for
        comparison, of which only that it is an optimum is required. Any other InferenceData will
        do, of PyMC, emcee or others: see ``foreign.adopted``.
    inference : its kind, a name of ``inference.kinds``; None for what the file says, or shows.

    Returns
    -------
    the verdict; evidence that is missing is a check that failed, but for what a file of another
    library's cannot hold, which is not asked, and said to be so.

    Raises
    ------
    DataError : the kind of inference is unknown; there is no posterior.
    """
    posterior = adopted(posterior, inference)
    kind, unasked = kinds.of(posterior.attrs), kinds.unasked(posterior.attrs)
    missing = [name for name in kind.evidence if name not in posterior["sample_stats"]]
    names = [name for name in (*kind.questions, *EVERY_FIT) if name not in unasked]
    asked = [QUESTIONS[name] for name in names]
    asked += [partial(_declared, question) for question in kinds.declared(posterior.attrs)]
    checks = []
    for question in asked:
        try:
            checks.extend(question(posterior))
        except _MissingEvidence as found:
            missing.append(str(found))
    for name in dict.fromkeys(name for name in missing if name not in unasked):
        finding = f"the posterior carries no {name}, which its checks need"
        checks.append(_answer(name, math.nan, "present", False, "", finding, "refit"))
    if "classical" in posterior.attrs:
        # An optimum and its curvature, shown beside a posterior: that must be an optimum, and what
        # else it misses is what the posterior is there for.
        checks = [
            replace(check, required=check.required and check.name in OF_AN_OPTIMUM)
            for check in checks
        ]
    return Verdict(posterior.attrs["inference"], tuple(checks), unasked)


class _MissingEvidence(Exception):
    """A fit has not stored what its checks need."""


def _evidence(posterior, name) -> xr.DataArray:
    if name not in posterior["sample_stats"]:
        raise _MissingEvidence(name)
    return posterior["sample_stats"][name]


def _answer(name, value, threshold, passed, good, bad, remedy, required=True) -> Check:
    passed = bool(passed)
    return Check(name, float(value), threshold, passed, required, good if passed else bad, remedy)


# --- chains ---------------------------------------------------------------------------------------


def _mixing(posterior) -> Iterator[Check]:
    """R-hat and effective sample sizes, the worst over all elements of all variables."""
    variables = [posterior["posterior"][name] for name in reported(posterior)]
    found = [diagnostics.tie_weighted_mixing(elements(variable)) for variable in variables]
    owners = [
        (v, i) for v, part in zip(variables, found, strict=True) for i in range(part.shape[1])
    ]
    rhat, bulk, tail = np.concatenate(found, axis=1)
    chains = posterior["posterior"].sizes["chain"]
    needed, worst = ESS_PER_CHAIN * chains, int(np.argmax(rhat))
    name = element_name(*owners[worst])
    fewest = np.min([bulk, tail], initial=needed, where=np.isfinite([bulk, tail]))
    longer = _longer(posterior, max(needed / max(fewest, 1), 2 if rhat[worst] > RHAT else 1))
    longer = "start the chains elsewhere" if math.isinf(rhat[worst]) else longer

    if chains < 2:
        finding = "one chain alone cannot show that it has mixed"
        remedy = f"use {_option(posterior, 'chains')} 4"
    elif math.isinf(rhat[worst]):
        finding, remedy = f"{name} is stuck at different values, or not finite", longer
    else:
        finding, remedy = f"R-hat of {name} is {rhat[worst]:.3f} (limit {RHAT})", longer
    agreed = f"the chains agree (R-hat at most {rhat[worst]:.4f})"
    passed = chains >= 2 and rhat[worst] <= RHAT
    yield _answer("R-hat", rhat[worst], f"≤ {RHAT}", passed, agreed, finding, remedy)

    for name, sizes in (("bulk ESS", bulk), ("tail ESS", tail)):
        known = np.isfinite(sizes)
        if known.any():
            worst = int(np.nanargmin(sizes))
            size, where = sizes[worst], element_name(*owners[worst])
            aside = f" (undefined for {np.sum(~known)} elements)" * bool(not known.all())
            good = f"{name} at least {size:.0f}{aside}"
            bad = f"{name} of {where} is {size:.0f} (limit {needed}){aside}"
            yield _answer(name, size, f"≥ {needed}", size >= needed, good, bad, longer)


def _divergences(posterior) -> Iterator[Check]:
    if "diverging" in posterior["sample_stats"]:
        count = int(posterior["sample_stats"]["diverging"].sum())
        good, bad = "no divergences", f"{count} transition{'s' * (count > 1)} diverged"
        remedy = "reparametrise the model or raise the target acceptance"
        yield _answer("divergences", count, "none", count == 0, good, bad, remedy)


def _energy(posterior) -> Iterator[Check]:
    if "energy" in posterior["sample_stats"]:
        energy = posterior["sample_stats"]["energy"].transpose("chain", "draw").values
        steps = np.mean(np.diff(energy, axis=1) ** 2, axis=1)
        lowest = np.min(steps / np.var(energy, axis=1))
        good, bad = f"E-BFMI at least {lowest:.2f}", f"E-BFMI is {lowest:.2f} (limit {EBFMI})"
        remedy = "reparametrise what has heavy tails"
        yield _answer("E-BFMI", lowest, f"≥ {EBFMI}", lowest >= EBFMI, good, bad, remedy)


def _longer(posterior, shortfall) -> str:
    """The remedy for draws that are too few by a factor, with a margin."""
    draws = json.loads(posterior.attrs["settings"])["draws"]
    factor = 2 ** math.ceil(math.log2(max(2, 1.3 * shortfall)))
    return f"run longer ({_option(posterior, 'draws')} {factor * draws})"


def _option(posterior, name) -> str:
    """How a setting is spelt: as a script's option, or in Python where there is no script."""
    attrs = posterior.attrs
    scripted = "library" not in attrs and attrs["system"] != attrs.get("family")
    return f"--{name}" if scripted else f"{name} ="


# --- ensembles ------------------------------------------------------------------------------------


def _length(posterior) -> Iterator[Check]:
    times = _evidence(posterior, "autocorrelation_time")
    # Where quantities are named, those of the parameters that are among them.
    wanted = [
        i
        for i, name in enumerate(element_names(times))
        if name.removeprefix(f"{times.name}[").split("[")[0].removesuffix("]")
        in reported(posterior)
    ]
    times = times[wanted] if wanted and "quantities" in posterior.attrs else times
    slowest = int(np.argmax(times.values))
    ratio = float(_evidence(posterior, "steps").item() / times.values[slowest])
    good = f"the walkers ran for {ratio:.0f} autocorrelation times"
    where = element_name(times, slowest, bare=True)
    bad = f"{good} of {where} only (limit {STEPS_PER_TAU})"
    remedy = _longer(posterior, STEPS_PER_TAU / max(ratio, 1))
    limit = f"≥ {STEPS_PER_TAU}"
    yield _answer("length / τ", ratio, limit, ratio >= STEPS_PER_TAU, good, bad, remedy)


def _acceptance(posterior) -> Iterator[Check]:
    rates = _evidence(posterior, "acceptance_rate").values
    (low, high), lowest, highest = ACCEPTANCE, np.min(rates), np.max(rates)
    passed = low <= lowest and highest <= high
    good = f"walkers accept {lowest:.0%} to {highest:.0%} of their moves"
    bad = f"{good} (limits {low:.0%} and {high:.0%})"
    value = lowest if lowest - low < high - highest else highest
    remedy = "start the walkers nearer to the optimum"
    yield _answer("acceptance", value, f"{low} to {high}", passed, good, bad, remedy)


# --- Laplace approximations -----------------------------------------------------------------------


def _gradient(posterior) -> Iterator[Check]:
    slopes = np.abs(_evidence(posterior, "gradient"))
    # A step from an edge of the prior leads where there is no density, and so no slope.
    steepest = int(np.argmax(np.where(np.isfinite(slopes.values), slopes.values, np.inf)))
    slope, along = slopes.values[steepest], element_name(slopes, steepest, bare=True)
    good = f"the optimum is flat (slope at most {slope:.1g} a standard deviation)"
    bad = f"the optimum slopes by {slope:.2g} a standard deviation along {along}"
    remedy = "let the optimiser run on, or start elsewhere"
    if not np.isfinite(slope):
        bad = f"{along} is at an edge of what its prior allows, and no optimum is there"
        remedy = f"widen the prior of {along}, fix it, or sample instead"
    yield _answer("gradient", slope, f"≤ {GRADIENT}", slope <= GRADIENT, good, bad, remedy)


def _hessian(posterior) -> Iterator[Check]:
    smallest = np.min(_evidence(posterior, "hessian_eigenvalue").values)
    good = "the Hessian is positive definite"
    bad = f"the Hessian has an eigenvalue of {smallest:.2g}, so this is no maximum"
    remedy = "fix or drop a parameter that the data do not determine"
    if not np.isfinite(smallest):
        bad = "at an edge there is no curvature to approximate by"
    yield _answer("Hessian", smallest, "> 0", smallest > 0, good, bad, remedy)


def _starts(posterior) -> Iterator[Check]:
    # A start that ends far below was caught in a side valley, which does no harm. What does is a
    # best optimum that was found only once, or another nearly as good, which is then left out.
    excess = np.abs(_evidence(posterior, "start_excess").values.ravel())
    agree = np.sum(excess <= START_AGREES)
    rivals = np.sum((excess > START_AGREES) & (excess <= START_RIVALS))
    good = f"{agree} of {excess.size} starts found the best optimum"
    bad = f"{good}, and {rivals} one that is nearly as good" if rivals else f"only {good}"
    limit = f"≥ 2 within {START_AGREES}, no others within {START_RIVALS:g}"
    passed = agree >= 2 and rivals == 0
    yield _answer("starts", agree, limit, passed, good, bad, "use more starts")


def _importance_weights(posterior) -> Iterator[Check]:
    """How heavy the tail of the weights is, and whether they say anything else than the draws do.

    A k̂ somewhat above its limit, which another seed puts below it, does no harm where weighted and
    unweighted moments are the same.
    """
    weights = _evidence(posterior, "log_weight").transpose("chain", "draw", ...).values
    # Blocks that were drawn apart have weights of their own, each of an unknown size.
    weights = weights.reshape(weights.shape[0] * weights.shape[1], -1)
    limit, blocks = _pareto_limit(len(weights)), weights.shape[1]
    weights = weights - np.logaddexp.reduce(weights, axis=0)
    shape = float(diagnostics.smoothed_weights(weights.ravel())[1])
    shift, ratio = _weighted_moments(posterior, weights) if blocks == 1 else (np.nan, np.nan)
    same = shape < 1 and shift <= SAME and ratio <= SAME
    good = f"the approximation covers the posterior (Pareto k̂ {shape:.2f})"
    bad = f"the quadratic approximation misses the posterior (Pareto k̂ {shape:.2f})"
    passed = shape <= limit or same
    yield _answer("Pareto k̂", shape, f"≤ {limit:.2f}", passed, good, bad, "sample it instead")
    if blocks == 1:
        said = f"weights move a mean by {shift:.2f} sd and an sd by {np.expm1(ratio):.0%} at most"
        passed, worst = max(shift, ratio) <= AGREEING, max(shift, ratio)
        limit = f"≤ {AGREEING} sd and {AGREEING:.0%}"
        yield _answer("moments", worst, limit, passed, said, said, "sample it instead")


def _weighted_moments(posterior, weights) -> tuple[float, float]:
    """How far weights (chain, draw) move a mean, in sd, and how much they change an sd, as a log.

    The largest over all elements of all variables that vary.
    """
    weight = np.exp(diagnostics.smoothed_weights(weights.ravel())[0])
    shift = ratio = 0.0
    for name in reported(posterior):
        draws = elements(posterior["posterior"][name])
        draws = draws.reshape(len(draws), -1)
        draws = draws[draws.std(axis=1) > 0]
        mean = draws @ weight
        sd = np.sqrt((draws - mean[:, None]) ** 2 @ weight)
        shift = np.max(np.abs(draws.mean(axis=1) - mean) / sd, initial=shift)
        ratio = np.max(np.abs(np.log(draws.std(axis=1) / sd)), initial=ratio)
    return float(shift), float(ratio)


def _resampling(posterior) -> Iterator[Check]:
    """Whether weights correct the approximation, and do not make up the posterior from few draws.

    Their moments are compared with those of the draws as they were: weights that move a mean by
    half an sd, or an sd by half, are those of a tail that the next seed weighs otherwise.
    """
    shape, effective = (
        float(_evidence(posterior, name).values) for name in ("pareto_k", "effective_draws")
    )
    moved = np.abs(_evidence(posterior, "weight_shift"))
    changed = np.abs(_evidence(posterior, "weight_log_ratio"))
    chains, draws = (posterior["posterior"].sizes[dim] for dim in ("chain", "draw"))
    limit, needed = _pareto_limit(chains * draws), min(ESS_PER_CHAIN, draws / 2) * chains
    good = f"weighted draws carry the posterior (Pareto k̂ {shape:.2f}, worth {effective:.0f})"
    bad = f"the approximation misses the posterior (Pareto k̂ {shape:.2f}, worth {effective:.0f})"
    passed = shape <= limit and effective >= needed
    yield _answer("Pareto k̂", shape, f"≤ {limit:.2f}", passed, good, bad, "sample it instead")
    where = int(np.argmax(np.maximum(moved, changed).values))
    shift, ratio = float(moved.max()), float(np.exp(changed.max()))
    name = element_name(moved, where, bare=True)
    good = (
        f"weights move no mean by more than {shift:.2f} sd and no sd by more than {ratio - 1:.0%}"
    )
    bad = f"weights alone make the answer, that for {name} most ({shift:.2f} sd, {ratio - 1:.0%})"
    passed = shift <= CORRECTED and ratio <= 1 + CORRECTED
    limit = f"≤ {CORRECTED:g} sd and {CORRECTED:.0%}"
    worst = max(shift, ratio - 1)
    yield _answer("moments", worst, limit, passed, good, bad, "sample it instead")


def _edges(posterior) -> Iterator[Check]:
    """How far a mean would move by what lies beyond the draws, out to the edge of a box."""
    shares = _evidence(posterior, "beyond")
    worst = int(np.argmax(shares.values))
    share, name = float(shares.values[worst]), element_name(shares, worst, bare=True)
    good = (
        f"the density falls off before the edges (what is beyond moves no mean by {share:.1g} sd)"
    )
    bad = (
        f"the likelihood does not fall to zero out to the edge of the box of {name}: what lies "
        f"beyond the draws moves its mean by {share:.2g} sd, so that the edge sets mean and sd"
    )
    limit, remedy = f"≤ {BEYOND}", f"state a prior of {name}, or quote a limit in place of a mean"
    yield _answer("edges", share, limit, share <= BEYOND, good, bad, remedy)


def _pareto_limit(draws) -> float:
    """The k̂ up to which so many draws can be trusted (Vehtari et al. 2024)."""
    return min(1 - 1 / math.log10(draws), PARETO_K)


# --- closed forms ---------------------------------------------------------------------------------


def _conditioning(posterior) -> Iterator[Check]:
    number = np.max(_evidence(posterior, "condition_number").values)
    finding, limit = f"condition number {number:.1g}", f"≤ {CONDITION:.0e}"
    remedy = "rescale the features, or drop those that repeat others"
    yield _answer("condition", number, limit, number <= CONDITION, finding, finding, remedy)


def _moments(posterior) -> Iterator[Check]:
    """Means and variances of independent draws against the closed form, as z-scores."""
    from scipy.special import ndtri

    statistics, scores, owners = posterior["sample_stats"], [], []
    for name, variable in posterior["posterior"].data_vars.items():
        if f"{name}_closed_form_mean" not in statistics:
            continue
        draws = elements(variable)
        draws = draws.reshape(len(draws), -1)
        inner = [dim for dim in variable.dims if dim not in ("chain", "draw")]
        mean, sd = (
            statistics[f"{name}_closed_form_{moment}"].transpose(*inner).values.reshape(-1, 1)
            for moment in ("mean", "sd")
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.where((draws == mean) & (sd == 0), 0.0, (draws - mean) / sd)
            variance = np.mean(z**2, axis=1)
            noise = np.sqrt((np.mean(z**4, axis=1) / variance**2 - 1) / z.shape[1])
            # The cube root makes a sample variance nearly normal (Wilson & Hilferty 1931).
            pair = np.sqrt(z.shape[1]) * z.mean(axis=1), 3 * (np.cbrt(variance) - 1) / noise
        scores.append(np.where((z == 0).all(axis=1), 0.0, pair))
        owners += [(variable, i) for i in range(len(draws))]
    if not scores:
        raise _MissingEvidence("closed-form moments")
    scores = np.abs(np.nan_to_num(np.concatenate(scores, axis=1), nan=np.inf))
    worst, limit = scores.max(), -ndtri(MOMENTS_P / (2 * scores.size))
    moment, element = np.unravel_index(np.argmax(scores), scores.shape)
    good = f"the draws follow the closed form (|z| at most {worst:.1f} of {scores.size})"
    bad = (
        f"the {('mean', 'variance')[moment]} of {element_name(*owners[element])} is {worst:.1f} "
        f"standard errors off its closed form (limit {limit:.1f})"
    )
    remedy = "report this, since either the draws or the formula are wrong"
    yield _answer("moments", worst, f"|z| ≤ {limit:.1f}", worst <= limit, good, bad, remedy)


# --- every fit ------------------------------------------------------------------------------------


def _predictive(posterior) -> Iterator[Check]:
    """Posterior predictive p-values of the stored statistics, two-sided (Gelman et al. 1996)."""
    replica, data = (
        _evidence(posterior, name).transpose("statistic", "chain", "draw")
        for name in ("discrepancy", "discrepancy_observed")
    )
    names, replica, data = replica["statistic"].values, replica.values, data.values
    above = np.mean((replica > data) + 0.5 * (replica == data), axis=(1, 2))
    two_sided = 2 * np.minimum(above, 1 - above)
    two_sided[~np.isfinite(replica + data).all(axis=(1, 2))] = 0.0
    worst = int(np.argmin(two_sided))
    value, limit = two_sided[worst], PREDICTIVE_P / two_sided.size
    said = f"= {value:.2g}" if value else f"< {2 / data[0].size:.1g}"
    good = f"the data look like their replicas (predictive p-values from {value:.2g})"
    others = [name for name, p in zip(names, two_sided, strict=True) if p < limit]
    others = _also([name for name in others if name != names[worst]])
    bad = (
        f"the data's {names[worst]}{others} is not what the model predicts "
        f"(p {said}, limit {limit:.2g})"
    )
    remedy = posterior.attrs.get("cause") or LEFT_OUT.get(
        names[worst], "see in the predictive figures what the model leaves out"
    )
    yield _answer("predictive p", value, f"≥ {limit:.2g}", value >= limit, good, bad, remedy)


def _also(names):
    return f" (and {', '.join(names)})" if names else ""


def _truth(posterior) -> Iterator[Check]:
    """What is known beforehand must lie among the draws as one of them would.

    Averaged over prior and data, the truth is one more draw. So the draws themselves say how many
    of its elements the 95 % intervals may miss, however they are correlated, and how far the
    farthest of them may lie: each is a chance of one in a thousand.
    """
    known = {n: value for n, value in true_values(posterior).items() if math.isfinite(value)}
    if not known:
        return
    names = dict.fromkeys(name.partition("[")[0] for name in known)
    draws = {}
    for variable in (posterior["posterior"][name] for name in names):
        draws |= dict(zip(element_names(variable), elements(variable), strict=True))
    rows = np.stack([draws[name].ravel() for name in known])
    remedy = "look for what the model or its prior leaves out, since the truth is not as it says"
    yield _among(rows, known, "truth", "known", remedy)
    values = np.array(list(known.values()))
    count = np.count_nonzero(values)
    if 0 < count < values.size / 2:  # a sparse truth, whose zeros would hide the rest
        covered, fewest = diagnostics.largest_covered(rows, values)
        finding = f"{covered} of {count} known values that are not zero lie within theirs"
        yield _answer(
            "truth that is not zero",
            covered,
            f"≥ {fewest} of {count}",
            covered >= fewest,
            finding,
            f"only {finding}",
            remedy,
        )


def _held_out(posterior) -> Iterator[Check]:
    """Data that were held out must lie among those predicted, as one of these would."""
    if "predictions" not in posterior.children:
        return
    seen = posterior["predictions_constant_data"].data_vars
    drawn = posterior["predictions"].data_vars
    names = [n for n in drawn if n in seen and seen[n].dims == drawn[n].dims[2:]]
    if not names:
        return
    known = {
        label: float(value)
        for name in names
        for label, value in zip(element_names(drawn[name]), seen[name].values.ravel(), strict=True)
    }
    rows = np.concatenate([elements(drawn[name]) for name in names])
    remedy = "look for what the model leaves out, since it does not foretell what it has not seen"
    yield _among(rows.reshape(len(rows), -1), known, "held out", "held-out", remedy)


def _among(draws, known, name, kind, remedy) -> Check:
    """Whether known values, by label, lie among draws (element, draw) as a draw would."""
    found = diagnostics.coverage(draws, np.array(list(known.values())))
    few, far = found.covered < found.fewest, found.p_farthest < TRUTH_P
    count = f"{found.covered} of {len(known)}"
    good = f"{count} {kind} values lie within their 95 % intervals"
    bad = f"only {good}" if few else good
    if far:
        farthest = list(known)[found.farthest]
        bad += f", and {farthest} lies {found.distance:.1f} posterior sd from its {kind} value"
    threshold = f"≥ {found.fewest} of {len(known)}"
    return _answer(name, found.covered, threshold, not (few or far), good, bad, remedy)


def _declared(question, posterior) -> Iterator[Check]:
    """A question that the family declared and stored with the fit."""
    values = _evidence(posterior, question.variable)
    values = values.transpose("chain", "draw", ..., missing_dims="ignore")
    worst = int((np.argmin if question.worst == "min" else np.argmax)(values.values))
    each = math.prod(n for dim, n in values.sizes.items() if dim not in ("chain", "draw"))
    value, name = float(values.values.ravel()[worst]), element_name(values, worst % each, bare=True)
    good, limit = question.said.format(value=value, name=name), f"{question.limit:g}"
    passed, bad = question.answered(value), f"{good} (limit {limit})"
    yield _answer(
        question.name,
        value,
        f"{question.relation} {limit}",
        passed,
        good,
        bad,
        question.remedy,
        question.required,
    )


def _leave_one_out(posterior) -> Iterator[Check]:
    result = loo(posterior)
    shape, limit = result["pareto_k"], _pareto_limit(result["draws"])
    worst, count = np.max(shape), np.sum(shape > limit)
    good = f"no single observation decides (LOO k̂ at most {worst:.2f})"
    bad = (
        f"{count} of {shape.size} observations are too influential for LOO "
        f"(k̂ {worst:.2f} at {result['names'][int(np.argmax(shape))]})"
    )
    remedy = "look at these observations"
    limit = f"≤ {limit:.2f}"
    yield _answer("LOO k̂", worst, limit, count == 0, good, bad, remedy, required=False)


def loo(posterior: xr.DataTree) -> dict:
    """Leave-one-out cross-validation by Pareto-smoothed importance sampling.

        elpd = Σ_i log p(y_i | y_{-i})

    Where coefficients can be integrated out the fit stores NAME_marginal beside NAME in
    ``log_likelihood``, and that is used: its importance ratios have far lighter tails.

    Parameters
    ----------
    posterior : an InferenceData.

    Returns
    -------
    ``elpd`` and its standard error ``se``, ``p`` (effective number of parameters), the arrays
    ``pointwise`` and ``pareto_k`` (observation), the observations' ``names`` and the number of
    ``draws``.

    References
    ----------
    Vehtari, Gelman & Gabry, Statistics and Computing 27, 1413 (2017),
    doi:10.1007/s11222-016-9696-4.
    """
    from scipy.special import logsumexp

    group = posterior["log_likelihood"].data_vars
    if not group:
        raise _MissingEvidence("log_likelihood")
    chosen = [group[name] for name in group if f"{name}_marginal" not in group]
    names = [name for one in chosen for name in observation_names(one)]
    values = np.concatenate([elements(variable) for variable in chosen])
    values = values.reshape(len(values), -1)
    weights, shape = diagnostics.smoothed_weights(-values)
    pointwise = logsumexp(weights + values, axis=1)
    within = logsumexp(values, axis=1) - math.log(values.shape[1])
    return {
        "elpd": float(pointwise.sum()),
        "se": float(np.sqrt(pointwise.size) * np.std(pointwise)),
        "p": float(np.sum(within - pointwise)),
        "pointwise": pointwise,
        "pareto_k": shape,
        "names": names,
        "draws": values.shape[1],
    }


def _prior_sensitivity(posterior) -> Iterator[Check]:
    """Power-scaling sensitivity of the small variables, to the prior and to the likelihood.

    Kallioinen, Paananen, Bürkner & Vehtari, Statistics and Computing 34, 57 (2024),
    doi:10.1007/s11222-023-10366-5.
    """
    likelihood = posterior["log_likelihood"].data_vars
    own = [name for name in likelihood if not name.endswith("_marginal")]
    factors = posterior["log_prior"].data_vars
    for name, found in (("log_likelihood", own), ("log_prior", factors)):
        if not found:
            raise _MissingEvidence(name)
    top = json.loads(posterior.attrs.get("hyperparameters", "null")) or list(factors)
    to_data = _power_scaling(sum(elements(likelihood[name]).sum(axis=0) for name in own))
    to_prior = _power_scaling(sum(elements(factors[name]).sum(axis=0) for name in top))
    found = [
        (to_prior(draws), to_data(draws), element_name(variable, i))
        for variable in (posterior["posterior"][name] for name in reported(posterior))
        if variable[0, 0].size <= SMALL
        for i, draws in enumerate(elements(variable))
        if np.ptp(draws) > 0
    ]
    if found:
        worst, data, name = max(found)
        why = "pulls against the data" if data >= PRIOR_SENSITIVITY else "outweighs the data"
        more = sum(prior >= PRIOR_SENSITIVITY for prior, _, _ in found) - 1
        others = f" and of {more} more" if more > 0 else ""
        good = f"the priors hardly matter (sensitivity at most {worst:.2g})"
        bad = f"the prior of {name}{others} {why} (sensitivity {worst:.2g})"
        limit, passed = f"< {PRIOR_SENSITIVITY}", worst < PRIOR_SENSITIVITY
        remedy = "be ready to defend the prior"
        yield _answer("prior", worst, limit, passed, good, bad, remedy, required=False)


def _power_scaling(log_factor, step=0.01):
    """A function from draws to how much a power of one factor moves their distribution."""
    from arviz_stats.base import array_stats

    if np.ptp(log_factor) < 1e-9:  # raising a flat factor to a power changes nothing
        return lambda draws: 0.0
    powers = 1 / (1 + step), 1 + step
    weights = [
        np.exp(diagnostics.smoothed_weights((power - 1) * log_factor.ravel())[0])
        for power in powers
    ]
    weights = [weight.reshape(log_factor.shape) for weight in weights]
    return lambda draws: float(array_stats.power_scale_sense(draws, *weights, *powers))


QUESTIONS = {
    "mixing": _mixing,
    "divergences": _divergences,
    "energy": _energy,
    "length": _length,
    "acceptance": _acceptance,
    "gradient": _gradient,
    "hessian": _hessian,
    "starts": _starts,
    "importance weights": _importance_weights,
    "resampling": _resampling,
    "edges": _edges,
    "conditioning": _conditioning,
    "moments": _moments,
    "predictive check": _predictive,
    "leave-one-out": _leave_one_out,
    "truth": _truth,
    "held out": _held_out,
    "prior sensitivity": _prior_sensitivity,
}
EVERY_FIT = ("predictive check", "truth", "held out", "leave-one-out", "prior sensitivity")


# --- labelled arrays ------------------------------------------------------------------------------


def elements(variable: xr.DataArray) -> np.ndarray:
    """Return draws as a plain array, (element, chain, draw), elements in C order."""
    array = variable.transpose("chain", "draw", ...).values.astype(float, copy=False)
    return np.moveaxis(array.reshape(*array.shape[:2], -1), 2, 0)


def element_name(variable: xr.DataArray, element: int, bare: bool = False) -> str:
    """Return what people call one element, ``J[3, 7]``, or ``3, 7`` where ``bare``."""
    name = list(element_names(variable))[element]
    return name.removeprefix(f"{variable.name}[").removesuffix("]") if bare else name

"""Responses other than normal: heavy tails, counts, outcomes; their mean is a function of Xf.

    y_i ~ p(y | mean_i),   mean = g⁻¹(η),   η = Xf + Σ_k z_k α_k + o

with g the identity (Student), the logarithm (Poisson, negative binomial) or the log odds
(Bernoulli, and binomial, whose mean is that of one trial times their number). All else is a
``Regression``: coefficients, priors, terms, names. Nelder & Wedderburn, J. R. Stat. Soc. A 135, 370
(1972), doi:10.2307/2344614.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from bayesinf.errors import DataError
from bayesinf.models import likelihoods
from bayesinf.models.likelihoods import NOISE, NORMAL, TRIALS, Likelihood
from bayesinf.models.linear import routes
from bayesinf.models.linear.definition import Regression
from bayesinf.models.linear.stating import PRIORS, regression
from bayesinf.models.problem import Route
from bayesinf.priors import Normal
from bayesinf.priors.terms import Terms
from bayesinf.priors.weights import WeightPrior

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LINKS", "RESPONSES", "Generalised", "Link", "generalised"]

LARGEST = 40.0  # of a logarithm of a rate, whose draws are finite numbers then
COUNTED = ("poisson", "negbinomial", "binomial")
WIDE = 2.0  # prior sd of what is not shrunk, in the reach of its link


@dataclass(frozen=True)
class Link:
    """How the mean follows from the linear predictor η, and what the data say of η.

    ``known`` is what the likelihood needs besides the mean: parameters of its own, trials.

    Parameters
    ----------
    latex : of the mean, with a place for η.
    symbolic : name of the inverse among PyMC's functions.
    inverse : η to the mean, of one trial where there are several.
    log_density : (η, y, known) to log p(y | η) for each, without what depends on y alone.
    slope, curvature : the same to d log p / dη and −d² log p / dη².
    reach : how far η spreads in data of any interest.
    start : mean of the data to the η of a model without features.
    alike : offsets, (observation,), to the one that makes the same mean of the data in all rows.
    """

    latex: str
    symbolic: str
    inverse: Callable
    log_density: Callable
    slope: Callable
    curvature: Callable
    reach: float
    start: Callable
    alike: Callable


def _rate(eta, largest=LARGEST):
    return np.exp(np.minimum(eta, largest))


def _share(eta):
    return scipy.special.expit(eta)


LOG = Link(
    r"\exp({})",
    "exp",
    _rate,
    lambda eta, y, known: y * eta - _rate(eta, 500.0),
    lambda eta, y, known: y - _rate(eta),
    lambda eta, y, known: _rate(eta, 500.0),
    1.0,
    lambda mean: float(np.log(max(mean, 1e-3))),
    lambda offset: float(scipy.special.logsumexp(offset) - np.log(len(offset))),
)


def _excessive(eta, y, known):
    """Log density of counts whose rates are e^η times a gamma variable of mean 1, shape r."""
    shape = 1 / known["noise_excess"]
    with np.errstate(over="ignore"):
        rising = np.where(  # Γ(y + r) / (Γ(r) r^y), whose logarithm cancels where r is large
            shape > 1e6,
            y * (y - 1) / (2 * shape),
            scipy.special.gammaln(y + shape) - scipy.special.gammaln(shape) - y * np.log(shape),
        )
    return rising + y * eta - (y + shape) * np.logaddexp(0.0, eta - np.log(shape))


def _excessive_slope(eta, y, known):
    shape = 1 / known["noise_excess"]
    return y - (y + shape) * scipy.special.expit(eta - np.log(shape))


def _excessive_curvature(eta, y, known):
    shape = 1 / known["noise_excess"]
    above = eta - np.log(shape)
    return (y + shape) * scipy.special.expit(above) * scipy.special.expit(-above)


LOG_EXCESS = replace(
    LOG, log_density=_excessive, slope=_excessive_slope, curvature=_excessive_curvature
)
LOGIT = Link(
    r"1 / (1 + e^{{-{}}})",
    "sigmoid",
    _share,
    lambda eta, y, known: y * eta - known.get(TRIALS, 1.0) * np.logaddexp(0.0, eta),
    lambda eta, y, known: y - known.get(TRIALS, 1.0) * scipy.special.expit(eta),
    lambda eta, y, known: known.get(TRIALS, 1.0) * _share(eta) * _share(-eta),
    2.5,
    lambda mean: float(scipy.special.logit(np.clip(mean, 1e-3, 1 - 1e-3))),
    lambda offset: float(np.mean(offset)),  # to first order
)
LINKS = {"poisson": LOG, "negbinomial": LOG_EXCESS, "bernoulli": LOGIT, "binomial": LOGIT}
RESPONSES: dict[str, type[Likelihood]] = {
    "normal": likelihoods.Normal,
    "student": likelihoods.Student,
    "poisson": likelihoods.Poisson,
    "negbinomial": likelihoods.NegativeBinomial,
    "bernoulli": likelihoods.Bernoulli,
    "binomial": likelihoods.Binomial,
}


@dataclass(frozen=True)
class Generalised(Regression):
    """A regression whose data scatter about g⁻¹(η) as a likelihood says.

    Parameters
    ----------
    likelihood : ``Normal``, ``Student``, ``Poisson``, ``NegativeBinomial``, ``Bernoulli`` or
        ``Binomial`` of ``models.likelihoods``.
    trials : of each observation, (observation,), of a binomial response; None for any other.
    """

    likelihood: Likelihood = NORMAL
    trials: np.ndarray | None = None

    @property
    def link(self) -> Link | None:
        """The link of the likelihood; None for the identity."""
        return LINKS.get(self.likelihood.name)

    @property
    def attrs(self) -> dict[str, object]:
        """The response, without which a file could not be predicted from."""
        return {**super().attrs, "likelihood": self.likelihood.name}

    @property
    def model(self) -> str:
        """Names of response and prior."""
        prior = "several terms" if isinstance(self.prior, Terms) else super().model
        return f"{self.likelihood.name} response, {prior}"

    @property
    def equation(self) -> str:
        """The model in LaTeX."""
        eta = r"X\beta" + (r" + Z\alpha" if self.unshrunk else "")
        mean = eta if self.link is None else self.link.latex.format(r"\eta_i")
        said = self.likelihood.equation.replace(r"f(x_i)", "f_i").split(r",\ f")[0]
        bars = said if self.error is None else said.replace(r"\sigma_i^2", r"\sigma^2 e_i^2")
        bars = bars.replace(r"\sigma_i^2", r"\sigma^2")
        eta += "" if self.offset is None else " + o"
        rest = "" if self.link is None else rf",\quad \eta = {eta}"
        return (
            rf"{bars},\quad f = {mean}{rest}"
            if self.link is None
            else (rf"{bars},\quad f_i = {mean}{rest}")
        )

    def mean(self, draws):
        """Mean of y, g⁻¹(η), (..., observation)."""
        return self.responding(super().mean(draws))

    def responding(self, eta: np.ndarray) -> np.ndarray:
        """Mean of y at the linear predictor η."""
        if self.link is None:
            return eta
        mean = self.link.inverse(eta)
        return mean if self.trials is None else self.trials * mean

    def scatter(self, draws):
        """Return what the likelihood needs besides the mean."""
        own = {name: np.asarray(draws[name])[..., np.newaxis] for name in self.likelihood.own}
        own |= {} if self.trials is None else {TRIALS: self.trials}
        return {NOISE: self.noise_sd(draws), **own} if self.likelihood.noisy else own

    def goodness(self, spread):
        """Return χ² of the posterior mean, of data with normal noise."""
        return super().goodness(spread) if self.likelihood.noisy else {}

    @property
    def discrepancies(self):
        """The same as of normal noise; of counts the size of their scatter has a name of its own,
        and is asked first.
        """
        asked = super().discrepancies
        if self.likelihood.name not in COUNTED:
            return asked
        return {"dispersion": asked.pop("chi-square"), **asked}

    @property
    def constants(self):
        """The features, what else is known, and the trials."""
        if self.trials is None:
            return super().constants
        row = {TRIALS: (self.names.dims[0],)}
        own = replace(self.data, dims=row).group({TRIALS: self.trials}, sampled=False)
        return super().constants.merge(own)

    @property
    def stated(self):
        """Error bars as stated; None where there are none."""
        return super().stated if self.likelihood.noisy else None

    @property
    def fixed(self):
        """What the caller has fixed."""
        return super().fixed if self.likelihood.noisy else self.prior.fixed

    @property
    def priors(self):
        """Every prior in words."""
        said = super().priors
        if not self.likelihood.noisy:
            del said["sigma"]
        return said | {name: str(prior) for name, prior in self.likelihood.own.items()}

    @property
    def hyperparameters(self):
        """Factors of the prior that are none of the coefficients'."""
        return [*super().hyperparameters, *self.likelihood.own]

    @property
    def parameters(self):
        """Labels of coefficients, scales and noise."""
        labels = super().parameters
        return replace(labels, units={**labels.units, **dict.fromkeys(self.likelihood.own, "1")})

    @property
    def routes(self) -> dict[str, Route]:
        """Gibbs steps in which scales and coefficients move together, and NUTS."""
        return routes.together()

    def sample_prior(self, rng, size):
        """Draw all parameters from the prior, (size, ...)."""
        draws = super().sample_prior(rng, size)
        return draws | {k: prior.sample(rng, size) for k, prior in self.likelihood.own.items()}

    def log_factors(self, draws):
        """Log density of each factor of the prior at each draw."""
        own = {k: prior.log_density(draws[k]) for k, prior in self.likelihood.own.items()}
        return {**super().log_factors(draws), **own}

    def _observe(self, mean, noise):
        """Add the data to the open PyMC model."""
        import pymc as pm

        own = {name: prior.pymc(name) for name, prior in self.likelihood.own.items()}
        if self.link is not None:
            mean = getattr(pm.math, self.link.symbolic)(mean)
        if self.trials is not None:
            mean, own[TRIALS] = self.trials * mean, self.trials
        self.likelihood.pymc("y", mean, {NOISE: noise, **own}, self.y)


def generalised(
    X: np.ndarray | xr.DataArray,
    y: np.ndarray | xr.DataArray,
    likelihood: str | Likelihood = "student",
    prior: str | WeightPrior = "normal",
    *,
    scales: np.ndarray | None = None,
    intercept: bool | Normal = True,
    unshrunk: Mapping[str, np.ndarray | tuple[np.ndarray, Normal | None]] | None = None,
    offset: np.ndarray | None = None,
    trials: np.ndarray | None = None,
    **options: Any,
) -> Generalised:
    """Check the data and state every prior, as ``regression`` does, for another response.

    Parameters
    ----------
    X, y : features (observation, feature) and data (observation,).
    likelihood : a name of ``RESPONSES`` or an instance.
    prior : of the weights, as for ``regression``. Where the link is none of the identity its
        defaults are those of an η that spreads by 1 (log rate) or 2.5 (log odds).
    scales : widths of the weights relative to each other; by default 1 / sd(column).
    intercept, unshrunk : as for ``regression``; with a link, priors that are left open are normal,
        about the log of the mean and about zero, twice as wide as that spread.
    offset : o, what is known of η, (observation,), as the log of an exposure; for a response with a
        link.
    trials : of which y succeeded, (observation,), for a binomial response.
    **options : as for ``regression``.

    Raises
    ------
    DataError : as of ``regression``; data that cannot be of this kind.
    """
    values, columns = np.asarray(y, dtype=float), np.asarray(X, dtype=float)
    rows = _rows(X, values)
    if isinstance(likelihood, str):
        if likelihood not in RESPONSES:
            raise DataError(
                "unknown response", expected=f"one of {', '.join(RESPONSES)}", found=likelihood
            )
        likelihood = _of(likelihood, values, rows)
    link = LINKS.get(likelihood.name)
    trials = _tried(trials, values, likelihood.name, rows)
    if offset is not None:
        offset = _known(offset, values, likelihood.name)
    if link is not None:
        if options.get("error") is not None:
            raise DataError(
                f"data of a {likelihood.name} response have no error bars",
                remedy="leave the error out, or take a normal or student response",
            )
        prior = PRIORS[prior]() if isinstance(prior, str) else prior
        prior = prior.resolve(link.reach, columns.shape[1])
        wide = WIDE * link.reach
        unshrunk = {k: _with_prior(column, wide) for k, column in (unshrunk or {}).items()}
        options["noise"] = 1.0
    if scales is None:
        spread = columns.std(axis=0)
        scales = 1 / np.where(spread > 0, spread, 1.0)
    stated = regression(
        X, y, prior, scales=scales, intercept=intercept, unshrunk=unshrunk, **options
    )
    if link is not None and intercept is True:
        column, _ = stated.unshrunk["intercept"]
        mean = values.sum() / (values.size if trials is None else trials.sum())
        start = link.start(float(mean)) - (0.0 if offset is None else link.alike(offset))
        own = Normal(start, wide)
        stated = replace(stated, unshrunk={**stated.unshrunk, "intercept": (column, own)})
    parts = {field.name: getattr(stated, field.name) for field in fields(Regression)}
    parts["offset"] = offset
    return Generalised(**parts, likelihood=likelihood, trials=trials)


def _rows(X, y):
    """What the rows are called: by the features' coordinate, else by their positions."""
    named = X[X.dims[0]].values if getattr(X, "dims", None) else ()
    return named if len(named) == len(y) else np.arange(len(y))


def _tried(trials, y, response, rows):
    """How many trials each count is of, of a response that takes them."""
    if response != likelihoods.Binomial.name:
        if trials is None:
            return None
        raise DataError(f"a {response} response has no trials", expected="a binomial response")
    if trials is None:
        raise DataError(
            "nobody says of how many trials the counts are",
            expected="trials, one number for each observation",
            remedy="a single trial each is a bernoulli response",
        )
    trials = np.asarray(trials, dtype=float)
    if trials.shape != y.shape:
        raise DataError(
            "the trials do not fit the data",
            expected=f"{len(y)} numbers",
            found=f"shape {trials.shape}",
        )
    if np.any(bad := (trials < 1) | (trials != np.round(trials)) | (y > trials)):
        row = int(np.argmax(bad))
        raise DataError(
            "counts of trials that cannot be",
            where=f"row {rows[row]}",
            expected="whole numbers, one trial at least, and no more counts than trials",
            found=f"{y[row]:.6g} of {trials[row]:.6g}",
        )
    return trials


def _known(offset, y, response):
    """An offset that is one number for each observation, of a response that takes one."""
    offset = np.asarray(offset, dtype=float)
    if response not in LINKS:
        raise DataError(
            f"a {response} response has no offset",
            expected=f"a response with a link: {', '.join(LINKS)}",
            remedy="take what is known off the data",
        )
    if offset.shape != y.shape or not np.all(np.isfinite(offset)):
        raise DataError(
            "the offset does not fit the data",
            expected=f"{len(y)} finite numbers",
            found=f"shape {offset.shape}"
            if offset.shape != y.shape
            else f"{offset[~np.isfinite(offset)][0]} at row {np.argmin(np.isfinite(offset))}",
        )
    return offset


def _of(name, y, rows):
    """The likelihood of that name; data that cannot be of this kind are refused."""
    if name in COUNTED and np.any(other := (y < 0) | (y != np.round(y))):
        row = int(np.argmax(other))
        raise DataError(
            f"a {name} response is of counts",
            where=f"row {rows[row]}",
            expected="whole numbers that are not negative",
            found=f"{y[row]:.6g}",
            remedy="take the raw counts, or a normal or student response",
        )
    return RESPONSES[name].of(np.arange(len(y)), y)


def _with_prior(column, wide):
    """A column and its prior, that of a link where none is stated."""
    column, prior = column if isinstance(column, tuple) else (column, None)
    size = float(np.sqrt(np.mean(np.square(column)))) or 1.0
    return column, prior or Normal(0.0, wide / size)

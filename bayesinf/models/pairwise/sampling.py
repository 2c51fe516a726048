"""States of a pairwise model of any number of sites, by Markov chains, and averages over them.

Beyond the reach of enumeration a model is known by its samples. ``sample`` draws them by heat bath
or Metropolis sweeps, measures for how many sweeps they remember, and thins accordingly;
``feature_moments`` and ``feature_covariance`` are the sampled gradient of log Z and its Hessian,
the Fisher information; ``annealed_log_partition`` is log Z itself, with its error.

Inside, whatever the encoding, sites are on or off, 0/1: there the fields are log odds, and moments
are counts, which bits add up exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models.binary import ENCODINGS, convert, known, matrix, pairs, sites_of
from bayesinf.models.pairwise.enumeration import pack, unpack

DYNAMICS = ("heat bath", "metropolis")
SMALL = 2**22  # visits of sites below which threads cost more than they give
PILOT = 32  # sweeps of the first pilot; each further one is as long as all before it
LONGEST = 2**13  # sweeps of all pilots together
RESOLVED = 20  # autocorrelation times that the last pilot lasts
REMEMBERED = 0.05  # correlation of kept states that thinning leaves
WINDOW = 5  # autocorrelation times over which correlations are summed
LOOKED_AT = 2**10  # draws of each chain whose correlations are measured
WATCHED = 4  # sites, and random projections, whose correlations are measured
STEPS, MOST_STEPS = 64, 2**15  # annealing: intermediate distributions at first and at most
SCOUTS = 2**11  # states whose means annealing starts from
PRECISE = 0.02  # standard error of log Z that is aimed at


@dataclass(frozen=True)
class SampledStates:
    """States drawn by independent chains.

    Parameters
    ----------
    states : int8 (sample, site), all of the first chain, then of the second, ...:
        ``states.reshape(chains, -1, sites)`` parts them.
    encoding : "±1" or "0/1".
    thin : sweeps between kept states.
    tau : integrated autocorrelation time 1 + 2 Σ_t ρ(t) in sweeps, 1 where each is independent: the
        largest over energy, number of sites that are on, the direction of the strongest couplings,
        random projections and sites. Measured sweep by sweep where a pilot ran, else among the kept
        states, where it cannot be below ``thin``.
    inefficiency : the same of the kept states, counted in these.
    flips : share of visits at which a site changed.
    last : int8 (chain, site), where the chains ended: the ``start`` of those to follow.
    """

    states: np.ndarray
    encoding: str
    thin: int
    tau: float
    inefficiency: float
    flips: float
    last: np.ndarray

    @property
    def chains(self) -> int:
        """Number of chains."""
        return len(self.last)

    @property
    def effective(self) -> float:
        """Number of independent states that would be worth as much."""
        return len(self.states) / self.inefficiency


@dataclass(frozen=True)
class Bias:
    """A log weight of states by how many of their sites are as in a pattern.

    One that makes these levels equally likely, a multicanonical one, lets chains pass between
    phases which those of the model itself would not leave.

    Parameters
    ----------
    pattern : bool (site,), which sites are on in it; all, to count those that are on.
    levels : (N + 1,), added to log P of states with 0, 1, ... N such sites.

    References
    ----------
    Berg & Neuhaus, Phys. Rev. Lett. 68, 9 (1992), doi:10.1103/PhysRevLett.68.9.
    """

    pattern: np.ndarray
    levels: np.ndarray

    @classmethod
    def none(cls, sites: int) -> Bias:
        """No weight at all."""
        return cls(np.ones(sites, dtype=bool), np.zeros(sites + 1))

    def level(self, on: np.ndarray) -> np.ndarray:
        """Count the sites of states (state, site), 1 or True where on, that are as in it."""
        return np.count_nonzero((on == 1) == self.pattern, axis=1)


def sample(
    theta: np.ndarray,
    encoding: str,
    count: int,
    *,
    rng: np.random.Generator,
    chains: int = 64,
    thin: int | None = None,
    burn: int | None = None,
    start: np.ndarray | None = None,
    dynamics: str = "heat bath",
    bias: Bias | None = None,
    workers: int | None = None,
) -> SampledStates:
    """Draw states by independent Markov chains.

        P(s_i | others) = σ(Δ h_i + Δ Σ_j J_ij s_j),   Δ = 2 for ±1, 1 for 0/1

    A heat bath visits the sites in turn and draws each from that; Metropolis visits sites at
    random and flips with probability min(1, P(flipped) / P). A sweep is as many visits as sites.

    Without ``burn``, pilots run, each as long as all before it, until the last is 20 τ long (or
    2¹³ sweeps are over), and they are the burn-in. Without ``thin`` their τ decides it: kept states
    correlate by 0.05 at most, if correlations decay like φᵗ with τ = (1 + φ) / (1 − φ).

    Parameters
    ----------
    theta : (parameter,).
    encoding : "±1" or "0/1".
    count : how many states; rounded up to a multiple of the chains.
    rng : seeds every chain by itself, so the states do not depend on the workers.
    chains : how many, where ``start`` does not say it.
    thin : sweeps between kept states.
    burn : sweeps before the first.
    start : (chain, site), states to begin from: data, or ``last`` of another sample, with small
        ``thin`` and ``burn`` for persistent chains. None: every site on or off at random, so that
        chains which do not find together show as a large τ.
    dynamics : "heat bath" or "metropolis".
    bias : added to log P; states then weigh exp(−bias) in averages over the model.
    workers : threads; None takes all cores.

    Returns
    -------
    the states, and how far they are from independent ones.

    Raises
    ------
    DataError : parameters that are not finite, a start that does not fit; nothing to draw.
    FitError : an unknown dynamics.

    References
    ----------
    Sokal, in: Functional Integration (Plenum, 1997), 131, doi:10.1007/978-1-4899-0319-8_6.
    """
    h, J, _ = _on_off(theta, encoding)
    if dynamics not in DYNAMICS:
        raise FitError(f"unknown dynamics {dynamics!r}: use one of {', '.join(DYNAMICS)}")
    sites, low = h.size, ENCODINGS[encoding]
    if start is not None:
        on = np.array(start)
        if on.ndim != 2 or on.shape[1] != sites or not np.isin(on, (low, 1)).all():
            raise DataError("chains cannot start there", expected=f"{low} or 1, (chain, {sites})",
                            found=f"{on.dtype} of shape {on.shape}")  # fmt: skip
        on = (on == 1).astype(np.int8)
    else:
        on = rng.integers(0, 2, (chains, sites), dtype=np.int8)
    for name, value, least in (("count", count, 1), ("chains", len(on), 1),
                               ("thin", 1 if thin is None else thin, 1),
                               ("burn", burn or 0, 0)):  # fmt: skip
        if value != int(value) or value < least:
            raise DataError(f"{name} is out of range", expected=f"an integer ≥ {least}",
                            found=value)  # fmt: skip
    bias = bias or Bias.none(sites)
    walk = _Walk(h, J, on, low, _seeds(rng, len(on)), dynamics == "heat bath", bias, workers)
    tau = None
    if burn is not None:
        walk.advance(burn=burn)
    if burn is None or thin is None:
        tau = _pilot(walk, theta)
        if thin is None:
            memory = (tau - 1) / (tau + 1)
            thin = max(1, int(np.ceil(np.log(REMEMBERED) / np.log(memory)))) if memory > 0 else 1
    kept, flips = walk.advance(draws=-(-count // len(on)), thin=thin)
    inefficiency = _inefficiency(kept[:, :LOOKED_AT], theta)
    return SampledStates(
        states=kept.reshape(-1, sites),
        encoding=encoding,
        thin=thin,
        tau=thin * inefficiency if tau is None else tau,
        inefficiency=inefficiency,
        flips=flips,
        last=np.where(walk.on, 1, low).astype(np.int8),
    )


class _Walk:
    """Chains that go on from where they are."""

    def __init__(self, h, J, on, low, seeds, heat, bias, workers):
        self.h, self.J, self.on, self.low, self.seeds = h, J, on, low, seeds
        self.heat, self.workers = heat, workers
        self.toward = np.where(bias.pattern, 1.0, -1.0)
        # Beyond its ends, where no flip can lead, the bias is never felt.
        self.rise = np.diff(bias.levels, prepend=0.0, append=0.0)

    def advance(self, draws=0, thin=1, burn=0):
        """States (chain, draw, site), and the share of visits at which a site flipped."""
        from bayesinf.models.pairwise import sampling_kernel as kernel

        kept = np.empty((len(self.on), draws, self.h.size), np.int8)
        run = lambda part: kernel.run(
            self.h, self.J, self.on[part], self.seeds[part], self.heat, self.toward, self.rise,
            burn, thin, self.low, kept[part],
        )  # fmt: skip
        sweeps = burn + draws * thin
        flips = _spread(run, len(self.on), sweeps * self.h.size, self.workers)
        return kept, sum(flips) / max(1, kept.size * thin)


def _pilot(walk, theta):
    """Run until the last pilot is long enough; the autocorrelation time in sweeps."""
    walk.advance(burn=PILOT)
    length = PILOT
    while True:
        kept, _ = walk.advance(draws=length)
        tau = _inefficiency(kept, theta)
        if length >= RESOLVED * tau or 2 * length >= LONGEST:
            return tau
        length *= 2


def _inefficiency(kept, theta):
    """Largest autocorrelation time, in draws, of states (chain, draw, site)."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # matrices are small: threads would wait for each other
        return float(max(1.0, autocorrelation_time(_watched(kept, theta)).max()))


def _watched(kept, theta):
    """Series (series, chain, draw) of states, among which the slow ones should be."""
    chains, draws, sites = kept.shape
    h, J = unpack(theta)
    J = matrix(J, sites)
    rng = np.random.default_rng(0)  # the same directions for the same sites
    some = rng.choice(sites, min(WATCHED, sites), replace=False)
    directions = np.column_stack([
        np.ones(sites), np.linalg.eigh(J)[1][:, -1], rng.standard_normal((sites, WATCHED)),
        np.eye(sites)[:, some], h, J,
    ])  # fmt: skip
    result = np.empty((directions.shape[1] - sites, chains, draws))
    for chain in range(chains):  # by parts, as doubles take eight times the place
        states = kept[chain].astype(float)
        along = states @ directions
        result[:-1, chain] = along[:, : -sites - 1].T
        result[-1, chain] = along[:, -sites - 1] + 0.5 * np.sum(along[:, -sites:] * states, axis=1)
    return result


def autocorrelation_time(series: np.ndarray) -> np.ndarray:
    """Integrated autocorrelation times of series of which each chain has a part.

        τ = 1 + 2 Σ_{t=1}^{W} ρ(t),   W the least with W ≥ 5 τ

    The mean is that of all chains, so chains that stay apart count as correlated.

    Parameters
    ----------
    series : (series, chain, draw).

    Returns
    -------
    τ in draws, (series,); 1 for a constant.
    """
    from scipy import fft

    length = series.shape[-1]
    centred = series - series.mean(axis=(1, 2), keepdims=True)
    padded = fft.next_fast_len(2 * length, real=True)
    spectrum = fft.rfft(centred, padded, axis=-1)
    power = np.mean(spectrum.real**2 + spectrum.imag**2, axis=1)
    covariance = fft.irfft(power, padded, axis=-1)[:, :length]
    variance = covariance[:, :1]
    scale = np.mean(series**2, axis=(1, 2))[:, None] * length
    moving = variance > 1e-20 * scale
    rho = np.where(moving, covariance / np.where(moving, variance, 1.0), 0.0)
    rho[:, 0] = 1.0
    taus = 2 * np.cumsum(rho, axis=-1) - 1
    inside = np.arange(length) < WINDOW * taus
    window = np.where(inside.all(axis=-1), length - 1, np.argmin(inside, axis=-1))
    return taus[np.arange(len(taus)), window]


def feature_moments(states: np.ndarray, encoding: str) -> np.ndarray:
    """Average states and products of their pairs.

        φ = (⟨s_i⟩, ⟨s_i s_j⟩)

    Parameters
    ----------
    states : (sample, site), in the encoding; not checked again.
    encoding : "±1" or "0/1".

    Returns
    -------
    φ, (parameter,), of counts that are exact.
    """
    from bayesinf.models.pairwise import sampling_kernel as kernel

    rows, sites = _bits(states), states.shape[1]
    result = np.empty((sites, sites), np.int64)
    kernel.counts(rows, len(rows), 0, _scratch(rows), result)
    i, j = pairs(sites)
    on, both, count = np.diag(result), result[i, j], len(states)
    if known(encoding) == "±1":
        on, both = 2 * on - count, 4 * both - 2 * on[i] - 2 * on[j] + count
    return pack(on / count, both / count)


def feature_covariance(states: np.ndarray, encoding: str, workers: int | None = None) -> np.ndarray:
    """Covariance of the statistics of one state, for states of the model its Fisher information.

        F = ⟨φ φᵀ⟩ − ⟨φ⟩⟨φ⟩ᵀ

    A product of four sites that are on is a bit in each of four columns: among the states in which
    i and j are on, the counts of all other pairs are a row of ⟨φ φᵀ⟩. Each site is counted in the
    rarer of its two values, which takes fewest states, and F carried over to the encoding.

    Parameters
    ----------
    states : (sample, site), in the encoding; not checked again.
    encoding : "±1" or "0/1".
    workers : threads; None takes all cores.

    Returns
    -------
    F, (parameter, parameter), which is nearly all of the memory that it takes: 8 P² bytes, 1.3 GB
    for 160 sites; beside it the states in bits, up to three times for each worker.
    """
    from bayesinf.models.pairwise import sampling_kernel as kernel

    sites, off = states.shape[1], ENCODINGS[known(encoding)]
    rows = _bits(states)
    often = np.mean(states == 1, axis=0) > 0.5
    rows ^= _bits(often[None])
    # s = off + (1 − off) n, with n = 1 − m where m counts the samples in which a site is off.
    offset = np.where(often, 1.0, off)
    factor = (1.0 - off) * np.where(often, -1.0, 1.0)
    both = np.empty((sites, sites), np.int64)
    kernel.counts(rows, len(rows), 0, _scratch(rows), both)
    phi = pack(np.diag(both), both[pairs(sites)]) / len(rows)
    result = np.empty((phi.size, phi.size))
    _spread(lambda part: [kernel.covariance_rows(rows, i, phi, result)
                          for i in range(part.start, part.stop)],
            sites, sites**2 * len(rows), workers, each=True)  # fmt: skip
    by_rows = lambda task, *given: _spread(
        lambda part: task(result, *given, part.start, part.stop), phi.size, phi.size**2, workers
    )
    by_rows(kernel.mirror)
    if off or often.any():
        by_rows(kernel.recode_columns, offset, factor)
        by_rows(kernel.recode_rows, offset, factor)
        by_rows(kernel.mirror)  # what rounding took from its symmetry
    return result


def moment_errors(drawn: SampledStates) -> np.ndarray:
    """Sampling errors of the moments of a sample, from how far its chains are apart.

        se² = Σ_c (φ_c − φ)² / (C (C − 1))

    Chains are independent, so whatever the correlations along them this is right; to some 9 % for
    64 chains.

    Parameters
    ----------
    drawn : of at least two chains.

    Returns
    -------
    standard errors of ``feature_moments(drawn.states, drawn.encoding)``, (parameter,).

    Raises
    ------
    DataError : a single chain.
    """
    if drawn.chains < 2:
        raise DataError("the spread of chains takes two", expected="chains ≥ 2", found=1)
    each = drawn.states.reshape(drawn.chains, -1, drawn.states.shape[1])
    phi = np.array([feature_moments(states, drawn.encoding) for states in each])
    return phi.std(axis=0, ddof=1) / np.sqrt(drawn.chains)


def annealed_log_partition(
    theta: np.ndarray,
    encoding: str,
    *,
    rng: np.random.Generator,
    means: np.ndarray | None = None,
    chains: int = 1000,
    steps: int | None = None,
    workers: int | None = None,
) -> tuple[float, float, float]:
    """Estimate log Z by annealed importance sampling.

        Z / Z₀ = ⟨w⟩,   log w = Σ_t (β_{t+1} − β_t) (θ − θ₀) · φ(s_t),   θ_t = θ₀ + β_t (θ − θ₀)

    Each chain begins at a state of independent sites, θ₀, whose Z₀ is known, and makes a heat bath
    sweep at each intermediate θ_t.

    Parameters
    ----------
    theta : (parameter,).
    encoding : "±1" or "0/1".
    rng : seeds every chain by itself, so the result does not depend on the workers.
    means : of the independent sites, (site,), in the encoding; None: of a small sample. Any are
        right; those of the model need the fewest steps.
    chains : independent weights.
    steps : intermediate distributions; None: doubled from 64 until the error is below 0.02 and half
        of the weights count, at most 2¹⁵.
    workers : threads; None takes all cores.

    Returns
    -------
    log Z in the encoding, its standard error by the delta method, sd(w) / (⟨w⟩ √chains), and the
    effective number of weights (Σ w)² / Σ w²; where that is small, the error is not to be trusted.

    Raises
    ------
    DataError : parameters that are not finite, means that no sites have; fewer than two chains.

    References
    ----------
    Neal, Stat. Comput. 11, 125 (2001), doi:10.1023/A:1008923215028.
    """
    from scipy.special import logit, logsumexp

    from bayesinf.models.pairwise import sampling_kernel as kernel

    h, J, constant = _on_off(theta, encoding)
    if chains < 2:
        raise DataError("weights have no spread", expected="chains ≥ 2", found=chains)
    low = ENCODINGS[encoding]
    if means is None:
        drawn = sample(theta, encoding, SCOUTS, rng=rng, workers=workers)
        means = (drawn.states.sum(axis=0) + 0.5 * (1 + low)) / (len(drawn.states) + 1)
    on = (np.asarray(means, dtype=float) - low) / (1 - low)
    if on.shape != h.shape or not ((on >= 0) & (on <= 1)).all():
        raise DataError("independent sites cannot have these means",
                        expected=f"({h.size},), from {low} to 1",
                        found=f"shape {on.shape}")  # fmt: skip
    base = logit(np.clip(on, 1e-6, 1 - 1e-6))
    length = STEPS if steps is None else steps
    while True:
        seeds, log_weight = _seeds(rng, chains), np.empty(chains)
        run = lambda part: kernel.anneal(h, J, base, seeds[part], length, log_weight[part])  # noqa: B023
        _spread(run, chains, chains * length * h.size, workers)
        weight = np.exp(log_weight - log_weight.max())
        error = weight.std(ddof=1) / weight.mean() / np.sqrt(chains)
        effective = weight.sum() ** 2 / np.sum(weight**2)
        done = error <= PRECISE and effective >= chains / 2
        if steps is not None or done or length >= MOST_STEPS:
            break
        length *= 2
    log_z = np.logaddexp(0.0, base).sum() + logsumexp(log_weight) - np.log(chains)
    return float(log_z - constant), float(error), float(effective)


def _on_off(theta, encoding):
    """Fields and couplings (site, site) for 0/1, and log Z there less log Z in the encoding."""
    theta = np.asarray(theta, dtype=float)
    finite = np.isfinite(theta).all()
    if theta.ndim != 1 or not finite:
        raise DataError("parameters cannot be sampled at", expected="finite numbers (parameter,)",
                        found=f"shape {theta.shape}" if finite else "some that are not finite",
                        )  # fmt: skip
    h, J, constant = convert(*unpack(theta), encoding, "0/1")
    return h, matrix(J, sites_of(theta.size)), float(constant)


def _seeds(rng, chains):
    """Give each chain a generator's state of its own, (chain, 4)."""
    return rng.integers(0, 2**64, (chains, 4), dtype=np.uint64)


def _bits(states):
    """Pack states (sample, site) into words (sample, word), bit i for site i on."""
    packed = np.packbits(states == 1, axis=1, bitorder="little")
    wide = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), np.uint8)
    wide[:, : packed.shape[1]] = packed
    return wide.view("<u8").astype(np.uint64, copy=False)


def _scratch(rows):
    from bayesinf.models.pairwise import sampling_kernel as kernel

    return np.empty((64 * rows.shape[1], kernel.WORDS), np.uint64)


def _spread(run, count, work, workers, each=False):
    """Call ``run`` on slices of a range, several at a time; what it returned."""
    from bayesinf import parallel

    if workers == 1 or work < SMALL:
        return [run(slice(0, count))]
    step = 1 if each else max(1, count // 32)
    parts = [slice(start, min(start + step, count)) for start in range(0, count, step)]
    return parallel.map(run, parts, workers=workers, threads=True, label="states")

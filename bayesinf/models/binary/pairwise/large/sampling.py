"""States of a pairwise model with any number of sites, drawn by Markov chains.

``sample`` draws them by heat-bath sweeps, measures their autocorrelation time and thins
accordingly. A ``Bias`` lets the chains favour states that the model itself rarely visits.

Inside, whatever the encoding, sites are on or off, 0/1: then local fields are log odds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.binary import ENCODINGS, convert, matrix, sites_of
from bayesinf.models.binary.pairwise.enumeration import unpack
from bayesinf.models.binary.pairwise.large.autocorrelation import longest_time
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT, Tuning

__all__ = [
    "Bias",
    "SampledStates",
    "chain_seeds",
    "on_off_parameters",
    "over_threads",
    "sample",
]


@dataclass(frozen=True)
class SampledStates:
    """States drawn by independent chains.

    Parameters
    ----------
    states : int8 (sample, site), all of the first chain, then of the second, ...:
        ``states.reshape(chains, -1, sites)`` separates them.
    encoding : "±1" or "0/1".
    thin : sweeps between kept states.
    tau : integrated autocorrelation time 1 + 2 Σ_t ρ(t) in sweeps, 1 for independent states: the
        longest among the series of ``watched_series``. Measured sweep by sweep if a pilot ran; else
        among the kept states, where it cannot be below ``thin``.
    inefficiency : the same among the kept states, in units of these.
    flips : share of visits at which a site changed.
    last : int8 (chain, site), where the chains ended: a ``start`` from which others can go on.
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
    """A log weight of states by their level: the number of sites that agree with a pattern.

    A multicanonical bias makes all levels equally likely, so that chains pass between phases which
    those of the model itself would not leave.

    Parameters
    ----------
    pattern : bool (site,), which sites are on in it. If all are, the level counts the active sites.
    levels : (N + 1,), added to log P of states of level 0, 1, ... N.

    References
    ----------
    Berg & Neuhaus, Phys. Rev. Lett. 68, 9 (1992), doi:10.1103/PhysRevLett.68.9.
    """

    pattern: np.ndarray
    levels: np.ndarray

    @classmethod
    def none(cls, sites: int) -> Bias:
        """Return a bias of zero."""
        return cls(np.ones(sites, dtype=bool), np.zeros(sites + 1))

    def level(self, on: np.ndarray) -> np.ndarray:
        """Return the level (state,) of states (state, site), 1 or True where a site is on."""
        return np.count_nonzero((on == 1) == self.pattern, axis=1)


def sample(
    theta: np.ndarray,
    encoding: str,
    count: int,
    *,
    rng: np.random.Generator,
    chains: int = DEFAULT.chains,
    thin: int | None = None,
    burn: int | None = None,
    start: np.ndarray | None = None,
    bias: Bias | None = None,
    workers: int | None = None,
    tuning: Tuning = DEFAULT,
) -> SampledStates:
    """Draw states by independent Markov chains.

        P(s_i = 1 | others) = σ(Δ h_i + Δ Σ_j J_ij s_j),   Δ = 2 for ±1, 1 for 0/1

    The heat bath draws one site after the other from this; a sweep visits each site once.

    Parameters
    ----------
    theta, encoding : (parameter,), and "±1" or "0/1".
    count : number of states, rounded up to a multiple of the chains.
    rng : seeds each chain separately, so the states do not depend on the workers.
    chains : their number, where ``start`` does not tell it.
    thin : sweeps between kept states. None: such that they correlate by 0.05 at most.
    burn : sweeps before the first state. None: pilot runs, each as long as all before it, until the
        last is 20 τ long or 2¹³ sweeps are over.
    start : (chain, site), such as ``last`` of another sample. None: random states, so that chains
        stuck in different phases show as a large τ.
    bias : what is added to log P; averages over the model then take it back by weights exp(−bias).
    workers : threads; None takes all cores.

    Raises
    ------
    DataError : parameters that are not finite, a start that does not fit, nothing to draw.
    """
    h, J, _ = on_off_parameters(theta, encoding)
    on = _starting_states(start, chains, h.size, encoding, rng)
    _check_lengths(count=count, chains=len(on), thin=1 if thin is None else thin, burn=burn or 0)
    bias = bias or Bias.none(h.size)
    seeds = chain_seeds(rng, len(on))
    walk = _Chains(h, J, on, ENCODINGS[encoding], seeds, bias, workers, tuning)
    tau = None
    if burn is not None:
        walk.advance(burn=burn)
    if burn is None or thin is None:
        tau = _run_pilots(walk, theta, tuning)
    thin = _thinning(tau, tuning) if thin is None else thin
    states, flips = walk.advance(draws=-(-count // len(on)), thin=thin)
    inefficiency = longest_time(states[:, : tuning.measured_draws], theta, tuning)
    tau = thin * inefficiency if tau is None else tau
    states = states.reshape(-1, h.size)
    return SampledStates(states, encoding, thin, tau, inefficiency, flips, walk.states)


def _starting_states(start, chains, sites, encoding, rng):
    """States (chain, site), 1 where on, from which the chains begin."""
    if start is None:
        return rng.integers(0, 2, (chains, sites), dtype=np.int8)
    states, low = np.array(start), ENCODINGS[encoding]
    if states.ndim != 2 or states.shape[1] != sites or not np.isin(states, (low, 1)).all():
        raise DataError(
            "chains cannot start there",
            expected=f"{low} or 1, (chain, {sites})",
            found=f"{states.dtype} of shape {states.shape}",
        )
    return (states == 1).astype(np.int8)


def _check_lengths(**lengths):
    for name, value in lengths.items():
        least = 0 if name == "burn" else 1
        if value != int(value) or value < least:
            raise DataError(
                f"{name} is out of range", expected=f"an integer ≥ {least}", found=value
            )


def _thinning(tau, tuning):
    """Sweeps after which correlations φᵗ, with τ = (1 + φ) / (1 − φ), fall to what is allowed."""
    phi = (tau - 1) / (tau + 1)
    return max(1, int(np.ceil(np.log(tuning.kept_correlation) / np.log(phi)))) if phi > 0 else 1


class _Chains:
    """Chains that can be continued from where they are."""

    def __init__(self, h, J, on, low, seeds, bias, workers, tuning):
        self.h, self.J, self.on, self.low, self.seeds = h, J, on, low, seeds
        self.workers, self.tuning = workers, tuning
        self.toward = np.where(bias.pattern, 1.0, -1.0)
        # No flip leads beyond the first or the last level, so the ends may be anything.
        self.rise = np.diff(bias.levels, prepend=0.0, append=0.0)

    @property
    def states(self):
        """Present states (chain, site), in the encoding."""
        return np.where(self.on, 1, self.low).astype(np.int8)

    def advance(self, draws=0, thin=1, burn=0):
        """Return states (chain, draw, site), and the share of visits at which a site flipped."""
        from bayesinf.models.binary.pairwise.large import sampling_kernel as kernel

        states = np.empty((len(self.on), draws, self.h.size), np.int8)

        def run(part):
            bias = self.toward, self.rise
            model = self.h, self.J, self.on[part], self.seeds[part]
            return kernel.run(*model, *bias, burn, thin, self.low, states[part])

        visits = (burn + draws * thin) * self.h.size
        flips = over_threads(run, len(self.on), visits, self.workers, self.tuning)
        return states, sum(flips) / max(1, states.size * thin)


def _run_pilots(walk, theta, tuning):
    """Run pilots until the last one is long enough; return τ in sweeps."""
    walk.advance(burn=tuning.pilot_sweeps)
    length = tuning.pilot_sweeps
    while True:
        states, _ = walk.advance(draws=length)
        tau = longest_time(states, theta, tuning)
        if length >= tuning.pilot_times * tau or 2 * length >= tuning.most_pilot_sweeps:
            return tau
        length *= 2


def on_off_parameters(theta: np.ndarray, encoding: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Return fields (site,) and couplings (site, site) for 0/1, and log Z there − log Z at θ."""
    theta = np.asarray(theta, dtype=float)
    finite = np.isfinite(theta).all()
    if theta.ndim != 1 or not finite:
        raise DataError(
            "parameters cannot be sampled at",
            expected="finite numbers (parameter,)",
            found=f"shape {theta.shape}" if finite else "some that are not finite",
        )
    h, J, constant = convert(*unpack(theta), encoding, "0/1")
    return h, matrix(J, sites_of(theta.size)), float(constant)


def chain_seeds(rng: np.random.Generator, chains: int) -> np.ndarray:
    """Give each chain the state of a generator of its own, (chain, 4)."""
    return rng.integers(0, 2**64, (chains, 4), dtype=np.uint64)


def over_threads(run, chains: int, visits: int, workers: int | None, tuning: Tuning) -> list:
    """Call ``run`` on slices of the chains, on several threads if the visits are many."""
    from bayesinf import parallel

    if workers == 1 or visits < tuning.serial_visits:
        return [run(slice(0, chains))]
    step = max(1, chains // 32)
    parts = [slice(first, min(first + step, chains)) for first in range(0, chains, step)]
    return parallel.map(run, parts, workers=workers, threads=True, label="states")

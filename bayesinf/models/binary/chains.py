"""Hamiltonian chains of fields and couplings, and of the width that the couplings share.

A trajectory runs in the coordinates of a normal approximation at a width near that of the chain.
Between two trajectories the width is moved together with the couplings, as all of them scaled by
one factor, which mixes where data are few; then it is drawn given the couplings, and so are the
local variances of a Laplace or horseshoe prior. ``CommonScaling`` is the first of these moves,
``CouplingTarget`` the target for either family, and ``sample`` runs its chains.

Yu & Meng, J. Comput. Graph. Stat. 20, 531 (2011), doi:10.1198/jcgs.2011.203main.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bayesinf import parallel
from bayesinf.inference import hamiltonian
from bayesinf.inference.normal import ByChain
from bayesinf.models.binary.widths import Widths
from bayesinf.posterior import dataset
from bayesinf.settings import Settings

__all__ = ["CommonScaling", "CouplingTarget", "sample"]

# First interval of moves of width and couplings together, in the sd of the log width.
REACH = 16.0
# Variance of the width over that given the couplings from which such moves are needed.
FREE = 4.0


class CommonScaling:
    """Moves of the width and all couplings by one factor, with local variances integrated out.

        τ → f τ,   J → f J,   log f by one step of slice sampling

    Where the data say little the width is free over several factors of e, which a random walk
    would cross slowly; the slice needs no size to be tuned.

    Neal, Ann. Stat. 31, 705 (2003), doi:10.1214/aos/1056562461.

    Parameters
    ----------
    problem : likelihood and prior.
    reach : length of the slice's first interval, in log f.
    """

    def __init__(self, problem, reach: float):
        self.problem, self.reach = problem, reach

    def move(self, rngs, carried, scale, evaluate):
        """Move once: draw log f from an interval about 0 that shrinks until a point is accepted.

        Parameters
        ----------
        rngs : a generator for each chain.
        carried : θ (chain, block, dim) and what ``evaluate`` returned of it, log likelihood
            (chain, block) first.
        scale : widths, (chain,).
        evaluate : θ -> tuple of arrays (chain, block, ...), log likelihood first.

        Returns
        -------
        ``carried`` and ``scale``, moved.
        """
        level = self._log_density(carried, scale) - _each(rngs, lambda rng: rng.exponential())
        low = -self.reach * _each(rngs, lambda rng: rng.random())
        high, still = low + self.reach, np.arange(len(rngs))
        carried, scale, begun = [array.copy() for array in carried], scale.copy(), (carried, scale)
        while still.size:
            shift = np.array([rngs[k].uniform(low[k], high[k]) for k in still])
            theta = self.problem.scaled(begun[0][0][still], np.exp(shift))
            wider = begun[1][still] * np.exp(shift)
            other = (theta, *evaluate(theta))
            under = self._log_density(other, wider) >= level[still]
            for into, of in zip((*carried, scale), (*other, wider), strict=True):
                into[still[under]] = of[under]
            low[still[shift < 0]], high[still[shift >= 0]] = shift[shift < 0], shift[shift >= 0]
            still = still[~under]
        return tuple(carried), scale

    def _log_density(self, carried, scale):
        """Log density of log f, with the volume factor of a move of all couplings and the width."""
        h, J = self.problem.split(carried[0])
        log_prior = self.problem.prior.log_density(h, J, scale) + (J.shape[-1] + 1) * np.log(scale)
        return carried[1].sum(axis=1) + log_prior


def _each(rngs, draw):
    """A number, or an array, from the generator of each chain."""
    return np.array([draw(rng) for rng in rngs])


class CouplingTarget:
    """The posterior of fields and couplings, chain by chain; a ``hamiltonian.ChainTarget``.

    A ``State`` carries the parameters, and log likelihood and gradient by block. Width and local
    variances are constant along a trajectory.

    Parameters
    ----------
    problem : likelihood and prior.
    widths : approximations of the posterior; under a prior that is not normal, under a normal one.
    rngs : a generator for each chain.
    """

    rough = None

    def __init__(self, problem, widths: Widths, rngs: Sequence[np.random.Generator]):
        self.problem, self.widths, self.rngs = problem, widths, rngs
        prior = problem.prior
        self.scaling = CommonScaling(problem, REACH * widths.spread)
        spread = 2 * problem.couplings * widths.spread**2
        self.moves_scale = prior.inferred and widths.spread > 0 and (prior.local or spread > FREE)
        away = np.clip(self.each(lambda rng: rng.standard_normal()), -2.0, 2.0)
        self.scale = np.exp(widths.centre + widths.spread * away)
        self.local = np.ones((len(rngs), problem.couplings)) if prior.local else None
        self._choose()

    def likelihood(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log likelihood (chain, block) and its gradient (chain, block, dim)."""
        return self.problem.likelihood_gradient(theta)

    def normals_at(self, levels: np.ndarray) -> list[tuple]:
        """Normals, each with the positions of its chains, where chains are at these widths."""
        at = self.widths.at
        return [(at(int(k)).normal, np.flatnonzero(levels == k)) for k in np.unique(levels)]

    def each(self, draw: Callable) -> np.ndarray:
        """A number, or an array, from the generator of each chain."""
        return _each(self.rngs, draw)

    def _choose(self):
        """Take the normal of each chain: the width is constant along a trajectory, so it may."""
        self.normals = ByChain(self.normals_at(self.widths.nearest(self.scale)))
        self.log_volume = self.normals.log_volume(len(self.rngs))

    def __getstate__(self):
        return self.scale, self.local

    def __setstate__(self, state):
        self.scale, self.local = state
        self._choose()

    def start(self):
        """Begin at draws of the normals."""
        return self.look(self.each(lambda rng: rng.standard_normal(self.problem.shape)))

    def look(self, z):
        """Log density and gradient."""
        theta = self.normals.place(z)
        return self._state(z, theta, *self.likelihood(theta))

    def _state(self, z, theta, likelihood, likelihood_slope):
        prior, scale = self.problem.prior, self.scale[:, None]
        local = None if self.local is None else self.local[:, None]
        h, J = np.split(theta, [self.problem.fields], axis=-1)
        value = likelihood + prior.log_given(h, J, scale, local)
        mean, precision = prior.moments(h.shape[-1], J.shape[-1], scale, local)
        slope = likelihood_slope - precision * (theta - mean)
        carried = theta, likelihood, likelihood_slope
        return hamiltonian.State(z, value, self.normals.whiten(slope), carried)

    def update(self, state, turn):
        """Move width and couplings together, then draw the scales given the couplings."""
        prior, carried, z = self.problem.prior, state.carried, state.z
        if not (prior.inferred or prior.local):
            return state
        if self.moves_scale:
            carried, self.scale = self.scaling.move(self.rngs, carried, self.scale, self.likelihood)
        J = self.problem.split(carried[0])[1]
        if self.local is None:
            self.scale = prior.sample_scale(J, self.each(lambda rng: rng.random()))
        else:
            for k, rng in enumerate(self.rngs):
                self.scale[k], self.local[k] = prior.update(rng, J[k], self.scale[k], self.local[k])
        if self.widths.spread:
            self._choose()
            z = self.normals.coordinates(carried[0])
        return self._state(z, *carried)


def sample(
    target: Callable[[list[np.random.Generator]], CouplingTarget],
    shape: tuple[int, int],
    settings: Settings,
    *,
    size: float,
    wanted: float,
    together: bool = True,
):
    """Run chains, and name what the checks of chains ask for.

    Parameters
    ----------
    target : generators, one for each chain -> the target of these chains.
    shape : of the parameters, (block, dim).
    settings : length, seed and workers.
    size, wanted : as of ``hamiltonian.sample``.
    together : whether all chains go side by side; else each on its own, over the cores. It must
        not depend on the cores, or the draws would.

    Returns
    -------
    θ (chain, draw, block, dim), widths (chain, draw), and the evidence.
    """
    chains, length = np.arange(settings.chains), (settings.tune, settings.draws)
    teams = [chains] if together else list(chains[:, None])
    theta = np.empty((settings.chains, settings.draws, *shape))
    scale = np.empty((settings.chains, settings.draws))

    def run(team):
        of_team = slice(team[0], team[-1] + 1)
        into = theta[of_team], scale[of_team]
        rngs = [settings.generator("chain", int(chain)) for chain in team]
        shared = settings.generator("trajectories", int(team[0]))
        chosen = target(rngs)

        def keep(draw, state):
            into[0][:, draw], into[1][:, draw] = state.carried[0], chosen.scale

        how = {"size": size, "wanted": wanted, "drawn": into}
        return hamiltonian.sample(chosen, keep, rngs, shared, *length, **how)

    if together:
        runs = [run(chains)]
    else:
        runs = parallel.map(run, teams, workers=settings.workers, threads=True, label="chains")
    statistics, sizes = zip(*runs, strict=True)
    joined = {name: np.concatenate([each[name] for each in statistics]) for name in statistics[0]}
    step = {"step_size": np.repeat(sizes, [len(team) for team in teams])}
    step = dataset(step, {"step_size": ("chain",)}, sampled=False)
    return theta, scale, dataset(joined).merge(step)

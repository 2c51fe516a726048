"""Split Hamiltonian Monte Carlo: chains side by side, of blocks that accept by themselves.

In the coordinates z in which a normal near the target is N(0, 1) the energy is

    E(z, p) = −log p(z) + ½ p²,   p ~ N(0, 1)

The motion in the normal itself is a rotation of z and p and is solved exactly; only the rest of the
force, ∇ log p(z) + z, is integrated by kicks between rotations. Where the target is nearly normal a
few kicks make an independent draw.

``step`` is one trajectory, ``sample`` the loop around it: adaptation of the step size, and what the
checks of chains ask for. What the target is, and what is drawn between trajectories (the widths of
a prior, which stay constant along one), is the caller's ``ChainTarget``.

Shahbaba, Lan, Johnson & Neal, Stat. Comput. 24, 339 (2014), doi:10.1007/s11222-012-9373-1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from bayesinf import kept

__all__ = ["ChainTarget", "Info", "State", "accepted", "adapted", "sample", "step"]

ANGLES = (0.25 * np.pi, 0.75 * np.pi)  # least and greatest length of a trajectory
SHORTEST, LONGEST = 0.02, 0.5 * np.pi  # limits of the step size, in radians
DIVERGENT = 1000.0  # rise of the energy along a trajectory that counts as a divergence


class State(NamedTuple):
    """Where the chains stand.

    Parameters
    ----------
    z : coordinates, (chain, block, dim).
    log_density : of each block, (chain, block).
    slope : its gradient in z, (chain, block, dim).
    carried : what else the target knows of the point, arrays (chain, block, ...), so that it need
        not be computed again.
    """

    z: np.ndarray
    log_density: np.ndarray
    slope: np.ndarray
    carried: tuple[np.ndarray, ...] = ()


class Info(NamedTuple):
    """What a trajectory tells.

    Parameters
    ----------
    chance : of acceptance, (chain, block).
    rise : of the energy along it, (chain, block).
    energy : after acceptance, (chain, block).
    steps : of the integrator.
    """

    chance: np.ndarray
    rise: np.ndarray
    energy: np.ndarray
    steps: int


class ChainTarget(Protocol):
    """What ``sample`` draws from.

    Attributes
    ----------
    log_volume : log |∂θ/∂z| of each chain's coordinates, (chain,), by which energies of the
        parameters and of the coordinates differ.
    rough : z -> slope, a cheaper gradient for the kicks on the way, or None.

    What ``update`` changes is what its ``__getstate__`` returns and ``__setstate__`` takes.
    """

    log_volume: np.ndarray
    rough: Callable[[np.ndarray], np.ndarray] | None

    def start(self) -> State:
        """Where the chains begin."""

    def look(self, z: np.ndarray) -> State:
        """Log density and gradient at coordinates, exact."""

    def update(self, state: State, turn: int | None) -> State:
        """Draw what is constant along a trajectory, and look again; ``turn`` counts the tuning."""


def step(
    rngs: Sequence[np.random.Generator],
    state: State,
    look: Callable[[np.ndarray], State],
    angle: float,
    size: float,
    rough: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[State, Info]:
    """Follow one trajectory, and accept it block by block.

    Parameters
    ----------
    rngs : a generator for each chain.
    state : where the chains stand.
    look : coordinates (chain, block, dim) -> ``State``, exact.
    angle : length of the trajectory, in radians of the rotation.
    size : largest rotation between two kicks.
    rough : coordinates -> slope. A kick by any function of z keeps the volume and can be reversed,
        so that only the energies at the ends of the trajectory have to be exact.
    """
    steps = math.ceil(angle / size)
    turn = angle / steps
    cosine, sine = np.cos(turn), np.sin(turn)
    p = np.array([rng.standard_normal(state.z.shape[1:]) for rng in rngs])
    energy = 0.5 * np.sum(p**2, axis=-1) - state.log_density
    z, slope, end = state.z, state.slope, state
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(steps):
            p = p + 0.5 * turn * (slope + z)
            z, p = cosine * z + sine * p, cosine * p - sine * z
            if rough is None or k == steps - 1:
                end = look(z)
                slope = end.slope
            else:
                slope = rough(z)
            p = p + 0.5 * turn * (slope + z)
        rise = 0.5 * np.sum(p**2, axis=-1) - end.log_density - energy
    rise = np.where(np.isfinite(rise), rise, 1e300)
    chance = np.exp(-np.maximum(rise, 0.0))
    move = np.array([rng.random(state.z.shape[1]) for rng in rngs]) < chance
    info = Info(chance, rise, np.where(move, energy + rise, energy), steps)
    carried = accepted(move, end.carried, state.carried)
    return State(*accepted(move, end[:3], state[:3]), carried), info


def accepted(move: np.ndarray, new: Sequence, old: Sequence) -> tuple:
    """Take entries of new arrays where ``move``, of their first axes, is true, else of the old."""

    def chosen(one, other):
        return np.where(move.reshape(move.shape + (1,) * (one.ndim - move.ndim)), one, other)

    return tuple(map(chosen, new, old))


def adapted(size: float, chance: float, wanted: float, turn: int) -> float:
    """Return the next size of a move, so that its acceptance becomes what is wanted.

        log size ← log size + (chance − wanted) / (0.2 turn + 1)^0.6

    Robbins & Monro, Ann. Math. Stat. 22, 400 (1951), doi:10.1214/aoms/1177729586.
    """
    return size * float(np.exp((chance - wanted) / (0.2 * turn + 1) ** 0.6))


def sample(
    target: ChainTarget,
    keep: Callable[[int, State], None],
    rngs: Sequence[np.random.Generator],
    shared: np.random.Generator,
    tune: int,
    draws: int,
    *,
    size: float,
    wanted: float,
    drawn: Sequence[np.ndarray] = (),
) -> tuple[dict[str, np.ndarray], float]:
    """Tune the step size, then draw.

    Parameters
    ----------
    target : what is drawn from.
    keep : (number of the draw, state) -> stores what is kept of it.
    rngs : a generator for each chain.
    shared : of the lengths of the trajectories, which all chains share.
    tune, draws : trajectories of either kind.
    size : step size at the beginning, in radians.
    wanted : mean chance of acceptance that it is tuned to.
    drawn : the arrays that ``keep`` fills: they are kept with the chains (``kept.steps``).

    Returns
    -------
    the statistics ``lp``, ``energy``, ``acceptance_rate``, ``n_steps`` and ``diverging``, (chain,
    draw); and the step size.
    """
    walk, each = {"state": target.start(), "size": size}, []
    changing = (*rngs, shared, target, walk, each, *drawn)
    for turn in kept.steps(range(tune + draws), *changing):
        tuning = turn if turn < tune else None
        angle = shared.uniform(*ANGLES)
        state, info = step(rngs, walk["state"], target.look, angle, walk["size"], target.rough)
        if tuning is not None:
            size = adapted(walk["size"], info.chance.mean(), wanted, turn)
            walk["size"] = float(np.clip(size, SHORTEST, LONGEST))
        energy = info.energy.sum(axis=1) - target.log_volume
        state = walk["state"] = target.update(state, tuning)
        if tuning is None:
            keep(turn - tune, state)
            each.append(
                {
                    "lp": state.log_density.sum(axis=1),
                    "energy": energy,
                    "acceptance_rate": info.chance.mean(axis=1),
                    "n_steps": np.full(len(rngs), float(info.steps)),
                    "diverging": (info.rise > DIVERGENT).any(axis=1),
                }
            )
    statistics = {name: np.stack([one[name] for one in each], axis=1) for name in each[0]}
    return statistics, walk["size"]

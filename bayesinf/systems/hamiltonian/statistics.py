"""What replicas of motions are compared by, and what a model leaves out that is unlike them.

Each statistic takes standardised residuals, variable to (..., row), the states (..., row, 2) and
their rates at the same rows, and is linear or quadratic in the residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayesinf.systems.hamiltonian.model import Motion

__all__ = ["CAUSES", "FORCE", "SPEED", "statistics"]

GAIN = "gain of energy along the motion"
SPEED = "speed at a given momentum"
FORCE = "force at a given position"
LATE = "lead or lag late in a motion"
WIDE = "lead or lag late in a wide motion"
TAKEN = {"p": "q", "dq_dt": "q", "dp_dt": "p"}  # what may be computed from what, by differences
CAUSES = {
    GAIN: "the motion gains or loses energy, which no Hamiltonian does: infer a damping",
    SPEED: "q̇ is not what the energy says of p: let H be any function of q and p, or check the "
    "coordinates and units (an angular velocity is no momentum)",
    FORCE: "ṗ is not what the energy says at q: let H have another form, or check the coordinates",
    LATE: "the motion is faster or slower than the energy says: let H have another form",
    WIDE: "the period depends on how wide a motion is otherwise than the energy says: let H have "
    "another form",
}
CAUSES |= {
    f"noise of {name} against steps of that of {of}": f"{name} was computed from {of}, by "
    "differences or by a smoother, so that the noise of neighbours is counted twice: "
    + ("use instants further apart than a smoother is wide" if name == "p" else "leave rates out")
    for name, of in TAKEN.items()
}
# What each variable is told by the model: a state, or a rate.
TOLD = {"q": (0, 0), "p": (0, 1), "dq_dt": (1, 0), "dp_dt": (1, 1)}


def statistics(problem: Motion, always: Mapping[str, Callable]) -> Mapping[str, Callable]:
    """Statistic to its function, for the variables that a problem measures; ``always`` are those
    that every family asks, here of each variable.
    """
    path = np.nonzero(problem.record.seen)[0]
    when = problem.record.times[problem.record.seen]
    same = path[1:] == path[:-1]
    centre = problem.frame.centre
    found: dict[str, Callable] = {}
    if problem.treated:
        mean = np.array([when[path == k].mean() for k in range(path.max() + 1)])
        late = when - mean[path]
        found[GAIN] = partial(_along_energy, late)
        found[LATE] = partial(_along_motion, late)
        if len(mean) > 1:
            wide = np.sum(((problem.record.states - centre) / problem.frame.half) ** 2, axis=-1)
            wide = np.array([wide[path == k].mean() for k in range(len(mean))])
            found[WIDE] = partial(_along_motion, late * (wide - wide.mean())[path])
        found[SPEED] = partial(_steps, same, 0, centre)
        found[FORCE] = partial(_steps, same, 1, centre)
        for name in problem.measured[1:]:
            said = f"noise of {name} against steps of that of {TAKEN[name]}"
            found[said] = partial(_taken, same[1:] & same[:-1], name)
    else:
        found[GAIN] = _power
        found[SPEED] = partial(_rates, 0, centre)
        found[FORCE] = partial(_rates, 1, centre)
    for name in problem.measured:
        found |= {f"{said} of {name}": partial(_asked, one, name) for said, one in always.items()}
    return found


def _along_energy(late, residual, x, rates):
    """Trend in time of the energy of the residuals, ∇H · z = −ṗ z_q + q̇ z_p."""
    return np.sum(late * (rates[..., 0] * residual["p"] - rates[..., 1] * residual["q"]), axis=-1)


def _along_motion(late, residual, x, rates):
    """Trend in time of the residuals along the motion."""
    return np.sum(late * (rates[..., 0] * residual["q"] + rates[..., 1] * residual["p"]), axis=-1)


def _steps(same, k, centre, residual, x, rates):
    """Steps of the residuals of one coordinate along the other, from instant to instant."""
    other = x[..., 1 - k] - centre[1 - k]
    step = np.diff(residual["qp"[k]], axis=-1)
    return np.sum(same * step * (other[..., 1:] + other[..., :-1]) / 2, axis=-1)


def _taken(inner, name, residual, x, rates):
    """Residuals of one variable along the steps of those that it may have been computed from."""
    before = residual[TAKEN[name]]
    step = before[..., 2:] - before[..., :-2]
    return np.sum(inner * residual[name][..., 1:-1] * step, axis=-1)


def _power(residual, x, rates):
    """Work of the residual rates, ∇H · z."""
    return np.sum(rates[..., 0] * residual["dp_dt"] - rates[..., 1] * residual["dq_dt"], axis=-1)


def _rates(k, centre, residual, x, rates):
    """Residual rate of one coordinate along the other."""
    return np.sum((x[..., 1 - k] - centre[1 - k]) * residual[("dq_dt", "dp_dt")[k]], axis=-1)


def _asked(statistic, name, residual, x, rates):
    """A family's statistic of one variable, against what the model tells of it."""
    which, k = TOLD[name]
    told = (x, rates)[which][..., k]
    return statistic(told + residual[name], told, 1.0)

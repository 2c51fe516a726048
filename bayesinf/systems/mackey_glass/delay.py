"""The delay equation: its solution from any history, and how fast neighbours part.

    dx/dt = β x(t − τ) / (1 + x(t − τ)ⁿ) − γ x(t)

The integrator is our own. Of the libraries, jitcdde writes and compiles C for each equation and
picks its own steps, and ddeint interprets every step: a solution at 1000 samples took 56 ms and 5 s
beside 0.06 ms here. Neither gives a likelihood in less than a millisecond, nor steps that are the
same for neighbouring parameters, without which a likelihood is not smooth.

Mackey & Glass, Science 197, 287 (1977), doi:10.1126/science.267326. Bellen & Zennaro, Numerical
Methods for Delay Differential Equations (2003), doi:10.1093/acprof:oso/9780198506546.001.0001,
treat steps that divide the delay, and the order that is kept by them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["LITERATURE", "TWO", "Equation", "Exponent", "exponent", "trajectory"]

STEPS = 40  # of a delay, by default


@dataclass(frozen=True)
class Equation:
    """The numbers of the equation.

    Parameters
    ----------
    beta, gamma : rates of production and decay, 1 / time.
    n : exponent.
    tau : delay, time.

    Raises
    ------
    DataError : one of them is not positive.
    """

    beta: float
    gamma: float
    n: float
    tau: float

    def __post_init__(self):
        for name in ("beta", "gamma", "n", "tau"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise DataError(
                    f"{name} is out of range", expected="a number above zero", found=value
                )

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """β, γ, n, τ."""
        return self.beta, self.gamma, self.n, self.tau


LITERATURE = Equation(0.2, 0.1, 10.0, 17.0)  # of papers on reservoirs
TWO = Equation(2.0, 1.0, 9.65, 2.0)  # of courses on chaos

History = float | Callable[[np.ndarray], np.ndarray]


def trajectory(
    equation: Equation,
    times: ArrayLike,
    history: History = 0.5,
    *,
    steps: int = STEPS,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Integrate the delay equation; of fourth order in the step τ / ``steps``.

        dx = [β x(t − τ) / (1 + x(t − τ)ⁿ) − γ x] dt + noise dW

    Parameters
    ----------
    equation : its numbers.
    times : where x is wanted, (time,), from 0 on, in any order; τ need be no multiple of anything.
    history : x at t ≤ 0: a number, or a function of times in [−τ, 0], (time,) -> (time,).
    steps : of a delay.
    noise : of the dynamics, x per √time, added at the end of each step; ``rng`` draws it.

    Returns
    -------
    x at ``times``, (time,).

    Raises
    ------
    DataError : a time before 0, or a history that is not finite and not negative.
    """
    from bayesinf.systems.mackey_glass import kernel

    times = np.asarray(times, dtype=float)
    if times.size and not (np.isfinite(times).all() and times.min() >= 0):
        raise DataError("no time to integrate to", expected="times from 0 on", found=times.min())
    past = of_history(history, equation.tau, steps)
    count = max(int(np.ceil(times.max(initial=0.0) / equation.tau * steps)), 1)
    kicks = np.empty(0)
    if noise:
        rng = DEFAULT.generator("delay") if rng is None else rng
        kicks = noise * np.sqrt(equation.tau / steps) * rng.standard_normal(count)
    x, slope, found = np.empty(count + 1), np.empty(count + 1), np.empty(len(times))
    kernel.solve(*equation.numbers, past, x, slope, np.empty(0), kicks)
    kernel.at(times / equation.tau, x, slope, steps, found)
    return found


def of_history(history: History, tau: float, steps: int) -> np.ndarray:
    """Values of a history at half steps of [−τ, 0], (2 steps + 1,)."""
    at = np.linspace(-tau, 0.0, 2 * steps + 1)
    values = history(at) if callable(history) else history
    past = np.broadcast_to(np.asarray(values, dtype=float), at.shape).copy()
    if not (np.isfinite(past).all() and past.min() >= 0):
        raise DataError(
            "no history to start from",
            expected="finite numbers, none below zero",
            found=past[np.argmin(np.where(np.isfinite(past), past, -np.inf))],
        )
    return past


@dataclass(frozen=True)
class Exponent:
    """The largest Lyapunov exponent: a small change of the history grows as exp(value · t).

    Parameters
    ----------
    value : 1 / time.
    error : standard error over independent histories.
    """

    value: float
    error: float


def exponent(
    equation: Equation,
    *,
    histories: int = 8,
    delays: int = 1500,
    steps: int = STEPS,
    rng: np.random.Generator | None = None,
) -> Exponent:
    """Estimate the largest Lyapunov exponent by the tangent dynamics of the delay equation.

        δ' = β g'(x(t − τ)) δ(t − τ) − γ δ,   λ = ⟨log growth of δ over a delay⟩ / τ

    Parameters
    ----------
    equation : its numbers.
    histories : independent ones, whose scatter gives the error.
    delays : over which each is averaged, after a tenth as many.
    steps : of a delay.
    rng : of the histories; by default the stream "exponent" of the default settings.

    References
    ----------
    Farmer, Physica D 4, 366 (1982), doi:10.1016/0167-2789(82)90042-2.
    """
    from bayesinf.systems.mackey_glass import kernel

    rng = DEFAULT.generator("exponent") if rng is None else rng
    rates, skipped = np.empty(histories), max(delays // 10, 20)
    for k in range(histories):
        past = of_history(random_history(equation.tau, rng), equation.tau, steps)
        change = rng.standard_normal(past.shape)
        grown = kernel.growth(*equation.numbers, past, change, skipped + delays)
        rates[k] = grown[skipped:].mean() / equation.tau
    return Exponent(float(rates.mean()), float(rates.std(ddof=1) / np.sqrt(histories)))


def random_history(tau: float, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """A wave about 0.9, as the attractor has them, of random size and phase."""
    size, phase = rng.uniform(0.05, 0.3), rng.uniform(0, 2 * np.pi)
    return lambda t: 0.9 + size * np.sin(2 * np.pi * t / (3 * tau) + phase)

"""Marginals of known posteriors: from a closed form, a grid, or a long run, kept in a small file.

A marginal is its mean, its sd and its quantiles at ``P``. Of a long run each of the two moments has
a Monte Carlo error; of a closed form and of a fine grid it is zero.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

__all__ = [
    "Marginal",
    "P",
    "by_grid",
    "by_long_run",
    "by_weights",
    "of_distribution",
    "read",
    "write",
]

P = (0.001, 0.005, 0.025, 0.05, 0.1, 0.16, 0.25, 0.5, 0.75, 0.84, 0.9, 0.95, 0.975, 0.995, 0.999)
CHAINS, STEPS, BURN = 400, 12_000, 2_000  # of a long run


@dataclass(frozen=True)
class Marginal:
    """What is known of one number.

    Parameters
    ----------
    mean, sd : its moments.
    quantiles : at ``P``.
    mean_error, sd_error : Monte Carlo errors of the moments, 0 where there are none.
    """

    mean: float
    sd: float
    quantiles: Sequence[float]
    mean_error: float = 0.0
    sd_error: float = 0.0

    def below(self, value: float) -> float:
        """Probability below a value, between the quantiles that are known."""
        return float(np.interp(value, self.quantiles, P, left=0.0, right=1.0))


def of_distribution(found) -> Marginal:
    """Return the marginal of a frozen distribution of SciPy."""
    return Marginal(float(found.mean()), float(found.std()), [float(found.ppf(p)) for p in P])


def by_grid(log_density: Callable, axes: Mapping[str, np.ndarray]) -> dict[str, Marginal]:
    """Integrate a density on a grid, by the rectangle rule: of what vanishes at its ends that is
    exact to rounding.

    Parameters
    ----------
    log_density : arrays by name, which broadcast -> log density, up to a constant.
    axes : name to evenly spaced values, which hold all of the density.
    """
    names, size = list(axes), len(axes)
    shaped = {
        name: np.reshape(axes[name], [-1 if i == k else 1 for i in range(size)])
        for k, name in enumerate(names)
    }
    with np.errstate(all="ignore"):
        height = np.asarray(log_density(**shaped))
    height = np.broadcast_to(height, [len(axes[name]) for name in names])
    weight = np.exp(height - np.nanmax(height))
    weight = np.where(np.isfinite(weight), weight, 0.0)
    found = {}
    for k, name in enumerate(names):
        one = weight.sum(axis=tuple(i for i in range(size) if i != k))
        found[name] = _of_weights(np.asarray(axes[name], dtype=float), one / one.sum())
    return found


def _of_weights(values, weight):
    mean = float(weight @ values)
    sd = float(np.sqrt(weight @ (values - mean) ** 2))
    # Half of a cell lies on either side of its value.
    below = np.cumsum(weight) - weight / 2
    return Marginal(mean, sd, [float(q) for q in np.interp(P, below, values)])


def by_weights(values: np.ndarray, weight: np.ndarray) -> Marginal:
    """Return the marginal of a function on a grid, of values and weights in the same shape."""
    order = np.argsort(values, axis=None)
    values, weight = values.ravel()[order], weight.ravel()[order] / weight.sum()
    mean = weight @ values
    sd = np.sqrt(weight @ (values - mean) ** 2)
    quantiles = np.interp(P, np.cumsum(weight) - weight / 2, values)
    return Marginal(float(mean), float(sd), list(map(float, quantiles)))


def by_long_run(
    log_density: Callable, start: np.ndarray, names: Sequence[str], rng: np.random.Generator
) -> dict[str, Marginal]:
    """Run many chains of random-walk Metropolis side by side; they say how far they are off.

    Parameters
    ----------
    log_density : (chain, parameter) -> (chain,).
    start : near the top, (parameter,).
    names : of the parameters.
    rng : generator.
    """
    size = len(start)
    state = start + 0.1 * rng.standard_normal((CHAINS, size))
    value, root = log_density(state), 0.1 * np.eye(size)
    total, square, kept = np.zeros((CHAINS, size)), np.zeros((CHAINS, size)), []
    for step in range(BURN + STEPS):
        if step < BURN and step and step % 200 == 0:
            root = 2.38 / np.sqrt(size) * np.linalg.cholesky(np.cov(state.T))
        new = state + rng.standard_normal((CHAINS, size)) @ root.T
        there = log_density(new)
        move = np.log(rng.random(CHAINS)) < there - value
        state, value = np.where(move[:, None], new, state), np.where(move, there, value)
        if step >= BURN:
            total += state
            square += state**2
            if step % 20 == 0:
                kept.append(state)
    mean, sd = (
        total / STEPS,
        np.sqrt(square.mean(axis=0) / STEPS - (total.mean(axis=0) / STEPS) ** 2),
    )
    each = square / STEPS - 2 * mean * mean.mean(axis=0) + mean.mean(axis=0) ** 2
    errors = mean.std(axis=0) / np.sqrt(CHAINS), each.std(axis=0) / np.sqrt(CHAINS) / (2 * sd)
    quantiles = np.quantile(np.concatenate(kept), P, axis=0)
    return {
        name: Marginal(
            float(mean[:, k].mean()),
            float(sd[k]),
            [float(q) for q in quantiles[:, k]],
            float(errors[0][k]),
            float(errors[1][k]),
        )
        for k, name in enumerate(names)
    }


def write(path: Path, known: Mapping) -> None:
    """Write a reference: words, data and marginals, with seven digits of the latter."""
    marginals = {
        name: {
            key: [float(f"{v:.7g}") for v in each] if key == "quantiles" else float(f"{each:.7g}")
            for key, each in asdict(one).items()
        }
        for name, one in known["marginals"].items()
    }
    path.write_text(json.dumps({**known, "p": P, "marginals": marginals}, indent=1) + "\n")


def read(path: Path) -> dict:
    """Read a reference."""
    known = json.loads(path.read_text(encoding="utf-8"))
    known["marginals"] = {name: Marginal(**one) for name, one in known["marginals"].items()}
    known["data"] = {name: np.asarray(values) for name, values in known["data"].items()}
    return known

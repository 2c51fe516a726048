"""The classical side: networks of rates with an energy and without one, and a first attempt.

All take the states as they were measured, as the reference does (Greydanus, Dzamba & Yosinski,
Advances in Neural Information Processing Systems 32 (2019), arXiv:1906.01563): each is an optimum.
Of the network of an energy the rates also have bands, by the Laplace approximation of what is
linear in its weights around the optimum (Immer, Korzepa & Bauer, AISTATS 2021, arXiv:2008.08400);
draws of the weights themselves leave the posterior, which is not normal in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import dataset
from bayesinf.systems.hamiltonian.data import Record, true_energy
from bayesinf.systems.hamiltonian.model import Motion
from bayesinf.systems.hamiltonian.network import Network, Plain
from bayesinf.systems.hamiltonian.results import errors
from bayesinf.systems.hamiltonian.routes import optimum

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NETWORKS", "classical", "first_attempt"]

NETWORKS = {"network of an energy": Network, "plain network": Plain}
FOLLOWED = "network of an energy, paths followed"


def classical(
    motions: xr.Dataset, held_out: xr.Dataset | None = None, *, followed: bool = False
) -> xr.Dataset:
    """Fit networks to rates at measured states, and hold them to the truth of simulated motions.

    Parameters
    ----------
    motions : Dataset of motions; rates that were not measured are differences of states.
    held_out : simulated motions that are forecast; None for none.
    followed : whether the network of an energy is also fitted with noise in the states treated, by
        paths from inferred initial states, which takes minutes.

    Returns
    -------
    Dataset with, by ``fitted``, ``residual``, root mean square of the rates' residuals over that of
    the rates; of simulated motions also ``energy``, ``energy_error``, ``rates`` and ``states`` as
    of ``results.errors``, ``kept_energy`` (fitted, shown, instant), and ``covered``, the share of
    the true rates along held-out motions in 95 % bands (NaN where there are none). ``attempt`` and
    ``attempt_true``: see ``first_attempt``.
    """
    record = Record.of(motions)
    kinds = [(name, kind(record.frame), False) for name, kind in NETWORKS.items()]
    kinds += [(FOLLOWED, Network(record.frame), True)] if followed else []
    rows = [_fitted(record, energy, treated, held_out) for _, energy, treated in kinds]
    names = rows[0].keys()
    arrays = {name: np.stack([row[name] for row in rows]) for name in names if name != "since"}
    dims = dict.fromkeys(arrays, ("fitted",))
    dims |= dict.fromkeys(
        {"kept_energy", "true_energy"} & {*arrays}, ("fitted", "shown", "instant")
    )
    attempt, true = first_attempt()
    arrays |= {"attempt": np.float64(attempt), "attempt_true": np.float64(true)}
    return dataset(arrays, dims, {"fitted": [name for name, *_ in kinds]}, sampled=False)


def _fitted(record, energy, treated, held_out):
    """What is told of one network."""
    problem = Motion(record, energy, record.frame, treated)
    found = optimum(problem)
    theta = found.linear.theta
    flow, weight = problem.flow, theta[: energy.size]
    rates = flow.rates(record.states, weight)
    plain = problem if not treated else problem.ignoring()
    seen = np.stack([plain.rows[name] for name in plain.measured], axis=-1)
    row = {"residual": np.sqrt(np.mean((seen - rates) ** 2) / np.mean(seen**2))}
    told = None if held_out is None else errors(flow, weight, held_out, record.frame.time)
    if told is None:
        return row
    return row | told | {"covered": _covered(flow, weight, found, held_out)}


def _covered(flow, weight, found, held_out):
    """Share of true rates that lie within 95 % bands of what is linear around the optimum."""
    path = held_out["truth.path"].values.reshape(-1, 2)[::3]
    off = flow.rates(path, weight) - true_energy(held_out).rates(path, 0.0)
    slope = flow.by_theta(path, weight)
    sd = found.linear.sd_along(found.u, slope.reshape(-1, slope.shape[-1])).reshape(off.shape)
    return np.mean(np.abs(off) < 1.96 * sd)


def first_attempt(steps: int = 2000, *, rng: np.random.Generator | None = None) -> tuple:
    """Reproduce a first attempt in plain NumPy: ReLU, and derivatives by finite differences.

    A network H(p) with one layer of ReLU is to learn dH/dp = p, p and its target divided by their
    largest value. The error of the differences is propagated back as if it were the error of H
    itself, so what descends is no loss of the derivatives: H comes to resemble p where it should be
    p² / 2. The true gradient of that loss would need the second derivative of ReLU, which is zero
    almost everywhere; and normalising symmetrically to [−1, 1] makes H, which is even, average to
    nothing where it is trained on p, which is odd.

    Returns
    -------
    the derivative that it ends at for the largest p, and the true one, 1.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    p, step, rate = np.linspace(-1, 1, 41)[:, None], 0.01, 0.01
    W, b = rng.standard_normal((1, 16)), np.zeros(16)
    v = rng.standard_normal((16, 1)) / 4

    def energy(p):
        return np.maximum(p @ W + b, 0.0) @ v

    for _ in range(steps):
        error = (energy(p + step) - energy(p - step)) / (2 * step) - p
        layer = np.maximum(p @ W + b, 0.0)
        back = (error @ v.T) * (layer > 0)  # as if the error were that of H
        v = v - rate * layer.T @ error / len(p)
        W, b = W - rate * p.T @ back / len(p), b - rate * back.mean(axis=0)
    ends = np.array([[1.0]])
    return float((energy(ends) - energy(ends - step))[0, 0] / step), 1.0

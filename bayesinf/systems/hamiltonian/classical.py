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
    the true rates along held-out motions in 95 % bands (NaN where there are none). ``attempt``: see
    ``first_attempt``.
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
    arrays["attempt"] = first_attempt()
    dims["attempt"] = ("normalisation", "start")
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


def first_attempt(starts: int = 8, steps: int = 2000, rate: float = 0.03) -> np.ndarray:
    """Reproduce a first attempt in plain NumPy: ReLU, and derivatives by finite differences.

    A network H(p) with one layer of ReLU is to learn dH/dp = p. The error of the differences is
    propagated back as if it were the error of H itself, so what descends is no loss of the
    derivatives, which is the one that is reported: the true slope of that loss needs the second
    derivative of ReLU, which is zero almost everywhere. Where p is normalised symmetrically, to
    [−1, 1], the derivatives of an even H ask of its values an odd shape, which that descent cannot
    reach: its units die or run away.

    Returns
    -------
    the derivative that each start ends at for the largest p, where 1 is true, with p normalised to
    [−1, 1] and to [0, 1], (normalisation, start); NaN where it ran away.
    """
    found, step = np.empty((2, starts)), 0.01
    for row, first in enumerate((-1.0, 0.0)):
        p = np.linspace(first, 1.0, 41)[:, None]
        for start in range(starts):
            rng = np.random.default_rng(start)
            W, b = rng.standard_normal((1, 16)), np.zeros(16)
            v = rng.standard_normal((16, 1)) / 4
            with np.errstate(all="ignore"):
                for _ in range(steps):
                    layer, slope = np.maximum(p @ W + b, 0.0), _differences(p, W, b, v, step)
                    error = slope - p
                    back = (error @ v.T) * (layer > 0)  # as if the error were that of H
                    v = v - rate * layer.T @ error / len(p)
                    W, b = W - rate * p.T @ back / len(p), b - rate * back.mean(axis=0)
                found[row, start] = _differences(p[-1:], W, b, v, step)[0, 0]
    return np.where(np.isfinite(found), found, np.nan)


def _differences(p, W, b, v, step):
    """Finite difference of the network of ReLU."""
    up, down = (np.maximum((p + side * step) @ W + b, 0.0) @ v for side in (1, -1))
    return (up - down) / (2 * step)

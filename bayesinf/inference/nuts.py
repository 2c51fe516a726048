"""The no-U-turn sampler of any PyMC model: nutpie where it is installed, else PyMC's own.

Hoffman & Gelman, JMLR 15, 1593 (2014). It is the reference to which the faster routes are held, and
the route for models that have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec

import numpy as np

from bayesinf import kept, parallel
from bayesinf.settings import Settings

__all__ = ["sample"]

# What InferenceData calls the statistics that the checks read.
STATISTICS = {
    "diverging": "diverging",
    "energy": "energy",
    "lp": "logp",
    "tree_depth": "depth",
    "n_steps": "n_steps",
    "acceptance_rate": "mean_tree_accept",
}


def sample(
    model, names: Sequence[str], settings: Settings, *, target_accept: float = 0.9
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Sample a PyMC model by NUTS.

    Parameters
    ----------
    model : a ``pymc.Model`` of continuous variables.
    names : the variables to keep.
    settings : length and seed.
    target_accept : acceptance that the step size aims at.

    Returns
    -------
    variable to draws, and statistic to values, both (chain, draw, ...).
    """
    if not find_spec("nutpie"):
        return kept.once(partial(_by_pymc, model, names, settings, target_accept))
    import nutpie

    with model:
        compiled = nutpie.compile_pymc_model(model)

    def chain(number):
        def run():
            tree = nutpie.sample(
                compiled,
                draws=settings.draws,
                tune=settings.tune,
                chains=1,
                cores=1,
                target_accept=target_accept,
                seed=_seed(settings, number),
                progress_bar=False,
            )
            return _taken(tree, names)

        return kept.once(run)

    numbers = range(settings.chains)
    chains = parallel.map(chain, numbers, workers=settings.workers, threads=True, label="NUTS")
    return tuple(
        {name: np.concatenate([chain[k][name] for chain in chains]) for name in chains[0][k]}
        for k in range(2)
    )


def _by_pymc(model, names, settings, target_accept):
    import pymc as pm

    with model:
        tree = pm.sample(
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            cores=settings.workers,
            target_accept=target_accept,
            random_seed=_seed(settings),
            progressbar=False,
            compute_convergence_checks=False,
        )
    return _taken(tree, names)


def _seed(settings, *number):
    return int(settings.generator("nuts", *number).integers(2**31))


def _taken(tree, names):
    """Draws of the variables, and the statistics under our names."""
    stats, values = tree["sample_stats"], {}
    for ours, theirs in STATISTICS.items():
        for name in (ours, theirs):
            if name in stats:
                values[ours] = stats[name].values
                break
    return {name: tree["posterior"][name].values for name in names}, values

"""The no-U-turn sampler of any PyMC model: nutpie where it is installed, else PyMC's own.

Hoffman & Gelman, JMLR 15, 1593 (2014). It is the reference to which the faster routes are held, and
the route for models that have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from bayesinf.settings import Settings

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
    import pymc as pm

    seed = int(settings.generator("nuts").integers(2**31))
    common = {
        "draws": settings.draws,
        "tune": settings.tune,
        "chains": settings.chains,
        "cores": settings.workers,
        "target_accept": target_accept,
    }
    with model:
        if find_spec("nutpie"):
            import nutpie

            compiled = nutpie.compile_pymc_model(model)
            tree = nutpie.sample(compiled, seed=seed, progress_bar=False, **common)
        else:
            quiet = {"progressbar": False, "compute_convergence_checks": False}
            tree = pm.sample(random_seed=seed, **quiet, **common)
    draws = {name: tree["posterior"][name].values for name in names}
    stats = tree["sample_stats"]
    values = {}
    for ours, theirs in STATISTICS.items():
        for name in (ours, theirs):
            if name in stats:
                values[ours] = stats[name].values
                break
    return draws, values

"""Surrogates on trial: spectra that they have not seen, in their range, at its edge and beyond."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import gp
from bayesinf.posterior import dataset
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.thomson_surrogate.features import FEATURES
from bayesinf.systems.thomson_surrogate.plasma import UNITS
from bayesinf.systems.thomson_surrogate.spectrum import Spectrometer
from bayesinf.systems.thomson_surrogate.surrogate import Lessons, Network, process, reach

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LEVELS", "REGIONS", "judged"]

LEVELS = {0.5: 0.6745, 0.8: 1.2816, 0.95: 1.96}  # of normal bands, in sds
REGIONS = ("prior", "edge of the range", "beyond the range")
EDGE = 0.8  # of the radius of the range, where its edge begins
FOLLOWED = 4  # draws of a process's hyperparameters
SOME = 200  # spectra of each region that a process is asked


def judged(
    spectrometer: Spectrometer,
    network: Network,
    *,
    held_out: int = 2000,
    processes: int = 150,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Hold a network, and Gaussian processes of few spectra, to spectra that neither has seen.

    Parameters
    ----------
    spectrometer : that sees them.
    network : trained for it.
    held_out : spectra of each region.
    processes : spectra from which a process learns each feature; 0 for no processes.
    settings : seed, and length of the processes' fits.

    Returns
    -------
    Dataset with ``rms``, the root mean square error, ``sd``, that of the bands, and ``covered``
    (level), all by (surrogate, region, feature); with ``spread`` of the features of the prior's
    plasmas; ``radius``, ``error`` and ``band`` of some spectra of all regions, by (spectrum,) and
    (spectrum, feature); ``microseconds`` that a spectrum takes the model, and the network.
    """
    rng = settings.generator("held out")
    # What the first call of each imports and compiles is no part of its time.
    network.predict(Lessons.drawn(spectrometer, 2, settings.generator("warm"), 1.0).z)
    started = time.process_time()
    sets = [Lessons.drawn(spectrometer, held_out, rng, 1.0)]
    slow = (time.process_time() - started) / held_out
    sets.append(Lessons.drawn(spectrometer, held_out, rng, shell=(EDGE, 1.0)))
    sets.append(Lessons.drawn(spectrometer, held_out, rng, shell=(1.0, 1.4)))
    started = time.process_time()
    found = {"network": [network.predict(one.z) for one in sets]}
    fast = (time.process_time() - started) / (held_out * len(sets))
    if processes:
        lessons = Lessons.drawn(spectrometer, processes, settings.generator("process"))
        found["Gaussian process"] = _by_process(lessons, sets, settings)
    arrays = {"rms": [], "sd": [], "covered": []}
    for bands in found.values():
        off = [one.y[: len(m)] - m for one, (m, _) in zip(sets, bands, strict=True)]
        sds = [np.sqrt(v) for _, v in bands]
        arrays["rms"].append([np.sqrt(np.mean(e**2, axis=0)) for e in off])
        arrays["sd"].append([np.sqrt(np.mean(s**2, axis=0)) for s in sds])
        inside = [
            [np.mean(np.abs(e) < width * s, axis=0) for width in LEVELS.values()]
            for e, s in zip(off, sds, strict=True)
        ]
        arrays["covered"].append(inside)
    z = np.concatenate([one.z[:SOME] for one in sets])
    y = np.concatenate([one.y[:SOME] for one in sets])
    mean, variance = network.predict(z)
    arrays |= {"spread": sets[0].y.std(axis=0), "microseconds": 1e6 * np.array([slow, fast])}
    arrays |= {"radius": np.linalg.norm(z, axis=1) / reach(), "error": y - mean}
    arrays |= {"band": np.sqrt(variance)}
    dims = dict.fromkeys(("rms", "sd"), ("surrogate", "region", "feature"))
    dims |= {"covered": ("surrogate", "region", "level", "feature"), "spread": ("feature",)}
    dims |= {"radius": ("spectrum",), "microseconds": ("way",)}
    dims |= dict.fromkeys(("error", "band"), ("spectrum", "feature"))
    coords = {"surrogate": list(found), "region": list(REGIONS), "feature": list(FEATURES)}
    coords |= {"level": list(LEVELS), "way": ["forward model", "network"]}
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    return dataset(arrays, dims, coords, sampled=False)


def _by_process(lessons, sets, settings):
    """Mean and variance of every feature, region by region, by a process each."""
    short = settings.replace(draws=100, prior_draws=20)
    columns = []
    for k, name in enumerate(FEATURES):
        fit = process(lessons, k, settings=short)
        row = []
        for one in sets:
            x = {n: one.z[:SOME, i] for i, n in enumerate(UNITS)}
            told = gp.predict(fit, x, most=FOLLOWED)
            draws = told[name].values.reshape(-1, len(one.z[:SOME]))
            mean, sd = (told[n].values.reshape(draws.shape) for n in ("mean", "sd"))
            noise = fit["posterior"]["noise"].values
            variance = np.mean(sd**2, axis=0) + mean.var(axis=0) + np.mean(noise**2)
            row.append((mean.mean(axis=0), variance))
        columns.append(row)
    return [
        tuple(np.stack([column[region][part] for column in columns], axis=-1) for part in (0, 1))
        for region in range(len(sets))
    ]

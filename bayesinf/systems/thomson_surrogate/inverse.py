"""The posterior of a plasma given three features of its spectrum, by a surrogate of them.

    y ~ N(f(plasma), C + diag(v(plasma)))

y are the features of the noisy spectrum, C their covariance by the photons' noise, f the mean of
the surrogate and v its own variance: what the surrogate does not know widens the posterior.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.inference.kinds import Question, asked
from bayesinf.models import density
from bayesinf.models import problem as driver
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.priors import Prior
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.thomson_surrogate.data import counts_of, spectrometer_of
from bayesinf.systems.thomson_surrogate.features import FEATURES, Features
from bayesinf.systems.thomson_surrogate.knowledge import with_knowledge
from bayesinf.systems.thomson_surrogate.model import priors_of
from bayesinf.systems.thomson_surrogate.plasma import UNITS
from bayesinf.systems.thomson_surrogate.surrogate import Network, inside, standardised

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["fit_features"]

NOTE = "features"
WITHIN = Question(
    "the surrogate's range",
    "outside_share",
    "max",
    0.05,
    "≤",
    True,
    "{value:.0%} of the draws lie where the surrogate was not trained",
    "take the posterior by the forward model, or priors within the range of the training",
)
LEAST_HEIGHT = 6.0  # sds of noise, below which a bump is no peak
FARTHEST = 4.0  # sds, at which features that no plasma of the training has are refused


def fit_features(
    data: xr.Dataset,
    network: Network,
    *,
    priors: Mapping[str, Prior] | None = None,
    method: str | None = "population",
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer a plasma from the three features of its spectrum.

    Parameters
    ----------
    data : spectrum, as of ``simulate`` or ``read``.
    network : a surrogate, trained for the channels and the instrument of the spectrum.
    priors : parameter to its prior in place of the default.
    method : ``population`` (the default), ``ensemble`` or ``laplace``.
    settings : length and seed.

    Returns
    -------
    InferenceData with the parameters of ``plasma.UNITS``; beside it ``noted(fit, "features")`` has
    ``value`` and ``photon_sd`` of each feature and ``network_sd``, the surrogate's own.

    Raises
    ------
    DataError : no two peaks, or features that no plasma has that the surrogate knows.
    """
    spectrometer = spectrometer_of(data)
    seen = Features(spectrometer).seen(counts_of(data), settings.generator("features"))
    known = {n: p for n, p in priors_of(data, priors).items() if n in UNITS}
    _refuse_unknown(seen, network, known, data, settings)

    def moments(draws):
        """Mean of the features, and the root of their covariance."""
        mean, variance = network.predict(standardised(draws))
        covariance = seen.covariance + variance[..., None] * np.eye(len(FEATURES))
        return mean, np.linalg.cholesky(covariance)

    def log_likelihood(**draws):
        mean, root = moments(draws)
        white = np.linalg.solve(root, (seen.value - mean)[..., None])[..., 0]
        log_volume = np.sum(np.log(np.diagonal(root, axis1=-2, axis2=-1)), axis=-1)
        constant = 0.5 * len(FEATURES) * np.log(2 * np.pi)
        return -0.5 * np.sum(white**2, axis=-1) - log_volume - constant

    def replicate(rng, **draws):
        mean, root = moments(draws)
        new = mean + np.einsum("...ij,...j->...i", root, rng.standard_normal(mean.shape))
        return {name: new[..., k] for k, name in enumerate(FEATURES)}

    stated = density.problem(
        density.LogDensity(
            known,
            log_likelihood,
            replicate=replicate,
            observed=dict(zip(FEATURES, seen.value, strict=True)),
            vectorised=True,
        ),
        name="three features by a network",
        units=UNITS | FEATURES,
    )
    truth = noted(data, "truth")
    truth = None if truth is None else truth.drop_vars(["photons", "background"], errors="ignore")
    found = driver.fit(stated, method, settings, system="thomson_surrogate", notes={"truth": truth})
    draws = {n: v.values for n, v in found["posterior"].data_vars.items()}
    z = standardised(draws)
    found = asked(found, WITHIN, 1 - np.mean(inside(z)))
    _, variance = network.predict(z)
    note = dataset(
        {
            "value": seen.value,
            "photon_sd": np.sqrt(np.diag(seen.covariance)),
            "network_sd": np.sqrt(variance.mean(axis=(0, 1))),
        },
        dict.fromkeys(("value", "photon_sd", "network_sd"), ("feature",)),
        {"feature": list(FEATURES)},
        sampled=False,
    )
    return with_knowledge(annotated(found, **{NOTE: note}), spectrometer.setup)


def _refuse_unknown(seen, network, priors, data, settings):
    """Refuse features that lie far from those of every plasma that the prior expects."""
    if not seen.height >= LEAST_HEIGHT:
        raise DataError(
            "the spectrum does not have two peaks",
            source=data.attrs.get("source"),
            expected=f"two, each {LEAST_HEIGHT:g} sds of the photons' noise high",
            found=f"one that is {seen.height:.2g} sds high",
            remedy="count more photons, or fit all channels alone (--no-surrogate)",
        )
    rng = settings.generator("range")
    draws = {name: prior.sample(rng, 4000) for name, prior in priors.items()}
    z = standardised(draws)
    mean, variance = network.predict(z[inside(z)] if inside(z).any() else z)
    sd = np.sqrt(np.diag(seen.covariance) + variance)
    low, high = np.min(mean - FARTHEST * sd, axis=0), np.max(mean + FARTHEST * sd, axis=0)
    for k, name in enumerate(FEATURES):
        if not low[k] <= seen.value[k] <= high[k]:
            raise DataError(
                f"the {name} of the peaks is that of no plasma that the surrogate knows",
                source=data.attrs.get("source"),
                expected=f"{low[k]:.3g} to {high[k]:.3g}",
                found=f"{seen.value[k]:.3g}",
                remedy="state priors of such a plasma, and fit all channels alone (--no-surrogate)",
            )

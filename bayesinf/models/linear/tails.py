"""Do the coefficients look like draws from their normal prior?

Where there are more features than the data decide, the prior fills in the rest, and a normal one
fills it in evenly: a few large coefficients among many that are nothing come out smeared over all,
with intervals that miss them, though nothing in the residuals shows it. But what the data say of
the coefficients shows it. Under the model and given its two scales, the posterior mean of β, given
the data less their part along the unshrunk columns, is itself a draw with a known covariance:

    m = V diag(ρ s / (1 + ρ s²)) y,   y ~ N(0, σ² (1 + ρ s²))

Its standardised fourth moment is compared with that of draws of m from the model, at scales from
their posterior (a mixed predictive check: Marshall & Spiegelhalter 2007).

References
----------
Marshall & Spiegelhalter, Bayesian Analysis 2, 409 (2007), doi:10.1214/07-BA218.
"""

from __future__ import annotations

import numpy as np

from bayesinf.inference import kinds
from bayesinf.models.linear.spectrum import Spectrum

__all__ = ["HEAVIER", "chance", "decided"]

REPLICAS = 800
DECIDED = 0.9  # share of the prior variance that data take, beyond which the prior matters little
LEAST = 0.005  # chance of draws of the model as heavy in the tails as the data's

HEAVIER = kinds.Question(
    "coefficients under their prior",
    "heavy_tail_chance",
    "min",
    LEAST,
    "≥",
    True,
    "coefficients from the normal prior are as uneven as these with a chance of {value:.2g}",
    "let the prior allow few large coefficients among many small ones: a horseshoe or a spike and "
    "slab",
)


def decided(spectrum: Spectrum, log_rho: np.ndarray) -> float:
    """Share of the weights' prior variance that the data take away, on average over the ratios ρ.

    Parameters
    ----------
    spectrum : of the design.
    log_rho : draws of log ρ, (draw,).
    """
    gain = 1 - 1 / (1 + np.multiply.outer(np.exp(log_rho), spectrum.s**2))
    return float(np.mean(gain.sum(axis=-1)) / len(spectrum.V))


def chance(spectrum: Spectrum, rng: np.random.Generator, log_rho: np.ndarray) -> float:
    """Chance that coefficients of the normal prior look as uneven as those that the data show.

        T(m) = p Σ_j z_j⁴ / (Σ_j z_j²)²,   z_j = m_j / sd(m_j)

    Parameters
    ----------
    spectrum : of the design, which holds the data.
    log_rho : draws of log ρ from the posterior, (draw,).

    Returns
    -------
    the share of replicas with a T at least that of the data, each at the scales of one draw, with
    the data counted among them.
    """
    size = spectrum.s**2
    seen = np.exp(log_rho)[:, np.newaxis] * size
    gain = seen / (1 + seen)
    # All that is common to the coefficients of a draw falls out of T.
    data = gain / spectrum.s * spectrum.y
    replica = np.sqrt(gain) * rng.standard_normal(gain.shape)
    spread = np.sqrt(gain @ (spectrum.V**2).T)
    above = _fourth(replica, spectrum.V, spread) >= _fourth(data, spectrum.V, spread)
    return float((1 + np.count_nonzero(above)) / (1 + len(above)))


def _fourth(along, V, spread):
    z = np.square(along @ V.T / np.maximum(spread, np.finfo(float).tiny))
    return z.shape[1] * np.sum(z**2, axis=1) / np.sum(z, axis=1) ** 2

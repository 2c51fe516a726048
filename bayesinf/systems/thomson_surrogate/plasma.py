"""The form factor S(k, ω) of a plasma without collisions, Maxwellian electrons and one ion.

    S(k, ω) = (2√π / k) [ |(1 + χ_i)/ε|² e^(−x_e²) / a_e  +  Z |χ_e/ε|² e^(−x_i²) / a_i ]
    χ_e = α² W(x_e),   χ_i = α² (Z T_e / T_i) W(x_i),   ε = 1 + χ_e + χ_i,   α = 1 / (k λ_De)
    W(x) = 1 + x Z(x),   Z(x) = i √π w(x),   a = √(2T/m)
    x_i = (ω/k − u) / a_i,   x_e = (ω/k − u − v) / a_e

w is the Faddeeva function, u the flow of the ions and v the drift of the electrons against them,
both along k. The first part is the electrons' own, the second that of the clouds that screen ions.

Salpeter, Physical Review 120, 1528 (1960), doi:10.1103/PhysRev.120.1528; Froula, Glenzer, Luhmann &
Sheffield, Plasma Scattering of Electromagnetic Radiation, 2nd ed. (2011),
doi:10.1016/C2009-0-20048-1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy

__all__ = ["UNITS", "acoustic_speed", "alpha", "form_factor", "response", "temperature_at"]

# What a plasma is here, and in which units: the parameters of every function below.
UNITS = {
    "electron_density": "1e19 cm^-3",
    "ion_mass": "u",
    "electron_temperature": "eV",
    "ion_temperature": "eV",
    "charge": "1",
    "ion_flow": "km/s",
    "electron_drift": "km/s",
}
DENSITY = 1e25  # 1/m³ in 10¹⁹ cm⁻³
SPEED = 1e3  # m/s in km/s

Plasma = Mapping[str, np.ndarray]


def response(x: np.ndarray) -> np.ndarray:
    """Return W(x) = 1 + i √π x w(x), how a Maxwellian answers at phase speed x, in units of a."""
    return 1 + 1j * np.sqrt(np.pi) * x * scipy.special.wofz(x)


def alpha(k: np.ndarray, plasma: Plasma) -> np.ndarray:
    """Return 1 / (k λ_De), above one where the scattering is collective.

    Parameters
    ----------
    k : wave number, 1/m.
    plasma : parameter to its value, in ``UNITS``; what is not needed may be missing.
    """
    square = DENSITY * plasma["electron_density"] * scipy.constants.e / scipy.constants.epsilon_0
    return np.sqrt(square / plasma["electron_temperature"]) / k


def acoustic_speed(k: np.ndarray, plasma: Plasma) -> np.ndarray:
    """Return the phase speed of the ion-acoustic wave of a fluid, m/s.

        c² = (Z T_e α²/(1 + α²) + 3 T_i) / m_i

    Parameters
    ----------
    k, plasma : as for ``alpha``.
    """
    square = alpha(k, plasma) ** 2
    electrons = plasma["charge"] * plasma["electron_temperature"] * square / (1 + square)
    energy = scipy.constants.e * (electrons + 3 * plasma["ion_temperature"])
    return np.sqrt(energy / (plasma["ion_mass"] * scipy.constants.atomic_mass))


def temperature_at(speed: np.ndarray, k: np.ndarray, plasma: Plasma) -> np.ndarray:
    """Return the electron temperature, eV, at which the acoustic speed is this, NaN where at none.

    Parameters
    ----------
    speed : as of ``acoustic_speed``, m/s.
    k, plasma : as for ``alpha``; no electron temperature is needed.
    """
    energy = speed**2 * plasma["ion_mass"] * scipy.constants.atomic_mass / scipy.constants.e
    electrons = energy - 3 * plasma["ion_temperature"]
    collective = alpha(k, {**plasma, "electron_temperature": 1.0}) ** 2
    left = plasma["charge"] - electrons / collective
    found = electrons / np.where(left > 0, left, np.nan)
    return np.where(electrons > 0, found, np.nan)


def thermal_speeds(plasma: Plasma) -> tuple[np.ndarray, np.ndarray]:
    """Return a = √(2T/m) of electrons and of ions, m/s."""
    ion_mass = scipy.constants.atomic_mass * plasma["ion_mass"]
    return tuple(
        np.sqrt(2 * scipy.constants.e * plasma[name] / mass)
        for name, mass in (
            ("electron_temperature", scipy.constants.m_e),
            ("ion_temperature", ion_mass),
        )
    )


def susceptibilities(omega: np.ndarray, k: np.ndarray, plasma: Plasma):
    """Return phase speeds (x_e, x_i) in units of the thermal ones, χ_e and χ_i.

    Parameters
    ----------
    omega, k, plasma : as for ``form_factor``.
    """
    electron_speed, ion_speed = thermal_speeds(plasma)
    along = omega / k - SPEED * plasma["ion_flow"]
    ion = along / ion_speed
    electron = (along - SPEED * plasma["electron_drift"]) / electron_speed
    square = alpha(k, plasma) ** 2
    hotter = plasma["charge"] * plasma["electron_temperature"] / plasma["ion_temperature"]
    return (electron, ion), square * response(electron), square * hotter * response(ion)


def form_factor(omega: np.ndarray, k: np.ndarray, plasma: Plasma) -> np.ndarray:
    """Return S(k, ω), normalised so that ∫ S dω / 2π is 1 where nothing is collective (α → 0).

    Parameters
    ----------
    omega : frequency of the fluctuations, rad/s, in order along the last axis; positive where light
        gains energy.
    k : wave number, 1/m.
    plasma : parameter to its value, in ``UNITS``; all broadcast with ω.

    Returns
    -------
    S in seconds, in the shape to which all broadcast. It is NaN where electrons drift so fast
    against the ions that a wave grows at one of the frequencies: such a plasma has no steady S.
    """
    (electron, ion), chi_e, chi_i = susceptibilities(omega, k, plasma)
    electron_speed, ion_speed = thermal_speeds(plasma)
    epsilon = 1 + chi_e + chi_i
    own = np.abs(1 + chi_i) ** 2 * np.exp(-(electron**2)) / electron_speed
    clouds = plasma["charge"] * np.abs(chi_e) ** 2 * np.exp(-(ion**2)) / ion_speed
    found = 2 * np.sqrt(np.pi) / k * (own + clouds) / np.abs(epsilon) ** 2
    return np.where(_stable(epsilon), found, np.nan)


def _stable(epsilon):
    """Nyquist's criterion: ε(ω) does not wind around zero, so that no wave grows, (..., 1).

    Each turn crosses the negative real axis once more in one sense than in the other.
    """
    crossing = np.diff(np.signbit(epsilon.imag).astype(np.int8), axis=-1)
    turns = np.sum(crossing * (epsilon.real[..., 1:] < 0), axis=-1, keepdims=True)
    return turns == 0

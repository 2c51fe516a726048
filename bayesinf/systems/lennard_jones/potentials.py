"""The potentials themselves, the units they come in, and the virial coefficient they imply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["DISTANCE_UNITS", "ENERGY_UNITS", "POTENTIALS", "aziz", "lennard_jones", "second_virial"]

# Units that may stand in a file, and what they are in Å and in K; reduced units have no such size.
DISTANCE_UNITS = {
    "Å": 1.0,
    "A": 1.0,
    "angstrom": 1.0,
    "nm": 10.0,
    "pm": 0.01,
    "bohr": 0.529177,
    "a0": 0.529177,
    "m": 1e10,
    "σ": np.nan,
    "sigma": np.nan,
}
ENERGY_UNITS = {
    "K": 1.0,
    "meV": 11.604518,
    "eV": 11604.518,
    "kJ/mol": 120.27236,
    "kcal/mol": 503.21957,
    "cm-1": 1.4387769,
    "cm^-1": 1.4387769,
    "1/cm": 1.4387769,
    "hartree": 315775.02,
    "Eh": 315775.02,
    "J": 7.2429705e22,
    "ε": np.nan,
    "epsilon": np.nan,
}
VOLUME = 0.602214076  # cm³/mol that one Å³ a particle comes to


def lennard_jones(r, epsilon=1.0, sigma=1.0):
    """Return 4ε((σ/r)¹² − (σ/r)⁶); also a prior mean, with priors in place of ε and σ."""
    six = (sigma / r) ** 6
    return 4 * epsilon * (six * six - six)


def aziz(r: np.ndarray) -> np.ndarray:
    """Return the energy of two argon atoms, K, at r in Å: the potential HFDID1.

        V = A exp(−α r − β r²) − f(ρ) Σ_n C_n [(1 − exp(−2.1 ρ/n − 0.109 ρ²/√n)) / x]ⁿ

    with x = r / bohr, ρ = 1.107 x, f = 1 − ρ^1.68 exp(−0.78 ρ) and n = 6, 8, 10, 12, 14.

    References
    ----------
    Aziz, J. Chem. Phys. 99, 4518 (1993), doi:10.1063/1.466051.
    """
    r = np.asarray(r, dtype=float)
    x = r / 0.52917720859
    rho = 1.107 * x
    dispersion = {6: 63.5, 8: 1510.0, 10: 48000.0, 12: 2069581.26, 14: 116670633.0}  # hartree
    damped = sum(
        c * ((1 - np.exp(-2.1 * rho / n - 0.109 * rho**2 / np.sqrt(n))) / x) ** n
        for n, c in dispersion.items()
    )
    wall = 87393.3927 * 143.235 * np.exp(-9.03228328 * r / 3.757 - 0.168 * r**2)
    return wall - (1 - rho**1.68 * np.exp(-0.78 * rho)) * 315775.0248 * damped


POTENTIALS: Mapping[str, Callable] = {"lennard_jones": lennard_jones, "aziz": aziz}


def second_virial(
    distances: np.ndarray, energies: np.ndarray, temperatures: np.ndarray, units=("Å", "K")
) -> np.ndarray:
    """Integrate the classical second virial coefficient of a pair potential.

        B₂(T) = −2π ∫ (exp(−U(r)/T) − 1) r² dr

    Inside the first distance the potential is taken for infinite; beyond the last it is continued
    as −C₆/r⁶ − C₈/r⁸, fitted to the outer third of the distances.

    Parameters
    ----------
    distances : (point,), ascending, dense enough for the trapezoidal rule.
    energies : (..., point).
    temperatures : (temperature,), K.
    units : of distances and energies, in ``DISTANCE_UNITS`` and ``ENERGY_UNITS``.

    Returns
    -------
    B₂, cm³/mol, (..., temperature).
    """
    r = np.asarray(distances, dtype=float) * DISTANCE_UNITS[units[0]]
    u = np.asarray(energies, dtype=float) * ENERGY_UNITS[units[1]]
    outer = r > r[-1] / 1.5
    powers = r[outer, None] ** [-6, -8]
    strength, *_ = np.linalg.lstsq(powers, u[..., outer].reshape(-1, outer.sum()).T)
    beyond = np.reshape(strength.T @ [1 / (3 * r[-1] ** 3), 1 / (5 * r[-1] ** 5)], u.shape[:-1])
    found = []
    for t in np.atleast_1d(temperatures):
        bonded = np.expm1(np.clip(-u / t, -700, 700)) * r**2
        inner = -(r[0] ** 3) / 3
        whole = np.trapezoid(bonded, r, axis=-1) + inner - beyond / t
        found.append(-2 * np.pi * VOLUME * whole)
    return np.stack(found, axis=-1)

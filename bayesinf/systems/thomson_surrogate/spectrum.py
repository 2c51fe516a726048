"""From a plasma to the counts that a spectrometer should see: geometry, instrument, channels.

    shape_j ∝ Σ_f  G_jf  S(k_f, ω_f) / λ_f²,   Σ_j shape_j = 1,   ω = 2πc (1/λ − 1/λ_probe)
    k² = k_s² + k_p² − 2 k_s k_p cos θ

G_jf is the share of light of wavelength λ_f that the instrument, a Gaussian, brings into channel j;
1/λ² turns a spectrum in frequency into one in wavelength. The shape alone carries the physics: how
many photons come in all, and a background equal in all channels, are parameters of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from bayesinf.errors import DataError
from bayesinf.systems.thomson_surrogate import plasma as physics

__all__ = ["Setup", "Spectrometer"]

NANO = 1e-9
FINE = 100.0  # steps of the inner grid in one ion-acoustic shift, and
STEPS = 6.0  # at least in the instrument's full width,
MOST_STEPS = 6000  # but no more in all
BEYOND = 1.5  # full widths of the instrument by which the inner grid overhangs the channels
GAP = 1.5  # steps on one side of a channel in one on the other, beyond which channels are missing
FULL = 2 * np.sqrt(2 * np.log(2))  # full width at half maximum of a Gaussian of sd one
# Of the shift that says how fine the inner grid has to be.
TYPICAL = {
    "electron_density": 2.0,
    "ion_mass": 12.0,
    "electron_temperature": 500.0,
    "ion_temperature": 250.0,
    "charge": 5.0,
}


@dataclass(frozen=True)
class Setup:
    """How the light is scattered and seen: what is known of the experiment.

    Parameters
    ----------
    angle : between probe and scattered light, degrees.
    probe : vacuum wavelength, nm.
    width : of the instrument, full width at half maximum, nm.
    """

    angle: float = 90.0
    probe: float = 532.0
    width: float = 0.06

    def __post_init__(self):
        limits = {"angle": (1.0, 180.0), "probe": (100.0, 20000.0), "width": (1e-4, 50.0)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                unit = "degrees" if name == "angle" else "nm"
                raise DataError(
                    f"no such {name}", expected=f"from {low:g} to {high:g} {unit}", found=value
                )

    @property
    def wave_number(self) -> float:
        """Of the fluctuations that scatter light without a shift, in vacuum, 1/m."""
        return 4 * np.pi * np.sin(np.radians(self.angle) / 2) / (self.probe * NANO)

    def shift_of(self, speed: np.ndarray) -> np.ndarray:
        """Shift of wavelength, nm, at a phase speed, m/s; one that approaches is blue, negative."""
        omega = self.wave_number * speed
        return -omega * self.probe**2 * NANO / (2 * np.pi * scipy.constants.c)

    def waves(
        self, shift: np.ndarray, electron_density: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ω, rad/s, and k, 1/m, of the fluctuations that shift light by so many nm.

        Parameters
        ----------
        shift : from the probe's wavelength, nm, (wavelength,).
        electron_density : in which the light runs, 10¹⁹ cm⁻³, (..., 1).
        """
        scattered, probe = (
            2 * np.pi * scipy.constants.c / (NANO * wavelength)
            for wavelength in (self.probe + shift, self.probe)
        )
        density = physics.DENSITY * electron_density
        cut = density * scipy.constants.e**2 / (scipy.constants.epsilon_0 * scipy.constants.m_e)
        with np.errstate(invalid="ignore"):  # light does not run in a plasma that is denser
            k_s, k_p = (np.sqrt(omega**2 - cut) / scipy.constants.c for omega in (scattered, probe))
        cosine = np.cos(np.radians(self.angle))
        k = np.sqrt(k_s**2 + k_p**2 - 2 * k_s * k_p * cosine)
        return scattered - probe, k

    def form_factor(self, shift: np.ndarray, plasma: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return S(k, ω), s, at shifts of wavelength, nm: (..., wavelength).

        Parameters
        ----------
        shift : from the probe's wavelength, nm, (wavelength,).
        plasma : as for ``plasma.form_factor``, each (..., 1).
        """
        return physics.form_factor(*self.waves(shift, plasma["electron_density"]), plasma)


@dataclass(frozen=True, eq=False)
class Spectrometer:
    """Channels that look at scattered light.

    Parameters
    ----------
    setup : of the experiment.
    shift : middle of each channel from the probe's wavelength, nm, ascending, (channel,).
    finer : by how much the inner grid is finer than usual.
    """

    setup: Setup
    shift: np.ndarray
    finer: int = 1

    @cached_property
    def edges(self) -> np.ndarray:
        """Edges of the channels, (2, channel): half-way to the next one, unless there is a gap.

        Where channels were left out, such as those at the probe's own light, a channel is as wide
        towards the gap as it is away from it.
        """
        step = np.diff(self.shift)
        left, right = np.append(step[0], step), np.append(step, step[-1])
        below = np.where(left > GAP * right, right, left)
        above = np.where(right > GAP * left, left, right)
        return self.shift + np.stack([-below, above]) / 2

    @cached_property
    def fine(self) -> np.ndarray:
        """The inner grid, shifts of wavelength in nm, (fine,)."""
        setup = self.setup
        acoustic = abs(setup.shift_of(physics.acoustic_speed(setup.wave_number, TYPICAL)))
        step = min(acoustic / FINE, setup.width / STEPS) / self.finer
        low, high = self.edges[[0, 1], [0, -1]] + BEYOND * setup.width * np.array([-1, 1])
        count = int(np.ceil((high - low) / step)) + 1
        if count > MOST_STEPS * self.finer:
            raise DataError(
                "the window is too wide for features this narrow",
                expected=f"a window of at most {MOST_STEPS * step:.3g} nm around the ion feature",
                found=f"{self.shift[0]:.4g} to {self.shift[-1]:.4g} nm from the probe",
                remedy="cut it with --window, or look at --probe, --angle and --instrument",
            )
        return np.linspace(low, high, count)

    @cached_property
    def seen(self) -> np.ndarray:
        """Share of light of each wavelength that comes into each channel, (fine, channel)."""
        sd = self.setup.width / FULL
        low, high = scipy.special.ndtr((self.edges[:, None] - self.fine[:, None]) / sd)
        return (high - low) * (1 + self.fine[:, None] / self.setup.probe) ** -2

    def shapes(self, plasma: Mapping[str, np.ndarray]) -> np.ndarray:
        """Share of the photons in each channel, (..., channel), of plasmas (...).

        NaN where a plasma is unstable.
        """
        columns = {name: np.asarray(plasma[name])[..., None] for name in physics.UNITS}
        light = self.setup.form_factor(self.fine, columns) @ self.seen
        return light / light.sum(axis=-1, keepdims=True)

    def counts(self, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Expected counts, photons · shape + background, (..., channel)."""
        photons, background = (np.asarray(draws[n])[..., None] for n in ("photons", "background"))
        return photons * self.shapes(draws) + background

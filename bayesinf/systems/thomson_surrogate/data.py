"""Spectra of scattered light: simulated from a plasma, or read from a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data
from bayesinf.data.units import spelled
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT
from bayesinf.systems.thomson_surrogate.plasma import UNITS
from bayesinf.systems.thomson_surrogate.spectrum import Setup, Spectrometer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["TRUTH", "counts_of", "read", "setup_of", "shift_of", "simulate", "spectrometer_of"]
__all__ += ["spectrum"]

TRUTH = {
    "electron_density": 2.3,
    "ion_mass": 12.0,
    "electron_temperature": 560.0,
    "ion_temperature": 220.0,
    "charge": 5.3,
    "ion_flow": 20.0,
    "electron_drift": 120.0,
    "photons": 20000.0,
    "background": 12.0,
}
CHANNELS = np.linspace(-1.2, 1.2, 121)  # nm from the probe
NANOMETRES = {"nm": 1.0, "Å": 0.1, "pm": 1e-3, "um": 1e3, "µm": 1e3, "m": 1e9}
NEAR = 0.1  # of the probe's wavelength, within which its shifts lie
LEAST = 20  # channels below which nine parameters cannot be thought of


def simulate(
    truth: Mapping[str, float] | None = None,
    setup: Setup = Setup(),
    shift: np.ndarray = CHANNELS,
    *,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Draw the counts of a spectrum, y_j ~ Poisson(photons · shape_j + background).

    Parameters
    ----------
    truth : parameters in place of those of ``TRUTH``.
    setup : of the experiment.
    shift : middle of each channel from the probe, nm, (channel,).
    rng : generator; None takes that of the default settings.

    Returns
    -------
    Dataset as of ``read``, with its truth.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    known = TRUTH | dict(truth or {})
    counts = rng.poisson(Spectrometer(setup, shift).counts(known))
    named = {name: np.float64(value) for name, value in known.items()}
    note = dataset(named, units=UNITS, sampled=False)
    return annotated(spectrum(shift, counts, setup), truth=note)


def spectrum(shift: np.ndarray, counts: np.ndarray, setup: Setup) -> xr.Dataset:
    """Label a spectrum that is held in memory.

    Parameters
    ----------
    shift : middle of each channel from the probe, nm, (channel,).
    counts : (channel,).
    setup : of the experiment.
    """
    import xarray as xr

    x = xr.DataArray(shift, dims="point", name="shift", attrs={"units": "nm"})
    y = xr.DataArray(counts, dims="point", name="counts", attrs={"units": "1"})
    return _with(data.curve_from_arrays(x, y), setup, 1.0)


def read(
    path: str | os.PathLike,
    x: str | int | None = None,
    y: str | int | None = None,
    *,
    setup: Setup = Setup(),
    gain: float = 1.0,
    **how,
) -> xr.Dataset:
    """Read a spectrum: wavelengths, or shifts from the probe's, and counts.

    Parameters
    ----------
    path : any table.
    x, y : columns by name or position; None leaves the choice to the file. x is in nm, unless the
        file says another unit of length; values near the probe's wavelength are wavelengths.
    setup : of the experiment.
    gain : what one photon adds to y; 1 where y are counts.
    **how : as of ``bayesinf.data.curve``: ``decimal``, ``windows``.

    Raises
    ------
    DataError : neither wavelengths nor shifts, no counts, or too few channels.
    """
    found = data.curve(
        path,
        x,
        y,
        "none",
        x_names=("shift", "wavelength", "lambda", "wavelength shift", "nm"),
        y_names=("counts", "photons", "intensity", "signal"),
        least=LEAST,
        **how,
    )
    return _with(found, setup, gain)


def _with(found, setup, gain):
    """The data with their setup, refused where they can be no spectrum of it."""
    if not gain > 0:
        raise DataError("no such gain", where="gain", expected="a number above zero", found=gain)
    found = found.assign_attrs(
        angle=setup.angle, probe=setup.probe, instrument=setup.width, gain=float(gain)
    )
    source = found.attrs.get("source")
    shift = shift_of(found)
    if (np.diff(shift) <= 0).any():
        raise DataError(
            "two rows have the same wavelength",
            source=source,
            expected="one row a channel",
            remedy="add up the counts of each channel",
        )
    counts_of(found)
    return found


def setup_of(found: xr.Dataset) -> Setup:
    """Return the setup that a spectrum was seen with."""
    return Setup(*(float(found.attrs[name]) for name in ("angle", "probe", "instrument")))


def shift_of(found: xr.Dataset) -> np.ndarray:
    """Return the shift of each channel from the probe, nm, (channel,)."""
    x, _, _ = data.axes(found)
    probe, source = float(found.attrs["probe"]), found.attrs.get("source")
    given = str(x.attrs.get("units", "1"))
    unit = "nm" if given == "1" else spelled(given, NANOMETRES)
    if unit is None:
        raise DataError(
            "the unit of x is no length",
            source=source,
            where=f"column {x.attrs.get('long_name', x.name)}",
            expected=f"one of {', '.join(NANOMETRES)}",
            found=given,
        )
    nanometres = NANOMETRES[unit] * x.values.astype(float)
    for shift in (nanometres, nanometres - probe):
        if np.max(np.abs(shift)) < NEAR * probe:
            return shift
    raise DataError(
        f"x are neither wavelengths around {probe:g} nm nor shifts from it",
        source=source,
        where=f"column {x.attrs.get('long_name', x.name)}",
        expected=f"{(1 - NEAR) * probe:g} to {(1 + NEAR) * probe:g} nm, or less than "
        f"{NEAR * probe:g} nm",
        found=f"{nanometres.min():g} to {nanometres.max():g} nm",
        remedy="state the wavelength of the probe with --probe, or give x another unit than nm in "
        "its heading, such as wavelength (Å)",
    )


def spectrometer_of(found: xr.Dataset) -> Spectrometer:
    """Return the channels and the setup that a spectrum was seen with."""
    return Spectrometer(setup_of(found), shift_of(found))


def counts_of(found: xr.Dataset) -> np.ndarray:
    """Return the photons of each channel, (channel,)."""
    _, y, _ = data.axes(found)
    gain = float(found.attrs["gain"])
    values = y.values.astype(float)
    wrong = (values < 0) | ((values != np.round(values)) & (gain == 1.0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            "photons are counted",
            source=found.attrs.get("source"),
            where=f"column {y.attrs.get('long_name', y.name)}, channel {row + 1}",
            expected="whole numbers that are not negative",
            found=f"{values[row]:g}",
            remedy="use the raw counts, or state what one photon adds to y with --gain",
        )
    return np.round(values / gain)

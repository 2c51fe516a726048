"""Light curves: a simulated variable star, or a file of the user's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["light_curve", "read", "simulate"]

# Amplitudes (magnitudes) and phases of the harmonics of a curve that rises fast and falls slowly,
# as those of RR Lyrae stars do.
AMPLITUDES, PHASES = np.array([0.30, 0.14, 0.09, 0.05]), np.array([1.0, 2.2, 3.4, 4.7])
TIMES = ("t", "time", "date", "mjd", "hjd", "bjd", "jd")
VALUES = ("mag", "magnitude", "flux", "y", "signal", "intensity", "counts")
ERRORS = ("error", "magerr", "mag_err", "e_mag", "fluxerr", "flux_err", "e_flux", "dmag", "err")
KNOWN = ("truth.frequency", "truth.jitter", "truth.level")


def simulate(
    period: float = 0.5524,
    count: int = 140,
    nights: int = 40,
    jitter: float = 0.02,
    *,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Observe a star by night: uneven times with daily gaps, error bars, and a scatter beyond them.

        y = 15.6 + Σ_k A_k sin(2π k t / period + φ_k) + sqrt(error² + jitter²) z,   z ~ N(0, 1)

    Parameters
    ----------
    period : days.
    count : observations.
    nights : over which they are scattered, each night a third of a day long; some stay cloudy.
    jitter : scatter that no error bar tells, magnitudes.
    rng : of times, errors and noise; by default the stream "simulate" of the default settings.

    Returns
    -------
    a Dataset over ``point`` with ``t`` (d), ``mag`` and ``error`` (mag), and ``truth.frequency``
    (1/d), ``truth.jitter`` and ``truth.level``.
    """
    if not (period > 0 and count >= 5 and nights >= 1 and jitter >= 0):
        raise DataError(
            "no such star",
            expected="period > 0, count ≥ 5, nights ≥ 1 and jitter ≥ 0",
            found=f"{period}, {count}, {nights} and {jitter}",
        )
    rng = DEFAULT.generator("simulate") if rng is None else rng
    clear = np.flatnonzero(rng.random(nights) < 0.7) if nights > 4 else np.arange(nights)
    night = rng.choice(clear if len(clear) else np.arange(nights), count)
    t = np.sort(night + rng.uniform(0.0, 1 / 3, count))
    error = rng.uniform(0.02, 0.05, count)
    k = np.arange(1, len(AMPLITUDES) + 1)
    signal = np.sin(2 * np.pi * np.multiply.outer(t / period, k) + PHASES) @ AMPLITUDES
    noise = np.hypot(error, jitter) * rng.standard_normal(count)
    truth = {"frequency": 1 / period, "jitter": jitter, "level": 15.6}
    return light_curve(t, 15.6 + signal + noise, error, "d", "mag", truth)


def light_curve(t, y, error, time_unit="1", unit="1", truth=None) -> xr.Dataset:
    """Label arrays as ``simulate`` does, the truth by name where it is known."""
    import xarray as xr

    columns = {"t": (t, time_unit), "mag": (y, unit), "error": (error, unit)}
    found = reading.curve_from_arrays(
        *(
            xr.DataArray(values, dims="point", name=name, attrs={"units": units})
            for name, (values, units) in columns.items()
        ),
    )
    if truth is None:
        return found
    units = {"frequency": f"1/{time_unit}"} | dict.fromkeys(("jitter", "level"), unit)
    arrays = {name: np.float64(value) for name, value in truth.items()}
    return annotated(found, truth=dataset(arrays, units=units, sampled=False))


def read(
    path: str | os.PathLike | xr.Dataset,
    t: str | int | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    *,
    time_unit: str | None = None,
    decimal: str | None = None,
    windows: Sequence[tuple[float, float]] = (),
) -> xr.Dataset:
    """Read times, values and error bars; rows need not be sorted, and times may repeat.

    Parameters
    ----------
    path : what ``bayesinf.data.curve`` reads; a netCDF file of ``simulate`` keeps its truth.
    t, y, error : name of the column, or its position from 1; ``error="none"`` reads none, and the
        jitter is then all of the noise.
    time_unit : where the file does not say.
    decimal, windows : as for ``bayesinf.data.curve``.

    Returns
    -------
    a Dataset as of ``simulate``, with the user's names.

    Raises
    ------
    DataError : as of ``bayesinf.data.curve``: among others an error bar that is not positive.
    """
    import xarray as xr

    columns = path if isinstance(path, xr.Dataset) else reading.read(path, decimal=decimal)
    if error is None:
        error = next((name for name in columns.data_vars if name.casefold() in ERRORS), None)
    options = {"x_names": TIMES, "y_names": VALUES, "least": 8, "decimal": decimal}
    found = reading.curve(path, t, y, error, windows=windows, **options)
    if time_unit is not None:
        found[found.attrs["x"]].attrs["units"] = time_unit
    known = {name: columns[name] for name in KNOWN if name in columns}
    truth = {n.removeprefix("truth."): v.values.reshape(()) for n, v in known.items()}
    units = {n.removeprefix("truth."): v.attrs.get("units", "1") for n, v in known.items()}
    return annotated(found, truth=dataset(truth, units=units, sampled=False)) if truth else found

"""Spectra: simulated, from files of the user's, and NIST's with certified parameters.

Each is one Dataset that ``fit`` takes. What is known beforehand stands in it as a note: ``truth``
of a simulated spectrum, ``certified`` and ``certified_sd`` of one that NIST has certified.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import curve, curve_from_arrays, within
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.settings import DEFAULT
from bayesinf.systems.gaussian_peaks.lines import SHAPES, Lines
from bayesinf.systems.gaussian_peaks.statement import units_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["nist", "nist_options", "nist_starts", "overlap", "read", "simulate", "within"]

# What a simulated spectrum has where nothing else is said.
OTHERS = {"gamma": 0.5, "fraction": 0.5}
OTHERS |= {"background_level": 1.0, "background_slope": 0.2, "background_decay": 5.0}
OTHERS |= {"background_curvature": -0.01, "background_cubic": 0.001}

# The two forms that the curves of NIST's peaks have.
GAUSS = {"peaks": 2, "background": "exponential", "origin": 0.0}
ECKERLE = {"peaks": 1, "background": "none", "origin": 0.0}


def read(
    path: str | os.PathLike,
    x: str | int | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    *,
    decimal: str | None = None,
    windows: Sequence[tuple[float, float]] = (),
) -> xr.Dataset:
    """Read a spectrum, with error bars where the file has them.

    Parameters
    ----------
    path, x, y, error, decimal, windows : as for ``bayesinf.data.curve``.

    Returns
    -------
    a Dataset as of ``bayesinf.data.curve``; the attribute ``case`` is the file's name.

    Raises
    ------
    DataError : the file cannot be read, or is no curve.
    """
    found = curve(path, x, y, error, decimal=decimal, rows=True, windows=windows)
    return found.assign_attrs(case=Path(path).name)


def simulate(
    x: np.ndarray | None = None,
    *,
    height: Sequence[float] = (10.0,),
    center: Sequence[float] = (4.0,),
    sigma: Sequence[float] = (0.8,),
    background: str = "constant",
    shape: str = "gaussian",
    noise: float = 0.5,
    rng: np.random.Generator | None = None,
    **parameters,
) -> xr.Dataset:
    """Make a spectrum whose parameters are known.

    Parameters
    ----------
    x : (point,), an array, or a DataArray whose name and unit are kept; by default 0 to 10 in 101
        steps.
    height, center, sigma : (peak,), centres ascending.
    background, shape : as for ``fit``; the background has its level at the smallest x.
    noise : sd of the noise.
    rng : generator of the noise; by default the stream "simulate" of the default settings.
    **parameters : the other parameters by name, as ``background_level`` or ``gamma``; by default as
        in ``OTHERS``.

    Returns
    -------
    a Dataset with ``x``, ``y`` (point,) and truth.NAME for every parameter.

    Raises
    ------
    FitError : an unknown background or shape, a parameter that is none of theirs.
    """
    x = np.linspace(0, 10, 101) if x is None else x
    at = np.asarray(x, dtype=float)
    rng = DEFAULT.generator("simulate") if rng is None else rng
    lines = Lines(len(np.atleast_1d(height)), background, shape, float(at.min()), float(at.max()))
    needed = [*lines.of_background, *SHAPES[shape].extra]
    if not set(parameters) <= set(needed):
        raise FitError(
            f"a {background} background and {shape} peaks have {needed or 'nothing'} "
            f"besides height, center and sigma, not {sorted(parameters)}"
        )
    parameters = {name: parameters.get(name, OTHERS.get(name, 1.0)) for name in needed}
    truth = {"height": height, "center": center, "sigma": sigma} | parameters
    model, params = lines.lmfit()
    for name, value in lines.flat(truth).items():
        params[name].value = value
    y = model.eval(params, x=at) + noise * rng.standard_normal(len(at))
    for name in ("amplitude", "fwhm"):
        truth[name] = [params[flat].value for flat in lines.names(name)]
    found = curve_from_arrays(x, y)
    units = units_of(found[found.attrs["x"]].units, "1")
    return annotated(found, truth=_over_peaks(truth | {"noise": noise}, lines, units))


def overlap(rng: np.random.Generator | None = None) -> xr.Dataset:
    """Simulate two peaks two widths apart: too close for the quadratic approximation."""
    peaks = {"height": (5.0, 4.0), "center": (4.0, 6.0), "sigma": (0.9, 0.9)}
    found = simulate(**peaks, background_level=1.0, noise=0.4, rng=rng)
    return found.assign_attrs(case="Two overlapping peaks (simulated)")


def nist(path: str | os.PathLike) -> xr.Dataset:
    """Read a data set of the NIST StRD for non-linear regression.

    Parameters
    ----------
    path : one of the files in ``data/gaussian_peaks``, as NIST distributes them.

    Returns
    -------
    a Dataset that ``fit`` takes, with the notes ``certified`` and ``certified_sd`` in our
    parameters, the former with the ``residual_sum_of_squares`` and ``degrees_of_freedom``; and
    ``nist``, what the file says in NIST's b1, b2, ...: ``start`` (start, parameter), ``certified``
    and ``certified_sd`` (parameter,). Attributes ``name`` and ``case``.

    Raises
    ------
    DataError : the file is missing, or is not of this form.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise DataError("no such file", source=path, expected="a .dat file of the NIST StRD")
    text = path.read_text()
    number = r"([-+.\dEe]+)"
    table = re.findall(rf"^ *b\d+ *= +{number} +{number} +{number} +{number} *$", text, re.M)
    name = re.search(r"Dataset Name: +(\S+)", text)
    rss = re.search(rf"Residual Sum of Squares: +{number}", text)
    dof = re.search(r"Degrees of Freedom: +(\d+)", text)
    rows = re.split(r"^Data: +y +x *$", text, flags=re.M)
    try:
        values = np.array([line.split() for line in rows[1].strip().splitlines()], dtype=float)
        parameters = np.array(table, dtype=float)
        name, rss, dof = name[1], float(rss[1]), int(dof[1])
        if len(values) != dof + len(parameters) or values.shape[1] != 2:
            raise ValueError("rows are missing")
    except (IndexError, TypeError, ValueError) as error:
        raise DataError(
            "not a complete file of the NIST StRD",
            source=path,
            found=error,
            expected="starting and certified values, sum of squares and the data as y, x",
        ) from error
    unit = "nm" if name == "Eckerle4" else "1"
    x = xr.DataArray(values[:, 1], dims="point", name="x", attrs={"units": unit})
    found = curve_from_arrays(x, values[:, 0], source=path)
    found = found.assign_attrs(name=name, case=f"NIST {name}")
    *starts, certified, sd = parameters.T
    lines, units = Lines(**nist_options(found)), units_of(unit, "1")
    known, errors = _ours(found, certified), _ours(found, sd)
    if "background_decay" in known:
        errors["background_decay"] = sd[1] / certified[1] ** 2
    known |= {"residual_sum_of_squares": rss, "degrees_of_freedom": dof}
    arrays = {"start": np.array(starts), "certified": certified, "certified_sd": sd}
    dims = dict.fromkeys(arrays, ("parameter",)) | {"start": ("start", "parameter")}
    named = {"parameter": [f"b{i}" for i in range(1, len(parameters) + 1)]}
    return annotated(
        found,
        certified=_over_peaks(known, lines, units),
        certified_sd=_over_peaks(errors, lines, units),
        nist=dataset(arrays, dims, named, sampled=False),
    )


def nist_options(data: xr.Dataset) -> dict[str, object]:
    """Return which curve a data set of ``nist`` is: ``peaks``, ``background`` and ``origin``."""
    return GAUSS if data.attrs["name"].startswith("Gauss") else ECKERLE


def nist_starts(data: xr.Dataset) -> list[dict[str, np.ndarray]]:
    """Return the two published starts of a data set of ``nist``, as ``fit`` takes them."""
    starts = [_ours(data, start) for start in noted(data, "nist")["start"].to_numpy()]
    for start in starts:
        if "amplitude" in start:
            start["height"] = start.pop("amplitude") / (np.sqrt(2 * np.pi) * start["sigma"])
    return starts


def _ours(data, b):
    """NIST's parameters b as ours; their sds too, but for that of a quotient."""
    if nist_options(data) is ECKERLE:
        return {"amplitude": b[[0]] * np.sqrt(2 * np.pi), "sigma": b[[1]], "center": b[[2]]}
    peaks = {"height": b[[2, 5]], "center": b[[3, 6]], "sigma": b[[4, 7]] / np.sqrt(2)}
    return {"background_level": b[0], "background_decay": 1 / b[1]} | peaks


def _over_peaks(values, lines, units):
    """Known values as a Dataset, (peak,) or scalars."""
    arrays = {name: np.asarray(value) for name, value in values.items()}
    per_peak = {*lines.of_peaks, "amplitude", "fwhm"}
    arrays = {n: np.atleast_1d(a) if n in per_peak else a for n, a in arrays.items()}
    dims = {name: ("peak",) for name in arrays if name in per_peak}
    numbers = {"peak": np.arange(1, lines.peaks + 1)}
    return dataset(arrays, dims, numbers, units, sampled=False)

"""Formats of instruments that say in keywords what their numbers are: XRD and gamma spectra.

UXD and CHI are written by diffractometers and the programs around them, XYE by powder diffraction
programs, with error bars as its third column, and Spe by multichannel analysers of gamma rays.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.columns import dataset, said
from bayesinf.data.text import decoded, table
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["chi", "rigaku", "spe", "uxd", "xye"]


def xye(path: Path, decimal: str | None = None) -> xr.Dataset:
    """Read x, y and error bars, which the third column of this format is."""
    found = table(decoded(path.read_bytes(), path), path, decimal=decimal)
    names = list(found.data_vars)
    if len(names) < 3:
        raise DataError(
            "too few columns", source=path, expected="x, y and error bars", found=len(names)
        )
    roles = dict(zip(("x", "y", "error"), names, strict=False))
    return found.assign_attrs(roles, reason="as an XYE file has them")


def chi(path: Path, decimal: str | None = None) -> xr.Dataset:
    """Read a CHI file: a title, the names of x and y, how many points there are, and those."""
    lines = decoded(path.read_bytes(), path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    count = lines[3].split() if len(lines) > 4 else []
    if not (count and count[0].isdecimal()):
        return table("\n".join(lines), path, decimal=decimal)
    found = table("\n".join(["", "", "", "", *lines[4:]]), path, decimal=decimal)
    if int(count[0]) != found.sizes["row"]:
        raise DataError(
            "the file is not whole",
            source=path,
            expected=f"{count[0]} points, as row 4 says",
            found=found.sizes["row"],
        )
    names = [lines[1].strip(), lines[2].strip(), *list(found.data_vars)[2:]]
    arrays = zip(names, (found[name].values for name in found.data_vars), strict=True)
    return dataset(arrays, found["row"].values, said=[f"title {lines[0].strip()}"])


def uxd(path: Path) -> xr.Dataset:
    """Read a range of a UXD file: pairs of angle and counts, or counts from a start in steps."""
    keys, rows, kind, kinds = {}, [], None, []
    for number, line in enumerate(decoded(path.read_bytes(), path).splitlines(), 1):
        line = line.partition(";")[0].strip()
        if line.startswith("_"):
            key, equals, value = (part.strip() for part in line.partition("="))
            keys[key] = value.strip("'\" ")
            if not equals:
                kind, kinds = key, [*kinds, key]
        elif line:
            rows.append((number, line))
    if len(kinds) != 1 or not re.fullmatch(r"_(2THETA)?(COUNTS|CPS|COUNTRATE)", kind or ""):
        raise DataError(
            "the file does not hold one range of counts",
            source=path,
            expected="_2THETACOUNTS, _COUNTS, _2THETACPS or _CPS once",
            found=", ".join(kinds) or "none",
            remedy="save the ranges one by one",
        )
    measured = ("counts (counts)", "count rate (1/s)")["COUNTS" not in kind]
    values = [_numbers(line, number, path) for number, line in rows]
    if kind.startswith("_2THETA"):
        values = np.array(
            [_pair(pair, number, path) for pair, (number, _) in zip(values, rows, strict=True)]
        )
        names = ("2theta (°)", measured)
        return dataset(
            zip(names, values.T, strict=True), [n for n, _ in rows], said=[f"range {kind}"]
        )
    y = np.array([value for each in values for value in each])
    start, step = (_number_of(keys, name, path) for name in ("START", "STEPSIZE"))
    if "_STEPCOUNT" in keys and int(_number_of(keys, "STEPCOUNT", path)) != y.size:
        raise DataError(
            "the file is not whole",
            source=path,
            expected=f"_STEPCOUNT = {keys['_STEPCOUNT']}",
            found=f"{y.size} counts",
        )
    angles = ("2theta (°)", start + step * np.arange(y.size))
    return dataset([angles, (measured, y)], said=[f"range {kind} from {start:g}° by {step:g}°"])


def rigaku(path: Path, decimal: str | None = None) -> xr.Dataset:
    """Read a scan whose counts stand between ``*BEGIN`` and ``*END``, at even steps from a start.

    A file without ``*BEGIN`` is a table of text.
    """
    whole = decoded(path.read_bytes(), path)
    lines = list(enumerate(whole.splitlines(), 1))
    marks = [k for k, (_, line) in enumerate(lines) if line.strip().startswith("*BEGIN")]
    if not marks:
        return table(whole, path, decimal=decimal)
    if len(marks) > 1:
        raise DataError(
            "the file holds several scans",
            source=path,
            found=len(marks),
            remedy="save them one by one",
        )
    keys = dict(
        (part.strip() for part in line.strip("* \t").partition("=")[::2])
        for _, line in lines[: marks[0]]
        if "=" in line
    )
    keys = {f"_{key}": value for key, value in keys.items()}
    y = []
    for number, line in lines[marks[0] + 1 :]:
        if line.strip().startswith("*"):
            break
        y += _numbers(line, number, path) if line.strip() else []
    start, step = (_number_of(keys, name, path) for name in ("START", "STEP"))
    if "_COUNT" in keys and int(_number_of(keys, "COUNT", path)) != len(y):
        raise DataError(
            "the file is not whole",
            source=path,
            expected=f"*COUNT = {keys['_COUNT']}",
            found=f"{len(y)} counts",
        )
    unit = keys.get("_YUNIT") or "1"
    angles = ("2theta (°)", start + step * np.arange(len(y)))
    return dataset([angles, (f"counts ({unit})", y)], said=[f"from {start:g}° by {step:g}°"])


def _number_of(keys, name, source):
    for key in (f"_{name}", "_2THETA" if name == "START" else ""):
        try:
            return float(keys[key])
        except (KeyError, ValueError):
            continue
    raise DataError("a keyword is missing", source=source, expected=f"_{name} = NUMBER")


def _numbers(line, number, source):
    try:
        return [float(word) for word in re.split(r"[\s,]+", line.strip(", "))]
    except ValueError as error:
        raise DataError(
            "not a number",
            source=source,
            where=f"row {number}",
            expected="numbers set apart by spaces",
            found=repr(line[:40]),
        ) from error


def _pair(values, number, source):
    if len(values) != 2:
        raise DataError(
            "the row has too many or too few columns",
            source=source,
            where=f"row {number}",
            expected="an angle and a count",
            found=len(values),
        )
    return values


def spe(path: Path) -> xr.Dataset:
    """Read a gamma spectrum: counts of each channel, and energies where it is calibrated.

    Energies are E = Σ_k c_k channel^k, with the coefficients of ``$MCA_CAL`` or ``$ENER_FIT``.

    Raises
    ------
    DataError : the file is not of this format, or not whole.
    """
    raw = path.read_bytes()
    if not raw.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"$"):
        raise DataError(
            "the file is no gamma spectrum of text",
            source=path,
            expected="sections such as $DATA:",
            remedy="spectra of cameras have the same suffix: save them as a table of text",
        )
    sections, rows = {}, []
    for number, line in enumerate(decoded(raw, path).splitlines(), 1):
        if line.startswith("$"):
            rows = sections.setdefault(line.strip().rstrip(":"), [])
        elif line.strip():
            rows.append((number, line))
    (bounds, *lines) = sections.get("$DATA") or [(0, "")]
    limits = _numbers(bounds[1], bounds[0], path) if bounds[1] else []
    counts = np.array([v for number, line in lines for v in _numbers(line, number, path)])
    if len(limits) != 2 or counts.size != limits[1] - limits[0] + 1:
        raise DataError(
            "the file is not whole",
            source=path,
            where="section $DATA",
            expected="first and last channel, and as many counts"
            if len(limits) != 2
            else f"counts of channels {limits[0]:g} to {limits[1]:g}",
            found=f"{counts.size} counts",
        )
    channel = limits[0] + np.arange(counts.size)
    # The region of no counts before the first one is no measurement but a threshold; it stays.
    coefficients, unit = _calibration(sections, path)
    columns = [("channel", channel), ("counts (counts)", counts)]
    if len(coefficients) < 2 or not np.any(coefficients[1:]):
        return dataset(columns, said=["no calibration of energies"]).assign_attrs(
            x="channel", y="counts"
        )
    energy = np.polynomial.polynomial.polyval(channel, coefficients)
    found = dataset([(f"energy ({unit})", energy), *columns])
    told = said(found, f"energies by the file's calibration, {_polynomial(coefficients)}")
    return found.assign_attrs(told, x="energy", y="counts")


def _calibration(sections, source):
    """Coefficients of energies by channel, and their unit."""
    if lines := sections.get("$MCA_CAL"):
        words = " ".join(line for _, line in lines).split()
        count = int(words[0]) if words[0].isdecimal() else 0
        numbers = _numbers(" ".join(words[1 : count + 1]), lines[0][0], source) if count else []
        return numbers, (words[count + 1 :] or ["keV"])[0]
    if lines := sections.get("$ENER_FIT"):
        words = lines[0][1].split()
        return _numbers(" ".join(words[:2]), lines[0][0], source), (words[2:] or ["keV"])[0]
    return [], ""


def _polynomial(coefficients):
    powers = ("", " · channel", *(f" · channel^{k}" for k in range(2, len(coefficients))))
    parts = zip(coefficients, powers, strict=False)
    return " + ".join(f"{value:g}{power}" for value, power in parts if value or not power)

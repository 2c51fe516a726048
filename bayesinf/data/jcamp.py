"""Spectra in JCAMP-DX, in every form in which its numbers are written.

A table is pairs, ``(XY..XY)``, or lines that start with x, ``(X++(Y..Y))``, whose ordinates are
numbers (AFFN), numbers set apart by signs (PAC), or one letter for sign and first digit (SQZ, DIF
for differences, DUP for repeats). The format checks itself: x at the start of each line, the last
ordinate repeated where differences go on, and the number, first and last of all points. A file that
fails a check is refused.

References
----------
R. S. McDonald and P. A. Wilks, JCAMP-DX: a standard form for exchange of infrared spectra in
computer readable form, Appl. Spectrosc. 42 (1988) 151. https://doi.org/10.1366/0003702884428734
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.columns import dataset
from bayesinf.data.text import decoded
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["jcamp", "ordinates"]

_SQUEEZED = {letter: str(digit) for digit, letter in enumerate("@ABCDEFGHI")}
_SQUEEZED |= {letter: f"-{digit}" for digit, letter in enumerate("abcdefghi", 1)}
_DIFFERENCE = {letter: str(digit) for digit, letter in enumerate("%JKLMNOPQR")}
_DIFFERENCE |= {letter: f"-{digit}" for digit, letter in enumerate("jklmnopqr", 1)}
_REPEATED = {letter: str(digit) for digit, letter in enumerate("STUVWXYZs", 1)}
_PLAIN = r"[+\-]?(?:\d+\.?\d*|\.\d+)"
_NUMBER = _PLAIN + r"(?:[eE][+\-]?\d+)?"
_TOKENS = {  # whether numbers are compressed: then E is a digit, else the mark of an exponent
    True: re.compile(rf"({_PLAIN})|([@A-Ia-i%J-Rj-rS-Zs])(\d*\.?\d*)|(\?)"),
    False: re.compile(rf"({_NUMBER})|(\b\B)()|(\?)"),
}
_UNITS = {
    "1/cm": "cm⁻¹",
    "micrometers": "µm",
    "nanometers": "nm",
    "hertz": "Hz",
    "seconds": "s",
    "arbitrary units": "a.u.",
    "ppm": "ppm",
    "m/z": "m/z",
}
# Tables that are no curve y(x), and what to do about each.
_OTHERS = {
    "NTUPLES": "NTUPLES, as of NMR, are not read: save the real part as a table of text",
    "DATATABLE": "save the data as ##XYDATA=",
    "RADATA": "interferograms are not read: save the spectrum",
    "PEAKTABLE": "a list of peaks is not the curve that they are of: save the spectrum",
    "PEAKASSIGNMENTS": "a list of peaks is not the curve that they are of: save the spectrum",
}
MOST_REPEATS = 10**6  # of one ordinate: a damaged number must not fill the memory


def jcamp(path: Path) -> xr.Dataset:
    """Read the spectrum of a JCAMP-DX file.

    Raises
    ------
    DataError : several spectra in one file, a form that is not read, a check that fails.
    """
    text = decoded(path.read_bytes(), path)
    records = _records(text, path)
    tables = [n for n, (key, *_) in enumerate(records) if key in ("XYDATA", "XYPOINTS")]
    if len(tables) != 1:
        others = [f"##{key}=" for key, *_ in records if key in _OTHERS]
        remedies = {_OTHERS[each[2:-1]]: None for each in others} if not tables else {}
        raise DataError(
            "the file does not hold one spectrum",
            source=path,
            expected="one table ##XYDATA= or ##XYPOINTS=",
            found=", ".join([str(len(tables)), *dict.fromkeys(others)]),
            remedy=next(iter(remedies), "save the spectra one by one"),
        )
    key, form, start, lines = records[tables[0]]
    known = {name: value for name, value, *_ in records}
    form = re.sub(r"\s", "", form.upper())
    if form.startswith("(X++(Y..Y))"):
        x, y = _lines(lines, start, known, path)
    elif form.startswith("(XY..XY)"):
        x, y = _pairs(lines, start, path)
        x, y = x * _value(known, "XFACTOR", 1.0), y * _value(known, "YFACTOR", 1.0)
    else:
        raise DataError(
            "the form of the table is not read",
            source=path,
            where=f"row {start}",
            expected="(X++(Y..Y)) or (XY..XY)",
            found=form,
        )
    _check(x, y, known, path)
    names = (_label(known, "XUNITS", "x"), _label(known, "YUNITS", "y"))
    names = (names[0], "y" if names[1] == names[0] else names[1])
    found = dataset(zip(names, (x, y), strict=True), said=[f"##{key}={form}"])
    return found.assign_attrs(dict(zip(("x", "y"), found.data_vars, strict=True)))


def _records(text, source):
    """Labelled records: key, value, row, and the (row, line) pairs that follow."""
    records = []
    for row, line in enumerate(text.splitlines(), 1):
        line = line.partition("$$")[0].rstrip()
        if line.lstrip().startswith("##"):
            label, _, value = line.lstrip()[2:].partition("=")
            key = re.sub(r"[\s\-/_]", "", label.upper())
            records.append((key, value.strip(), row, []))
        elif records and line.strip():
            records[-1][3].append((row, line))
    if not records or records[0][0] != "TITLE":
        raise DataError("the file is not JCAMP-DX", source=source, expected="##TITLE= first")
    return records


def _value(known, key, default=None):
    """The number of a record, whose value may go on behind it."""
    match = re.match(_NUMBER, known.get(key, "").replace(",", "."))
    return float(match[0]) if match else default


def _label(known, key, role):
    """A name and a unit: ABSORBANCE is a name, 1/CM a unit of a wavenumber."""
    told = known.get(key, "").strip()
    names = {
        "1/cm": "wavenumber",
        "nanometers": "wavelength",
        "micrometers": "wavelength",
        "hertz": "frequency",
        "seconds": "time",
        "ppm": "shift",
    }
    unit = _UNITS.get(told.casefold(), "")
    name = names.get(told.casefold(), "" if unit else told.lower())
    name = re.sub(r"[()\[\]]", " ", name).strip() or role
    return f"{name} ({unit})" if unit else name


def _pairs(lines, start, source):
    """Points that are written as x and y."""
    numbers = []
    for row, line in lines:
        for word in re.split(r"[\s,;]+", line.strip(" ,;\t")):
            if not re.fullmatch(_NUMBER, word):
                raise _bad(line, row, source)
            numbers.append(float(word))
    if len(numbers) % 2:
        raise DataError("x without y", source=source, where=f"row {start}", expected="pairs")
    return np.array(numbers[::2]), np.array(numbers[1::2])


def _lines(lines, start, known, source):
    """Points at even steps, written in lines that start with their x."""
    needed = {key: _value(known, key) for key in ("FIRSTX", "LASTX", "NPOINTS")}
    lost = [key for key, value in needed.items() if value is None]
    if lost:
        raise DataError("a record is missing", source=source, expected=f"##{lost[0]}= NUMBER")
    first, last, count = needed.values()
    step = (last - first) / max(count - 1, 1)
    scale = _value(known, "XFACTOR", 1.0)
    y: list[float] = []
    going = None  # the ordinate that a line of differences ended with, which the next repeats
    compressed = any(re.search("[@A-DF-Za-df-z%]", line) for _, line in lines)
    for row, line in lines:
        at, found, differs = ordinates(line, compressed)
        if found is None:
            raise _bad(line, row, source)
        expected = going is not None
        if expected and (not found or found[0] != going):
            raise DataError(
                "the line before does not end where this one begins",
                source=source,
                where=f"row {row}",
                expected=f"{going:.10g}",
                found=f"{found[0]:.10g}" if found else "nothing",
                remedy="the file is damaged: save it again",
            )
        place = len(y) - expected
        here = first + step * place
        digits = re.match(r"\s*[+\-]?\d*\.?(\d*)", line)[1]
        if abs(at * scale - here) > 1.01 * abs(step) + scale * 10.0 ** -len(digits):
            raise DataError(
                "x at the start of the line is not where its points are",
                source=source,
                where=f"row {row}",
                expected=f"{here:.10g}",
                found=f"{at * scale:.10g}",
                remedy="lines are missing, or ##FIRSTX=, ##LASTX= and ##NPOINTS= are wrong",
            )
        y.extend(found[1:] if expected else found)
        going = y[-1] if differs else None
    if len(y) != int(count):
        raise DataError(
            "the file is not whole",
            source=source,
            where=f"row {start}",
            expected=f"{int(count)} points, as ##NPOINTS= says",
            found=len(y),
        )
    return np.linspace(first, last, len(y)), np.array(y) * _value(known, "YFACTOR", 1.0)


def ordinates(line: str, compressed: bool = True) -> tuple[float, list[float] | None, bool]:
    """Take a line of (X++(Y..Y)) apart.

    Parameters
    ----------
    line : without its end.
    compressed : whether letters are digits, in SQZ, DIF and DUP form.

    Returns
    -------
    x, the ordinates (None where something cannot be read), and whether the last is a difference.
    """
    found: list[float] = []
    x, at, difference, last = np.nan, 0, 0.0, None
    line = line.rstrip(" ,\t")
    while at < len(line):
        if line[at] in ", \t;":
            at += 1
            continue
        match = _TOKENS[compressed].match(line, at)
        if match is None:
            return x, None, False
        at = match.end()
        plain, letter, digits, lost = match.groups()
        if np.isnan(x):
            if plain is None:
                return x, None, False
            x = float(plain)
        elif lost:
            found.append(np.nan)
            last = "plain"
        elif plain is not None or letter in _SQUEEZED:
            found.append(float(plain if plain is not None else _SQUEEZED[letter] + digits))
            last = "plain"
        elif not found:
            return x, None, False
        elif letter in _DIFFERENCE:
            difference = float(_DIFFERENCE[letter] + digits)
            found.append(found[-1] + difference)
            last = "difference"
        else:  # so many times in all, the first of which stands there
            times = int(_REPEATED[letter] + (digits.rstrip(".") or ""))
            if times > MOST_REPEATS:
                return x, None, False
            for _ in range(times - 1):
                found.append(found[-1] + (difference if last == "difference" else 0.0))
    return x, found, last == "difference"


def _check(x, y, known, source):
    """Compare the points with what the header says of them."""
    told = {"FIRSTX": x[:1], "LASTX": x[-1:], "FIRSTY": y[:1], "NPOINTS": np.array([len(x)])}
    told |= {"MAXY": np.array([y.max()]), "MINY": np.array([y.min()])} if len(y) else {}
    size = float(np.ptp(y)) if len(y) else 0.0
    for key, values in told.items():
        said = _value(known, key)
        if said is None or not len(values):
            continue
        slack = 1e-3 * (size if key.endswith("Y") else abs(said)) + 1e-5 * abs(said)
        if key == "NPOINTS":
            slack = 0.5
        if abs(values[0] - said) > slack:
            raise DataError(
                f"the points are not those that ##{key}= tells of",
                source=source,
                expected=f"{said:.10g}",
                found=f"{values[0]:.10g}",
                remedy="the file is damaged, or its factors are wrong: save it again",
            )


def _bad(line, row, source):
    return DataError(
        "the line cannot be read",
        source=source,
        where=f"row {row}",
        expected="numbers, or numbers in a compressed form of JCAMP-DX",
        found=repr(line[:40]),
    )

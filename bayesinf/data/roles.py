"""Which column is x, which y, and whether one holds error bars; and why, in words.

Columns are those that the user asks for, that the file says, or that go by a well-known name; else
the first is x and the next is y, where columns that never change, and such as are x in another
unit, stand behind the others. Error bars are never guessed from a place: a third column is as
often a reference or a dark spectrum, and a fit that takes one for error bars believes a wrong
answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import listing, to_numbers
from bayesinf.data.columns import known_name, pick
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Roles", "choose"]

# Names by which columns are known, in the order in which they are looked for, in small letters.
X_NAMES = """
    x, wavelength, wavelengths, wavenumber, wavenumbers, frequency, energy, time, t, angle, theta,
    2theta, 2-theta, two_theta, twotheta, 2θ, tth, q, position, distance, temperature, channel,
    raman shift, raman_shift, shift, x_value, lambda, λ
"""
Y_NAMES = """
    y, intensity, counts, signal, absorbance, transmittance, reflectance, response, sample,
    intensities, count rate, i(q)
"""
# A column is one of error bars if a word of its name, as in counts_err, is one of these.
ERROR_WORDS = """
    error errors err stderr uncertainty uncertainties unc sigma σ sd se sem std stdev stddev dy yerr
    yerror ey dx xerr errorbar errorbars esd
"""
# Words beside those that say nothing of what has the error.
FILLING = "bar bars dev deviation standard of the in abs y 1 1σ"
# Columns that stand beside a spectrum and are not it.
BESIDE = """
    reference ref dark baseline background bkg bg blank calc calculated fit fitted model residual
    residuals diff difference weight weights mask flag comment label force
"""
TIMES = "time times timestamp timestamps clock"  # which are y only where nothing else is
INDEX_NAMES = "index idx i no no. nr # row id sequence point n"

_X_NAMES, _Y_NAMES = ([name.strip() for name in names.split(",")] for names in (X_NAMES, Y_NAMES))
_ERRORS, _FILLING, _BESIDE, _COUNTING, _TIMES = (
    {*words.split()} for words in (ERROR_WORDS, FILLING, BESIDE, INDEX_NAMES, TIMES)
)


@dataclass(frozen=True)
class Roles:
    """Names of the columns that play x, y and, where there are error bars, error.

    ``reasons`` says why, and ``unused`` names the columns that play nothing.
    """

    names: Mapping[str, str]
    reasons: Mapping[str, str]
    unused: Sequence[str] = field(default_factory=tuple)

    @property
    def words(self) -> str:
        """What was taken and why, in a sentence."""
        parts = [f"{role} is {_shown(n)}, {self.reasons[role]}" for role, n in self.names.items()]
        parts = [part.replace("error is", "error bars are in") for part in parts]
        parts += [] if "error" in self.names else ["no error bars"]
        parts += [f"not used: {listing(map(_shown, self.unused))}"] if self.unused else []
        return "; ".join(parts)


def choose(
    columns: Mapping[str, xr.DataArray],
    asked: Mapping[str, str | int | None],
    *,
    stored: Mapping[str, str] | None = None,
    reason: str = "as the file says",
    x_names: Sequence[str] = (),
    y_names: Sequence[str] = (),
    index: bool = True,
    source: object = None,
) -> Roles:
    """Choose the columns of x, y and error bars.

    Parameters
    ----------
    columns : by name, in the order of the file.
    asked : role to what the user wants, a name or a position from 1, or None; "none" for no error
        bars.
    stored : what the file itself says, role to name, and ``reason`` how it says so.
    x_names, y_names : names to look for first.
    index : whether x may be a column that only counts the rows.
    source : what an error message calls the file.

    Raises
    ------
    DataError : a column that is asked for is not there, or there are too few.
    """
    chosen, reasons = {}, {}

    def take(role, name, why):
        chosen[role], reasons[role] = name, why

    for role, wanted in asked.items():
        if wanted is not None and not (role == "error" and wanted == "none"):
            take(role, pick(columns, wanted, source), "as asked for")
    if stored and asked["x"] is None and asked["y"] is None:
        for role, name in stored.items():
            if role not in chosen and not (role == "error" and asked["error"] == "none"):
                take(role, name, reason)
    words = {name: set(re.split(r"[\W_]+", name.casefold())) - {""} for name in columns}
    likely = {each for other in columns for each in _errors_of(other)}
    errors = {name for name in columns if _is_error(name, words[name], likely)}
    holding = {name for name, column in columns.items() if _holds_numbers(column)}
    usable = [name for name in columns if name in holding or len(holding) < 2]
    counting = {name for name in usable if _counts_rows(name, columns[name])}

    # What is the same in all rows, such as a frame or a channel, is neither x nor y by itself.
    still = {name for name in usable if _never_changes(columns[name])}
    other = still | errors | counting
    plain = [name for name in usable if name not in other and not words[name] & _BESIDE]

    def free():
        left = [name for name in usable if name not in chosen.values()]
        wanted = ("x" not in chosen) + ("y" not in chosen)
        enough = len([name for name in plain if name in left]) >= wanted
        return [name for name in left if name not in still] if enough else left

    dated = [name for name in usable if "since" in columns[name].attrs]
    for role, lists in (("x", (x_names, dated, _X_NAMES)), ("y", (y_names, _Y_NAMES))):
        for names in lists:
            if role not in chosen and (found := known_name(free(), names)):
                take(role, found, "as dates and times are" if names is dated else "by its name")
    for role in ("x", "y"):
        if role in chosen:
            continue
        left = [name for name in free() if name not in counting or (role == "x" and index)]
        if not left:
            raise _too_few(role, free(), counting, columns, source)
        of_x = to_numbers(columns[chosen["x"]].to_numpy()).astype(float) if "x" in chosen else None
        beside = {name for name in left if words[name] & _BESIDE or _repeats(columns[name], of_x)}
        late = {n for n in left if n in errors or n in dated or (role == "y" and words[n] & _TIMES)}
        found = min(left, key=lambda n: _standing(n, n in late, n in beside))
        if role == "x" and found in counting and _is_axis(left, columns):
            found = left[1]
        timed = [n for n in left if words[n] & _TIMES and n not in errors and _one_way(columns[n])]
        if role == "x" and timed and not _one_way(columns[found]):
            take(role, timed[0], "as times that go one way")
            continue
        why = "the first column" if found == next(iter(columns)) else "the next column of numbers"
        take(role, found, why + (", though it only counts the rows" if found in counting else ""))
    if asked["error"] != "none" and "error" not in chosen and not stored:
        named = [name for name in usable if name in errors and name not in chosen.values()]
        of_y = [(_belongs(name, chosen, words, columns), name) for name in named]
        found = [(rank, name) for rank, name in of_y if rank is not None]
        if found:
            take("error", min(found, key=lambda each: each[0])[1], "by its name")
    order = {role: chosen[role] for role in ("x", "y", "error") if role in chosen}
    return Roles(order, reasons, [name for name in columns if name not in chosen.values()])


def _shown(name):
    return re.sub(r"^column_(\d+)$", r"column \1", str(name))


def _holds_numbers(column):
    """Whether most cells of a column are numbers, or some and none of them empty."""
    if column.dtype.kind not in "USO":
        return True
    cells = column.to_numpy().astype(str)
    numbers = ~np.isnan(to_numbers(cells).astype(float))
    return bool(2 * numbers.sum() > cells.size or (numbers.any() and (cells != "").all()))


def _standing(name, other, beside):
    """How far back a column stands among those that may be x or y; errors and dates at the end."""
    return 2 * other + 2 * _is_index(name) + beside


def _never_changes(column):
    """Whether all entries are one number."""
    values = to_numbers(column.to_numpy()).astype(float)
    return bool(values.size > 1 and np.all(values == values[0]))


def _repeats(column, of_x):
    """Whether a column is x in another unit: a straight line of it, of many points."""
    if of_x is None or of_x.size <= 3 or column.dtype.kind not in "iuf":
        return False
    values = column.to_numpy().astype(float)
    if not np.isfinite(of_x + values).all() or np.ptp(of_x) == 0 or np.ptp(values) == 0:
        return False
    line = np.ptp(values) / np.ptp(of_x) * (of_x - of_x[0])
    rises = np.sign((values[-1] - values[0]) * (of_x[-1] - of_x[0]))
    return bool(np.max(np.abs(values - values[0] - rises * line)) <= 1e-9 * np.ptp(values))


def _is_axis(left, columns):
    """Whether the second of three columns is x, beside a first one that only counts the rows."""
    one_way = [_one_way(columns[name]) for name in left[1:3] if columns[name].dtype.kind in "iuf"]
    return one_way == [True, False]


def _one_way(column):
    """Whether numbers only rise, or only fall."""
    steps = np.diff(column.to_numpy()) if column.dtype.kind in "iuf" else np.empty(0)
    return bool(steps.size and ((steps > 0).all() or (steps < 0).all()))


def _is_index(name):
    """Whether a name is one of an index; of one letter, small: I may be an intensity."""
    return name in _COUNTING or (len(name) > 1 and name.casefold() in _COUNTING)


def _counts_rows(name, column):
    """Whether a column only counts the rows: by its name, or by its numbers where that is short."""
    if _is_index(name):
        return True
    known = re.fullmatch(r"column_\d+", name) or name.casefold() in _COUNTING
    if not known or column.dtype.kind not in "iuf":
        return False
    steps = np.arange(column.size)
    values = column.to_numpy()
    return column.size > 2 and any(np.array_equal(values, steps + start) for start in (0, 1))


def _is_error(name, words, likely):
    """Whether a name is one of error bars: by a word of it, or made of another column's."""
    return bool(words & _ERRORS) or "±" in name or "+/-" in name or name.casefold() in likely


def _errors_of(name):
    """Names that error bars of a column go by, made of its own: dI of I, e_flux of flux."""
    plain = name.casefold()
    return {f"d{plain}", f"δ{plain}", f"e_{plain}", f"{plain}err", f"{plain}_e", f"u({plain})"}


def _belongs(name, chosen, words, columns):
    """How surely error bars are those of y, 0 surely; None where they are of something else."""
    x, y = chosen["x"], chosen["y"]
    if name.casefold() in _errors_of(y):
        return 0
    if name.casefold() in _errors_of(x) or words[name] & {"x", "dx", "xerr"}:
        return None
    rest = words[name] - _ERRORS - _FILLING
    if words[x] and words[x] <= words[name] and not words[y] & words[name]:
        return None
    if not rest or rest <= words[y]:
        return 0 if rest else 1
    others = [c for c in columns if c not in (name, y)]
    if rest & _BESIDE or any(rest <= words[c] or name.casefold() in _errors_of(c) for c in others):
        return None
    if rest & words[y]:
        return 0
    return None if any(rest & words[c] for c in others if not words[c] & _ERRORS) else 2


def _too_few(role, left, counting, columns, source):
    counted = [name for name in left if name in counting]
    if counted:
        return DataError(
            f"column {_shown(counted[0]).removeprefix('column ')} only counts the rows",
            source=source,
            expected=f"a column of {role}",
            found=listing(map(_shown, columns)),
            remedy="name the columns in the first row, or say which is which",
        )
    return DataError(
        "too few columns",
        source=source,
        expected="a column of x and another of y",
        found=listing(columns) or "none",
    )

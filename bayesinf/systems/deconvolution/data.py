"""Blurred signals and what blurred them: simulated, read from a file, or Shaw's inverse problem.

A data set is a curve, x and y over ``point``, with the matrix ``response`` (point, position) that
blurs a signal on the grid ``position``. Data near the ends depend on signal beyond them. With edges
``open`` the grid reaches as far beyond as the response does, and what the data cannot tell about
the signal there, the prior fills in; with edges ``zero`` there is no signal outside the window.
That is much to know: a box of width 2w does not see waves of period 2w at all, unless they end.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Shape", "read", "shaw", "simulate"]

# How far each shape reaches to the left and to the right, in widths: beyond, it is below 2e-4.
REACH = {"box": (1.0, 1.0), "gaussian": (4.2, 4.2), "exponential": (0.0, 8.6)}
AREAS = {"box": 2.0, "gaussian": math.sqrt(2 * math.pi), "exponential": 1.0}  # over the width
EDGES = ("open", "zero")
EVEN = 1e-6  # steps of x are equal if none differs by more than this share


@dataclass(frozen=True)
class Shape:
    """A response r(Δ) of known form, Δ = x − position.

        box          1 for |Δ| < width
        gaussian     exp(−Δ² / 2 width²)
        exponential  exp(−Δ / width) for Δ ≥ 0

    Parameters
    ----------
    form : box, gaussian or exponential.
    width : in the unit of x.
    area : whether it is divided by its area; otherwise it is one at its peak.
    """

    form: str
    width: float
    area: bool = False

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read FORM:WIDTH or FORM:WIDTH:area.

        Raises
        ------
        DataError : it is something else.
        """
        form, *rest = str(text).split(":")
        try:
            width = float(rest[0])
        except (IndexError, ValueError):
            width = np.nan
        if form not in REACH or rest[1:] not in ([], ["area"]) or not 0 < width < np.inf:
            raise DataError(
                "no such response",
                expected=f"a file, or FORM:WIDTH or FORM:WIDTH:area with FORM {', '.join(REACH)}"
                " and WIDTH above zero, as in box:1.5",
                found=repr(str(text)),
            )
        return cls(form, width, bool(rest[1:]))

    @property
    def size(self) -> float:
        """The area under the form, one at its peak."""
        return AREAS[self.form] * self.width

    def of_width(self, width: float) -> Shape:
        """Return the same form with another width."""
        return replace(self, width=float(width))

    def __str__(self):
        return f"{self.form}:{self.width:g}" + (":area" if self.area else "")

    def grid(self, x: np.ndarray, edges: str, margin: float = 1.0) -> np.ndarray:
        """Return positions of the signal that data at x, (point,), see between such edges, as far
        as a response that is wider by a margin.
        """
        step = (x[-1] - x[0]) / (len(x) - 1)
        left, right = REACH[self.form] if edges == "open" else (0.0, 0.0)
        reach = margin * self.width / step
        before, after = (int(np.ceil(side * reach)) for side in (right, left))
        return x[0] + step * np.arange(-before, len(x) + after)

    def matrix(self, x: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Return A, (point, position), such that A f is the integral of r(x − s) f(s) over s.

        Each entry is the response times the step of the grid. A box takes of a cell at its edge
        the share that it covers, so that A does not jump as the width changes.
        """
        step = (position[-1] - position[0]) / (len(position) - 1)
        away = x[:, np.newaxis] - position
        if self.form == "box":
            values = np.clip((self.width - np.abs(away)) / step + 0.5, 0.0, 1.0)
        elif self.form == "gaussian":
            values = np.exp(-0.5 * (away / self.width) ** 2)
        else:
            values = np.exp(-np.maximum(away, 0.0) / self.width)
            # Half of the cell at the edge lies beyond it.
            values = values * np.clip(away / step + 0.5, 0.0, 1.0)
        return step * values / (self.size if self.area else 1.0)


def simulate(
    points: int = 500,
    response: str = "box:1.5",
    noise: float = 0.01,
    *,
    edges: str = "zero",
    margin: float = 1.0,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Blur the signal exp(−x²) on [−4, 4] and measure it.

        y_i = ∫ r(x_i − s) exp(−s²) ds + noise · z_i,   z_i ~ N(0, 1)

    Parameters
    ----------
    points : of measurement, evenly spaced.
    response : as ``Shape.parse`` reads it.
    noise : standard deviation.
    edges : ``open`` or ``zero``.
    margin : how many times as far an open grid reaches as this response, for a width that is to be
        inferred.
    rng : generator; by default the stream "simulate" of the default settings.

    Returns
    -------
    Dataset over ``point`` with ``x``, ``blurred`` and ``response`` (point, position), and the truth
    beside them: ``signal`` (position), ``sigma`` and, of the shape, ``width``.

    Raises
    ------
    DataError : fewer than 8 points, negative noise, no such response.
    """
    if points < 8 or not noise >= 0:
        raise DataError(
            "no such data", expected="points ≥ 8 and noise ≥ 0", found=f"{points} and {noise}"
        )
    shape, x = Shape.parse(response), np.linspace(-4.0, 4.0, points)
    position = shape.grid(x, _known(edges), margin)
    signal, A = np.exp(-(position**2)), shape.matrix(x, position)
    rng = DEFAULT.generator("simulate") if rng is None else rng
    truth = {"signal": signal, "sigma": np.float64(noise), "width": np.float64(shape.width)}
    return _labelled(
        x, A @ signal + noise * rng.standard_normal(points), A, position, truth, edges, shape
    )


def shaw(
    points: int = 20, noise: float = 1e-6, *, rng: np.random.Generator | None = None
) -> xr.Dataset:
    """Discretise Shaw's problem, the image of a slit under diffraction, by the midpoint rule.

        y(s) = ∫ (cos s + cos t)² (sin u / u)² f(t) dt,   u = π (sin s + sin t),
        f(t) = 2 exp(−6 (t − 0.8)²) + exp(−2 (t + 0.5)²),   s, t in [−π/2, π/2]

    The angles are in radians. All signal lies in the window, so the grid is that of the data.

    Parameters
    ----------
    points : of measurement and of the signal.
    noise : standard deviation, known, the error bar of each point.
    rng : as for ``simulate``.

    Returns
    -------
    Dataset as of ``simulate``, with ``error``.

    Raises
    ------
    DataError : fewer than 8 points, no noise.

    References
    ----------
    C. B. Shaw, J. Math. Anal. Appl. 37, 83 (1972), doi:10.1016/0022-247X(72)90185-3.
    """
    if points < 8 or not noise > 0:
        raise DataError(
            "no such data", expected="points ≥ 8 and noise > 0", found=f"{points} and {noise}"
        )
    if points < 8 or not noise > 0:
        raise DataError(
            "no such data", expected="points ≥ 8 and noise > 0", found=f"{points} and {noise}"
        )
    step = np.pi / points
    t = step * (np.arange(points) + 0.5) - np.pi / 2
    s = t[:, np.newaxis]
    A = step * (np.cos(s) + np.cos(t)) ** 2 * np.sinc(np.sin(s) + np.sin(t)) ** 2
    signal = 2 * np.exp(-6 * (t - 0.8) ** 2) + np.exp(-2 * (t + 0.5) ** 2)
    rng = DEFAULT.generator("simulate") if rng is None else rng
    y = A @ signal + noise * rng.standard_normal(points)
    return _labelled(t, y, A, t, {"signal": signal}, "zero", error=np.full(points, noise))


def read(
    path: str | os.PathLike,
    response: str | os.PathLike = "box:1.5",
    *,
    edges: str = "open",
    margin: float = 1.0,
    x: str | int | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    decimal: str | None = None,
    windows: Sequence[tuple[float, float]] = (),
) -> xr.Dataset:
    """Read a blurred signal and its response.

    Parameters
    ----------
    path : a file with columns x, y and, where there are any, error bars.
    response : FORM:WIDTH as ``Shape.parse`` reads it, or a file: one column of the response at
        Δ = …, −h, 0, h, …, h the step of x, its middle row Δ = 0; or the matrix A itself, a row a
        point of the data, its columns standing evenly from the first x to the last.
    edges : ``open`` or ``zero``; a matrix knows its own edges.
    margin : as for ``simulate``.
    x, y, error, decimal, windows : as for ``data.curve``.

    Returns
    -------
    Dataset as of ``simulate``, with the user's names and nothing known of the truth.

    Raises
    ------
    DataError : what ``data.curve`` refuses, a response that does not fit the data.
    """
    curve = reading.curve(path, x, y, error, least=8, decimal=decimal, windows=windows)
    x_values = reading.axes(curve)[0].values
    file = Path(response)
    if not file.is_file() and (":" in str(response) or not file.suffix):
        shape = Shape.parse(response)
        position = shape.grid(x_values, _known(edges), margin)
        return _with_response(curve, shape.matrix(x_values, position), position, edges, shape)
    return _with_response(curve, *_from_file(response, x_values, _known(edges)), edges)


def _from_file(path, x, edges):
    """The matrix A of a file and the positions of the signal."""
    columns = [c.values for c in reading.read(path).data_vars.values()]
    if any(c.ndim != 1 or c.dtype.kind not in "iuf" for c in columns):
        raise DataError("the response is not a table of numbers", source=path)
    table = np.stack(columns, axis=-1).astype(float)
    if not np.isfinite(table).all() or not table.any():
        raise DataError(
            "the response has values that are not finite, or none but zeros", source=path
        )
    rows, count = table.shape
    if count == 1:
        steps = np.diff(x)
        if np.ptp(steps) > EVEN * np.mean(steps) or rows % 2 == 0:
            raise DataError(
                "one column of response does not fit the data",
                source=path,
                expected="an odd number of rows, its middle one at Δ = 0, and data at equal steps",
                found=f"{rows} rows and steps of {steps.min():.6g} to {steps.max():.6g}",
                remedy="give the response as FORM:WIDTH or as a matrix",
            )
        step, half = float(np.mean(steps)), rows // 2
        beyond = half if edges == "open" else 0
        position = x[0] + step * np.arange(-beyond, len(x) + beyond)
        lag = np.arange(len(x))[:, np.newaxis] + beyond + half - np.arange(len(position))
        inside = (lag >= 0) & (lag < rows)
        return step * np.where(inside, table[np.clip(lag, 0, rows - 1), 0], 0.0), position
    if rows != len(x):
        raise DataError(
            "the response does not fit the data",
            source=path,
            expected=f"a column, or a matrix of {len(x)} rows",
            found=f"{rows} rows",
        )
    return table, x if count == rows else np.linspace(x[0], x[-1], count)


def _known(edges):
    if edges not in EDGES:
        raise DataError("no such edges", expected=f"one of {', '.join(EDGES)}", found=edges)
    return edges


def _signal_unit(of_x: str, of_y: str) -> str:
    """Return the unit of a signal whose integral over x, times a pure number, is y."""
    return of_y if of_x in ("", "1") else f"{of_y if of_y not in ('', '1') else 1}/{of_x}"


def _labelled(x, y, A, position, truth, edges, shape=None, error=None):
    """A data set of arrays, with its truth."""
    import xarray as xr

    curve = reading.curve_from_arrays(x, xr.DataArray(y, dims="point", name="blurred"), error)
    found = _with_response(curve, A, position, edges, shape)
    truth = dataset(truth, {"signal": ("position",)}, {"position": position}, sampled=False)
    return annotated(found, truth=truth)


def _with_response(curve, A, position, edges, shape=None):
    x, y, _ = reading.axes(curve)
    unit = y.units if shape is not None and shape.area else _signal_unit(x.units, y.units)
    attrs = {"signal_units": unit, "edges": edges} | ({"shape": str(shape)} if shape else {})
    response = (("point", "position"), A, {"units": "1"})
    found = curve.assign(response=response).assign_attrs(attrs)
    return found.assign_coords(position=("position", position, {"units": x.units}))

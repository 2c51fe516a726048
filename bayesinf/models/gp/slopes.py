"""Covariances among values and slopes of a process of one or several inputs.

A leaf of several inputs has a length scale ℓ_k for each. It sees two points, d apart, at the
distance r, in the direction e:

    r² = Σ_k (d_k / ℓ_k)²,   e_k = d_k / (ℓ_k r),   k = a² ρ(r)
    ∂k/∂d_k     = a² ρ′ e_k / ℓ_k
    ∂²k/∂d_k∂d_l = a² [(ρ′/r) δ_kl + (ρ″ − ρ′/r) e_k e_l] / (ℓ_k ℓ_l)

The covariances of f and its slopes are those derivatives, with a minus for each slope on the right:

    cov(∂_k f(x), f(x′)) = ∂k/∂d_k,   cov(∂_k f(x), ∂_l f(x′)) = −∂²k/∂d_k∂d_l,   d = x − x′

All is written with operators and √ alone, so that symbols of PyTensor pass as arrays do.

Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006), section 9.4; Solak,
Murray-Smith, Leithead, Leith & Rasmussen, Advances in Neural Information Processing Systems 15,
1033 (2002).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, reduce

import numpy as np

from bayesinf.models.gp.kernels import Kernel, Leaf, Product, Sum, Theta

__all__ = ["VALUE", "Between", "Pairs", "Sites", "jet", "jet_slopes"]

VALUE = -1  # in place of the input along which a slope is taken
NOWHERE = 1e-120  # added to r², so that a point has a direction to itself, which is zero
STEP = 1e-30  # of complex steps, whose derivatives are exact to rounding

Jet = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Sites:
    """Where a process is looked at: its value, or its slope along one input. Values come first.

    Parameters
    ----------
    x : (site, input).
    along : the input of the slope, (site,); ``VALUE`` where there is none.
    """

    x: np.ndarray
    along: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, slope: bool = False) -> Sites:
        """Return values at some points and, where asked, then the slopes along each input."""
        count, inputs = x.shape
        if not slope:
            return cls(x, np.full(count, VALUE))
        along = np.repeat([VALUE, *range(inputs)], count)
        return cls(np.tile(x, (1 + inputs, 1)), along)

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(np.sum(self.along == VALUE))


@dataclass(frozen=True)
class Pairs:
    """All pairs of some points with others, of which slopes are taken on none, one or both sides.

    Parameters
    ----------
    d : differences, (input, row, column).
    rows, columns : the inputs of the slopes, (row,) and (column,); None where values stand.
    """

    d: np.ndarray
    rows: np.ndarray | None = None
    columns: np.ndarray | None = None

    @property
    def order(self) -> int:
        """Number of sides with slopes; columns have them only where rows do."""
        return (self.rows is not None) + (self.columns is not None)

    @cached_property
    def squares(self) -> np.ndarray:
        """d², (input, row, column)."""
        return self.d**2

    @cached_property
    def along_rows(self) -> np.ndarray:
        """d along the input of each row, (row, column)."""
        return self.d[self.rows, np.arange(len(self.rows))]

    @cached_property
    def along_columns(self) -> np.ndarray:
        """d along the input of each column, (row, column)."""
        return self.d[self.columns, :, np.arange(len(self.columns))].T

    @cached_property
    def same(self) -> np.ndarray:
        """δ_kl of the inputs of row and column, (row, column)."""
        return (self.rows[:, None] == self.columns).astype(float)

    def on(self, number: int) -> np.ndarray:
        """How many of the slopes of each pair are along one input, (row, column)."""
        found = (self.rows == number).astype(float)[:, None]
        return found if self.columns is None else found + (self.columns == number)


@dataclass(frozen=True)
class Between:
    """Covariances between two sets of sites.

    Parameters
    ----------
    one, other : the sites of rows and of columns.
    """

    one: Sites
    other: Sites

    def _pairs(self, one, other, row_slopes, column_slopes):
        left = slice(one.count, None) if row_slopes else slice(one.count)
        right = slice(other.count, None) if column_slopes else slice(other.count)
        return Pairs(
            one.x[left].T[:, :, None] - other.x[right].T[:, None, :],
            one.along[left] if row_slopes else None,
            other.along[right] if column_slopes else None,
        )

    @cached_property
    def values(self) -> Pairs:
        """Values with values."""
        return self._pairs(self.one, self.other, False, False)

    @cached_property
    def below(self) -> Pairs:
        """Slopes of the rows with values of the columns."""
        return self._pairs(self.one, self.other, True, False)

    @cached_property
    def beside(self) -> Pairs:
        """Slopes of the columns with values of the rows."""
        return self._pairs(self.other, self.one, True, False)

    @cached_property
    def slopes(self) -> Pairs:
        """Slopes with slopes."""
        return self._pairs(self.one, self.other, True, True)

    def matrix(self, kernel: Kernel, theta: Theta, join: Callable = np.concatenate):
        """Covariance, (..., row, column), of sites; ``join`` concatenates arrays or symbols."""
        rows, columns = (len(s.along) - s.count for s in (self.one, self.other))
        top = [jet(kernel, self.values, theta)[0]]
        below = [jet(kernel, self.below, theta)[1]] if rows else []
        if columns:
            symmetric = self.one is self.other
            side = below[0] if symmetric else jet(kernel, self.beside, theta)[1]
            top.append(np.swapaxes(side, -1, -2))
        if rows and columns:
            below.append(-jet(kernel, self.slopes, theta)[3])
        lines = [join(part, axis=-1) if columns else part[0] for part in (top, below) if part]
        return join(lines, axis=-2) if rows else lines[0]

    def traces(self, kernel: Kernel, theta: Theta, outer: np.ndarray) -> dict[tuple, float]:
        """Σ_ij outer_ij ∂K_ij/∂log θ by parameter, of a matrix of sites with themselves."""
        v, size = self.one.count, len(self.one.along)
        parts = [(self.values, 0, outer[:v, :v])]
        if v < size:
            parts += [(self.below, 1, 2 * outer[v:, :v]), (self.slopes, 3, -outer[v:, v:])]
        found: dict[tuple, float] = {}
        for pairs, place, weight in parts:
            for key, changed in jet_slopes(kernel, pairs, theta).items():
                found[key] = found.get(key, 0.0) + np.sum(weight * changed[place])
        return found


def jet(kernel: Kernel, pairs: Pairs, theta: Theta) -> Jet:
    """Return the covariance of pairs of points and its derivatives in d, (..., row, column) each.

    Parameters
    ----------
    kernel : any; of several inputs its leaves depend on a distance alone.
    pairs : the points.
    theta : parameters by name; length scales of several inputs are vectors, (..., input).

    Returns
    -------
    k; where the rows are slopes also ∂k/∂d_row; where the columns are slopes as well then
    ∂k/∂d_column and ∂²k/∂d_row∂d_column.
    """
    if isinstance(kernel, Leaf):
        square, own = _parameters(kernel, theta)
        view = Straight(pairs) if len(pairs.d) == 1 else Radial(pairs, own[0])
        return tuple(square * part for part in view.spread(*view.shapes(kernel, own)))
    parts = [jet(part, pairs, theta) for part in kernel.parts]
    return reduce(_multiplied if isinstance(kernel, Product) else _added, parts)


def jet_slopes(kernel: Kernel, pairs: Pairs, theta: Theta) -> dict[tuple[str, int | None], Jet]:
    """Return the derivative of ``jet`` in the logarithm of each parameter.

    Returns
    -------
    (name, place in a vector or None) to what ``jet`` returns.
    """
    if isinstance(kernel, Sum):
        return {k: v for part in kernel.parts for k, v in jet_slopes(part, pairs, theta).items()}
    if isinstance(kernel, Product):
        jets = [jet(part, pairs, theta) for part in kernel.parts]
        return {
            key: reduce(_multiplied, [*jets[:i], changed, *jets[i + 1 :]])
            for i, part in enumerate(kernel.parts)
            for key, changed in jet_slopes(part, pairs, theta).items()
        }
    square, own = _parameters(kernel, theta)
    view = Straight(pairs) if len(pairs.d) == 1 else Radial(pairs, own[0])
    shapes = view.shapes(kernel, own)
    found = view.log_slopes(kernel, own, shapes)
    called = {
        (f"{name}{kernel.suffix}", place): tuple(square * part for part in changed)
        for (name, place), changed in found.items()
    }
    whole = tuple(2 * square * part for part in view.spread(*shapes))
    return called | {(f"amplitude{kernel.suffix}", None): whole}


def _parameters(leaf, theta):
    """Square of the amplitude, shaped to meet pairs, and the leaf's other parameters."""
    own = [theta[f"{name}{leaf.suffix}"] for name in leaf.own]
    return _column(theta[f"amplitude{leaf.suffix}"]) ** 2, own


def _column(value):
    """A parameter, shaped to meet pairs."""
    return value[..., None, None]


def _added(one, other):
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _multiplied(one, other):
    """The product rule."""
    (k, *first), (m, *second) = one, other
    if not first:
        return (k * m,)
    if len(first) == 1:
        return k * m, first[0] * m + k * second[0]
    (k_a, k_b, k_ab), (m_a, m_b, m_ab) = first, second
    cross = k_ab * m + k_a * m_b + k_b * m_a + k * m_ab
    return k * m, k_a * m + k * m_a, k_b * m + k * m_b, cross


def _turned(function, own, place):
    """Derivatives of functions of parameters in the logarithm of one of them, by a complex step."""
    moved = [value * (1 + 1j * STEP) if i == place else value for i, value in enumerate(own)]
    return [part.imag / STEP for part in function(moved)]


class Straight:
    """Pairs of points on one coordinate, as the formulas of a leaf take them."""

    def __init__(self, pairs: Pairs):
        self.pairs, self.d = pairs, pairs.d[0]

    def shapes(self, leaf, own):
        """ρ, and where slopes are asked for ρ′ and ρ″."""
        own = [_column(value) for value in own]
        rho = leaf.correlation(self.d, *own)
        return (rho, *leaf.bends(self.d, *own)) if self.pairs.order else (rho,)

    def spread(self, rho, first=None, second=None):
        """A leaf's jet, without its amplitude."""
        return ((rho,), (rho, first), (rho, first, first, second))[self.pairs.order]

    def log_slopes(self, leaf, own, shapes):
        """The jet's derivatives in the logarithm of each parameter."""
        return {
            (name, None): self.spread(*_turned(partial(self.shapes, leaf), own, i))
            for i, name in enumerate(leaf.own)
        }


class Radial:
    """Pairs of points of several inputs, which a leaf sees at a distance r in a direction e."""

    def __init__(self, pairs: Pairs, scale):
        self.pairs = pairs
        self.scales = [_column(scale[..., k]) for k in range(len(pairs.d))]
        squares = [d / s**2 for d, s in zip(pairs.squares, self.scales, strict=True)]
        self.square = sum(squares) + NOWHERE
        self.shares = [square / self.square for square in squares]  # e_k²
        self.r = np.sqrt(self.square)
        if pairs.order:
            self.left = scale[..., pairs.rows][..., :, None]
            self.e_left = pairs.along_rows / (self.left * self.r)
        if pairs.order == 2:
            self.right = scale[..., pairs.columns][..., None, :]
            self.e_right = pairs.along_columns / (self.right * self.r)

    def shapes(self, leaf, own, scale=1.0):
        """ρ, and where slopes are asked for ρ′ and ρ″, at the distances r."""
        others = [_column(value) for value in own[1:]]
        rho = leaf.correlation(self.r, scale, *others)
        return (rho, *leaf.bends(self.r, scale, *others)) if self.pairs.order else (rho,)

    def spread(self, rho, first=None, second=None):
        """A leaf's jet, without its amplitude; linear in its arguments."""
        if not self.pairs.order:
            return (rho,)
        below = first * self.e_left / self.left
        if self.pairs.order == 1:
            return rho, below
        round_ = first / self.r
        cross = round_ * self.pairs.same + (second - round_) * self.e_left * self.e_right
        return rho, below, first * self.e_right / self.right, cross / (self.left * self.right)

    def log_slopes(self, leaf, own, shapes):
        """The jet's derivatives in the logarithm of each parameter.

        ∂r/∂log ℓ_m = −r e_m²,   ∂e_k/∂log ℓ_m = e_k (e_m² − δ_km)
        """
        name, *others = leaf.own
        found = {
            (other, None): self.spread(*_turned(partial(self.shapes, leaf), own, i))
            for i, other in enumerate(others, 1)
        }
        # A longer scale stretches ρ: ∂ρ″/∂log scale = −r ρ‴ − 2 ρ″ where the scale is one.
        stretched = self.shapes(leaf, own, 1 + 1j * STEP)
        if not self.pairs.order:
            falls = stretched[0].imag / STEP
            return {(name, m): (falls * share,) for m, share in enumerate(self.shares)} | found
        third = -stretched[2].imag / STEP - 2 * shapes[2]
        return {
            (name, m): self._along(share, self.pairs.on(m), m, *shapes, third)
            for m, share in enumerate(self.shares)
        } | found

    def _along(self, share, count, number, rho, first, second, third):
        """The jet's derivative in the logarithm of one input's length scale; third is r ρ‴."""
        mine = (self.pairs.rows == number)[:, None]
        value = -self.r * first * share
        slope = first * share - self.r * second * share
        below = (slope - 2 * first * mine) * self.e_left / self.left
        if self.pairs.order == 1:
            return value, below
        theirs = self.pairs.columns == number
        beside = (slope - 2 * first * theirs) * self.e_right / self.right
        round_ = first / self.r
        rest = second - round_
        cross = -(rest * share + count * round_) * self.pairs.same
        cross = cross + (share * (3 * rest - third) - 2 * count * rest) * self.e_left * self.e_right
        return value, below, beside, cross / (self.left * self.right)

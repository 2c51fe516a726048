"""Energies with unknown coefficients: sums of products of a function of q and one of p.

    H(q, p) = H₀ + Σ_k w_k a_k(q) b_k(p),   w_k ~ N(0, s_k²)

A smooth energy of any shape is a quadratic form and, beyond that, Gaussian processes of q, of p and
of both in a finite basis: sines, and products of them, on a box wider than the data, whose weights
have the spectral density of a squared-exponential kernel for variances (Solin & Särkkä, Stat.
Comput. 30, 419 (2020), doi:10.1007/s11222-019-09886-w). Products alone fall off towards the edge of
the box in either coordinate, and would bias V(q) + T(p), as most energies are. The functions do not
depend on the hyperparameters, so that a fit forms its normal equations once. A constant is left
out: no motion shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bayesinf.priors import LogNormal, Prior

__all__ = [
    "INPUTS",
    "SQUARE",
    "SWING",
    "WAVES",
    "Energy",
    "Frame",
    "about_spring",
    "known_kinetic",
    "pendulum",
    "smooth",
    "spring",
]

INPUTS = ("q", "p")
WAVES, SQUARE, SWING = range(3)  # kinds of a coordinate's functions: see ``kernel``
VALUE, GRADIENT, HESSIAN = ((0, 0),), ((1, 0), (0, 1)), ((2, 0), (1, 1), (0, 2))  # orders by q, p
COUNT = 8  # sines along each coordinate
REACH = 1.8  # half-width of the box over that of the data
WIDE = 3.0  # sd of what has a width of its own, in energies of the data


@dataclass(frozen=True)
class Frame:
    """Where the data are, and how large energies and times are there.

    Parameters
    ----------
    centre, half : of the states, (2,): middle of the range and half its width.
    energy : typical energy, in units of q p / t.
    time : typical time of the motion.
    """

    centre: np.ndarray
    half: np.ndarray
    energy: float
    time: float


@dataclass(frozen=True)
class Energy:
    """A sum of products, and the prior of its weights.

    Parameters
    ----------
    kinds : of the functions of q and of p, (2,).
    boxes : centre, half and reach of the waves of q and of p, (2, 3).
    pairs : (term, 2), which function of q and which of p a term multiplies.
    fixed_sd : (term,), prior sd of terms with a width of their own; NaN of the others.
    frequencies : (term, 2) of the others, in the inverse unit of q and p; 0 where constant.
    labels : of the terms.
    priors : of the hyperparameters: ``amplitude``, and ``length_scale`` by input.
    known : (κ_q, κ_p) of a part H₀ = κ_q q² + κ_p p² that is known, such as a kinetic energy.
    words : the energy as an equation, in LaTeX.
    """

    kinds: np.ndarray
    boxes: np.ndarray
    pairs: np.ndarray
    fixed_sd: np.ndarray
    frequencies: np.ndarray
    labels: tuple[str, ...]
    priors: Mapping[str, Prior] = field(default_factory=dict)
    known: tuple[float, float] = (0.0, 0.0)
    words: str = ""

    linear = True  # in its weights

    @property
    def size(self) -> int:
        """Number of weights."""
        return len(self.pairs)

    @cached_property
    def length_inputs(self) -> tuple[str, ...]:
        """Inputs that have a length scale."""
        return tuple(name for name in INPUTS if f"length_scale[{name}]" in self.priors)

    def prior_sd(self, hyper: Mapping[str, np.ndarray]) -> np.ndarray:
        """Prior sd of each weight at hyperparameters (...): (..., term).

        s_k² = a² Π_i √(2π) ℓ_i exp(−ω_ki² ℓ_i² / 2),   i of those inputs that it is a wave of
        """
        free = np.isnan(self.fixed_sd)
        if not free.any():
            return self.fixed_sd
        log_sd = np.log(np.asarray(hyper["amplitude"], dtype=float))[..., None]
        for name in self.length_inputs:
            scale = np.asarray(hyper[f"length_scale[{name}]"], dtype=float)[..., None]
            omega = self.frequencies[:, INPUTS.index(name)]
            width = 0.5 * (0.5 * np.log(2 * np.pi) + np.log(scale)) - 0.25 * (omega * scale) ** 2
            log_sd = log_sd + np.where(omega > 0, width, 0.0)
        # Weights beyond any use keep a width, so that precisions stay finite.
        return np.where(free, np.exp(np.maximum(log_sd, -40.0)), self.fixed_sd)

    def _sums(self, x, weight, orders):
        """Derivatives at states (..., point, 2) for weights (..., term): (..., point, asked)."""
        from bayesinf.systems.hamiltonian.kernel import sums

        lead = np.broadcast_shapes(np.shape(x)[:-2], np.shape(weight)[:-1])
        x = np.broadcast_to(np.asarray(x, dtype=float), (*lead, *np.shape(x)[-2:]))
        weight = np.broadcast_to(np.asarray(weight, dtype=float), (*lead, self.size))
        points, weights = x.reshape(-1, *x.shape[-2:]), weight.reshape(-1, self.size)
        points, weights = np.ascontiguousarray(points), np.ascontiguousarray(weights)
        found = np.empty((*points.shape[:2], len(orders)))
        sums(self.kinds, self.boxes, self.pairs, np.array(orders), points, weights, found)
        return found.reshape(*x.shape[:-1], len(orders))

    def _products(self, x, orders):
        """Derivatives of each term at states (point, 2): (point, asked, term)."""
        from bayesinf.systems.hamiltonian.kernel import products

        found, x = np.empty((len(x), len(orders), self.size)), np.ascontiguousarray(x, dtype=float)
        products(self.kinds, self.boxes, self.pairs, np.array(orders), x, found)
        return found

    def value(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Energy at states (..., point, 2) for weights (..., term): (..., point)."""
        known = np.asarray(x) ** 2 @ np.array(self.known)
        if np.ndim(x) == 2:  # states that all weights share
            return weight @ self._products(x, VALUE)[:, 0].T + known
        return self._sums(x, weight, VALUE)[..., 0] + known

    def gradient(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """∂H/∂(q, p) at states (..., point, 2) for weights (..., term): (..., point, 2)."""
        return self._sums(x, weight, GRADIENT) + 2 * np.asarray(x) * self.known

    def slopes(self, x: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Derivative of the gradient by the weights, (point, 2, term); none depends on them."""
        return self._products(x, GRADIENT)

    def hessian(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Second derivatives by the state, (point, 2, 2)."""
        qq, qp, pp = np.moveaxis(self._sums(x, weight, HESSIAN), -1, 0)
        qq, pp = qq + 2 * self.known[0], pp + 2 * self.known[1]
        return np.stack([qq, qp, qp, pp], axis=-1).reshape(-1, 2, 2)


def smooth(
    frame: Frame, waves: int = COUNT, reach: float = REACH, *, quadratic: bool = True, priors=None
) -> Energy:
    """Any smooth energy: a quadratic form, and Gaussian processes of q, of p and of both beyond it.

    Parameters
    ----------
    frame : of the data.
    waves, reach : sines along each coordinate, and half-width of their box over that of the data.
    quadratic : whether there is a quadratic form, of a wide prior, and waves of one coordinate.
    priors : hyperparameter to prior in place of the default: amplitudes around the energy of the
        data, length scales around half their range.
    """
    quads = [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2)] if quadratic else []
    least = 0 if quadratic else 1
    orders = [
        (j, k)
        for j in range(least, waves + 1)
        for k in range(least, waves + 1)
        if 0 < j**2 + k**2 <= (waves + 1) ** 2
    ]
    names = {(1, 0): "q", (0, 1): "p", (2, 0): "q²", (1, 1): "q p", (0, 2): "p²"}
    labels = [names[pair] for pair in quads] + [f"wave {j}, {k}" for j, k in orders]
    return _spectral(frame, quads, orders, labels, reach, INPUTS, None, priors)


def about_spring(frame: Frame, waves: int) -> Energy:
    """Build a smooth energy about a spring, ½ (q² + p²), whose quadratic form varies little."""
    found = smooth(frame, waves)
    sd = np.where(np.isnan(found.fixed_sd), np.nan, 0.1 * frame.energy)
    return replace(found, fixed_sd=sd, known=(0.5, 0.5))


def known_kinetic(frame: Frame, kinetic: float, *, priors=None) -> Energy:
    """Build H = κ p² + V(q) of a kinetic energy that is known, V any smooth function.

    So stated q̇ = 2 κ p: momenta have a scale, which other data may contradict.
    """
    orders = [(j, 0) for j in range(1, COUNT + 1)]
    labels = ["q", "q²", *(f"wave {j}" for j, _ in orders)]
    quads = [(1, 0), (2, 0)]
    return _spectral(frame, quads, orders, labels, REACH, ("q",), kinetic, priors)


def _spectral(frame, quads, orders, labels, reach, inputs, kinetic, given):
    pairs = [*quads, *((j + 2 if j else 0, k + 2 if k else 0) for j, k in orders)]
    omega = np.pi * np.array(orders) / (2 * reach * frame.half)
    priors = {"amplitude": LogNormal(frame.energy, 1.0)}
    widths = dict(zip(INPUTS, frame.half, strict=True))
    priors |= {f"length_scale[{name}]": LogNormal(float(widths[name]), 0.5) for name in inputs}
    said = "" if kinetic is None else rf"{kinetic:g}\, p^2 + "
    each = "f_1(q)" if kinetic is not None else "f_1(q) + f_2(p) + f_3(q, p)"
    prior = r"f_i \sim \mathrm{GP}(0, a^2 e^{-r^2/2})"
    return Energy(
        np.array([WAVES, WAVES]),
        np.column_stack([frame.centre, frame.half, [reach, reach]]),
        np.array(pairs),
        np.array([WIDE * frame.energy] * len(quads) + [np.nan] * len(orders)),
        np.vstack([np.zeros((len(quads), 2)), omega]),
        tuple(labels),
        priors | dict(given or {}),
        (0.0, kinetic or 0.0),
        rf"H = {said}\text{{quadratic}} + {each}, \quad {prior}",
    )


def spring(frame: Frame) -> Energy:
    """Build H = c q² + k p², both coefficients unknown."""
    return _two_terms(frame, SQUARE, "q²", r"c\, q^2", frame.half[0] ** 2)


def pendulum(frame: Frame) -> Energy:
    """Build H = c (1 − cos q) + k p², both coefficients unknown, q in radians."""
    return _two_terms(frame, SWING, "1 − cos q", r"c\,(1 - \cos q)", 1.0)


def _two_terms(frame, kind, label, words, size):
    return Energy(
        np.array([kind, SQUARE]),
        np.zeros((2, 3)),
        np.array([(1, 0), (0, 1)]),
        10 * WIDE * frame.energy / np.array([size, frame.half[1] ** 2]),
        np.zeros((2, 2)),
        (label, "p²"),
        words=rf"H = {words} + k\, p^2",
    )

"""Two hidden layers of tanh: the weights of such a network, their prior, and its derivatives.

    h₁ = tanh(W₁ z + b₁),   h₂ = tanh(W₂ h₁ + b₂),   output = W₃ h₂

A weight is N(0, width²/fan-in) a priori, a bias N(0, width²), with a width that whoever uses the
layers states or infers (MacKay, Neural Comput. 4, 448 (1992), doi:10.1162/neco.1992.4.3.448).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Layers"]

NAMES = ("W1", "b1", "W2", "b2")


@dataclass(frozen=True)
class Layers:
    """The shape of a network; its weights are one array, (..., weight).

    Parameters
    ----------
    inputs : of the network.
    width : units of each hidden layer.
    outputs : of the network; None for a single one, which then has no axis.
    """

    inputs: int
    width: int
    outputs: int | None = None

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of W₁, b₁, W₂, b₂ and W₃."""
        h = self.width
        last = (h,) if self.outputs is None else (self.outputs, h)
        return (h, self.inputs), (h,), (h, h), (h,), last

    @cached_property
    def size(self) -> int:
        """Number of weights."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the weights, layer by layer."""
        names = zip((*NAMES, "w3"), self.shapes, strict=True)
        return tuple(f"{n} {k}" for n, shape in names for k in range(int(np.prod(shape))))

    @cached_property
    def unit_sd(self) -> np.ndarray:
        """Prior sd at a width of one, 1 / √fan-in of matrices and 1 of biases, (weight,)."""
        fan = (self.inputs, 1, self.width, 1, self.width)
        pair = zip(self.shapes, fan, strict=True)
        return np.concatenate([np.full(int(np.prod(s)), f**-0.5) for s, f in pair])

    def begun(self, rng: np.random.Generator) -> np.ndarray:
        """Weights to begin with, drawn from the prior at a width of one."""
        return self.unit_sd * rng.standard_normal(self.size)

    def split(self, weight: np.ndarray) -> list[np.ndarray]:
        """Return W₁, b₁, W₂, b₂ and W₃ of weights."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        parts = np.split(np.asarray(weight, dtype=float), ends, axis=-1)
        return [p.reshape(*p.shape[:-1], *s) for p, s in zip(parts, self.shapes, strict=True)]

    def hidden(self, z: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both hidden layers, (..., point, unit), at inputs (..., point, input)."""
        W1, b1, W2, b2, _ = self.split(weight)
        h1 = np.tanh(z @ np.swapaxes(W1, -1, -2) + b1[..., None, :])
        return h1, np.tanh(h1 @ np.swapaxes(W2, -1, -2) + b2[..., None, :])

    def pulled(
        self,
        z: np.ndarray,
        hidden: tuple[np.ndarray, np.ndarray],
        weight: np.ndarray,
        pull: np.ndarray,
    ) -> np.ndarray:
        """Return the derivative of Σ pull · output by the weights, (weight,): backpropagation.

        Parameters
        ----------
        z, hidden, weight : inputs (point, input), the layers there, and weights (weight,).
        pull : (point, output).
        """
        _, _, W2, _, W3 = self.split(weight)
        h1, h2 = hidden
        second = (pull @ W3) * (1 - h2**2)
        first = (second @ W2) * (1 - h1**2)
        parts = (first.T @ z, first.sum(axis=0), second.T @ h1, second.sum(axis=0), pull.T @ h2)
        return np.concatenate([part.ravel() for part in parts])

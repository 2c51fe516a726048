"""An energy as a network of two layers of tanh, with every derivative in closed form.

    z = (x − centre) / half,   h₁ = tanh(W₁ z + b₁),   h₂ = tanh(W₂ h₁ + b₂),   H = E w₃ · h₂

Rates are the symplectic gradient of H; the fit needs their derivatives by weights and states, which
are written out here, nothing is differenced. It is fitted as the Gaussian process is, by
Gauss-Newton steps to an optimum, around which the rates are linear in the weights: the Laplace
approximation with the Gauss-Newton curvature. Weights permute and change signs together, so only
what they make, rates and energies, is looked at (MacKay, Neural Comput. 4, 448 (1992),
doi:10.1162/neco.1992.4.3.448).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayesinf.models.layers import Layers
from bayesinf.priors import LogNormal, Prior
from bayesinf.systems.hamiltonian.energies import Frame

__all__ = ["Network"]

WIDTH = 8  # units of each layer


@dataclass(frozen=True)
class Network:
    """The network as an energy with unknown weights; what ``energies.Energy`` has, it has.

    Parameters
    ----------
    frame : of the data, which scales input and output.
    width : units of each layer.
    """

    frame: Frame
    width: int = WIDTH

    linear = False
    length_inputs = ()
    words = r"H = w_3 \cdot \tanh(W_2 \tanh(W_1 z + b_1) + b_2)"

    @cached_property
    def layers(self) -> Layers:
        """Both hidden layers, and the one output."""
        return Layers(2, self.width)

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.layers.size

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the weights, layer by layer."""
        return self.layers.labels

    @cached_property
    def priors(self) -> Mapping[str, Prior]:
        """Prior of the width that the weights of all layers share, in units of 1 / √fan-in."""
        return {"weight_width": LogNormal(1.0, 0.5)}

    def prior_sd(self, hyper: Mapping[str, np.ndarray]) -> np.ndarray:
        """Prior sd of each weight at hyperparameters (...): (..., weight)."""
        return np.asarray(hyper["weight_width"])[..., None] * self.layers.unit_sd

    def begun(self, rng: np.random.Generator) -> np.ndarray:
        """Weights to begin with, drawn from the prior at a width of one."""
        return self.layers.begun(rng)

    def _forward(self, x, weight):
        """Weights of the layers, z, and both layers' outputs."""
        W1, _, W2, _, w3 = self.layers.split(weight)
        z = (np.asarray(x, dtype=float) - self.frame.centre) / self.frame.half
        return (W1, W2, w3), z, *self.layers.hidden(z, weight)

    def value(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Energy at states (..., point, 2): (..., point)."""
        (*_, w3), _, _, h2 = self._forward(x, weight)
        return self.frame.energy * np.sum(h2 * w3[..., None, :], axis=-1)

    def gradient(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """∂H/∂(q, p) at states (..., point, 2): (..., point, 2)."""
        (W1, W2, w3), _, h1, h2 = self._forward(x, weight)
        back = ((1 - h2**2) * w3[..., None, :]) @ W2
        return self.frame.energy / self.frame.half * (((1 - h1**2) * back) @ W1)

    def slopes(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Derivative of the gradient by the weights, (point, 2, weight)."""
        (W1, W2, w3), z, h1, h2 = self._forward(x, weight)
        s1, s2 = 1 - h1**2, 1 - h2**2
        g2 = s2 * w3
        back = g2 @ W2
        # ∂a₂/∂z, (point, unit, 2), and what the gradient feels of a₂ and of a₁.
        B = np.einsum("ji,ni,ik->njk", W2, s1, W1)
        C = (-2 * h2 * s2 * w3)[..., None] * B
        D = (-2 * h1 * s1 * back)[..., None] * W1 + s1[..., None] * np.einsum("ji,njk->nik", W2, C)
        by_W1 = np.einsum("nik,nl->nkil", D, z)
        by_W1 += np.einsum("kl,ni->nkil", np.eye(2), s1 * back)
        by_W2 = np.einsum("nj,ni,ik->nkji", g2, s1, W1) + np.einsum("njk,ni->nkji", C, h1)
        parts = (by_W1, np.swapaxes(D, 1, 2), by_W2, np.swapaxes(C, 1, 2))
        parts += (np.swapaxes(s2[..., None] * B, 1, 2),)
        found = np.concatenate([part.reshape(len(z), 2, -1) for part in parts], axis=-1)
        return found * (self.frame.energy / self.frame.half)[:, None]

    def hessian(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Second derivatives by the state, (point, 2, 2)."""
        (W1, W2, w3), _, h1, h2 = self._forward(x, weight)
        s1, s2 = 1 - h1**2, 1 - h2**2
        back = (s2 * w3) @ W2
        B = np.einsum("ji,ni,ik->njk", W2, s1, W1)
        found = np.einsum("nj,njk,njl->nkl", -2 * h2 * s2 * w3, B, B)
        found += np.einsum("ni,ik,il->nkl", -2 * h1 * s1 * back, W1, W1)
        return self.frame.energy * found / np.outer(self.frame.half, self.frame.half)


@dataclass(frozen=True)
class Plain(Network):
    """The same network with two outputs, the rates themselves, and no energy behind them.

    It stands where an energy does: its "gradient" is (−ṗ, q̇), any two functions.
    """

    @cached_property
    def layers(self) -> Layers:
        """Both hidden layers, and two outputs."""
        return Layers(2, self.width, 2)

    @property
    def _scale(self):
        return self.frame.energy / self.frame.half

    def value(self, x, weight):
        """Refuse: there is no energy."""
        raise NotImplementedError("a plain network has no energy")

    def gradient(self, x, weight):
        """(−ṗ, q̇) at states (..., point, 2): (..., point, 2)."""
        (*_, W3), _, _, h2 = self._forward(x, weight)
        return self._scale * (h2 @ np.swapaxes(W3, -1, -2))

    def slopes(self, x, weight):
        """Derivative of that by the weights, (point, 2, weight)."""
        (_, W2, W3), z, h1, h2 = self._forward(x, weight)
        C = (1 - h2**2)[:, None, :] * W3
        D = (C @ W2) * (1 - h1**2)[:, None, :]
        parts = (np.einsum("nki,nl->nkil", D, z), D, np.einsum("nkj,ni->nkji", C, h1), C)
        parts += (np.einsum("kl,nj->nklj", np.eye(2), h2),)
        found = np.concatenate([part.reshape(len(z), 2, -1) for part in parts], axis=-1)
        return found * self._scale[:, None]

    def hessian(self, x, weight):
        """Derivative of that by the state, (point, 2, 2)."""
        (W1, W2, W3), _, h1, h2 = self._forward(x, weight)
        C = (1 - h2**2)[:, None, :] * W3
        D = (C @ W2) * (1 - h1**2)[:, None, :]
        return (D @ W1) * self._scale[:, None] / self.frame.half

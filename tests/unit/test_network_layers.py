"""Two hidden layers of tanh: their derivatives by the weights, and the sizes of their weights."""

import numpy as np
import pytest

from bayesinf.models.layers import Layers


@pytest.mark.parametrize("outputs", [1, 3])
def test_backpropagation_is_the_derivative(outputs):
    layers, rng = Layers(4, 5, outputs), np.random.default_rng(0)
    z, pull, weight = rng.normal(size=(6, 4)), rng.normal(size=(6, outputs)), layers.begun(rng)

    def value(weight):
        return np.sum(pull * (layers.hidden(z, weight)[1] @ layers.split(weight)[-1].T))

    found = layers.pulled(z, layers.hidden(z, weight), weight, pull)
    steps = 1e-5 * np.eye(layers.size)
    expected = [(value(weight + s) - value(weight - s)) / 2e-5 for s in steps]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_many_weights_at_once_are_each_on_its_own():
    layers, rng = Layers(2, 3), np.random.default_rng(0)
    weights, z = np.stack([layers.begun(rng) for _ in range(4)]), rng.normal(size=(5, 2))
    together = layers.hidden(z, weights)[1]
    for one, weight in zip(together, weights, strict=True):
        np.testing.assert_allclose(one, layers.hidden(z, weight)[1], rtol=1e-13)


def test_every_weight_has_a_name_and_a_width():
    layers = Layers(7, 32, 3)
    assert layers.size == 7 * 32 + 32 + 32 * 32 + 32 + 32 * 3 == len(set(layers.labels))
    W1, b1, W2, b2, W3 = layers.split(layers.unit_sd)
    assert np.ptp(W1) == 0 and W1[0, 0] == pytest.approx(7**-0.5)
    assert (b1 == 1).all() and (b2 == 1).all() and W2[0, 0] == W3[0, 0] == 32**-0.5
    # What a layer puts out scatters about as widely as what it takes, whatever its width.
    drawn = [layers.split(layers.begun(np.random.default_rng(k)))[2] for k in range(50)]
    assert np.std(np.array(drawn) @ np.ones(32)) == pytest.approx(1, abs=0.05)

"""Kernels and trends as they are written, noise that grows, and the parts of a sum of kernels."""

import numpy as np
import pytest
from density import holds

from bayesinf.errors import FitError
from bayesinf.models import gp
from bayesinf.models.gp import kernels


def points(count=15, seed=4):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.random(count))
    return gp.data(x, np.cos(20 * x) + 0.1 * rng.standard_normal(count))


def test_a_kernel_is_read_as_it_is_written():
    found = gp.parse("matern52 + periodic(1.0) * se(length_scale=3)")
    smooth, product = found.parts
    assert isinstance(smooth, gp.Matern52) and smooth.length_scale is None
    season, fade = product.parts
    assert season == gp.Periodic(period=1.0) and fade.amplitude == 1.0 and fade.length_scale == 3.0
    assert gp.parse("rq(0.3, alpha=2)") == gp.RationalQuadratic(length_scale=0.3, alpha=2.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("matern52 +", "cannot be read: names are exponential"),
        ("foo", "unknown kernel 'foo': use one of"),
        ("2 * se", "holds '2'"),
        ("se - se", "holds 'se - se'"),
        ("periodic(1, 2, 3)", "takes period, length_scale, not 3 numbers"),
        ("__import__('os')", "unknown kernel '__import__'"),
        ("se(-1)", "numbers above zero, not '-1'"),
        ("se(0.1, length_scale=2)", "each once, not 'length_scale'"),
        ("linear", "--trend"),
    ],
)
def test_what_is_no_kernel_is_refused_in_one_line(text, said):
    with pytest.raises(FitError) as caught:
        gp.parse(text)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["y", "x + 3", "x.real", "exec('1')", "1/(x - x)", "x**", "z*x"])
def test_what_is_no_trend_is_refused(text):
    with pytest.raises(FitError):
        gp.process(points(), "se", f"trend({text}) + constant")


@pytest.mark.parametrize(
    "options",
    [
        {"noise": "grows"},
        {"noise": "signal"},
        {"mean": "trend(x + sin(2*pi*x)) + constant"},
        {"kernel": "se + periodic(0.25) * matern32", "mean": "trend(x)", "noise": "grows"},
    ],
)
def test_what_is_new_has_the_density_and_the_gradient_of_its_definition(options):
    stated = gp.process(points(), **options)
    holds(stated)
    u = 0.4 * np.random.default_rng(1).standard_normal(len(stated.names))
    _, slope = stated.gradient(u)
    step = 1e-5 * np.eye(len(u))
    expected = [(stated.log_density(u + e) - stated.log_density(u - e)) / 2e-5 for e in step]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-4)


def test_parts_of_a_sum_add_up_to_the_curve():
    stated = gp.process(points(), "se + matern32 + periodic(0.3)")
    theta = stated.theta(0.3 * np.random.default_rng(2).standard_normal((3, len(stated.names))))
    at = np.linspace(-0.1, 1.1, 7)
    mean, sd = stated.pointwise_parts(theta, at)
    whole, spread = stated.pointwise_curve(theta, at)
    assert mean.shape == (3, 3, 7)
    np.testing.assert_allclose(mean.sum(axis=0) + stated.level(theta, at)[0], whole, atol=1e-8)
    # Against the formula, with the covariance inverted as it stands.
    matrix = stated.covariance(theta)[1]
    across = stated.kernel.parts[0].parts[1].value(at[:, None] - stated.x, theta)[1]
    own = float(theta["amplitude_2"][1]) ** 2
    left = own - np.einsum("ij,ji->i", across, np.linalg.solve(matrix, across.T))
    np.testing.assert_allclose(sd[1, 1] ** 2, left, atol=1e-8)
    assert np.all(spread > 0)


def test_kernels_go_through_a_file_and_back():
    stated = kernels.kernel(gp.parse("rq + periodic(2) * exponential"))
    assert kernels.from_dict(kernels.to_dict(stated)).leaves()[1].suffix == "_2"


def test_centred_parts_are_parts_less_their_average():
    """Against the whole covariance of a part, from the formula with K inverted as it stands."""
    stated = gp.process(points(), "se + periodic(0.3)")
    theta = stated.theta(0.3 * np.random.default_rng(2).standard_normal((2, len(stated.names))))
    at = np.linspace(0, 1, 6)
    mean, sd = stated.pointwise_parts(theta, at, centred=True)
    one = {name: value[1] for name, value in theta.items()}
    part = stated.kernel.parts[1]
    across, among = (part.value(at[:, None] - other, one) for other in (stated.x, at))
    inverse = np.linalg.inv(stated.covariance(one))
    middle = np.eye(6) - 1 / 6
    spread = middle @ (among - across @ inverse @ across.T) @ middle
    np.testing.assert_allclose(sd[1, 1] ** 2, np.diag(spread), atol=1e-9)
    np.testing.assert_allclose(mean[1, 1], middle @ across @ inverse @ stated.y, atol=1e-9)

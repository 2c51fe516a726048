"""A jump in a curve that a process takes for smooth: the evidence for it, and who is refused."""

from dataclasses import replace

import numpy as np
import pytest

from bayesinf.checks import check
from bayesinf.data import curve_from_arrays
from bayesinf.models import gp
from bayesinf.models.gp import jumps
from bayesinf.settings import Settings

SHORT = Settings(draws=200, chains=2, prior_draws=20, workers=1)


def wave(step, count=60, seed=3):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.random(count))
    y = np.sin(9 * x) + step * (x > 0.5) + 0.15 * rng.standard_normal(count)
    return curve_from_arrays(x, y)


def test_the_factor_of_a_jump_is_that_of_one_more_column():
    """Σ_g N(y; m, K + s² h_g h_gᵀ) / (gaps · N(y; m, K)), the normals as scipy has them."""
    from scipy.stats import multivariate_normal

    data = curve_from_arrays([0.0, 0.2, 0.2, 0.5, 0.9], [1.0, 1.2, 0.9, -0.3, -0.5])
    process = gp.process(data, "matern32", "constant")
    theta = {"length_scale": 0.3, "amplitude": 0.8, "noise": 0.2, "constant": 0.4}
    theta = {name: np.array([value]) for name, value in theta.items()}
    found = jumps.Jumping(process, 1.5).log_factor(theta)
    K, m = process.covariance(theta)[0], np.full(5, 0.4)
    columns = [process.x > process.x[k] for k in (0, 2, 3)]  # none between 0.2 and 0.2
    each = [multivariate_normal.logpdf(process.y, m, K + 1.5**2 * np.outer(h, h)) for h in columns]
    exact = np.mean(np.exp(np.array(each) - multivariate_normal.logpdf(process.y, m, K)))
    np.testing.assert_allclose(found, [np.log(exact)], rtol=1e-9)


def test_the_factor_of_an_outlier_is_that_of_a_larger_variance_of_one_value():
    """Σ_i N(y; m, K + s² e_i e_iᵀ) / (n · N(y; m, K)), the normals as scipy has them."""
    from scipy.stats import multivariate_normal

    data = curve_from_arrays([0.0, 0.2, 0.2, 0.5, 0.9], [1.0, 1.2, 0.9, -0.3, -0.5])
    process = gp.process(data, "matern32", "constant")
    theta = {"length_scale": 0.3, "amplitude": 0.8, "noise": 0.2, "constant": 0.4}
    theta = {name: np.array([value]) for name, value in theta.items()}
    found = jumps.Jumping(process, 1.5, single=True).log_factor(theta)
    K, m = process.covariance(theta)[0], np.full(5, 0.4)
    each = [multivariate_normal.logpdf(process.y, m, K + 1.5**2 * np.diag(e)) for e in np.eye(5)]
    exact = np.mean(np.exp(np.array(each) - multivariate_normal.logpdf(process.y, m, K)))
    np.testing.assert_allclose(found, [np.log(exact)], rtol=1e-9)


def test_the_evidence_is_that_of_the_whole_plane_of_hyperparameters():
    data = wave(1.2, 25)
    fixed = {"noise": 0.15, "priors": {"length_scale": gp.process(data).inferred["length_scale"]}}
    process = gp.process(data, "matern32", "zero", **fixed)
    found = jumps.log_evidence_for(process, {}, SHORT)
    axis = np.linspace(-5, 5, 101)
    u = np.stack([a.ravel() for a in np.meshgrid(axis, axis)], axis=-1)
    jumping = jumps.Jumping(process, 2 * float(np.std(process.y)))
    exact = np.logaddexp.reduce(jumping.log_density(u)) - np.logaddexp.reduce(
        process.log_density(u)
    )
    assert abs(found - exact) < 0.3


@pytest.mark.parametrize("kernel", ["se", "matern32"])
def test_a_jump_is_not_believed_and_a_smooth_curve_is(kernel):
    smooth, jumping = (
        gp.fit(data["x"], data["y"], kernel=kernel, mean="constant", settings=SHORT)
        for data in (wave(0.0), wave(2.0))
    )
    failed = {one.name for one in check(jumping).checks if one.required and not one.passed}
    assert "a jump" in failed
    assert all(one.passed for one in check(smooth).checks if one.name == "a jump")


def test_a_jump_among_many_points_is_found_in_its_stretch_and_in_any_unit():
    factors = []
    for step, size in ((0.0, 1.0), (1.0, 1.0), (1.0, 1e6)):
        data = wave(step, 3 * jumps.FEW)
        process = gp.process(data.assign(y=size * data["y"]), "matern32", "constant")
        theta = {"length_scale": 0.3, "amplitude": size, "noise": 0.15 * size, "constant": 0.0}
        draws = {name: np.full((2, 5), value) for name, value in theta.items()}
        factors.append(jumps.log_evidence_for(process, draws, SHORT))
    assert factors[0] < 2 and factors[1] > 10
    np.testing.assert_allclose(factors[2], factors[1], rtol=1e-6)


def test_where_none_can_be_looked_for_nothing_is_asked():
    few = gp.process(gp.data([0.0, 1.0, 2.0, 2.0], [0.0, 1.0, 0.0, 0.1]))
    several = gp.process(gp.data(np.random.default_rng(1).random((9, 2)), np.arange(9.0)))
    slopes = gp.process(gp.data(slopes={"x": ([0.0, 1, 2, 3, 4, 5], np.arange(6.0))}))
    assert not any(one.questions for one in (few, several, slopes))
    whole = gp.process(wave(0.0, 6))
    assert [one.name for one in whole.questions] == ["a jump"]
    assert not replace(whole, x=whole.x[:4], y=whole.y[:4]).questions

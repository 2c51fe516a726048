"""Audits of covariances: a straight line, where all is known in closed form, first."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

import bayesinf
from bayesinf import audit
from bayesinf.audits import instead, told, verdict
from bayesinf.audits.transformations import FORMS, departure, transformed
from bayesinf.errors import DataError, FitError
from bayesinf.models.density import LogDensity
from bayesinf.posterior import noted
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings

SHORT = Settings(draws=500, chains=4, prior_draws=20)
X = np.linspace(0, 10, 30)
NOISE = 0.3


def line(x, a, b):
    return a + b * x


def peak(x, height, mu, sigma):
    return height * np.exp(-0.5 * ((x - mu) / sigma) ** 2)


@pytest.fixture(scope="module")
def measured():
    """y of a straight line, and the closed form of its fit with known noise."""
    y = line(X, 1.0, 2.0) + NOISE * np.random.default_rng(4).standard_normal(len(X))
    design = np.stack([np.ones_like(X), X], axis=1) / NOISE
    covariance = np.linalg.inv(design.T @ design)
    return y, covariance @ design.T @ (y / NOISE), covariance


def found(y, popt, pcov, sigma=NOISE, **how):
    fit = audit(line, X, y, popt, pcov, sigma, settings=SHORT, **how)
    return fit, noted(fit, "audit")


def failed(fit):
    return {one.name for one in verdict(fit).checks if one.required and not one.passed}


# --- closed forms ---------------------------------------------------------------------------------


def test_a_straight_line_is_its_normal(measured):
    y, popt, pcov = measured
    fit, note = found(y, popt, pcov)
    assert verdict(fit).believed and fit.attrs["answer"].startswith("The covariance may be used: a")
    sd = np.sqrt(np.diag(pcov))
    np.testing.assert_allclose(note["mode"], popt, rtol=1e-8)
    np.testing.assert_allclose(note["mode_sd"], sd, rtol=1e-8)
    np.testing.assert_allclose(note["hessian_eigenvalue"], 1, rtol=1e-5)
    assert float(note["slope"]) < 1e-5 and float(note["pareto_k"]) < 0.1
    np.testing.assert_allclose((note["weighted_mean"] - popt) / sd, 0, atol=0.1)
    assert float(note["effective_draws"]) == pytest.approx(4000, rel=1e-6)  # all weigh the same
    np.testing.assert_allclose((note["profile_low"] - popt) / sd, -1.95996, atol=0.01)
    np.testing.assert_allclose((note["profile_high"] - popt) / sd, 1.95996, atol=0.01)
    residual = (y - line(X, *popt)) / NOISE
    assert float(note["chi_square"]) == pytest.approx(residual @ residual / 28)
    assert instead(fit)["b"].startswith(f"{popt[1]:.3f}")
    lines = told(fit).splitlines()
    assert lines[0] == fit.attrs["answer"] and all("  passed  " in line for line in lines[2:])


@given(
    off=st.tuples(st.floats(-8, 8), st.floats(-8, 8)),
    scale=st.floats(0.3, 3.0),
)
@settings(max_examples=6, deadline=None)
def test_the_step_to_the_top_and_the_scale_are_measured(measured, off, scale):
    """A line's density is a parabola, so that both are exact."""
    y, popt, pcov = measured
    root = np.linalg.cholesky(pcov)
    fit, note = found(y, popt + root @ np.array(off), scale**2 * pcov)
    far = np.hypot(*off)
    assert float(note["slope"]) == pytest.approx(far, rel=1e-3, abs=1e-4)
    np.testing.assert_allclose(note["hessian_eigenvalue"], scale**2, rtol=1e-3)
    sd = np.sqrt(np.diag(pcov))
    np.testing.assert_allclose(note["from_mode"], root @ off / sd, rtol=1e-3, atol=1e-3)
    assert ("slope" in failed(fit)) == (far > 0.1)
    assert ("curvature" in failed(fit)) == (abs(np.log(scale)) > np.log(1.1))


def test_unknown_noise_is_students_t(measured):
    """Few points: the covariance of curve_fit leaves out that the noise is uncertain."""
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    y = line(x, 1, 2) + NOISE * np.array([0.3, -1.2, 0.4, 1.1, -0.6])
    popt, pcov = curve_fit(line, x, y)
    fit = audit(line, x, y, popt, pcov, settings=Settings(draws=4000, prior_draws=20))
    note = noted(fit, "audit")
    # Given the noise the curvature is that of the claim, and the marginal is t with 3 degrees of
    # freedom, whose quartiles are 0.7649 times the claimed sd.
    np.testing.assert_allclose(note["hessian_eigenvalue"], 1, rtol=0.01)
    assert not verdict(fit).believed
    draws = (fit["posterior"]["b"].values.ravel() - popt[1]) / np.sqrt(pcov[1, 1])
    np.testing.assert_allclose(np.quantile(draws, [0.25, 0.75]), [-0.7649, 0.7649], atol=0.05)


def test_the_confusion_of_absolute_sigma_is_named(measured):
    y, popt, pcov = measured
    chi = np.sqrt(np.sum(((y - line(X, *popt)) / (3 * NOISE)) ** 2) / 28)
    popt, pcov = curve_fit(line, X, y, sigma=np.full(30, 3 * NOISE))
    fit, note = found(y, popt, pcov, np.full(30, 3 * NOISE))
    assert "curvature" in failed(fit) and "absolute_sigma=True" in verdict(fit).words
    np.testing.assert_allclose(np.sqrt(note["hessian_eigenvalue"]), chi, rtol=1e-4)
    # Whoever says that they are but shares of the noise is right.
    fit, _ = found(y, popt, pcov, np.full(30, 3 * NOISE), absolute_sigma=False)
    assert verdict(fit).believed


def test_half_of_the_normal_lies_beyond_an_edge(measured):
    y, _, _ = measured
    y = y - 3 * X  # a slope of about −1, which the bounds forbid
    bounds = ([-np.inf, 0], [np.inf, np.inf])
    popt, pcov = curve_fit(line, X, y, [1, 1], np.full(30, NOISE), True, bounds=bounds)
    fit, note = found(y, popt, pcov, bounds=bounds)
    assert {"Hessian", "edges", "draws"} <= failed(fit)
    assert float(note["beyond_bounds"][1]) == pytest.approx(0.5, abs=0.03)
    assert "b is at a bound" in fit.attrs["answer"]
    assert (fit["posterior"]["b"] >= 0).all()


def test_a_logarithm_is_named_where_it_makes_a_normal():
    """log y_i ~ N(log s, 0.6²) under a log-normal prior: log s is normal, in closed form."""
    y = np.array([0.5, 0.9, 1.4, 0.7])

    def log_likelihood(s):
        return -0.5 * np.sum(((np.log(y) - np.log(s)[:, None]) / 0.6) ** 2, axis=1)

    model = LogDensity({"s": LogNormal(1.0, 3.0)}, log_likelihood, vectorised=True)
    fit = audit(model, settings=SHORT)
    note = noted(fit, "audit")
    variance = 1 / (4 / 0.36 + 1 / 9)
    mean = variance * np.log(y).sum() / 0.36
    # The claim is about s itself: its mode and its curvature there.
    assert float(note["mode"][0]) == pytest.approx(np.exp(mean - variance), rel=1e-4)
    assert float(note["mode_sd"][0]) == pytest.approx(
        np.exp(mean - variance) * variance**0.5, rel=2e-3
    )
    assert note["transformation"].values[0] == "log(s)"
    assert float(note["transformed_mean"][0]) == pytest.approx(mean, abs=0.03)
    assert float(note["transformed_sd"][0]) == pytest.approx(variance**0.5, rel=0.05)
    assert float(note["transformed_k"]) < 0.5
    assert float(note["transformed_effective"]) > 0.97  # without the slope of the logarithm 0.92
    assert not verdict(fit).believed and "in log(s) = " in fit.attrs["answer"]


def test_a_normal_density_is_fine_and_a_shifted_point_is_not():
    data = np.array([1.0, 2.0, 4.0])

    def log_likelihood(m):
        return -0.5 * np.sum((data - m[:, None]) ** 2, axis=1)

    model = LogDensity({"m": Normal(0.0, 10.0)}, log_likelihood, vectorised=True)
    sd = (3 + 0.01) ** -0.5
    fit = audit(model, settings=SHORT)
    assert verdict(fit).believed
    assert float(noted(fit, "audit")["sd"][0]) == pytest.approx(sd, rel=1e-3)
    fit = audit(model, popt={"m": 7 * sd**2 + 2 * sd}, pcov=[[sd**2]], settings=SHORT)
    assert float(noted(fit, "audit")["slope"]) == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("form", list(FORMS))
def test_each_form_leads_back_and_knows_its_slope(form):
    forward, backward, slope = FORMS[form]
    u = np.linspace(-1.5, 1.5, 7) + 2.0 * (form == "reciprocal")
    ends = (0.5, 2.5)
    np.testing.assert_allclose(forward(backward(u, *ends), *ends), u, rtol=1e-12)
    rise = (backward(u + 1e-6, *ends) - backward(u - 1e-6, *ends)) / 2e-6
    np.testing.assert_allclose(slope(u, *ends), np.log(np.abs(rise)), atol=1e-7)


def test_each_transformation_is_told_from_its_draws():
    z = np.random.default_rng(0).standard_normal((20_000, 4))
    u = 0.8 * z
    draws = np.stack(
        [np.exp(u[:, 0]), 1 / (1 + np.exp(-2 * u[:, 1])), -np.exp(u[:, 2]), z[:, 3]], 1
    )
    low, high = np.array([0, 0, -np.inf, -np.inf]), np.array([np.inf, 1, np.inf, np.inf])
    told = transformed(list("abcd"), draws, low, high)
    assert list(told["transformation"][[0, 2, 3]]) == ["log(a)", "−log(−c)", ""]
    assert (told["transformed_departure"] < 0.1).all()
    share = 1 / (1 + np.exp(-1.5 - 1.2 * z[:, :1]))
    (word,) = transformed(["p"], share, np.zeros(1), np.ones(1))["transformation"]
    assert word == "logit(p)"
    assert departure(z[:, 0]) < 0.06


# --- what certified data and quadrature say -------------------------------------------------------


def test_boxbod_has_no_covariance_and_its_draws_are_quadratures():
    x, y = np.array([[1, 2, 3, 5, 7, 10], [109, 149, 149, 191, 213, 224]], dtype=float)

    def demand(x, b1, b2):
        return b1 * (1 - np.exp(-b2 * x))

    popt, pcov = curve_fit(demand, x, y, [100, 0.75])
    np.testing.assert_allclose(popt, [213.80940889, 0.54723748542], rtol=1e-5)  # NIST, certified
    fit = audit(demand, x, y, popt, pcov)
    assert {"range", "profile", "shape"} <= failed(fit)
    assert "State a prior" in fit.attrs["answer"]
    assert not bayesinf.check(fit).believed  # nor are the draws the data's, for the box has its say
    words = json.loads(fit.attrs["priors"])
    low, high = (float(each) for each in words["b2"][8:-1].split(", "))
    b1, b2 = np.linspace(100, 500, 2001), np.linspace(max(low, 1e-3), high, 4001)
    squares = sum(
        (v - b1 * (1 - np.exp(-b2 * at))[:, None]) ** 2 for at, v in zip(x, y, strict=True)
    )
    density = np.sum(squares**-3.0, axis=1)
    quantiles = np.interp([0.16, 0.5, 0.84], np.cumsum(density) / density.sum(), b2)
    draws = fit["posterior"]["b2"].values
    np.testing.assert_allclose(np.quantile(draws, [0.16, 0.5, 0.84]), quantiles, rtol=0.06)


def test_a_better_optimum_and_a_rival_are_found():
    x = np.linspace(-6, 6, 100)
    noise = 0.05 * np.random.default_rng(2).standard_normal(len(x))

    def fixed(x, height, mu):
        return peak(x, height, mu, 0.4)

    y = peak(x, 0.5, -3, 0.4) + peak(x, 1, 3, 0.4) + noise
    popt, pcov = curve_fit(fixed, x, y, [0.5, -3], np.full(100, 0.05), True)
    assert popt[1] == pytest.approx(-3, abs=0.1)
    fit = audit(fixed, x, y, popt, pcov, 0.05, settings=SHORT)
    assert "optima" in failed(fit) and float(noted(fit, "audit")["mode"][1]) == pytest.approx(
        3, abs=0.1
    )
    even = (y + y[::-1]) / 2
    popt, pcov = curve_fit(fixed, x, even, [0.7, 3], np.full(100, 0.05), True)
    fit = audit(fixed, x, even, popt, pcov, 0.05, settings=SHORT)
    assert "optima" in failed(fit) and "as good at" in fit.attrs["answer"]
    assert "other optima" in {one.name for one in bayesinf.check(fit).checks if not one.passed}


def test_a_width_of_either_sign_is_one_peak():
    """σ enters by its square: its mirror image says the same of the data, and is no rival."""
    x = np.linspace(-2, 2, 60)
    y = peak(x, 1, 0.2, 0.5) + 0.05 * np.random.default_rng(1).standard_normal(60)
    popt, pcov = curve_fit(peak, x, y, [1, 0, -0.4], np.full(60, 0.05), True)
    assert popt[2] < 0
    fit = audit(peak, x, y, popt, pcov, 0.05, settings=SHORT)
    assert not {"optima", "slope"} & failed(fit), fit.attrs["answer"]


# --- ways to ask ----------------------------------------------------------------------------------


def test_lmfit_says_what_curve_fit_does(measured):
    import lmfit

    y, popt, pcov = measured
    kept = {"settings": SHORT}
    weighed = lmfit.Model(line).fit(y, x=X, a=0, b=1, weights=1 / NOISE, scale_covar=False)
    params = lmfit.create_params(a=0, b=1)

    def residual(params, x):
        return (y - line(x, params["a"], params["b"])) / NOISE

    minimizer = lmfit.Minimizer(residual, params, fcn_args=(X,), scale_covar=False)
    result = minimizer.minimize()
    minimizer.result = result
    fits = [
        audit(weighed, **kept),
        audit(result, function=residual, args=(X,), absolute_sigma=True, **kept),
        audit(minimizer, absolute_sigma=True, **kept),
    ]
    for fit in fits:
        assert verdict(fit).believed, fit.attrs["answer"]
        np.testing.assert_allclose(noted(fit, "audit")["mode"], popt, rtol=1e-5)
        np.testing.assert_allclose(noted(fit, "audit")["mode_sd"], np.diag(pcov) ** 0.5, rtol=1e-4)
    with pytest.raises(DataError, match="does not keep its function"):
        audit(result)


def test_any_call_of_curve_fit_will_do():
    """Parameters in a star, several inputs, correlated noise, unsorted x, a function of numbers."""
    rng = np.random.default_rng(7)
    inputs, noise = rng.normal(size=(2, 30)), 0.1 * rng.standard_normal(30)
    y = 2 * inputs[0] - inputs[1] + noise

    def plane(x, *p):
        return p[0] * x[0] + p[1] * x[1]

    joint = 0.005 * (np.eye(30) + 1)
    popt, pcov = curve_fit(plane, inputs, y, [1, 1], joint, True)
    fit = audit(plane, inputs, y, popt, pcov, joint, settings=SHORT)
    assert set(instead(fit)) == {"p1", "p2"} and "curvature" not in failed(fit)

    def scalar(x, a, b):
        return np.array([a + b * float(each) if a > -1e9 else 0.0 for each in x])

    popt, pcov = curve_fit(scalar, inputs[0], y, [1, 1])
    fit = audit(scalar, inputs[0], y, popt, pcov, settings=SHORT)
    np.testing.assert_allclose(noted(fit, "audit")["mode"], popt, rtol=1e-5)


def decay(x, noise, rate):
    if np.any(np.asarray(rate) < 0.1):
        raise ValueError("no such rate")
    return noise * np.exp(-rate * x)


def test_units_names_and_errors_of_a_curve_make_no_difference():
    """A curve that raises where it has no value, a parameter called noise, numbers of 10¹²."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 5, 30)
    y = decay(x, 3, 0.7) + 0.1 * rng.standard_normal(30)
    popt, pcov = curve_fit(decay, x, y, [3, 0.7])
    fit = audit(decay, x, y, popt, pcov, settings=SHORT)
    assert verdict(fit).believed and set(instead(fit)) == {"noise_", "rate"}

    def other(x, size, rate):
        return 1e12 * size * np.exp(-1e-9 * rate * x)

    popt, pcov = curve_fit(other, 1e9 * x, 1e12 * y, [3, 0.7])
    again = audit(other, 1e9 * x, 1e12 * y, popt, pcov, settings=SHORT)
    assert verdict(again).believed, again.attrs["answer"]
    # Nor is a claim of no size, or of any, taken for a saddle.
    for share in (1e-20, 1e20):
        fit = audit(other, 1e9 * x, 1e12 * y, popt, share * pcov, settings=SHORT)
        assert "Hessian" not in failed(fit)
        ratio = noted(fit, "audit")["hessian_eigenvalue"] / share
        np.testing.assert_allclose(ratio, 1, rtol=0.1)


def test_a_curve_through_the_data_has_no_noise():
    with pytest.raises(FitError, match="through the data to rounding"):
        audit(line, X, line(X, 1, 2), [1, 2], np.eye(2))
    with pytest.raises(FitError, match="do not tell a from b"):
        noise = np.random.default_rng(1).standard_normal(30)
        audit(lambda x, a, b: (a + b) * x, X, X + noise, [0.5, 0.5], np.eye(2))


def test_an_audit_travels_in_its_file(measured, tmp_path):
    y, popt, pcov = measured
    fit, _ = found(y, popt, 9 * pcov)
    path = bayesinf.save(fit, tmp_path / "audit.nc")
    again = bayesinf.load(path)
    assert verdict(again).to_dict() == verdict(fit).to_dict()
    assert again.attrs["answer"] == fit.attrs["answer"]
    # A posterior's file is asked whether its own mean and covariance may stand for its draws.
    of_file = audit(path)
    assert verdict(of_file).believed and not verdict(again).believed
    assert audit(again).attrs["answer"] == of_file.attrs["answer"]


def test_a_posterior_that_is_no_normal_is_told_from_its_draws(measured):
    def log_likelihood(s):
        return -0.5 * (np.log(s) / 0.7) ** 2

    model = LogDensity({"s": LogNormal(1.0, 3.0)}, log_likelihood, vectorised=True)
    fit = audit(bayesinf.fit(model, method="population", settings=SHORT))
    assert "shape" in failed(fit) and "log(s)" in fit.attrs["answer"]


@pytest.mark.slow
def test_a_pymc_model_at_its_map():
    import pymc as pm

    with pm.Model() as model:
        s = pm.HalfNormal("s", 5.0)
        pm.Normal("y", pm.Normal("m", 0.0, 10.0), s, observed=np.linspace(-2, 4, 40))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            top = pm.find_MAP(progressbar=False)
    fit = audit(model, settings=SHORT)
    note = noted(fit, "audit").sel(parameter=["s", "m"])
    np.testing.assert_allclose(note["mode"], [top["s"], top["m"]], rtol=1e-4)
    # Of the mean, whose posterior is a t of 40 points, the covariance may be used.
    assert float(note["sd"][1]) == pytest.approx(float(top["s"]) / np.sqrt(40), rel=0.02)
    stated = audit(model, popt=top, pcov=np.diag([9.0, 9.0]), settings=SHORT)
    assert "curvature" in failed(stated)


# --- bad input ------------------------------------------------------------------------------------

BAD = {
    "a curve alone": (lambda y: audit(line), "a curve alone"),
    "no fit": (lambda y: audit(7), "nothing to audit"),
    "a name": (lambda y: audit("nowhere.nc"), "no such file"),
    "another size": (lambda y: audit(line, X, y, [1, 2, 3], np.eye(3)), "other parameters"),
    "a covariance of others": (lambda y: audit(line, X, y, [1, 2], np.eye(3)), r"shape \(2, 2\)"),
    "no covariance": (lambda y: audit(line, X, y, [1, 2], [[1, 2], [3, 4]]), "not symmetric"),
    "no number": (lambda y: audit(line, X, y, [1, np.nan], np.eye(2)), "not all numbers"),
    "other data": (lambda y: audit(line, X, y[:5], [1, 2], np.eye(2)), "does not go with y"),
    "no error": (lambda y: audit(line, X, y, [1, 2], np.eye(2), -1.0), "above zero"),
    "sigma of others": (lambda y: audit(line, X, y, [1, 2], np.eye(2), np.ones(3)), "sigma"),
    "words": (lambda y: audit(line, X, ["a"] * len(y), [1, 2], np.eye(2)), "not all are numbers"),
    "words for sigma": (lambda y: audit(line, X, y, [1, 2], np.eye(2), ["a"]), "sigma: not all"),
    "nothing": (lambda y: audit(line, [], [], [1, 2], np.eye(2)), "y: no data"),
    "bounds": (
        lambda y: audit(line, X, y, [1, 2], np.eye(2), bounds=([0, 3], [9, 9])),
        "not within its bounds",
    ),
    "a curve that fails": (lambda y: audit(lambda x, a: x[a], X, y, [1.5], [[1]]), "curve fails"),
    "absolute without": (
        lambda y: audit(line, X, y, [1, 2], np.eye(2), absolute_sigma=True),
        "no error bars",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(measured, name):
    call, said = BAD[name]
    with pytest.raises(DataError, match=said) as caught:
        call(measured[0])
    assert "\n" not in str(caught.value)


def test_what_curve_fit_could_not_find_is_no_covariance(measured):
    y, popt, _ = measured
    fit, _ = found(y, popt, np.full((2, 2), np.inf))
    assert "matrix" in failed(fit) and "no covariance" in fit.attrs["answer"]


def test_a_fit_that_is_no_audit_has_no_verdict(measured):
    y, popt, pcov = measured
    fit, _ = found(y, popt, pcov)
    fit["constant_data"] = (
        fit["constant_data"]
        .to_dataset()
        .drop_vars(
            [n for n in fit["constant_data"].to_dataset().variables if str(n).startswith("audit.")]
        )
    )
    with pytest.raises(DataError, match="nothing was audited"):
        verdict(fit)


@pytest.mark.parametrize("scale", [1.0, 1e-10, 1e-20])
def test_the_unit_of_y_changes_no_answer(scale):
    t = np.linspace(0, 5, 30)
    y = scale * (10 * np.exp(-t) + 0.2 * np.random.default_rng(7).standard_normal(30))

    def decay(t, A, k):
        return A * np.exp(-k * t)

    sigma = np.full(30, 0.2 * scale)
    fitted = curve_fit(decay, t, y, (8 * scale, 0.8), sigma, absolute_sigma=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = audit(decay, t, y, *fitted, sigma)
    assert verdict(found).believed and instead(found)["k"] == "1.028 ± 0.023"

"""The audit's system: derivatives of its loss, its optimisers, its cases, what its page says."""

import numpy as np
import pytest

from bayesinf import audits, check
from bayesinf.errors import FitError
from bayesinf.posterior import noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems import laplace_audit as system
from bayesinf.systems.laplace_audit import optimisers
from bayesinf.systems.laplace_audit.data import NAMES

SHORT = Settings(draws=300, chains=4, prior_draws=20)
TRUTH = np.array([1.0, 0.25, 0.5, 0.0])


@pytest.fixture(scope="module")
def data():
    return system.simulate()


def test_the_loss_has_the_derivatives_that_differences_give(data):
    loss = optimisers.Loss(data)
    theta = TRUTH + np.array([0.1, -0.2, 0.15, 0.05])
    gradient, hessian = loss.derivatives(theta)
    h = 1e-4 * np.eye(4)
    slopes = [(loss(theta + e) - loss(theta - e)) / 2e-4 for e in h]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5)
    up, down = (np.stack([loss.derivatives(theta + s * e)[0] for e in h]) for s in (1, -1))
    np.testing.assert_allclose(hessian, (up - down) / 2e-4, rtol=1e-4, atol=1e-2)


def test_all_ways_down_end_at_one_place(data):
    loss = optimisers.Loss(data)
    ends = [
        optimisers.newton(loss, TRUTH),
        optimisers.levenberg_marquardt(loss, TRUTH)[0],
        optimisers.gradient_descent(loss, TRUTH, 5000, 1e-5),
    ]
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-6)
    np.testing.assert_allclose(ends[2], ends[0], atol=1e-6)


def test_the_textbooks_descent_is_told_to_have_stopped_too_early(data):
    fit = system.fit(data, optimiser="gradient-descent", start=system.START, settings=SHORT)
    judged = audits.verdict(fit)
    failed = {one.name for one in judged.checks if not one.passed}
    assert not judged.believed and {"slope", "Pareto k̂", "draws"} <= failed
    far = np.abs(noted(fit, "audit")["from_mode"])
    assert far.max() > 3 and "sd from the mode" in fit.attrs["answer"]
    assert check(fit).believed  # the draws that replace it are


@pytest.mark.parametrize("optimiser", ["levenberg-marquardt", "newton"])
def test_a_descent_to_the_end_may_be_used(data, optimiser):
    start = None if optimiser != "newton" else dict(zip(NAMES, TRUTH, strict=True))
    fit = system.fit(data, optimiser=optimiser, start=start, settings=SHORT)
    assert audits.verdict(fit).believed, fit.attrs["answer"]
    known = system.classical(data)
    assert float(known["mu"]) == pytest.approx(float(noted(fit, "audit")["mode"][1]), abs=1e-5)


def test_each_case_is_told_right():
    found = system.cases(SHORT)
    wrong = found["case"].values[~found["right"].values]
    assert not wrong.size, dict(zip(wrong, found["failed"].values, strict=False))
    answer = str(found["answer"].sel(case="absolute_sigma forgotten").values)
    assert "√χ²_red" in answer


def test_basins_know_the_mode_from_its_mirror_image(data):
    found = system.classical(data)
    mode = np.array([float(found[name]) for name in ("A", "mu", "sigma", "B")])
    sd = np.array([float(found[f"{name}_error"]) for name in ("A", "mu", "sigma", "B")])
    ends = system.basins(data, mode, sd, rate=1e-5, size=7)["end"]
    assert set(np.unique(ends)) <= set(range(len(optimisers.ENDS)))
    share = (ends == 0).mean(("mu_start", "sigma_start"))
    assert float(share.sel(optimiser="gradient descent")) > 0.5
    assert float(share.sel(optimiser="Levenberg–Marquardt")) > 0.3
    assert float(share.sel(optimiser="Newton")) < 0.2  # undamped, it needs a start nearby


def test_what_is_unknown_is_refused(data):
    for wrong in ({"optimiser": "simplex"}, {"method": "nuts"}):
        with pytest.raises(FitError, match="unknown"):
            system.fit(data, settings=SHORT, **wrong)
    with pytest.raises(FitError, match="diverged"):
        start = {**system.START, "A": 1e200}
        system.fit(data, optimiser="gradient-descent", start=start, rate=1e3, settings=SHORT)


def test_the_story_says_no_and_why(data):
    settings = DEFAULT.replace(draws=200, prior_draws=20)
    fit = system.fit(data, optimiser="gradient-descent", start=system.START, settings=settings)
    told = system.story({"stopped": fit})
    assert told.answer.title == "No" and "25 steps" in " ".join(told.answer.paragraphs)
    assert {section.title for section in told.extra} >= {"What was asked", "The peak"}

"""The width that the couplings share: its best value and a mixture over it, for both families."""

import numpy as np
import pytest
from scipy import integrate, optimize

from bayesinf.models import binary
from bayesinf.models.binary import logistic
from bayesinf.models.binary.couplings import named
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.models.binary.logistic.widths import LogisticWidths
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.widths import PairwiseWidths
from bayesinf.models.binary.widths import SPACING, Widths


def states(sites, samples, seed=6):
    """Sites whose next state follows a few of the present ones, ±1, one after the other."""
    rng = np.random.default_rng((seed, sites))
    J = rng.normal(0.0, 0.6, (sites, sites))
    rows = [np.ones(sites)]
    for _ in range(samples - 1):
        on = rng.random(sites) < 1 / (1 + np.exp(-2 * J @ rows[-1]))
        rows.append(np.where(on, 1.0, -1.0))
    return np.array(rows, dtype=np.int8)


def widths_of(family, sites=5, samples=250):
    prior = named("inferred", "±1")
    if family == "pairwise":
        return PairwiseWidths(Pairwise(binary.moments(states(sites, samples), "±1"), prior))
    steps = logistic.transitions(states(sites, samples), "±1")
    return LogisticWidths(Logistic(steps, prior))


both = pytest.mark.parametrize("family", ["pairwise", "logistic"])


def height(widths):
    """t = log τ -> log evidence there."""
    return lambda t: widths.evidence(widths.at_width(float(np.exp(t)), None))


@both
@pytest.mark.parametrize("sites", [4, 9])
def test_the_best_width_is_that_of_laplaces_evidence(family, sites):
    widths = widths_of(family, sites)
    evidence, centre = height(widths), widths.centre
    found = optimize.minimize_scalar(
        lambda t: -evidence(t), bounds=(centre - 2, centre + 2), method="bounded"
    )
    assert abs(found.x - centre) < 0.5 * widths.spread
    step = widths.spread
    bend = (2 * evidence(centre) - evidence(centre + step) - evidence(centre - step)) / step**2
    assert widths.spread == pytest.approx(bend**-0.5, rel=0.4)
    assert widths.at(2).scale == pytest.approx(np.exp(centre + 2 * SPACING))


@both
def test_without_evidence_the_slope_alone_leads_near_and_a_wrong_one_elsewhere(family, monkeypatch):
    right = widths_of(family)
    widths = widths_of(family)
    widths.has_evidence, widths.centre = False, right.centre + 2.0
    widths.find_best()
    assert abs(widths.centre - right.centre) < right.spread
    whole = Widths.slope

    def with_half_of_the_couplings(self, near, more=0.0):
        return whole(self, near, more + 0.5 * self.problem.couplings * near.scale**2)

    monkeypatch.setattr(Widths, "slope", with_half_of_the_couplings)
    widths.find_best()
    assert abs(widths.centre - right.centre) > right.spread


@both
def test_the_mixture_has_the_mean_and_spread_of_the_evidence(family):
    widths = widths_of(family)
    normals, log_share = widths.mixture(lambda near: near)
    assert np.exp(log_share).sum() == pytest.approx(1.0)
    t, share = np.log([near.scale for near in normals]), np.exp(log_share)
    grid = np.linspace(t.min(), t.max(), 60)
    evidence = height(widths)
    density = np.array([evidence(at) for at in grid])
    density = np.exp(density - density.max())
    area = integrate.trapezoid(density, grid)
    mean = integrate.trapezoid(density * grid, grid) / area
    sd = np.sqrt(integrate.trapezoid(density * (grid - mean) ** 2, grid) / area)
    assert share @ t == pytest.approx(mean, abs=0.1 * sd)
    assert np.sqrt(share @ (t - share @ t) ** 2) == pytest.approx(sd, rel=0.1)
    assert share.min() < 1e-3 * share.max()


def test_one_site_tells_nothing_of_the_width():
    widths = widths_of("pairwise", sites=1)
    normals, log_share = widths.mixture(lambda near: near)
    assert widths.spread == 0.0 and len(normals) == 1 and log_share.tolist() == [0.0]

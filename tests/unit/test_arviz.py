"""What a physicist does next with a file, in ArviZ: every call that the design names, on a file of
every family. ``make test-arviz`` does the same to the files in reports/."""

from functools import partial

import arviz
import h5netcdf
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from lmfit import models

import bayesinf
from bayesinf import posterior
from bayesinf.models import curve, gp, linear
from bayesinf.models.binary import logistic, pairwise
from bayesinf.posterior import load, save
from bayesinf.rounding import compact
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=4, tune=50, prior_draws=20)
RNG = np.random.default_rng(8)
T = np.linspace(0, 6, 24)
Y = 10 * np.exp(-T / 2) + 0.2 * RNG.normal(size=24)
X = RNG.normal(size=(24, 2))
STATES = RNG.choice([-1, 1], (60, 3))
DECAY = models.ExponentialModel()
FITS = {
    "linear": partial(linear.fit, X, X @ [1.0, -2.0] + 0.3 * RNG.normal(size=24)),
    "gp": partial(gp.fit, T, Y, 0.2, noise=0.1),
    "curve": partial(curve.fit, DECAY, DECAY.make_params(amplitude=8, decay=1), T, Y),
    "pairwise": partial(pairwise.fit, STATES, encoding="±1"),
    "logistic": partial(logistic.fit, STATES, encoding="±1"),
}


@pytest.fixture(scope="module", params=FITS)
def stored(request, tmp_path_factory):
    made = compact(FITS[request.param](settings=SHORT))
    path = save(made, tmp_path_factory.mktemp("arviz") / f"{request.param}.nc")
    tree = arviz.from_netcdf(path)
    # A pair has its sites beside its label, which ArviZ cannot stack with what has none.
    return tree.map_over_datasets(lambda group: group.reset_coords(drop=True)), load(path)


@pytest.mark.filterwarnings("ignore")  # ArviZ's own, on four hundred draws
def test_arviz_does_what_the_design_promises(stored):
    tree, ours = stored
    names = list(tree["posterior"].data_vars)
    assert len(tree["log_likelihood"].data_vars) == 1  # one default variable
    table = arviz.summary(tree)
    assert len(table) == sum(tree["posterior"][name][0, 0].size for name in names)
    assert np.isfinite(table["mean"].astype(float)).all()
    left_out = arviz.loo(tree, pointwise=True)
    assert left_out.elpd == pytest.approx(bayesinf.checks.loo(ours)["elpd"], abs=0.05)
    (kept,) = tree["log_likelihood"].data_vars.values()
    assert left_out.n_data_points == kept[0, 0].size
    compared = arviz.compare({"one": tree, "other": tree})
    assert set(compared.index) == {"one", "other"}
    sensitivity = arviz.psense_summary(tree, var_names=names[:1])
    assert len(sensitivity) == tree["posterior"][names[0]][0, 0].size
    assert arviz.extract(tree, num_samples=7).sizes["sample"] == 7
    assert set(tree["posterior"].to_dataset().data_vars) == set(names)
    arviz.plot_trace(tree, var_names=names[:1])
    arviz.plot_dist(tree, var_names=names[:1])
    (data, *_) = (name for name, v in tree["posterior_predictive"].data_vars.items() if v.ndim > 2)
    arviz.plot_ppc_dist(tree, var_names=[data], num_samples=5)
    plt.close("all")


def test_the_likelihood_of_all_data_is_kept(stored):
    _, ours = stored
    total = posterior.log_likelihood(ours)
    assert total.dims == ("chain", "draw") and np.isfinite(total).all()
    pointwise = ours["log_likelihood"].to_dataset().to_dataarray()
    own = pointwise.sum([dim for dim in pointwise.dims if dim not in ("chain", "draw")])
    same = np.allclose(own, total, rtol=1e-3)
    assert same == ("log_likelihood" not in ours["sample_stats"])


# --- files no larger than their use ---------------------------------------------------------------


def test_a_compact_fit_says_the_same():
    whole = linear.fit(X, Y, settings=Settings(draws=1000), intercept=True)
    thin = compact(whole)
    for name, variable in whole["posterior"].data_vars.items():
        sd = variable.std(("chain", "draw"))
        off = abs(thin["posterior"][name] - variable) / sd
        assert 0 < float(off.max()) <= 2.0**-8 + 1e-12
    assert (thin["posterior"]["sigma"] > 0).all()
    replicas = thin["posterior_predictive"]
    assert replicas.sizes["chain"] * replicas.sizes["draw"] == 248
    for group in ("observed_data", "constant_data"):
        assert thin[group].to_dataset().identical(whole[group].to_dataset())
    before, after = (bayesinf.check(fit) for fit in (whole, thin))
    assert [c.passed for c in before.checks] == [c.passed for c in after.checks]
    for one, other in zip(before.checks, after.checks, strict=True):
        assert other.value == pytest.approx(one.value, rel=0.02, abs=0.005), one.name
    one, other = (bayesinf.checks.loo(fit) for fit in (whole, thin))
    assert other["elpd"] == pytest.approx(one["elpd"], abs=0.01)
    assert other["pareto_k"] == pytest.approx(one["pareto_k"], abs=0.1)


def test_few_draws_far_off_take_no_digits_from_the_others():
    """One in twenty is a million sds away, and quantiles of the others stay."""
    draw = np.random.default_rng(3)
    near = 0.757 + 1e-6 * draw.standard_normal((4, 250))
    x = np.where(draw.random(near.shape) < 0.05, draw.random(near.shape), near)
    held = xr.Dataset({"x": (("chain", "draw"), x)})
    thin = compact(xr.DataTree.from_dict({"posterior": held}))["posterior"]["x"].values
    for level in (0.2, 0.5, 0.8):
        assert abs(np.quantile(thin, level) - np.quantile(x, level)) < 1e-7


def test_a_compact_fit_foretells_the_same_where_parameters_are_correlated():
    """A parabola far from its origin: a, b and c are known to a hundredth, their sum to a ten
    thousandth of that."""
    x = np.linspace(640, 660, 40)
    a, b, c = (np.array([1000, -3, 0.003]) + RNG.normal(size=(4, 500, 3)) @ _of_a_parabola(x)).T
    draws = {"a": a.T, "b": b.T, "c": c.T, "J": np.stack([a.T, a.T], -1)}
    whole = posterior.dataset(draws, {"J": ("site",)})
    thin = compact(xr.DataTree.from_dict({"posterior": whole}))["posterior"].to_dataset()
    place = xr.DataArray(x[::8], dims="x")
    before, after = (g["a"] + g["b"] * place + g["c"] * place**2 for g in (whole, thin))
    np.testing.assert_allclose(after.std(("chain", "draw")), before.std(("chain", "draw")), 0.01)
    assert not thin.identical(whole)
    np.testing.assert_array_equal(thin["J"][..., 0], thin["J"][..., 1])  # twins stay twins


def _of_a_parabola(x):
    """A factor of the covariance of the least-squares parabola through points at x."""
    triangle = np.linalg.qr(np.vander(x, 3, increasing=True), mode="r")
    return np.linalg.solve(triangle, np.eye(3)).T * 0.1


def test_what_is_equal_in_replicas_and_data_stays_so():
    replicas = RNG.poisson(4.0, (4, 250, 1)) / 7
    group = posterior.dataset(
        {"discrepancy": replicas, "discrepancy_observed": np.full_like(replicas, 4 / 7)},
        dict.fromkeys(("discrepancy", "discrepancy_observed"), ("statistic",)),
    )
    thin = compact(xr.DataTree.from_dict({"sample_stats": group}))["sample_stats"]
    assert not thin["discrepancy"].identical(group["discrepancy"])
    for compare in (np.equal, np.greater):
        np.testing.assert_array_equal(
            compare(thin["discrepancy"], thin["discrepancy_observed"]),
            compare(group["discrepancy"], group["discrepancy_observed"]),
        )


def test_whole_numbers_in_a_file_are_the_numbers_themselves(tmp_path):
    """Also where some are unknown, infinite, of wide range, or all zero."""
    even = np.round(RNG.normal(size=(4, 100, 5)) * 64) / 64
    kinds = {
        "even": even,
        "unknown": np.where(even > 2, np.nan, even),
        "infinite": np.where(even > 2, np.inf, even),
        "far": even + 2.0**20,
        "wide": even * 2.0 ** RNG.integers(-200, 200, 5),
        "zero": 0 * even,
    }
    tree = xr.DataTree.from_dict({"posterior": posterior.dataset(kinds, dict.fromkeys(kinds, "n"))})
    path = save(tree, tmp_path / "a.nc")
    xr.testing.assert_identical(posterior.opened(path), tree)
    with h5netcdf.File(path) as file:
        stored = {name: file[f"posterior/{name}"].dtype.str[1:] for name in kinds}
    assert [stored[name] for name in kinds] == ["i2", "i2", "f8", "i4", "f8", "i2"]


def test_a_compact_file_is_a_fifth(tmp_path):
    whole = linear.fit(X, Y, settings=Settings(draws=1000))
    sizes = [save(f, tmp_path / n).stat().st_size for n, f in (("a", whole), ("b", compact(whole)))]
    assert sizes[1] < sizes[0] / 5


def test_small_positive_draws_keep_their_size():
    draws = np.exp(RNG.normal(0, 6, (4, 200)))
    group = posterior.dataset({"scale": draws, "sparse": draws * (draws > 1), "whole": draws > 1})
    found = compact(xr.DataTree.from_dict({"posterior": group}))["posterior"]
    np.testing.assert_allclose(found["scale"], draws, rtol=2.0**-7)
    np.testing.assert_array_equal(found["sparse"] == 0, (draws <= 1) | (found["sparse"] == 0))
    np.testing.assert_array_equal(found["whole"], draws > 1)
    twice = compact(compact(xr.DataTree.from_dict({"posterior": group})))["posterior"]
    np.testing.assert_allclose(twice["scale"], found["scale"], rtol=2.0**-6)

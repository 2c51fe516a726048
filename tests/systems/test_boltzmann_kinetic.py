"""Spins out of equilibrium, against the exact transition matrix, brute force and refits."""

import itertools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesinf
from bayesinf.errors import DataError
from bayesinf.models.binary import convert_directed, logistic
from bayesinf.models.binary.couplings import held_by_prior
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems import boltzmann_kinetic as kinetic
from bayesinf.systems.boltzmann_kinetic import comparison, model
from bayesinf.systems.boltzmann_kinetic.calibration import VARIANTS
from bayesinf.systems.boltzmann_kinetic.statistics import Sums, blocks, held_out
from bayesinf.systems.boltzmann_kinetic.story import verdicts

DATA = Path(__file__).resolve().parents[2] / "data" / "boltzmann_kinetic"
MODELS = ("symmetric", "asymmetric")
SHORT = Settings(draws=100, chains=2, prior_draws=50, workers=1)


def rng(seed=1):
    return np.random.default_rng(seed)


# --- simulation -----------------------------------------------------------------------------------

H3 = np.array([0.3, -0.5, 0.1])
J3 = np.array([[0.4, -0.9, 0.2], [0.7, -0.3, 0.5], [-0.6, 1.1, 0.0]])
STATES = np.array(list(itertools.product((-1, 1), repeat=3)))


def transition_matrix(h, J):
    """P[a, b], from state a to state b, site by site as the definition has it."""
    matrix = np.ones((8, 8))
    for a, now in enumerate(STATES):
        for b, then in enumerate(STATES):
            for i in range(3):
                theta = h[i] + sum(J[i, j] * now[j] for j in range(3))
                matrix[a, b] *= np.exp(then[i] * theta) / (np.exp(theta) + np.exp(-theta))
    return matrix


def numbers(states):
    return ((states == 1) @ np.array([4, 2, 1])).astype(int)


@pytest.mark.parametrize("encoding", ["±1", "0/1"])
def test_one_step_follows_the_transition_matrix(encoding):
    count, exact = 20_000, transition_matrix(H3, J3)
    assert np.allclose(exact.sum(axis=1), 1)
    h, J = convert_directed(H3, J3, "±1", encoding)
    for a, now in enumerate(STATES):
        first = np.tile(now if encoding == "±1" else (now + 1) // 2, (count, 1))
        run = kinetic.evolve(h, J, first, 1, rng(a), encoding=encoding)
        assert run.dtype == np.int8 and np.array_equal(run[:, 0], first)
        share = np.bincount(numbers(run[:, 1]), minlength=8) / count
        error = np.sqrt(exact[a] * (1 - exact[a]) / count)
        assert np.all(np.abs(share - exact[a]) < 5 * error)


def test_the_stationary_distribution_is_that_of_the_matrix():
    """The last states of many runs are independent; the walk forgets its start within 60 steps."""
    count, steps, exact = 20_000, 60, transition_matrix(H3, J3)
    values, vectors = np.linalg.eig(exact.T)
    order = np.argsort(-np.abs(values))
    stationary = np.real(vectors[:, order[0]] / vectors[:, order[0]].sum())
    assert np.abs(values[order[1]]) ** steps < 1e-4
    first = np.ones((count, 3), np.int8)
    last = kinetic.evolve(H3, J3, first, steps, rng(), encoding="±1")[:, -1]
    share = np.bincount(numbers(last), minlength=8) / count
    assert np.all(np.abs(share - stationary) < 5 * np.sqrt(stationary * (1 - stationary) / count))
    # It is not the equilibrium of the symmetrised couplings, which a test should tell from it.
    energy = STATES @ H3 + 0.5 * np.einsum("ai,ij,aj->a", STATES, (J3 + J3.T) / 2, STATES)
    wrong = np.exp(energy) / np.exp(energy).sum()
    assert np.any(np.abs(share - wrong) > 10 * np.sqrt(wrong / count))


def test_each_step_is_of_the_state_before_it_across_chunks(monkeypatch):
    """Strong couplings copy the neighbour: a step that lost its state would show."""
    J = 50 * np.roll(np.eye(5), 1, axis=1)  # site i shows next what i + 1 shows now
    first = np.array([[1, -1, -1, 1, -1], [-1, 1, 1, -1, -1]], np.int8)
    monkeypatch.setattr("bayesinf.systems.boltzmann_kinetic.data.CHUNK", 30)
    run = kinetic.evolve(np.zeros(5), J, first, 23, rng(), encoding="±1")
    for t in range(24):
        assert np.array_equal(run[:, t], np.roll(first, -t, axis=1))


def test_simulated_populations_are_as_asked_for():
    plain = kinetic.simulate(6, 40, 3, width=2.0, field=(0.5, 0.1), start="ones", rng=rng())
    assert plain["states"].dims == ("repeat", "time", "site")
    assert plain["states"].shape == (3, 41, 6) and (plain["states"][:, 0] == 1).all()
    assert plain["states"].attrs["encoding"] == "±1"
    assert noted(plain, "truth")["J"].dims == ("target", "source")
    J = plain["truth.J"].values
    assert not np.allclose(J, J.T) and np.all(np.diag(J) != 0)
    other = kinetic.simulate(
        6, 40, 3, width=2.0, field=(0.5, 0.1), start="ones", rng=rng(), encoding="0/1"
    )
    assert np.array_equal(plain["states"], 2 * other["states"].values - 1)
    back = convert_directed(other["truth.h"].values, other["truth.J"].values, "0/1", "±1")
    assert np.allclose(back[0], plain["truth.h"]) and np.allclose(back[1], J)
    mirror = kinetic.simulate(6, 40, 3, asymmetry=0.0, self_coupling=False, rng=rng())
    mirror = mirror["truth.J"].values
    assert np.array_equal(mirror, mirror.T) and not np.diag(mirror).any()
    for symmetric in (True, False):
        wide = kinetic.simulate(60, 1, width=3.0, asymmetry=float(not symmetric), rng=rng())
        wide = wide["truth.J"].values
        above = wide[np.triu_indices(60)]
        assert abs(above.std() * np.sqrt(60) / 3 - 1) < 5 / np.sqrt(2 * above.size)
    for wrong in (
        {"sites": 0},
        {"steps": 0},
        {"width": -1.0},
        {"start": "zeros"},
        {"encoding": "up"},
    ):
        with pytest.raises(DataError):
            kinetic.simulate(**wrong)


def test_the_shipped_population_is_made_by_the_command_beside_it(tmp_path, monkeypatch):
    text = (DATA / "README.md").read_text()
    command = re.search(r'python -c "(.*?)"', text, re.DOTALL)[1]
    (tmp_path / "data/boltzmann_kinetic").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    exec(re.sub(r"\n    ", "\n", command), {})
    made = kinetic.read(tmp_path / "data/boltzmann_kinetic/population.nc")
    shipped = kinetic.read(DATA / "population.nc")
    xr.testing.assert_allclose(made, shipped)
    assert np.array_equal(made["states"], shipped["states"]) and "truth.J" in shipped


# --- reading --------------------------------------------------------------------------------------


def saved(path, states, **more):
    np.savez(path, states=states, **more)
    return path


def test_truth_is_read_in_the_encoding_that_is_asked_for(tmp_path):
    data = kinetic.simulate(4, 30, 2, field=(0.1, 0.3), rng=rng())
    states = data["states"].values.transpose(0, 2, 1)  # (repeat, site, time), as files have it
    truth = {"h": data["truth.h"].values, "J": data["truth.J"].values}
    path = saved(tmp_path / "run.npz", states, **truth)
    plain, other = kinetic.read(path), kinetic.read(path, encoding="0/1")
    assert np.array_equal(plain["states"], data["states"])
    assert np.allclose(plain["truth.J"], data["truth.J"])
    assert np.allclose(other["truth.J"], 4 * data["truth.J"])
    turned = kinetic.read(path, cells="3,1,0,2")
    order = [3, 1, 0, 2]
    assert np.allclose(turned["truth.J"], truth["J"][np.ix_(order, order)])
    assert "truth.J" not in kinetic.read(path, cells="3")
    data.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    xr.testing.assert_identical(kinetic.read(tmp_path / "run.nc")["truth.J"], plain["truth.J"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s[:, :1, :1], "too few rows"),
        (lambda s: s[:, :, :1], "more sites than times"),
        (lambda s: np.where(np.arange(s.shape[2]) == 7, np.nan, s), "repeat 0, time 7, site 0"),
        (lambda s: np.where(s == -1, 2, s), "neither ±1 nor 0/1"),
        (lambda s: np.where((s == -1) & (np.arange(s.shape[2]) > 9), 0, s), "beside −1"),
        (lambda s: s.transpose(0, 2, 1), "say the order of the axes"),
    ],
    ids=["one time", "one time of many sites", "NaN", "values", "mixed", "axes"],
)
def test_bad_states_are_refused(change, words, tmp_path):
    states = kinetic.simulate(4, 30, 2, rng=rng())["states"].values.transpose(0, 2, 1)
    with pytest.raises(DataError, match=words):
        kinetic.read(saved(tmp_path / "bad.npz", change(states.astype(float))))


def test_what_the_data_do_not_say_is_named():
    states = kinetic.simulate(5, 300, 1, rng=rng())["states"].values.copy()
    states[..., 2] = -1
    states[..., 4] = -states[..., 1]
    data = bayesinf.data.raster_from_arrays(states, axes="repeat,time,site")
    data = data.assign_coords(site=[10, 11, 12, 13, 14])
    said = model.remarks(kinetic.transitions(data))
    assert len(said) == 2
    assert "Site 12 is always -1" in said[0] and "prior" in said[0]
    assert "11 and 14 always agree, or never do" in said[1]
    few = kinetic.simulate(9, 8, 1, rng=rng())
    assert any(
        "8 transitions and 10 parameters" in s for s in model.remarks(kinetic.transitions(few))
    )
    rich = kinetic.simulate(5, 300, 1, rng=rng())
    assert model.remarks(kinetic.transitions(rich)) == []


def test_a_constant_site_and_too_few_transitions_can_be_fitted():
    states = kinetic.simulate(4, 200, 2, rng=rng())["states"].values.copy()
    states[..., 2] = 1
    data = bayesinf.data.raster_from_arrays(states, axes="repeat,time,site")
    fit = kinetic.fit(data, method="laplace", prior="normal", settings=SHORT)
    held = held_by_prior(fit)
    varying = [0, 1, 3]
    assert not held[np.ix_(varying, varying)].any()
    assert json.loads(fit.attrs["remarks"])
    best = kinetic.classical(data)
    assert "newton_J" not in best and "2" in str(best["message"].values)
    assert np.all(np.isfinite(best["descent_J"]))
    few = kinetic.fit(
        kinetic.simulate(6, 4, 1, rng=rng()), prior="normal", method="laplace", settings=SHORT
    )
    assert held_by_prior(few).sum() > held_by_prior(fit).sum()


# --- statistics -----------------------------------------------------------------------------------


def brute(states):
    """Means and connected correlations by loops over repeats and times; a seam is no step."""
    pairs = [(run[t], run[t + 1]) for run in states for t in range(len(run) - 1)]
    now, then = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    sites = then.shape[1]
    equal, delayed = np.empty((2, sites, sites))
    for i in range(sites):
        for j in range(sites):
            equal[i, j] = np.mean(then[:, i] * then[:, j]) - then[:, i].mean() * then[:, j].mean()
            delayed[i, j] = np.mean(then[:, i] * now[:, j]) - then[:, i].mean() * now[:, j].mean()
    population = [np.mean(np.sum(then == 1, axis=1) == k) for k in range(sites + 1)]
    return then.mean(axis=0), equal, delayed, population


def summed(data, pieces=True):
    steps = kinetic.transitions(data)
    block = blocks(steps.repeat) if pieces else None
    return Sums.of(steps.now, steps.next, steps.encoding, block)


@pytest.mark.parametrize("encoding", ["±1", "0/1"])
@pytest.mark.parametrize("pieces", [True, False])
def test_statistics_are_those_of_loops_and_stop_at_seams(encoding, pieces):
    data = kinetic.simulate(4, 6, 9, width=2.0, encoding=encoding, rng=rng())
    found = summed(data, pieces).statistics()
    mean, equal, delayed, population = brute(data["states"].values)
    assert np.allclose(found.mean, mean) and np.allclose(found.population, population)
    assert np.allclose(found.equal, equal) and np.allclose(found.delayed, delayed)
    across = brute(data["states"].values.reshape(1, -1, 4))[2]
    assert not np.allclose(found.delayed, across, atol=1e-3)


def test_standard_errors_are_those_of_repeated_data():
    """Of the same population run anew: the spread of its statistics is what the jackknife says."""
    truth = kinetic.simulate(4, 1, 1, width=1.5, rng=rng(3))
    h, J, draw = truth["truth.h"].values, truth["truth.J"].values, rng(4)
    found, errors = [], []
    for _ in range(200):
        first = draw.choice(np.array([-1, 1], np.int8), (1, 4))
        run = kinetic.evolve(h, J, first, 800, draw, encoding="±1")[0]
        sums = Sums.of(run[:-1], run[1:], "±1", blocks(np.zeros(800, int)))
        found.append(sums.statistics())
        errors.append(sums.errors())
    for name in ("mean", "equal", "delayed", "population"):
        spread = np.std([getattr(one, name) for one in found], axis=0)
        said = np.sqrt(np.mean([getattr(one, name) ** 2 for one in errors], axis=0))
        if name == "equal":  # on its diagonal m (1 − m) has no slope at m = 1/2
            said, spread = (part[np.triu_indices(4, 1)] for part in (said, spread))
        # The sd of 200 values is known to 5 %; blocks of 40 steps lose some correlation.
        assert np.allclose(said, spread, rtol=0.35), name
    with pytest.raises(DataError, match="one block"):
        Sums.of(run[:-1], run[1:], "±1").errors()


def test_weights_count_blocks_as_often_as_they_say():
    data = kinetic.simulate(3, 40, 25, rng=rng())
    sums = summed(data)
    assert len(sums.count) == 25
    weight = np.zeros(25)
    weight[[3, 7]] = 2, 1
    twice = data.isel(repeat=[3, 3, 7])
    expected = brute(twice["states"].values)
    found = sums.statistics(weight)
    assert np.allclose(found.mean, expected[0]) and np.allclose(found.delayed, expected[2])
    assert np.allclose(sums.delayed_of(weight), expected[2])
    assert np.allclose(sums.take([3, 7]).statistics([2, 1]).equal, expected[1])
    with pytest.raises(DataError):
        sums.statistics(np.zeros(25))


def test_correlations_of_different_encodings_are_not_compared():
    one, other = (
        summed(kinetic.simulate(3, 50, encoding=e, rng=rng())).statistics() for e in ("±1", "0/1")
    )
    assert np.allclose(one.delayed, 4 * other.delayed)
    with pytest.raises(DataError, match="different encodings"):
        one.distance(other)


@pytest.mark.parametrize("repeats", [1, 3, 8, 20, 40])
def test_blocks_are_pieces_of_repeats_and_a_fifth_is_held_out(repeats):
    repeat = np.repeat(np.arange(repeats), 50)
    block = blocks(repeat)
    assert np.all(np.diff(block) >= 0) and set(block) == set(range(block[-1] + 1))
    assert len(set(zip(block, repeat, strict=True))) == block[-1] + 1 >= 20
    assert block[-1] + 1 == (repeats if repeats >= 20 else -(-20 // repeats) * repeats)
    out = held_out(repeat)
    assert 0.15 <= out.mean() <= 0.25
    whole = [out[repeat == r].all() or not out[repeat == r].any() for r in range(repeats)]
    assert all(whole) == (repeats >= 5)


def test_too_few_transitions_are_not_split():
    few, enough = (kinetic.simulate(3, times, 2, rng=rng()) for times in (4, 5))
    assert kinetic.split(kinetic.transitions(few)) is None
    assert kinetic.split(kinetic.transitions(enough)).sum() == 2


@pytest.mark.parametrize("encoding", ["±1", "0/1"])
def test_one_step_ahead_is_the_expectation_of_each_step(encoding):
    data = kinetic.simulate(4, 60, 2, encoding=encoding, rng=rng())
    steps = kinetic.transitions(data)
    h, J = 0.3 * rng(2).standard_normal(4), 0.5 * rng(3).standard_normal((4, 4))
    found = Sums.ahead(steps.now, h, J, encoding, rng(4)).statistics()
    theta = h + steps.now @ J.T
    chance = 1 / (1 + np.exp(-(2 if encoding == "±1" else 1) * theta))
    span = 2 if encoding == "±1" else 1
    expected, now = span * chance, steps.now.astype(float)
    mean = expected.mean(axis=0)
    delayed = expected.T @ now / len(now) - np.outer(mean, now.mean(axis=0))
    assert np.allclose(found.mean, mean - (span - 1), atol=1e-5)
    assert np.allclose(found.delayed, delayed, atol=1e-5)
    equal = expected.T @ expected / len(now) - np.outer(mean, mean)
    np.fill_diagonal(equal, mean * (span - mean))
    assert np.allclose(found.equal, equal, atol=1e-5)
    assert np.isclose(found.population.sum(), 1)


def test_maximum_likelihood_meets_the_delayed_correlations_one_step_ahead():
    """The equations of its optimum: ⟨s_i(t+1) s_j(t)⟩ and ⟨s_i(t+1)⟩ of model and data agree."""
    data = kinetic.simulate(5, 300, 2, rng=rng())
    steps = kinetic.transitions(data)
    best = kinetic.classical(data)
    h, J = best["newton_h"].values, best["newton_J"].values
    found = Sums.ahead(steps.now, h, J, "±1", rng()).statistics()
    seen = summed(data).statistics()
    assert np.allclose(found.delayed, seen.delayed, atol=1e-5)
    mirror = kinetic.classical(data, symmetric=True)
    h, J = mirror["newton_h"].values, mirror["newton_J"].values
    other = Sums.ahead(steps.now, h, J, "±1", rng()).statistics()
    assert np.abs(other.delayed - seen.delayed).max() > 0.05


# --- the classical answer -------------------------------------------------------------------------


@pytest.mark.parametrize("symmetric", [True, False])
def test_newton_is_at_the_top_and_the_descent_on_its_way(symmetric):
    data = kinetic.simulate(5, 400, 2, width=1.5, asymmetry=float(not symmetric), rng=rng())
    steps = kinetic.transitions(data)
    found = kinetic.classical(data, symmetric=symmetric)
    assert found["gradient"] <= 1e-8 and found.sizes["iteration"] == 151
    path = found["log_likelihood"].values
    assert np.all(np.diff(path) > 0) and path[-1] < float(found["top"])
    assert np.isclose(path[0], -len(steps) * 5 * np.log(2))
    h, J = found["newton_h"].values, found["newton_J"].values
    assert np.isclose(logistic.log_likelihood(steps, h, J).sum(), found["top"])
    assert np.allclose(J, J.T) == symmetric
    error = np.abs(J - data["truth.J"].values)
    assert error.max() < 0.5
    # One step of the descent is η times the mean slope, by differences of the log likelihood.
    first = kinetic.classical(data, symmetric=symmetric, iterations=1)
    for k in range(5):
        up, down = np.zeros((2, 5))
        up[k], down[k] = 1e-4, -1e-4
        slope = (
            np.subtract(
                *(
                    logistic.log_likelihood(steps, part, np.zeros((5, 5))).sum()
                    for part in (up, down)
                )
            )
            / 2e-4
        )
        assert np.isclose(first["descent_h"][k], 0.1 * slope / len(steps), rtol=1e-5)


# --- models compared ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged():
    """Whether the truth is symmetric to data and fits, judged, as the workflow has them."""

    def make(symmetric):
        data = kinetic.simulate(
            6, 200, 10, width=1.2, asymmetry=float(not symmetric), field=(-0.2, 0.2), rng=rng(7)
        )
        steps = kinetic.transitions(data)
        unseen = kinetic.split(steps)
        options = {"method": "laplace", "settings": SHORT.replace(draws=200)}
        fits = {
            name: kinetic.fit(data, symmetric=name == "symmetric", **options) for name in MODELS
        }
        options["encoding"] = "±1"
        refits = {
            name: logistic.fit(steps.take(~unseen), symmetric=name == "symmetric", **options)
            for name in MODELS
        }
        fits = kinetic.with_classical(fits, data)
        return data, kinetic.compared(fits, data, refits, settings=SHORT), refits

    return {symmetric: make(symmetric) for symmetric in (True, False)}


def test_the_transitions_prefer_the_model_that_made_them(judged):
    for symmetric, (_, fits, _) in judged.items():
        found = noted(fits["asymmetric"], "comparison").sel(model="asymmetric")
        z = (found["difference"] / found["se"]).values
        assert np.all(z < 2) if symmetric else np.all(z > 5)
        assert list(found["score"].values) == ["PSIS-LOO", "held out"]
        assert found["pareto_k"] < 0.7 and found["influential"] == 0
        said = verdicts(noted(fits["asymmetric"], "comparison"))
        assert all("predicts better" in s for s in said) == (not symmetric)


def test_a_model_that_scores_worse_than_its_special_case_is_told_of():
    table = lambda difference: xr.Dataset(
        {
            "difference": (("model", "score"), [[0.0], [difference]]),
            "se": (("model", "score"), [[0.0], [3.0]]),
            "transitions": ("score", [100]),
        },
        {"model": list(MODELS), "score": ["PSIS-LOO"]},
    )
    words = {
        7.0: "predicts better",
        2.0: "not told apart",
        -2.0: "not told apart",
        -4.0: "although it holds the symmetric one as a special case",
    }
    for difference, expected in words.items():
        (said,) = verdicts(table(difference))
        assert expected in said


def test_the_delayed_correlations_tell_which_model_is_nearer(judged):
    _, fits, _ = judged[False]
    one, other = (noted(fits[name], "error") for name in ("asymmetric", "symmetric"))
    compared = kinetic.better(one, other)
    assert np.all(compared["probability"] == 1) and np.all(compared["difference"] > 0)
    assert np.allclose(kinetic.better(one, one)["probability"], 0.5)
    # On data that it has not seen a true model is off by the sampling error of the data.
    held = one["error"].sel(set="held out").values
    assert np.all((held > 0.5) & (held < 1.7))
    assert np.all(one["error"].sel(set="all data").values < 1)
    # The noise of data that were held out is in both errors, and not in their difference.
    assert np.all(compared["difference"] > 3 * compared["se"])
    assert np.all((other["error"] > 2 * one["error"]).sel(set="all data"))
    _, fits, _ = judged[True]
    one, other = (noted(fits[name], "error") for name in ("asymmetric", "symmetric"))
    near = other["error"].sel(set="held out").values
    assert np.all((near > 0.5) & (near < 1.7))


def test_what_is_said_of_held_out_data_is_of_fits_without_them(judged):
    data, fits, refits = judged[False]
    steps = kinetic.transitions(data)
    unseen = kinetic.split(steps)
    far = summed(data).take(np.unique(blocks(steps.repeat)[unseen])).statistics()
    for name in MODELS:
        found = noted(fits[name], "error").sel(set="held out")
        for source, same in ((refits, True), (fits, False)):
            again = kinetic.reproduce(source[name], steps, settings=SHORT)["delayed"].values
            error = np.sqrt(np.mean((again - far.delayed) ** 2, axis=(1, 2))) / float(found["unit"])
            assert np.allclose(error, found["error"], rtol=1e-9) == same


def test_the_held_out_score_is_that_of_loops(judged):
    data, fits, refits = judged[False]
    steps = kinetic.transitions(data)
    unseen = kinetic.split(steps)
    found = noted(fits["asymmetric"], "comparison").sel(score="held out")
    for name, refit in refits.items():
        h, J = (refit["posterior"][n].values for n in ("h", "J"))
        h, J = h.reshape(-1, 6)[::2], J.reshape(-1, 6, 6)[::2]
        now, then = steps.now[unseen].astype(float), steps.next[unseen].astype(float)
        theta = h[:, None] + np.einsum("kij,tj->kti", J, now)
        chance = np.exp(np.sum(then * theta - np.log(2 * np.cosh(theta)), axis=2)).mean(axis=0)
        # Every second draw here, another half there: they agree to what so few draws allow.
        assert abs(np.log(chance).sum() - float(found["elpd"].sel(model=name))) < 3
    assert int(found["transitions"]) == unseen.sum()


def test_leave_one_out_is_that_of_refits():
    """Of few transitions, each left out in turn, refitted exactly."""
    data = kinetic.simulate(3, 30, 1, rng=rng(3))
    steps = kinetic.transitions(data)
    options = {
        "prior": "normal",
        "method": "laplace",
        "settings": Settings(draws=500, chains=2, prior_draws=20, workers=1),
    }
    fit = kinetic.fit(data, **options)
    found = comparison._left_out(fit, steps)
    assert np.array_equal(found["which"], np.arange(30))
    exact = []
    for t in range(0, 30, 6):
        kept = np.arange(30) != t
        refit = logistic.fit(steps.take(kept), encoding="±1", **options)
        exact.append(comparison._predictive(refit, steps.take(~kept), most=4000)[0])
    assert np.allclose(found["exact"][::6], exact, atol=0.2)
    assert np.std(exact) > 0.5


def test_a_part_of_the_transitions_speaks_for_all_with_its_error():
    """The difference estimator covers the whole sum as often as its standard error says."""
    draw, total = rng(5), 2000
    block = np.repeat(np.arange(20), 100)
    rough = draw.normal(-3, 1, total)
    exact = rough - 0.2 + 0.1 * draw.standard_normal(total)
    other_rough = rough + draw.normal(0.05, 0.3, total)
    other = other_rough - 0.3 + 0.1 * draw.standard_normal(total)
    z = []
    for _ in range(300):
        which = np.sort(draw.choice(total, 200, replace=False))
        elpd, difference, se = comparison._estimated(
            [rough, other_rough], [exact[which], other[which]], which, block
        )
        part = total**2 / 200 * 0.9 * np.var((other - other_rough - exact + rough)[which])
        z.append((difference[1] - (other - exact).sum()) / np.sqrt(part))
        assert se[1] ** 2 > part and se[0] == 0 and difference[0] == 0
    assert abs(np.mean(z)) < 5 / np.sqrt(300) and 0.8 < np.std(z) < 1.25
    everything = np.arange(total)
    elpd, difference, se = comparison._estimated(
        [rough, other_rough], [exact, other], everything, block
    )
    assert np.isclose(elpd[0], exact.sum()) and np.isclose(difference[1], (other - exact).sum())
    naive = np.sqrt(total) * np.std(other - exact)
    assert 0.5 * naive < se[1] < 2 * naive
    # Blocks that go together: the error is that of their number, not of all transitions.
    together = np.repeat(draw.standard_normal(20), 100)
    drawn = [0 * rough, together]
    _, _, se = comparison._estimated(drawn, drawn, everything, block)
    assert np.isclose(se[1], 100 * np.sqrt(20) * together.std() * np.sqrt(20 / 19))


def test_runs_of_the_truth_are_as_far_off_as_the_data_from_themselves():
    """Free running and one step ahead from many copies of the truth, on data that it made."""
    data = kinetic.simulate(6, 200, 20, rng=rng(11))
    fit = kinetic.fit(data, method="laplace", settings=SHORT.replace(draws=30))
    draws = fit["posterior"].to_dataset()
    draws["h"], draws["J"] = (xr.zeros_like(draws[n]) + noted(data, "truth")[n] for n in ("h", "J"))
    fit["posterior"] = xr.DataTree(draws)
    predicted = kinetic.reproduce(fit, kinetic.transitions(data), settings=SHORT)
    seen = summed(data)
    found = comparison.errors({"all data": predicted}, seen, None, rng())
    assert np.all(np.abs(found["error"].values - 1) < 0.35)
    z = (predicted["mean"] - seen.statistics().mean)[0] / predicted["mean_sd"][0]
    assert np.abs(z).max() < 5
    perfect = predicted.copy()
    perfect["delayed"] = perfect["delayed"].copy(data=np.stack(2 * [seen.statistics().delayed]))
    none = comparison.errors({"all data": perfect}, seen, None, rng())
    assert np.allclose(none["error"], 0) and np.all(none["squared"].mean("resample") > 0.5)


def test_predictions_do_not_depend_on_the_workers():
    data = kinetic.simulate(4, 60, 3, rng=rng())
    fit = kinetic.fit(data, method="laplace", settings=SHORT)
    steps = kinetic.transitions(data)
    one, two = (
        kinetic.reproduce(fit, steps, draws=8, settings=SHORT.replace(workers=w)) for w in (1, 2)
    )
    xr.testing.assert_identical(one, two)


# --- the posterior --------------------------------------------------------------------------------


def test_the_posterior_mean_beats_maximum_likelihood():
    """The benchmark of the literature in small: shrinkage that is inferred halves the error."""
    data = kinetic.simulate(20, 300, 1, width=3.0, start="ones", rng=rng(2))
    fit = kinetic.fit(data, method="laplace", settings=SHORT)
    truth = data["truth.J"].values
    mean = fit["posterior"]["J"].mean(("chain", "draw")).values
    best = kinetic.classical(data)["newton_J"].values
    assert np.mean((mean - truth) ** 2) < 0.5 * np.mean((best - truth) ** 2)
    width = fit["posterior"]["scale"].values * np.sqrt(20)
    assert abs(width.mean() - 3.0) < 5 * width.std()


@pytest.mark.parametrize("variant", VARIANTS)
def test_calibration_problems_can_be_fitted(variant):
    problem = kinetic.calibration_problem(variant)
    truth, data = problem.simulate(rng())
    again, _ = problem.simulate(rng())
    assert all(np.array_equal(truth[n], again[n]) for n in truth)
    steps = kinetic.transitions(data)
    assert 190 <= len(steps) <= 2000 and steps.sites == 5
    assert np.array_equal(truth["J"], truth["J"].T) == (variant == "symmetric")
    fit = problem.fit(data, problem.settings.replace(seed=3, workers=1))
    assert set(truth) <= set(fit["posterior"].data_vars)
    expected = logistic.log_likelihood(steps, truth["h"], truth["J"]).sum()
    assert np.isclose(problem.log_likelihood(truth, data), expected)
    stored = fit["log_likelihood"]["states"].sum("transition")
    assert abs(float(stored.mean()) - expected) < 40  # about half the 30 parameters, and noise


def test_calibration_draws_couplings_of_the_width_that_it_says():
    for variant in ("asymmetric", "symmetric"):
        problem, draw = kinetic.calibration_problem(variant), rng()
        truths = [problem.simulate(draw)[0] for _ in range(20)]
        unit = np.array([truth["J"][np.triu_indices(5)] / truth["scale"] for truth in truths])
        assert abs(unit.std() - 1) < 5 / np.sqrt(2 * unit.size)
        assert np.ptp([truth["scale"] for truth in truths]) > 0.2


def test_an_unknown_variant_is_refused():
    with pytest.raises(DataError, match="asymmetric"):
        kinetic.calibration_problem("tilted")


def test_large_data_get_laplace_and_few_draws():
    settings = Settings()
    small = kinetic.simulate(4, 50, rng=rng())
    assert kinetic.plan(small, None, settings) == ("mcmc", settings, "")
    states = np.zeros((1, 20_001, 100), np.int8)
    big = bayesinf.data.raster_from_arrays(states, axes="repeat,time,site", encoding="0/1")
    method, kept, said = kinetic.plan(big, None, settings)
    assert method == "laplace" and kept.draws * 4 * 100**2 * 8 <= 30e6
    assert "Laplace" in said and f"{4 * kept.draws} draws" in said
    assert kinetic.plan(big, "mcmc", settings, exact=True)[:2] == ("mcmc", settings)
    few = settings.replace(draws=50)
    assert [kinetic.plan(small, *a)[1].draws for a in ((None, few), ("laplace", few))] == [500, 50]
    assert kinetic.plan(small, None, few, exact=True)[1].draws == 50


def test_a_part_of_the_data_is_fitted_from_where_all_have_led():
    data = kinetic.simulate(6, 300, 10, width=1.0, field=(-0.2, 0.2), rng=rng(9))
    steps = kinetic.transitions(data)
    part = steps.take(~kinetic.split(steps))
    for symmetric in (False, True):
        fit = kinetic.fit(data, symmetric=symmetric, method="laplace", settings=SHORT)
        again = model.refitted(fit, part, SHORT)["posterior"]
        asked = {"symmetric": symmetric, "method": "laplace", "prior": model.at_width(fit)}
        asked |= {"encoding": "±1", "settings": SHORT.replace(draws=500)}
        whole = logistic.fit(part, **asked)["posterior"]
        assert again.sizes["chain"] * again.sizes["draw"] == 40
        assert np.array_equal(again["J"], np.swapaxes(again["J"], 2, 3)) == symmetric
        for name in ("h", "J"):
            mean, sd = (getattr(whole[name], m)(("chain", "draw")).values for m in ("mean", "std"))
            away = (again[name].mean(("chain", "draw")).values - mean) / sd
            assert np.abs(away).max() < 5 * np.sqrt(1 / 40 + 1 / 1000) + 0.15
            assert 0.75 < np.mean(again[name].std(("chain", "draw")).values / sd) < 1.25
        # All of the data, which this has not seen, say something else.
        both = fit["posterior"]["J"].mean(("chain", "draw")).values
        far = (whole["J"].mean(("chain", "draw")).values - both) / whole["J"].std().values
        assert np.abs(far).max() > 0.05


def test_long_fits_say_what_they_took(judged, monkeypatch):
    _, fits, _ = judged[True]
    assert all(fit.attrs["peak_memory_bytes"] > 5e7 for fit in fits.values())
    said = lambda: " ".join(kinetic.story(fits).numbers.paragraphs)
    assert "The fits took" not in said()
    monkeypatch.setattr(sys.modules["bayesinf.systems.boltzmann_kinetic.story"], "LONG", 0.0)
    most = max(fit.attrs["peak_memory_bytes"] for fit in fits.values()) / 1e9
    assert f"no more than {most:.1f} GB" in said()


# --- figures and story ----------------------------------------------------------------------------


@pytest.mark.slow
def test_figures_and_story_are_made_from_files_alone(judged, tmp_path):
    _, fits, _ = judged[False]
    for name, fit in fits.items():
        bayesinf.save(fit, tmp_path / f"{name}.nc")
        for group in fit.children.values():
            assert all("units" in v.attrs and v.size for v in group.data_vars.values())
    read = {name: bayesinf.load(tmp_path / f"{name}.nc") for name in MODELS}
    told = kinetic.story(read)
    assert told.best == "asymmetric"
    assert told.answer.paragraphs[0].startswith("The couplings are not symmetric")
    assert "above 0.999" in told.answer.paragraphs[1]
    assert told.answer.paragraphs[1].count("the asymmetric model captures them better") == 2
    sections = told.answer, told.numbers, told.predictive, told.classical, told.priors
    for section in sections:
        words = [*section.paragraphs, *(t.caption for t in section.tables)]
        words += [str(cell) for t in section.tables for cell in t.frame.to_numpy().ravel()]
        assert "nan" not in re.findall(r"\w+", " ".join(words).lower())
    pictures = {picture.name: picture.figure for part in sections for picture in part.pictures}
    assert {
        "delayed",
        "couplings",
        "classical",
        "statistics_running_freely",
        "statistics_one_step_ahead",
        "prior_posterior",
    } <= set(pictures)
    for name, figure in pictures.items():
        figure.savefig(tmp_path / f"{name}.png")
        shown = [axis for axis in figure.axes if axis.axison]
        assert all(axis.lines or axis.patches or axis.collections for axis in shown), name


def test_it_is_said_where_the_nearer_of_two_models_is_far_off_too(judged):
    _, fits, _ = judged[False]
    assert "neither" not in kinetic.story(fits).answer.paragraphs[1]
    far = {}
    for name, fit in fits.items():
        constants = fit["constant_data"].to_dataset()
        constants["error.error"] = 100 * constants["error.error"]
        far[name] = fit.copy()
        far[name]["constant_data"] = xr.DataTree(constants)
    seen = noted(fits["asymmetric"], "observed")["population"].sel(part="all").values
    said = kinetic.story(far).answer.paragraphs[1]
    assert "neither brings the data about" in said
    assert f"{seen @ np.arange(7):.3g} in the data" in said


def test_a_site_alone_is_drawn_without_couplings_between_sites():
    data = kinetic.simulate(1, 60, 1, rng=rng())
    fits, _ = kinetic.fit_both(data, method="laplace", settings=SHORT)
    _, right = kinetic.figures.couplings(fits).axes
    assert not right.patches and [line.get_xdata().size for line in right.lines] == [1, 1]


def test_the_story_can_do_without_truth_a_top_or_a_rest(tmp_path):
    """Data with a constant site and too few transitions to hold any out."""
    states = kinetic.simulate(3, 8, 1, rng=rng())["states"].values.copy()
    states[..., 1] = -1
    data = bayesinf.data.raster_from_arrays(states, axes="repeat,time,site")
    fits, refits = kinetic.fit_both(data, method="laplace", settings=SHORT, self_coupling=False)
    assert list(fits) == list(MODELS) and refits == {}
    fits = kinetic.with_classical(fits, data)
    told = kinetic.story(kinetic.compared(fits, data, refits, settings=SHORT))
    assert "Site 1 is always -1" in " ".join(told.answer.paragraphs)
    assert "no answer here" in told.classical.paragraphs[0]
    assert "hardly constrain" in " ".join(told.priors.paragraphs)
    for section in (told.answer, told.numbers, told.predictive, told.classical, told.priors):
        for picture in section.pictures:
            picture.figure.savefig(tmp_path / "figure.png")


# --- what a fit answers for of transitions that it has not seen -----------------------------------


def test_a_posterior_that_is_too_sure_does_not_foretell_what_it_has_not_seen():
    """At the law that made the data the score is what it expects; at thrice its couplings below."""
    data = kinetic.simulate(4, 200, 3, rng=rng(2))
    steps, truth = kinetic.transitions(data), noted(data, "truth")
    scores = []
    for factor in (1, 3):
        draws = {
            "h": (("chain", "draw", "site"), np.tile(truth["h"].values, (2, 30, 1))),
            "J": (
                ("chain", "draw", "target", "source"),
                np.tile(factor * truth["J"].values, (2, 30, 1, 1)),
            ),
        }
        refit = xr.DataTree.from_dict({"posterior": xr.Dataset(draws)})
        question, z = comparison.foretold(refit, steps)
        assert question.required and "600 transitions" in question.said
        scores.append(z)
    assert abs(scores[0]) < 3.1 and scores[1] < -10


@pytest.mark.parametrize(
    ("difference", "best"), [(9, "asymmetric"), (-2, "asymmetric"), (-4, "symmetric")]
)
def test_the_symmetric_model_answers_only_where_freedom_costs_more_than_it_brings(difference, best):
    from bayesinf.systems.boltzmann_kinetic.story import answering

    table = xr.Dataset(
        {
            "difference": (("model", "score"), [[0.0], [difference]]),
            "se": (("model", "score"), [[0.0], [3.0]]),
        },
        {"model": list(MODELS), "score": ["PSIS-LOO"]},
    )
    assert answering(table) == best


@pytest.mark.parametrize(
    ("fault", "statistic"),
    [
        ("memory of two steps", "largest residual after the state before"),
    ],
)
def test_a_law_that_is_not_the_model_s_is_named_by_its_statistic(fault, statistic):
    verdict = bayesinf.check(kinetic.faults()[fault](rng(1)))
    (failed,) = (c for c in verdict.checks if c.name == "predictive p")
    assert not failed.passed and statistic in failed.message

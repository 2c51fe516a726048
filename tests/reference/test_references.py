"""Posteriors with known answers: files are what their generator makes, and methods meet them."""

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "data" / "references").glob("*.json"))


@cache
def scripts():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import references
        from posteriors import marginals
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return marginals, references


def test_every_problem_has_its_file_of_a_few_kilobytes():
    names = {path.stem for path in FILES}
    assert len(names) >= 15 and names == set(scripts()[1].PROBLEMS)
    for path in FILES:
        known = json.loads(path.read_text())
        assert path.stat().st_size < 8_000 and known["how"] and known["words"]
        for one in known["marginals"].values():
            assert one["sd"] > 0 and len(one["quantiles"]) == len(known["p"])
            assert (np.diff(one["quantiles"]) > 0).all()
            assert one["mean_error"] < 0.02 * one["sd"] > one["sd_error"]


QUICK = ["line", "line_noise", "weights", "rate", "efficiency", "lifetime", "two_modes", "place"]
SLOW = [path.stem for path in FILES if path.stem not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_files_are_what_their_generator_makes(name, capsys):
    (found,) = scripts()[1].made(name).values()
    # The long run is one of the same seed, to the rounding of other machines' sums.
    assert found["off"] < (0.02 if name == "three_spins" else 1e-4)


def test_a_grid_gives_the_closed_form():
    grid = scripts()[0].by_grid(
        lambda a, b: -0.5 * (a - 1) ** 2 / 4 - b + 2 * np.log(b),
        {"a": np.linspace(-19, 21, 801), "b": np.linspace(1e-3, 50, 4001)},
    )
    for name, known in (("a", stats.norm(1, 2)), ("b", stats.gamma(3))):
        assert grid[name].mean == pytest.approx(known.mean(), rel=1e-4)
        assert grid[name].sd == pytest.approx(known.std(), rel=1e-4)
        np.testing.assert_allclose(grid[name].quantiles, known.ppf(scripts()[0].P), rtol=2e-3)
        assert grid[name].below(known.ppf(0.9)) == pytest.approx(0.9, abs=1e-3)


def test_a_long_run_knows_its_error():
    def log_density(x):
        return -0.5 * np.sum(x**2 / [1.0, 9.0], axis=1)

    marginals = scripts()[0]
    steps, marginals.STEPS = marginals.STEPS, 2000
    try:
        found = marginals.by_long_run(log_density, np.zeros(2), "ab", np.random.default_rng(1))
    finally:
        marginals.STEPS = steps
    for name, sd in (("a", 1.0), ("b", 3.0)):
        one = found[name]
        assert 0 < one.mean_error < 0.02 * sd > one.sd_error > 0
        assert abs(one.mean) < 4 * one.mean_error and abs(one.sd - sd) < 4 * one.sd_error


METHODS = [
    ("line", "laplace"),
    ("line_noise", "laplace"),
    ("decay", "laplace"),
    ("misra", "laplace"),
    ("oscillation", "laplace"),
    ("weights", "exact"),
    ("shrunk", "exact"),
    ("field", "mcmc"),
    ("noisy_field", "mcmc"),
    ("lifetime", "population"),
    ("laboratories", "population"),
    ("two_modes", "population"),
]


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_a_method_meets_the_answer(name, method, capsys):
    (found,) = scripts()[1].against(name, method).values()
    assert found["right"] and found["believed"], found
    assert abs(found["bias"]) < 0.1 and abs(np.log(found["ratio"])) < 0.1
    assert found["coverage"] == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("name", "method"), [("banana", "laplace"), ("two_modes", "laplace"), ("box_bod", "laplace")]
)
def test_where_a_method_fails_it_is_not_believed(name, method, capsys):
    (found,) = scripts()[1].against(name, method).values()
    assert not found["believed"]
    assert name == "box_bod" or not found["right"]

"""A fit that is cut off in the middle of its long loop goes on, and draws the same to the bit."""

import os

import lmfit
import numpy as np
import pytest
from test_nonnegative import posed

from bayesinf import kept
from bayesinf.data import curve_from_arrays
from bayesinf.models import curve, gp, linear
from bayesinf.models.binary import logistic, pairwise
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.models.binary.pairwise.large import sampling
from bayesinf.models.problem import fit
from bayesinf.settings import Settings

FEW = Settings(draws=20, tune=10, chains=2, prior_draws=4, workers=1)
rng = np.random.default_rng(7)
X = rng.normal(size=(30, 4))
Y = X @ [1.0, 0.0, 0.0, -2.0] + rng.normal(size=30)
T = np.linspace(0.1, 4, 25)
DECAY = 3 * np.exp(-T) + 0.1 * rng.normal(size=25)
STATES = np.where(rng.random((200, 4)) < 0.4, 1, -1)
MANY = sampling.sample(rng.normal(0, 0.3, 21), "±1", 500, rng=rng).states
STEPS = logistic.transitions(np.where(rng.random((1, 40, 3)) < 0.4, 1, -1), "±1")


def regression(prior, method=None, **more):
    return fit(linear.regression(X, Y, prior, **more), method, FEW)


def of_curve():
    model = lmfit.models.ExponentialModel()
    params = model.make_params(amplitude={"value": 3, "min": 0, "max": 9}, decay=1.0)
    return curve.fit(model, params, T, DECAY, method="emcee", settings=FEW)


def of_steps(prior, method):
    return logistic.fit(STEPS, encoding="±1", prior=prior, method=method, settings=FEW)


CASES = {
    "Gibbs": lambda: regression("horseshoe"),
    "Gibbs of groups": lambda: regression("laplace", groups=np.arange(30) % 2),
    "spike and slab": lambda: regression("spike_and_slab"),
    "NUTS": lambda: regression("normal", "nuts"),
    "truncated": lambda: fit(posed(), None, FEW),
    "ensemble": of_curve,
    "pairwise": lambda: pairwise.fit(STATES, prior="inferred", encoding="±1", settings=FEW),
    "pairwise, large": lambda: pairwise.fit(MANY, encoding="±1", settings=FEW),
    "logistic": lambda: of_steps("inferred", "mcmc"),
    "logistic, Gibbs": lambda: of_steps("horseshoe", "gibbs"),
    "population": lambda: fit(gp.process(curve_from_arrays(T, DECAY)), None, FEW),
}


CUTS = int(os.environ.get("BAYESINF_CUTS", 1))  # of each fit; ``make torture`` makes more,
SLOW = ("NUTS", "pairwise, large")  # and cuts these too
NAMES = [name for name in CASES if CUTS > 2 or name not in SLOW]


class Cut(Exception):
    """Stands for whatever ends a run."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Everything is kept, after every step."""
    monkeypatch.setenv(kept.ROOT, str(tmp_path / "cache"))
    for name in ("WORTH", "EVERY", "PATIENCE"):
        monkeypatch.setattr(kept, name, 0.0)
    return tmp_path


def arrays(tree):
    return {
        f"{node.path}/{name}": one.values
        for node in tree.subtree
        for name, one in node.dataset.variables.items()
    }


def differing(one, other):
    assert one.keys() == other.keys()
    return [
        name
        for name in one
        if not np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_that_was_cut_off_goes_on_to_the_same_bits(name, home, monkeypatch):
    if name == "pairwise, large":
        monkeypatch.setattr(enumeration, "LARGEST", 5)
    make, write, written = CASES[name], kept.write, []
    whole = arrays(make())

    def counted(*given, cut=None):
        done = write(*given)
        if given[0] is not None:  # else nothing is kept: a part of no piece of work
            written.append(given[0])
            if len(written) == cut:
                raise Cut
        return done

    with kept.keeping(["whole.py"]):
        monkeypatch.setattr(kept, "write", counted)
        assert not differing(arrays(make()), whole)  # keeping changes nothing
    total = len(written)
    assert total > 2
    cuts = np.arange(1, total)
    chosen = np.random.default_rng(len(name)).choice(cuts, min(CUTS, len(cuts)), replace=False)
    for cut in chosen:
        written.clear()
        with kept.keeping([f"{cut}.py"]) as folder:
            monkeypatch.setattr(kept, "write", lambda *given, c=cut: counted(*given, cut=c))
            with pytest.raises(Cut):
                make()
            written.clear()
            monkeypatch.setattr(kept, "write", counted)
            found = arrays(make())
            assert "Taken up" in kept.taken(folder)
        assert len(written) < total
        assert not differing(found, whole)
    print(f"{name}: the same bits after each of {len(chosen)} cuts")

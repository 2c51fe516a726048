"""The same curve measured again is one curve; curves of several things are refused."""

from __future__ import annotations

import numpy as np
import pytest

from bayesinf import data
from bayesinf.errors import DataError

X = np.round(np.linspace(0.0, 3.0, 24), 4)


def _save(folder, xs, ys, names=None):
    rows = list(zip(xs, ys, strict=True))
    head = "x,y"
    if names is not None:
        head, rows = "x,y,sample", [(*row, n) for row, n in zip(rows, names, strict=True)]
    text = "\n".join([head, *(",".join(map(str, row)) for row in rows)])
    (folder / "a.csv").write_text(text + "\n")
    return folder / "a.csv"


@pytest.mark.parametrize("names", [None, ["A", "B"], [1, 2]])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("other", [np.sin(X) + 0.3, np.sin(X) + 0.2 * np.cos(X), 1.1 * np.sin(X)])
def test_curves_of_two_things_are_refused(tmp_path, names, back, other):
    rng = np.random.default_rng(1)
    order = slice(None, None, -1) if back else slice(None)
    xs, ys = np.r_[X, X[order]], np.r_[np.sin(X), other[order]] + 0.02 * rng.standard_normal(48)
    told = None if names is None else np.repeat(names, 24)
    with pytest.raises(DataError, match="several curves") as refusal:
        data.curve(_save(tmp_path, xs, ys, told))
    assert refusal.value.where == ("column sample" if names else "row 26, column x")


def test_a_curve_that_was_measured_again_is_one_curve(tmp_path):
    rng, refused = np.random.default_rng(2), 0
    for k in range(100):
        passes = 2 + k % 3
        xs = np.concatenate([X if k % 2 or not g % 2 else X[::-1] for g in range(passes)])
        noise = rng.standard_normal(xs.size) if k % 4 else rng.poisson(9.0, xs.size)
        path = _save(
            tmp_path, xs, np.sin(xs) + noise, np.repeat(range(passes), X.size) if k % 3 else None
        )
        try:
            assert data.curve(path).sizes["point"] == xs.size
        except DataError:
            refused += 1
    assert refused <= 2


def test_x_that_return_in_no_order_and_few_of_them_are_no_passes(tmp_path):
    rng = np.random.default_rng(3)
    xs = rng.choice(X, 60)
    assert data.curve(_save(tmp_path, xs, np.sin(xs))).sizes["point"] == 60
    xs, ys = np.r_[X[:5], X[:5]], np.r_[X[:5], X[:5] + 1]
    assert data.curve(_save(tmp_path, xs, ys)).sizes["point"] == 10

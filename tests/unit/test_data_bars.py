"""Error bars are standard deviations of y in y's unit, whatever their heading says they are."""

from __future__ import annotations

import numpy as np
import pytest

from bayesinf.data import curve
from bayesinf.data.bars import other_side
from bayesinf.errors import DataError

X = np.linspace(1.0, 9.0, 9)
Y = 2.0 + 0.5 * X
SD = 0.1 + 0.01 * X


def _read(folder, heading, *columns, y="y"):
    path = folder / "curve.csv"
    rows = [",".join(f"{v:.12g}" for v in row) for row in zip(X, Y, *columns, strict=True)]
    path.write_text("\n".join([f"x,{y},{heading}", *rows]) + "\n")
    return curve(path)


@pytest.mark.parametrize(
    ("heading", "y", "values"),
    [
        ("error", "y", SD),
        ("error (%)", "y", 100 * SD / Y),
        ("err_percent", "y (V)", 100 * SD / Y),
        ("y error (ppm)", "y (V)", 1e6 * SD / Y),
        ("relative error", "y", SD / Y),
        ("rel_err (%)", "y (%)", 100 * SD / Y),
        ("error (2 sigma)", "y", 2 * SD),
        ("err_2sd", "y", 2 * SD),
        ("uncertainty (k=2)", "y", 2 * SD),
        ("error (V)", "y (mV)", SD / 1000),
        ("error (meV)", "energy (eV)", SD * 1000),
        ("error (mV)", "y (mV)", SD),
        ("error (%)", "y (%)", SD),  # points of per cent, as y is in per cent
        ("error (arb.)", "y (a.u.)", SD),
        ("error (1 sigma)", "y", SD),
    ],
)
def test_what_a_heading_says_of_error_bars_is_done(tmp_path, heading, y, values):
    read = _read(tmp_path, heading, values, y=y)
    assert read["error"].to_numpy() == pytest.approx(SD, rel=1e-9)
    changed = not np.allclose(values, SD)
    assert ("error bars were taken as" in read.attrs["read_as"]) == changed
    if changed:
        assert read["error"].units == read[read.attrs["y"]].units


def test_bars_of_both_sides_are_one_where_they_are_about_as_long(tmp_path):
    read = _read(tmp_path, "err_lo,err_hi", 0.8 * SD, 1.2 * SD)
    assert read["error"].to_numpy() == pytest.approx(SD)
    assert "the mean of err_lo and err_hi" in read.attrs["read_as"]
    with pytest.raises(DataError, match=r"row 2, column err_lo.*differ by less than 2 times"):
        _read(tmp_path, "err_lo,err_hi", 0.4 * SD, 1.2 * SD)
    as_asked = curve(tmp_path / "curve.csv", error="err_hi")
    assert as_asked["error"].to_numpy() == pytest.approx(1.2 * SD)


@pytest.mark.parametrize(
    ("name", "names", "other"),
    [
        ("err_lo", ["x", "err_lo", "err_hi"], "err_hi"),
        ("dy-", ["dy-", "dy+"], "dy+"),
        ("y_err_plus", ["y_err_plus", "x_err_minus", "y_err_minus"], "y_err_minus"),
        ("err", ["err", "err_hi"], None),
        ("low_err", ["low_err", "low"], None),
    ],
)
def test_columns_of_two_sides_know_each_other(name, names, other):
    assert other_side(name, names) == other


@pytest.mark.parametrize(
    ("heading", "y", "found"),
    [
        ("error (95% CI)", "y", "an interval"),
        ("err_ci95", "y", "an interval"),
        ("error (V)", "y (nm)", "V, and y is in nm"),
        ("error weight", "y", "weights"),
    ],
)
def test_error_bars_that_may_mean_two_things_are_refused(tmp_path, heading, y, found):
    with pytest.raises(DataError, match="no standard deviations of y") as refusal:
        _read(tmp_path, heading, SD, y=y)
        curve(tmp_path / "curve.csv", error=heading.split(" (")[0])
    assert refusal.value.found == found


def test_variances_that_are_asked_for_give_their_roots_and_parts_of_zero_are_refused(tmp_path):
    assert "error" not in _read(tmp_path, "variance", SD**2)
    read = curve(tmp_path / "curve.csv", error="variance")
    assert read["error"].to_numpy() == pytest.approx(SD)
    assert "the square root of variances" in read.attrs["read_as"]
    path = tmp_path / "zero.csv"
    path.write_text("x,y,error (%)\n1,1,5\n2,0,5\n3,2,5\n4,2,5\n")
    with pytest.raises(DataError, match="a y other than zero"):
        curve(path)

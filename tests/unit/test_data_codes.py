"""Numbers that stand for a missing value, such as −999, are refused by whatever reads a table."""

import numpy as np
import pandas as pd
import pytest

from bayesinf import data
from bayesinf.errors import DataError
from bayesinf.systems import bayesian_optimisation, gp_regression, regression

ROWS = 20


def table(path, column, value, rows=(3, 9)):
    rng = np.random.default_rng(1)
    columns = {"x": np.arange(ROWS) / 7, "y": rng.standard_normal(ROWS)}
    frame = pd.DataFrame(columns | {"z": rng.standard_normal(ROWS)})
    frame.loc[list(rows), column] = value
    frame.to_csv(path, index=False)
    return path


READERS = {
    "curve": lambda path: data.curve(path, "x", "y"),
    "series": lambda path: data.series(path, variables=["y"], time="x"),
    "regression": lambda path: regression.read(path, "y ~ x + z"),
    "processes": lambda path: gp_regression.read(path, x=["x", "z"], y="y"),
    "campaigns": lambda path: bayesian_optimisation.read(path, x=["x"], y="y"),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_a_code(reader, tmp_path):
    READERS[reader](table(tmp_path / "right.csv", "y", 2.5))
    with pytest.raises(DataError) as found:
        READERS[reader](table(tmp_path / "coded.csv", "y", -999))
    said = str(found.value)
    for word in ("a code for a missing value", "coded.csv", "column y", "and 1 more", "-999"):
        assert word in said


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("size", [1e-180, 1e150])
def test_every_reader_refuses_numbers_whose_squares_are_none(reader, size, tmp_path):
    path = tmp_path / "odd.csv"
    found = pd.read_csv(table(path, "y", 2.5))
    found.assign(y=size * found["y"]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"column y: numbers whose squares are none"):
        READERS[reader](path)


@pytest.mark.parametrize("code", [999, -9999.0, 99999, 1e30, -32768, -2147483648])
def test_codes(code, tmp_path):
    with pytest.raises(DataError, match="a code for a missing value"):
        regression.read(table(tmp_path / "coded.csv", "z", code, [5]), "y ~ x + z")


def test_numbers_that_lie_among_others_or_are_no_code_are_measured(tmp_path):
    path = table(tmp_path / "right.csv", "z", 1000.0, [5])
    assert float(regression.read(path, "y ~ x + z")["z"].max()) == 1000.0
    x = np.linspace(0, 2000, 9)
    x[4] = 999.0
    pd.DataFrame({"x": x, "y": x**2}).to_csv(tmp_path / "among.csv", index=False)
    assert 999.0 in data.curve(tmp_path / "among.csv").x.values


def test_what_is_given_from_python_was_measured():
    found = data.curve_from_arrays(np.arange(9.0), [1, 2, 3, 4, 5, 6, 7, 8, -999])
    assert float(found["y"].min()) == -999

"""Curves: columns are found, keep their names, and no bad one passes."""

import csv
import re

import numpy as np
import pytest
import xarray as xr
from files import FINITE, every_format, refused, scratch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesinf import data


def told(curve):
    """What a curve says of itself, but for the words on how it was read."""
    return {key: value for key, value in curve.attrs.items() if key != "read_as"}


@every_format
@settings(max_examples=15, deadline=None)
@given(table=st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=6, unique_by=lambda r: r[0]))
def test_named_arrays_read_back_exactly(save, name, table):
    x, y = np.array(sorted(table)).T
    path = scratch(name)
    save(path, y=y, x=x)
    if np.all(y == y[0]):
        refused(data.curve, path, words=["all y are equal", "column y"])
        return
    found = data.curve(path)
    np.testing.assert_array_equal(found.x, x)
    np.testing.assert_array_equal(found.y, y)
    assert told(found) == {"source": name, "x": "x", "y": "y"}


def test_a_curve_saved_as_netcdf_reads_back_as_it_was(tmp_path):
    written = data.curve_from_arrays([1, 2, 3], [4, 5, 6], [1, 1, 2])
    for name in ("y", "error"):
        written[name].attrs["units"] = "counts"
    written.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    xr.testing.assert_identical(
        data.curve(tmp_path / "a.nc").drop_attrs(deep=False), written.drop_attrs(deep=False)
    )


def test_netcdf_takes_the_coordinate_as_x_with_its_units_and_dates_as_numbers(tmp_path):
    xr.Dataset(
        {"flux": ("days", [3.0, 2.0, 1.0], {"units": "Jy", "long_name": "Flux density"})},
        {"days": ("days", [1.0, 2.0, 4.0], {"units": "days since 2000-01-01"})},
    ).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = data.curve(tmp_path / "a.nc")
    x, y, _ = data.axes(found)
    np.testing.assert_array_equal(x, [1, 2, 4])
    assert (x.name, y.name) == ("days", "flux")
    assert x.attrs == {"long_name": "days", "units": "days since 2000-01-01"}
    assert y.attrs == {"long_name": "Flux density", "units": "Jy"}


@pytest.mark.parametrize("save", [np.save, lambda path, table: np.savez(path, table)])
def test_an_unnamed_table_is_read_by_position(tmp_path, save):
    table = np.array([[1.0, 10, 0.5], [2, 20, 0.25], [3, 30, 0.125]])
    path = tmp_path / ("a.npy" if save is np.save else "a.npz")
    save(path, table)
    np.testing.assert_array_equal(data.curve(path, error=3).to_array().T, table)


def test_npy_with_named_fields(tmp_path):
    table = np.array([(1, 2.5), (2, 3.5), (4, 1.5)], dtype=[("time [s]", "i4"), ("signal", "f4")])
    np.save(tmp_path / "a.npy", table)
    found = data.curve(tmp_path / "a.npy")
    x, y, _ = data.axes(found)
    np.testing.assert_array_equal(y, [2.5, 3.5, 1.5])
    assert x.attrs == {"long_name": "time", "units": "s"}
    assert y.dtype == np.float64


UNUSUAL = {
    "index written by pandas": ",x,y\n0,1,4\n1,2,5\n2,3,6\n",
    "UTF-16 of a spreadsheet": "x\ty\n1\t4\n2\t5\n3\t6\n".encode("utf-16"),
    "Latin-1": "x (µm),y (°)\n1,4\n2,5\n3,6\n".encode("latin-1"),
    "quotes": '"x (a, b)", "y"\n"1", "4"\n2,5\n3,6',
    "a header that ends in a separator": "x,y,\n1,4\n2,5\n3,6\n",
    "a column named row": "row,x,y\n8,1,4\n8,2,5\n8,3,6\n",
    "repeated names": "x,y,x,y\n1,4,7,7\n2,5,7,7\n3,6,7,7\n",
    "units after spaces": "wavelength (nm)   intensity [a. u.]\n 1 4\n 2\t5\n  3    6\n",
    "capitals": "Intensity,WAVELENGTH\n4,1\n5,2\n6,3\n",
    "an empty column": "x,,y,\n1,,4,\n2,,5,\n3,,6,\n",
    "unsorted": "x,y\n3,6\n1,4\n2,5\n",
    "text in a column of no concern": "x,y,flag,temperature\n1,4,ok,5.5\n2,5,,\n3,6,bad,\n",
    "errors of x": "x,x_err,y\n1,9,4\n2,9,5\n3,9,6\n",
}


@pytest.mark.parametrize("content", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_only_unusual_is_read_right(file, content):
    found = data.curve(file("a.txt", content))
    x, y, error = data.axes(found)
    np.testing.assert_array_equal(x, [1, 2, 3])
    np.testing.assert_array_equal(y, [4, 5, 6])
    assert error is None and "error" not in found


def test_decimal_commas_with_semicolons(file):
    found = data.curve(file("a.csv", "\ufeffx (nm);y\r\n1,5;1e-3\r\n2,25;-4\r\n3;0,1\r\n"))
    np.testing.assert_array_equal(found.x, [1.5, 2.25, 3])
    np.testing.assert_array_equal(found.y, [1e-3, -4, 0.1])


# Names: a curve's variables are called what the user calls them.


def held(text):
    """Whether the header of a table can hold a text: one line, no comment, no number."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        # csv strips a cell; "NA" is a number.
        return bool(text.strip()) and text.strip().upper() not in ("NA", "N/A")
    return False


HEADERS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="#\r\n\0"), max_size=30
).filter(held)
SOME = st.sampled_from(["point", "chain", "draw", "error", "x", "y", "I/I0", "a b", "a/b", "row"])


@settings(max_examples=100, deadline=None)
@given(x=HEADERS | SOME, y=HEADERS | SOME, error=HEADERS | SOME, bars=st.booleans())
def test_any_header_survives_the_way_to_netcdf_and_back(x, y, error, bars):
    path, columns = scratch("names.csv"), [[1.0, 2, 4], [5.0, 3, 6], [0.5, 0.25, 1]]
    with path.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([[x, y, error], *zip(*columns, strict=True)])
    whole = data.read(path)
    texts = [text.strip() for text in (x, y, error)]
    if len({*texts, "row"}) == 4 and not set("()[]") & set(x + y + error):
        assert list(whole) == texts
    found = data.curve(path, 1, 2, 3 if bars else "none")
    for header, array, values in zip(whole, data.axes(found), columns, strict=True):
        if array is None:
            continue
        assert array.long_name == header
        assert array.units == whole[header].units or array.name == "error"
        assert re.fullmatch(r"\w+", array.name)
        assert array.dims == ("point",)
        np.testing.assert_array_equal(array, values)
    found.to_netcdf(scratch("names.nc"), engine="h5netcdf")
    back = data.curve(scratch("names.nc"))
    xr.testing.assert_identical(back.drop_attrs(deep=False), found.drop_attrs(deep=False))
    assert told(back) == told(found) | {"source": "names.nc"}


@pytest.mark.parametrize(
    ("x", "y", "names"),
    [
        ("wavelength", "counts", ["wavelength", "counts"]),
        ("2theta", "ΔE", ["2theta", "ΔE"]),
        ("t/s", "I / I0", ["t_s", "I_I0"]),
        ("Counts per hour", "%", ["Counts_per_hour", "y"]),
        ("point", "error", ["point_x", "error_y"]),
        ("chain", "draw", ["chain_x", "draw_y"]),
        ("flux", "flux", ["flux", "flux_y"]),
        ("point_y", "point", ["point_y", "point_y_y"]),
        ("y", "x", ["y", "x"]),
        (None, None, ["x", "y"]),
    ],
)
def test_names_that_netcdf_cannot_hold_are_made_safe(x, y, names):
    rows = ([1, 2, 3], [4, 6, 5], [1, 1, 2])
    arrays = (xr.DataArray(v, name=n) for v, n in zip(rows, (x, y, "σ"), strict=True))
    found = data.curve_from_arrays(*arrays)
    assert found.attrs == {"x": names[0], "y": names[1], "error": "error"}
    assert list(found.data_vars) == [*names, "error"]
    assert [array.long_name for array in data.axes(found)] == [x or "x", y or "y", "σ"]
    again = data.curve_from_arrays(*data.axes(found))
    xr.testing.assert_identical(again, found)  # a curve is the same curve, however often it passes


def test_a_dataset_that_is_no_curve_is_refused():
    refused(data.axes, xr.Dataset({"a": 1, "b": 2}), words=["attributes x and y", "found a, b"])
    lost = data.curve_from_arrays([1, 2, 3], [4, 5, 6]).drop_vars("y")
    refused(data.axes, lost, words=["which variables are x and y", "found y"])


def test_names_that_are_likely_are_looked_for_first(file):
    path = file("a.csv", "x,y,U,r\n1,2,3,4\n2,3,4,5\n3,4,5,6\n")
    likely = {"x_names": ("distance", "r"), "y_names": ("u",)}
    assert told(data.curve(path, **likely)) == {"x": "r", "y": "U", "source": "a.csv"}
    assert told(data.curve(path, "U", **likely)) == {"x": "U", "y": "y", "source": "a.csv"}


def test_a_stored_curve_keeps_its_roles_unless_others_are_asked_for(tmp_path):
    written = data.curve_from_arrays(
        xr.DataArray([1, 2, 3], name="y"), xr.DataArray([6, 5, 4], name="x"), [1, 1, 1]
    )
    written["training"] = ("point", [1, 0, 1])
    written.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = data.curve(tmp_path / "a.nc", x_names=("x",))
    assert told(found) == {"x": "y", "y": "x", "error": "error", "source": "a.nc"}
    assert "error" not in data.curve(tmp_path / "a.nc", error="none")
    assert data.curve(tmp_path / "a.nc", "x", "training").attrs["x"] == "x"


# Curves: which columns, and what is done to them.

ROWS = "\n1,2,3,4\n5,6,7,8\n9,10,11,12\n"


@pytest.mark.parametrize(
    ("header", "asked", "chosen"),
    [
        ("a,b,c,d", {}, ["a", "b"]),
        ("a,b,reference,d", {"y": "d"}, ["a", "d"]),
        ("a,dark,b,dark_sd", {}, ["a", "b"]),
        ("q,I,dI,dq", {}, ["q", "I", "dI"]),
        ("t,flux,e_flux,e_t", {}, ["t", "flux", "e_flux"]),
        ("a,b,b ± ,c", {}, ["a", "b", "b ±"]),
        ("index,r,E,F", {"x": "r"}, ["r", "E"]),
        ("index,a,b,c", {}, ["a", "b"]),
        ("x,y,c,d", {}, ["x", "y"]),
        ("y,x,c,d", {}, ["x", "y"]),
        ("a,y,c,d", {}, ["a", "y"]),
        ("a,b,c,sigma", {}, ["a", "b", "sigma"]),
        ("a,a_err,b,b_err", {}, ["a", "b", "b_err"]),
        ("a,c_err,b,b_err", {}, ["a", "b", "b_err"]),
        ("err,a,b,c", {}, ["a", "b", "err"]),
        ("Energy (eV),Counts,Counts error,d", {}, ["Energy", "Counts", "Counts error"]),
        ("a,b,c,d", {"x": "b"}, ["b", "a"]),
        ("a,b,c,d", {"x": 2, "y": "4"}, ["b", "d"]),
        ("a,b,c,d", {"x": "D", "y": 1, "error": 2}, ["d", "a", "b"]),
        ("a,b,c,d", {"error": "none"}, ["a", "b"]),
        ("x,y,err,d", {"error": "none"}, ["x", "y"]),
        ("x,y,err,d", {"error": "d"}, ["x", "y", "d"]),
        ("t (s),x,y,d", {"x": "t (s)"}, ["t", "y"]),
        ("1,2,3,d", {"x": "3", "y": "d"}, ["3", "d"]),
        ("0,1,2,d", {"x": 1, "y": "1"}, ["0", "1"]),
        (None, {}, ["column_1", "column_2"]),
        (None, {"x": "4", "y": "column_2"}, ["column_4", "column_2"]),
    ],
)
def test_columns_are_found_by_name_or_position(file, header, asked, chosen):
    path = file("a.csv", ROWS if header is None else header + ROWS)
    found = data.curve(path, **asked)
    assert [array.long_name for array in found.data_vars.values()] == chosen
    assert [array.name for array in data.axes(found)[: len(chosen)]] == list(found.data_vars)
    assert ("error" in found) == (len(chosen) == 3)
    whole = data.read(path)
    for array in found.data_vars.values():
        np.testing.assert_array_equal(array, whole[array.long_name])


@pytest.mark.parametrize(
    ("content", "x", "y"),
    [
        ("r,well,E\n1,3,5\n2,3,4\n4,3,6\n", "r", "E"),  # a setting
        ("x,y,setting,response\n1,7,2,0\n2,7,2,5\n3,7,2,4\n", "x", "response"),
        ("wavelength,channel,counts\n500,1,5\n500,2,4\n500,3,6\n", "channel", "counts"),
        ("ratio,r,E\n1,2.5,5\n2,5,4\n4,10,6\n5,12.5,7\n", "ratio", "E"),  # another unit
        ("C,K,E\n1,274.15,5\n2,275.15,4\n4,277.15,6\n9,282.15,0\n", "C", "E"),
        ("a,b\n1,2\n2,4\n3,6\n4,8\n", "a", "b"),  # nothing else is there
        ("a,b,err\n1,2,1\n2,4,2\n3,6,1\n4,8,1\n", "a", "b"),
    ],
)
def test_settings_and_x_in_another_unit_are_not_y(file, content, x, y):
    found = data.curve(file("a.csv", content))
    assert [array.long_name for array in data.axes(found)[:2]] == [x, y]


def test_a_third_column_is_no_error_unless_its_name_or_an_option_says_so(file):
    path = file("a.csv", "x,y,reference\n1,2,3\n2,3,4\n3,4,5\n")
    found = data.curve(path)
    assert "error" not in found
    assert found.attrs["read_as"] == (
        "x is x, by its name; y is y, by its name; no error bars; not used: reference"
    )
    asked = data.curve(path, error="reference")
    assert asked.error.long_name == "reference"
    assert "error bars are in reference, as asked for" in asked.attrs["read_as"]


@given(
    st.lists(st.tuples(st.integers(-3, 3), FINITE, st.floats(1e-9, 1e9)), min_size=3).filter(
        lambda rows: len({x for x, _, _ in rows}) > 1
    )
)
@settings(deadline=None)
def test_rows_are_sorted_by_x_and_kept_together(rows):
    found = data.curve_from_arrays(*zip(*rows, strict=True))
    expected = sorted(rows, key=lambda row: row[0])  # stable: repeated x keep their order
    np.testing.assert_array_equal(found.to_array().T, expected)
    left = data.curve_from_arrays(*zip(*rows, strict=True), sort=False)
    np.testing.assert_array_equal(left.to_array().T, rows)


def test_every_variable_has_a_name_and_units_and_the_error_those_of_y(file):
    found = data.curve(file("a.csv", "x (nm),y [counts],err\n1,2,1\n2,3,1\n3,4,1\n"))
    assert {name: (v.long_name, v.units) for name, v in found.items()} == {
        "x": ("x", "nm"),
        "y": ("y", "counts"),
        "error": ("err", "counts"),
    }
    plain = data.curve_from_arrays([1, 2, 3], [[1], [2], [3]])
    assert {v.units for v in plain.data_vars.values()} == {"1"}
    assert plain.y.dims == ("point",)


# Refusals. Each row: what is wrong, suffix, content, key words of the message.

BAD_CURVES = [
    ("empty", "csv", "", ["empty"]),
    ("only comments", "csv", "# x,y\n\n \n", ["empty", "rows of numbers"]),
    ("only a header", "csv", "x,y\n", ["header", "no rows", "x, y"]),
    ("NaN", "csv", "# c\nx,y\n1,2\n\n2,nan\n3,4\n", ["row 5", "column y", "NaN", "number"]),
    ("NA", "csv", "x,y\n1,2\n2,NA\n3,4\n", ["row 3", "column y", "'NA'"]),
    ("empty cell", "csv", "x,y\n1,2\n,3\n3,4\n", ["row 3", "column x", "an empty cell"]),
    ("infinity", "csv", "x,y\n1,2\n2,3\n-inf,4\n", ["row 4", "column x", "-inf"]),
    ("text", "csv", "x,y\r\n1,2\r\n2,3 V\r\n3,4\r\n", ["row 3", "column y", "'3 V'"]),
    ("text first", "csv", "1,abc\n2,3\n3,4\n", ["row 1", "column 2", "'abc'"]),
    ("dot and comma", "csv", "x;y\n1,5;2.5\n2;3\n3;4\n", ["row 2", "column x", "'1,5'"]),
    ("a row too long", "csv", "x,y\n1,2\n2,3,7\n3,4\n", ["row 3", "too many", "2 (x, y)", "3"]),
    ("a row too short", "txt", "1 2 3\n4 5\n6 7 8\n", ["row 2", "too few", "expected 3"]),
    ("header too long", "csv", "x,y,z\n1,2\n3,4\n5,6\n", ["row 2", "x, y, z", "found 2"]),
    ("one column", "csv", "x\n1\n2\n3\n", ["too few columns", "found x"]),
    ("too few rows", "csv", "x,y\n1,2\n2,3\n", ["too few rows", "at least 3", "found 2"]),
    ("equal x", "csv", "x,y\n7,2\n7,3\n7,4\n", ["all x are equal", "column x", "found 7"]),
    ("equal y", "csv", "x,y\n1,7\n2,7\n3,7\n", ["all y are equal", "column y", "found 7"]),
    (
        "equal y beside others",
        "csv",
        "x,y,setting,reference\n1,7,2,0\n2,7,2,5\n3,7,2,4\n",
        ["all y are equal", "column y", "name another column for y, one of reference"],
    ),
    ("zero error", "csv", "x,y,dy\n1,2,1\n2,3,0\n3,4,1\n", ["row 3", "column dy", "above zero"]),
    (
        "negative error",
        "csv",
        "x,y,err\n1,2,1\n3,4,-2\n5,6,1\n",
        ["row 3", "column err", "found -2", "none"],
    ),
    ("NaN error", "csv", "x,y,dy\n1,2,1\n2,3,nan\n3,4,1\n", ["row 3", "column dy", "NaN"]),
    ("open quotation", "csv", 'x,y\n1,"2\n2,3"\n4,5\n', ["row 3", "column y", "'3\"'"]),
    ("binary", "csv", bytes(range(256)), ["not text"]),
    ("unknown suffix", "pdf", "x", ["unknown kind", ".csv", ".npz", ".mat", ".nc", ".pdf"]),
    ("not XLSX", "xlsx", "x", ["cannot be read", "spreadsheet"]),
    ("not NPZ", "npz", "x,y\n1,2\n", ["cannot be read", "NPZ"]),
    ("not MAT", "mat", "x,y\n1,2\n", ["cannot be read", "MAT"]),
    ("not netCDF", "nc", "x,y\n1,2\n", ["cannot be read", "netCDF"]),
]


@pytest.mark.parametrize(("what", "suffix", "content", "words"), BAD_CURVES)
def test_a_bad_curve_is_refused(file, what, suffix, content, words):
    path = file(f"mine.{suffix}", content)
    refused(data.curve, path, words=[str(path), *words])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("counts",), ["no column counts", "1 to 3", "found x, y, z"]),
        ((4,), ["no column 4", "1 to 3"]),
        ((None, "0"), ["no column 0", "1 to 3"]),
        ((None, None, "dy"), ["no column dy", "x, y, z"]),
        (("none",), ["no column none", "x, y, z"]),
    ],
)
def test_a_missing_column_is_named_with_those_that_are_there(file, asked, words):
    path = file("a.csv", "x,y,z\n1,2,3\n2,3,4\n3,4,5\n")
    refused(data.curve, path, *asked, words=[str(path), *words])


def test_bad_arrays_in_memory_are_refused_alike():
    curve = data.curve_from_arrays
    refused(curve, [1, 2, 3], [1, np.nan, 3], words=["row 2 (counting from 1), column y", "NaN"])
    refused(curve, [1, 2, 3], np.ma.array([1, 2, 3], mask=[0, 0, 1]), words=["row 3", "NaN"])
    refused(curve, [1, 2, 3], [1, 2], words=["differ in length", "3 in x", "2 in y"])
    refused(curve, [1, 2, 3], [1, 2, 3], [1, 0, 1], words=["row 2", "column error", "found 0"])
    refused(curve, [1, 2, 3], np.ones((3, 2)), words=["y has the wrong shape", "(3, 2)"])
    refused(curve, [1, 1, 1], [1, 2, 3], words=["all x are equal"])
    refused(curve, [1, 2, 3], np.array(["2020-01-01"] * 3, "M8[D]"), words=["row 1", "2020-01-01"])


def test_windows_take_the_rows_in_them_and_say_so(file):
    path = file("a.csv", "x,y\n" + "".join(f"{x},{x * x}\n" for x in range(10)))
    found = data.curve(path, windows=[(1.0, 3.0), (6.0, 7.0)])
    np.testing.assert_array_equal(found["x"], [1, 2, 3, 6, 7])
    assert found.attrs["read_as"].endswith("5 of 10 rows lie in the windows")
    with pytest.raises(data.tables.DataError, match=r"window 20,30.*between 0 and 9"):
        data.curve(path, windows=[(20.0, 30.0)])
    with pytest.raises(data.tables.DataError, match="too few rows"):
        data.curve(path, windows=[(1.0, 2.0)])

"""Files of every format and dialect read back exactly; every bad one refused in one clear line."""

import csv
import io
import os
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesinf import data
from bayesinf.errors import DataError

SCRATCH = tempfile.TemporaryDirectory()
FINITE = st.floats(allow_nan=False, allow_infinity=False)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(FINITE, min_size=width, max_size=width), min_size=1, max_size=6)
)


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def scratch(name):
    return Path(SCRATCH.name, name)


def save_npz(path, **arrays):
    np.savez(path, **arrays)


def save_mat(path, **arrays):
    scipy.io.savemat(path, arrays, oned_as="column")


def save_compressed_mat(path, **arrays):
    scipy.io.savemat(path, arrays, oned_as="row", do_compression=True)


def save_mat_73(path, **arrays):
    """What MATLAB's -v7.3 writes: HDF5 with a user block, vectors as columns, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as opened:
        for name, array in arrays.items():
            opened[name] = np.atleast_2d(array) if np.ndim(array) < 2 else np.transpose(array)
    raw = path.read_bytes()
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + raw[128:])


def save_netcdf(path, engine="h5netcdf", **arrays):
    dims = {1: ("n",), 2: ("n", "m")}
    variables = {name: (dims[np.ndim(array)], array) for name, array in arrays.items()}
    xr.Dataset(variables).to_netcdf(path, engine=engine)


def save_classic_netcdf(path, **arrays):
    save_netcdf(path, "scipy", **arrays)


SAVERS = {
    save_npz: "a.npz",
    save_mat: "a.mat",
    save_compressed_mat: "a.mat",
    save_mat_73: "a.mat",
    save_netcdf: "a.nc",
    save_classic_netcdf: "a.nc",
}
every_format = pytest.mark.parametrize(("save", "name"), SAVERS.items())


# Reading: what was written comes back.


@settings(max_examples=150, deadline=None)
@given(
    table=tables,
    separator=st.sampled_from([",", ", ", ";", "; ", "\t", " ", "   ", " \t "]),
    header=st.booleans(),
    decimal_comma=st.booleans(),
    mark=st.sampled_from(["", "\ufeff"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    noise=st.lists(st.sampled_from(["", "   ", "# a, comment; here", ";;", "#"]), max_size=4),
    trailing=st.booleans(),
    tail=st.sampled_from(["", "  # a remark"]),
)
def test_any_dialect_reads_back_exactly(
    table, separator, header, decimal_comma, mark, end, noise, trailing, tail
):
    width = len(table[0])
    names = [f"quantity{k} (V)" for k in range(width)]
    numbers = [[repr(value) for value in row] for row in table]
    if decimal_comma and separator.strip(" ") in (";", "\t") and width > 1:
        numbers = [[text.replace(".", ",") for text in row] for row in numbers]
    last = separator.rstrip() if trailing and width > 1 else ""
    lines = [separator.join(row) + last for row in [names] * header + numbers]
    lines = [*noise, *(line + tail for line in lines), *noise]
    path = scratch("a.csv")
    path.write_bytes((mark + end.join(lines) + end).encode())

    found = data.read(path)

    expected = [f"quantity{k}" if header else f"column_{k + 1}" for k in range(width)]
    assert list(found.data_vars) == expected
    np.testing.assert_array_equal(np.stack([found[name] for name in expected], axis=1), table)
    first = len(noise) + header + 1
    np.testing.assert_array_equal(found.row, np.arange(first, first + len(table)))
    assert {array.units for array in found.data_vars.values()} == {"V" if header else "1"}


@every_format
@settings(max_examples=15, deadline=None)
@given(table=st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=6, unique_by=lambda r: r[0]))
def test_named_arrays_read_back_exactly(save, name, table):
    x, y = np.array(sorted(table)).T
    path = scratch(name)
    save(path, y=y, x=x)
    found = data.curve(path)
    np.testing.assert_array_equal(found.x, x)
    np.testing.assert_array_equal(found.y, y)
    assert found.attrs == {"source": name}


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
    np.testing.assert_array_equal(found.x, [1, 2, 4])
    assert found.x.attrs == {"long_name": "days", "units": "days since 2000-01-01"}
    assert found.y.attrs == {"long_name": "Flux density", "units": "Jy"}


@pytest.mark.parametrize("save", [np.save, lambda path, table: np.savez(path, table)])
def test_an_unnamed_table_is_read_by_position(tmp_path, save):
    table = np.array([[1.0, 10, 0.5], [2, 20, 0.25], [3, 30, 0.125]])
    path = tmp_path / ("a.npy" if save is np.save else "a.npz")
    save(path, table)
    np.testing.assert_array_equal(data.curve(path).to_array().T, table)


def test_npy_with_named_fields(tmp_path):
    table = np.array([(1, 2.5), (2, 3.5), (4, 1.5)], dtype=[("time [s]", "i4"), ("signal", "f4")])
    np.save(tmp_path / "a.npy", table)
    found = data.curve(tmp_path / "a.npy")
    np.testing.assert_array_equal(found.y, [2.5, 3.5, 1.5])
    assert found.x.attrs == {"long_name": "time", "units": "s"}
    assert found.y.dtype == np.float64


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
    np.testing.assert_array_equal(found.x, [1, 2, 3])
    np.testing.assert_array_equal(found.y, [4, 5, 6])
    assert "error" not in found


def test_columns_keep_apart_what_the_header_does_not(file):
    found = data.read(file("a.csv", "x,row,x,x\n1,2,3,4\n"))
    assert {name: array.item() for name, array in found.data_vars.items()} == {
        "x": 1, "row_2": 2, "x_3": 3, "x_4": 4
    }  # fmt: skip


def test_units_of_an_older_encoding(file):
    found = data.read(file("a.csv", "x (µm),y [°]\n1,4\n".encode("latin-1")))
    assert (found.x.units, found.y.units) == ("µm", "°")


def test_matlab_structures_and_cells_are_left_out(tmp_path):
    cells = np.array([1, "a"], dtype=object)
    scipy.io.savemat(tmp_path / "a.mat", {"x": [1, 2], "s": {"b": 1.0}, "c": cells})
    assert list(data.read(tmp_path / "a.mat").data_vars) == ["x"]


def test_decimal_commas_with_semicolons(file):
    found = data.curve(file("a.csv", "\ufeffx (nm);y\r\n1,5;1e-3\r\n2,25;-4\r\n3;0,1\r\n"))
    np.testing.assert_array_equal(found.x, [1.5, 2.25, 3])
    np.testing.assert_array_equal(found.y, [1e-3, -4, 0.1])


# Curves: which columns, and what is done to them.

ROWS = "\n1,2,3,4\n5,6,7,8\n9,10,11,12\n"


@pytest.mark.parametrize(
    ("header", "asked", "chosen"),
    [
        ("a,b,c,d", {}, ["a", "b", "c"]),
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
        (None, {}, ["column_1", "column_2", "column_3"]),
        (None, {"x": "4", "y": "column_2"}, ["column_4", "column_2"]),
    ],
)
def test_columns_are_found_by_name_or_position(file, header, asked, chosen):
    path = file("a.csv", ROWS if header is None else header + ROWS)
    found = data.curve(path, **asked)
    assert [array.long_name for array in found.data_vars.values()] == chosen
    assert list(found.data_vars) == ["x", "y", "error"][: len(chosen)]
    whole = data.read(path)
    for array in found.data_vars.values():
        np.testing.assert_array_equal(array, whole[array.long_name])


def test_a_third_column_is_the_error_unless_x_and_y_are_asked_for(file):
    path = file("a.csv", "x,y,spread\n1,2,3\n2,3,4\n3,4,5\n")
    assert data.curve(path).error.long_name == "spread"
    assert "error" not in data.curve(path, x="x", y="y")


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


# Spins.


@every_format
@pytest.mark.parametrize("binary", [False, True])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), sites=st.integers(2, 5), singular=st.booleans())
def test_spins_read_back_from_arrays(save, name, binary, seed, sites, singular):
    rng = np.random.default_rng(seed)
    states, energies = rng.choice([-1, 1], (4, sites)), rng.normal(size=4)
    states[0, 0] = -1  # all up could be either
    names = ("state", "energy") if singular else ("states", "energies")
    path = scratch(name)
    arrays = ((states + 1) // 2 if binary else states, energies)
    save(path, **dict(zip(names, arrays, strict=True)))
    found = data.spins(path)
    assert found.states.dims == ("sample", "site")
    assert found.states.dtype == np.int8
    assert found.states.encoding_read == ("0/1" if binary else "±1")
    np.testing.assert_array_equal(found.states, states)
    np.testing.assert_array_equal(found.energies, energies)
    without = data.spins(path, energies=False)
    np.testing.assert_array_equal(without.states, states)
    assert list(without.data_vars) == ["states"]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    "header", ["", "s1,energy (K),s2,s3\n", "1,energy,2,3\n", "a,ENERGIES,b,c\n"]
)
def test_spins_read_back_from_tables(file, header, binary):
    rng = np.random.default_rng(1)
    states, energies = rng.choice([-1, 1], (6, 3)), rng.normal(size=6)
    shown = (states + 1) // 2 if binary else states
    text = io.StringIO()
    place = 1 if header else 3  # without names the energy is last
    csv.writer(text).writerows(
        [*row[:place], energy, *row[place:]]
        for row, energy in zip(shown.tolist(), energies.tolist(), strict=True)
    )
    found = data.spins(file("a.csv", header + text.getvalue()))
    np.testing.assert_array_equal(found.states, states)
    np.testing.assert_array_equal(found.energies, energies)
    assert found.states.encoding_read == ("0/1" if binary else "±1")
    assert found.energies.units == ("K" if "K" in header else "1")


def test_a_table_of_spins_alone(file):
    found = data.spins(file("a.tsv", "1\t0\n0\t0\n"), energies=False)
    np.testing.assert_array_equal(found.states, [[1, -1], [-1, -1]])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, str])
def test_spins_of_any_type(dtype):
    bits = np.array([[0, 1, 1], [1, 0, 0]])
    given_states = bits.astype(dtype) if dtype is not str else bits.astype(str)
    found = data.spins_from_arrays(given_states, [1.0, 2.0])
    np.testing.assert_array_equal(found.states, 2 * bits - 1)


def test_all_up_is_read_as_spins_up_and_all_zero_as_spins_down():
    assert (data.spins_from_arrays(np.ones((2, 3))).states == 1).all()
    assert (data.spins_from_arrays(np.zeros((2, 3))).states == -1).all()


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
    ("zero error", "csv", "x,y,dy\n1,2,1\n2,3,0\n3,4,1\n", ["row 3", "column dy", "above zero"]),
    ("negative error", "csv", "1,2,1\n2,3,1\n3,4,-2\n", ["row 3", "column 3", "found -2", "none"]),
    ("NaN error", "csv", "x,y,dy\n1,2,1\n2,3,nan\n3,4,1\n", ["row 3", "column dy", "NaN"]),
    ("open quotation", "csv", 'x,y\n1,"2\n2,3"\n4,5\n', ["row 3", "column y", "'3\"'"]),
    ("binary", "csv", bytes(range(256)), ["not text"]),
    ("unknown suffix", "xlsx", "x", ["unknown kind", ".csv", ".npz", ".mat", ".nc", ".xlsx"]),
    ("not NPZ", "npz", "x,y\n1,2\n", ["cannot be read", "NPZ"]),
    ("not MAT", "mat", "x,y\n1,2\n", ["cannot be read", "MAT"]),
    ("not netCDF", "nc", "x,y\n1,2\n", ["cannot be read", "netCDF"]),
]
BAD_SPINS = [
    ("a two", "s1,s2,energy\n1,-1,0.5\n1,2,2\n", ["row 3", "site 2", "±1 nor 0/1", "found 2"]),
    ("a half", "# c\n1,0.5,3\n1,1,2\n", ["row 2", "site 2", "found 0.5"]),
    ("mixed", "s1,s2,energy\n1,-1,0\n1,0,0\n", ["row 3", "site 2", "found 0 beside −1"]),
    ("text", "s1,s2,energy\n1,up,0\n1,1,0\n", ["row 2", "site 2", "found 'up'"]),
    ("gap", "s1,s2,energy\n1,,0\n1,1,0\n", ["row 2", "site 2", "an empty cell"]),
    ("NaN energy", "s1,s2,energy\n1,1,0\n1,1,nan\n", ["row 3", "column energy", "NaN"]),
    ("no energy", "s1,s2\n1,1\n1,1\n", ["energies", "s1, s2", "column energy"]),
    ("no spins", "energy\n1\n2\n", ["states", "found energy"]),
    ("too few rows", "s1,s2,energy\n1,1,0\n", ["too few rows", "at least 2", "found 1"]),
]


def refused(function, *arguments, words):
    with pytest.raises(DataError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(("what", "suffix", "content", "words"), BAD_CURVES)
def test_a_bad_curve_is_refused(file, what, suffix, content, words):
    path = file(f"mine.{suffix}", content)
    refused(data.curve, path, words=[str(path), *words])


@pytest.mark.parametrize(("what", "content", "words"), BAD_SPINS)
def test_bad_spins_are_refused(file, what, content, words):
    path = file("mine.csv", content)
    refused(data.spins, path, words=[str(path), *words])


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


def test_a_missing_file_and_a_folder(tmp_path):
    refused(data.read, tmp_path / "none.csv", words=["none.csv", "no such file"])
    refused(data.read, tmp_path, words=["no such file"])


ONES = np.ones((3, 5))
BAD_ARRAYS = [
    ({"states": ONES, "energies": np.ones(5)}, ["(3, 5)", "5 energies", "transpose"]),
    ({"states": ONES, "energies": np.ones(4)}, ["expected 3 energies", "4 energies", "each row"]),
    ({"states": ONES, "energies": np.ones((3, 2))}, ["energies", "shape (3, 2)"]),
    ({"states": np.ones(3), "energies": np.ones(3)}, ["two axes (sample, site)", "shape (3,)"]),
    ({"states": [[1, 1], [-1, 3]], "energies": [0, 0]}, ["row 2 (counting from 1), site 2", "3"]),
    ({"states": ONES, "energies": [0, np.inf, 0]}, ["row 2 (counting from 1)", "energies", "inf"]),
    ({"states": ONES, "energies": [0, 1j, 0]}, ["energies", "0j"]),
    ({"states": ONES}, ["energies", "found states"]),
    ({"energies": np.ones(3)}, ["states", "found energies"]),
    ({"a": ONES, "b": np.ones(3)}, ["states", "found a, b"]),
]


@pytest.mark.parametrize(("arrays", "words"), BAD_ARRAYS)
def test_bad_arrays_of_spins_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    refused(data.spins, tmp_path / "a.npz", words=[str(tmp_path / "a.npz"), *words])


def test_bad_arrays_in_memory_are_refused_alike():
    curve, spins = data.curve_from_arrays, data.spins_from_arrays
    refused(curve, [1, 2, 3], [1, np.nan, 3], words=["row 2 (counting from 1), column y", "NaN"])
    refused(curve, [1, 2, 3], np.ma.array([1, 2, 3], mask=[0, 0, 1]), words=["row 3", "NaN"])
    refused(curve, [1, 2, 3], [1, 2], words=["differ in length", "3 in x", "2 in y"])
    refused(curve, [1, 2, 3], [1, 2, 3], [1, 0, 1], words=["row 2", "column error", "found 0"])
    refused(curve, [1, 2, 3], np.ones((3, 2)), words=["y has the wrong shape", "(3, 2)"])
    refused(curve, [1, 1, 1], [1, 2, 3], words=["all x are equal"])
    refused(curve, [1, 2, 3], np.array(["2020-01-01"] * 3, "M8[D]"), words=["row 1", "2020-01-01"])
    refused(spins, [[1, 1], [1]], [1, 2], words=["states", "rows differ in length"])
    refused(spins, [[1, 0, -1]] * 2, [1, 2], words=["row 1", "site 2", "0 beside −1"])
    refused(spins, ONES, np.ones(5), words=["transpose"])


def test_python_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = np.array([Trap()], dtype=object)
    np.savez(tmp_path / "a.npz", x=trap)
    np.save(tmp_path / "a.npy", trap)
    for name in ("a.npz", "a.npy"):
        refused(data.curve, tmp_path / name, words=[name, "cannot be read", "plain numbers"])
    assert not (tmp_path / "sprung").exists()


@every_format
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, save, name):
    save(tmp_path / name, x=np.linspace(0, 1, 200), y=np.random.default_rng(1).normal(size=200))
    whole = (tmp_path / name).read_bytes()
    cut = tmp_path / f"cut{name}"
    for length in np.linspace(0, len(whole) - 8, 15).astype(int):
        cut.write_bytes(whole[:length])
        refused(data.curve, cut, words=[str(cut)])


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(alphabet="01.5,;\t \n\r\"#-exyna(]'", max_size=60), st.text(max_size=30)),
    st.sampled_from([data.curve, data.spins]),
)
def test_any_text_is_read_or_refused(text, function):
    path = scratch("any.csv")
    path.write_bytes(text.encode(errors="replace"))
    try:
        found = function(path)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert all(np.isfinite(array).all() for array in found.data_vars.values())


# Rasters: who is on at which time, in which repeat


def spikes(repeats=3, times=30, sites=4, low=0):
    states = np.where(np.random.default_rng(0).random((repeats, times, sites)) < 0.4, 1, low)
    return states.astype(np.int8)


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize("kind", ["mat", "npz", "npy", "nc", "csv"])
def test_rasters_read_back_from_any_kind_of_file(tmp_path, kind, low):
    states, path = spikes(low=low), tmp_path / f"raster.{kind}"
    by_site = states.transpose(0, 2, 1)
    if kind == "mat":
        scipy.io.savemat(path, {"bint": by_site, "rate": 50.0})
    elif kind == "npz":
        np.savez(path, spikes=by_site, time=np.arange(30))
    elif kind == "npy":
        path = tmp_path / "raster.npz"  # an unnamed cube has no place in a table of columns
        np.savez(path, anything=by_site)
    elif kind == "nc":
        xr.DataArray(by_site, dims=("trial", "cell", "bin"), name="x").to_netcdf(path)
    else:
        rows = [[k, *states[k, t]] for k in range(3) for t in range(30)]
        text = "\n".join(",".join(map(str, row)) for row in rows)
        path.write_text("trial,a,b,c,d\n" + text)
    found = data.raster(path)
    assert found.states.dims == ("repeat", "time", "site") and found.states.dtype == np.int8
    np.testing.assert_array_equal(found.states, states)
    written = "0/1" if low == 0 else "±1"
    assert found.states.attrs["encoding"] == found.states.attrs["encoding_read"] == written


def test_a_raster_of_other_axes_and_of_some_sites_and_repeats():
    states = spikes()
    swapped = data.raster_from_arrays(states, axes="trial, time, cell")
    np.testing.assert_array_equal(swapped.states, states)
    some = data.raster_from_arrays(states, axes="repeat,time,site", sites="0,2-3", repeats="2")
    np.testing.assert_array_equal(some.states, states[:2][:, :, [0, 2, 3]])
    assert list(some.site.values) == [0, 2, 3] and list(some.repeat.values) == [0, 1]
    one = data.raster_from_arrays(states[0], encoding="±1")
    np.testing.assert_array_equal(one.states[0], 2 * states[0] - 1)
    assert (one.states.attrs["encoding"], one.states.attrs["encoding_read"]) == ("±1", "0/1")
    ones = data.raster_from_arrays(np.ones((5, 2)), encoding="0/1")
    assert ones.states.attrs["encoding_read"] == "0/1"


def changed(value):
    states = spikes().transpose(0, 2, 1).astype(float)
    states[1, 2, 7] = value
    return states


@pytest.mark.parametrize(
    ("states", "options", "words"),
    [
        (changed(0.5), {}, "repeat 1, time 7, site 2: .*expected −1 and 1 .*found 0.5"),
        (changed(np.nan), {}, "repeat 1, time 7, site 2: .*found NaN"),
        (changed(-1), {}, "found 0 beside −1"),
        (spikes(), {}, "more sites than times.*is that, else --axes repeat,time,site"),
        (spikes()[0].T, {}, "more sites than times; expected axes .time, site."),
        (spikes()[0, 0], {}, "axes of the states are not clear"),
        (spikes(), {"axes": "time,time,site"}, "axes of the states are not clear"),
        (spikes(), {"axes": "repeat,time"}, "axes of the states are not clear"),
        (np.ones((9, 2)), {}, "belongs to both encodings; say --encoding"),
        (spikes()[0], {"encoding": "spin"}, "unknown encoding; expected '±1' or '0/1'"),
        (spikes()[0], {"sites": "5"}, "sites are not chosen like this; expected .* up to 4"),
        (spikes()[0], {"sites": "0-4"}, "sites are not chosen"),
        (spikes()[0], {"sites": "3-0"}, "sites are not chosen"),
        (spikes()[0], {"sites": "0,x"}, "sites are not chosen"),
        (spikes()[0], {"repeats": "2"}, "repeats are not chosen"),
        (spikes()[0, :1], {"axes": "time,site"}, "too few rows"),
        (spikes()[0], {"group": np.arange(30) // 14}, "repeats differ in length"),
        (spikes()[0], {"group": np.arange(30) % 2}, "do not stand together"),
    ],
)
def test_a_bad_raster_is_refused(states, options, words):
    with pytest.raises(DataError, match=words):
        data.raster_from_arrays(states, **options)


def test_a_table_names_its_sites(tmp_path):
    """Columns with names are sites of those names, in errors too; numbers are counted from 0."""
    path = tmp_path / "votes.csv"
    path.write_text("time,anna,bert,carla\n" + "0,1,0,1\n1,0,0,1\n2,1,1,0\n" * 2)
    found = data.raster(path, sites="0,2")
    assert found["site"].values.tolist() == ["anna", "carla"]
    assert found["states"].values[0].tolist() == [[1, 1], [0, 1], [1, 0]] * 2
    path.write_text("a,b\n1,0\n0,0\n# a comment\n1,maybe\n1,1\n")
    with pytest.raises(DataError, match=r"row 5, site b: .*found 'maybe'; correct it"):
        data.raster(path)
    path.write_text("1,0\n0,1\n1,1\n")
    assert data.raster(path)["site"].values.tolist() == [0, 1]
    path.write_text("0,1\n0,-1\n")
    with pytest.raises(DataError, match=r"row 1, site 0: .*found 0 beside −1; write off as"):
        data.raster(path)


def test_a_table_on_its_side_is_told_so_and_can_be_read(tmp_path):
    path, states = tmp_path / "wide.csv", spikes(1, 9, 3)[0]
    np.savetxt(path, states.T, "%d", ",")
    with pytest.raises(DataError, match=r"9 sites, 3 times; .*is that, else --axes site,time"):
        data.raster(path)
    np.testing.assert_array_equal(data.raster(path, axes="site,time")["states"][0], states)
    np.testing.assert_array_equal(data.raster(path, axes="time,site")["states"][0], states.T)


def test_a_file_without_a_raster_is_refused(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.zeros((5, 2)), b=np.zeros((5, 3)))
    with pytest.raises(DataError, match=r"no array of states.*found a, b.*give the array"):
        data.raster(tmp_path / "two.npz")
    (tmp_path / "repeats.csv").write_text("repeat\n0\n0\n")
    with pytest.raises(DataError, match="no columns of sites"):
        data.raster(tmp_path / "repeats.csv")

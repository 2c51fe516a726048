"""Spins and rasters read back exactly in either encoding; no bad one passes."""

import csv
import io

import numpy as np
import pytest
import scipy.io
import xarray as xr
from files import every_format, refused, scratch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesinf import data
from bayesinf.errors import DataError

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


@pytest.mark.parametrize(("what", "content", "words"), BAD_SPINS)
def test_bad_spins_are_refused(file, what, content, words):
    path = file("mine.csv", content)
    refused(data.spins, path, words=[str(path), *words])


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


def test_bad_arrays_of_spins_in_memory_are_refused_alike():
    spins = data.spins_from_arrays
    refused(spins, [[1, 1], [1]], [1, 2], words=["states", "rows differ in length"])
    refused(spins, [[1, 0, -1]] * 2, [1, 2], words=["row 1", "site 2", "0 beside −1"])
    refused(spins, ONES, np.ones(5), words=["transpose"])


def test_other_arrays_of_a_file_come_along_when_asked_for(tmp_path, file):
    states, couplings = np.array([[1, -1], [1, 1]]), np.array([[0.0, 0.5], [0.0, 0.0]])
    np.savez(tmp_path / "a.npz", states=states, energies=[1.0, 2.0], J=couplings, other=[1, 2, 3])
    found = data.spins(tmp_path / "a.npz", also=("J", "h"))
    assert set(found.data_vars) == {"states", "energies", "J"}
    np.testing.assert_array_equal(found["J"], couplings)
    assert found["J"].dims == ("J_dim_0", "J_dim_1")
    raster = data.raster_from_arrays(spikes(), axes="repeat,time,site").assign(h=("site", range(4)))
    raster.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    some = data.raster(tmp_path / "a.nc", sites="0,2", also=("h",))
    np.testing.assert_array_equal(some["h"], range(4))  # all of it, whatever sites are kept
    assert some.sizes["site"] == 2
    table = file("a.csv", "h,energy,J\n1,0.5,-1\n1,0.25,1\n")  # here these are names of sites
    assert set(data.spins(table, also=("h", "J")).data_vars) == {"states", "energies"}
    assert data.spins(table, also=("h", "J")).sizes["site"] == 2


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
    path.write_text("time,anna,bert,carla\n4,0,0,1\n3,1,0,1\n5,1,1,0\n0,1,0,1\n1,0,0,1\n2,1,1,0\n")
    found = data.raster(path, sites="0,2")
    assert found["site"].values.tolist() == ["anna", "carla"]
    assert found["states"].values[0].tolist() == [[1, 1], [0, 1], [1, 0]] * 2
    assert found.attrs["read_as"] == (
        "states of 3 sites are in anna, bert, carla; the rows were sorted by time"
    )
    path.write_text("time,a,b\n0,1,0\n2,0,1\n2,1,1\n")
    with pytest.raises(DataError, match="row 4, column time: a time comes twice"):
        data.raster(path)
    path.write_text("a,b\n1,0\n0,0\n# a comment\n1,maybe\n1,1\n")
    with pytest.raises(DataError, match=r"row 5, site b: .*found 'maybe'; correct it"):
        data.raster(path)
    path.write_text("a,b\nTrue,false\nFALSE,true\n")
    assert data.raster(path)["states"].values[0].tolist() == [[1, 0], [0, 1]]
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

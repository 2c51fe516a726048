"""Many spectra from a folder, a pattern, a table and a cube, and what is refused of them."""

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayesinf.data.spectra import spectra
from bayesinf.errors import DataError

X = np.linspace(700.0, 730.0, 40)
RNG = np.random.default_rng(1)
Y = RNG.normal(5.0, 1.0, (3, 4, len(X)))


def written(folder):
    """The first spectra, a file each."""
    for k in range(3):
        frame = pd.DataFrame({"energy (eV)": X, "counts": Y[0, k]})
        frame.to_csv(folder / f"scan{[1, 2, 10][k]}.csv", index=False)
    return folder


def cube(path, dims=("y", "x", "energy"), **more):
    """The map as netCDF."""
    coords = {
        "energy": ("energy", X, {"units": "eV"}),
        "y": ("y", [0.0, 0.5, 1.0], {"units": "µm"}),
    }
    whole = xr.Dataset({"counts": (("y", "x", "energy"), Y, {"units": "k"}), **more}, coords)
    whole.transpose(*dims, ...).to_netcdf(path, engine="h5netcdf")
    return path


def test_a_folder_and_a_pattern_are_files_in_natural_order(tmp_path):
    written(tmp_path)
    (tmp_path / "notes.md").write_text("none of ours")
    for path in (tmp_path, tmp_path / "*.csv"):
        found = spectra(path)
        assert list(found.names) == ["scan1", "scan2", "scan10"]
        assert found.labels == {"x": ("energy", "eV"), "y": ("counts", "1")}
        for k, one in enumerate(found.part(0, 3).read()):
            assert np.array_equal(one.x, X) and one.y == pytest.approx(Y[0, k], rel=1e-12)
    assert found.part(2, 3).read()[0].name == "scan10"


def test_a_broken_file_is_a_reason(tmp_path):
    written(tmp_path)
    (tmp_path / "a_empty.csv").write_text("")
    (tmp_path / "b_words.csv").write_text("energy (eV),counts\none,two\nthree,four\nfive,six\n")
    (tmp_path / "c_nm.csv").write_text(
        "energy (nm),counts\n" + "\n".join(f"{k},{k * k}" for k in X)
    )
    (tmp_path / "d_nan.csv").write_text("energy (eV),counts\n1,2\n2,NaN\n3,4\n4,5\n")
    found = spectra(tmp_path)
    said = {one.name: one.reason for one in found.part(0, len(found)).read()}
    assert said["a_empty"] == "the file is empty"
    assert said["c_nm"] == "energy is in nm, others in eV"
    assert said["d_nan"].startswith("not a finite number (row 3, column counts")
    assert said["b_words"] and not said["scan1"]


def test_a_changed_file_is_another_item(tmp_path):
    found = spectra(written(tmp_path))
    before = found.part(0, 2)
    assert before == found.part(0, 2)
    (tmp_path / "scan1.csv").write_text("energy (eV),counts\n1,2\n2,3\n3,5\n4,4\n")
    assert before != found.part(0, 2)


def test_a_table_is_cut_by_the_column_that_names_the_spectrum(tmp_path):
    rows = [
        pd.DataFrame(
            {"sample": f"s{k}", "energy (eV)": X, "counts": Y[0, k], "counts_err": 0.1 + k}
        )
        for k in (2, 0, 1)
    ]
    whole = pd.concat(rows).sample(frac=1.0, random_state=1)
    whole.to_csv(tmp_path / "table.csv", index=False)
    found = spectra(tmp_path / "table.csv", spectrum="sample")
    assert sorted(found.names) == ["s0", "s1", "s2"]
    for one in found.part(0, 3).read():
        k = int(one.name[1:])
        assert np.array_equal(one.x, X)
        assert one.y == pytest.approx(Y[0, k], rel=1e-12) and np.all(one.error == 0.1 + k)
    none = spectra(tmp_path / "table.csv", spectrum=1, error="none")
    assert none.part(0, 1).read()[0].error is None
    assert len(none.part(0, 3).read()) == 3
    assert found.single("s1").attrs["y"] == "counts"


@pytest.mark.parametrize("dims", [("y", "x", "energy"), ("energy", "y", "x"), ("y", "energy", "x")])
def test_a_cube_in_any_order_of_axes(tmp_path, dims):
    found = spectra(cube(tmp_path / "map.nc", dims))
    lead = {dim: Y.shape[("y", "x").index(dim)] for dim in dims if dim != "energy"}
    assert dict(found.dims) == lead == {"y": 3, "x": 4}
    assert list(found.names)[:2] == ["0,0", "0,1"] and len(found) == 12
    for first, end in ((0, 12), (3, 5), (5, 11), (11, 12)):
        for k, one in enumerate(found.part(first, end).read(), first):
            assert one.name == found.names[k]
            assert np.array_equal(one.y, Y.reshape(12, -1)[k]) and np.array_equal(one.x, X)
    assert found.coords["y"][1] == "µm"
    assert np.array_equal(found.single("1, 2")["counts"].values, Y[1, 2])


def test_error_bars_and_windows_of_a_cube(tmp_path):
    error = (("y", "x", "energy"), np.abs(Y) + 0.1)
    path = cube(tmp_path / "map.nc", counts_error=error)
    found = spectra(path, windows=[(705, 710), (720, 725)])
    one = found.part(5, 6).read()[0]
    inside = ((X >= 705) & (X <= 710)) | ((X >= 720) & (X <= 725))
    assert np.array_equal(one.x, X[inside]) and np.array_equal(one.y, Y[1, 1][inside])
    assert np.array_equal(one.error, error[1][1, 1][inside])
    assert spectra(path, error="none").part(0, 1).read()[0].error is None


def test_a_cube_of_plain_hdf5(tmp_path):
    with h5py.File(tmp_path / "map.h5", "w") as file:
        file["entry/data/cube"], file["entry/data/energy"] = Y, X[::-1]
    found = spectra(tmp_path / "map.h5:/entry/data")
    assert dict(found.dims) == {"axis_0": 3, "axis_1": 4}
    one = found.part(7, 8).read()[0]
    assert np.array_equal(one.x, X) and np.array_equal(one.y, Y[1, 3][::-1])


def test_single_curves_are_left_alone(tmp_path):
    frame = pd.DataFrame({"energy": X, "counts": Y[0, 0]})
    frame.to_csv(tmp_path / "one.csv", index=False)
    xr.Dataset({"counts": ("energy", Y[0, 0])}, {"energy": X}).to_netcdf(
        tmp_path / "one.nc", engine="h5netcdf"
    )
    assert spectra(tmp_path / "one.csv") is None
    assert spectra(tmp_path / "one.nc") is None


def test_what_cannot_be_read_is_said_in_a_line(tmp_path):
    path = cube(written(tmp_path) / "map.nc", flat=("row", np.ones(3)))
    with pytest.raises(DataError, match="there are no files to read"):
        spectra(tmp_path / "none" / "*.csv")
    with pytest.raises(DataError, match="there is no axis wavelength"):
        spectra(path, "wavelength")
    with pytest.raises(DataError, match="no points in the window 1,2"):
        spectra(path, windows=[(1, 2)])
    with pytest.raises(DataError, match="the error bars are of another shape"):
        spectra(path, error="flat")
    with pytest.raises(DataError, match="there is no column sample"):
        spectra(tmp_path / "scan1.csv", spectrum="sample")
    with pytest.raises(DataError, match="there is no spectrum 9,9"):
        spectra(path).single("9,9")
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.csv").write_text("")
    with pytest.raises(DataError, match="the file is empty"):
        spectra(tmp_path / "only")
    (tmp_path / "torn.nc").write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="the file cannot be read"):
        spectra(tmp_path / "torn.nc")

"""What is written can be read by xarray's own netCDF, and what that writes is read the same."""

from io import BytesIO

import h5py
import numpy as np
import pytest
import xarray as xr

from bayesinf import netcdf


@pytest.fixture(scope="module")
def tree():
    """Every kind of array and attribute that a fit has, of up to four dimensions."""
    rng = np.random.default_rng(0)
    holes = rng.normal(size=(2, 300))
    holes[0, 3] = np.nan
    group = xr.Dataset(
        {
            "draws": (("chain", "draw", "pair"), rng.integers(-9, 9, (2, 300, 3)) / 4),
            "holes": (("chain", "draw"), holes, {"units": "µm", "sizes": [1, 2]}),
            "words": ("pair", np.array(["a", "", "ß"]), {"values": ["x", "y"], "empty": ""}),
            "on": ("pair", [True, False, True]),
            "count": ((), 7),
            "when": ("time", np.array(["2020-01-01", "2020-01-03T12:00"], "datetime64[ns]")),
            "none": (("nobody", "pair"), np.zeros((0, 3))),
        },
        coords={
            "pair": ["A-B", "A-C", "B-C"],
            "i": ("pair", [0, 0, 1]),
            "chain": [0, 1],
            "time": [0.5, 1.5],
        },
        attrs={"name": "group", "size": 3, "share": 0.5},
    )
    return xr.DataTree.from_dict(
        {"/": xr.Dataset(attrs={"title": "all"}), "/one": group, "/one/below": group[["count"]]}
    )


HOW = {
    "/one": {
        "draws": {
            "zlib": True,
            "complevel": 6,
            "shuffle": True,
            "chunksizes": (2, 300, 1),
            "dtype": np.dtype("int16"),
            "scale_factor": 0.25,
            "_FillValue": np.int16(-999),
        }
    }
}


def identical(one, other):
    assert [node.path for node in one.subtree] == [node.path for node in other.subtree]
    for node in one.subtree:
        xr.testing.assert_identical(node.to_dataset(), other[node.path].to_dataset())


@pytest.mark.parametrize("how", [{}, HOW], ids=["plain", "packed"])
def test_it_is_xarrays_own_form(tree, how, tmp_path):
    path = tmp_path / "ours.nc"
    path.write_bytes(netcdf.written(tree, how))
    identical(netcdf.read(path), tree)
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        identical(opened.load(), tree)
    theirs = tmp_path / "theirs.nc"
    theirs.write_bytes(tree.to_netcdf(engine="h5netcdf", encoding=how))
    identical(netcdf.read(theirs), tree)
    identical(netcdf.read(theirs, "one"), tree["one"].copy())
    with h5py.File(path) as one, h5py.File(theirs) as other:
        for name in ("one/draws", "one/words", "one/pair"):
            for kind in ("dtype", "shape", "chunks", "compression", "compression_opts", "shuffle"):
                assert getattr(one[name], kind) == getattr(other[name], kind), (name, kind)


def test_the_same_tree_is_the_same_bytes(tree):
    assert netcdf.written(tree, HOW) == netcdf.written(tree, HOW)


def test_arrays_whose_axes_have_no_names_are_refused(tmp_path):
    with h5py.File(tmp_path / "bare.nc", "w") as file:
        file["group/values"] = np.zeros((2, 3))
    with pytest.raises(OSError, match="/group/values bear no names"):
        netcdf.read(tmp_path / "bare.nc")
    (tmp_path / "classic.nc").write_bytes(
        BytesIO(xr.Dataset({"x": 1.0}).to_netcdf(engine="scipy")).read()
    )
    with pytest.raises(OSError):
        netcdf.read(tmp_path / "classic.nc")

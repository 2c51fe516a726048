"""Files in every format that bayesinf.data reads, and how a bad one must be refused."""

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import xarray as xr
from hypothesis import strategies as st

from bayesinf.codes import CODES
from bayesinf.errors import DataError

SCRATCH = tempfile.TemporaryDirectory()
# Hypothesis tries constants of the package itself, and a code for a missing value is no number; nor
# is one a number of which the square is none.
FINITE = st.floats(-1e99, 1e99).filter(lambda v: abs(v) not in CODES and not 0 < abs(v) < 1e-99)


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


def refused(function, *arguments, words):
    with pytest.raises(DataError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message

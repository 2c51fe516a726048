"""Damaged binary files end their reader at most; a file may not pull in others."""

import os
import random
import time
import zipfile

import h5py
import numpy as np
import openpyxl
import pytest
import scipy.io
import scipy.sparse
import xarray as xr
from files import SAVERS
from straight_line import fit

from bayesinf import posterior, reader
from bayesinf.data import tables
from bayesinf.errors import DataError
from bayesinf.posterior import load, save
from bayesinf.sealed import refuse_large, refuse_reaching


def save_sparse_mat(path, x, y):
    scipy.io.savemat(path, {"raster": scipy.sparse.csc_array(np.eye(20, 6)), "x": x})


def save_hdf5(path, x, y):
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs["signal"], group.attrs["axes"], group["x"] = "y", ["x"], x
        group.create_dataset("y", data=y, chunks=(10,), compression="gzip", shuffle=True)
        group.create_dataset("words", data=["ab", "cde"], dtype=h5py.string_dtype())


def save_npy(path, x, y):
    np.save(path, np.column_stack([x, y]))


def save_xlsx(path, x, y):
    book = openpyxl.Workbook()
    for row in zip(x.tolist(), y.tolist(), strict=True):
        book.active.append(row)
    book.save(path)


def save_jcamp(path, x, y):
    lines = (f"{k}{''.join(f'{int(v):+d}' for v in y[k : k + 8])}" for k in range(0, x.size, 8))
    head = "##TITLE=a\n##FIRSTX=0\n##LASTX=39\n##NPOINTS=40\n##XYDATA=(X++(Y..Y))\n"
    path.write_text("\n".join([head, *lines, "##END="]))


def save_spe(path, x, y):
    counts = "".join(f"{int(v)}\n" for v in y)
    path.write_text(f"$SPEC_ID:\na\n$DATA:\n0 39\n{counts}$MCA_CAL:\n3\n1 2 0.5 keV\n")


FORMATS = SAVERS | {
    save_sparse_mat: "a.mat",
    save_hdf5: "a.h5",
    save_npy: "a.npy",
    save_xlsx: "a.xlsx",
    save_jcamp: "a.jdx",
    save_spe: "a.spe",
}
MUTANTS = int(os.environ.get("BAYESINF_MUTANTS", "6"))  # of each format
SEED = int(os.environ.get("BAYESINF_MUTANTS_SEED", "1"))


def crash(path, place):
    os.abort()


def hang(path, place):
    time.sleep(60)


def grow(path, place):
    return np.ones(10**11)


@pytest.mark.parametrize("save", FORMATS, ids=lambda save: save.__name__)
def test_mutants_are_read_or_refused_in_one_line(save, tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "SECONDS", 5.0)
    path, dice = tmp_path / FORMATS[save], random.Random(SEED)
    save(path, x=np.arange(40.0), y=np.arange(40.0) ** 2)
    whole = path.read_bytes()
    refused = 0
    for _ in range(MUTANTS):
        mutant = bytearray(whole)
        for _ in range(dice.choice([1, 4, 32])):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        path.write_bytes(mutant[: dice.choice([len(mutant), dice.randrange(1, len(mutant))])])
        try:
            tables.read(path)
        except DataError as error:
            assert str(error).isprintable() and len(str(error)) <= 400
            refused += 1
    print(f"{save.__name__}: {MUTANTS} mutants, {refused} refused, none crashed or hung")
    assert refused and os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("load", "said"),
    [
        pytest.param(crash, "ends its reader", marks=pytest.mark.slow),
        (hang, "not read in 0.5 s"),
        pytest.param(grow, "MemoryError", marks=pytest.mark.slow),
    ],
)
def test_what_ends_or_holds_up_the_reader_is_refused_and_the_next_is_read(
    load, said, tmp_path, monkeypatch
):
    path = tmp_path / "a.nc"
    xr.Dataset({"x": ("n", [1.0, 2.0])}).to_netcdf(path, engine="h5netcdf")
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    reader._end()  # a new one finds this module
    tables.read(path)
    monkeypatch.setattr(reader, "SECONDS", 0.5 if load is hang else 60.0)
    with pytest.raises(DataError, match=said):
        reader.apart(load, path, "", "netCDF")
    monkeypatch.setattr(reader, "SECONDS", 60.0)
    assert list(tables.read(path)["x"].values) == [1.0, 2.0]


def reaching(kind, path, secret):
    with h5py.File(path, "a") as file:
        if kind == "link":
            file["outside"] = h5py.ExternalLink(str(secret), "/x")
        elif kind == "storage":
            file.create_dataset("outside", (4,), "u1", external=[(str(secret), 0, 4)])
        else:
            layout = h5py.VirtualLayout((3,), "f8")
            layout[:] = h5py.VirtualSource(str(secret), "x", (3,))
            file.create_virtual_dataset("outside", layout)


@pytest.mark.parametrize(
    ("kind", "said"), [("link", "a link to"), ("storage", "storage in"), ("virtual", "a virtual")]
)
def test_a_file_that_reaches_for_another_is_refused_by_name(kind, said, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.arange(3.0)
    for name in ("a.h5", "a.nc", "a.mat"):
        path = tmp_path / name
        if name == "a.mat":
            SAVERS_73(path, y=np.arange(3.0))
        else:
            with h5py.File(path, "w") as file:
                file["y"] = np.arange(3.0)
        reaching(kind, path, secret)
        with pytest.raises(DataError, match=rf"{name}, /outside: the file reaches for .*{said}"):
            tables.read(path)
    path = save(fit(), tmp_path / "fit.nc")
    reaching(kind, path, secret)
    with pytest.raises(DataError, match=rf"fit.nc, /outside: the file reaches for .*{said}"):
        load(path)


SAVERS_73 = next(save for save in SAVERS if save.__name__ == "save_mat_73")


def test_groups_that_hold_each_other_are_walked_once(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a/x"] = np.arange(3.0)
        file["a/again"] = file["a"]
        file["soft"] = h5py.SoftLink("/a/x")
    refuse_reaching(path)


def save_huge_hdf5(path):
    """A terabyte of zeros, none of which is stored."""
    with h5py.File(path, "w") as file:
        file.create_dataset("y", (2**37,), "f8", chunks=(2**20,), compression="gzip")


def save_zeros_npz(path):
    np.savez_compressed(path, x=np.arange(3.0), y=np.zeros(10**6))


def save_zeros_mat(path):
    scipy.io.savemat(path, {"x": np.arange(3.0), "y": np.zeros(10**6)}, do_compression=True)


def save_workbook(path):
    """One cell of a million letters."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", b"a" * 2**23)


BOMBS = {
    "a.h5": (save_huge_hdf5, "/y"),
    "a.nc": (save_huge_hdf5, "/y"),
    "a.npz": (save_zeros_npz, "y.npy"),
    "a.mat": (save_zeros_mat, "variable 2"),
    "a.xlsx": (save_workbook, "sheet1.xml"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_unfolds_to_too_much_is_refused_by_name(name, tmp_path, monkeypatch):
    monkeypatch.setenv("BAYESINF_READ_BYTES", "4e6")
    save, place = BOMBS[name]
    save(tmp_path / name)
    with pytest.raises(DataError, match=rf"{place}: the file unfolds.* 4e\+06 .*READ_BYTES"):
        refuse_large(tmp_path / name)
    if name == "a.h5":  # whose limit is that of the reader
        monkeypatch.delenv("BAYESINF_READ_BYTES")
    elif name in ("a.nc", "a.mat", "a.xlsx"):
        return
    with pytest.raises(DataError, match=rf"{place}: the file unfolds"):
        tables.read(tmp_path / name)


def test_a_damaged_fit_ends_no_more_than_its_reader(tmp_path, monkeypatch):
    path = save(fit(), tmp_path / "fit.nc")
    monkeypatch.setattr(posterior, "opened", crash)
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    reader._end()  # a new one finds this module
    with pytest.raises(DataError, match=r"fit.nc: the file cannot .*ends its reader.*run its work"):
        load(path)
    monkeypatch.undo()
    assert load(path)["posterior"].sizes["draw"]


def test_a_sparse_matrix_with_entries_outside_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("raster")
        group.attrs["MATLAB_sparse"] = 5
        group["jc"], group["ir"], group["data"] = [0, 1, 2], [1, 10**6], [1.0, 2.0]
    with pytest.raises(DataError, match="the file cannot be read"):
        tables.read(tmp_path / "a.h5")

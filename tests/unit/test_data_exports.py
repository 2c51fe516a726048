"""Exports in which x is told and not written, or the columns to take are not the first two.

Made after public descriptions of the formats, as those of test_data_instruments.py.
"""

import h5py
import numpy as np
import pytest
import xarray as xr
from files import refused

from bayesinf import data

X = np.array([400.0, 400.5, 401.0, 401.5, 402.0, 402.5])
Y = np.array([0.5, 0.75, 1.25, 0.25, -0.5, 0.125])
PAIRS = list(zip(X, Y, strict=True))
ROWS = "".join(f"{x}\t{y}\n" for x, y in PAIRS)
ALONE = "".join(f"{y}\n" for y in Y)
SCAN = "*TYPE\t\t=  Raw\n*START\t\t=  400.0\n*STEP\t\t=  0.5\n*COUNT\t\t=  6\n*YUNIT\t\t=  cps\n"

# What it is, file name, content, names and units of x and y, what is said of x.
TOLD = [
    (
        "oscilloscope, start and increment as columns",
        "a.csv",
        "X,CH1,Start,Increment\nSequence,Volt,400.0,5.0e-01\n"
        + "".join(f"{k},{y},\n" for k, y in enumerate(Y)),
        ("x", "1"),
        ("Volt", "1"),
        "from 400 in steps of 0.5",
    ),
    (
        "oscilloscope, start and increment beside a name",
        "a.csv",
        "CH1(V),t0 =400.0, tInc = 5e-01\n" + "".join(f"{y},,\n" for y in Y),
        ("x", "1"),
        ("CH1", "V"),
        "from 400 in steps of 0.5",
    ),
    (
        "oscilloscope, interval and index of zero",
        "a.csv",
        f"Sample Interval,0.5\nZero Index,-800\nRecord Length,6\nVertical Units,V\n{ALONE}",
        ("x", "1"),
        ("column_1", "1"),
        "from 400 in steps of 0.5",
    ),
    (
        "oscilloscope, origin and units",
        "a.csv",
        f"Points:,6\nXInc:,5.0E-01\nXOrg:,4.0E+02\nX Units:,second\nData:,\n{ALONE}",
        ("x", "s"),
        ("column_1", "1"),
        "from 400 in steps of 0.5 s",
    ),
    (
        "LabVIEW without a column of x",
        "a.lvm",
        "LabVIEW Measurement\t\nSeparator\tTab\nX_Columns\tNo\n***End_of_Header***\t\n\t\n"
        "Channels\t2\t\t\nSamples\t6\t6\t\nX0\t4.0E+2\t4.0E+2\t\nDelta_X\t0.500\t0.500\t\n"
        "***End_of_Header***\t\t\t\nX_Value\tVoltage_0\tVoltage_1\tComment\n"
        + "".join(f"\t{y}\t{y / 2}\n" for y in Y),
        ("x", "1"),
        ("Voltage_0", "1"),
        "from 400 in steps of 0.5",
    ),
    (
        "diffraction, counts several a row",
        "a.asc",
        SCAN + "*BEGIN\n0.5, 0.75, 1.25, 0.25\n-0.5, 0.125\n*END\n",
        ("2theta", "°"),
        ("counts", "cps"),
        "from 400° by 0.5°",
    ),
]
# The same, of x and y that stand there.
WRITTEN = [
    (
        "oscilloscope, settings beside names",
        "a.csv",
        "Time(s),CH1(V),t0 = 400.0, tInc = 5.0e-01,\n" + ROWS.replace("\t", ","),
        ("Time", "s"),
        ("CH1", "V"),
    ),
    (
        "chromatogram, an interval in other units",
        "a.txt",
        "[Header]\nVersion\t2.41\n[Chromatogram (Ch1)]\nSample Interval(msec)\t40\n"
        "Start Time(min)\t400\nR.Time (min)\tIntensity\n" + ROWS,
        ("R_Time", "min"),
        ("Intensity", "1"),
    ),
    (
        "meter, readings before their times",
        "a.csv",
        "Index,Reading,Unit,Relative Time,Channel\n"
        + "".join(f"{k},{y},Volt DC,{x},1\n" for k, (x, y) in enumerate(PAIRS, 1)),
        ("Relative_Time", "1"),
        ("Reading", "1"),
    ),
    (
        "camera, frame and row between",
        "a.txt",
        "".join(f"{x}\t1\t1\t{y}\n" for x, y in PAIRS),
        ("column_1", "1"),
        ("column_4", "1"),
    ),
    (
        "quantum chemistry, a scan with a counter called N",
        "a.log",
        " Summary of the surface scan:\n  N      R1        SCF\n ----  ---------  --------\n"
        + "".join(f"    {k}   {x:.2f}   {y:.6f}\n" for k, (x, y) in enumerate(PAIRS, 1))
        + " ----  ---------  --------\n",
        ("R1", "1"),
        ("SCF", "1"),
    ),
    (
        "quantum chemistry, tabs before columns of spaces",
        "a.out",
        "\n\tInteraction energy scan\n\n\t   R [Ang]      E_int [kcal/mol]\n\t-------------------\n"
        + "".join(f"\t   {x:.3f}         {y:.6f}\n" for x, y in PAIRS),
        ("R", "Ang"),
        ("E_int", "kcal/mol"),
    ),
    (
        "magnetometer, time stamps beside",
        "a.dat",
        "[Header]\nINFO,1\n[Data]\nComment,Time Stamp (sec),Temperature (K),Moment Ch1 (emu)\n"
        + "".join(f",{3.7e9 + k:.1f},{x},{y}\n" for k, (x, y) in enumerate(PAIRS)),
        ("Temperature", "K"),
        ("Moment_Ch1", "emu"),
    ),
    (
        "Raman, names set apart twice",
        "a.txt",
        "#Wave\t\t#Intensity\n" + ROWS,
        ("Wave", "1"),
        ("Intensity", "1"),
    ),
    (
        "word processor, dashes for minus signs",
        "a.txt",
        "x;y\n" + "".join(f"{x};{y}\n".replace("-", "\u2013") for x, y in PAIRS),
        ("x", "1"),
        ("y", "1"),
    ),
    (
        "UTF-16 without a mark",
        "a.txt",
        ("Wavelength (nm)\tCounts\r\n" + ROWS.replace("\n", "\r\n")).encode("utf-16-le"),
        ("Wavelength", "nm"),
        ("Counts", "1"),
    ),
]


@pytest.mark.parametrize(("what", "name", "content", "x", "y", "said"), TOLD, ids=lambda v: v[:40])
def test_an_axis_that_the_heading_tells_is_read_aloud(file, what, name, content, x, y, said):
    found = data.curve(file(name, content))
    at, of, bars = data.axes(found)
    np.testing.assert_allclose(at, X, rtol=1e-12)
    np.testing.assert_array_equal(of, Y)
    assert bars is None and said in found.attrs["read_as"]
    assert (at.attrs["long_name"], at.attrs["units"]) == (x[0].replace("_", " "), x[1])
    assert (of.name, of.attrs["units"]) == y


@pytest.mark.parametrize(
    ("what", "name", "content", "x", "y"), WRITTEN, ids=[each[0] for each in WRITTEN]
)
def test_the_columns_that_vary_are_read(file, what, name, content, x, y):
    found = data.curve(file(name, content))
    at, of, bars = data.axes(found)
    np.testing.assert_array_equal(at, X)
    np.testing.assert_array_equal(of, Y)
    assert bars is None and "told" not in found.attrs["read_as"]
    assert (at.name, at.attrs["units"]) == x
    assert (of.name, of.attrs["units"]) == y


def test_a_rate_tells_an_axis_that_begins_at_zero(file):
    found = data.curve(file("a.txt", f"# sampling rate: 8 Hz\n{ALONE}"))
    np.testing.assert_array_equal(found["x"], np.arange(6) / 8)
    assert found["x"].units == "s" and "from 0, as no start is told" in found.attrs["read_as"]


@pytest.mark.parametrize(
    ("content", "x"),
    [
        (f"# step: 5\nx y\n{ROWS}", X),  # goes its own way
        (f"# step: 0.5\nx y\n{ROWS}", X),
        ("# step: 5\n" + "".join(f"{y} {x}\n" for x, y in PAIRS), np.sort(Y)),  # no start is told
    ],
)
def test_an_axis_that_is_written_stays(file, content, x):
    np.testing.assert_array_equal(data.axes(data.curve(file("a.txt", content)))[0], x)


def test_several_passes_over_x_are_said(file):
    frames = "".join(
        f"{frame},{x},{y + (-1) ** (k * frame)}\n"
        for frame in (1, 2)
        for k, (x, y) in enumerate(PAIRS)
    )
    found = data.curve(file("a.csv", "Frame,Wavelength,Intensity\n" + frames))
    assert "x has 6 different values in 12 rows" in found.attrs["read_as"]


def test_error_bars_of_another_column_are_not_taken(file):
    head = "Temperature (K),Field (Oe),Long Moment (emu),Long Scan Std Dev\n"
    rows = "".join(f"{x},{y},{y * 2},0.{k + 1}\n" for k, (x, y) in enumerate(PAIRS))
    path = file("a.csv", head + rows)
    assert "error" not in data.curve(path)
    assert "error" in data.curve(path, y="Long Moment")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.asc", SCAN + "*BEGIN\n1, 2, 3\n*END\n", ["not whole", "*COUNT = 6", "3 counts"]),
        ("a.asc", f"{SCAN}*BEGIN\n1\n*END\n{SCAN}*BEGIN\n2\n*END\n", ["several scans", "one by"]),
        ("a.asc", "*TYPE = Raw\n*BEGIN\n1, 2\n*END\n", ["keyword is missing", "_START"]),
        ("a.spc", b"\x00\x4b" + bytes(range(200)), ["unknown kind", ".spc", "it is binary"]),
        ("a.chn", b"\xff\xff\x01\x00" * 20, ["unknown kind", "it is binary"]),
        ("a.xrdml", '<?xml version="1.0"?>\n<x/>\n', ["unknown kind", "it is XML: export a table"]),
        ("a.mpt", "EC-Lab ASCII FILE\n", ["unknown kind", "give it the suffix .txt"]),
        ("a.csv", ",".join(map(str, range(200_000))), ["too many columns", "found 200000"]),
    ],
)
def test_what_is_of_another_kind_is_refused_in_words(file, name, content, words):
    refused(data.curve, file(name, content), words=words)


@pytest.mark.parametrize("units", [np.array([1.0, 2.0]), 3.5, np.array([]), np.array([b"a", b"b"])])
def test_units_that_are_no_text_are_left_out(tmp_path, units):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = X, Y
        file["y"].attrs["units"] = units
    assert data.curve(tmp_path / "a.h5")["y"].units == "1"
    if np.asarray(units).dtype.kind == "f":
        variables = {"x": ("n", X), "y": ("n", Y, {"units": units})}
        xr.Dataset(variables, attrs={"x": 5, "y": "y"}).to_netcdf(tmp_path / "a.nc")
        found = data.curve(tmp_path / "a.nc")
        assert found["y"].units == "1"
        assert "units of y is no text and left out" in found.attrs["read_as"]
        assert "x of the file is no text" in found.attrs["read_as"]


def test_nothing_of_a_file_moves_the_cursor(tmp_path, file):
    evil = "\x1b[2J\x1b]0;owned\x07\u202e"
    names = {f"x{evil}": X, f"y{evil} (n{evil}m)": Y, "z" * 500: Y}
    np.savez(tmp_path / "a.npz", **names)
    head = ",".join(names)
    rows = "".join(f"{x},{y},{y}\n" for x, y in PAIRS)
    for path in (tmp_path / "a.npz", file("a.csv", f"{head}\n{rows}")):
        found = data.curve(path)
        assert found.attrs["read_as"].isprintable() and len(found.attrs["read_as"]) < 1000
        refused(lambda path: data.curve(path, x="none"), path, words=["there is no column none"])
    variables = {"x": ("n", X, {"units": evil}), "y": ("n", Y)}
    xr.Dataset(variables, attrs={"x": "x", "y": "x"}).to_netcdf(tmp_path / "a.nc")
    found = data.curve(tmp_path / "a.nc")
    assert found.attrs["y"] == "y"  # not x against itself

"""Files as instruments and the programs around them write them, made after public descriptions.

Each is read to the numbers that a person sees in it, under the names and units that stand there, or
is refused in words that say what to do.
"""

import h5py
import numpy as np
import pytest
from files import refused

from bayesinf import data

X = np.array([400.0, 401.0, 402.0, 403.0])
Y = np.array([0.5, 0.75, 1.25, 0.25])
ROWS = "".join(f"{x:.1f}\t{y}\n" for x, y in zip(X, Y, strict=True))
COMMAS = "".join(f"{x:.1f};{y}\n".replace(".", ",") for x, y in zip(X, Y, strict=True))

# What it is, file name, content, names and units of x and y.
READ = [
    (
        "spectrometer, heading and footer",
        "a.txt",
        "Example Data File\n+++++++\nDate: Mon Mar 01 10:00:00 2021\nIntegration Time (usec): 20000"
        "\nSpectra Averaged: 10\n>>>>>Begin Processed Spectral Data<<<<<\n"
        + ROWS
        + ">>>>>End Processed Spectral Data<<<<<\n",
        ("column_1", "1"),
        ("column_2", "1"),
    ),
    (
        "German office, heading, units row",
        "a.csv",
        "Probe;A 17\nBemerkung;erste Messung\n\nWellenlänge;Extinktion\nnm;a.u.\n" + COMMAS,
        ("Wellenlänge", "nm"),
        ("Extinktion", "a.u."),
    ),
    (
        "UV-vis, two of one width, footer",
        "a.csv",
        "Baseline,,Sample 1,\nWavelength (nm),%T,Wavelength (nm),Abs\n"
        + "".join(f"{x},99.{k},{x},{y}\n" for k, (x, y) in enumerate(zip(X, Y, strict=True)))
        + "\nInstrument Model,Cary\nScan Rate (nm/min),600.0\n\n",
        None,
        None,
    ),
    (
        "UV-vis, quoted names below a title",
        "a.txt",
        '"sample 1 - RawData"\n"Wavelength nm.","Abs."\n' + ROWS.replace("\t", ","),
        ("Wavelength nm.", "1"),
        ("Abs.", "1"),
    ),
    (
        "IR, data point table",
        "a.dpt",
        ROWS.replace("\t", ","),
        ("column_1", "1"),
        ("column_2", "1"),
    ),
    (
        "Raman, hashes before names",
        "a.txt",
        "#Wave\t#Intensity\n" + ROWS,
        ("Wave", "1"),
        ("Intensity", "1"),
    ),
    (
        "Raman, settings after hashes",
        "a.txt",
        "#Acq. time (s)=\t10\n#Laser=\t532 nm\n#Grating=\t600 (600 gr/mm)\n" + ROWS,
        ("column_1", "1"),
        ("column_2", "1"),
    ),
    (
        "diffraction, xy with a quoted title",
        "a.xy",
        "'corundum, 40 kV 30 mA\n" + ROWS,
        ("column_1", "1"),
        ("column_2", "1"),
    ),
    (
        "diffraction, CHI",
        "a.chi",
        "sample.tif: Azimuthal integration\n2-Theta Angle (Degrees)\nIntensity\n 4\n"
        + ROWS.replace("\t", "  "),
        ("2-Theta Angle", "Degrees"),
        ("Intensity", "1"),
    ),
    (
        "diffraction, UXD in pairs",
        "a.uxd",
        "; File raw converted\n_FILEVERSION = 2\n_SAMPLE='corundum'\n; (Data for Range number 1)\n"
        "_START=400.0\n_STEPSIZE=1.0\n_2THETACOUNTS\n" + ROWS,
        ("2theta", "°"),
        ("counts", "counts"),
    ),
    (
        "diffraction, UXD of counts",
        "a.uxd",
        "_FILEVERSION = 2\n_START = 400.0\n_STEPSIZE = 1.0\n_STEPCOUNT = 4\n_COUNTS\n"
        " 0.5 0.75\n 1.25 0.25\n",
        ("2theta", "°"),
        ("counts", "counts"),
    ),
    (
        "camera, settings below the numbers",
        "a.asc",
        ROWS + "\n\nDate and Time:\tMon Mar 01 2021\nSoftware Version:\t4.31\n"
        "Exposure Time (secs):\t0.1\n",
        ("column_1", "1"),
        ("column_2", "1"),
    ),
    (
        "IR, sections with single numbers",
        "a.asc",
        "PE IR       SUBTECH     SPECTRUM    ASCII       PEDS        1.60\n-1\nfile.sp\n21/03/12\n"
        "#GR\nCM-1\n%T\n1.0000000000\n0.0000000000\n4\n#DATA\n" + ROWS,
        None,
        None,
    ),
    (
        "LabVIEW measurement",
        "a.lvm",
        "LabVIEW Measurement\t\nWriter_Version\t2\nReader_Version\t2\nSeparator\tTab\n"
        "Decimal_Separator\t.\nMulti_Headings\tNo\nX_Columns\tOne\nTime_Pref\tAbsolute\n"
        "***End_of_Header***\t\n\t\nChannels\t1\t\nSamples\t4\t\nDate\t2021/03/12\t\n"
        "X_Dimension\tTime\t\nX0\t0.0E+0\t\nDelta_X\t1.0\t\n***End_of_Header***\t\t\n"
        "X_Value\tVoltage\tComment\n" + ROWS,
        ("X_Value", "1"),
        ("Voltage", "1"),
    ),
    (
        "plotting program, names, units, remarks",
        "a.txt",
        "Wavelength\tAbsorbance\nnm\ta.u.\n\tsample 7\n" + ROWS,
        ("Wavelength", "nm"),
        ("Absorbance", "a.u."),
    ),
    (
        "Fortran, D exponents",
        "a.dat",
        "    omega          chi\n"
        + "".join(f"  {x / 1000:.6f}D+03  {y * 100:.4f}D-02\n" for x, y in zip(X, Y, strict=True)),
        ("omega", "1"),
        ("chi", "1"),
    ),
    (
        "oscilloscope, settings beside the numbers",
        "a.csv",
        "Record Length,4,,400.0,0.5\nSample Interval,1.0,,401.0,0.75\n"
        "Vertical Units,V,,402.0,1.25\n,,,403.0,0.25\n",
        ("column_4", "1"),
        ("column_5", "1"),
    ),
    (
        "oscilloscope, settings above names",
        "a.csv",
        "Model,MSO58\nRecord Length,4\nHorizontal Units,s\n\n\nTIME,CH1\n"
        + ROWS.replace("\t", ","),
        ("TIME", "1"),
        ("CH1", "1"),
    ),
    (
        "oscilloscope, names with numbers and units",
        "a.csv",
        "x-axis,1\nsecond,Volt\n" + ROWS.replace("\t", ","),
        ("x-axis", "second"),
        ("1", "Volt"),
    ),
    (
        "spreadsheet as text, UTF-16, strokes",
        "a.txt",
        ("λ/nm\tAbsorbance\r\n" + ROWS.replace("\n", "\r\n")).encode("utf-16"),
        ("λ", "nm"),
        ("Absorbance", "1"),
    ),
    (
        "old Macintosh, spaces, decimal commas",
        "a.txt",
        ("x y\n" + COMMAS.replace(";", "  ")).replace("\n", "\r"),
        ("x", "1"),
        ("y", "1"),
    ),
    (
        "a table of a text, with lines drawn",
        "a.txt",
        "| wavelength / nm | signal |\n|-----------------|--------|\n"
        + "".join(f"| {x} | {y} |\n" for x, y in zip(X, Y, strict=True)),
        ("wavelength", "nm"),
        ("signal", "1"),
    ),
    (
        "NumPy, units in a second remark",
        "a.dat",
        "# x y\n# nm counts\n" + ROWS.replace("\t", " "),
        ("x", "nm"),
        ("y", "counts"),
    ),
]


@pytest.mark.parametrize(("what", "name", "content", "x", "y"), READ, ids=[r[0] for r in READ])
def test_a_file_of_an_instrument_is_read(file, what, name, content, x, y):
    found = data.curve(file(name, content), **({"y": "Abs"} if "one width" in what else {}))
    at, of, bars = data.axes(found)
    np.testing.assert_allclose(at, X, rtol=1e-12)
    np.testing.assert_allclose(of, Y, rtol=1e-12)
    assert bars is None
    if x is not None:
        assert (at.attrs["long_name"], at.attrs["units"]) == x
        assert (of.attrs["long_name"], of.attrs["units"]) == y


GAMMA = (
    "$SPEC_ID:\nCs-137\n$SPEC_REM:\nDET# 1\n$DATE_MEA:\n03/12/2021 10:14:05\n$MEAS_TIM:\n300 302\n"
    "$DATA:\n0 5\n       0\n       3\n      12\n       5\n       1\n       0\n$ROI:\n0\n"
)


def test_gamma_spectra_are_read_with_and_without_their_energies(file):
    plain = data.curve(file("a.Spe", GAMMA))
    assert plain.attrs["x"] == "channel" and "error" not in plain
    np.testing.assert_array_equal(plain["channel"], range(6))
    np.testing.assert_array_equal(plain["counts"], [0, 3, 12, 5, 1, 0])
    fitted = data.curve(file("b.spe", GAMMA + "$ENER_FIT:\n-1.5 0.25\n"))
    np.testing.assert_array_equal(fitted["energy"], -1.5 + 0.25 * np.arange(6))
    assert fitted["energy"].attrs["units"] == "keV"
    cubic = data.curve(file("c.spe", GAMMA + "$MCA_CAL:\n3\n1.0E+00 2.0E+00 5.0E-01 keV\n"))
    np.testing.assert_array_equal(cubic["energy"], [1, 3.5, 7, 11.5, 17, 23.5])
    assert "1 + 2 · channel + 0.5 · channel^2" in cubic.attrs["read_as"]
    none = data.curve(file("d.spe", GAMMA + "$ENER_FIT:\n0 0\n"))
    assert none.attrs["x"] == "channel" and "no calibration" in none.attrs["read_as"]


def test_error_bars_of_a_format_are_taken_and_said(file):
    rows = "".join(f"{x} {y} 0.{k + 1}\n" for k, (x, y) in enumerate(zip(X, Y, strict=True)))
    found = data.curve(file("a.xye", rows))
    np.testing.assert_array_equal(found["error"], [0.1, 0.2, 0.3, 0.4])
    assert "error bars are in column 3, as an XYE file has them" in found.attrs["read_as"]
    assert "error" not in data.curve(file("a.xy", rows))
    assert "error" not in data.curve(file("b.xye", rows), error="none")
    named = data.curve(file("a.dat", "# q I dI\n" + rows))
    assert "error bars are in dI, by its name" in named.attrs["read_as"]


def test_a_workbook_is_read_with_the_rows_that_the_program_shows(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet["A1"] = "measured on Monday"
    for row in (
        [],
        ["Wavelength", "Sample 1"],
        ["nm", "counts"],
        [400, 1046.125],
        [401, 0.1],
        [402.5, 1e-7],
        [403, 12],
        [None, None],
    ):
        sheet.append(row)
    book.create_sheet("notes").append(["nothing", "to see"])
    book.save(tmp_path / "a.xlsx")
    found = data.curve(tmp_path / "a.xlsx")
    np.testing.assert_array_equal(found["Wavelength"], [400, 401, 402.5, 403])
    np.testing.assert_array_equal(found["Sample_1"], [1046.125, 0.1, 1e-7, 12])
    assert found["Sample_1"].attrs == {"long_name": "Sample 1", "units": "counts"}
    np.testing.assert_array_equal(data.read(tmp_path / "a.xlsx")["row"], [5, 6, 7, 8])
    book["notes"].append([1, 2])
    book.save(tmp_path / "b.xlsx")
    refused(data.curve, tmp_path / "b.xlsx", words=["several sheets", "b.xlsx:Sheet"])
    refused(data.curve, tmp_path / "b.xlsx:other", words=["no sheet other", "Sheet, notes"])
    assert data.curve(tmp_path / "b.xlsx:Sheet").sizes["point"] == 4


def test_hdf5_is_read_by_path_and_nexus_says_what_is_what(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as opened:
        group = opened.create_group("entry/data")
        group.attrs["NX_class"], group.attrs["signal"], group.attrs["axes"] = "NXdata", "I", ["q"]
        for name, values, unit in (("q", X, "1/nm"), ("I", Y, "1/cm"), ("I_errors", Y / 10, "")):
            group[name] = values
            group[name].attrs["units"] = unit
        opened["other/table"] = np.column_stack([Y, X])
        opened["other/q"] = X + 1
    found = data.curve(f"{path}:/entry/data")
    np.testing.assert_array_equal(found["q"], X)
    np.testing.assert_array_equal(found["error"], Y / 10)
    assert (found["q"].attrs["units"], found.attrs["source"]) == ("1/nm", "a.h5:/entry/data")
    assert data.curve(path).attrs["x"] == "entry_data_q"  # two arrays are called q
    table = data.curve(f"{path}:/other/table", x=2, y=1)
    np.testing.assert_array_equal(data.axes(table)[1], Y)
    refused(data.curve, f"{path}:/nowhere", words=["no numbers at nowhere", "entry/data/q"])
    refused(data.curve, f"{tmp_path}/none.h5:/entry", words=["no such file"])


def test_matlab_structures_cells_and_sparse_matrices_are_read(tmp_path):
    import scipy.io
    import scipy.sparse

    path = tmp_path / "a.mat"
    times = np.empty(3, dtype=object)
    times[:] = [np.array([0.1, 0.5, 1.2]), np.array([0.3]), np.array([0.2, 0.9, 1.0, 1.1])]
    scipy.io.savemat(path, {"result": {"wavelength": X, "counts": Y, "who": "me"}})
    found = data.curve(path)
    np.testing.assert_array_equal(found["counts"], Y)
    scipy.io.savemat(path, {"raster": scipy.sparse.csc_array(np.eye(5, 3)), "rate": 50.0})
    np.testing.assert_array_equal(data.raster(path)["states"][0], np.eye(5, 3))
    scipy.io.savemat(path, {"spikes": times})
    refused(data.raster, path, words=["these are spike times", "8 times of 3 cells", "--bin"])
    found = data.raster(path, bin=0.5)
    np.testing.assert_array_equal(found["states"][0], [[1, 1, 1], [1, 0, 1], [1, 0, 1]])
    scipy.io.savemat(path, {"nothing": {"words": "here"}, "c": np.array([1, "a"], dtype=object)})
    refused(data.curve, path, words=["too few columns"])


def test_spike_times_are_told_and_binned(file):
    spikes = "cell,spike_time_ms,trial\n1,10.0,1\n2,12,1\n1,31,1\n1,31.5,1\n2,49,2\n1,10,2\n"
    path = file("a.csv", spikes)
    refused(data.raster, path, words=["these are spike times", "6 times of 2 cells", "(ms)"])
    found = data.raster(path, bin=10.0, encoding="±1")
    expected = [[[1, 1], [-1, -1], [1, -1], [-1, -1]], [[1, -1], [-1, -1], [-1, -1], [-1, 1]]]
    np.testing.assert_array_equal(found["states"], expected)
    assert found["site"].values.tolist() == [1, 2]
    assert found.attrs["read_as"] == (
        "6 spike times of 2 cells in 4 bins of 10 ms, of which 1 fell beside another"
    )
    wide = file("b.csv", "A,B\n0.1,0.15\n0.4,0.65\n0.9,0.7\n1.2,\n")
    np.testing.assert_array_equal(data.raster(wide, bin=0.5)["states"][0], [[1, 1], [1, 1], [1, 0]])
    assert data.raster(wide, bin=0.5)["site"].values.tolist() == ["A", "B"]
    states = file("c.csv", "a,b\n0,1\n1,0\n0,0\n")
    with pytest.raises(data.tables.DataError, match=r"no spike times.*leave --bin out"):
        data.raster(states, bin=0.5)
    with pytest.raises(data.tables.DataError, match=r"too narrow.*say a wider one"):
        data.raster(path, bin=1e-9)


def test_rows_of_missing_votes_are_left_out_aloud_or_refused(file):
    path = file("a.csv", "case,anna,bert\nx-1,1,0\nx-2,NA,1\nx-3,0,1\nx-4,1,\nx-5,1,1\n")
    refused(data.raster, path, words=["row 3, site anna", "found 'NA'"])
    found = data.raster(path, missing="drop")
    np.testing.assert_array_equal(found["states"][0], [[1, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(found["time"], [0, 2, 4])
    assert found.attrs["read_as"] == (
        "states of 2 sites are in anna, bert; not used: case; "
        "2 of 5 rows, in which a state is missing, are left out"
    )
    whole = data.raster(path, missing="drop", sites="1-1")
    assert whole["states"].sizes["time"] == 4  # only what is kept needs to be whole
    gaps = file("b.csv", "anna,bert\nNA,1\n0,1\nNA,0\nNA,1\n")
    with pytest.raises(data.tables.DataError, match="is missing most, site anna"):
        data.raster(gaps, missing="drop")
    words = file("c.csv", "anna,bert\n1,0\n0,maybe\n1,1\n")
    with pytest.raises(data.tables.DataError, match=r"row 3, site bert: .*found 'maybe'"):
        data.raster(words, missing="drop")


# What it is, file name, content, key words of the refusal.
REFUSED = [
    (
        "several ranges",
        "a.uxd",
        "_START=1\n_STEPSIZE=1\n_COUNTS\n1 2\n_START=5\n_COUNTS\n3 4\n",
        ["one range of counts", "_COUNTS, _COUNTS", "one by one"],
    ),
    (
        "counts that are lost",
        "a.uxd",
        "_START=1\n_STEPSIZE=1\n_STEPCOUNT=4\n_COUNTS\n1 2 3\n",
        ["not whole", "_STEPCOUNT = 4", "3 counts"],
    ),
    (
        "points that are lost",
        "a.chi",
        "title\nx\ny\n 5\n 1 2\n 2 3\n 3 4\n",
        ["not whole", "5 points", "found 3"],
    ),
    (
        "channels that are lost",
        "a.spe",
        "$DATA:\n0 9\n1\n2\n3\n",
        ["not whole", "channels 0 to 9", "3 counts"],
    ),
    (
        "a camera's spectrum",
        "a.spe",
        b"\x00\x01\x02\x03" * 20,
        ["no gamma spectrum", "table of text"],
    ),
    ("no error bars where the format has them", "a.xye", "1 2\n2 3\n3 4\n", ["error bars"]),
    (
        "a row of too few",
        "a.csv",
        "made by hand\n\nx,y\n1,2\n2,3\n3\n4,5\n",
        ["row 6", "too few columns", "2 (x, y)", "data seem to begin in row 4", "start it with #"],
    ),
    ("a broken formula", "a.csv", "x,y\n1,2\n#REF!,3\n3,4\n", ["row 3, column x", "'#REF!'"]),
    ("a broken formula at the end", "a.csv", "x,y\n1,2\n2,3\n3,#DIV/0!\n", ["row 4, column y"]),
    ("a remark without a space", "a.csv", "x,y\n1,2\n5,3#1\n3,4\n", ["row 3, column y", "'3#1'"]),
    ("a number of Python's", "a.csv", "x,y\n1,2\n2,1_000\n3,4\n", ["row 3, column y", "'1_000'"]),
    (
        "several scans",
        "a.dat",
        "# scan 1\n1 2\n2 3\n3 5\n\n# scan 2\n1 7\n2 8\n3 9\n",
        ["several tables", "tables from rows 2, 7", "one by one"],
    ),
    ("only words", "a.txt", "There is nothing here,\nbut words.\n", ["no"]),
    (
        "days or months",
        "a.csv",
        "date,y\n1/2/2021,1\n2/2/2021,2\n3/2/2021,3\n",
        ["1/2/2021 may be day and month", "2021-12-31"],
    ),
    ("a bad row below the names", "a.csv", "x,y\nabc,1\n2,3\n3,4\n", ["row 2, column x", "'abc'"]),
]


@pytest.mark.parametrize(("what", "name", "content", "words"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_cannot_be_read_is_refused_in_words(file, what, name, content, words):
    path = file(name, content)
    refused(data.curve, path, words=[str(path), *words])


def test_days_are_added_to_times_of_day(file):
    night = "day;clock;y\n12.03.2021;23:59:59;1\n13.03.2021;00:00:01;2\n13.03.2021;00:00:02;3\n"
    found = data.curve(file("a.csv", night))
    np.testing.assert_array_equal(found["clock"], [0, 2, 3])
    assert found.attrs["y"] == "y"
    alone = "\n".join(line.partition(";")[2] for line in night.splitlines())
    np.testing.assert_array_equal(data.curve(file("b.csv", alone))["clock"], [0, 2, 3])


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (("2021-03-12", "2021-03-13", "2021-03-14T12:00"), (0, 86400, 216000)),
        (("12.03.2021 10:14:05", "12.03.2021 10:14:06,5", "12.03.2021 10:15:05"), (0, 1.5, 60)),
        (
            ("3/13/2021 11:59:00 PM", "3/14/2021 12:01:00 AM", "3/14/2021 12:01:01 PM"),
            (0, 120, 43321),
        ),
        (("10:14:05", "10:14:07.25", "11:14:05"), (0, 2.25, 3600)),
        (("2021/03/12 10:14", "2021/03/12 10:15", "2021/03/12 10:16"), (0, 60, 120)),
    ],
)
def test_a_column_of_dates_or_times_is_the_axis_whatever_it_is_called(file, cells, seconds):
    rows = "".join(f"{k};{cell};{k * k}\n" for k, cell in enumerate(cells, 1))
    found = data.curve(file("a.csv", "pressure;when it was;y\n" + rows))
    x, y, _ = data.axes(found)
    assert (x.name, x.attrs["units"], y.name) == ("when_it_was", "s", "y")
    np.testing.assert_array_equal(x, seconds)
    assert f"when it was in seconds since {cells[0]}" in found.attrs["read_as"]

"""Numbers in the dialects of offices and programs: read back exactly, or refused; never another."""

import numpy as np
import pytest
from files import refused, scratch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesinf import data
from bayesinf.data import jcamp
from bayesinf.data.dialects import Dialect, parsed
from bayesinf.data.headings import name_and_units
from bayesinf.data.units import spelled
from bayesinf.errors import DataError

THOUSANDS = "Wavelength{s}Counts\n400{s}1,035\n401{s}1,030\n402{s}1,046\n"


@pytest.mark.parametrize("separator", ["\t", ";", "  "])
def test_one_group_of_three_is_refused_and_an_option_decides(file, separator):
    path = file("a.txt", THOUSANDS.format(s=separator))
    words = ["row 2, column Counts", "'1,035' is 1035 or 1.035", "--decimal . for 1035"]
    refused(data.curve, path, words=words)
    np.testing.assert_array_equal(data.curve(path, decimal=".")["Counts"], [1035, 1030, 1046])
    np.testing.assert_array_equal(data.curve(path, decimal=",")["Counts"], [1.035, 1.03, 1.046])
    with pytest.raises(DataError, match="unknown decimal mark"):
        data.curve(path, decimal=":")


# Cells of two columns, and what they are by what the file shows.
DECIDED = [
    ("1,234,567", "400", 1234567, 400),
    ("1,234.5", "400", 1234.5, 400),
    ("1.234,5", "1.046", 1234.5, 1046),
    ("1.234.567", "1,046", 1234567, 1.046),
    ("1,035", "400.5", 1035, 400.5),
    ("1,035", "400,5", 1.035, 400.5),
    ("1.035", "400,5", 1035, 400.5),
    ("1,035", "0,125", 1.035, 0.125),
    ("1,035", "1,25e3", 1.035, 1250),
    ("-1,035", "-.5", -1035, -0.5),
    ("1'046.5", "1,035", 1046.5, 1035),
    ("1 046,5", "1,035", 1046.5, 1.035),
    ("1\u202f046", "2", 1046, 2),
    ("−3,5", "+2", -3.5, 2),
    ("1.5D-03", "2d+2", 0.0015, 200),
    ("12345,678", "1,000", 12345.678, 1),
    ("0,125", "1.046", 0.125, 1046),
    ("1,035e3", "1.046", 1035, 1046),
]


@pytest.mark.parametrize(("first", "second", "x", "y"), DECIDED)
@pytest.mark.parametrize("separator", ["\t", ";"])
def test_what_a_file_shows_decides_its_marks(file, separator, first, second, x, y):
    rows = [separator.join(pair) for pair in ((first, second), ("7", "8"), ("9", "7"))]
    found = data.curve(file("a.txt", "\n".join(rows)), 1, 2, sort=False)
    np.testing.assert_array_equal(found.to_array()[:, 0], [x, y])


# Cells that cannot be told, or are no numbers of one dialect.
OPEN = [
    ("1,035", "1.046"),
    ("1,5", "2.5"),
    ("1,23,456", "2"),
    ("1.23.4", "2"),
    ("1,234.5", "1.234,5"),
    ("1,0356", "1.5"),
    ("5,3#1", "2"),
    ("1_000", "2"),
    ("1,5,", "2"),
    ("12 34", "2"),
    ("1e5e5", "2"),
]


@pytest.mark.parametrize("cells", OPEN)
def test_what_contradicts_itself_is_refused(file, cells):
    rows = ["\t".join(pair) for pair in (cells, ("7", "8"), ("9", "7"))]
    refused(data.curve, file("a.txt", "\n".join(rows)), 1, 2, words=["row 1"])


def test_a_point_beside_semicolons_may_stand_between_thousands(file):
    refused(
        data.curve,
        file("a.csv", "x;y\n400;1.035\n401;1.030\n402;1.046\n"),
        words=["row 2, column y", "1035 or 1.035"],
    )
    decided = "400;1.035\n401;0.930\n402;1.046\n"
    for plain in (decided, "400,1.035\n401,1.030\n402,1.046\n"):
        assert data.curve(file("b.csv", plain), 1, 2).to_array()[1, 0] == 1.035


def written(value, decimal, thousands, digits):
    """A number as an office writes it."""
    text = f"{value:,.{digits}f}"
    return text.translate(str.maketrans({",": thousands, ".": decimal}))


VALUES = st.decimals(-9_999_999, 9_999_999, places=4, allow_nan=False)
OFFICES = [(".", ","), (",", "."), (".", ""), (",", ""), (".", "'"), (",", " "), (".", "\u202f")]


@settings(max_examples=150, deadline=None)
@given(
    table=st.lists(st.tuples(VALUES, VALUES), min_size=3, max_size=8),
    office=st.sampled_from(OFFICES),
    digits=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    separator=st.sampled_from(["\t", ";", "|", ", ", "  "]),
    header=st.sampled_from(["", "x{s}y\n", "notes of a day\n\nx{s}y\nnm{s}V\n", "# a\n"]),
    footer=st.sampled_from(["", "\nend of data\n", "\n\n"]),
    quoted=st.booleans(),
)
def test_tables_of_offices_read_back_exactly_or_are_refused(
    table, office, digits, separator, header, footer, quoted
):
    decimal, thousands = office
    cells = [
        [written(v, decimal, thousands, d) for v, d in zip(row, digits, strict=True)]
        for row in table
    ]
    expected = [[float(f"{v:.{d}f}") for v, d in zip(row, digits, strict=True)] for row in table]
    if quoted and separator != "  ":
        cells = [[f'"{cell}"' for cell in row] for row in cells]
    text = header.format(s=separator) + "\n".join(separator.join(row) for row in cells) + footer
    if thousands == "." and not any("," in cell for row in cells for cell in row):
        return  # 1.046 alone is what every program writes for 1.046
    path = scratch("office.csv")
    path.write_text(text, encoding="utf-8")
    try:
        found = data.read(path)
    except DataError:
        return
    arrays = [column.to_numpy() for column in found.data_vars.values()]
    if any(array.dtype.kind != "f" for array in arrays):
        return  # cells that are no numbers, which whatever uses them refuses
    if len(arrays) == 2 and found.sizes["row"] == len(table):
        np.testing.assert_array_equal(np.stack(arrays, axis=1), expected)
    else:
        raise AssertionError(f"read as {len(arrays)} columns of {found.sizes['row']} rows")


def test_all_offices_that_can_be_told_are_read(file):
    rows = [(400.5, 1234567.25), (401.5, 46.5), (402.5, 0.25)]
    for decimal, thousands in OFFICES:
        cells = [[written(v, decimal, thousands, 2) for v in row] for row in rows]
        for separator in "\t", ";":
            found = data.curve(file("a.csv", "\n".join(map(separator.join, cells))))
            np.testing.assert_array_equal(found.to_array().T, rows)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="0123456789,.'eEdD-+ _", max_size=12), st.sampled_from([".", ","]))
def test_a_cell_is_the_number_that_python_reads_or_none(text, decimal):
    found = parsed([text], Dialect(decimal))
    if found.dtype.kind == "f":
        other = {".": ",", ",": "."}[decimal]
        plain = text.replace(other, "").replace("'", "").replace(" ", "").replace(decimal, ".")
        assert found[0] == float(plain.lower().replace("d", "e"))


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("wavelength (nm)", "wavelength", "nm"),
        ("r/Å", "r", "Å"),
        ("t / s", "t", "s"),
        ("R (Angstrom)", "R", "Angstrom"),
        ("Energy, eV", "Energy", "eV"),
        ("E/kJ/mol", "E", "kJ/mol"),
        ("I/I0", "I/I0", ""),
        ("counts/s", "counts/s", ""),
        ("km/s", "km/s", ""),
        ("a/b", "a/b", ""),
    ],
)
def test_a_header_is_split_into_name_and_unit(header, name, unit):
    assert name_and_units(header) == (name, unit)


def test_units_are_known_by_words_and_capitals_but_not_confused():
    energies = ("K", "meV", "eV", "kJ/mol", "kcal/mol", "cm-1", "hartree")
    meant = {
        "HARTREE": "hartree",
        "Ha": "hartree",
        "KJ/mol": "kJ/mol",
        "kcal mol⁻¹": "kcal/mol",
        "cm⁻¹": "cm-1",
        "Kelvin": "K",
        "ev": "eV",
    }
    assert {text: spelled(text, energies) for text in meant} == meant
    assert [spelled(text, energies) for text in ("MeV", "mev", "k", "J", "")] == [None] * 5
    assert [spelled(t, ("Å", "bohr")) for t in ("Angstroms", "\u212b", "a.u.")] == [
        "Å",
        "Å",
        "bohr",
    ]


# --- JCAMP-DX -------------------------------------------------------------------------------------

HEAD = (
    "##TITLE=a test\n##JCAMP-DX=4.24 $$ by hand\n##DATA TYPE=INFRARED SPECTRUM\n"
    "##XUNITS=1/CM\n##YUNITS=ABSORBANCE\n##XFACTOR=1.0\n##YFACTOR=0.001\n"
)


@pytest.mark.parametrize(
    "line",
    [
        *("0 1 2 3 3 2 1 0 -1 -2 -3", "0+1+2+3+3+2+1+0-1-2-3", "0ABCCBA@abc", "0ABCTBA@abc"),
        *("0AJJ%jjjjjj", "0AJJ%jX"),
    ],
)
def test_the_forms_of_the_standard_hold_the_same_numbers(line):
    assert jcamp.ordinates(line)[:2] == (0, [1, 2, 3, 3, 2, 1, 0, -1, -2, -3])


def digits(value, letters):
    """A number whose sign and first digit are one letter: those of 0 to 9, then −1 to −9."""
    text = str(abs(value))
    return letters[int(text[0]) if value >= 0 else 9 + int(text[0])] + text[1:]


def encoded(form, values, first, step, per_line):
    """Lines of (X++(Y..Y)) in a form of the standard."""
    lines, at = [], 0
    while at < len(values):
        part = values[at : at + per_line]
        x = f"{first + step * at:g}"
        if form == "AFFN":
            lines.append(" ".join([x, *map(str, part)]))
        elif form == "PAC":
            lines.append(x + "".join(f"{v:+d}" for v in part))
        elif form == "SQZ":
            lines.append(x + "".join(digits(v, "@ABCDEFGHIabcdefghi") for v in part))
        else:
            steps = [digits(int(d), "%JKLMNOPQRjklmnopqr") for d in np.diff(part)]
            if form == "DIFDUP":
                steps = repeated(steps)
            lines.append(x + digits(part[0], "@ABCDEFGHIabcdefghi") + "".join(steps))
            if at + len(part) == len(values):
                if len(part) > 1:
                    last = first + step * (len(values) - 1)
                    lines.append(f"{last:g}" + digits(part[-1], "@ABCDEFGHIabcdefghi"))
                break
            at += len(part) - 1 if len(part) > 1 else 1  # the next line repeats the last ordinate
            continue
        at += len(part)
    return "\n".join(lines)


def repeated(words):
    found, k = [], 0
    while k < len(words):
        count = 1
        while k + count < len(words) and words[k + count] == words[k]:
            count += 1
        found.append(words[k] + (digits(count, " STUVWXYZs") if count > 1 else ""))
        k += count
    return found


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(st.integers(-99999, 99999), min_size=3, max_size=40),
    form=st.sampled_from(["AFFN", "PAC", "SQZ", "DIF", "DIFDUP"]),
    per_line=st.integers(2, 9),
    up=st.booleans(),
)
def test_every_form_of_jcamp_reads_back_exactly(values, form, per_line, up):
    first, step = (400.0, 2.0) if up else (4000.0, -2.0)
    last = first + step * (len(values) - 1)
    text = HEAD + (
        f"##FIRSTX={first}\n##LASTX={last}\n##NPOINTS={len(values)}\n##FIRSTY={values[0] / 1000}\n"
        f"##XYDATA=(X++(Y..Y))\n{encoded(form, values, first, step, per_line)}\n##END=\n"
    )
    path = scratch("a.jdx")
    path.write_text(text)
    found = data.read(path)
    np.testing.assert_allclose(found["wavenumber"], first + step * np.arange(len(values)))
    np.testing.assert_allclose(found["absorbance"], np.array(values) * 0.001, atol=1e-12)
    assert (found["wavenumber"].units, found.attrs["y"]) == ("cm⁻¹", "absorbance")


GOOD = (
    HEAD + "##FIRSTX=400\n##LASTX=406\n##NPOINTS=4\n##FIRSTY=1\n##MAXY=3\n##MINY=1\n"
    "##XYDATA=(X++(Y..Y))\n400A000J000J000\n404C000%\n406C000\n##END=\n"
)


def test_what_jcamp_says_of_itself_is_held_to(file):
    found = data.curve(file("a.dx", GOOD))
    np.testing.assert_allclose(found["absorbance"], [1, 2, 3, 3])
    assert "y is absorbance, as the file says" in found.attrs["read_as"]
    pairs = HEAD + "##NPOINTS=3\n##XYPOINTS=(XY..XY)\n400,1000; 402.5,2000\n405 3.0E3\n##END=\n"
    found = data.curve(file("b.jdx", pairs))
    np.testing.assert_allclose(found["wavenumber"], [400, 402.5, 405])
    np.testing.assert_allclose(found["absorbance"], [1, 2, 3])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("404C000%", "404B000%", ["row 16", "does not end where this one begins"]),
        ("404C000%", "409C000%", ["row 16", "x at the start", "expected 404"]),
        ("##NPOINTS=4", "##NPOINTS=5", ["not whole", "5 points", "found 4"]),
        ("##MAXY=3", "##MAXY=30", ["##MAXY=", "expected 30"]),
        ("##FIRSTY=1", "##FIRSTY=2", ["##FIRSTY="]),
        ("##YFACTOR=0.001", "##YFACTOR=1", ["##FIRSTY=", "factors"]),
        ("##FIRSTX=400\n", "", ["##FIRSTX= NUMBER"]),
        ("(X++(Y..Y))", "(X++(R..R))", ["form of the table", "found (X++(R..R))"]),
        ("400A000J000J000", "400A000J0!0J000", ["row 15", "cannot be read"]),
        ("##TITLE", "TITLE", ["not JCAMP-DX"]),
        ("##END=", "##XYDATA=(XY..XY)\n1 2\n##END=", ["one spectrum", "found 2"]),
        ("##NPOINTS=4", "##NPOINTS=1e15", ["row 16", "and ##NPOINTS= are wrong"]),
        ("406C000", "406C000Z999999999", ["row 17", "cannot be read"]),
        ("##XYDATA=", "##PEAK TABLE=", ["found 0, ##PEAKTABLE=", "a list of peaks is not"]),
        ("##XYDATA=", "##DATA TABLE= (X++(R..R)), XYDATA\n##A=", ["##DATATABLE=", "as ##XYDATA="]),
        ("##FIRSTX", "##NTUPLES= NMR\n##RADATA=\n##FIRSTX", None),
    ],
)
def test_a_damaged_jcamp_file_is_refused(file, old, new, words):
    assert old in GOOD
    path = file("a.jdx", GOOD.replace(old, new))
    if words is None:  # another table beside the one
        assert data.curve(path).sizes["point"] == 4
    else:
        refused(data.curve, path, words=words)

"""Files of every format and dialect read back exactly, or are refused in one clear line."""

import os

import numpy as np
from files import FINITE, every_format, refused, scratch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesinf import data
from bayesinf.errors import DataError

tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(FINITE, min_size=width, max_size=width), min_size=1, max_size=6)
)


@settings(max_examples=150, deadline=None)
@given(
    table=tables,
    separator=st.sampled_from([",", ", ", ";", "; ", "\t", " ", "   ", " \t "]),
    header=st.booleans(),
    decimal_comma=st.booleans(),
    mark=st.sampled_from(["", "\ufeff"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    noise=st.lists(
        st.sampled_from(["", "   ", "# a, b, c, d, e, f; g; h; i; j; k", ";;", "#"]), max_size=4
    ),
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


def test_columns_keep_apart_what_the_header_does_not(file):
    found = data.read(file("a.csv", "x,row,x,x\n1,2,3,4\n"))
    assert {name: array.item() for name, array in found.data_vars.items()} == {
        "x": 1,
        "row_2": 2,
        "x_3": 3,
        "x_4": 4,
    }


def test_units_of_an_older_encoding(file):
    found = data.read(file("a.csv", "x (µm),y [°]\n1,4\n".encode("latin-1")))
    assert (found.x.units, found.y.units) == ("µm", "°")


def test_a_missing_file_and_a_folder(tmp_path):
    refused(data.read, tmp_path / "none.csv", words=["none.csv", "no such file"])
    refused(data.read, tmp_path, words=["no such file"])


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

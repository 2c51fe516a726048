"""Series: read from any layout, sorted aloud, repeats kept apart; splits that never look ahead."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bayesinf import data
from bayesinf.data import origins
from bayesinf.errors import DataError

TABLE = (
    "x (m),t (s),trial,v (m/s)\n1,0,a,5\n2,1.5,a,6\n3,2,a,7\n4,0,b,8\n5,1,b,9\n6,4,b,8\n7,9,b,7\n"
)


def remark(series):
    return series.attrs.get("remark", "")


# --- reading --------------------------------------------------------------------------------------


def test_a_table_keeps_its_names_units_uneven_times_and_repeats(file):
    found = data.series(file("a.csv", TABLE))
    assert list(found.data_vars) == ["x", "v"] and found.attrs["source"] == "a.csv"
    assert [found[name].units for name in ("x", "v", "t")] == ["m", "m/s", "s"]
    assert list(found["repeat"].values) == ["a", "b"] and list(found["length"].values) == [3, 4]
    np.testing.assert_array_equal(data.times(found), [[0, 1.5, 2, np.nan], [0, 1, 4, 9]])
    np.testing.assert_array_equal(found["x"], [[1, 2, 3, np.nan], [4, 5, 6, 7]])
    one, two = data.repeats(found)
    assert one["x"].values.tolist() == [1, 2, 3] and two["t"].values.tolist() == [0, 1, 4, 9]
    assert not remark(found)


def test_columns_are_chosen_by_name_or_position_and_renamed(file):
    path = file("a.txt", "0 5 1.5 2.5\n0 6 1.6 2.6\n0 7 1.7 2.7\n")
    found = data.series(path, time=2, repeat=1, variables={"θ": 3, "ω": 4}, units={"θ": "rad"})
    assert list(found.data_vars) == ["θ", "ω"] and found["θ"].units == "rad"
    assert list(data.series(path, time=2, variables=[4]).data_vars) == ["column_4"]
    with pytest.raises(DataError, match=r"there is no column of times; .* by position from 1"):
        data.series(path)
    with pytest.raises(DataError, match="there is no column nought"):
        data.series(path, time="nought")
    with pytest.raises(DataError, match="nothing besides the times"):
        data.series(file("b.csv", "t\n1\n2\n3\n"))


def test_rows_out_of_order_are_sorted_aloud(file):
    found = data.series(file("a.csv", "t,trial,x\n2,1,20\n0,1,0\n5,2,50\n1,1,10\n4,2,40\n6,2,60\n"))
    np.testing.assert_array_equal(found["x"], [[0, 10, 20], [40, 50, 60]])
    assert remark(found) == "3 of 6 rows stood out of order along t and were sorted"


def test_a_time_that_comes_twice_is_refused(file):
    with pytest.raises(DataError, match=r"a\.csv, row 4, column t: a time comes twice.*found 1;"):
        data.series(file("a.csv", "t,x\n0,1\n1,2\n1,3\n2,4\n"))
    # The same times in two repeats are no doubles, unless all rows are taken for one repeat.
    table = file("b.csv", TABLE)
    with pytest.raises(DataError, match="tells repeats apart"):
        data.series(table, repeat="none", variables=["x"])


@pytest.mark.parametrize("cell", ["", "NA", "nan"])
def test_missing_values_are_refused_or_kept(file, cell):
    path = file("a.csv", f"t,x,y\n0,1,1\n1,{cell},2\n2,3,3\n")
    with pytest.raises(DataError, match="row 3, column x: not a finite number"):
        data.series(path)
    found = data.series(path, missing="keep")
    np.testing.assert_array_equal(found["x"], [[1, np.nan, 3]])
    assert remark(found) == "1 values of x are missing and kept as NaN"


def test_what_is_neither_number_nor_missing_is_refused_either_way(file):
    path = file("a.csv", "t,x\n0,1\n1,broken\n2,3\n")
    for missing in ("refuse", "keep"):
        with pytest.raises(DataError, match="row 3, column x"):
            data.series(path, missing=missing)
    with pytest.raises(DataError, match="row 2, column x: neither a number nor missing"):
        data.series(file("b.csv", "t,x\n0,inf\n1,2\n2,3\n"), missing="keep")
    with pytest.raises(DataError, match="row 3, column t: not a finite number"):
        data.series(file("c.csv", "t,x\n0,1\n,2\n2,3\n"), missing="keep")
    with pytest.raises(DataError, match="unknown way with missing values"):
        data.series_from_arrays([0, 1, 2], [0, 1, 2], missing="fill")


T = np.array([0.0, 0.5, 2.0, 3.0])
STATES = np.arange(24.0).reshape(2, 4, 3)  # (repeat, time, variable)
EXPECTED = data.series_from_arrays(T, {"s": STATES})


@pytest.mark.parametrize(
    "given",
    [
        {"time": np.stack([T, T]), "values": {"s": STATES}},
        {"time": [T, T], "values": {"s": STATES}},
        {"time": [T, list(T)], "values": {"s": [STATES[0], STATES[1]]}},
        {"time": T, "values": {"s": [*STATES]}},
        {"time": T, "values": {f"s_{k + 1}": STATES[..., k] for k in range(3)}},
        {"time": np.tile(T, 2), "values": {"s": STATES.reshape(8, 3)}, "repeat": [0] * 4 + [1] * 4},
        {
            "time": xr.DataArray(T, dims="time"),
            "values": xr.DataArray(STATES, dims=("repeat", "time", "c"), name="s").transpose(),
        },
    ],
    ids=["times", "list of times", "ragged", "list", "one by one", "labels", "named axes"],
)
def test_every_layout_in_memory_gives_the_same_series(given):
    xr.testing.assert_identical(data.series_from_arrays(**given), EXPECTED)


def test_files_of_arrays_and_series_of_our_own_are_read(tmp_path):
    np.savez(tmp_path / "a.npz", t=T, s=STATES)
    xr.testing.assert_equal(data.series(tmp_path / "a.npz"), EXPECTED.rename(time="t"))
    ragged = data.series_from_arrays([T, T[:3] + 1], {"x": [T, T[:3]]}, repeat=["up", "down"])
    alone = data.series_from_arrays(T, {"x": T})
    for k, one in enumerate((EXPECTED, ragged, alone)):
        path = tmp_path / f"{k}.nc"
        one.to_netcdf(path, engine="h5netcdf")
        xr.testing.assert_equal(data.series(path), one)


def test_an_axis_of_trials_is_one_of_repeats_with_its_labels(tmp_path):
    given = xr.Dataset({"z": (("time", "trial"), STATES[..., 0].T)}, {"time": T, "trial": [3, 7]})
    given.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = data.series(tmp_path / "a.nc")
    assert found["repeat"].values.tolist() == [3, 7]
    np.testing.assert_array_equal(found["z"], STATES[..., 0])


def test_what_fits_together_in_no_way_is_refused():
    square = np.zeros((4, 4))
    with pytest.raises(DataError, match="the axes of s are not clear"):
        data.series_from_arrays(T, {"s": square})
    assert data.series_from_arrays([T] * 4, {"s": square}).sizes["repeat"] == 4
    with pytest.raises(DataError, match="expected 4 entries in each, as there are times, found 3"):
        data.series_from_arrays(T, {"s": T[:3]})
    with pytest.raises(DataError, match="variables differ in their repeats"):
        data.series_from_arrays(T, {"s": STATES, "u": T})
    with pytest.raises(DataError, match="the labels of the repeats do not fit them"):
        data.series_from_arrays(T, {"s": STATES}, repeat=[1, 1])
    with pytest.raises(DataError, match=r"repeat 1: too few rows; .* leave this repeat out"):
        data.series_from_arrays([T, T[:2]], {"s": [T, T[:2]]})
    with pytest.raises(DataError, match="s has the wrong shape"):
        data.series_from_arrays(T, {"s": np.zeros((2, 4, 3, 2))})
    with pytest.raises(DataError, match="does not say which variable is the time"):
        data.times(xr.Dataset({"x": ("time", T)}))


def test_names_that_xarray_or_a_fit_would_trip_over_are_changed():
    found = data.series_from_arrays(
        xr.DataArray(T, name="step"), {"repeat": T, "draw": T, "I/I0": T, "step_time": T}
    )
    assert found.attrs["time"] == "step_time"
    assert list(found.data_vars) == ["repeat_value", "draw_value", "I_I0", "step_time_value"]


def test_remarks_of_other_programs_and_headers_with_a_percent_sign(file):
    found = data.read(file("a.txt", "%o v\r\n 0 5 1 2 \r\n 0 6 1 2 \r\n"))
    assert list(found.data_vars) == [f"column_{k}" for k in range(1, 5)]
    found = data.read(file("b.csv", "%T,angle\n1,2\n% in between\n3,4\n"))
    assert list(found.data_vars) == ["%T", "angle"] and found.sizes["row"] == 2


# --- splits ---------------------------------------------------------------------------------------


@st.composite
def ragged_series(draw):
    """Uneven times in one to three repeats."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        gaps = draw(st.lists(st.floats(0.01, 3), min_size=6, max_size=15))
        parts.append(draw(st.floats(-50, 50)) + np.cumsum(gaps))
    values = [np.arange(len(part), dtype=float) for part in parts]
    return data.series_from_arrays(parts, {"x": values, "y": [3 * v + 1 for v in values]})


def poisoned(series, repeat, after):
    """The same series with other values after a moment, and in all other repeats."""
    spoiled = series.copy(deep=True)
    times = data.times(series).values
    late = (times > after) | (series["repeat"].values != repeat)[:, np.newaxis]
    for name in series.data_vars:
        spoiled[name].values[late & np.isfinite(times)] = -999.0
    return spoiled


def looks_ahead(series, table, split, lags, ahead):
    """Whether anything that a forecaster is given changes with the values after the origin."""
    spoiled, before = poisoned(series, split.repeat, split.origin), table
    after = data.lagged(spoiled, lags, ahead)
    given = [(split.past(series), split.past(spoiled)), (split.past(before), split.past(after))]
    features = [f"{name}_lagged" for name in series.data_vars]
    given.append(tuple(split.future(each)[features] for each in (before, after)))
    return not all(one.equals(other) for one, other in given)


draws = given(
    series=ragged_series(),
    horizon=st.floats(0.1, 4),
    least=st.floats(0.1, 4),
    step=st.floats(0.3, 4),
    gap=st.floats(0, 2),
    lags=st.integers(1, 3),
    ahead=st.integers(1, 2),
)
often = settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])


def check_splits(series, horizon, least, step, gap, lags, ahead):
    try:
        splits = list(
            origins.rolling_origins(series, horizon=horizon, least=least, step=step, gap=gap)
        )
    except DataError:
        return
    table = data.lagged(series, lags, ahead)
    for split in splits[:3]:
        past, future = split.past(series), split.future(series)
        name = series.attrs["time"]
        assert past.sizes["step"] and future.sizes["step"]
        assert past[name].max() <= split.origin < future[name].min() - gap
        assert future[name].max() <= split.origin + gap + horizon
        (whole,) = (part for part in data.repeats(series) if part["repeat"] == split.repeat)
        assert whole[name].max() >= split.origin + gap + horizon - 1e-6
        assert (split.future(table)["known"] <= split.origin).all()
        assert not looks_ahead(series, table, split, lags, ahead)


test_no_split_looks_ahead = often(draws(check_splits))


def broken_past(self, data):
    part, at, _ = self._own(data)
    return origins._rows(part, at <= self.closing)


def broken_future(self, data):
    part, at, _ = self._own(data)  # whenever the features are known
    return origins._rows(part, (at > self.opening) & (at <= self.closing))


def broken_lags(series, lags, ahead=1):
    table = right_lags(series, lags, ahead)
    for name in series.data_vars:  # features that stand a row too late
        shifted = np.roll(table[f"{name}_lagged"].values, -1, axis=0)
        table = table.assign({f"{name}_lagged": (("row", "lag"), shifted)})
    return table


def broken_repeats(series, lags, ahead=1):
    """Lags that run on across the seams of repeats."""
    table = right_lags(series, lags, ahead)
    return table.assign(
        {f"{n}_lagged": table[f"{n}_lagged"] + table[n].mean() for n in series.data_vars}
    )


right_lags = data.lagged


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (origins.Split, "past", broken_past),
        (origins.Split, "future", broken_future),
        (data, "lagged", broken_lags),
        (data, "lagged", broken_repeats),
    ],
    ids=["past", "features of the future", "lags", "seams"],
)
def test_a_split_that_looks_ahead_is_found_out(monkeypatch, owner, name, broken):
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(AssertionError):
        often(draws(check_splits))()


def test_origins_are_told_by_time_and_stay_in_their_repeat():
    even = data.series_from_arrays(
        [np.arange(11.0), np.arange(100.0, 104.0)], {"x": [np.arange(11.0), np.arange(4.0)]}
    )
    splits = list(data.rolling_origins(even, horizon=2, least=4, gap=1))
    assert [(s.repeat, round(s.origin, 6)) for s in splits] == [(0, 4.0), (0, 6.0)]
    past, future = splits[1].past(even), splits[1].future(even)
    assert past["x"].values.tolist() == [*range(7)] and future["x"].values.tolist() == [8, 9]
    (short, *_) = data.rolling_origins(even, horizon=2, least=4, window=2)
    assert short.past(even)["x"].values.tolist() == [3, 4]
    tenths = data.series_from_arrays(np.arange(31) * 0.1, {"x": np.arange(31)})
    splits = list(data.rolling_origins(tenths, horizon=0.3, least=0.6))
    assert [s.past(tenths).sizes["step"] for s in splits] == [7, 10, 13, 16, 19, 22, 25, 28]
    assert all(s.future(tenths).sizes["step"] == 3 for s in splits)


def test_lengths_and_lags_that_cannot_be_are_refused():
    even = data.series_from_arrays(np.arange(11.0), {"x": np.arange(11.0)})
    for wrong in ({"horizon": 0}, {"least": -1}, {"step": np.nan}, {"gap": -1}, {"window": 0}):
        with pytest.raises(DataError, match=f"{next(iter(wrong))} is no length of time"):
            list(data.rolling_origins(even, **({"horizon": 1, "least": 1} | wrong)))
    with pytest.raises(DataError, match="too short to forecast any part of it"):
        list(data.rolling_origins(even, horizon=5, least=6))
    for lags, ahead in (([-1], 1), ([], 1), (2, 0)):
        with pytest.raises(DataError, match="these lags look ahead"):
            data.lagged(even, lags, ahead)
    with pytest.raises(DataError, match="no repeat is long enough"):
        data.lagged(even, 11)


def test_lagged_features_are_those_of_the_formula():
    even = data.series_from_arrays([np.arange(6.0)] * 2, {"x": np.arange(12.0).reshape(2, 6)})
    table = data.lagged(even, [0, 2], ahead=2)
    assert table["x"].values.tolist() == [4, 5, 10, 11]
    assert table["x_lagged"].values.tolist() == [[2, 0], [3, 1], [8, 6], [9, 7]]
    assert table["known"].values.tolist() == [2, 3, 2, 3] and table["time"].values.tolist() == [
        4,
        5,
        4,
        5,
    ]


def test_a_series_says_what_it_was_read_from_and_takes_dates_for_times(file):
    path = file(
        "a.csv",
        "note;when;v;w\na;12.03.2021 10:00;1,5;2\nb;12.03.2021 10:02;2,5;3\n"
        "c;12.03.2021 10:01;0,5;4\n",
    )
    found = data.series(path, variables=["v"])
    np.testing.assert_array_equal(data.times(found)[0], [0, 60, 120])
    np.testing.assert_array_equal(found["v"][0], [1.5, 0.5, 2.5])
    assert found.attrs["read_as"] == (
        "times are in when; values are in v; not used: note, w; "
        "1 of 3 rows stood out of order along when and were sorted; decimal commas, as in 1,5; "
        "when in seconds since 12.03.2021 10:00"
    )

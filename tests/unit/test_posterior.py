"""The one result: what is stored comes back, by us and by ArviZ old and new, or is refused."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import arviz
import h5netcdf
import numpy as np
import pytest
import xarray as xr
from straight_line import fit

import bayesinf
from bayesinf import posterior
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, assemble, data_sha256, dataset, load, noted, save
from bayesinf.settings import Settings

# The groups that ArviZ 0.23 knows; any other makes it warn.
KNOWN_TO_ARVIZ_0 = {
    "posterior",
    "posterior_predictive",
    "predictions",
    "log_likelihood",
    "log_prior",
    "sample_stats",
    "prior",
    "prior_predictive",
    "sample_stats_prior",
    "observed_data",
    "constant_data",
    "predictions_constant_data",
    "unconstrained_posterior",
    "unconstrained_prior",
}


@pytest.fixture
def stored(tmp_path):
    return save(fit(), tmp_path / "gibbs.nc")


def small(**changes):
    """The arguments of a smallest possible assembly."""
    one = dataset({"mu": np.zeros((2, 5))}, units={"mu": "m"})
    data = dataset({"y": np.arange(3.0)}, {"y": ("point",)}, sampled=False)
    arguments = {
        "groups": dict.fromkeys(posterior.REQUIRED_GROUPS, one),
        "system": "none",
        "model": "none",
        "inference": "exact",
        "settings": Settings(seed=3),
        "data": data,
        "started": time.perf_counter(),
    }
    return arguments | changes


# --- what comes back ------------------------------------------------------------------------------


@pytest.mark.parametrize("inference", ["gibbs", "exact", "laplace", "ensemble"])
def test_a_file_holds_all_of_the_posterior(inference, tmp_path):
    tree = fit(inference)
    back = load(save(tree, tmp_path / "new" / "folder" / "fit.nc"))
    xr.testing.assert_identical(back, tree)  # groups, dimensions, coordinates, values, attributes
    for name, group in tree.children.items():
        for variable in group.data_vars:
            assert back[name][variable].dtype == group[variable].dtype
            assert back[name][variable].attrs["units"] == group[variable].attrs["units"]
    assert back["posterior"]["slope"].attrs["units"] == "V/A"


def test_every_element_kind_survives(tmp_path):
    groups = small()["groups"] | {
        "posterior": dataset(
            {"flag": np.ones((2, 5, 3), bool), "count": np.ones((2, 5), np.int8)},
            {"flag": ("pair",)},
            {"pair": [10, 20, 30], "i": ("pair", [0, 0, 1]), "name": ("pair", ["a", "b", "ü"])},
        ),
        "predictions": dataset({"y": np.full((2, 5), np.nan)}),
    }
    tree = assemble(**small(groups=groups))
    xr.testing.assert_identical(load(save(tree, tmp_path / "a.nc")), tree)


def test_what_is_noted_beside_a_fit_is_found_there_and_in_its_file(tmp_path):
    """Two results of the same names, and dimensions that the fit has with other sizes."""
    bare = fit()
    point = {"point": ["x", "y"], "place": ("point", [0.5, 1.5]), "of": "us"}
    one = dataset({"y": np.arange(2.0)}, {"y": ("point",)}, point, {"y": "V"}, sampled=False)
    two = dataset({"y": np.array(3), "flag": np.ones(4, bool)}, {"flag": ("point",)}, sampled=False)
    both = annotated(annotated(bare, one=one), two=two)
    for tree in (both, load(save(both, tmp_path / "a.nc"))):
        xr.testing.assert_identical(noted(tree, "one"), one)
        xr.testing.assert_identical(noted(tree, "two"), two)
        assert noted(tree, "on") is None and noted(tree, "three") is None
        # Nothing else of the fit has changed, and what was handed over has not either.
        rest = [name for name in tree["constant_data"].variables if "." not in name]
        assert sorted(rest) == sorted(bare["constant_data"].variables)
        xr.testing.assert_identical(tree["posterior"], bare["posterior"])
    assert noted(bare, "one") is None and set(one.variables) == {"y", "point", "place", "of"}


def test_a_loaded_file_is_closed(stored):
    tree = load(stored)
    stored.unlink()
    assert np.isfinite(tree["posterior"]["slope"].values).all()


def test_provenance_says_what_was_done():
    before = Settings(seed=3, draws=50, workers=2)
    attrs = assemble(**small(settings=before, attrs={"note": "ours"})).attrs
    assert set(posterior.PROVENANCE) <= set(attrs)
    assert attrs["seed"] == 3 and attrs["note"] == "ours"
    assert json.loads(attrs["settings"])["draws"] == 50
    assert "workers" not in json.loads(attrs["settings"])
    assert json.loads(attrs["library_versions"])["numpy"] == np.__version__
    assert 0 <= attrs["elapsed_seconds"] < 60
    assert attrs["created_at"].endswith("+00:00")


def test_the_package_offers_them():
    assert bayesinf.load is load and bayesinf.save is save
    assert "load" in dir(bayesinf)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        bayesinf.lode  # noqa: B018


def test_a_group_missing_or_unknown_or_without_units_is_refused():
    groups = small()["groups"]
    with pytest.raises(ValueError, match="log_prior"):
        assemble(**small(groups={k: v for k, v in groups.items() if k != "log_prior"}))
    with pytest.raises(ValueError, match="postrior"):
        assemble(**small(groups=groups | {"postrior": groups["prior"]}))
    with pytest.raises(ValueError, match=r"prior\.mu"):
        assemble(**small(groups=groups | {"prior": groups["prior"].drop_attrs()}))


def test_dataset_labels_only_what_it_holds():
    made = dataset(
        {"J": np.zeros((2, 5, 3)), "sigma": np.zeros((2, 5))},
        {"J": ("pair",)},
        {"pair": [4, 5, 6], "i": ("pair", [0, 0, 1]), "time": [1, 2]},
        {"sigma": "K"},
    )
    assert made["J"].dims == ("chain", "draw", "pair") and made["J"].attrs["units"] == "1"
    assert made["sigma"].attrs["units"] == "K"
    assert set(made.coords) == {"chain", "draw", "pair", "i"}
    assert list(made["draw"].values) == [0, 1, 2, 3, 4]


# --- ArviZ ----------------------------------------------------------------------------------------


def test_arviz_1_opens_it(stored):
    opened = arviz.from_netcdf(stored)
    assert set(posterior.REQUIRED_GROUPS) <= set(opened.children)
    table = arviz.summary(opened, var_names=["slope"], round_to="none")
    assert table.loc["slope", "mean"] == pytest.approx(float(fit()["posterior"]["slope"].mean()))
    assert arviz.loo(opened, var_name="y").elpd == pytest.approx(-32, abs=1)
    opened.close()


def test_arviz_0_opens_it(stored):
    """ArviZ 0.23 lists the file's groups and opens each one alone; so does this test."""
    with h5netcdf.File(stored) as file:
        groups = list(file.groups)
        assert not file.variables
    assert set(posterior.GROUPS) <= KNOWN_TO_ARVIZ_0
    assert groups and set(groups) <= KNOWN_TO_ARVIZ_0
    for group in groups:
        with xr.open_dataset(stored, group=f"//{group}", engine="h5netcdf") as alone:
            xr.testing.assert_identical(alone.load(), fit()[group].to_dataset())


# --- all of it or nothing -------------------------------------------------------------------------


def test_an_error_while_writing_leaves_the_old_file(stored, monkeypatch):
    before = stored.read_bytes()

    def half(path, content):
        path.touch()
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="disk full"):
        save(fit(), stored)
    assert stored.read_bytes() == before
    assert list(stored.parent.iterdir()) == [stored]


@pytest.mark.slow
def test_a_process_killed_while_writing_leaves_the_old_file(stored):
    before = stored.read_bytes()
    script = f"""
import os, pathlib, signal
from bayesinf.posterior import load, save
tree = load({str(stored)!r})
whole = pathlib.Path.write_bytes
def killed(path, content):
    whole(path, bytes(content)[:1000])
    os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.write_bytes = killed
save(tree, {str(stored)!r})
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    assert stored.read_bytes() == before
    load(stored)


def test_a_truncated_file_is_refused_at_any_length(stored, tmp_path):
    whole = stored.read_bytes()
    lengths = {0, 1, 7, 8, 100, len(whole) - 1, *np.geomspace(500, len(whole) - 2, 25).astype(int)}
    cut = tmp_path / "cut.nc"
    for length in lengths:
        cut.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.nc: .*run its workflow again"):
            load(cut)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89HDF\r\n\x1a\n" + bytes(5000)])
def test_a_foreign_file_is_refused(content, tmp_path):
    path = tmp_path / "foreign.nc"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"foreign\.nc"):
        load(path)


def test_a_file_of_another_schema_is_refused(stored, tmp_path):
    table = tmp_path / "table.nc"
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(table, engine="h5netcdf")
    with pytest.raises(DataError, match="not a bayesinf posterior"):
        load(table)
    tree = load(stored)
    del tree["log_prior"]
    del tree.attrs["seed"]
    tree.to_netcdf(table, engine="h5netcdf")
    with pytest.raises(DataError, match=r"log_prior, seed.*arviz\.from_netcdf"):
        load(table)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "none.nc")
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path)


# --- the fingerprint of the data ------------------------------------------------------------------


def test_the_fingerprint_is_that_of_the_content():
    data = xr.Dataset({"x": ("p", np.arange(4.0)), "y": ("p", np.ones(4))}, {"p": list("abcd")})
    same = xr.Dataset(
        {"y": ("p", np.ones(8)[::2]), "x": ("p", np.arange(4.0))}, {"p": list("abcd")}
    )
    assert data_sha256(data) == data_sha256(same) == data_sha256(data.copy(deep=True))
    assert data_sha256(data) == data_sha256(data.assign_attrs(source="elsewhere"))
    others = [
        data.assign(x=data["x"] + np.eye(4)[0] * 1e-12),
        data.rename(x="z"),
        data.rename(p="q"),
        data.astype(np.float32),
        data.isel(p=slice(3)),
        data.isel(p=[1, 0, 2, 3]),
        data.drop_vars("y"),
        data.assign_coords(p=list("abce")),
        data.rename(x="y", y="x"),
        xr.Dataset({"x": ("p", [1.0])}),
        xr.Dataset({"x": ("q", [1.0])}),
    ]
    assert len({data_sha256(other) for other in (data, *others)}) == len(others) + 1


def test_the_fingerprint_of_objects_is_that_of_their_text():
    make = lambda *words: xr.Dataset({"word": ("p", np.array(words, dtype=object))})
    words, again = make("ab", "c"), make("".join(["a", "b"]), "c")
    assert words["word"].values[0] is not again["word"].values[0]
    assert data_sha256(words) == data_sha256(again) != data_sha256(make("a", "bc"))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_ours_or_none(monkeypatch, tmp_path):
    commit = posterior._git_commit()
    assert commit is None or re.fullmatch("[0-9a-f]{40}", commit)
    # Installed below somebody else's repository: that has a commit, but not ours.
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run([*git, *command], check=True)

    def asked(folder):
        monkeypatch.setattr(posterior, "__file__", str(folder / "bayesinf" / "posterior.py"))
        return posterior._git_commit.__wrapped__()

    (tmp_path / "lib").mkdir()
    assert len(asked(tmp_path)) == 40
    assert asked(tmp_path / "lib") is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert asked(tmp_path) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, "null"),
        (True, "true"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        (Path("a/b"), '"a/b"'),
        ([1, "two"], '[1, "two"]'),
        ([1, 2.5], [1, 2.5]),
        (["a", "b"], ["a", "b"]),
        (2**70, str(2**70)),
        (np.array([True]), "[true]"),
        ("text", "text"),
    ],
)
def test_attributes_that_netcdf_has_no_type_for_are_json(tmp_path, value, read):
    tree = fit().copy()
    tree.attrs["note"] = value
    tree["posterior"]["slope"].attrs["note"] = value
    back = load(save(tree, tmp_path / "a.nc"))
    for attrs in (back.attrs, back["posterior"]["slope"].attrs):
        assert np.array_equal(attrs["note"], read)
    assert tree.attrs["note"] is value and back["posterior"]["slope"].attrs["units"] == "V/A"


@pytest.mark.parametrize("value", [object(), 1j, {1, 2}, np.array([object()])])
def test_an_attribute_that_cannot_be_written_is_named(tmp_path, value):
    tree = fit().copy()
    tree["posterior"]["slope"].attrs["note"] = value
    with pytest.raises(DataError, match=r"/posterior/slope, attribute 'note': an attribute cannot"):
        save(tree, tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


def test_observations_are_named_by_where_they_were_measured():
    r = ("point", np.array([0.9, 0.1 + 0.2]))
    energy = xr.DataArray([1.0, 2.0], {"r": r}, ("point",), name="energy_marginal")
    assert posterior.observation_names(energy) == ["energy at r = 0.9", "energy at r = 0.3"]
    assert list(posterior.element_names(energy)) == ["energy_marginal[0.9]", "energy_marginal[0.3]"]
    bare = xr.DataArray([1.0, 2.0], dims=("point",), name="y")
    assert posterior.observation_names(bare) == ["y[0]", "y[1]"]

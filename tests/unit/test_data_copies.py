"""States that a recording holds twice are refused, and what comes again by chance is not."""

from __future__ import annotations

import numpy as np
import pytest

from bayesinf import data
from bayesinf.errors import DataError
from bayesinf.systems import boltzmann_kinetic


def _save(folder, states):
    np.savez(folder / "a.npz", states=states)  # (repeat, site, time)
    return folder / "a.npz"


@pytest.mark.parametrize(("sites", "times"), [(1, 400), (3, 200), (5, 80), (20, 300)])
def test_a_copy_is_named_wherever_it_stands(tmp_path, sites, times):
    rng = np.random.default_rng(sites)
    once = (rng.random((1, sites, times)) < 0.5).astype(np.int8)
    data.raster(_save(tmp_path, once))
    again = np.concatenate([once, once], axis=2)
    with pytest.raises(DataError, match="the same states twice") as refusal:
        data.raster(_save(tmp_path, again))
    assert refusal.value.where.startswith(f"times {times + 1} to {2 * times}")
    assert refusal.value.found == f"a copy of times 1 to {times}"
    with pytest.raises(DataError, match="of repeat 2"):
        data.raster(_save(tmp_path, np.concatenate([once, once])))
    part = np.concatenate([once, once[..., : times // 2]], axis=2)
    with pytest.raises(DataError, match=f"times {times + 1} to {times + times // 2} "):
        data.raster(_save(tmp_path, part))


def test_what_a_population_does_by_itself_is_no_copy(tmp_path):
    rng = np.random.default_rng(3)
    for _ in range(40):
        sites, times, repeats = (int(rng.integers(*ends)) for ends in ((1, 8), (50, 300), (1, 5)))
        found = boltzmann_kinetic.simulate(sites, times, repeats, rng=rng)
        states = found["states"].transpose("repeat", "site", "time").values
        data.raster(_save(tmp_path, states))
    slow = np.cumsum(rng.random((1, 4, 3000)) < 0.01, axis=2) % 2
    data.raster(_save(tmp_path, slow))
    silent = (rng.random((2, 30, 2000)) < 0.001).astype(int)
    data.raster(_save(tmp_path, silent))
    cycle = np.tile([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 50)[np.newaxis]
    data.raster(_save(tmp_path, cycle))


def test_a_state_must_follow_from_the_one_before_by_one_step(tmp_path):
    rng = np.random.default_rng(1)
    states = rng.integers(2, size=(60, 3))
    times = 0.02 * np.arange(60) + rng.uniform(-0.002, 0.002, 60)
    times[40:] += 3.0

    def save(times, repeat=None, when="time"):
        extra = {} if repeat is None else {"repeat": repeat}
        named = {**extra, when: times, **{f"n{k}": states[:, k] for k in range(3)}}
        rows = [
            ",".join(named),
            *(",".join(map(str, row)) for row in zip(*named.values(), strict=True)),
        ]
        (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
        return tmp_path / "a.csv"

    with pytest.raises(DataError, match=r"row 42, column time: times do not go by equal steps"):
        boltzmann_kinetic.read(save(times))
    assert data.raster(save(times))["states"].shape == (1, 60, 3)  # of states alone, no matter
    dropped = save(np.delete(np.arange(80), np.arange(40, 60)), when="frame")
    with pytest.raises(DataError, match=r"row 42, column frame: times do not go by equal steps"):
        boltzmann_kinetic.read(dropped)
    assert data.raster(dropped)["states"].shape == (1, 60, 3)
    both = np.concatenate([times[:30], times[:30]])
    found = boltzmann_kinetic.read(save(both, np.repeat([0, 1], 30)))
    assert found["states"].shape == (2, 30, 3)

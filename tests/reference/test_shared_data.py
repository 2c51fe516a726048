"""Readers on files that others wrote; skipped where those are not beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

from bayesinf import data
from bayesinf.errors import DataError

NIST = Path(__file__).resolve().parents[2] / "data" / "nist"


@pytest.mark.parametrize("name", ["Gauss1.dat", "Gauss2.dat", "Eckerle4.dat"])
def test_shipped_certified_sets_are_the_published_ones(reference_data, name):
    published = (reference_data / "nist" / name).read_text().split()
    assert (NIST / name).read_text().split() == published


def test_light_curve_is_read_with_its_error_bars(reference_data):
    curve = data.curve(reference_data / "light_curve" / "LINEAR_11375941.csv")
    assert curve.sizes["point"] == 280
    assert curve["error"].attrs["long_name"] == "magerr"
    assert np.all(np.diff(curve["x"]) >= 0)
    assert float(curve["y"].isel(point=0)) == 15.969


def test_argon_columns_are_chosen_by_name(reference_data):
    path = reference_data / "argon" / "argon_dimer.csv"
    curve = data.curve(path, "r_angstrom", "E_kcal_mol", error="none")
    assert curve.sizes["point"] == 18
    assert float(curve["x"][curve["y"].values.argmin()]) == pytest.approx(3.75)
    with pytest.raises(DataError, match="row 2, column pair"):
        data.curve(path)


def test_spikes_of_the_retina_are_read_whole(reference_data):
    spikes = data.read(reference_data / "retina" / "bint_fishmovie32_100.mat")["bint"]
    assert spikes.shape == (297, 160, 953)
    assert float(spikes.mean()) == pytest.approx(0.03583, abs=1e-5)


def test_a_header_that_does_not_fit_its_columns_is_named(reference_data):
    with pytest.raises(DataError, match=r"row 2.*expected 2"):
        data.read(reference_data / "pendulum" / "real_pend_h_1.txt")

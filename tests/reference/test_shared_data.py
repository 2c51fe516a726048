"""Readers on files that others wrote; skipped where those are not beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

from bayesinf import data
from bayesinf.settings import Settings
from bayesinf.systems import lennard_jones

SHIPPED = Path(__file__).resolve().parents[2] / "data"
NIST = SHIPPED / "gaussian_peaks"
SHORT = Settings(draws=250, chains=4, prior_draws=50, workers=1)


@pytest.mark.parametrize("name", ["Gauss1.dat", "Gauss2.dat", "Eckerle4.dat"])
def test_shipped_certified_sets_are_the_published_ones(reference_data, name):
    published = (reference_data / "nist" / name).read_text().split()
    assert (NIST / name).read_text().split() == published


def test_light_curve_is_read_with_its_error_bars(reference_data):
    curve = data.curve(reference_data / "light_curve" / "LINEAR_11375941.csv")
    assert curve.sizes["point"] == 280
    assert curve["error"].attrs["long_name"] == "magerr"
    assert np.all(np.diff(data.axes(curve)[0]) >= 0)
    assert float(data.axes(curve)[1].isel(point=0)) == 15.969


def test_argon_columns_are_chosen_by_name(reference_data):
    path = reference_data / "argon" / "argon_dimer.csv"
    curve = data.curve(path, "r_angstrom", "E_kcal_mol", error="none")
    assert curve.sizes["point"] == 18
    distance, energy, _ = data.axes(curve)
    assert float(distance[energy.values.argmin()]) == pytest.approx(3.75)
    # Unasked, columns of numbers are taken in their order, but for one that never changes and one
    # that is x in another unit; what is left is named.
    guessed = data.curve(path).attrs
    assert (guessed["x"], guessed["y"]) == ("r_over_req", "E_kcal_mol")
    assert "not used: pair, req_angstrom, r_angstrom, E_K" in guessed["read_as"]


def test_spikes_of_the_retina_are_read_whole(reference_data):
    spikes = data.read(reference_data / "retina" / "bint_fishmovie32_100.mat")["bint"]
    assert spikes.shape == (297, 160, 953)
    assert float(spikes.mean()) == pytest.approx(0.03583, abs=1e-5)


def test_the_pendulum_is_read_as_a_series_in_the_users_words(reference_data):
    path = reference_data / "pendulum" / "real_pend_h_1.txt"
    columns = {"θ": 3, "ω": 4}
    swing = data.series(path, time=2, repeat=1, variables=columns, units={"time": "s", "θ": "rad"})
    assert dict(swing.sizes) == {"repeat": 1, "step": 556} and swing["repeat"].item() == 0
    assert list(swing.data_vars) == ["θ", "ω"] and "remark" not in swing.attrs
    assert swing["θ"].units == "rad" and data.times(swing).units == "s"
    t = data.times(swing).values[0]
    assert t[0] == 5.0 and t[-1] == 99.5
    assert np.diff(t).min() == pytest.approx(1 / 6) and np.diff(t).max() == pytest.approx(0.5)
    # The motion obeys dθ/dt = ω, so the columns are what their names say.
    slope = np.gradient(swing["θ"].values[0], t)
    assert np.corrcoef(slope, swing["ω"].values[0])[0, 1] > 0.99


@pytest.fixture(scope="module")
def tang_toennies(reference_data):
    """Eighteen energies of two argon atoms by the curve of Tang and Toennies (2003)."""
    path = reference_data / "argon" / "argon_dimer.csv"
    columns = {"distance": "r_angstrom", "energy": "E_K", "error": "none"}
    return lennard_jones.read(path, **columns, distance_unit="Å", energy_unit="K")


def argon_fit(found):
    return lennard_jones.fit(found, mean="lennard_jones", settings=SHORT)


def test_eighteen_energies_of_argon_give_its_virial_coefficients(tang_toennies):
    assert tang_toennies.sizes["point"] == 18
    temperatures = (150.0, 200.0, 300.0, 500.0)
    found = lennard_jones.virial(argon_fit(tang_toennies), temperatures)["B2"].values
    draws = found.reshape(-1, 4)
    # The curve's own, classical, from the table beside the data.
    exact = np.array([-84.28, -46.30, -13.80, 8.28])
    np.testing.assert_allclose(draws.mean(axis=0), exact, atol=0.5)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert np.all((low < exact) & (exact < high))
    assert 1 < high[0] - low[0] < 30  # sparse points know it less well than the shipped ones


def test_two_published_curves_of_argon_agree_about_its_well(tang_toennies):
    fit = argon_fit(lennard_jones.argon(SHIPPED / "lennard_jones" / "argon.csv"))
    outside = tang_toennies.isel(point=tang_toennies["distances"].values > 3.5)
    assert outside.sizes["point"] == 16
    drawn = lennard_jones.predict(fit, outside["distances"].values)["curve"]
    off = drawn.mean(("chain", "draw")).values - outside["energies"].values
    # On the wall they differ by 80 K, in the well by 2 K, and nowhere are they the same curve.
    assert 0.5 < np.abs(off).max() < 3

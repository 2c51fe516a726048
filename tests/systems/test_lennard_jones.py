"""Pair potentials: published numbers, closed forms, slow twins, and files as users have them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import constants, optimize, stats

from bayesinf.checks import check, loo
from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.models import gp
from bayesinf.models.gp import splits
from bayesinf.posterior import annotated, load, noted, save, true_values
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems import lennard_jones as lj
from bayesinf.systems.lennard_jones import comparison, potentials

ARGON = Path(__file__).parents[2] / "data" / "lennard_jones" / "argon.csv"
SHORT = Settings(draws=250, chains=4, prior_draws=50, workers=1)
MINIMUM = 2 ** (1 / 6)
TEMPERATURES = (150.0, 200.0, 300.0, 500.0)
KELVIN = {
    "K": 1.0,
    "meV": 1e-3 * constants.e / constants.k,
    "eV": constants.e / constants.k,
    "kJ/mol": 1e3 / constants.R,
    "kcal/mol": 4184 / constants.R,
    "cm-1": 100 * constants.h * constants.c / constants.k,
    "J": 1 / constants.k,
    "hartree": constants.value("Hartree energy") / constants.k,
}
ANGSTROM = {
    "Å": 1.0,
    "nm": 10.0,
    "pm": 0.01,
    "m": 1e10,
    "bohr": 1e10 * constants.value("Bohr radius"),
}


def rng(*key):
    return np.random.default_rng(key)


def pair(distances, energies, error=None, units=("σ", "ε"), **attrs):
    """A dataset as of ``read``, of arrays."""
    of_r, of_u = ({"units": unit} for unit in units)
    columns = {"distances": (distances, of_r), "energies": (energies, of_u), "error": (error, of_u)}
    found = {
        name: ("point", values, of) for name, (values, of) in columns.items() if values is not None
    }
    return xr.Dataset(found, attrs=attrs)


@cache
def argon(mean):
    return lj.fit(lj.argon(ARGON), mean=mean, settings=SHORT)


@cache
def reduced(mean, kernel="squared_exponential"):
    """A fit of all fifty energies, which have no noise."""
    return lj.fit(lj.simulate(training=1.0), mean=mean, kernel=kernel, settings=SHORT)


@cache
def noisy(size=10):
    return lj.simulate(np.linspace(1.02, 2.0, size), noise=0.05, training=1.0, rng=rng(1))


def flat(variable):
    values = variable.values
    return values.reshape(-1, *values.shape[2:])


# ── Potentials ───────────────────────────────────────────────────────────────────────────────────


def test_lennard_jones_has_its_zero_and_its_minimum_where_they_belong():
    assert lj.lennard_jones(1.0) == 0
    assert lj.lennard_jones(MINIMUM) == pytest.approx(-1, rel=1e-14)
    r = np.linspace(0.8, 3, 2201)
    assert r[np.argmin(lj.lennard_jones(r))] == pytest.approx(MINIMUM, abs=1e-3)
    assert lj.lennard_jones(4.0 * r, 7.0, 4.0) == pytest.approx(7 * lj.lennard_jones(r), rel=1e-12)


def test_aziz_has_the_published_well():
    # Aziz 1993: 143.236 K at 3.75700 Å and a zero at 3.35019 Å, to one of their last digit.
    bottom = optimize.minimize_scalar(
        lj.aziz, bounds=(3.5, 4.0), method="bounded", options={"xatol": 1e-9}
    )
    assert -bottom.fun == pytest.approx(143.236, abs=1e-3)
    assert bottom.x == pytest.approx(3.75700, abs=1e-5)
    assert optimize.brentq(lj.aziz, 3.2, 3.5) == pytest.approx(3.35019, abs=1e-5)
    # Far out only the dispersion is left, C6 = 63.5 hartree bohr⁶.
    x = 400 / 0.529177
    assert lj.aziz(400.0) == pytest.approx(-63.5 * 315775 / x**6, rel=2e-3)


def test_a_hard_sphere_has_its_closed_second_virial_coefficient():
    r = np.linspace(3.0, 9.0, 100)
    exact = 2 * np.pi / 3 * constants.N_A * 1e-24 * 3.0**3
    found = lj.second_virial(r, np.zeros((4, 100)), [50.0, 500.0])
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found, exact, rtol=1e-12)


@pytest.mark.parametrize("temperature", [50.0, 100.0, 400.0])
def test_a_square_well_has_its_closed_second_virial_coefficient(temperature):
    sigma, reach, depth = 3.0, 1.5, 100.0
    r = np.linspace(sigma, 3 * sigma, 200_001)
    u = np.where(r < reach * sigma, -depth, 0.0)
    sphere = 2 * np.pi / 3 * constants.N_A * 1e-24 * sigma**3
    exact = sphere * (1 - (reach**3 - 1) * np.expm1(depth / temperature))
    assert lj.second_virial(r, u, [temperature]) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("last", [4.0, 12.0])
def test_lennard_jones_has_the_tabulated_second_virial_coefficient(last):
    # Hirschfelder, Curtiss & Bird, in units of 2π N_A σ³/3, wherever the table of energies ends.
    r = np.linspace(0.5, last, 20_000)
    found = lj.second_virial(3.4 * r, 120 * lj.lennard_jones(r), 120 * np.array([1.0, 2.0, 5.0]))
    scale = 2 * np.pi / 3 * constants.N_A * 1e-24 * 3.4**3
    np.testing.assert_allclose(found / scale, [-2.5381, -0.6276, 0.2433], atol=1e-3)
    if last > 4:
        np.testing.assert_allclose(found / scale, [-2.5381, -0.6276, 0.2433], atol=6e-5)
        exact = lj.second_virial(3.4 * r, 120 * lj.lennard_jones(r), [120.0]) / scale
        assert exact == pytest.approx(-2.5380814, abs=1e-6)


@pytest.mark.parametrize(
    ("distance", "energy"),
    [
        ("Å", "meV"),
        ("nm", "K"),
        ("nm", "kJ/mol"),
        ("pm", "kcal/mol"),
        ("bohr", "hartree"),
        ("m", "J"),
        ("nm", "eV"),
        ("Å", "cm-1"),
    ],
)
def test_units_do_not_change_a_virial_coefficient(distance, energy):
    r = np.linspace(2.4, 20, 5000)
    plain = lj.second_virial(r, lj.aziz(r), TEMPERATURES)
    other = lj.second_virial(
        r / ANGSTROM[distance], lj.aziz(r) / KELVIN[energy], TEMPERATURES, (distance, energy)
    )
    np.testing.assert_allclose(other, plain, rtol=3e-5, atol=1e-3)


def test_every_unit_is_as_large_as_codata_says():
    same = {
        "A": "Å",
        "angstrom": "Å",
        "a0": "bohr",
        "Eh": "hartree",
        "cm^-1": "cm-1",
        "1/cm": "cm-1",
    }
    for table, known in (
        (potentials.DISTANCE_UNITS, ANGSTROM),
        (potentials.ENERGY_UNITS, KELVIN),
    ):
        for unit, value in table.items():
            if unit in ("σ", "sigma", "ε", "epsilon"):
                assert np.isnan(value)
            else:
                assert value == pytest.approx(known[same.get(unit, unit)], rel=2e-6), unit


def test_aziz_has_the_published_second_virial_coefficients():
    r = np.linspace(2.2, 40, 40_000)
    found = lj.second_virial(r, lj.aziz(r), [100, 150, 200, 300, 500])
    np.testing.assert_allclose(found, [-183.42, -86.47, -48.14, -15.41, 6.74], atol=0.05)


# ── Data ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_simulation_is_the_formula_at_fifty_distances_and_half_are_to_train_on():
    data = lj.simulate()
    np.testing.assert_array_equal(data["distances"], np.linspace(0.9, 2.0, 50))
    np.testing.assert_array_equal(data["energies"], lj.lennard_jones(data["distances"].values))
    assert data["training"].dtype == bool and int(data["training"].sum()) == 25
    assert data["distances"].units == "σ" and data["energies"].units == "ε"
    xr.testing.assert_identical(data, lj.simulate())
    other = lj.simulate(rng=rng(2))
    assert bool((other["training"] != data["training"]).any())
    assert int(lj.simulate(training=0.1)["training"].sum()) == 5


def test_noise_has_the_size_that_was_asked_for():
    r = np.linspace(0.9, 2, 4000)
    data = lj.simulate(r, noise=0.3, rng=rng(3))
    rest = data["energies"].values - lj.lennard_jones(r)
    assert rest.std() == pytest.approx(0.3, rel=0.05) and abs(rest.mean()) < 0.02
    xr.testing.assert_identical(data, lj.simulate(r, noise=0.3, rng=rng(3)))


def test_the_shipped_argon_energies_are_those_of_aziz_to_a_thousandth():
    data = lj.argon(ARGON)
    table = lj.argon_table()
    np.testing.assert_array_equal(np.loadtxt(ARGON, delimiter=",", skiprows=1), table)
    np.testing.assert_array_equal(data["distances"], table[:, 0])
    np.testing.assert_array_equal(data["energies"], table[:, 1])
    assert np.abs(table[:, 1] - lj.aziz(table[:, 0])).max() <= 0.0005 + 1e-12
    assert table[0, 0] == 2.8 and table[-1, 0] == 10.0 and np.all(np.diff(table[:, 0]) > 0.09)
    assert bool(data["training"].all()) and data.attrs["potential"] == "aziz"
    assert data["distances"].units == "Å" and data["energies"].units == "K"


def test_scales_are_those_of_the_pair():
    data = lj.argon(ARGON)
    sigma, epsilon = lj.scales(data["distances"], data["energies"])
    # They are there to centre wide priors on: no table of energies is a Lennard-Jones potential.
    assert sigma == pytest.approx(3.35, rel=0.01) and epsilon == pytest.approx(143.2, rel=0.15)
    r = np.linspace(0.9, 2, 30)
    in_reduced_units = pair(r, 3 * lj.lennard_jones(r))
    assert lj.scales(in_reduced_units["distances"], in_reduced_units["energies"]) == (1, 1)
    sigma, epsilon = lj.scales(3.4 * r, 120 * lj.lennard_jones(r))
    assert sigma == pytest.approx(3.4, rel=0.01) and epsilon == pytest.approx(120, rel=0.05)
    for u in (np.exp(-r), -np.exp(-r), r, -r):  # curves that are no pair's
        assert all(np.isfinite(value) and value > 0 for value in lj.scales(r, u))


GOOD = {
    "comma": ("r (Å),U (K)\n3.2,304.5\n3.4,-44\n3.8,-142\n", {}),
    "swapped": ("energy (K),distance (Å)\n304.5,3.2\n-44,3.4\n-142,3.8\n", {}),
    "in order": ("distance (Å),energy (K)\n3.2,304.5\n3.4,-44\n3.8,-142\n", {}),
    "any order of rows": ("r [Å],U [K]\n3.8,-142\n3.2,304.5\n3.4,-44\n", {}),
    "semicolons": ("r (Å);U (K)\n3,2;304,5\n3,4;-44\n3,8;-142\n", {}),
    "spaces": ("# a note\nr (Å)  U (K)\n3.2 304.5\n\n3.4 -44\n3.8 -142\n", {}),
    "capitals": ("U (K),R (Å)\n304.5,3.2\n-44,3.4\n-142,3.8\n", {}),
    "columns by name": (
        "pair,a (Å),b (K),U (K)\n1,3.2,304.5,0\n1,3.4,-44,0\n1,3.8,-142,0\n",
        {"distance": "a", "energy": "b"},
    ),
    "columns by position": (
        "b (K),pair,a (Å)\n304.5,1,3.2\n-44,2,3.4\n-142,1,3.8\n",
        {"distance": 3, "energy": 1},
    ),
    "units as options": (
        "r,U\n3.2,304.5\n3.4,-44\n3.8,-142\n",
        {"distance_unit": "Å", "energy_unit": "K"},
    ),
    "options before the header": (
        "r (nm),U (eV)\n3.2,304.5\n3.4,-44\n3.8,-142\n",
        {"distance_unit": "Å", "energy_unit": "K"},
    ),
    "a stroke and words": ("r/Å,U (KELVIN)\n3.2,304.5\n3.4,-44\n3.8,-142\n", {}),
    "an index": ("index,U (K),r (Å)\n0,304.5,3.2\n1,-44,3.4\n2,-142,3.8\n", {}),
    "a table of LAMMPS": (
        "# UNITS: real\n\nAR_AR\nN 3 R 3.2 3.8\n\n1 3.2 304.5 5\n2 3.4 -44 2\n3 3.8 -142 0.5\n",
        {"distance_unit": "ångström", "energy_unit": "K"},
    ),
    "no header": (
        "3.2 304.5\n3.4 -44\n3.8 -142\n",
        {"distance_unit": "Å", "energy_unit": "K"},
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_table_is_read_as_it_was_meant(name, tmp_path):
    text, options = GOOD[name]
    (tmp_path / "pair.csv").write_text(text)
    data = lj.read(tmp_path / "pair.csv", **options)
    np.testing.assert_array_equal(data["distances"], [3.2, 3.4, 3.8])
    np.testing.assert_array_equal(data["energies"], [304.5, -44, -142])
    assert data["distances"].units == "Å" and data["energies"].units == "K"
    assert bool(data["training"].all()) and "error" not in data
    assert data.attrs["case"] == "pair.csv"


@pytest.mark.parametrize("called", ["error (K)", "U_err (K)", "sd"])
def test_error_bars_are_read_with_the_unit_of_the_energies(called, tmp_path):
    text = f"r (Å),U (K),{called}\n3.8,-142,1\n3.2,304.5,3\n3.4,-44,2\n"
    (tmp_path / "pair.csv").write_text(text)
    data = lj.read(tmp_path / "pair.csv")
    np.testing.assert_array_equal(data["error"], [3, 2, 1])
    assert data["error"].units == "K"
    assert "error" not in lj.read(tmp_path / "pair.csv", error="none")


def test_error_bars_in_another_unit_are_not_taken_for_the_energies_own(tmp_path):
    # 1 meV is 11.6 K: it may be converted or refused, but not be read as 1 K.
    text = "r (Å),U (K),error (meV)\n3.2,304.5,1\n3.4,-44,1\n3.8,-142,1\n"
    (tmp_path / "pair.csv").write_text(text)
    try:
        found = lj.read(tmp_path / "pair.csv")["error"].values
    except DataError as error:
        assert "meV" in str(error) and "pair.csv" in str(error)
    else:
        np.testing.assert_allclose(found, KELVIN["meV"], rtol=1e-5)


HEAD = "r (Å),U (K)\n"
REFUSED = {
    "two points": (HEAD + "3.2,300\n3.4,-44\n", "at least 3"),
    "no distance": (HEAD + "0,300\n3.4,-44\n3.8,-142\n", "not positive"),
    "negative distance": (HEAD + "3.2,300\n-3.4,-44\n3.8,-142\n", "not positive.*-3.4"),
    "nan": (HEAD + "3.2,300\n3.4,nan\n3.8,-142\n", "row 3, column U"),
    "a word": (HEAD + "3.2,300\nthree,-44\n3.8,-142\n", "row 3, column r"),
    "one energy": (HEAD + "3.2,5\n3.4,5\n3.8,5\n", "column U: all y are equal"),
    "an index alone": ("1,300\n2,-44\n3,-142\n", "column 1 only counts the rows"),
    "MeV": ("r (Å),U (MeV)\n3.2,300\n3.4,-44\n3.8,-142\n", "unit of the energy is unknown"),
    "no unit of distance": ("r,U (K)\n3.2,300\n3.4,-44\n3.8,-142\n", "unit of the distance.*miss"),
    "no unit of energy": ("r (Å),U\n3.2,300\n3.4,-44\n3.8,-142\n", "unit of the energy.*missing"),
    "unknown unit": ("r (Å),U (stone)\n3.2,300\n3.4,-44\n3.8,-142\n", "energy is unknown.*stone"),
    "units swapped": ("r (K),U (Å)\n3.2,300\n3.4,-44\n3.8,-142\n", "distance is unknown.*found K"),
    "negative error": ("r (Å),U (K),error\n3.2,300,1\n3.4,-44,-1\n3.8,-142,1\n", "row 3.*error"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_will_not_do_is_refused_in_one_line_that_names_it(name, tmp_path):
    text, words = REFUSED[name]
    (tmp_path / "pair.csv").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        lj.read(tmp_path / "pair.csv")
    assert "pair.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_unit_given_as_an_option_is_refused(tmp_path):
    (tmp_path / "pair.csv").write_text("r (Å),U (K)\n3.2,300\n3.4,-44\n3.8,-142\n")
    with pytest.raises(DataError, match=r"furlong.*--distance-unit"):
        lj.read(tmp_path / "pair.csv", distance_unit="furlong")


# ── The classical recipe ─────────────────────────────────────────────────────────────────────────


def textbook(r, u, at, wall):
    """Kernel ridge with an explicit inverse, in reduced units."""

    def mean(x):
        return np.where(x < 0.95, -150.0 * (x - 0.95), 0.0) if wall else 0 * x

    def kernel(a, b):
        return np.exp(-np.abs(a[:, None] - b) / 0.1)

    inverse = np.linalg.inv(kernel(r, r) + 1e-9 * np.eye(len(r)))
    return mean(at) + kernel(at, r) @ inverse @ (u - mean(r))


@pytest.mark.parametrize("wall", [True, False])
def test_the_classical_recipe_is_the_textbooks_formula(wall):
    data = lj.simulate()
    r, u = data["distances"].values, data["energies"].values
    for key in range(5):
        seen = np.isin(np.arange(50), rng(4, key).permutation(50)[: 5 + 9 * key])
        at = np.append(r[~seen], [0.7, 1.234, 3.0])
        found = lj.kernel_ridge(r[seen], u[seen], at, wall=wall)
        np.testing.assert_allclose(found, textbook(r[seen], u[seen], at, wall), atol=1e-8)
        again = lj.kernel_ridge(r[seen], u[seen], r[seen], wall=wall)
        np.testing.assert_allclose(again, u[seen], atol=1e-6)
        in_kelvin = lj.kernel_ridge(
            3.4 * r[seen], 120 * u[seen], 3.4 * at, sigma=3.4, epsilon=120.0, wall=wall
        )
        np.testing.assert_allclose(in_kelvin, 120 * found, atol=1e-6)


def test_the_classical_answer_is_in_units_of_the_data():
    data = lj.simulate().isel(point=slice(0, 50, 2))
    found = lj.classical(data)
    at = found["distances"].values
    r, u = data["distances"].values, data["energies"].values
    for wall in ("zero", "repulsive"):
        expected = textbook(r, u, at, wall == "repulsive")
        np.testing.assert_allclose(found["curve"].sel(wall=wall), expected, atol=1e-7)
    assert found["curve"].units == "ε" and found["distances"].units == "σ"
    in_kelvin = lj.classical(lj.argon(ARGON), [3.0, 3.8])
    assert in_kelvin["curve"].units == "K" and in_kelvin.sizes == {"wall": 2, "new": 2}
    np.testing.assert_allclose(in_kelvin["curve"], 2 * [lj.aziz(np.array([3.0, 3.8]))], rtol=0.02)


@pytest.mark.parametrize("training", [5, 25, 48])
def test_splits_at_the_classical_numbers_are_the_classical_recipe(training):
    data = lj.simulate()
    r, u = data["distances"].values, data["energies"].values
    kernel = gp.Exponential(length_scale=0.1, amplitude=1.0)
    curve = curve_from_arrays(r, u)
    problem = gp.process(curve, kernel, gp.Repulsive(150.0, 0.95), noise=1e-9**0.5, workers=1)
    theta = {name: np.full(2, value) for name, value in problem.fixed.items()}
    theta["gamma"] = np.array([0.0, 150.0])
    order = splits.orders(rng(5), 12, 50)
    found = splits.fixed(problem, theta, order, training)["error"]
    for k, wall in enumerate((False, True)):
        for i, row in enumerate(order):
            seen, unseen = row[:training], row[training:]
            predicted = lj.kernel_ridge(r[seen], u[seen], r[unseen], wall=wall)
            error = np.abs(predicted - u[unseen]).mean()
            assert found[k, i] == pytest.approx(error, abs=1e-8)


# ── Fits ─────────────────────────────────────────────────────────────────────────────────────────


def steep(r, height=LogNormal(1.0, 1.0), power=12.0):
    return height * r**-power


@pytest.mark.parametrize(
    ("mean", "more"),
    [
        ("zero", {}),
        ("repulsive", {"gamma": "K/Å", "r0": "Å"}),
        ("lennard_jones", {"epsilon": "K", "sigma": "Å"}),
        (steep, {"height": "1"}),
    ],
)
def test_each_mean_brings_its_parameters_with_their_units(mean, more):
    r = np.linspace(3.2, 6, 10)
    fit = lj.fit(pair(r, lj.aziz(r), units=("Å", "K")), mean=mean, settings=SHORT)
    units = {name: variable.units for name, variable in fit["posterior"].data_vars.items()}
    assert units == {"length_scale": "Å", "amplitude": "K", "noise": "K"} | more
    assert set(fit["posterior"]["noise"].dims) == {"chain", "draw"}
    assert fit.attrs["system"] == "lennard_jones" and noted(fit, "truth") is None
    assert fit["constant_data"]["distances"].units == "Å"
    assert fit["observed_data"]["energies"].units == "K"
    for name in more:
        assert np.isfinite(fit["posterior"][name]).all() and fit["posterior"][name].std() > 0


def test_points_with_large_errors_are_trusted_less():
    r = np.linspace(1.0, 2.0, 40)
    error = np.where(r < 1.5, 0.01, 0.3)
    u = lj.lennard_jones(r) + error * rng(6).normal(size=40)
    fit = lj.fit(pair(r, u, error), mean="zero", settings=SHORT)
    np.testing.assert_array_equal(fit["constant_data"]["error"], error)
    # The noise beyond the errors is small against even the smaller of them: there is none.
    assert float(fit["posterior"]["noise"].median()) < 0.01
    drawn = lj.predict(fit, [1.25, 1.75])
    near, far = drawn["sd"].mean(("chain", "draw")).values
    assert near < 0.01 and far > 4 * near
    z = (flat(drawn["mean"]).mean(axis=0) - lj.lennard_jones(np.array([1.25, 1.75]))) / [near, far]
    assert np.abs(z).max() < 4
    same = lj.fit(pair(r, u, np.full(40, 0.3)), mean="zero", settings=SHORT)
    assert float(lj.predict(same, [1.25])["sd"].mean()) > 4 * near


def test_distances_may_repeat():
    r = np.repeat(np.linspace(0.98, 2.0, 9), 3)
    u = lj.lennard_jones(r) + 0.1 * rng(7).normal(size=27)
    fit = lj.fit(pair(r, u), mean="zero", settings=SHORT)
    spread = np.sqrt(u.reshape(9, 3).var(axis=1, ddof=1).mean())
    assert float(fit["posterior"]["noise"].mean()) == pytest.approx(spread, rel=0.3)


@pytest.mark.slow
def test_a_file_of_a_lennard_jones_mean_predicts_without_being_told(tmp_path):
    fit = argon("lennard_jones")
    back = load(save(fit, tmp_path / "fit.nc"))
    there, here = (lj.predict(f, [3.0, 3.8, 12.0], slope=True) for f in (back, fit))
    xr.testing.assert_allclose(there, here, rtol=1e-12)
    for name, again in (("curve", lj.curves(back)), ("virial", lj.virial(back))):
        xr.testing.assert_allclose(noted(back, name).reset_coords(), again.reset_coords())
    read = lj.well(noted(back, "curve"), lj.rows_around(back))
    xr.testing.assert_allclose(noted(back, "well"), read, rtol=1e-9)
    # Far outside only the mean is left, whose size the energies inside have set.
    np.testing.assert_allclose(flat(lj.predict(back, [30.0])["curve"]).mean(), 0, atol=3e4)


def test_a_function_that_is_only_called_lennard_jones_is_not_taken_for_it():
    def lennard_jones(r, epsilon=LogNormal(1.0, 0.5), sigma=LogNormal(1.0, 0.1)):
        return 10 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 10)

    r = np.linspace(0.95, 2, 12)
    fit = lj.fit(pair(r, lj.lennard_jones(r)), mean=lennard_jones, settings=SHORT)
    told = lj.predict(fit, [0.8, 1.5], mean=lennard_jones)
    try:  # it may ask for the function, as for any other that a file cannot hold
        untold = lj.predict(fit, [0.8, 1.5])
    except FitError as error:
        assert "mean=" in str(error)
    else:
        np.testing.assert_allclose(untold["mean"], told["mean"])


def test_mistakes_are_said_in_one_line():
    r = np.linspace(0.95, 2, 12)
    u = lj.lennard_jones(r)
    hole = np.where(np.arange(12) == 3, np.nan, u)
    for changes, kind, words in (
        ({"mean": "lenard_jones"}, FitError, "lenard_jones.*zero, repulsive, lennard_jones"),
        ({"kernel": "magic"}, FitError, "unknown kernel 'magic'.*matern52"),
        ({"method": "magic"}, FitError, "mcmc, laplace, nuts"),
        ({"priors": {"gama": Normal()}, "mean": "repulsive"}, FitError, "gamma, r0"),
        ({"coordinate": "r2"}, FitError, "unknown coordinate 'r2'.*inverse_cube"),
        ({"distances": -r}, DataError, "not positive"),
        ({"energies": np.ones(12)}, DataError, "all energies are equal"),
        ({"energies": hole}, DataError, "finite"),
        ({"distances": np.where(hole == hole, r, np.nan)}, DataError, "finite"),
        ({"distances": [], "energies": []}, DataError, "at least 3"),
        ({"distances": r[:2], "energies": u[:2]}, DataError, "at least 3"),
        ({"error": -np.ones(12)}, DataError, "error bar"),
    ):
        with pytest.raises(kind, match=words) as caught:
            columns = {"distances": r, "energies": u, "error": None} | changes
            data = pair(*(columns.pop(name) for name in ("distances", "energies", "error")))
            lj.fit(data, **columns, settings=SHORT)
        assert "\n" not in str(caught.value)


# ── What follows from a posterior ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "mean",
    [pytest.param(m, marks=[pytest.mark.slow] * (m != "repulsive")) for m in lj.MEANS],
)
def test_the_well_of_many_energies_is_the_true_one(mean):
    found = noted(reduced(mean), "well")
    for name, truth in (("depth", 1.0), ("minimum", MINIMUM), ("crossing", 1.0)):
        draws = found[name].values
        assert np.isfinite(draws).all() and draws.shape[0] == 4
        assert np.abs(draws / truth - 1).max() < 0.01, name
        assert abs(draws.mean() - truth) < 3.5 * draws.std(), name
        # The 47th decimal of a curve that is known this well would say nothing of the method.
        assert 1e-7 < draws.std() < 2e-3, name


def test_the_well_of_argon_has_units_and_covers_azizs():
    found = noted(argon("repulsive"), "well")
    units = {"depth": "K", "minimum": "Å", "crossing": "Å", "lowest": "Å", "deepest": "K"}
    assert {n: v.units for n, v in found.items()} == units
    for name, truth in (("depth", 143.2365), ("minimum", 3.756996), ("crossing", 3.350184)):
        draws = found[name].values
        assert abs(draws.mean() - truth) < 3.5 * draws.std(), name
        assert draws.mean() == pytest.approx(truth, rel=1e-3), name


def test_paths_without_a_slope_have_a_well_as_well():
    found = noted(reduced("repulsive", "exponential"), "well")
    for name, truth, share in (
        ("depth", 1.0, 0.25),
        ("minimum", MINIMUM, 0.08),
        ("crossing", 1.0, 0.01),
    ):
        # Some are lowest beside the rows around the lowest energies, which are close here.
        assert np.isfinite(found[name]).mean() > 0.5
        assert float(found[name].mean()) == pytest.approx(truth, rel=share)
    # Rough paths reach lower than the curve that they surround, never less deep.
    assert float(found["depth"].min()) > 0.95


@pytest.mark.parametrize("mean", ["zero", "repulsive"])
def test_energies_of_the_wall_alone_have_no_well(mean):
    r = np.linspace(0.85, 0.97, 8)
    found = noted(lj.fit(pair(r, lj.lennard_jones(r)), mean=mean, settings=SHORT), "well")
    for name in ("depth", "minimum", "crossing"):
        assert np.isnan(found[name]).mean() > 0.95, name
    beyond = np.linspace(1.03, 1.8, 12)
    data = pair(beyond, lj.lennard_jones(beyond))
    found = noted(lj.fit(data, mean=mean, settings=SHORT), "well")
    assert np.isnan(found["crossing"]).all() and np.isfinite(found["depth"]).mean() > 0.9
    assert float(found["depth"].mean()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("mean", ["repulsive", "lennard_jones"])
def test_the_force_is_minus_the_derivative_of_the_potential(mean):
    r = np.linspace(0.96, 1.9, 25)
    found = lj.predict(reduced(mean), r, slope=True, most=200)
    slope = flat(found["slope"])
    exact = 4 * (-12 * r**-13 + 6 * r**-7)
    z = (slope.mean(axis=0) - exact) / slope.std(axis=0)
    assert np.abs(z).max() < 5
    assert np.abs(slope.mean(axis=0) - exact).max() < 0.01 * np.abs(exact).max()
    assert found["slope"].units == "ε/σ" and found["curve"].units == "ε"


@pytest.mark.parametrize("mean", ["repulsive", "lennard_jones"])
def test_the_virial_coefficients_of_argon_are_known_from_its_energies(mean):
    found = lj.virial(argon(mean), TEMPERATURES)["B2"]
    assert found.dims == ("chain", "draw", "temperature") and found.units == "cm³/mol"
    draws = flat(found)
    np.testing.assert_allclose(draws.mean(axis=0), [-86.47, -48.14, -15.41, 6.74], atol=0.5)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert 0 < high[0] - low[0] < 1 and np.all(np.diff(high - low) < 0)
    known = noted(argon(mean), "truth")["B2"].sel(temperature=list(TEMPERATURES))
    np.testing.assert_allclose(known, [-86.47, -48.14, -15.41, 6.74], atol=0.05)


def test_virial_coefficients_are_the_same_from_energies_in_other_units():
    r, u = lj.argon_table().T
    data = pair(r / 10, u / KELVIN["meV"], units=("nm", "meV"))
    fit = lj.fit(data, mean="lennard_jones", settings=SHORT)
    draws = flat(noted(fit, "virial")["B2"].sel(temperature=list(TEMPERATURES)))
    np.testing.assert_allclose(draws.mean(axis=0), [-86.47, -48.14, -15.41, 6.74], atol=0.5)


def test_a_virial_coefficient_needs_units_of_length_and_energy():
    with pytest.raises(FitError, match="ε and σ") as caught:
        lj.virial(reduced("zero"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mean", lj.MEANS)
def test_what_is_told_of_a_fit_stands_beside_it(mean):
    for fit, known in ((reduced(mean), lj.lennard_jones), (argon(mean), lj.aziz)):
        r = fit["constant_data"]["distances"]
        drawn, truth, recipe = (noted(fit, name) for name in ("curve", "truth", "classical"))
        grid = drawn["distances"].values
        assert drawn["distances"].units == r.units == truth["distances"].units
        np.testing.assert_allclose(grid[[0, -1]], [r.min(), r.max()])
        again = lj.predict(fit, grid, slope=True, most=200)
        for name in ("curve", "slope"):
            np.testing.assert_array_equal(drawn[name], again[name])
            assert drawn[name].units == again[name].units == truth[name].units
        np.testing.assert_allclose(drawn["mean"], again["mean"].mean(("chain", "draw")))
        np.testing.assert_allclose(truth["curve"], known(grid), rtol=1e-12)
        rises = known(grid + 1e-4) - known(grid - 1e-4)
        np.testing.assert_allclose(truth["slope"], rises / 2e-4, rtol=1e-5, atol=1e-3)
        at = np.argmin(np.abs(grid - float(r[20])))
        assert recipe["curve"].dims == ("wall", "new")
        near = recipe["curve"].isel(new=at) - known(grid[at])
        assert np.abs(near).max() < 0.1 * noted(fit, "well")["depth"].mean()
    assert (noted(reduced(mean), "virial") is None) and "B2" not in noted(reduced(mean), "truth")
    for name, value in (("depth", 1.0), ("minimum", MINIMUM), ("crossing", 1.0)):
        assert float(noted(reduced(mean), "truth")[name]) == pytest.approx(value, rel=1e-6)
    known = {"epsilon": 1.0, "sigma": 1.0} if mean == "lennard_jones" else {}
    assert true_values(reduced(mean)) == known


@pytest.mark.parametrize(
    ("low", "high", "seen"),
    [
        (0.9, 1.1, {"crossing"}),
        (1.05, 2.0, {"depth", "minimum"}),
        (1.2, 2.0, set()),
    ],
)
def test_a_true_well_is_told_where_the_data_reach(low, high, seen):
    truth = lj.truth(lj.simulate(), np.linspace(low, high, 50))
    names = {name for name in ("depth", "minimum", "crossing") if np.isfinite(truth[name])}
    assert names == seen


def test_a_fit_takes_a_noise_that_is_known():
    data = noisy()
    assert float(data["truth.noise"]) == 0.05
    fit = lj.fit(data, noise=0.05, settings=SHORT)
    assert "noise" not in fit["posterior"] and float(fit["constant_data"]["noise"]) == 0.05
    stated = lj.fit(data, noise=LogNormal(0.05, 0.01), settings=SHORT)["posterior"]["noise"]
    np.testing.assert_allclose(stated, 0.05, rtol=0.06)


# ── Learning curves ──────────────────────────────────────────────────────────────────────────────


@cache
def scores():
    return lj.learning_curves(lj.simulate(), count=100, inferred=0, settings=SHORT)


def test_the_classical_learning_curves_are_those_of_the_experiment():
    # The experiment had 100 splits, which leaves its last error, 0.098, a standard error of some
    # 15 % itself: with 2 points held out all depends on whether the innermost is one of them.
    found = lj.learning_curves(lj.simulate(), count=4000, inferred=0, settings=SHORT)
    error = found["error"].sel(numbers="fixed").isel(size=[0, -1])
    np.testing.assert_allclose(error.sel(wall="zero"), [0.494, 0.098], rtol=0.15)
    np.testing.assert_allclose(error.sel(wall="repulsive"), [0.281, 0.066], rtol=0.15)


def test_scores_have_their_sizes_errors_and_units():
    found = scores()
    assert found["size"].values.tolist() == [5, 10, 15, 20, 25, 30, 35, 40, 45, 48]
    for name in splits.SCORES:
        mean, error = (found[n].sel(numbers="fixed") for n in (name, f"{name}_se"))
        assert np.isfinite(mean).all() and np.all(error > 0)
        assert np.isnan(found[name].sel(numbers="inferred")).all()
    assert np.all(found["splits"].sel(numbers="fixed") == 100)
    assert found["error"].units == "ε" and found["z2"].units == "1"
    # A standard error is what repetitions scatter by.
    again = [
        lj.learning_curves(lj.simulate(), count=100, inferred=0, settings=SHORT.replace(seed=k))[
            "error"
        ].sel(numbers="fixed")
        for k in range(30)
    ]
    scatter = xr.concat(again, "seed").std("seed", ddof=1)
    ratio = scatter / found["error_se"].sel(numbers="fixed")
    assert float(ratio.median()) == pytest.approx(1, abs=0.25)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scores_whatever_the_workers():
    data = lj.simulate(np.linspace(0.9, 2, 14))

    def call(workers, seed=1):
        return lj.learning_curves(
            data.isel(point=slice(0, 14)),
            count=9,
            inferred=2,
            settings=SHORT.replace(workers=workers, seed=seed),
        )

    one, two = call(1), call(2)
    xr.testing.assert_allclose(one, two, rtol=1e-10)
    assert np.all(one["splits"].sel(numbers="inferred") == 2)
    effective = one["effective"].sel(numbers="inferred")
    assert np.all((effective >= 1) & (effective <= splits.SHARED + splits.OWN))
    assert bool((call(1, 2)["error"] != one["error"]).any())


def power_law(nu, noise=0.02, key=8):
    """Scores whose classical errors are exact power laws times some noise."""
    found = scores().copy(deep=True)
    n = found["size"].values
    for wall, exponent in zip(("zero", "repulsive"), nu, strict=True):
        law = 2.0 * n**exponent * np.exp(noise * rng(key).standard_normal(len(n)))
        found["error"].loc[{"wall": wall, "numbers": "fixed"}] = law
    return found


def test_exponents_of_power_laws_are_found():
    fit = lj.learning_rates(power_law((-0.7, -0.5)), SHORT)
    for wall, truth in (("zero", -0.7), ("repulsive", -0.5)):
        nu, beta = (fit["posterior"][n].sel(wall=wall) for n in ("nu", "beta"))
        assert float(nu.mean()) == pytest.approx(truth, abs=0.03)
        assert abs(float(nu.mean()) - truth) < 3.5 * float(nu.std())
        assert float(beta.mean()) == pytest.approx(2, rel=0.1)
        # By least squares: the noise over the spread of log N.
        n = np.log(scores()["size"].values)
        assert float(nu.std()) == pytest.approx(0.02 / (n.std() * 10**0.5), rel=0.5)
    assert float(fit["posterior"]["noise"].mean()) == pytest.approx(0.02, rel=0.5)
    nu = fit["posterior"]["nu"]
    assert float((nu.sel(wall="repulsive") > nu.sel(wall="zero")).mean()) > 0.999
    # Errors that share their exponent and their noise say nothing of which is larger.
    nu = lj.learning_rates(power_law((-0.6, -0.6)), SHORT)["posterior"]["nu"]
    assert 0.4 < float((nu.sel(wall="repulsive") > nu.sel(wall="zero")).mean()) < 0.6


def test_a_file_of_learning_rates_keeps_the_scores(tmp_path):
    fit = load(save(lj.learning_rates(scores(), SHORT), tmp_path / "rates.nc"))
    kept = noted(fit, "score")
    xr.testing.assert_equal(kept.transpose(*scores().dims), scores())
    assert kept["error"].units == "ε"
    assert fit["posterior"]["beta"].dims == ("chain", "draw", "wall")
    assert fit["posterior"]["wall"].values.tolist() == ["zero", "repulsive"]
    assert noted(fit, "wall") is None and fit["posterior"]["nu"].units == "1"
    assert "signed_size" in fit["constant_data"] and "log_error" in fit["observed_data"]


def test_two_sizes_are_too_few_for_a_power_law():
    with pytest.raises(FitError, match="three sizes") as caught:
        lj.learning_rates(scores().isel(size=[0, 5]), SHORT)
    assert "\n" not in str(caught.value)
    few = lj.learning_curves(noisy().isel(point=slice(0, 4)), count=3, inferred=0, settings=SHORT)
    with pytest.raises(FitError, match="not 1"):
        lj.learning_rates(few, SHORT)


# ── Which model ──────────────────────────────────────────────────────────────────────────────────


def closed_stack(n, a, m, b):
    """The weight of A where n data have densities (a, 1) and m data (1, b): a root of d/dw."""
    return (n * (a - 1) * b - m * (b - 1)) / ((a - 1) * (b - 1) * (n + m))


def test_stacking_meets_its_closed_forms():
    bad, good = np.full(10, -50.0), rng(9).normal(size=10)
    np.testing.assert_allclose(comparison.stacking(np.array([bad, good])), [0, 1], atol=1e-6)
    np.testing.assert_allclose(comparison.stacking(np.array([good, good])), [0.5, 0.5], atol=1e-12)
    for n, a, m, b in ((6, 3.0, 4, 4.0), (5, 4.0, 5, 4.0), (3, 10.0, 9, 5.0)):
        density = np.array([[a] * n + [1.0] * m, [1.0] * n + [b] * m])
        weight = closed_stack(n, a, m, b)
        assert 0 < weight < 1
        found = comparison.stacking(np.log(density) + 100 * rng(10).normal(size=n + m))
        np.testing.assert_allclose(found, [weight, 1 - weight], atol=1e-6)


@pytest.fixture(scope="module")
def compared():
    """Two means and two kernels on twelve energies with noise."""
    return lj.compare(
        noisy(12),
        forms=("zero", "repulsive"),
        kernels=("squared_exponential", "exponential"),
        settings=SHORT,
    )


def test_means_and_kernels_are_compared_by_finite_numbers(compared):
    assert compared.sizes == {"form": 2, "model_kernel": 2}
    for name in ("elpd_psis", "elpd_refitted", "elpd_optimum", "pareto_k", "se", "weight"):
        assert np.isfinite(compared[name]).all() and compared[name].units == "1", name
    assert float(compared["weight"].sum()) == pytest.approx(1, abs=1e-9)
    assert np.all(compared["se"] > 0) and np.all(compared["weight"] >= 0)
    # The wall begins inside all of the energies and says nothing of them.
    zero, wall = (compared.sel(form=mean) for mean in ("zero", "repulsive"))
    np.testing.assert_allclose(wall["elpd_optimum"], zero["elpd_optimum"], atol=1e-3)
    rough = {"model_kernel": "exponential"}
    off = (wall["elpd_refitted"] - zero["elpd_refitted"]).sel(rough)
    assert abs(float(off)) < 0.6  # Monte Carlo error of twelve log densities
    # One kernel is far better here, and has all of the weight.
    elpd = compared["elpd_refitted"].mean("form")
    weight = compared["weight"].sum("form")
    assert elpd.idxmax("model_kernel") == weight.idxmax("model_kernel")


def test_a_look_judges_by_the_draws_there_are(monkeypatch):
    """Without refits the forms are compared by importance sampling, and the table says so."""
    monkeypatch.setattr(comparison.splits, "integrated", None)
    fits = {form: reduced(form) for form in ("zero", "repulsive")}
    one = {"forms": tuple(fits), "kernels": ("squared_exponential",), "fits": fits}
    alone = SHORT.replace(workers=1)
    found = lj.compare(lj.simulate(training=1.0), **one, refit=False, settings=alone)
    elpd = found["elpd_psis"].isel(model_kernel=0)
    assert "elpd_refitted" not in found
    for form, fit in fits.items():
        assert float(elpd.sel(form=form)) == pytest.approx(loo(fit)["elpd"])
    np.testing.assert_allclose(found["behind"][:, 0], elpd.max() - elpd)
    best = lj.best(found)
    assert best == elpd.idxmax("form").item()
    fits[best] = annotated(fits[best], comparison=found)
    (*_, table) = lj.story({f"{form}_mean": fit for form, fit in fits.items()}).numbers.tables
    assert "PSIS" in table.frame.columns and "elpd" not in table.frame.columns
    assert "weighed anew without the energy" in table.caption


def test_the_log_density_at_the_optimum_is_that_of_deleting_each_energy(compared):
    data = noisy(12)
    r, u = data["distances"].values, data["energies"].values
    fit = lj.fit(data, mean="repulsive", settings=SHORT)
    at = {
        n.removesuffix("_optimum"): float(v)
        for n, v in fit["sample_stats"].data_vars.items()
        if n.endswith("_optimum")
    }
    matrix = at["amplitude"] ** 2 * np.exp(-0.5 * ((r[:, None] - r) / at["length_scale"]) ** 2)
    matrix += at["noise"] ** 2 * np.eye(12)
    mean, total = at["gamma"] * np.maximum(at["r0"] - r, 0), 0.0
    for i in range(12):
        rest = np.arange(12) != i
        weight = np.linalg.solve(matrix[rest][:, rest], matrix[rest, i])
        centre = mean[i] + weight @ (u - mean)[rest]
        sd = np.sqrt(matrix[i, i] - weight @ matrix[rest, i])
        total += stats.norm(centre, sd).logpdf(u[i])
    found = compared["elpd_optimum"].sel(form="repulsive", model_kernel="squared_exponential")
    assert float(found) == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize(
    ("kernel", "near"),
    [
        ("exponential", 0.5),
        pytest.param("squared_exponential", 0.9, marks=pytest.mark.slow),
    ],
)
def test_the_log_density_of_refits_is_that_of_fits_without_each_energy(kernel, near):
    # Rough paths are the easy case. Smooth ones have posteriors that leap to longer length scales
    # and more noise when the innermost energy is left out, which adds 5 to a sum that overlooks it.
    data = noisy()
    found = lj.compare(data, forms=("zero",), kernels=(kernel,), settings=SHORT)
    r, u = data["distances"].values, data["energies"].values
    # The priors are those of all the energies, for the fits without one of them as well.
    priors = lj.problem(data, "zero", kernel).inferred
    total = 0.0
    for i in range(len(r)):
        rest = np.arange(len(r)) != i
        fit = lj.fit(
            data.isel(point=rest), mean="zero", kernel=kernel, priors=priors, settings=SHORT
        )
        drawn = lj.predict(fit, [r[i]], most=1000)
        sd = np.hypot(drawn["sd"].values[..., 0], fit["posterior"]["noise"].values)
        total += np.log(stats.norm(drawn["mean"].values[..., 0], sd).pdf(u[i]).mean())
    # A thousand draws here and some tens of effective points there, ten times over.
    assert float(found["elpd_refitted"].item()) == pytest.approx(total, abs=near)


@pytest.fixture(scope="module")
def inward():
    return lj.from_the_wall_inward(lj.argon(ARGON), start=3.2, kernels=(), settings=SHORT)


@pytest.mark.parametrize("numbers", ["fixed", "inferred"])
def test_without_a_wall_the_wall_is_not_foreseen(inward, numbers):
    chosen = inward.isel(model=(inward["numbers"] == numbers).values).set_index(model="form")
    zero, wall = chosen.sel(model="zero"), chosen.sel(model="repulsive")
    assert float(wall["log_density"] - zero["log_density"]) > 10
    assert float(zero["error"]) > float(wall["error"])
    for found in (zero, wall):
        assert np.all(found["low"] < found["predicted"])
        assert np.all(found["predicted"] < found["high"])
    assert np.all(zero["high"] < inward["energy"])


def test_what_is_held_out_is_the_wall(inward):
    np.testing.assert_array_equal(inward["inside"], [2.8, 2.9, 3.0, 3.1])
    np.testing.assert_array_equal(inward["energy"], np.round(lj.aziz(inward["inside"].values), 3))
    assert inward["start"] == 3.2 and inward["start"].units == "Å"
    assert inward.sizes["model"] == 4 and inward["error"].units == "K"


def wall_of_classical_numbers(error):
    """``from_the_wall_inward`` by explicit conditioning, zero mean, in reduced units."""
    r = np.linspace(0.9, 2.0, 23)
    u = lj.lennard_jones(r)
    inside = r < 0.955
    matrix = np.exp(-np.abs(r[:, None] - r) / 0.1) + (1e-9 + error**2) * np.eye(23)
    weight = np.linalg.solve(matrix[~inside][:, ~inside], matrix[~inside][:, inside])
    centre = weight.T @ u[~inside]
    covariance = matrix[inside][:, inside] - weight.T @ matrix[~inside][:, inside]
    each = stats.norm(centre, np.sqrt(np.diag(covariance))).logpdf(u[inside])
    joint = stats.multivariate_normal(centre, covariance).logpdf(u[inside])
    data = lj.simulate(r)
    if error:
        data["error"] = ("point", np.full(23, error), {"units": "ε"})
    return data, centre, np.sqrt(np.diag(covariance)), each.mean(), joint


@pytest.mark.parametrize("error", [0.0, 0.8])
def test_the_wall_by_the_classical_numbers_is_explicit_conditioning(error):
    # An energy with an error bar is predicted with it, as are those that a fit is checked on.
    data, centre, sd, each, joint = wall_of_classical_numbers(error)
    found = lj.from_the_wall_inward(data, kernels=(), settings=SHORT).isel(model=0)
    assert str(found["form"].values) == "zero" and str(found["numbers"].values) == "fixed"
    np.testing.assert_allclose(found["predicted"], centre, atol=1e-8)
    np.testing.assert_allclose(found["high"] - found["low"], 2 * 1.959964 * sd, rtol=1e-5)
    assert float(found["log_density"]) == pytest.approx(each, rel=1e-6)
    assert float(found["log_density_joint"]) == pytest.approx(joint, rel=1e-6)


@pytest.mark.parametrize("start", [0.5, 1.95])
def test_there_must_be_energies_on_both_sides_of_the_wall(start):
    with pytest.raises(DataError, match="both sides") as caught:
        lj.from_the_wall_inward(lj.simulate(np.linspace(0.9, 2, 20)), start=start, settings=SHORT)
    assert "\n" not in str(caught.value)


# ── Report and calibration ───────────────────────────────────────────────────────────────────────


def told(story):
    """All sections, all words and all pictures of a story."""
    sections = (
        story.answer,
        story.numbers,
        story.predictive,
        story.classical,
        story.priors,
        *story.extra,
    )
    words = " ".join(p for section in sections for p in section.paragraphs)
    return sections, words, [p for section in sections for p in section.pictures]


def test_the_story_of_one_data_set_is_told_from_a_file_alone(tmp_path):
    data = noisy().assign_attrs(case="neon.csv")
    fit = lj.fit(data, settings=SHORT)
    story = lj.story({"repulsive_mean": load(save(fit, tmp_path / "repulsive_mean.nc"))})
    assert "10 energies" in story.question and "neon.csv" in story.question
    sections, words, pictures = told(story)
    assert all(picture.alt and picture.caption for picture in pictures)
    assert len({picture.name for picture in pictures}) == len(pictures) >= 3
    assert len({section.title for section in sections}) == len(sections)
    assert "nan" not in words.lower().split() and "oo few data" in words


def test_the_story_of_all_is_told_from_files_alone(tmp_path, inward, compared):
    fits = {
        "zero_mean": reduced("zero"),
        "repulsive_mean": reduced("repulsive"),
        "argon_repulsive_mean": annotated(argon("repulsive"), wall=inward),
    }
    fits["repulsive_mean"] = annotated(fits["repulsive_mean"], comparison=compared)
    fits["learning_curve"] = lj.learning_rates(scores(), SHORT)
    fits = {name: load(save(fit, tmp_path / f"{name}.nc")) for name, fit in fits.items()}
    # What was noted comes back as it was.
    xr.testing.assert_equal(noted(fits["repulsive_mean"], "comparison"), compared)
    kept = noted(fits["argon_repulsive_mean"], "wall")
    xr.testing.assert_equal(kept.reset_coords(), inward.reset_coords())
    story = lj.story(fits)
    assert "50 energies" in story.question and "Lennard-Jones" in story.question
    sections, words, pictures = told(story)
    assert {"potential", "learning", "scores", "argon_potential", "argon_virial"} <= {
        picture.name for picture in pictures
    }
    assert len({picture.name for picture in pictures}) == len(pictures)
    frames = [table.frame for section in sections for table in section.tables]
    assert all(len(frame) and "nan" not in frame.to_string().lower() for frame in frames)
    assert "3.2 Å" in words and "nan" not in words.lower().split()


def test_energies_that_never_cross_zero_have_a_story_all_the_same():
    r = np.linspace(1.05, 2.0, 10)
    data = pair(r, lj.lennard_jones(r), case="outside", potential="lennard_jones")
    fit = lj.fit(data, settings=SHORT)
    _, words, _ = told(lj.story({"repulsive_mean": fit}))
    assert "not within the data" in words


@pytest.mark.parametrize("variant", ["repulsive", "zero", "falling"])
def test_calibration_draws_from_the_prior_it_fits_with(variant):
    problem = lj.calibration_problem(variant)
    truth, data = problem.simulate(rng(11))
    fit = problem.fit(data, problem.settings.replace(workers=1))
    assert set(truth) == {*fit["posterior"].data_vars}
    assert truth["prediction"].shape == fit["posterior"]["prediction"].shape[2:] == (5,)
    assert fit["posterior"]["prediction"].dims[:2] == ("chain", "draw")
    for name, value in truth.items():
        draws = flat(fit["posterior"][name])
        assert np.abs((value - draws.mean(axis=0)) / draws.std(axis=0)).max() < 5, name
    more = {"repulsive": {"gamma", "r0"}, "zero": set(), "falling": {"decay", "constant"}}
    names = {"length_scale", "amplitude", "noise"} | more[variant]
    assert set(truth) == names | {"prediction"}
    known = {name: value for name, value in truth.items() if name in names}
    if variant == "falling":
        r, u = (data[name].values for name in ("distances", "energies"))
        s = (r / np.sqrt(r[0] * r[-1])) ** -known["decay"] * known["amplitude"]
        K = np.exp(-0.5 * (np.log(r[:, None] / r) / known["length_scale"]) ** 2)
        K = K * np.multiply.outer(s, s) + known["noise"] ** 2 * np.eye(len(r))
        exact = stats.multivariate_normal(np.full(len(r), known["constant"]), K).logpdf(u)
    else:
        exact = gp.log_marginal_likelihood(*data.values(), mean=variant, **known)
    assert problem.log_likelihood(truth, data) == pytest.approx(exact, rel=1e-10)
    # The priors do not look at the data.
    other, _ = problem.simulate(rng(12))
    assert all(other[name] != truth[name] for name in names)


def test_no_variant_is_the_wall():
    found = [lj.calibration_problem(v).simulate(rng(13))[0] for v in (None, "repulsive")]
    assert found[0].keys() == found[1].keys() >= {"gamma", "r0", "prediction"}
    np.testing.assert_array_equal(found[0]["prediction"], found[1]["prediction"])


def test_an_unknown_variant_is_refused():
    with pytest.raises(DataError, match="repulsive, zero, falling"):
        lj.calibration_problem("attractive")


# ── Which form, which zero, which well ───────────────────────────────────────────────────────────

AR = 315775.02  # K in a hartree
ROWS = np.array([3.0, 3.2, 3.4, 3.6, 3.8, 4.0, 4.2, 4.4, 4.6, 4.8, 5.5, 6.0, 7.0, 8.0, 10.0])


def morse(r, depth=4.747, stiffness=1.94, minimum=0.741):
    return depth * ((1 - np.exp(-stiffness * (r - minimum))) ** 2 - 1)


def two_wells(r):
    wells = np.exp(-(((r - 1.5) / 0.12) ** 2)) + 0.7 * np.exp(-(((r - 2.1) / 0.15) ** 2))
    return 20 * np.exp(-8 * (r - 0.9)) - wells


# Tables as people have them: distances, energies, units, whether they stand on a constant, and the
# well as the potential has it.
TABLES = {
    "interaction energies": (ROWS, lj.aziz(ROWS) / 503.21957, ("Å", "kcal/mol"), 0, 0.28464, 3.757),
    "total energies": (
        ROWS,
        np.round(lj.aziz(ROWS) / AR - 1054.123456, 9),
        ("Å", "hartree"),
        1,
        4.536e-4,
        3.757,
    ),
    "relative to the lowest row": (
        ROWS,
        np.round((lj.aziz(ROWS) - lj.aziz(3.8)) / 120.27236, 6),
        ("Å", "kJ/mol"),
        1,
        1.19093,
        3.757,
    ),
    "a bond, relative": (
        np.array([0.45, 0.55, 0.65, 0.7, 0.741, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0]),
        None,
        ("Å", "eV"),
        1,
        4.747,
        0.741,
    ),
    "far rows": (
        np.array([2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 4.0, 4.4, 5.0, 6.0, 8.0, 12.0, 20.0]),
        None,
        ("Å", "K"),
        0,
        143.2365,
        3.757,
    ),
}


@cache
def tabulated(name, form="falling"):
    r, u, units, *_ = TABLES[name]
    if u is None:
        u = morse(r) + 4.747 if name == "a bond, relative" else np.round(lj.aziz(r), 3)
    return lj.fit(pair(r, u, units=units, case=name), settings=SHORT, **lj.FORMS[form])


@pytest.mark.parametrize("name", TABLES)
def test_the_well_is_counted_from_where_the_energies_level_off(name):
    *_, constant, depth, minimum = TABLES[name]
    fit = tabulated(name)
    assert fit.attrs["constant"] == constant and ("constant" in fit["posterior"]) == constant
    read = noted(fit, "well")
    for quantity, truth in (("depth", depth), ("minimum", minimum)):
        draws = read[quantity].values
        assert np.isfinite(draws).all()
        assert abs(np.median(draws) - truth) < max(3.5 * draws.std(), 1e-5 * truth), quantity
        assert np.median(draws) == pytest.approx(truth, rel=0.005), quantity
    verdict = check(fit)
    assert verdict.believed, verdict.words


def test_total_energies_without_a_constant_are_not_believed():
    r, u, units, *_ = TABLES["total energies"]
    fit = lj.fit(pair(r, u, units=units), constant=False, settings=SHORT)
    assert "zero of the energies" in failures(fit)


def failures(fit):
    return {one.name for one in check(fit).checks if one.required and not one.passed}


def test_a_well_in_a_gap_far_out_is_not_believed():
    # In r the wall sets the size of the curve, and between far rows it dips by as much.
    fit = tabulated("far rows", "zero")
    assert {"place of the well", "depth of the well"} & failures(fit)
    assert float(fit["sample_stats"]["well_deeper"]) > 20
    told_of = lj.story({"falling_size": tabulated("far rows"), "zero_mean": fit})
    assert "0 % of the curves are lowest elsewhere" in told_of.answer.paragraphs[0]


def test_two_wells_have_the_deeper_one_read():
    r = np.linspace(1, 3, 21)
    fit = lj.fit(pair(r, two_wells(r)), settings=SHORT)
    fine = np.linspace(1.3, 1.7, 4001)
    place = noted(fit, "well")["minimum"].values
    assert abs(np.nanmedian(place) - fine[np.argmin(two_wells(fine))]) < 3 * np.nanstd(place)


def test_rows_bracket_a_well_where_they_are_surely_higher():
    r = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    u = np.array([5.0, -0.98, -1.0, -0.2, 0.0])
    found = lj.bracket(r, u, np.full(5, 0.001))
    assert (found.left, found.right, found.closed, found.depth) == (2.0, 4.0, True, 1.0)
    found = lj.bracket(r, u, np.full(5, 0.1))  # 0.02 is no sure difference now
    assert (found.left, found.right, found.closed) == (1.0, 4.0, True)
    found = lj.bracket(r[2:], u[2:], np.zeros(3), level=0.5)
    assert (found.left, found.right, found.closed, found.depth) == (3.0, 4.0, False, 1.5)


def drawn_curves(*functions):
    """Curves as of ``lj.curves``, each a function of r."""
    r = np.geomspace(0.9, 3, 120)
    values = np.stack([function(r) for function in functions])[None]
    dims, units = ("chain", "draw", "new"), {"units": "ε"}
    return xr.Dataset({"curve": (dims, values, units)}, {"distances": ("new", r, {"units": "σ"})})


def test_the_share_of_curves_lowest_elsewhere_is_counted():
    def wild(r):
        return lj.lennard_jones(r) - 7 * np.exp(-(((r - 2.5) / 0.1) ** 2))

    within = lj.bracket(np.array([1.05, 1.12, 1.2]), np.array([-0.8, -1, -0.9]), np.zeros(3))
    read = lj.well(drawn_curves(*3 * [lj.lennard_jones], wild), within)
    judged = lj.judged(read, within)
    assert judged["well_elsewhere"] == 0.25 and judged["well_deeper"] > 6
    # Where the rows have it the well is read all the same, of the wild curve too.
    np.testing.assert_allclose(read["minimum"], MINIMUM, rtol=3e-3)  # straight lines in between
    np.testing.assert_allclose(read["depth"], 1, rtol=1e-3)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_constant_is_noticed_and_no_other(constant):
    from bayesinf.systems.lennard_jones.faults import table

    for key in range(3):
        made, data = table(rng(40, key))
        shift = constant * (5 * made.depth if key else 1e6 * made.depth)
        data["energies"] = (data["energies"] + shift).assign_attrs(units="K")
        found = lj.noticed(data)
        assert found.attrs["constant"] == constant
        assert found.attrs["level"] == pytest.approx(shift, abs=made.depth * constant)
        plain = lj.above(found)["energies"] - data["energies"]
        np.testing.assert_allclose(plain, -found.attrs["level"], rtol=1e-6)


def test_noise_that_is_stated_too_small_is_not_believed():
    assert "noise beyond what is stated" in failures(
        lj.faults()["error bars a fifth of the noise"](rng(41))
    )


def test_faults_are_fits_of_their_own_data():
    known = lj.faults()
    assert "none" in known and len(known) >= 6
    assert not failures(known["none"](rng(42)))
    assert failures(known["relative energies taken as they are"](rng(7, 0)))


@pytest.mark.parametrize(
    "name",
    [
        "well read in a gap (zero mean in r)",
        "well read in a gap (repulsive mean in r)",
        "energies far out (zero mean in r)",
    ],
)
def test_a_well_that_a_process_in_r_misses_is_not_believed(name):
    """Or its intervals hold the true one: an honest answer, which is no fault."""
    try:
        failed = failures(lj.faults()[name](np.random.default_rng([3, 0])))
    except DataError as honest:
        assert "the intervals hold the true well" in str(honest)
    else:
        assert "form of the process" in failed


@pytest.mark.parametrize("coordinate", ["inverse", "inverse_cube", "log"])
def test_a_potential_may_be_stationary_in_another_coordinate(coordinate):
    r = np.linspace(0.95, 2.0, 14)
    fit = lj.fit(pair(r, lj.lennard_jones(r)), coordinate=coordinate, settings=SHORT)
    assert fit.attrs["coordinate"] == coordinate and "decay" not in fit["posterior"]
    read = noted(fit, "well")
    assert float(read["depth"].median()) == pytest.approx(1, abs=0.01)
    grid = np.array([1.0, 1.3])
    force = flat(lj.predict(fit, grid, slope=True)["slope"]).mean(axis=0)
    np.testing.assert_allclose(force, 4 * (-12 * grid**-13 + 6 * grid**-7), rtol=0.1)


def test_units_change_nothing_but_the_numbers():
    r = ROWS
    here, there = (
        lj.fit(pair(a * r, c * lj.aziz(r), units=units), settings=SHORT)
        for a, c, units in ((1.0, 1.0, ("Å", "K")), (1e-10, 1 / 7.2429705e22, ("m", "J")))
    )
    for name, scale in (("depth", 7.2429705e22), ("minimum", 1e10), ("crossing", 1e10)):
        one, other = (noted(fit, "well")[name].values for fit in (here, there))
        # Without noise K is all but singular: draws of the noise differ by up to 0.3 % after the
        # optimiser, and those of the well by a hundredth of the sd, the farthest, by the processor,
        # by 0.06 or 0.4 of it.
        off = np.abs(scale * other - one) / one.std()
        assert np.median(off) < 0.02 and np.quantile(off, 0.99) < 0.1 and off.max() < 1
        assert scale * np.median(other) == pytest.approx(np.median(one), rel=1e-6)


def test_the_best_form_is_the_one_that_predicts_energies_left_out(compared):
    assert lj.best(compared) in ("zero", "repulsive")
    behind = compared["behind"].isel(model_kernel=0)
    assert float(behind.min()) == 0 and float(behind.max()) >= 0
    assert float(behind.sel(form=lj.best(compared))) == 0

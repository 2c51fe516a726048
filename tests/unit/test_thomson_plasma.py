"""The form factor of a plasma and the spectrometer, against closed forms and against PlasmaPy."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import constants, optimize, special

from bayesinf.errors import DataError
from bayesinf.systems.thomson_surrogate import plasma as physics
from bayesinf.systems.thomson_surrogate.data import CHANNELS, TRUTH
from bayesinf.systems.thomson_surrogate.spectrum import FULL, Setup, Spectrometer

K = Setup().wave_number
PLASMA = {
    "electron_density": 2.0,
    "ion_mass": 12.0,
    "electron_temperature": 500.0,
    "ion_temperature": 250.0,
    "charge": 5.0,
    "ion_flow": 0.0,
    "electron_drift": 0.0,
}


def plasma(**changed):
    return PLASMA | changed


def total(**changed):
    """The integral of S over ω / 2π: fine where the ions are, coarse where the electrons are."""
    known = plasma(**changed)
    slow, fast = 3e6, 8e7 * np.sqrt(known["electron_temperature"] / 500)
    fine = np.linspace(-slow, slow, 400_001)
    coarse = np.geomspace(slow, fast, 100_001)
    speed = np.concatenate([-coarse[:0:-1], fine, coarse[1:]])
    return np.trapezoid(physics.form_factor(K * speed, K, known), K * speed) / (2 * np.pi)


@pytest.mark.parametrize("density", [0.02, 1.0, 8.0])
@pytest.mark.parametrize("charge", [1.0, 6.0])
def test_in_equilibrium_the_integral_is_that_of_debye_and_hueckel(density, charge):
    """S(k) = (1 + Zα²) / (1 + α² + Zα²), exactly, where the temperatures are equal."""
    known = {"electron_density": density, "charge": charge, "ion_temperature": 500.0}
    square = physics.alpha(K, plasma(**known)) ** 2
    expected = (1 + charge * square) / (1 + square + charge * square)
    assert total(**known) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("hotter", [0.5, 1.5, 2.0])
def test_out_of_equilibrium_it_is_salpeters(hotter):
    """S = 1/(1+α²) + Zα⁴ / [(1+α²)(1+α²+α² Z T_e/T_i)], to the root of the masses' ratio."""
    known = {"charge": 1.0, "ion_mass": 40.0, "ion_temperature": 500.0 / hotter}
    square = physics.alpha(K, plasma(**known)) ** 2
    ions = square**2 / ((1 + square) * (1 + square + square * hotter))
    assert total(**known) == pytest.approx(1 / (1 + square) + ions, rel=0.015)


def test_without_collective_waves_it_is_the_electrons_maxwellian():
    known = plasma(electron_density=1e-8)
    speed = np.linspace(-3e7, 3e7, 7)
    a = np.sqrt(2 * 500 * constants.e / constants.m_e)
    expected = 2 * np.sqrt(np.pi) / (K * a) * np.exp(-((speed / a) ** 2))
    found = physics.form_factor(K * speed, K, known)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_response_is_static_at_rest_and_cold_far_out():
    assert physics.response(np.array(0.0)) == 1.0
    x = np.array([30.0, 100.0])
    np.testing.assert_allclose(physics.response(x), -1 / (2 * x**2), rtol=2e-3)
    y = np.array([0.3, 1.0, 2.5])
    parts = 1 - 2 * y * special.dawsn(y), np.sqrt(np.pi) * y * np.exp(-(y**2))
    np.testing.assert_allclose(physics.response(y), parts[0] + 1j * parts[1], rtol=1e-13)


@pytest.mark.parametrize("density", [1.0, 20.0])
def test_cold_ions_ring_at_the_acoustic_frequency(density):
    known = plasma(electron_density=density, ion_temperature=15.0)
    speed = np.linspace(5e4, 3e5, 200_001)
    peak = speed[np.argmax(physics.form_factor(K * speed, K, known))]
    assert peak == pytest.approx(physics.acoustic_speed(K, known), rel=5e-3)


def test_without_drift_it_is_even_and_drifts_turn_it_round():
    speed = np.linspace(-4e5, 4e5, 801)
    here = physics.form_factor(K * speed, K, PLASMA)
    np.testing.assert_allclose(here, here[::-1], rtol=1e-9)
    one, other = (
        physics.form_factor(K * speed, K, plasma(ion_flow=side * 30.0, electron_drift=side * 200.0))
        for side in (1, -1)
    )
    np.testing.assert_allclose(one, other[::-1], rtol=1e-9)
    # Electrons that drift forward damp the forward wave less.
    assert one[speed > 3e4].max() > one[speed < 3e4].max()


def test_a_flow_moves_it_as_a_whole():
    speed = np.linspace(-4e5, 4e5, 801)
    moved = physics.form_factor(K * (speed + 7e4), K, plasma(ion_flow=70.0, electron_drift=50.0))
    still = physics.form_factor(K * speed, K, plasma(electron_drift=50.0))
    np.testing.assert_allclose(moved, still, rtol=1e-9)


def growth(known):
    """Im of the ion-acoustic root of ε, in units of the wave's speed, sought off the real axis."""
    wave, square = physics.acoustic_speed(K, known), physics.alpha(K, known) ** 2
    ion, electron = (a[()] for a in reversed(physics.thermal_speeds(known)))
    hotter = known["charge"] * known["electron_temperature"] / known["ion_temperature"]

    def epsilon(parts):
        v = wave * complex(*parts)
        chi = square * physics.response((v - 1e3 * known["electron_drift"]) / electron)
        found = 1 + chi + square * hotter * physics.response(v / ion)
        return [found.real, found.imag]

    root = optimize.root(epsilon, [1.0, -0.01], tol=1e-12)
    assert root.success
    return root.x[1]


@pytest.mark.parametrize("ion_temperature", [30.0, 60.0, 100.0])
def test_a_plasma_whose_wave_grows_has_no_spectrum(ion_temperature):
    """Slow electrons damp the wave, fast ones feed it, and then it has to outdo the ions."""
    cold = {"ion_temperature": ion_temperature}
    speed = np.linspace(-4e5, 4e5, 8001)
    wave = physics.acoustic_speed(K, plasma(**cold)) / 1e3
    grown = []
    for share in (0.5, 0.9, 1.1, 1.5, 2.0, 4.0):
        known = plasma(electron_drift=share * wave, **cold)
        grown.append(growth(known) > 0)
        found = physics.form_factor(K * speed, K, known)
        assert (np.isnan(found) if grown[-1] else np.isfinite(found)).all(), share
        other = physics.form_factor(K * speed, K, plasma(electron_drift=-share * wave, **cold))
        assert np.isnan(other).all() == grown[-1]
    assert not grown[0] and grown[-1]


def test_the_temperature_of_a_speed_is_that_of_the_plasma():
    known = plasma(electron_temperature=np.array([200.0, 500.0, 900.0]))
    speed = physics.acoustic_speed(K, known)
    found = physics.temperature_at(speed, K, known)
    np.testing.assert_allclose(found, known["electron_temperature"], rtol=1e-12)
    assert np.isnan(physics.temperature_at(np.array([1e3, 1e6]), K, known | PLASMA)).all()


# Spectral density, s, of PlasmaPy 2025.8.0 (thomson.spectral_density, SciPy 1.17.1): C-12 5+ with
# 2.3e19 cm⁻³, 560 and 180 eV, ions at 20 km/s and electrons at 200 km/s along k; 90°, 532 nm.
SHIFTS = np.array([-1.2, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.8, 1.2])
PLASMAPY = [
    6.6643755725e-16,
    1.4950237655e-16,
    4.1627720629e-16,
    7.6647996663e-13,
    8.7249721611e-14,
    8.2719893301e-14,
    1.0315645598e-13,
    1.1120209477e-14,
    3.1836745544e-16,
    7.2806957774e-16,
]
THEIRS = {
    "electron_density": 2.3,
    "ion_mass": 11.997257117216595,
    "electron_temperature": 560.0,
    "ion_temperature": 180.0,
    "charge": 5.0,
    "ion_flow": 20.0,
    "electron_drift": 180.0,
}


def test_it_is_that_of_plasmapy():
    np.testing.assert_allclose(Setup().form_factor(SHIFTS, THEIRS), PLASMAPY, rtol=2e-7)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("angle", [60.0, 120.0])
def test_it_is_that_of_plasmapy_where_that_is_installed(angle):
    thomson = pytest.importorskip("plasmapy.diagnostics.thomson")
    import astropy.units as u

    turn = np.radians(angle)
    probe, seen = np.array([1.0, 0, 0]), np.array([np.cos(turn), np.sin(turn), 0])
    along = (seen - probe) / np.linalg.norm(seen - probe)
    ions = THEIRS["ion_flow"]
    electrons = ions + THEIRS["electron_drift"]
    _, found = thomson.spectral_density(
        (532 + SHIFTS) * u.nm,
        532 * u.nm,
        THEIRS["electron_density"] * 1e25 / u.m**3,
        T_e=THEIRS["electron_temperature"] * u.eV,
        T_i=THEIRS["ion_temperature"] * u.eV,
        ions=["C-12 5+"],
        electron_vel=[along * electrons] * u.km / u.s,
        ion_vel=[along * ions] * u.km / u.s,
        probe_vec=probe,
        scatter_vec=seen,
    )
    np.testing.assert_allclose(
        Setup(angle=angle).form_factor(SHIFTS, THEIRS), found.value, rtol=1e-6
    )


# --- the spectrometer -----------------------------------------------------------------------------


def test_the_inner_grid_is_fine_enough():
    coarse, fine = (Spectrometer(Setup(), CHANNELS, finer).counts(TRUTH) for finer in (1, 8))
    np.testing.assert_allclose((coarse - fine) / np.sqrt(fine), 0, atol=1e-3)


def test_photons_are_neither_lost_nor_made():
    counts = Spectrometer(Setup(), CHANNELS).counts(TRUTH)
    assert counts.sum() == pytest.approx(TRUTH["photons"] + len(CHANNELS) * TRUTH["background"])


def test_channels_that_are_left_out_change_no_other():
    seen = Spectrometer(Setup(), CHANNELS)
    kept = np.abs(CHANNELS) > 0.07
    gap = Spectrometer(Setup(), CHANNELS[kept])
    np.testing.assert_allclose(np.diff(gap.edges, axis=0)[0], CHANNELS[1] - CHANNELS[0])
    whole, part = seen.shapes(TRUTH)[kept], gap.shapes(TRUTH)
    np.testing.assert_allclose(part, whole / whole.sum(), rtol=1e-6)
    uneven = Spectrometer(Setup(), np.array([0.0, 1.0, 2.2, 3.5, 5.0]) / 50)
    np.testing.assert_allclose(uneven.edges[0, 1:], uneven.edges[1, :-1])


def test_the_instrument_widens_by_its_variance():
    """Of a spectrum far narrower than the window, variances add."""
    still = {**TRUTH, "ion_flow": 0.0, "electron_drift": 0.0, "electron_density": 300.0}

    def variance(width):
        shape = Spectrometer(replace(Setup(), width=width), CHANNELS).shapes(still)
        mean = shape @ CHANNELS
        return shape @ (CHANNELS - mean) ** 2

    added = variance(0.2) - variance(0.05)
    assert added == pytest.approx((0.2**2 - 0.05**2) / FULL**2, rel=0.02)


def test_what_approaches_is_blue():
    counts = Spectrometer(Setup(), CHANNELS).shapes({**TRUTH, "ion_flow": 100.0})
    still = Spectrometer(Setup(), CHANNELS).shapes({**TRUTH, "ion_flow": 0.0})
    moved = (counts - still) @ CHANNELS
    assert moved == pytest.approx(Setup().shift_of(1e5), rel=0.03) and moved < 0


@pytest.mark.parametrize("angle", [30.0, 90.0, 150.0])
def test_the_waves_are_those_of_braggs_law(angle):
    """k = 2 k₀ sin(θ/2) in vacuum, without a shift; less of it in a plasma."""
    setup = Setup(angle=angle)
    omega, k = setup.waves(np.zeros(1), np.array([1e-9]))
    assert omega == 0 and k == pytest.approx(setup.wave_number, rel=1e-6)
    _, less = setup.waves(np.zeros(1), np.array([100.0]))
    index = np.sqrt(1 - 100.0 * 1e25 / 3.9391e27)  # critical density of 532 nm, 1/m³
    assert less == pytest.approx(index * setup.wave_number, rel=1e-4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"angle": 0.0}, "no such angle; expected from 1 to 180 degrees"),
        ({"probe": 5.0}, "no such probe"),
        ({"width": -0.1}, "no such width"),
    ],
)
def test_a_setup_that_cannot_be_is_refused(given, said):
    with pytest.raises(DataError, match=said):
        Setup(**given)


def test_a_window_too_wide_for_its_peaks_is_refused():
    with pytest.raises(DataError, match="too wide"):
        Spectrometer(Setup(), np.linspace(-40, 40, 400)).counts(TRUTH)

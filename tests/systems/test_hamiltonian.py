"""The energy of a motion: closed forms of the basis, the paths, the scheme and the posterior."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from bayesinf.checks import check
from bayesinf.data import series_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.models import gp
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems import hamiltonian
from bayesinf.systems.hamiltonian import energies, network, paths, routes
from bayesinf.systems.hamiltonian.classical import first_attempt
from bayesinf.systems.hamiltonian.data import SYSTEMS, WINDOW, Record
from bayesinf.systems.hamiltonian.energies import Frame
from bayesinf.systems.hamiltonian.model import Motion
from bayesinf.systems.hamiltonian.paths import Flow
from bayesinf.systems.hamiltonian.results import regressed

FRAME = Frame(np.array([0.1, -0.2]), np.array([1.2, 0.9]), 1.5, 1.0)
SHORT = Settings(draws=100, chains=4, prior_draws=4, workers=1)


def spring(k=1.0):
    """H = k (q² + p²) as a smooth energy with its weights."""
    frame = Frame(np.zeros(2), np.ones(2), 1.0, 1.0)
    energy = energies.smooth(frame, 3)
    weight = np.zeros(energy.size)
    weight[[energy.labels.index("q²"), energy.labels.index("p²")]] = k
    return energy, weight


def any_energy():
    """Each kind of energy with some weights."""
    rng = np.random.default_rng(1)
    for energy in (
        energies.smooth(FRAME, 4),
        energies.known_kinetic(FRAME, 0.7),
        energies.pendulum(FRAME),
        energies.about_spring(FRAME, 3),
        network.Network(FRAME, 4),
        network.Plain(FRAME, 4),
    ):
        yield energy, rng.standard_normal(energy.size)


def differences(function, x, step=1e-5):
    """Central differences along each entry of x, on the last axis."""
    unit = step * np.eye(x.shape[-1])
    return np.stack([(function(x + e) - function(x - e)) / (2 * step) for e in unit], axis=-1)


def moved(simulated, **options):
    """The problem of simulated motions."""
    return hamiltonian.problem(simulated, **options)


# Energies.


def test_every_derivative_of_an_energy_is_that_of_its_value():
    x = np.random.default_rng(2).uniform(-1, 1, (5, 2))
    for energy, w in any_energy():
        if not isinstance(energy, network.Plain):
            slope = differences(lambda y, e=energy, w=w: e.value(y, w), x)
            np.testing.assert_allclose(energy.gradient(x, w), slope, atol=1e-7)
        bend = differences(lambda y, e=energy, w=w: e.gradient(y, w), x)
        np.testing.assert_allclose(energy.hessian(x, w), bend, atol=1e-7)
        by = differences(lambda v, e=energy: e.gradient(x, v), w)
        np.testing.assert_allclose(energy.slopes(x, w), by, atol=1e-7)


def test_many_draws_are_evaluated_as_each_of_them():
    rng = np.random.default_rng(3)
    for energy, _ in any_energy():
        w, x = rng.standard_normal((3, energy.size)), rng.uniform(-1, 1, (3, 4, 2))
        each = [energy.gradient(x[k], w[k]) for k in range(3)]
        np.testing.assert_allclose(energy.gradient(x, w), each, rtol=1e-12, atol=1e-12)
        if not isinstance(energy, network.Plain):
            each = [energy.value(x[k], w[k]) for k in range(3)]
            np.testing.assert_allclose(energy.value(x, w), each, rtol=1e-12, atol=1e-12)
            each = [energy.value(x[0], v) for v in w]
            np.testing.assert_allclose(energy.value(x[0], w), each, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 1000))
def test_an_energy_is_linear_in_its_weights(a, b, seed):
    rng = np.random.default_rng(seed)
    energy = energies.smooth(FRAME, 4)
    one, other = rng.standard_normal((2, energy.size))
    x = rng.uniform(-1, 1, (3, 2))
    both = energy.value(x, a * one + b * other)
    np.testing.assert_allclose(
        both, a * energy.value(x, one) + b * energy.value(x, other), atol=1e-9
    )


def test_the_basis_is_the_gaussian_process_of_the_family():
    """Without its quadratic form and in a wide box: the dense evidence of slopes of two inputs."""
    rng = np.random.default_rng(4)
    x, noise = rng.uniform(-1, 1, (12, 2)), 0.1
    rates = rng.standard_normal((12, 2))
    columns = {"q": x[:, 0], "p": x[:, 1], "dq_dt": rates[:, 0], "dp_dt": rates[:, 1]}
    table = series_from_arrays(np.arange(12.0), columns)
    frame = Frame(np.zeros(2), np.ones(2), 1.0, 1.0)
    energy = energies.smooth(frame, 24, 3.0, quadratic=False)
    linear = Motion(Record.of(table), energy, frame, treated=False).linearised(
        np.zeros(energy.size)
    )
    stated = {"amplitude": 1.3, "length_scale[q]": 0.8, "length_scale[p]": 0.6}
    stated |= {"noise[dq_dt]": noise, "noise[dp_dt]": noise}
    u = np.array([_standard(prior, stated[n]) for n, prior in linear.problem.hyper.items()])
    found = linear.log_density(u[None])[0] + 0.5 * u @ u + 0.5 * len(u) * np.log(2 * np.pi)
    inputs = {"q": x[:, 0], "p": x[:, 1]}
    exact = gp.log_marginal_likelihood(
        slopes={"p": (inputs, rates[:, 0]), "q": (inputs, -rates[:, 1])},
        name="H",
        amplitude=1.3,
        length_scale=np.array([0.8, 0.6]),
        noise_dH_dq=noise,
        noise_dH_dp=noise,
    )
    assert found == pytest.approx(exact, abs=0.02)


def _standard(prior, value):
    """Where a value stands in N(0, 1)."""
    return np.log(value / prior.median) / prior.spread


# Paths and the scheme.


def test_paths_of_a_spring_are_circles():
    energy, w = spring()
    times = np.linspace(0, 3, 31)[None]
    x = paths.integrated(Flow(energy), times, np.array([[0.6, 0.0]]), w, 2)[0]
    circle = 0.6 * np.stack([np.cos(2 * times[0]), -np.sin(2 * times[0])], axis=-1)
    np.testing.assert_allclose(x, circle, atol=4e-6)


def test_sensitivities_are_the_derivatives_of_the_path():
    rng = np.random.default_rng(5)
    for energy in (energies.about_spring(FRAME, 3), network.Network(FRAME, 3)):
        flow = Flow(energy, damped=True)
        theta = np.append(0.3 * rng.standard_normal(energy.size), 0.2)
        times = np.array([[0.0, 0.3, 0.7], [0.0, 0.2, np.nan]])
        start = rng.uniform(-0.5, 0.5, (2, 2))
        x, s = paths.integrated(flow, times, start, theta, 2, sensitive=True)
        assert (x[1, 2] == x[1, 1]).all()  # a path that has ended stays
        by = differences(lambda v, f=flow, t=times, a=start: paths.integrated(f, t, a, v, 2), theta)
        np.testing.assert_allclose(s[..., : flow.size], by, atol=1e-7)
        turn = differences(
            lambda v, f=flow, t=times, o=theta: paths.integrated(f, t, v, o, 2), start
        )
        np.testing.assert_allclose(s[..., flow.size :], turn, atol=1e-7)


def test_the_midpoint_keeps_the_energy_of_a_spring_exactly():
    """A quadratic invariant is kept to rounding at any step (Cooper 1987)."""
    energy, w = spring()
    times = 0.3 * np.arange(400)[None]
    x = paths.forecast(Flow(energy), times, np.array([[0.6, 0.3]]), w, 1)[0]
    assert np.ptp(energy.value(x, w)) < 1e-9


def test_the_midpoint_is_of_second_order_and_symplectic_where_h_is_not_separable():
    energy = energies.about_spring(FRAME, 3)
    w = 0.2 * np.random.default_rng(6).standard_normal(energy.size)
    assert abs(w[energy.labels.index("q p")]) > 0.01
    start = np.array([[0.4, -0.3]])
    times = np.array([[0.0, 2.0]])
    exact = paths.integrated(Flow(energy), times, start, w, 400)[0, -1]
    errors = [
        np.abs(paths.forecast(Flow(energy), times, start, w, n)[0, -1] - exact).max()
        for n in (10, 20, 40)
    ]
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2, atol=0.1)
    for gamma in (0.0, 0.4):
        flow, theta = Flow(energy, damped=True), np.append(w, gamma)
        area = differences(lambda v, f=flow, o=theta: paths.midpoint(f, v, o, 0.3), start)[0]
        assert np.linalg.det(area) == pytest.approx(np.exp(-0.3 * gamma), abs=1e-7)


def test_the_damped_scheme_is_of_second_order():
    energy, w = spring()
    flow, theta = Flow(energy, damped=True), np.append(w, 0.3)
    start, times = np.array([[0.6, 0.0]]), np.array([[0.0, 2.0]])
    exact = paths.integrated(flow, times, start, theta, 400)[0, -1]
    errors = [
        np.abs(paths.forecast(flow, times, start, theta, n)[0, -1] - exact).max() for n in (20, 40)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


# Posteriors.


def test_the_linear_problem_is_a_normal_one():
    """Evidence, mean and sd against the dense covariance of the data."""
    simulated = hamiltonian.simulate("spring", 3, rng=np.random.default_rng(7))
    problem = moved(simulated, damped=True)
    theta = np.zeros(problem.size)
    theta[problem.flow.size :] = [0.3, 0.1] * 3
    linear = problem.linearised(theta)
    u = np.full(len(problem.hyper), 0.3)
    hyper = problem.values(u)
    mean, slope = problem.design(theta)
    X = np.concatenate([slope[n] for n in problem.measured])
    center = np.concatenate([mean[n] for n in problem.measured])
    y = np.concatenate([problem.rows[n] for n in problem.measured])
    noise = np.concatenate(
        [np.full(len(problem.rows[n]), hyper[f"noise[{n}]"]) for n in problem.measured]
    )
    sd, prior = problem.prior_sd(hyper), problem.prior_mean
    middle = center + X @ (prior - theta)
    spread = (X * sd**2) @ X.T + np.diag(noise**2)
    exact = multivariate_normal(middle, spread).logpdf(y)
    found = linear.log_density(u[None])[0] + 0.5 * u @ u + 0.5 * len(u) * np.log(2 * np.pi)
    assert found == pytest.approx(exact, rel=1e-7)
    gain = np.linalg.solve(spread, X * sd**2).T
    np.testing.assert_allclose(linear.optimum(u), prior + gain @ (y - middle), rtol=1e-5, atol=1e-6)
    left = np.sqrt(sd**2 - np.sum(gain.T * (X * sd**2), axis=0))
    np.testing.assert_allclose(linear.sd(u), left, rtol=1e-3)
    draws = linear.draw(np.tile(u, (4000, 1)), np.random.default_rng(0))
    z = (draws.mean(axis=0) - linear.optimum(u)) / linear.sd(u)
    assert np.abs(z).max() < 4.5 / np.sqrt(4000)
    row = np.zeros((1, problem.flow.size))
    row[0, 2] = 1.0
    assert linear.sd_along(u, row)[0] == pytest.approx(linear.sd(u)[2])


def test_the_linear_likelihood_is_the_true_one_where_it_is_linearised():
    simulated = hamiltonian.simulate("spring", 2, rng=np.random.default_rng(7))
    problem = moved(simulated)
    found = routes.optimum(problem)
    at = found.linear.theta[None], found.u[None]
    ours = found.linear.log_likelihood(at[1], at[0])
    np.testing.assert_allclose(ours, routes.log_likelihood(problem, at[1], at[0]), rtol=1e-9)
    hyper, (theta,) = problem.values(found.u), at[0]
    draws = problem.posterior(found.u[None], theta[None])
    each = problem.log_likelihood(draws)
    assert sum(part.sum() for part in each.values()) == pytest.approx(ours[0])
    again, packed = problem.packed(draws)
    np.testing.assert_array_equal(packed[0], theta)
    assert again == {name: pytest.approx(value) for name, value in hyper.items()}
    slope = differences(
        lambda v: (
            routes.log_likelihood(problem, np.tile(found.u, (1, 1)), v[None])[0]
            - 0.5 * np.sum(((v - problem.prior_mean) / problem.prior_sd(hyper)) ** 2)
        ),
        theta,
    )
    assert np.abs(slope * found.linear.sd(found.u)).max() < 0.05


def test_a_pendulum_is_read_off_exact_rates():
    """H = 3 (1 − cos q) + p² without any noise: the coefficients to the noise's prior."""
    simulated = hamiltonian.simulate(
        "pendulum", 4, noise=0.0, rate_noise=0.0, damping=0.3, rng=np.random.default_rng(8)
    )
    fit = hamiltonian.fit(simulated, "pendulum", treated=False, damped=True, settings=SHORT)
    c, k = fit["posterior"]["weight"].mean(("chain", "draw")).values
    assert (c, k) == (pytest.approx(3.0, abs=1e-3), pytest.approx(1.0, abs=1e-3))
    assert float(fit["posterior"]["gamma"].mean()) == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize("seed", [0, 2])
def test_an_energy_of_two_parts_is_not_biased(seed):
    """A pendulum, 3 (1 − cos q) + p², of any smooth form: errors are as large as their sd."""
    simulated = hamiltonian.simulate(
        "pendulum", 6, noise=0.02, rate_noise=None, rng=np.random.default_rng(seed)
    )
    problem = moved(simulated)
    found = routes.optimum(problem)
    unit = np.eye(problem.energy.size)
    sd = found.linear.sd_along(found.u, problem.energy_at_sites(unit).T)
    truth = SYSTEMS["pendulum"].value(problem.sites)
    off = problem.energy_at_sites(found.linear.theta[: len(unit)]) - truth + truth[:-1].mean()
    assert np.sqrt(np.mean((off / sd) ** 2)) < 2


def test_noise_in_the_states_flattens_an_energy_unless_it_is_treated():
    """A spring at states with noise: rates on them have the slope var / (var + noise²)."""
    simulated = hamiltonian.simulate("spring", 30, noise=0.2, rng=np.random.default_rng(9))
    slopes = []
    for treated in (False, True):
        found = routes.optimum(moved(simulated, form="spring", treated=treated))
        theta = found.linear.theta if treated else found.linear.optimum(found.u)
        slopes.append(theta[:2])
    variance = np.mean(simulated["truth.path"].values ** 2, axis=(0, 1))
    np.testing.assert_allclose(slopes[0], variance / (variance + 0.2**2), atol=0.05)
    np.testing.assert_allclose(slopes[1], 1.0, atol=0.03)


# What a reader's file may be.


def test_a_file_is_read_by_its_names_or_by_those_that_are_given(tmp_path):
    path = tmp_path / "swing.csv"
    t = np.arange(8) / 4
    rows = np.column_stack(
        [np.repeat([1, 2], 8), np.tile(t, 2), *np.random.default_rng(0).normal(size=(4, 16))]
    )
    np.savetxt(
        path, rows, delimiter=",", header="trial,t (s),theta (rad),omega (rad/s),a,b", comments=""
    )
    found = hamiltonian.read(path)
    assert found.sizes == {"repeat": 2, "step": 8} and "dq_dt" not in found
    assert found["q"].attrs["units"] == "rad"
    given = hamiltonian.read(path, q="a", p=6, rates=("theta", "omega"))
    np.testing.assert_allclose(given["q"].values.ravel(), rows[:, 4])
    np.testing.assert_allclose(given["dp_dt"].values.ravel(), rows[:, 3])
    part, held_out = hamiltonian.split(found)
    assert (part.sizes["repeat"], held_out.sizes["repeat"]) == (1, 1)
    assert hamiltonian.split(part)[1] is None
    path.write_text("t,a,b\n" + "\n".join(f"{k},{k},{k * k}" for k in range(8)))
    with pytest.raises(DataError, match=r"no column for q; expected .*; name it by --q"):
        hamiltonian.read(path)
    assert hamiltonian.read(path, q="a", p="b").sizes == {"repeat": 1, "step": 8}


def test_what_cannot_be_is_refused():
    with pytest.raises(DataError, match="no such motions"):
        hamiltonian.simulate("double pendulum")
    simulated = hamiltonian.simulate("spring", 2)
    with pytest.raises(DataError, match="p does not vary"):
        Record.of(simulated.assign(p=0 * simulated["p"]))
    with pytest.raises(DataError, match="have no p"):
        Record.of(simulated.drop_vars("p"))
    with pytest.raises(FitError, match="unknown form"):
        hamiltonian.problem(simulated, "cubic")
    swung = simulated.assign(q=np.degrees(simulated["q"]).assign_attrs(units="deg"))
    with pytest.raises(DataError, match=r"takes q in radians; .* found one in deg"):
        hamiltonian.problem(swung, "pendulum")
    assert hamiltonian.problem(swung).units["q"] == "deg"
    with pytest.raises(FitError, match="kinetic part"):
        hamiltonian.problem(simulated, "pendulum", kinetic=1.0)


def test_long_motions_are_cut_into_windows():
    t = np.arange(150) / 10
    held = series_from_arrays(t, {"q": np.cos(t), "p": -np.sin(t)})
    record = Record.of(held)
    assert record.times.shape == (3, 50) and WINDOW >= 50
    np.testing.assert_allclose(record.states[:, 0], np.cos(t))
    np.testing.assert_allclose(record.differences[:, 0], -np.sin(t), atol=0.06)


def test_the_shipped_pendulum_is_the_simulated_one():
    from bayesinf.scripts import HOME

    shipped = hamiltonian.read(HOME / "data" / "hamiltonian" / "pendulum.nc")
    again = hamiltonian.simulate("pendulum", rng=np.random.default_rng(3))
    for name in ("q", "p", "dq_dt", "dp_dt", "truth.path", "truth.noise"):
        np.testing.assert_allclose(shipped[name], again[name], atol=1e-6)
    value = SYSTEMS["pendulum"].value(shipped["truth.path"].values)
    assert np.ptp(value, axis=1).max() < 1e-5


def test_regression_of_a_damped_pendulum_needs_a_trend():
    """H = 3 (1 − cos q) + p², exact states: 3 without damping, and with it only by a trend."""
    kept, lost = (
        hamiltonian.simulate(
            "pendulum", 3, noise=0.0, damping=gamma, duration=20.0, rng=np.random.default_rng(1)
        )
        for gamma in (0.0, 0.05)
    )
    np.testing.assert_allclose(regressed(kept), 3.0, rtol=1e-3)
    flat, line, bent = regressed(lost)
    assert flat < 2.7 and abs(bent - 3) < abs(line - 3) < 0.2


def test_a_log_likelihood_is_that_of_an_instant():
    problem = moved(hamiltonian.simulate("spring", 2, rng=np.random.default_rng(7)))
    (found,) = problem.log_likelihood(problem.sample_prior(np.random.default_rng(0), 3)).values()
    assert found.shape == (3, len(problem.record.states))


def test_a_first_attempt_does_not_learn_derivatives():
    ends = first_attempt(2)
    assert not np.nanmax(np.abs(ends[0] - 1.0)) < 0.5


# Slower: whole fits, and networks.


@pytest.mark.slow
def test_faults_are_seen_and_their_cause_is_named():
    found = hamiltonian.faults()
    rng = np.random.default_rng
    assert check(found["none"](rng(2))).believed
    for name, cause in (
        ("damping that is left out", "infer a damping"),
        ("an angular velocity taken for the momentum", "q̇ is not what the energy says of p"),
        ("rates computed from the states", "dq_dt was computed from q"),
        ("a spring taken for a pendulum", "how wide a motion is"),
    ):
        fit = found[name](rng(1))
        assert not check(fit).believed and cause in fit.attrs["cause"]


@pytest.mark.slow
def test_networks_learn_the_field_and_their_bands_hold_it():
    part, held_out = hamiltonian.split(
        hamiltonian.simulate("pendulum", 20, noise=0.02, rng=np.random.default_rng(2))
    )
    found = hamiltonian.classical(part, held_out)
    assert (found["rates"] < 0.02).all() and (found["covered"] > 0.7).all()
    fit = hamiltonian.fit(part, held_out=held_out, settings=SHORT)
    assert float(noted(fit, "error")["energy"]) < 0.01 and check(fit).believed

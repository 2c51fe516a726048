"""Populations in equilibrium: closed forms, brute force, what is refused and what is said."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesinf
from bayesinf.errors import DataError, FitError
from bayesinf.models import binary
from bayesinf.models.binary import pairwise
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.posterior import annotated, noted, save
from bayesinf.priors import Normal
from bayesinf.settings import Settings
from bayesinf.systems import boltzmann_equilibrium as boltzmann
from bayesinf.systems.boltzmann_equilibrium import model, pseudo, statistics
from bayesinf.systems.boltzmann_equilibrium.story import answer

SHORT = Settings(draws=100, tune=100, chains=4, prior_draws=100, workers=1)
SHIPPED = Path(__file__).resolve().parents[2] / "data" / "boltzmann_equilibrium" / "population.npz"


def population(sites=4, samples=3000, encoding="±1", seed=1, **options):
    return boltzmann.simulate(
        sites, samples, encoding=encoding, rng=np.random.default_rng(seed), **options
    )


def labelled(states, encoding="±1", **coords):
    """A Dataset as ``read`` makes it, of states (sample, site)."""
    states = np.asarray(states, dtype=np.int8)
    attrs = {"encoding": encoding, "encoding_read": encoding}
    found = xr.Dataset(
        {"states": (("sample", "site"), states, attrs)},
        {"site": np.arange(states.shape[1])},
        {"case": "a test"},
    )
    return found.assign_coords({name: ("sample", values) for name, values in coords.items()})


def table(counts, encoding="±1"):
    """States of two sites, each combination as often as asked for: ++, +−, −+, −−."""
    low = binary.ENCODINGS[encoding]
    return labelled(np.repeat([[1, 1], [1, low], [low, 1], [low, low]], counts, axis=0), encoding)


@pytest.fixture(scope="module")
def fits():
    """Both fits of four sites with everything that a report shows, from their own files."""
    data = population()
    return {
        "posterior": boltzmann.fit(data, settings=SHORT),
        "mle": annotated(
            boltzmann.maximum_likelihood_fit(data, settings=SHORT),
            approximate=boltzmann.approximations(data),
            coverage=boltzmann.coverage(data, replicas=4),
            learning=boltzmann.learning_study(SHORT, repeats=3),
        ),
    }


@pytest.fixture(scope="module")
def told(fits):
    return boltzmann.story(fits)


def words(story):
    sections = (story.answer, story.numbers, story.predictive, story.classical, story.priors)
    return " ".join(paragraph for section in sections for paragraph in section.paragraphs)


def said_of(fit):
    return " ".join(answer(fit))


# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_simulated_states_have_the_distribution_of_their_truth(encoding):
    data, low = population(2, 40_000, encoding, seed=4, width=0.8), binary.ENCODINGS[encoding]
    h, (J,) = data["truth.h"].values, data["truth.J"].values
    weight = {s: np.exp(h @ s + J * s[0] * s[1]) for s in product((low, 1), repeat=2)}
    for state, w in weight.items():
        share = w / sum(weight.values())
        seen = np.mean((data["states"].values == state).all(axis=1))
        assert abs(seen - share) < 5 * np.sqrt(share * (1 - share) / 40_000)


def test_simulation_follows_its_generator_and_its_default_width():
    first, again, other = population(seed=1), population(seed=1), population(seed=2)
    xr.testing.assert_identical(first, again)
    assert not np.array_equal(first["truth.h"], other["truth.h"])
    J = population(15, 10, seed=3)["truth.J"].values
    assert np.std(J) * np.sqrt(15) == pytest.approx(1, abs=5 / np.sqrt(2 * J.size))
    with pytest.raises(DataError, match="unknown encoding"):
        population(encoding="+-")
    with pytest.raises(DataError, match="too few samples"):
        population(samples=0)


def test_one_site_alone_is_refused(tmp_path):
    np.savetxt(tmp_path / "one.csv", [[0], [1], [1]], "%d")
    with pytest.raises(DataError, match=r"single site.*at least 2 sites, a column each, found 1$"):
        boltzmann.read(tmp_path / "one.csv")
    np.savetxt(tmp_path / "two.csv", [[0, 1], [1, 0], [1, 1]], "%d")
    with pytest.raises(DataError, match="choose more with --cells"):
        boltzmann.read(tmp_path / "two.csv", cells="1")
    assert boltzmann.read(tmp_path / "two.csv").sizes["site"] == 2


def test_a_table_gives_its_sites_names(tmp_path):
    """Names of columns are those of fields and couplings, in the file and in the report."""
    states = population(3, 300)["states"].values
    np.savetxt(tmp_path / "votes.csv", states, "%d", ",", header="anna,bert,carla", comments="")
    fit = boltzmann.fit(boltzmann.read(tmp_path / "votes.csv"), "normal", settings=SHORT)
    back = bayesinf.load(save(fit, tmp_path / "posterior.nc"))["posterior"]
    assert back["site"].values.tolist() == ["anna", "bert", "carla"]
    assert [f"{i}-{j}" for i, j in zip(back["i"].values, back["j"].values, strict=True)] == [
        "anna-bert",
        "anna-carla",
        "bert-carla",
    ]


def test_more_sites_than_can_be_enumerated_come_from_chains():
    data = population(24, 3000, "0/1", width=0.2)
    states = data["states"].values
    assert states.shape == (3000, 24) and set(np.unique(states)) == {0, 1}
    # Each site's own law, averaged over the states of the others, has its mean.
    h, J = data["truth.h"].values, binary.matrix(data["truth.J"].values, 24)
    conditional = 1 / (1 + np.exp(-(h + states @ J)))
    off = (states - conditional).mean(axis=0)
    assert np.abs(off).max() < 5 * np.sqrt(0.25 / 1500)


def test_a_wrong_truth_would_be_seen_in_them():
    data = population(24, 3000, "0/1", width=0.2)
    states = data["states"].values
    conditional = 1 / (1 + np.exp(-(data["truth.h"].values + 0.4)))
    assert np.abs((states - conditional).mean(axis=0)).max() > 5 * np.sqrt(0.25 / 1500)


@pytest.mark.parametrize("suffix", [".npz", ".nc"])
@pytest.mark.parametrize("written", binary.ENCODINGS)
@pytest.mark.parametrize("wanted", [None, *binary.ENCODINGS])
def test_own_files_are_read_in_either_encoding(tmp_path, suffix, written, wanted):
    data, path = population(3, 50, written), tmp_path / f"file{suffix}"
    if suffix == ".nc":
        data.to_netcdf(path)
    else:
        arrays = {name.removeprefix("truth."): data[name].values for name in data.data_vars}
        np.savez(path, **arrays)
    found = boltzmann.read(path, encoding=wanted)
    target = wanted or written
    assert found["states"].attrs["encoding"] == target and found.attrs["case"] == path.name
    assert found["states"].attrs["encoding_read"] == written
    np.testing.assert_array_equal(found["states"] == 1, data["states"] == 1)
    # The same distribution: energies differ by a constant.
    pack = lambda d: np.concatenate([d["truth.h"].values, d["truth.J"].values])
    apart = [statistics.energy(d["states"].values.astype(float), pack(d)) for d in (data, found)]
    assert np.ptp(apart[0] - apart[1]) < 1e-12


def test_repeats_are_laid_end_to_end_and_cells_keep_their_numbers(tmp_path):
    raster = np.random.default_rng(1).integers(0, 2, (5, 4, 30))  # repeat, site, time
    np.save(tmp_path / "raster.npy", raster)
    data = boltzmann.read(tmp_path / "raster.npy", cells="1,3", repeats="0,2-3")
    np.testing.assert_array_equal(data["site"], [1, 3])
    np.testing.assert_array_equal(np.unique(data["repeat"]), [0, 2, 3])
    row = data.isel(sample=30 + 9)
    assert (int(row["repeat"]), int(row["time"])) == (2, 9)
    np.testing.assert_array_equal(row["states"], raster[2, [1, 3], 9])


def test_cells_that_are_left_out_take_the_truth_with_them():
    assert {"truth.h", "truth.J"} <= set(boltzmann.read(SHIPPED))
    assert noted(boltzmann.read(SHIPPED, cells="0-8"), "truth") is None


def test_the_shipped_population_is_what_its_readme_makes():
    made, shipped = population(10, 20_000), boltzmann.read(SHIPPED)
    np.testing.assert_array_equal(made["states"], shipped["states"])
    np.testing.assert_allclose(made["truth.J"], shipped["truth.J"], rtol=1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: np.where(np.arange(3) == 1, np.nan, s), "states are missing"),
        (lambda s: s + (np.arange(3) == 2), "neither ±1 nor 0/1"),
        (lambda s: np.where(s[:, :1] > 0, s, np.minimum(s, 0) * (np.arange(3) == 0)), "beside −1"),
        (lambda s: s.T, "more sites than times"),
        (lambda s: s[:, :, None, None], "axes of the states are not clear"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(tmp_path, change, message):
    path = tmp_path / "states.npz"
    np.savez(path, states=change(population(3, 40)["states"].values.astype(float)))
    with pytest.raises(DataError, match=message):
        boltzmann.read(path)


# --- what is left to say of data that can be fitted -----------------------------------------------


def reported(states, prior="normal"):
    fit = boltzmann.fit(labelled(states), prior, method="laplace", settings=SHORT)
    return fit, said_of(fit)


def test_a_cell_that_never_changes_is_named_and_its_field_is_at_the_prior():
    states = population(4, 400)["states"].values.copy()
    states[:, 2], states[:, 1] = -1, 1
    fit, said = reported(states, pairwise.CouplingPrior(Normal(0.0, 1.0), Normal(0.0, 0.3)))
    assert "Cell 2 never fires" in said and "Cell 1 always fires" in said
    likelihood = boltzmann.maximum_likelihood_fit(labelled(states), settings=SHORT)
    assert likelihood.attrs["classical"] == "supremum of the likelihood"
    assert likelihood.attrs["lacking"] == "site 1 is always on, site 2 is never on"
    constant = noted(fit, "cell")["constant"]
    np.testing.assert_array_equal(constant, [False, True, True, False])
    # A coupling between two cells that say nothing keeps its prior.
    bare = boltzmann.held_by_prior(fit)
    i, j = binary.pairs(4)
    assert bare[(i == 1) & (j == 2)] and not bare[(i == 0) & (j == 3)]
    assert "(1, 2)" in said


def test_identical_cells_are_named():
    states = population(4, 400)["states"].values.copy()
    states[:, 3] = -states[:, 0]
    _, said = reported(states)
    assert "Cells (0, 3) are identical" in said
    assert "identical" not in reported(population(4, 400)["states"].values)[1]


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
@pytest.mark.parametrize("case", ["silent", "constant", "identical", "opposite"])
def test_a_site_that_says_nothing_new_leaves_the_others_what_they_are_without_it(encoding, case):
    """The supremum of the likelihood is then the maximum of that of the other sites."""
    data = population(4, 500, encoding)
    states, low = data["states"].values.copy(), binary.ENCODINGS[encoding]
    others = [0, 1, 2]
    last = {"silent": low, "constant": 1, "identical": states[:, 0]}
    states[:, 3] = last.get(case, 1 + low - states[:, 0])
    likelihood = boltzmann.maximum_likelihood_fit(labelled(states, encoding), settings=SHORT)
    alone = pairwise.maximum_likelihood(states[:, others], encoding=encoding)
    _, p = enumeration.probabilities(alone.theta, encoding)
    found = noted(likelihood, "information")
    assert float(found["H2"]) == pytest.approx(enumeration.entropy(p), abs=1e-9)
    verdict = bayesinf.check(likelihood)
    assert not verdict.believed and "no maximum likelihood" in verdict.words
    named = {
        "silent": "site 3 is never on",
        "constant": "site 3 is always on",
        "identical": "sites 0 and 3 are one and the same",
        "opposite": "sites 0 and 3 are exact opposites",
    }[case]
    assert named in verdict.words
    # What the others have among themselves they keep, with its error.
    J, error = (noted(likelihood, "classical")[name].values for name in ("J", "J_error"))
    i, j = binary.pairs(4)
    free = (i == 1) & (j == 2)
    assert J[free] == pytest.approx(alone.J[2], abs=1e-8)
    assert error[free] == pytest.approx(np.linalg.inv(alone.precision)[5, 5] ** 0.5, rel=1e-8)
    assert np.isnan(J[j == 3]).all() and np.isnan(error[j == 3]).all()
    shown = likelihood["posterior"]["J"].values[..., free].mean()
    assert shown == pytest.approx(alone.J[2], abs=6 * error[free].item() / 20)


def test_two_cells_that_never_fire_together_leave_the_other_states_to_be_fitted():
    """The supremum is the maximum over the states that remain, here written out."""
    states = population(3, 600, "0/1")["states"].values.copy()
    states = states[states[:, 0] * states[:, 1] == 0]
    likelihood = boltzmann.maximum_likelihood_fit(labelled(states, "0/1"), settings=SHORT)
    # Six states and five parameters are left: n0, n1, n2, n0 n2, n1 n2, all but saturated.
    found, data = noted(likelihood, "classical"), binary.of_states(states, "0/1")
    h, J = found["h"].values, found["J"].values
    assert np.isnan(J[0]) and np.isfinite([*h, *J[1:]]).all()
    weight = {
        s: np.exp(h @ s + J[1] * s[0] * s[2] + J[2] * s[1] * s[2])
        for s in product((0, 1), repeat=3)
        if s[0] * s[1] == 0
    }
    total = sum(weight.values())
    for k in range(3):
        mean = sum(w for s, w in weight.items() if s[k]) / total
        assert mean == pytest.approx(data.mean[k], abs=1e-9)
    p = np.array(list(weight.values())) / total
    H2 = float(noted(likelihood, "information")["H2"])
    assert pytest.approx(enumeration.entropy(p), abs=1e-9) == H2
    assert "never on together" in likelihood.attrs["lacking"]


def test_a_face_that_no_pair_shows_is_found():
    """All combinations of each pair occur, and yet three sites are never on together."""
    rows = np.array([s for s in product((0, 1), repeat=3) if sum(s) not in (0, 3)])
    states = np.repeat(rows, [5, 7, 4, 6, 3, 8], axis=0)
    likelihood = boltzmann.maximum_likelihood_fit(labelled(states, "0/1"), settings=SHORT)
    assert "some combination of sites" in likelihood.attrs["lacking"]
    assert not bayesinf.check(likelihood).believed
    seen = np.array([5, 7, 4, 6, 3, 8]) / 33  # six states, of which five parameters are left
    H2 = float(noted(likelihood, "information")["H2"])
    assert pytest.approx(enumeration.entropy(seen), abs=1e-9) == H2


def test_a_likelihood_with_a_maximum_is_believed_as_before(fits):
    assert fits["mle"].attrs["classical"] == "maximum likelihood"
    assert bayesinf.check(fits["mle"]).believed


# --- states that follow each other ----------------------------------------------------------------


def slow(stay, samples=1500, seed=3):
    """Three independent sites that keep their state with a chance: τ = (1 + stay) / (1 − stay)."""
    rng = np.random.default_rng(seed)
    keep, fresh = rng.random((samples, 3)) < stay, rng.choice([-1, 1], (samples, 3))
    states = fresh.copy()
    for t in range(1, samples):
        states[t] = np.where(keep[t], states[t - 1], fresh[t])
    return labelled(states)


def test_states_that_follow_each_other_are_not_believed_unless_they_count_as_fewer():
    data, settings = slow(0.9), SHORT.replace(draws=1000)
    plain = boltzmann.fit(data, "normal", method="laplace", settings=settings)
    counted = boltzmann.fit(data, "normal", method="laplace", effective="auto", settings=settings)
    asked = [{c.name: c for c in bayesinf.check(fit).checks} for fit in (plain, counted)]
    assert not asked[0]["independent states"].passed and asked[1]["independent states"].passed
    assert not bayesinf.check(plain).believed and bayesinf.check(counted).believed
    assert "--effective auto" in bayesinf.check(plain).words
    asked = [set(fit["sample_stats"]["statistic"].values) for fit in (plain, counted)]
    assert asked[0] - asked[1] == {"triples beyond the pairs"}
    number = int(counted["constant_data"]["counted"])
    assert 1500 / 19 / 1.8 < number < 1500 / 19 * 1.3
    assert int(counted["constant_data"]["samples"]) == 1500
    spread = [fit["posterior"]["h"].std(("chain", "draw")).mean() for fit in (plain, counted)]
    assert float(spread[1] / spread[0]) == pytest.approx(np.sqrt(1500 / number), rel=0.15)
    likelihood = counted["log_likelihood"]["states"].sum("block")
    moments = binary.of_states(data["states"].values, "±1")
    theta = enumeration.pack(counted["posterior"]["h"].values, counted["posterior"]["J"].values)
    exact = number * (theta @ moments.statistics - enumeration.log_partition(theta, "±1"))
    np.testing.assert_allclose(likelihood, exact, rtol=1e-9)


def test_repeats_are_no_memory_and_shuffled_rows_have_none():
    data = slow(0.9)
    shuffled = data.isel(sample=np.random.default_rng(0).permutation(1500))
    fit = boltzmann.fit(shuffled, "normal", method="laplace", settings=SHORT)
    assert bayesinf.check(fit).believed
    with pytest.raises(DataError, match=r"count as that many; expected auto, or 1 to 1500"):
        boltzmann.fit(data, effective=2000, settings=SHORT)


def test_states_that_drift_are_not_believed():
    rng = np.random.default_rng(5)
    chance = np.where(np.arange(2000)[:, None] < 1000, [0.5, 0.5, 0.4], [0.5, 0.5, 0.6])
    data = labelled(np.where(rng.random((2000, 3)) < chance, 1, -1))
    words = bayesinf.check(boltzmann.fit(data, "normal", method="laplace", settings=SHORT)).words
    assert "between halves the mean of site 2 differs" in words


def test_fewer_states_than_parameters_leave_it_to_the_prior():
    narrow = pairwise.CouplingPrior(Normal(0.0, 1.0), Normal(0.0, 0.1))
    fit, said = reported(population(6, 12)["states"].values, narrow)
    assert "fewer states (12) than parameters (21)" in said
    bare = boltzmann.held_by_prior(fit)
    assert bare.sum() >= 3 and f"do not constrain {bare.sum()} of 15" in said


def test_many_states_constrain_every_coupling(fits):
    assert not boltzmann.held_by_prior(fits["posterior"]).any()
    said = said_of(fits["posterior"])
    assert "fires" not in said and "fewer states" not in said and "do not constrain" not in said


# --- maximum likelihood and information -----------------------------------------------------------


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_two_sites_have_a_closed_form(encoding):
    """J is the log odds ratio, over 4 in ±1; its variance the sum of one over each count."""
    counts = np.array([400, 100, 150, 350])
    found = boltzmann.maximum_likelihood_fit(table(counts, encoding), settings=SHORT)
    classical = noted(found, "classical")
    a, b, c, d = counts
    size = 4 if encoding == "±1" else 1
    assert classical["J"].item() == pytest.approx(np.log(a * d / (b * c)) / size, rel=1e-7)
    error = np.sqrt(np.sum(1 / counts)) / size
    assert classical["J_error"].item() == pytest.approx(error, rel=1e-6)
    h = [np.log(a * b / (c * d)) / 4, np.log(a * c / (b * d)) / 4]
    h = h if encoding == "±1" else [np.log(b / d), np.log(c / d)]
    np.testing.assert_allclose(classical["h"], h, rtol=1e-7)
    assert found.attrs["classical"] == "maximum likelihood"
    # As a posterior: the same, as far as 400 draws can tell.
    drawn = found["posterior"]["J"].values.ravel()
    assert abs(drawn.mean() - classical["J"].item()) < 5 * error / np.sqrt(drawn.size)
    assert drawn.std() == pytest.approx(error, rel=5 / np.sqrt(2 * drawn.size))


def test_two_sites_hold_no_more_than_their_pair():
    """With two sites the model of pairs is the data: entropies agree, and log Z = −log p(−−) ..."""
    counts = np.array([400, 100, 150, 350])
    found = noted(
        boltzmann.maximum_likelihood_fit(table(counts, "0/1"), settings=SHORT), "information"
    )
    p = counts / counts.sum()
    H = -np.sum(p * np.log2(p))
    assert found["H2"].item() == pytest.approx(H, abs=1e-9)
    assert found["H_data"].item() == pytest.approx(H, abs=1e-12)
    assert found["H_data_corrected"] - found["H_data"] == pytest.approx(3 / 2000 / np.log(2))
    one = lambda q: -q * np.log2(q) - (1 - q) * np.log2(1 - q)
    assert found["H1"].item() == pytest.approx(one(p[0] + p[1]) + one(p[0] + p[2]), abs=1e-12)
    # The state 00 has the weight one.
    assert found["log_z"].item() == pytest.approx(-np.log(p[3]), abs=1e-9)
    assert found["H2"].attrs["units"] == "bit" and found["log_z_error"] == 0


def test_log_z_is_converted_with_its_parameters(fits):
    found = noted(fits["mle"], "information")
    classical = noted(fits["mle"], "classical")
    h, J, _ = binary.convert(classical["h"].values, classical["J"].values, "±1", "0/1")
    assert found["log_z_converted"].item() == pytest.approx(
        pairwise.log_partition(enumeration.pack(h, J), "0/1"), abs=1e-12
    )


def test_log_z_above_enumeration_comes_with_its_error():
    data = population(22, 1500, width=0.1)
    theta = enumeration.pack(data["truth.h"].values, np.zeros(231))
    found = boltzmann.information(data, theta, None, SHORT)
    exact = np.sum(np.log(2 * np.cosh(data["truth.h"].values)))
    assert abs(found["log_z"].item() - exact) <= 5 * found["log_z_error"].item() + 1e-9
    assert "H_data" not in found


def test_mean_field_of_two_sites():
    moments = binary.moments(table([400, 100, 150, 350])["states"], "±1")
    m, c = moments.mean, moments.pair[0] - moments.mean.prod()
    by_hand = c / ((1 - m[0] ** 2) * (1 - m[1] ** 2) - c**2)
    assert boltzmann.mean_field(moments)[0] == pytest.approx(by_hand, rel=1e-12)
    assert boltzmann.mean_field(moments.encoded("0/1"))[0] == pytest.approx(4 * by_hand, rel=1e-12)
    alike = binary.moments(table([500, 0, 0, 500])["states"], "±1")
    assert np.isnan(boltzmann.mean_field(alike)).all()


# --- statistics that the model is not told --------------------------------------------------------


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_connected_moments_by_brute_force(encoding):
    data = population(5, 300, encoding)
    fit = boltzmann.fit(data, "normal", method="laplace", settings=SHORT)
    found = boltzmann.connected(fit["observed_data"].to_dataset())
    centred = data["states"].values - data["states"].values.mean(axis=0)
    i, j = binary.pairs(5)
    np.testing.assert_allclose(
        found["covariance"], (centred[:, i] * centred[:, j]).mean(axis=0), atol=1e-12
    )
    a, b, c = binary.triples(5).T
    third = (centred[:, a] * centred[:, b] * centred[:, c]).mean(axis=0)
    np.testing.assert_allclose(found["cumulant"], third, atol=1e-12)


def test_independent_sites_have_no_connected_moments():
    """Exactly: products of means, with labels of sites that are not their positions."""
    mean = np.array([0.3, -0.5, 0.7, 0.1])
    i, j = binary.pairs(4)
    t, label = binary.triples(4), np.array([7, 2, 11, 5])
    labels = {name: ("triple", label[t[:, k]]) for k, name in enumerate(("i3", "j3", "k3"))}
    group = xr.Dataset(
        {
            "mean": ("site", mean),
            "pair_mean": ("pair", mean[i] * mean[j]),
            "triple_mean": ("triple", mean[t].prod(axis=1)),
        },
        {"site": label, **labels},
    )
    found = boltzmann.connected(group)
    assert np.abs(found["covariance"]).max() < 1e-15 and np.abs(found["cumulant"]).max() < 1e-15


def test_parts_are_of_repeats_where_there_are_enough():
    by_repeat = labelled(np.ones((12, 2)), repeat=np.repeat(np.arange(4), 3))
    found = statistics.parts(by_repeat)
    np.testing.assert_array_equal(found["first half"], np.arange(6))
    np.testing.assert_array_equal(found["even"], [0, 1, 2, 6, 7, 8])
    few = statistics.parts(labelled(np.ones((12, 2)), repeat=np.repeat(np.arange(2), 6)))
    np.testing.assert_array_equal(few["even"], np.arange(0, 12, 2))
    for pair in (("first half", "second half"), ("even", "odd")):
        np.testing.assert_array_equal(np.sort(np.r_[few[pair[0]], few[pair[1]]]), np.arange(12))


def test_nulls_hold_the_moments_of_each_part(fits):
    data, null = population(), noted(fits["posterior"], "null")
    second = data["states"].values[1500:]
    at = null.sel(part="second half")
    np.testing.assert_allclose(at["mean"], second.mean(axis=0), atol=1e-12)
    by_hand = second[:, 1] * second[:, 2] * second[:, 3]
    assert at["triple_mean"].values[-1] == pytest.approx(by_hand.mean(), abs=1e-12)
    assert at["population"].values[0] == np.mean((second == -1).all(axis=1))


def test_nulls_tell_drift_from_sampling():
    rng = np.random.default_rng(2)
    on = rng.random((4000, 4)) < np.where(np.arange(4000) < 2000, 0.4, 0.6)[:, None]
    fit = boltzmann.fit(labelled(np.where(on, 1, -1)), "normal", method="laplace", settings=SHORT)
    entry = boltzmann.differences(fit)["mean"]
    assert np.abs(entry["halves"]).min() > 0.1  # (0.6 − 0.4) · 2 / 2 = 0.2
    assert np.abs(entry["even/odd"]).max() < 5 / np.sqrt(4000)
    steady = boltzmann.differences(
        boltzmann.fit(population(4, 4000), "normal", method="laplace", settings=SHORT)
    )
    assert np.abs(steady["mean"]["halves"]).max() < 5 / np.sqrt(4000)


def test_a_population_that_pairs_cannot_make_is_a_misfit():
    """The product of three sites is told apart from noise by triplets, and by nothing of pairs."""
    rng = np.random.default_rng(3)
    states = rng.choice([-1, 1], (6000, 4))
    states[:, 2] = np.where(rng.random(6000) < 0.8, states[:, 0] * states[:, 1], states[:, 2])
    said = {}
    for name, values in (("triplets", states), ("pairs", population(4, 6000)["states"].values)):
        fit = boltzmann.fit(labelled(values), "normal", method="laplace", settings=SHORT)
        said[name] = said_of(fit)
        entry = boltzmann.differences(fit)["cumulant"]
        null = np.abs(np.r_[entry["halves"], entry["even/odd"]]).max()
        assert (np.abs(entry["misfit"]).max() > 10 * null) == (name == "triplets")
    assert "not all" in said["triplets"] and "enough for what these data" in said["pairs"]


def test_energies_by_brute_force():
    states, (h, J) = population(3, 40)["states"].values, (np.array([0.1, -0.2, 0.3]), [0.5, -1, 2])
    by_hand = [-sum(h * s) - 0.5 * s[0] * s[1] + s[0] * s[2] - 2 * s[1] * s[2] for s in states]
    np.testing.assert_allclose(statistics.energy(states, enumeration.pack(h, J)), by_hand)


def test_energies_of_replicas_are_those_of_the_model(fits):
    """The histogram of replicas has the shares of the exact one, and the data lie in its band."""
    fit, data = fits["posterior"], population()
    found = noted(fit, "energy")
    for name in ("data", "parts", "predicted"):
        total = found[name].sum("bin").values
        assert np.allclose(total if name != "predicted" else total[0], 1)
    theta = enumeration.pack(*(fit["posterior"][n].mean(("chain", "draw")).values for n in "hJ"))
    log_z, p = pairwise.probabilities(theta, "±1")
    edges = found["edges"].values
    at = np.clip(-np.log(p) - log_z, edges[0], edges[-1])
    exact = np.histogram(at, edges, weights=p)[0]
    # Replicas have parameters of the posterior, not its mean: differences of a few per cent.
    error = np.sqrt(exact * (1 - exact) / data.sizes["sample"])
    predicted = found["predicted"].values
    assert np.all(np.abs(predicted[0] - exact) < 3 * error + 1e-12)
    inside = (found["data"].values >= predicted[1]) & (found["data"].values <= predicted[2])
    assert inside[exact > 0].mean() > 0.6
    other = statistics.energies(fit, population(seed=9), SHORT)
    assert np.abs(other["data"].values - other["predicted"].values[0]).max() > 0.05


def test_the_band_of_energies_holds_the_doubt_about_the_parameters():
    """Fitted to few states, compared to many: what is left of the band is the posterior's."""
    fit = boltzmann.fit(population(4, 100), "normal", method="laplace", settings=SHORT)
    found = statistics.energies(fit, population(4, 50_000), SHORT)
    mean, low, high = found["predicted"].values
    sampling = np.sqrt(mean * (1 - mean) / 50_000)
    busy = mean > 0.02
    assert np.all((high - low)[busy] > 10 * sampling[busy])


def test_beyond_enumeration_the_report_says_what_a_reweighting_sample_is(fits):
    """The words come from the numbers in the file; up to 20 sites there are none."""
    assert not boltzmann.story(fits).extra
    reweighted = fits["posterior"].copy()
    stats = reweighted["sample_stats"].to_dataset()
    size = xr.full_like(stats["lp"], 5000.0)
    size[1, 7] = 1234.0
    stats = stats.assign(
        reweighting_size=size, reweighting_k=((), 0.41), reweighting_shift=((), 0.07)
    )
    reweighted["sample_stats"] = xr.DataTree(stats)
    (section,) = boltzmann.story(fits | {"posterior": reweighted}).extra
    said = " ".join(section.paragraphs)
    assert "effective states" in said and "1200" in said and "0.41" in said and "0.07 sd" in said


# --- learning -------------------------------------------------------------------------------------


def test_gradient_ascent_climbs_to_the_maximum_likelihood():
    moments = binary.moments(population(4, 5000)["states"], "±1")
    best = pairwise.maximum_likelihood(moments, encoding="±1")
    theta, height = boltzmann.gradient_ascent(moments.statistics, 0.1, 3000)
    np.testing.assert_allclose(theta, best.theta, atol=1e-8)
    assert np.all(np.diff(height) > -1e-14)
    assert height[0] == pytest.approx(-4 * np.log(2), abs=1e-14)
    by_newton, climb = boltzmann.newton_ascent(moments.statistics)
    np.testing.assert_allclose(by_newton, best.theta, atol=1e-10)
    assert climb[-1] == pytest.approx(best.log_density / 5000, abs=1e-12)
    slow, low = boltzmann.gradient_ascent(moments.statistics, 0.01, 100)
    assert np.abs(slow - best.theta).max() > 1e-3 and low[-1] < climb[-1] - 1e-5
    # Rates side by side are the rates alone.
    both, _ = boltzmann.gradient_ascent(
        np.tile(moments.statistics, (2, 1)), np.array([0.1, 0.01]), 100
    )
    np.testing.assert_allclose(both[1], slow, atol=1e-13)


def test_errors_fall_as_one_over_the_root_of_the_data_where_the_climb_is_complete():
    found = boltzmann.learning_study(Settings(seed=3), repeats=30)
    slope, error = found["exponent"].values, found["exponent_se"].values
    methods = found["method"].values.tolist()
    newton, slow = methods.index("Newton"), methods.index("η = 0.01")
    assert abs(slope[newton] + 0.5) < 5 * error[newton] < 0.1
    assert slope[slow] + 0.5 > 5 * np.hypot(error[slow], error[newton])
    rms = np.sqrt(np.mean(found["error"].values[newton] ** 2, axis=1))
    np.testing.assert_allclose(rms, found["expected"], rtol=5 / np.sqrt(2 * 30 * 15 / 3))
    assert found["size"].values.tolist() == [50_000, 100_000, 200_000, 500_000, 1_000_000]


def test_the_exponent_has_the_error_of_a_regression():
    from bayesinf.systems.boltzmann_equilibrium.learning import _slope

    x, rng = np.log([1.0, 2, 4, 8]), np.random.default_rng(1)
    y = -0.5 * x[:, None] + 0.1 * rng.standard_normal((4, 25))
    slope, error = _slope(x, y)
    flat_x = np.repeat(x, 25)
    by_hand, covariance = np.polyfit(flat_x, y.ravel(), 1, cov=True)
    assert slope == pytest.approx(by_hand[0]) and error == pytest.approx(covariance[0, 0] ** 0.5)


# --- fits and their files -------------------------------------------------------------------------


def test_a_report_needs_nothing_but_files(fits, told, tmp_path):
    loaded = {n: bayesinf.load(save(fit, tmp_path / f"{n}.nc")) for n, fit in fits.items()}
    again = boltzmann.story(loaded)
    assert words(told) == words(again)
    for one, other in zip(
        (told.answer, told.numbers, told.classical),
        (again.answer, again.numbers, again.classical),
        strict=True,
    ):
        assert [p.name for p in one.pictures] == [p.name for p in other.pictures]
        for table_, copy in zip(one.tables, other.tables, strict=True):
            assert table_.frame.equals(copy.frame) and table_.caption == copy.caption
    names = {p.name for s in (told.answer, told.predictive, told.classical) for p in s.pictures}
    drawn = "parameters matrices agreement distributions predictive_statistics approximate learning"
    assert set(drawn.split()) <= names
    assert bayesinf.check(loaded["mle"]).believed


def test_the_report_converts_between_encodings(fits, told):
    h, J = (fits["posterior"]["posterior"][n].values.reshape(400, -1) for n in "hJ")
    converted, _, _ = binary.convert(h, J, "±1", "0/1")
    of_h = told.numbers.tables[1]
    assert "h′ = 2 h − 2 Σ J" in of_h.caption
    shown = float(of_h.frame["in 0/1"].iloc[2].split(" ± ")[0].replace("−", "-"))
    assert shown == pytest.approx(converted[:, 2].mean(), abs=0.006)
    assert f"{fits['posterior'].attrs['encoding']}" in words(told)


def test_few_states_say_nothing_of_what_pairs_account_for(fits):
    """30 states of 7 sites hold log2(30) bits at most, whatever the population does."""
    data = population(7, 30)
    few = {
        "posterior": boltzmann.fit(data, "normal", method="laplace", settings=SHORT),
        "mle": boltzmann.maximum_likelihood_fit(data, settings=SHORT),
    }
    said = " ".join(boltzmann.story(few).numbers.paragraphs)
    assert "too few for that correction" in said and "Pairs account" not in said
    said = " ".join(boltzmann.story(fits).numbers.paragraphs)
    assert "too few for that correction" not in said and "Pairs account" in said


def test_without_truth_or_side_results_there_is_a_report_too():
    data = population(2, 200, "0/1")[["states"]]
    found = {
        "posterior": boltzmann.fit(data, "laplace", settings=SHORT),
        "mle": boltzmann.maximum_likelihood_fit(data, settings=SHORT),
    }
    told = boltzmann.story(found)
    assert "truth" not in words(told) and "two sites" in words(told)
    assert [p.name for p in told.classical.pictures] == []


def test_the_truth_lies_in_its_intervals(fits):
    """Of 14 values of one data set; ``workflows/calibrate.py`` asks it of many."""
    truth, group = noted(fits["posterior"], "truth"), fits["posterior"]["posterior"]
    for name in "hJ":
        mean, sd = (getattr(group[name], f)(("chain", "draw")).values for f in ("mean", "std"))
        assert np.abs((mean - truth[name].values) / sd).max() < 5
    assert set(group["h"].dims) == {"chain", "draw", "site"}
    assert group["J"].dims == ("chain", "draw", "pair") and {"i", "j"} <= set(group["J"].coords)


def of_size(sites):
    return labelled(np.ones((2, sites)))


def test_methods_are_chosen_by_size_and_files_stay_small():
    def settings(sites, method=None):
        return boltzmann.plan(of_size(sites), method, Settings())[1]

    assert [boltzmann.plan(of_size(n), None, Settings())[0] for n in (5, 40, 41, 160)] == [
        "mcmc",
        "mcmc",
        "laplace",
        "laplace",
    ]
    for sites in (10, 40, 160):
        size = settings(sites, "mcmc").draws * 4 * 8 * sites * (sites + 1)
        assert size <= model.MOST_BYTES
    assert settings(10) == Settings()
    assert settings(20).draws == 512
    assert settings(20, "laplace").draws == 128
    assert settings(21).draws == 500
    short = Settings(draws=100)
    method, longer, said = boltzmann.plan(of_size(10), None, short)
    assert (method, longer.draws, said) == ("mcmc", 400, "")
    assert boltzmann.plan(of_size(41), "mcmc", short, exact=True) == ("mcmc", short, "")
    assert "41 sites are too many for chains" in boltzmann.plan(of_size(41), None, short)[2]
    assert "512 draws are kept" in boltzmann.plan(of_size(20), "laplace", Settings())[2]
    with pytest.raises(FitError, match="unknown method 'newton'"):
        boltzmann.fit(population(), method="newton")


def test_the_classical_answer_is_the_one_beside_the_fit(fits):
    alone, beside = boltzmann.classical(population()), noted(fits["mle"], "classical")
    xr.testing.assert_allclose(alone.drop_attrs(), beside.drop_attrs())
    assert alone.attrs["called"] == fits["mle"].attrs["classical"] == "maximum likelihood"


def test_pairs_are_not_called_enough_where_silence_is_refused_and_triplets_agree(fits):
    fit = fits["posterior"].copy(deep=True)
    assert "A model of pairs is enough" in said_of(fit)
    fit["sample_stats"]["discrepancy_observed"].loc[{"statistic": "all sites off"}] = 1.0
    said = said_of(fit)
    assert "A model of pairs is enough" not in said
    assert "beyond chance is the share of states without any site on" in said
    silent = float(fit["observed_data"]["population"][0])
    assert f"all sites are off in {silent:.2%} of the states" in said


# --- pseudo-likelihood ----------------------------------------------------------------------------


def test_pseudo_likelihood_finds_couplings_and_says_what_it_is(fits):
    fit = boltzmann.fit(population(), "normal", method="pseudo", settings=SHORT)
    assert fit.attrs["method"] == "pseudo-likelihood" and "pseudo" in fit.attrs["model"]
    assert "not from the likelihood" in said_of(fit)
    assert "not from the likelihood" not in said_of(fits["posterior"])
    exact = noted(fits["mle"], "classical")
    J = fit["posterior"]["J"]
    assert J.dims == ("chain", "draw", "pair")
    away = (J.mean(("chain", "draw")).values - exact["J"].values) / exact["J_error"].values
    assert np.abs(away).max() < 2  # it loses little where couplings are small


def test_pseudo_likelihood_is_too_sure(fits):
    """It counts a pair from both ends: errors of independent sites are 1/√2 of the true ones."""
    quick = noted(fits["mle"], "approximate").sel(approximation="pseudo-likelihood")
    exact = noted(fits["mle"], "classical")["J_error"].values
    ratio = quick["J_sd"].values / exact
    assert np.all(ratio < 0.85) and np.all(ratio > 0.5)


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_the_optimum_of_the_pseudo_likelihood_by_brute_force(encoding):
    """No slope is left in Σ_i log P(s_i | others), written out, but what the prior pulls."""
    data = population(4, 500, encoding)
    states, low = data["states"].values.astype(float), binary.ENCODINGS[encoding]
    theta, error = pseudo.optimum(data)

    def height(theta):
        h, J = theta[:4], binary.matrix(theta[4:], 4)
        field = h + states @ J
        own = states * field - np.logaddexp(field, low * field)
        prior = pairwise.default(encoding)
        return own.sum() + prior.log_density(theta[:4], theta[4:])

    step = 1e-4 * np.eye(10)
    slope = [(height(theta + e) - height(theta - e)) / 2e-4 for e in step]
    assert np.abs(slope).max() < 1e-3
    bend = (
        np.array(
            [
                [
                    height(theta + a + b) - height(theta + a) - height(theta + b) + height(theta)
                    for a in step
                ]
                for b in step
            ]
        )
        / 1e-8
    )
    np.testing.assert_allclose(error, np.sqrt(np.diag(np.linalg.inv(-bend))), rtol=1e-3)


def test_intervals_of_the_likelihood_cover_and_those_of_the_pseudo_likelihood_do_not():
    """Parameters of one data set are correlated, so it is replicas that give the error."""
    found = boltzmann.coverage(population(4, 800), replicas=100)["inside"]
    away = found.mean("replica") - found["level"]
    error = found.std("replica") / np.sqrt(100)
    assert np.all(np.abs(away.sel(route="likelihood")) < 5 * error.sel(route="likelihood"))
    # Errors √2 too small: 63 % within what is claimed to hold 80, ± 2 for so many replicas.
    assert -0.27 < away.sel(route="pseudo-likelihood", level=0.8) < -0.07
    again = boltzmann.coverage(population(4, 800), replicas=2)["inside"]
    np.testing.assert_array_equal(again, found[..., :2])  # by the seed alone
    assert boltzmann.coverage(population(13, 20)) is None


def test_the_report_says_what_was_covered_and_what_the_pseudo_likelihood_is(fits, told):
    share = boltzmann_share(fits, "likelihood"), boltzmann_share(fits, "pseudo-likelihood")
    said = " ".join(told.classical.paragraphs)
    assert f"hold {share[0]}" in said and f"pseudo-likelihood {share[1]}" in said
    frame = next(t.frame for t in told.classical.tables if t.frame.index.name == "intervals by")
    assert frame["claimed 95 %"].tolist() == [f"{each} %" for each in share]
    assert "it is not the likelihood" in said


def boltzmann_share(fits, route):
    inside = noted(fits["mle"], "coverage")["inside"].sel(route=route, level=0.95).values
    return f"{100 * inside.mean():.1f} ± {50 * inside.std():.1f}"  # of four replicas


# --- calibration ----------------------------------------------------------------------------------


def test_calibration_problems_are_small_and_honest():
    problem = boltzmann.calibration_problem()
    sizes = []
    for seed in range(40):
        truth, data = problem.simulate(np.random.default_rng(seed))
        sizes.append(data.sizes["sample"])
        assert truth["J"].shape == (10,) and truth["scale"] > 0
    assert min(sizes) >= 200 and max(sizes) <= 2000 and np.unique(sizes).size > 30
    fit = problem.fit(data, problem.settings)
    # The log likelihood that is ranked is the one that the fit holds.
    draw = {n: fit["posterior"][n].values[0, 0] for n in ("h", "J")}
    total = fit["log_likelihood"]["states"].values[0, 0].sum()
    assert problem.log_likelihood(draw, data) == pytest.approx(total, rel=1e-12)
    with pytest.raises(DataError, match="exact, laplace, pseudo"):
        boltzmann.calibration_problem("gibbs")


@pytest.mark.slow
def test_calibration_covers_and_pseudo_likelihood_does_not():
    from bayesinf.calibration import calibrate

    def spread(variant, replications):
        """How far the ranks of couplings are from the middle, by their variance; even: 1/12."""
        found = calibrate(boltzmann.calibration_problem(variant), replications, seed=5, workers=1)
        assert not any(found["error"].values)
        return np.mean((found["J"].values - 0.5) ** 2)

    # From one data set to the next it has an sd of 0.03; of pseudo-likelihood the mean is 0.117.
    assert abs(spread("laplace", 12) - 1 / 12) < 5 * 0.03 / np.sqrt(12)
    assert spread("pseudo", 40) > 0.1

"""A passing and a failing fit for every question of ``bayesinf.checks``, which the page on the
verdict shows and ``tests/docs.py`` holds to what they are said to be.

A function a question, which returns both fits; its docstring says what is wrong with the second.
"""

from functools import cache

import numpy as np

import bayesinf
from bayesinf import Settings
from bayesinf.models import curve, density, linear
from bayesinf.priors import Normal

__all__ = ["EXAMPLES"]

SHORT = Settings(seed=1, draws=400, prior_draws=50)


def mixing():
    """One of four chains stays two standard deviations away from the others."""
    draws = _noise()
    return _drawn(draws), _drawn(draws + 2.0 * (np.arange(4) == 0)[:, None])


def divergences():
    """The integrator lost the energy at seven of two thousand transitions."""
    diverging = np.zeros((4, 500), bool)
    some = diverging.copy()
    some[1, :7] = True
    return _drawn(_noise(), diverging=diverging), _drawn(_noise(), diverging=some)


def energy():
    """The energy walks, in steps that are small against its spread."""
    steps = _noise(seed=2)
    return _drawn(_noise(), energy=steps), _drawn(_noise(), energy=np.cumsum(steps, axis=1))


def length():
    """Each walker remembers its place for some hundred steps, and made five hundred."""
    walk, steps = np.zeros((20, 500)), _noise((20, 500))
    for k in range(1, 500):
        walk[:, k] = 0.98 * walk[:, k - 1] + 0.2 * steps[:, k]
    return _walked(_noise((20, 500))), _walked(walk)


def acceptance():
    """One walker never moved."""
    walk = _noise((20, 500))
    stuck = walk.copy()
    stuck[3] = 0.4
    bad = _walked(stuck)
    return _with(bad, acceptance_rate=0.4), bad


def agreement():
    """Half of the walkers stay in another mode."""
    walk = _noise((20, 500))
    return _walked(walk), _walked(walk + 6.0 * (np.arange(20) % 2)[:, None])


def gradient():
    """The same fit, its optimiser stopped where the density still slopes."""
    good = _decay()
    return good, _with(good, gradient=good["sample_stats"]["gradient"] + 0.3)


def hessian():
    """The same fit at a saddle: along one direction the density rises."""
    good = _decay()
    eigenvalues = good["sample_stats"]["hessian_eigenvalue"].copy()
    eigenvalues[0] = -0.2
    return good, _with(good, hessian_eigenvalue=eigenvalues)


def starts():
    """Two measurements that contradict each other, with heavy tails: two optima, equally good."""
    return _located([1.8, 2.1, 2.4]), _located([-6.0, 6.0])


def importance_weights():
    """exp(θ) was measured as 0.5 ± 1: an upper limit on θ, and no normal resembles that."""
    return _measured(20.0, 1.0), _measured(0.5, 1.0)


def resampling():
    """The same fit, its draws worth few: the approximation misses the posterior."""
    good = _decay()
    return good, _with(good, pareto_k=0.93, effective_draws=38.0)


def edges():
    """The same fit, the likelihood still high at the edge of a box."""
    good = _decay()
    return good, _with(good, beyond=good["sample_stats"]["beyond"] + 0.4)


def conditioning():
    """Two columns that agree to thirteen digits, and a target that is their difference."""
    X, y = _table()
    twin = np.column_stack([X[:, 0], X[:, 0] + 1e-13 * X[:, 1]])
    return _line(X, y), _line(twin, X[:, 1])


def moments():
    """The same fit, its draws a fifth too wide."""
    good = _line(*_table())
    bad = good.copy()
    beta = good["posterior"]["beta"]
    mean = beta.mean(["chain", "draw"])
    bad["posterior"] = good["posterior"].to_dataset().assign(beta=mean + 1.2 * (beta - mean))
    return good, bad


def predictive_check():
    """One value is nine standard deviations off, and the noise is taken for normal."""
    X, y = _table()
    off = y.copy()
    off[7] += 9.0
    return _line(X, y), _line(X, off)


def leave_one_out():
    """One row lies so far out in x that the slope is its own."""
    X, y = _table()
    far = X.copy()
    far[7, 0] = 400.0
    return _line(X, y), _line(far, y)


def truth():
    """Energies were read in another unit, twice as small: all couplings come out doubled."""
    spins = _spins(60)
    return _ring(spins), _ring(spins.assign(energies=2.0 * spins["energies"]))


def held_out():
    """What is to be predicted has couplings that are a fifth weaker."""
    seen, unseen = _spins(60), _spins(40, seed=2).rename(sample="held_out")
    weaker = unseen.assign(energies=0.8 * unseen["energies"])
    return _ring(seen, held_out=unseen), _ring(seen, held_out=weaker)


def prior_sensitivity():
    """A prior N(0, 0.3²) for what ten measurements put at 2.0 ± 0.3."""
    return _mean(100.0), _mean(0.3)


# --- what they are made of ------------------------------------------------------------------------


def _noise(shape=(4, 500), seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def _drawn(draws, **statistics):
    """Chains as another library would hand them over."""
    import xarray as xr

    dims = ("chain", "draw")
    stats = {name: (dims, values) for name, values in statistics.items()}
    groups = {"posterior": xr.Dataset({"x": (dims, draws)}), "sample_stats": xr.Dataset(stats)}
    return bayesinf.foreign.adopted(xr.DataTree.from_dict(groups))


def _walked(draws):
    """Walkers of an ensemble, likewise."""
    import xarray as xr

    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw"), draws)})})
    return bayesinf.foreign.adopted(tree, "ensemble")


def _with(fit, **statistics):
    """A copy of a fit in which some of its evidence is another."""
    changed = fit.copy()
    group = fit["sample_stats"].to_dataset()
    for name, value in statistics.items():
        old = group[name]
        group[name] = old.copy(data=np.broadcast_to(value, old.shape).astype(float))
    changed["sample_stats"] = type(fit)(group)
    return changed


@cache
def _decay():
    """A decay, by the Laplace approximation."""
    import lmfit

    t = np.arange(12.0)
    y = 50 * np.exp(-t / 3) + np.random.default_rng(1).standard_normal(12)
    model = lmfit.models.ExponentialModel()
    start = model.make_params(amplitude=40, decay=2)
    return curve.fit(model, start, t, y, method="laplace", settings=SHORT)


def _table():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 2))
    return X, X @ [1.0, -2.0] + 0.8 * rng.standard_normal(40)


def _line(X, y):
    return linear.fit(X, y, prior="normal", intercept=True, settings=SHORT)


def _density(pointwise, replicate, observed, width):
    priors = {"theta": Normal(0.0, width)}
    stated = density.LogDensity(
        priors, pointwise=pointwise, replicate=replicate, observed=observed, vectorised=True
    )
    return bayesinf.fit(stated, method="laplace", settings=SHORT)


def _measured(value, error):
    """exp(θ), measured once."""
    observed = np.array([value])

    def pointwise(theta):
        off = (observed - np.exp(theta)[..., None]) / error
        return -0.5 * off**2 - np.log(error * np.sqrt(2 * np.pi))

    def replicate(rng, theta):
        return np.exp(theta)[..., None] + error * rng.standard_normal((*np.shape(theta), 1))

    return _density(pointwise, replicate, observed, 5.0)


def _located(values):
    """A place, measured with Cauchy errors."""
    observed = np.array(values)

    def pointwise(theta):
        return -np.log(np.pi * (1 + (observed - theta[..., None]) ** 2))

    def replicate(rng, theta):
        shape = (*np.shape(theta), observed.size)
        return theta[..., None] + rng.standard_cauchy(shape)

    return _density(pointwise, replicate, observed, 20.0)


def _mean(width):
    """Ten measurements of a number."""
    observed = 2.0 + np.linspace(-1.4, 1.4, 10)

    def pointwise(theta):
        return -0.5 * (observed - theta[..., None]) ** 2 - 0.5 * np.log(2 * np.pi)

    def replicate(rng, theta):
        return theta[..., None] + rng.standard_normal((*np.shape(theta), observed.size))

    return _density(pointwise, replicate, observed, width)


def _spins(samples, seed=1):
    from bayesinf.systems import ising_couplings

    return ising_couplings.simulate(6, samples, rng=np.random.default_rng(seed))


def _ring(spins, **options):
    from bayesinf.systems import ising_couplings

    return ising_couplings.fit(spins, "normal", settings=SHORT, **options)


EXAMPLES = {
    "mixing": mixing,
    "divergences": divergences,
    "energy": energy,
    "length": length,
    "acceptance": acceptance,
    "agreement": agreement,
    "gradient": gradient,
    "hessian": hessian,
    "starts": starts,
    "importance weights": importance_weights,
    "resampling": resampling,
    "edges": edges,
    "conditioning": conditioning,
    "moments": moments,
    "predictive check": predictive_check,
    "leave-one-out": leave_one_out,
    "truth": truth,
    "held out": held_out,
    "prior sensitivity": prior_sensitivity,
}

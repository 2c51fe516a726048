"""One checker for all problems: the densities that a fit stores are those of the PyMC model."""

import numpy as np
import pytest

MODE = "FAST_COMPILE"  # as Python: of a few points it is sooner done than compiled


def point(model, values):
    """The free variables of a PyMC model at some values, in its own coordinates."""
    found = {}
    for variable in model.free_RVs:
        value, transform = np.asarray(values[variable.name]), model.rvs_to_transforms[variable]
        if transform is not None:
            value = transform.forward(value, *variable.owner.inputs).eval(mode=MODE)
        found[model.rvs_to_values[variable].name] = value
    return found


def stored(problem, draws):
    """Log likelihood plus log prior as a fit stores them, at draws (draw, ...): (draw,)."""
    draws = {name: np.asarray(value)[np.newaxis] for name, value in draws.items()}
    own = sum(value.sum(axis=-1) for value in problem.log_likelihood(draws).values())
    return (own + sum(problem.log_factors(draws).values()))[0]


def holds(problem, draws=None, *, values=None, extra=None, normalised=True, rel=1e-8, **options):
    """Assert that stored densities differ between random points as those of the PyMC model do.

    Parameters
    ----------
    problem : a Problem.
    draws : points (draw, ...) by name; by default six draws from the prior.
    values : from one point by name to the values of the model's free variables, where these have
        other names than the posterior's; by default the point itself.
    extra : from one point to what the model's density has besides, a term that is subtracted.
    normalised : whether the densities themselves must agree, and not their differences alone.
    **options : of ``problem.pymc``.
    """
    if draws is None:
        draws = problem.sample_prior(np.random.default_rng(4), 6)
    model = problem.pymc(**options)
    log_density = model.compile_logp(jacobian=False, mode=MODE)
    ours, theirs = stored(problem, draws), []
    for k in range(len(ours)):
        one = {name: value[k] for name, value in draws.items()}
        value = log_density(point(model, one if values is None else values(one)))
        theirs.append(value - (0.0 if extra is None else extra(one)))
    theirs = np.array(theirs)
    assert np.ptp(theirs) > 0, "points of equal density show nothing"
    size = np.abs(theirs).max()
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=rel, atol=rel * size)
    if normalised:
        np.testing.assert_allclose(ours, theirs, rtol=rel)


def must_fail(problem, **options):
    """Assert that the checker sees a density that is wrong by a factor in one of its parts."""

    class Wrong(type(problem)):
        def log_factors(self, draws):
            factors = dict(super().log_factors(draws))
            name = next(iter(factors))
            return factors | {name: 1.1 * factors[name]}

    wrong = object.__new__(Wrong)
    wrong.__dict__.update(problem.__dict__)
    with pytest.raises(AssertionError):
        holds(wrong, **options)

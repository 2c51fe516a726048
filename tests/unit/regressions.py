"""What the PyMC model of a regression has free that its posterior does not store."""

import numpy as np
from scipy import integrate, stats


def free_values(problem):
    """From a point by name to the free variables of the definition: weights, an intercept at the
    centre of the features, local scales of one, and a slab, which stands for the weights and is
    zero where left out.
    """

    def values(point):
        weights = problem.inner(point)["beta"]
        found = {f"{problem.names.coefficient}_weight": weights, "local": np.ones_like(weights)}
        found |= point | ({} if "slab" in problem.prior.hyperparameters else {"slab": weights})
        inner = problem.inner(point)
        return found | ({"intercept_centred": inner["intercept"]} if "intercept" in inner else {})

    return values


def beside(problem):
    """From a point to what the model's density has beside the stored one: the density of a slab
    where nothing is included, and that of local scales of one given the weights.
    """

    def extra(point):
        weights = problem.inner(point)["beta"]
        if "included" in point:
            out = point["included"] == 0
            return np.sum(stats.norm.logpdf(weights[out], 0, point["slab_width"]))
        if "slab" in problem.prior.hyperparameters:
            scales = problem.prior.fixed | {k: point[k] for k in problem.prior.inferred}
            return sum(local_density(w, **scales) for w in np.ravel(weights))
        return 0.0

    return extra


def horseshoe(w, local, scale, slab):
    """N(w; 0, scale² local²) N(w; 0, slab²) half-Cauchy(local), but for a constant."""
    wide = (scale * local) ** 2
    sd = np.sqrt(wide / (1 + wide / slab**2))
    density = stats.norm.pdf(w, 0, sd) / np.sqrt(1 + wide / slab**2)
    return density * stats.halfcauchy.pdf(local)


def local_density(w, scale, slab):
    """Log density of a local scale of one given its weight, by quadrature."""
    u = np.linspace(-30, 30, 20_001)
    total = integrate.simpson(horseshoe(w, np.exp(u), scale, slab) * np.exp(u), x=u)
    return np.log(horseshoe(w, 1.0, scale, slab)) - np.log(total)

"""What follows from a fit and stands beside it: bands, parts, steps, forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.forecasts import crps, foretold
from bayesinf.inference import kinds
from bayesinf.models import gp
from bayesinf.models.gp import questions
from bayesinf.models.gp.predictions import followed
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import Settings
from bayesinf.systems.gp_regression.classical import LEVEL, estimates, maximum, profile, quantile
from bayesinf.systems.gp_regression.data import CURVES, checked

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["beside", "predicted"]

GRID, FINE = 200, 600  # places at which curves are drawn, and those of a sum of kernels
STRETCH, RESOLVED = 1000, 5  # points of a stretch that is drawn, places a length scale
FOLLOWED = 400  # draws of the posterior behind a band, and behind parts a quarter of them
STEPWISE = 30  # most points that are shown as they come in
TOGETHER = 500  # places of a new file that are drawn jointly
FEW = 300  # points up to which as many draws foretell as are held against a known curve
CLASSICAL = 1000  # most points for which the likelihood is maximised as well, and profiled a tenth
MATRICES = 2000  # most points for which a sum of kernels is taken apart


def beside(
    found: xr.DataTree, problem: gp.Process, held_out: xr.Dataset | None, settings: Settings
) -> xr.DataTree:
    """Put beside a fit what its report tells, and ask it what else is known.

    Parameters
    ----------
    found : what the driver made of ``problem``.
    problem : the process.
    held_out : data to predict and score, or None.
    settings : its seed.
    """
    rng, several = settings.generator("beside"), getattr(problem, "several", False)
    notes, best = {}, None
    if len(problem.y) <= CLASSICAL:
        best, height = maximum(problem, rng)
        notes["classical"] = estimates(problem, best, height)
    if several:
        notes["slices"] = _slices(found, problem)
    else:
        parts = isinstance(problem.kernel, gp.kernels.Sum) or "trend" in problem.mean.name
        ends = [problem.coordinates] + ([] if held_out is None else [axes(held_out)[0].values])
        low, high = np.min(np.concatenate(ends)), np.max(np.concatenate(ends))
        if held_out is None and not parts:
            low, high = _shown(found, problem, low, high)
        grid = np.linspace(low, high, FINE if parts else GRID)
        notes["curve"] = _curve(found, problem, grid, best)
        if parts and len(problem.y) <= MATRICES:
            notes["parts"] = _parts(found, problem, grid)
        if type(problem) is gp.Process:
            notes |= _taught(problem, found, grid, best, rng)
    found = annotated(found, **{name: one for name, one in notes.items() if one is not None})
    if held_out is not None:
        found = _forecast(found, problem, held_out)
    true = CURVES.get(found.attrs.get("curve"))
    if true is None or several:
        return found
    at = np.linspace(problem.coordinates.min(), problem.coordinates.max(), questions.PLACES)
    drawn = gp.predict(found, at, most=questions.COVERING)["curve"].values
    for question, value in questions.of_known_curve(drawn, true(at)).items():
        found = kinds.asked(found, question, value)
    return found


def _shown(found, problem, low, high):
    """Ends of what is drawn: of a curve with more turns than the grid shows, a stretch in the
    middle.
    """
    draws, count = found["posterior"].dataset, len(problem.y)
    measured = problem.kernel.measured().items()
    scales = [draws[name].median() for name, kind in measured if kind == "x" and name in draws]
    turns = (high - low) / float(np.min(scales)) if scales else 0.0
    if problem.coordinate.name != "x" or count <= STRETCH or turns < GRID / RESOLVED:
        return low, high
    first = (count - STRETCH) // 2
    return problem.x[first], problem.x[first + STRETCH - 1]


def predicted(found: xr.DataTree, new: xr.Dataset) -> xr.DataTree:
    """Return a fit with predictions at new places; see ``model.predict``."""
    problem = gp.rebuild(found)
    names = getattr(problem, "inputs", (problem.x_name,))
    places = np.stack([new[name].values for name in names], axis=-1)
    places = places if getattr(problem, "several", False) else places[:, 0]
    few, y = len(problem.y) <= FEW, problem.y_name
    most = questions.COVERING if few else FOLLOWED
    steps = range(0, len(places), TOGETHER)
    drawn = [gp.predict(found, places[k : k + TOGETHER], most=most) for k in steps]
    log, known = found.attrs.get("log"), {name: new[name] for name in names}
    back = np.exp if log else np.asarray
    draws = {
        name: back(np.concatenate([one[each].values for one in drawn], axis=-1))
        for name, each in (("mean", "curve"), (y, y))
    }
    known |= {y: back(new[y].values)} if y in new else {}
    unit = found.attrs["log_of"] if log else problem.unit(y)
    return foretold(found, draws, new["new_row"].values, unit, known)


def _band(draws):
    """Mean and ends of the band of draws, (chain, draw, ...)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=(0, 1))
    return {"mean": draws.mean(axis=(0, 1)), "low": low, "high": high}


def _curve(found, problem, grid, best):
    """The curve over a grid: its band, that of maximum likelihood, and the truth."""
    places = problem.places(grid)[0]
    _, theta = followed(problem, gp.thinned(found, FOLLOWED))
    centre, sd = problem.pointwise_curve(theta, places)
    share = np.full(len(centre), 1 / len(centre))
    new = np.hypot(sd, problem.noise_at(theta, places)) if gp.NOISE in theta else sd
    arrays = {"mean": centre.mean(axis=0)}
    for name, each in (("", sd), ("new_", new)):
        for end, p in (("low", (1 - LEVEL) / 2), ("high", (1 + LEVEL) / 2)):
            arrays[f"{name}{end}"] = quantile(p, share, centre, each)
    if best is not None:
        centre, sd = problem.pointwise_curve(problem.theta(best[None]), places)
        arrays |= {"likelihood": centre[0], "likelihood_sd": sd[0]}
    if true := CURVES.get(found.attrs.get("curve")):
        arrays["truth"] = true(grid)
    return _along(arrays, problem, grid)


def _along(arrays, problem, grid, coords=None, **dims):
    """Label arrays over a grid."""
    x = {problem.x_name: ("new", grid, {"units": problem.unit(problem.x_name)})}
    dims = {name: dims.get(name, ("new",)) for name in arrays}
    units = dict.fromkeys(arrays, problem.unit(problem.y_name))
    return dataset(arrays, dims, x | (coords or {}), units, sampled=False)


def _parts(found, problem, grid):
    """Bands of the terms of the kernel's sum, and of the trend."""
    apart = gp.parts(found, grid, most=FOLLOWED // 4)
    arrays = _band(apart["drawn"].values)
    arrays["mean"] = apart["mean"].values.mean(axis=(0, 1))
    arrays |= {f"trend_{name}": value for name, value in _band(apart["trend"].values).items()}
    names = [_named(part) for part in _terms(problem.kernel)]
    dims = {name: ("part", "new") for name in ("mean", "low", "high")}
    return _along(arrays, problem, grid, {"part": names}, **dims)


def _terms(kernel):
    """Terms of a sum, from left to right."""
    if isinstance(kernel, gp.kernels.Sum):
        return [term for part in kernel.parts for term in _terms(part)]
    return [kernel]


def _named(kernel):
    """What a term is called, with the numbers of its leaves, as its parameters bear them."""
    called = {cls: name for name, cls in gp.KERNELS.items()}
    words = [f"{called[type(leaf)].replace('_', ' ')}{leaf.suffix}" for leaf in kernel.leaves()]
    return " × ".join(words)


def _slices(found, problem):
    """The curve along each input, the others at the middle of their data."""
    middle, names = np.median(problem.x, axis=0), problem.inputs
    at = np.linspace(problem.x.min(axis=0), problem.x.max(axis=0), 60)
    places = np.tile(middle, (len(names), 60, 1))
    for k in range(len(names)):
        places[k, :, k] = at[:, k]
    drawn = gp.predict(found, places.reshape(-1, len(names)), most=FOLLOWED // 2)
    arrays = {
        name: value.reshape(len(names), 60) for name, value in _band(drawn["curve"].values).items()
    }
    arrays["at"] = at.T
    dims, units = dict.fromkeys(arrays, ("along", "new")), problem.unit(problem.y_name)
    units = dict.fromkeys(arrays, units)
    return dataset(arrays, dims, {"along": list(names)}, units, sampled=False)


def _taught(problem, found, grid, best, rng):
    """For whoever learns: the band as points come in, what the prior's curves look like, and the
    likelihood along the length scale.
    """
    notes, size = {}, len(problem.y)
    draws = found["posterior"].dataset
    theta = {name: np.atleast_1d(float(draws[name].median())) for name in problem.inferred}
    theta = problem.complete(theta, (1,))
    if size <= STEPWISE:
        counts = sorted({0, 1, 2, 4, min(8, size), size})
        order, z = rng.permutation(size), rng.standard_normal((3, len(grid)))
        arrays = {name: [] for name in ("mean", "sd", "drawn")}
        for count in counts:
            if count:
                part = problem.part(np.sort(order[:count]))
                mean, root, _ = part.conditional(theta, grid)
            else:
                mean, _, among = problem.joint(theta, grid, False)
                root = np.linalg.cholesky(among + 1e-9 * np.mean(among) * np.eye(len(grid)))
                mean = np.broadcast_to(mean, (1, len(grid)))
            arrays["mean"].append(mean[0])
            arrays["sd"].append(np.linalg.norm(root[0], axis=-1))
            arrays["drawn"].append(mean[0] + z @ root[0].T)
        arrays = {name: np.array(value) for name, value in arrays.items()}
        steps = _along(
            arrays,
            problem,
            grid,
            {"count": counts},
            mean=("count", "new"),
            sd=("count", "new"),
            drawn=("count", "drawing", "new"),
        )
        steps["order"] = ("come", order, {"units": "1"})
        notes["steps"] = steps
    prior = problem.inferred.get("length_scale")
    if prior is not None and len(problem.kernel.leaves()) == 1:
        scales = prior.from_normal(np.array([-1.645, 0.0, 1.645]))
        z, curves = rng.standard_normal((2, len(grid))), []
        for scale in scales:
            among = problem.joint(theta | {"length_scale": np.atleast_1d(scale)}, grid, False)[2][0]
            values, vectors = np.linalg.eigh(among)
            curves.append(z @ (vectors * np.sqrt(np.maximum(values, 0))).T)
        coords = {"length_scale": scales}
        dims = ("length_scale", "drawing", "new")
        drawn = {"drawn": np.array(curves)}
        notes["prior_curves"] = _along(drawn, problem, grid, coords, drawn=dims)
        if best is not None and size <= CLASSICAL // 10:
            notes["profile"] = profile(problem, best, rng)
    return notes


def _forecast(found, problem, held_out):
    """Predict what was held out, and keep what came beside it."""
    import xarray as xr

    x, y, error = axes(checked(held_out))
    drawn = gp.predict(found, x.values, most=FOLLOWED)
    values = drawn[problem.y_name].values
    if error is not None:
        rng = Settings(seed=int(found.attrs["seed"])).generator("held out")
        values = values + error.values * rng.standard_normal(values.shape)
    units = {problem.y_name: problem.unit(problem.y_name)}
    coords = {problem.x_name: ("new", x.values, {"units": problem.unit(problem.x_name)})}
    dims = {problem.y_name: ("new",)}
    found = found.copy()
    found["predictions"] = xr.DataTree(dataset({problem.y_name: values}, dims, coords, units))
    known = dataset({problem.y_name: y.values}, dims, coords, units, sampled=False)
    found["predictions_constant_data"] = xr.DataTree(known)
    flat, came = values.reshape(-1, len(y)), y.values
    ends = np.quantile(flat, [0.025, 0.25, 0.75, 0.975], axis=0)
    scores = {
        "count": len(came),
        "rmse": np.sqrt(np.mean((flat.mean(axis=0) - came) ** 2)),
        "crps": np.mean(crps(flat.T, came)),
        "naive": np.mean(np.abs(came - problem.y[-1])),
        "covered": np.mean((ends[0] <= came) & (came <= ends[3])),
        "covered_50": np.mean((ends[1] <= came) & (came <= ends[2])),
    }
    scores = {name: np.float64(value) for name, value in scores.items()}
    units = dict.fromkeys(("rmse", "crps", "naive"), units[problem.y_name])
    return annotated(found, scores=dataset(scores, units=units, sampled=False))

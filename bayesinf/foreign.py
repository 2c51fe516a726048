"""A posterior that another library wrote, dressed as one of ours.

PyMC, bambi, NumPyro, emcee (through ArviZ) and others write InferenceData without bayesinf's root
attributes, units, or the groups that every fit here has. ``adopted`` adds what can be said: the
kind of inference, guessed from the groups; units of 1; statistics of replicas, where there are
replicas; autocorrelation times of walkers. What such a file cannot hold stands, with the reason, in
the root attribute ``not_asked``.
"""

from __future__ import annotations

import json
import math
import os

import numpy as np

from bayesinf.diagnostics import comparisons
from bayesinf.errors import DataError
from bayesinf.inference import kinds
from bayesinf.posterior import (
    GROUPS,
    REQUIRED_GROUPS,
    SAMPLE_DIMS,
    data_sha256,
    dataset,
    element_names,
    ours,
    read,
)

__all__ = ["adopted", "load"]

# Statistics that only Hamiltonian samplers leave.
HAMILTONIAN = {"diverging", "energy", "tree_depth", "n_steps", "treedepth", "n_leapfrog"}

STUCK = 0.1  # share of moves below which the acceptance rate is known to be too low


def load(path: str | os.PathLike, inference: str | None = None):
    """Read a file of InferenceData, of bayesinf's own or dressed as one.

    Parameters
    ----------
    path : a netCDF file.
    inference : its kind, as for ``adopted``.

    Raises
    ------
    DataError : the file is missing, truncated, no netCDF, or holds no posterior.
    """
    tree = read(path)
    if "bayesinf_version" in tree.attrs:
        tree = ours(tree, path)
    elif "posterior" not in tree.children:
        raise DataError(
            "no posterior to look at",
            source=path,
            expected="InferenceData with a group 'posterior' of chains and draws",
            found=f"groups {', '.join(tree.children)}" if tree.children else "no groups",
        )
    return adopted(tree, inference)


def adopted(posterior, inference: str | None = None):
    """Return any InferenceData as one that checks, figures and reports can read.

    Parameters
    ----------
    posterior : an ``xarray.DataTree`` with the groups of the InferenceData schema, or an
        ``arviz.InferenceData`` of ArviZ 0.x; one of bayesinf's own is returned as it is.
    inference : its kind, a name of ``inference.kinds``. None for what the file says, or shows:
        ``nuts`` where there are divergences, energies or tree depths; ``ensemble`` where emcee
        wrote it; else ``mcmc``, chains of any sampler.

    Returns
    -------
    a DataTree with all groups of a fit, those it lacks empty, and its root attributes. The root
    attribute ``library`` says who wrote it.

    Raises
    ------
    DataError : there is no posterior with chains and draws, or no such kind.
    """
    import xarray as xr

    if inference is not None:
        kinds.of({"inference": inference})
    if "inference" in getattr(posterior, "attrs", {}):
        if inference is None or posterior.attrs["inference"] == inference:
            return posterior
        named = posterior.copy()
        named.attrs["inference"] = inference
        return named
    given = _groups(posterior)
    draws = given.get("posterior")
    if draws is None or not draws.data_vars or not set(SAMPLE_DIMS) <= set(draws.dims):
        raise DataError(
            "no posterior to look at",
            expected="InferenceData with a group 'posterior' of chains and draws",
            found=", ".join(given) or type(posterior).__name__,
            remedy="open a file first, by bayesinf.load or arviz.from_netcdf"
            if isinstance(posterior, str | os.PathLike)
            else None,
        )
    groups = {name: given.get(name, xr.Dataset()) for name in REQUIRED_GROUPS}
    groups |= {name: given[name] for name in GROUPS if name in given}
    groups = {name: _dressed(group) for name, group in groups.items()}
    kind = inference or _guessed(draws, groups["sample_stats"])
    evidence, unasked = _evidence(kind, groups)
    groups["sample_stats"] = groups["sample_stats"].merge(evidence, compat="override")
    tree = xr.DataTree.from_dict(groups)
    library = str(draws.attrs.get("inference_library", "unknown"))
    release = str(draws.attrs.get("inference_library_version", ""))
    sizes = {"draws": draws.sizes["draw"], "chains": draws.sizes["chain"]}
    said = f"{library} {release}".strip()
    tree.attrs = {
        "system": "another library",
        "model": str(draws.attrs.get("model_name", "model of another library")),
        "inference": kind,
        "library": said,
        "seed": "unknown",
        "settings": json.dumps(sizes),
        "data_sha256": data_sha256(groups["observed_data"].merge(groups["constant_data"])),
        "created_at": str(draws.attrs.get("created_at", "unknown")),
        "elapsed_seconds": float(draws.attrs.get("sampling_time", math.nan)),
        "bayesinf_version": "not used",
        "library_versions": json.dumps({library: release} if release else {}),
        **({"not_asked": json.dumps(unasked)} if unasked else {}),
    }
    return tree


def _groups(posterior):
    """Group to Dataset, of a DataTree or of ArviZ's older container."""
    if hasattr(posterior, "children"):
        return {name: node.to_dataset() for name, node in posterior.children.items()}
    groups = getattr(posterior, "groups", None)
    return {name: posterior[name] for name in groups()} if callable(groups) else {}


def _dressed(group):
    """The variables that are numbers, chain and draw first, with units."""
    numbers = [name for name, variable in group.data_vars.items() if variable.dtype.kind in "biuf"]
    group = group[numbers].transpose(*SAMPLE_DIMS, ..., missing_dims="ignore")
    group = group.drop_attrs(deep=False)
    for name in numbers:
        variable = group[name]
        group[name] = variable.assign_attrs({"units": "1"} | variable.attrs)
    return group


def _guessed(draws, statistics):
    """The kind of inference that a file shows."""
    if draws.attrs.get("inference_library") == "emcee":
        return "ensemble"
    return "nuts" if HAMILTONIAN & set(statistics.data_vars) else "mcmc"


def _evidence(kind, groups):
    """What can be told from the groups, and what cannot be asked, with the reason."""
    evidence, unasked, statistics = dataset({}), {}, groups["sample_stats"]
    if "discrepancy" not in statistics:
        compared, reason = _compared(groups)
        evidence = evidence.merge(compared)
        unasked |= {"predictive check": reason} if reason else {}
    if not groups["log_likelihood"].data_vars:
        unasked["leave-one-out"] = "the file holds no log likelihood"
    lacking = [name for name in ("log_likelihood", "log_prior") if not groups[name].data_vars]
    if lacking:
        words = " and no ".join(name.replace("_", " ") for name in lacking)
        unasked["prior sensitivity"] = f"the file holds no {words}"
    if kind == "nuts":
        for question, name in (("divergences", "diverging"), ("energy", "energy")):
            if name not in statistics:
                unasked[question] = f"the file holds no statistic '{name}'"
    if kind == "ensemble":
        if "autocorrelation_time" not in statistics:
            evidence = evidence.merge(_walked(groups["posterior"]))
        if "acceptance_rate" not in statistics:
            moved = _moved(groups["posterior"])
            if moved.min() < STUCK:
                named = {"acceptance_rate": ("chain",)}
                evidence = evidence.merge(dataset({"acceptance_rate": moved}, named, sampled=False))
            else:
                unasked["acceptance_rate"] = "the file does not hold it; no walker is stuck"
    return evidence, unasked


def _compared(groups):
    """Statistics of the replicas and of the data; or why there are none."""
    replicas, observed = groups["posterior_predictive"], groups["observed_data"]
    names = [n for n in observed.data_vars if n in replicas]
    if not names:
        return dataset({}), "the file holds no replicas of the data"
    lead = {dim: groups["posterior"].sizes[dim] for dim in SAMPLE_DIMS}
    if any(replicas.sizes.get(dim) != size for dim, size in lead.items()):
        return dataset({}), "the file holds replicas of other draws than the posterior's"
    data = {name: observed[name].values for name in names}
    drawn = {name: replicas[name].values for name in names}
    if any(drawn[name].shape[2:] != data[name].shape for name in names):
        return dataset({}), "replicas and data have different shapes"
    if not all(np.isfinite(values).all() for values in data.values()):
        return dataset({}), "the data are not all finite numbers"
    statistics = comparisons(observed[names])
    if not statistics:
        return dataset({}), "the data are not numbers"
    sides = [
        np.stack([np.asarray(t(side, drawn)) for t in statistics.values()], axis=-1)
        for side in (drawn, data)
    ]
    compared = dataset(
        {
            "discrepancy": sides[0],
            "discrepancy_observed": np.broadcast_to(sides[1], sides[0].shape),
        },
        dict.fromkeys(("discrepancy", "discrepancy_observed"), ("statistic",)),
        {"statistic": list(statistics)},
    )
    place = {dim: groups["posterior"][dim] for dim in SAMPLE_DIMS if dim in compared.coords}
    return compared.assign_coords(place), None


def _moved(posterior):
    """Share of the kept draws at which each walker has moved, (chain,).

    It is the acceptance rate of a run that was not thinned, and more than that of one that was.
    """
    steps = [np.diff(variable.values, axis=1) != 0 for variable in posterior.data_vars.values()]
    return np.any([s.reshape(*s.shape[:2], -1).any(axis=2) for s in steps], axis=0).mean(axis=1)


def _walked(posterior):
    """Autocorrelation times of the walkers in draws that were kept, and how many those are."""
    import emcee

    times = {}
    for variable in posterior.data_vars.values():
        for label, index in element_names(variable).items():
            walk = variable[index].values.T.astype(float)
            with np.errstate(invalid="ignore", divide="ignore"):
                time = emcee.autocorr.integrated_time(walk, tol=0, quiet=True)[0]
            if np.ptp(walk) > 0:  # what never moves, such as a constant, has no memory
                times[label] = max(time, 1.0) if np.isfinite(time) else float(len(walk))
    return dataset(
        {
            "autocorrelation_time": np.array(list(times.values())),
            "steps": np.float64(posterior.sizes["draw"]),
        },
        {"autocorrelation_time": ("parameter",)},
        {"parameter": list(times)},
        {"autocorrelation_time": "kept draws", "steps": "kept draws"},
        sampled=False,
    )

"""New data of a PyMC model at other values of its data, from draws of its posterior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bayesinf.errors import DataError, FitError
from bayesinf.models.density import symbols

if TYPE_CHECKING:
    import numpy as np
    import pymc as pm
    import xarray as xr

__all__ = ["of_data", "of_rows"]


def of_data(
    model: pm.Model,
    draws: xr.Dataset,
    data: Mapping[str, object],
    coords: Mapping[str, Sequence],
    rng: np.random.Generator,
) -> xr.Dataset:
    """Draw new data of a model whose data are exchanged.

    Raises
    ------
    FitError : no such data; shapes that do not go together.
    """
    import pymc as pm
    from pymc.model.fgraph import clone_model
    from pytensor.graph.traversal import ancestors

    if not hasattr(model, "free_RVs"):
        raise DataError(
            "no model to predict with", expected="the pymc.Model that was fitted", found=model
        )
    known = [variable.name for variable in model.data_vars]
    for name in data:
        if name not in known:
            raise FitError(
                f"the model has no pm.Data {name!r}: it has {', '.join(known) or 'none'}; state "
                "what is to change as pm.Data"
            )
    missing = [rv.name for rv in model.free_RVs if rv.name not in draws]
    if missing:
        raise FitError(f"the posterior is of another model: it has no {', '.join(missing)}")
    other = clone_model(model)  # the user's own stays as it is
    changed = {other[name] for name in data}
    follows = [d.name for d in other.deterministics if changed & {*ancestors([d])}]
    names = [rv.name for rv in other.observed_RVs]
    try:
        with symbols.quiet(), other:
            pm.set_data(dict(data), coords=dict(coords) or None)
            tree = pm.sample_posterior_predictive(
                draws[[rv.name for rv in other.free_RVs]],
                var_names=[*names, *follows],
                predictions=True,
                random_seed=int(rng.integers(2**31)),
                progressbar=False,
            )
    except (ValueError, IndexError, TypeError, KeyError) as error:
        raise FitError(
            "the new data do not go together with each other or with the model: give the observed "
            f"variable dims, or shape=..., of the data it goes with, and coords ({error})"
        ) from error
    return _with_units(tree["predictions"].to_dataset())


def of_rows(model: Any, draws: xr.Dataset, rows: object, rng: np.random.Generator) -> xr.Dataset:
    """Draw new data of a bambi model at new rows of its table."""
    import xarray as xr

    tree = xr.DataTree.from_dict({"posterior": draws})
    try:
        with symbols.quiet():
            told = model.predict(
                tree,
                kind="response",
                data=rows,
                inplace=False,
                random_seed=int(rng.integers(2**31)),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise FitError(f"the new rows do not go together with the model: {error}") from error
    found = told["predictions" if "predictions" in told.children else "posterior_predictive"]
    return _with_units(found.to_dataset())


def _with_units(found):
    for variable in found.data_vars.values():
        variable.attrs.setdefault("units", "1")
    return found

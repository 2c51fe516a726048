"""Results that go with a fit, so that its report can be made from its file and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def annotated(posterior: xr.DataTree, **results: xr.Dataset) -> xr.DataTree:
    """Return a fit whose ``constant_data`` hold other results as well, each under its name."""
    import xarray as xr

    constants = posterior["constant_data"].to_dataset()
    for name, found in results.items():
        lead = {each: f"{name}.{each}" for each in {*found.variables, *found.dims}}
        constants = constants.merge(found.rename(lead))
    copy = posterior.copy()
    copy["constant_data"] = xr.DataTree(constants)
    return copy


def noted(posterior: xr.DataTree, name: str) -> xr.Dataset | None:
    """Return the results that a fit holds under a name; None where it has none."""
    constants, lead = posterior["constant_data"].to_dataset(), f"{name}."
    kept = constants[[v for v in constants.variables if v.startswith(lead)]]
    kept = kept.drop_vars([v for v in kept.variables if not v.startswith(lead)])
    names = {each: each.removeprefix(lead) for each in {*kept.variables, *kept.dims}}
    return kept.rename(names) if names else None

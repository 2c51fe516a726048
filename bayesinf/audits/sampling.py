"""The better draws: by the quickest way that is believed, and what their own checks say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.audits.claims import Claim
from bayesinf.checks import check
from bayesinf.checks.optima import BEYOND
from bayesinf.errors import FitError
from bayesinf.models import problem as driver

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.settings import Settings

__all__ = ["drawn", "of_checks", "open_ends"]

# Checks that fail where draws are not the density's, whatever the data are.
DRAWING = {
    "gradient",
    "Hessian",
    "Pareto k̂",
    "moments",
    "edges",
    "R-hat",
    "bulk ESS",
    "tail ESS",
    "length / τ",
    "walkers",
}


def drawn(
    claim: Claim,
    settings: Settings,
    system: str | None = None,
    notes: Mapping[str, xr.Dataset | None] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    """Draw by the first of the claim's routes that is believed, else by the last.

    Parameters
    ----------
    claim : what is audited.
    settings, system, notes, attrs : as of ``models.problem.fit``.

    Raises
    ------
    FitError : no route draws at all; the last one's.
    """
    said, fit = None, None
    for route in claim.routes:
        try:
            fit = driver.fit(
                claim.problem, route, settings, system=system, notes=notes, attrs=attrs
            )
        except FitError as error:
            said = error
            continue
        if _well_drawn(fit):
            break
    if fit is None:
        raise said
    return fit


def open_ends(fit: xr.DataTree) -> np.ndarray | None:
    """Say by how much what lies beyond the draws, or a box that nobody stated, moves each mean."""
    evidence = fit["sample_stats"]
    found = [evidence[n].values for n in ("beyond", "box_shift") if n in evidence]
    return np.max(np.minimum(found, 1e9), axis=0) if found else None


def of_checks(fit: xr.DataTree) -> dict[str, xr.DataArray]:
    """Say what the draws fail, in words: as draws, and as an account of the data."""
    import xarray as xr

    failed = [one for one in check(fit).checks if one.required and not one.passed]
    of_data = "; ".join(one.message for one in failed if one.name.startswith("predictive"))
    drawing = "; ".join(one.message for one in failed if one.name in DRAWING)
    return {
        name: xr.DataArray(np.array(said), attrs={"units": "1"})
        for name, said in (("data_failed", of_data), ("draws_failed", drawing))
    }


def _well_drawn(fit):
    """Whether no other method would draw better: what fails besides is the data's fault."""
    failed = {one.name for one in check(fit).checks if one.required and not one.passed}
    beyond = fit["sample_stats"].get("beyond")
    return not failed & DRAWING and (beyond is None or float(beyond.max()) <= BEYOND)

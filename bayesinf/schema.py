"""What a file must be to pass for one of ours: groups whose numbers, sizes and words fit together.

A file may be anybody's. What the checks and the report take for granted is looked at once, when it
is loaded, and each refusal names the place.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["refuse_strange"]

# Root attributes that hold JSON, and of what kind it is.
JSON_ATTRIBUTES = {
    "settings": dict,
    "library_versions": dict,
    "priors": dict,
    "not_asked": dict,
    "quantities": list,
}
# Root attributes that the checks and the page read, each a word or a number.
SINGLE = (
    "system family model method inference equation seed data_sha256 created_at elapsed_seconds "
    "bayesinf_version git_commit run why plan read_as look"
)
NUMBERS = ("posterior", "sample_stats", "log_likelihood", "log_prior", "prior")
LONGEST = 1000  # letters of a unit
LEAST = 4  # draws a chain


def refuse_strange(tree: xr.DataTree, path: str | os.PathLike) -> None:
    """Refuse a tree that is of another kind than ``posterior.save`` writes.

    Raises
    ------
    DataError : an attribute of another kind, draws that are no numbers or too few, sizes that do
        not fit together.
    """

    def strange(where, expected, found, problem="the attribute is"):
        return DataError(
            f"{problem} of another kind than bayesinf writes",
            source=path,
            where=where,
            expected=expected,
            found=found,
        )

    for name in SINGLE.split():
        if getattr(tree.attrs.get(name), "ndim", 0) or isinstance(tree.attrs.get(name), list):
            raise strange(name, "a word or a number", "an array")
    for name, kind in JSON_ATTRIBUTES.items():
        text = tree.attrs.get(name, json.dumps(kind()))
        try:
            value = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            value = None
        if not isinstance(value, kind):
            raise strange(name, f"a JSON {kind.__name__}", text)
        if name == "quantities":
            unknown = [each for each in value if str(each) not in tree["posterior"].data_vars]
            if unknown or (name in tree.attrs and not value):
                found = ", ".join(map(str, unknown)) or "none"
                raise strange(name, "names of the posterior", found)
        if name == "priors" and not all(isinstance(each, str) for each in value.values()):
            raise strange(name, "words for each parameter", text)
        if name == "settings" and not isinstance(value.get("draws"), int):
            raise strange(name, "the settings of a fit", text)
    for group in tree.children.values():
        for held, variable in group.dataset.variables.items():
            unit = variable.attrs.get("units", "")
            if not isinstance(unit, str) or len(unit) > LONGEST:
                raise strange(f"units of {held}", f"text, at most {LONGEST} letters", unit)
    for name in NUMBERS:
        for label, array in tree[name].data_vars.items():
            if array.dtype.kind not in "biuf":
                raise strange(f"{name}, {label}", "real numbers", array.dtype, "the array is")
    for label, array in tree["constant_data"].data_vars.items():
        if str(label).startswith("truth.") and array.dtype.kind not in "biuf":
            raise strange(f"constant_data, {label}", "numbers", array.dtype, "the array is")
    _refuse_sizes(tree, strange)


def _refuse_sizes(tree, strange):
    """Refuse draws without their axes, too few of them, and replicas that are of other data."""
    posterior = tree["posterior"]
    if not posterior.data_vars:
        raise strange("posterior", "draws", "no variable", "the group is")
    for label, variable in posterior.data_vars.items():
        if not {"chain", "draw"} <= {*variable.dims} or variable.sizes["draw"] < LEAST:
            expected = f"chain, and draw with at least {LEAST}"
            found = ", ".join(f"{dim} {size}" for dim, size in variable.sizes.items()) or "none"
            raise strange(f"posterior, {label}", expected, found, "the array is")
    observed = tree["observed_data"].sizes
    for dim, size in tree["posterior_predictive"].sizes.items():
        if dim in observed and size != observed[dim]:
            raise strange(f"posterior_predictive, {dim}", observed[dim], size, "the group is")

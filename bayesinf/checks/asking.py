"""What every question needs: evidence of the fit, an answer in words, names of elements."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks.verdict import Check
from bayesinf.posterior import element_names

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "DIGITS",
    "MissingEvidence",
    "answer",
    "element_name",
    "elements",
    "evidence",
    "exact",
    "option",
    "run_longer",
]

# Relative to the numbers themselves: draws that move by less are rounding, as of exact data.
DIGITS = 64 * float(np.finfo(float).eps)


class MissingEvidence(Exception):
    """A fit has not stored what its checks need."""


def evidence(posterior, name) -> xr.DataArray:
    """Return what a fit has stored of a name in ``sample_stats``, or say that it is missing."""
    if name not in posterior["sample_stats"]:
        raise MissingEvidence(name)
    return posterior["sample_stats"][name]


def answer(name, value, threshold, passed, good, bad, remedy, required=True) -> Check:
    """Return a check, whose message is ``good`` or ``bad`` by whether it passed."""
    passed = bool(passed)
    return Check(name, float(value), threshold, passed, required, good if passed else bad, remedy)


def run_longer(posterior, shortfall) -> str:
    """Return the remedy for draws that are too few by a factor, with a margin."""
    draws = json.loads(posterior.attrs["settings"])["draws"]
    factor = 2 ** math.ceil(math.log2(max(2, 1.3 * shortfall)))
    return f"run longer ({option(posterior, 'draws')} {factor * draws})"


def option(posterior, name) -> str:
    """Return how a setting is spelt: as an option, or in Python where there is no script."""
    attrs = posterior.attrs
    scripted = "library" not in attrs and attrs["system"] != attrs.get("family")
    return f"--{name}" if scripted else f"{name} ="


def exact(posterior) -> bool:
    """Whether the data of a regression are exact: σ is what rounding leaves of the numbers.

    Then draws and residuals are digits of the last places, which no law of probability rules.
    """
    observed = list(posterior["observed_data"].data_vars.values())
    if posterior.attrs.get("family") != "linear" or "sigma" not in posterior["posterior"]:
        return False
    sigma, y = posterior["posterior"]["sigma"], observed[0]
    if sigma.ndim > 2 or sigma.attrs.get("units") != y.attrs.get("units"):
        return False
    return bool(np.max(sigma.values) <= DIGITS * np.max(np.abs(y.values)))


# --- labelled arrays ------------------------------------------------------------------------------


def elements(variable: xr.DataArray) -> np.ndarray:
    """Return draws as a plain array, (element, chain, draw), elements in C order."""
    array = variable.transpose("chain", "draw", ...).values.astype(float, copy=False)
    return np.moveaxis(array.reshape(*array.shape[:2], -1), 2, 0)


def element_name(variable: xr.DataArray, element: int, bare: bool = False) -> str:
    """Return what people call one element, ``J[3, 7]``, or ``3, 7`` where ``bare``."""
    name = list(element_names(variable))[element]
    return name.removeprefix(f"{variable.name}[").removesuffix("]") if bare else name

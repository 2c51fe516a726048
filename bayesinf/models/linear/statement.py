"""The priors of a regression, to the last digit, in its file: what ``updating`` needs of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import priors
from bayesinf.priors import Prior
from bayesinf.priors.weights import Flat, Gaussian

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = ["STATED", "default_widths", "read", "statement"]

STATED = "stated"  # the root attribute


def default_widths(features: np.ndarray) -> np.ndarray:
    """Return rms(X) / rms(column), so that the unit of a column does not matter: (weight,)."""
    square = np.einsum("ij,ij->j", features, features) / len(features)
    rms, size = np.sqrt(square), float(np.sqrt(np.mean(square)))
    return np.where(rms > 0, size / np.where(rms > 0, rms, 1.0), 1.0)


def statement(problem: Regression) -> dict[str, str]:
    """Return the root attribute that says the priors of a regression to the last digit.

    It is empty where there is more to a regression than a file holds: another prior, groups, a
    basis, means, widths of the caller's, or constants in place of the features.
    """
    more = problem.basis, problem.groups, problem.means, problem.known
    plain = type(problem.prior) in (Gaussian, Flat)
    if not plain or problem.rests or any(part is not None for part in more):
        return {}
    rows = slice(len(problem.y) if problem.first is None else problem.first)
    first = problem.X[rows]
    centre = first.mean(axis=0)
    centred = problem.centre is not None
    if centred and not np.array_equal(centre, problem.centre):
        return {}
    widths = default_widths(first - centre if centred else first)
    if problem.scales is not None and not np.array_equal(widths, problem.scales):
        return {}
    told = {
        "prior": type(problem.prior).__name__,
        "scale": _written(problem.prior.scale),
        "noise": _written(problem.noise),
        "unshrunk": {name: asdict(prior) for name, (_, prior) in problem.unshrunk.items()},
        "centred": centred,
        "widths": problem.scales is not None,
        "coefficient": problem.names.coefficient,
        "units": dict(problem.names.units),
        "first": rows.stop,
    }
    return {STATED: json.dumps(told, ensure_ascii=False)}


def _written(value):
    """A number, or a prior as its name and its numbers."""
    if isinstance(value, Prior):
        return {"kind": type(value).__name__, **asdict(value)}
    return float(value)


def read(value: float | dict) -> float | Prior:
    """Return what ``statement`` wrote of a scale or a noise."""
    if not isinstance(value, dict):
        return value
    numbers = {name: number for name, number in value.items() if name != "kind"}
    return getattr(priors, value["kind"])(**numbers)

"""What is known from elsewhere, a truth or held-out data, against what the posterior says of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import diagnostics
from bayesinf.checks.asking import answer, elements
from bayesinf.checks.verdict import Check
from bayesinf.posterior import element_names, true_values

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OF_TRUTH", "TRUTH_P", "held_out", "inside", "truth"]

OF_TRUTH = ("truth", "truth that is not zero")  # checks that nobody's own measurements can be asked

TRUTH_P = 1e-3  # chance below which a known truth lies too far out among the draws


def truth(posterior) -> Iterator[Check]:
    """What is known beforehand must lie among the draws as one of them would.

    Averaged over prior and data, the truth is one more draw. So the draws themselves say how many
    of its elements the 95 % intervals may miss, however they are correlated, and how far the
    farthest of them may lie: each is a chance of one in a thousand.
    """
    known = _finite(posterior)
    if not known:
        return
    rows = _rows(posterior, known)
    remedy = "look for what the model or its prior leaves out, since the truth is not as it says"
    yield _among(rows, known, "truth", "known", remedy)
    values = np.array(list(known.values()))
    count = np.count_nonzero(values)
    if 0 < count < values.size / 2:  # a sparse truth, whose zeros would hide the rest
        covered, fewest = diagnostics.largest_covered(rows, values)
        finding = f"{covered} of {count} known values that are not zero lie within theirs"
        yield answer(
            "truth that is not zero",
            covered,
            f"≥ {fewest} of {count}",
            covered >= fewest,
            finding,
            f"only {finding}",
            remedy,
        )


def inside(posterior: xr.DataTree) -> float:
    """Share of the known true values within their 95 % intervals; NaN where none is known."""
    known = _finite(posterior)
    if not known:
        return math.nan
    found = diagnostics.coverage(_rows(posterior, known), np.array(list(known.values())))
    return found.covered / len(known)


def _finite(posterior) -> dict[str, float]:
    """The known true values that are numbers, by the label of their element."""
    return {n: value for n, value in true_values(posterior).items() if math.isfinite(value)}


def _rows(posterior, known) -> np.ndarray:
    """Draws of the elements whose true values are known, (element, draw)."""
    draws = {}
    for variable in dict.fromkeys(name.partition("[")[0] for name in known):
        found = posterior["posterior"][variable]
        draws |= dict(zip(element_names(found), elements(found), strict=True))
    return np.stack([draws[name].ravel() for name in known])


def held_out(posterior) -> Iterator[Check]:
    """Data that were held out must lie among those predicted, as one of these would."""
    if "predictions" not in posterior.children:
        return
    seen = posterior["predictions_constant_data"].data_vars
    drawn = posterior["predictions"].data_vars
    names = [n for n in drawn if n in seen and seen[n].dims == drawn[n].dims[2:]]
    if not names:
        return
    known = {
        label: float(value)
        for name in names
        for label, value in zip(element_names(drawn[name]), seen[name].values.ravel(), strict=True)
    }
    rows = np.concatenate([elements(drawn[name]) for name in names])
    remedy = "look for what the model leaves out, since it does not foretell what it has not seen"
    yield _among(rows.reshape(len(rows), -1), known, "held out", "held-out", remedy)


def _among(draws, known, name, kind, remedy) -> Check:
    """Whether known values, by label, lie among draws (element, draw) as a draw would."""
    found = diagnostics.coverage(draws, np.array(list(known.values())))
    few, far = found.covered < found.fewest, found.p_farthest < TRUTH_P
    count = f"{found.covered} of {len(known)}"
    good = f"{count} {kind} values lie within their 95 % intervals"
    bad = f"only {good}" if few else good
    if far:
        farthest = list(known)[found.farthest]
        bad += f", and {farthest} lies {found.distance:.1f} posterior sd from its {kind} value"
    threshold = f"≥ {found.fewest} of {len(known)}"
    return answer(name, found.covered, threshold, not (few or far), good, bad, remedy)

"""Coordinates in which a normal would hold: the logarithm of a scale, the logit of a share.

For each parameter the better draws are looked at in each coordinate that its range allows. How far
a marginal is from a normal is told by its quantiles,

    D = max over p of |z(p) − Φ⁻¹(p)|,   z the quantiles of the draws less their mean, over their sd

for p from 2.5 to 97.5 %. Then all parameters together are put to the test in the coordinates that
were chosen: draws of the normal there are weighed by the density.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.diagnostics import smoothed_weights

if TYPE_CHECKING:
    from bayesinf.audits.claims import Claim

__all__ = ["FORMS", "departure", "tested", "transformed"]

P = np.array([0.025, 0.05, 0.16, 0.5, 0.84, 0.95, 0.975])
NORMAL = 0.2  # sd, by which quantiles of a normal marginal may be off
BETTER = 0.6  # share of the departure that a transformation has to leave at most
FAR = 1e-9  # share of the spread from an edge, nearer to which no logarithm is taken
WEIGHED = 4000
# Form to: forward, backward, log |dθ/dφ| as a function of φ, each of (values, low, high).
FORMS = {
    "": (lambda x, a, b: x, lambda u, a, b: u, lambda u, a, b: np.zeros_like(u)),
    "log": (
        lambda x, a, b: np.log(x - a),
        lambda u, a, b: a + np.exp(u),
        lambda u, a, b: u,
    ),
    "log of the rest": (
        lambda x, a, b: -np.log(b - x),
        lambda u, a, b: b - np.exp(-u),
        lambda u, a, b: -u,
    ),
    "logit": (
        lambda x, a, b: scipy.special.logit((x - a) / (b - a)),
        lambda u, a, b: a + (b - a) * scipy.special.expit(u),
        lambda u, a, b: np.log(b - a) + scipy.special.log_expit(u) + scipy.special.log_expit(-u),
    ),
    "reciprocal": (
        lambda x, a, b: 1 / x,
        lambda u, a, b: 1 / u,
        lambda u, a, b: -2 * np.log(np.abs(u)),
    ),
}


def departure(draws: np.ndarray) -> float:
    """How far a marginal is from a normal, in sd; draws of any shape."""
    draws = np.ravel(draws)
    quantiles = np.quantile(draws, P)
    return float(np.max(np.abs((quantiles - draws.mean()) / draws.std() - scipy.special.ndtri(P))))


def transformed(
    names: Sequence[str], draws: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> dict[str, np.ndarray]:
    """Choose a coordinate for each parameter.

    Parameters
    ----------
    names : of the parameters.
    draws : (draw, parameter).
    lower, upper : where each parameter may be, (parameter,).

    Returns
    -------
    ``transformation`` (in words; "" where a parameter is best as it is), ``transformed_mean`` and
    ``transformed_sd``, and the ``departure`` before and after.
    """
    chosen = _all_chosen(draws, lower, upper)
    moved = _moved(draws, chosen)
    return {
        "transformation": np.array(
            [_said(n, *each) for n, each in zip(names, chosen, strict=True)]
        ),
        "transformed_mean": moved.mean(axis=0),
        "transformed_sd": moved.std(axis=0),
        "departure": np.array([departure(each) for each in draws.T]),
        "transformed_departure": np.array([departure(each) for each in moved.T]),
    }


def tested(claim: Claim, draws: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Weigh draws of the normal in the coordinates chosen.

    Parameters
    ----------
    claim : what is audited.
    draws : of its density, (draw, parameter), whose moments in these coordinates the normal has.
    rng : of its draws.

    Returns
    -------
    ``transformed_k``, Pareto k̂ of the weights, and ``transformed_effective``, the share of the
    draws that these are worth; NaN where all parameters stay as they are.
    """
    chosen = _all_chosen(draws, claim.lower, claim.upper)
    if not any(form for form, _, _ in chosen):
        return _test(np.nan, np.nan)
    moved = _moved(draws, chosen)
    try:
        root = scipy.linalg.cholesky(np.atleast_2d(np.cov(moved.T)), lower=True)
    except scipy.linalg.LinAlgError:
        return _test(np.nan, np.nan)
    z = rng.standard_normal((WEIGHED, len(chosen)))
    u = moved.mean(axis=0) + z @ root.T
    points, slope = np.empty_like(u), np.zeros(len(u))
    with np.errstate(all="ignore"):
        for i, (form, a, b) in enumerate(chosen):
            points[:, i] = FORMS[form][1](u[:, i], a, b)
            slope += FORMS[form][2](u[:, i], a, b)
        log_weight = claim.log_density(points) + slope + 0.5 * np.sum(z**2, axis=1)
    inside = np.isfinite(log_weight)
    if inside.sum() < WEIGHED // 2:
        return _test(np.inf, 0.0)
    smooth, shape = smoothed_weights(log_weight[inside] - log_weight[inside].max())
    return _test(shape, 1 / np.sum(np.exp(2 * smooth)) / WEIGHED)


def _test(shape, effective):
    return {"transformed_k": float(shape), "transformed_effective": float(effective)}


def _all_chosen(draws, lower, upper):
    return [_chosen(each, *ends) for each, *ends in zip(draws.T, lower, upper, strict=True)]


def _moved(draws, chosen):
    columns = zip(draws.T, chosen, strict=True)
    return np.stack([FORMS[form][0](each, a, b) for each, (form, a, b) in columns], axis=1)


def _chosen(draws, low, high):
    """The coordinate in which the marginal is most normal, if that is worth the words."""
    plain = departure(draws)
    best, form = plain, ("", low, high)
    if plain <= NORMAL:
        return form
    for each in _allowed(draws, low, high):
        with np.errstate(all="ignore"):
            found = FORMS[each[0]][0](draws, *each[1:])
        if not np.isfinite(found).all():
            continue
        left = departure(found)
        # The logarithm comes first and is what people use: what is good enough is taken.
        if left < min(best, BETTER * plain) and best > NORMAL:
            best, form = left, each
    return form


def _allowed(draws, low, high):
    """Forms that the range of a parameter, or the sign of its draws, allows."""
    room = FAR * np.ptp(draws)
    least, most = draws.min(), draws.max()
    if np.isfinite(low) and least > low + room:
        yield "log", low, high
    elif least > 0:
        yield "log", 0.0, high
    if np.isfinite(high) and most < high - room:
        yield "log of the rest", low, high
    elif most < 0:
        yield "log of the rest", low, 0.0
    if np.isfinite(low) and np.isfinite(high) and least > low + room and most < high - room:
        yield "logit", low, high
    if least > 0 or most < 0:
        yield "reciprocal", low, high


def _said(name, form, low, high):
    """A coordinate in words: log(sigma), logit((p − 0) / 1)."""
    less = name if low == 0 else f"{name} {'−' if low > 0 else '+'} {abs(low):.4g}"
    match form:
        case "":
            return ""
        case "log":
            return f"log({less})"
        case "log of the rest":
            return f"−log({high:.4g} − {name})" if high else f"−log(−{name})"
        case "logit":
            over = "" if high - low == 1 else f" / {high - low:.4g}"
            return f"logit({less}{over})" if low == 0 else f"logit(({less}){over})"
        case _:
            return f"1/{name}"

"""Steps from one state to the next, as data: which are steps, and what a model says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.binary import known, logit_slope, validated

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Transitions",
    "log_likelihood",
    "log_odds_density",
    "same_time",
    "transitions",
]

# Transitions whose log likelihood is computed at once.
CHUNK = 2**12


@dataclass(frozen=True)
class Transitions:
    """Pairs of a present state and the next.

    Parameters
    ----------
    now, next : the states, int8 (transition, site).
    encoding : "±1" or "0/1".
    repeat : number of the repeat that each is of, counted from 0, (transition,).
    labels : of the sites, (site,).
    """

    now: np.ndarray
    next: np.ndarray
    encoding: str
    repeat: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        known(self.encoding)
        count, sites = np.shape(self.now)
        if np.shape(self.next) != (count, sites) or count == 0 or sites == 0:
            raise DataError(
                "present and next states do not fit together",
                expected="both (transition, site)",
                found=f"{np.shape(self.now)} and {np.shape(self.next)}",
            )

    def __len__(self):
        return len(self.now)

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.now.shape[1]

    @property
    def same(self) -> bool:
        """Whether present and next state are one and the same."""
        return self.now is self.next

    def take(self, which: np.ndarray) -> Transitions:
        """Return those at positions, or those for which ``which`` is true."""
        now = self.now[which]
        return Transitions(
            now,
            now if self.same else self.next[which],
            self.encoding,
            self.repeat[which],
            self.labels,
        )


def transitions(states: np.ndarray | xr.DataArray, encoding: str) -> Transitions:
    """Take each state with the one after it in the same repeat; a seam is no transition.

    Parameters
    ----------
    states : (repeat, time, site) or (time, site); a DataArray with dimensions of these names may
        have its axes in any order, and its labels of sites are kept.
    encoding : "±1" or "0/1".

    Returns
    -------
    repeat × (time − 1) transitions.

    Raises
    ------
    DataError : wrong form, values of another encoding, fewer than two times.
    """
    blocks, labels = _blocks(states, encoding)
    repeats, times, sites = blocks.shape
    if times < 2:
        raise DataError(
            "a single time makes no transition",
            expected="at least 2 times",
            found=f"{repeats} repeats of {times}",
        )

    def flat(part):
        return np.ascontiguousarray(part).reshape(-1, sites)

    repeat = np.repeat(np.arange(repeats), times - 1)
    return Transitions(flat(blocks[:, :-1]), flat(blocks[:, 1:]), encoding, repeat, labels)


def same_time(states: np.ndarray | xr.DataArray, encoding: str) -> Transitions:
    """Take each state as its own next one, for the pseudo-likelihood of independent states.

    The law of each site given all others is the logistic one; self-coupling must be off.

    Parameters
    ----------
    states : as for ``transitions``, or of dimensions (sample, site).
    encoding : "±1" or "0/1".

    Raises
    ------
    DataError : wrong form, values of another encoding.

    References
    ----------
    Besag, J. R. Stat. Soc. D 24, 179 (1975), doi:10.2307/2987782.
    """
    blocks, labels = _blocks(states, encoding)
    repeats, times, sites = blocks.shape
    flat = np.ascontiguousarray(blocks).reshape(-1, sites)
    return Transitions(flat, flat, encoding, np.repeat(np.arange(repeats), times), labels)


def _blocks(states, encoding):
    """States (repeat, time, site), checked, and the labels of the sites."""
    dims = list(getattr(states, "dims", ()))
    if dims:
        time = "sample" if "sample" in dims else "time"
        wanted = [dim for dim in ("repeat", time, "site") if dim in dims]
        if sorted(wanted) != sorted(dims) or len(wanted) < 2:
            raise DataError(
                "states have the wrong dimensions",
                found=", ".join(map(str, dims)),
                expected="(repeat, time, site) or (time, site)",
            )
        states = states.transpose(*wanted)
    values = np.asarray(getattr(states, "values", states))
    if values.ndim not in (2, 3) or min(values.shape) == 0:
        raise DataError(
            "states have the wrong form",
            expected="an array (repeat, time, site) or (time, site)",
            found=f"{values.dtype} of shape {values.shape}",
        )
    flat = values.reshape(-1, values.shape[-1])
    if dims:  # whose axes have names may have fewer times than sites
        import xarray as xr

        flat = xr.DataArray(flat, dims=("sample", "site"))
    flat = validated(flat, encoding)
    shape = values.shape if values.ndim == 3 else (1, *values.shape)
    label = getattr(states, "coords", {}).get("site", np.arange(shape[-1]))
    return flat.reshape(shape), np.asarray(getattr(label, "values", label))


def log_likelihood(
    transitions: Transitions, h: np.ndarray, J: np.ndarray, which: np.ndarray | None = None
) -> np.ndarray:
    """Log probability of the next state of all sites, of each transition.

        log P = Σ_i [s_i(t+1) θ_i(t) − log Σ_s exp(s θ_i(t))]

    Parameters
    ----------
    transitions : the data.
    h, J : (..., site) and (..., target, source), in the encoding of the data.
    which : positions of transitions; by default all.

    Returns
    -------
    (..., transition)
    """
    now, then = transitions.now, transitions.next
    if which is not None:
        now, then = now[which], then[which]
    h, J = np.asarray(h, dtype=float), np.asarray(J, dtype=float)
    slope = logit_slope(transitions.encoding)
    result = np.empty((*h.shape[:-1], len(now)))
    for place in np.ndindex(h.shape[:-1]):
        for start in range(0, len(now), CHUNK):
            part = slice(start, start + CHUNK)
            eta = slope * (h[place] + now[part].astype(float) @ J[place].T)
            result[(*place, part)] = log_odds_density(eta, then[part] == 1)
    return result


def log_odds_density(eta: np.ndarray, on: np.ndarray) -> np.ndarray:
    """Log probability of states (transition, site) of log odds η, (transition,)."""
    from bayesinf.models.binary.logistic import kernel

    result = np.empty(len(eta))
    kernel.densities(np.ascontiguousarray(eta), np.ascontiguousarray(on), result)
    return result

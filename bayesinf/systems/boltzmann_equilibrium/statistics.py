"""What the model is not told, and by which it can fail: three-point functions, P(K), energies.

Each statistic of the data is set beside what the posterior predicts, and beside its own null: the
same statistic in two halves of the data, and in even and odd parts, between which only the sampling
error differs. A misfit that is no larger than that is none; halves that differ by more than even
and odd parts do are data that drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import binary
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.posterior import dataset, noted
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CHUNK",
    "CONNECTED",
    "connected",
    "differences",
    "energies",
    "energy",
    "nulls",
    "parts",
    "triple_positions",
]

MOMENTS = ("mean", "pair_mean", "triple_mean", "population")
CONNECTED = {"mean": "mean", "covariance": "pair correlation", "cumulant": "triplet"}
PARTS = (("first half", "second half"), ("even", "odd"))  # what is compared to what
REPLICAS = 100  # draws at which energies are replicated
CHAINED = 20  # the same where states come from chains,
MOST_CHAINED = 20_000  # so many in each
BINS = 30  # of the energy
CHUNK = 2**16


def connected(moments: xr.Dataset) -> dict[str, np.ndarray]:
    """Turn moments into means, pair correlations and triplets, all connected.

        C_ij = ⟨s_i s_j⟩ − ⟨s_i⟩⟨s_j⟩,   C_ijk = ⟨(s_i − ⟨s_i⟩)(s_j − ⟨s_j⟩)(s_k − ⟨s_k⟩)⟩

    Parameters
    ----------
    moments : ``mean`` (..., site), ``pair_mean`` (..., pair) and, where it is there,
        ``triple_mean`` (..., triple) of distinct sites, with labels i3, j3 and k3.

    Returns
    -------
    ``mean`` (..., site), ``covariance`` (..., pair), ``cumulant`` (..., triple).
    """
    mean, pair = moments["mean"].values, moments["pair_mean"].values
    i, j = binary.pairs(mean.shape[-1])
    found = {"mean": mean, "covariance": pair - mean[..., i] * mean[..., j]}
    if moments.sizes.get("triple"):
        full = binary.matrix(found["covariance"], mean.shape[-1])
        a, b, c = triple_positions(moments).T
        of_a, of_b, of_c = (mean[..., k] for k in (a, b, c))
        disconnected = of_a * of_b * of_c + full[..., a, b] * of_c
        disconnected = disconnected + full[..., a, c] * of_b + full[..., b, c] * of_a
        found["cumulant"] = moments["triple_mean"].values - disconnected
    return found


def triple_positions(moments: xr.Dataset) -> np.ndarray:
    """Return the triples of a group by the positions of their sites, (triple, 3)."""
    place = {label: k for k, label in enumerate(moments["site"].values.tolist())}
    labels = np.stack([moments[name].values for name in ("i3", "j3", "k3")], axis=-1)
    return np.array([[place[label] for label in row] for row in labels.tolist()], dtype=int)


def parts(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Return the positions of the states of each part: halves, and even and odd.

    Whole repeats are parted where there are at least four, states else.
    """
    count = data.sizes["sample"]
    unit = data["repeat"].values if "repeat" in data.coords else np.arange(count)
    labels = np.unique(unit)
    if labels.size < 4:
        unit = labels = np.arange(count)
    found = binary.nulls(labels.size)
    sets = [labels[which] for pair in ("halves", "even/odd") for which in found[pair]]
    names = [name for pair in PARTS for name in pair]
    return {
        name: np.flatnonzero(np.isin(unit, chosen))
        for name, chosen in zip(names, sets, strict=True)
    }


def nulls(data: xr.Dataset, observed: xr.Dataset) -> xr.Dataset:
    """Compute the moments of each part of the data, with those triples that were observed.

    Parameters
    ----------
    data : ``states`` (sample, site), as of ``read`` or ``simulate``.
    observed : the group ``observed_data`` of a fit.

    Returns
    -------
    a Dataset with the moments of ``observed``, (part, ...).
    """
    states, encoding = data["states"].values, data["states"].attrs["encoding"]
    positions = triple_positions(observed) if observed.sizes.get("triple") else None
    pieces = parts(data)
    found: dict[str, list] = {name: [] for name in MOMENTS}
    for which in pieces.values():
        piece = states[which]
        moments = binary.of_states(piece, encoding)
        found["mean"].append(moments.mean)
        found["pair_mean"].append(moments.pair)
        found["population"].append(binary.population(piece))
        if positions is not None:
            found["triple_mean"].append(binary.triple_moments(piece, positions))
    dims = {"mean": "site", "pair_mean": "pair", "triple_mean": "triple", "population": "active"}
    coords = {name: (of.dims, of.values) for name, of in observed.coords.items() if name != "state"}
    return dataset(
        {name: np.array(rows) for name, rows in found.items() if rows},
        {name: ("part", dims[name]) for name in found},
        {"part": list(pieces), **coords},
        sampled=False,
    )


# Energies


def energies(
    posterior: xr.DataTree, data: xr.Dataset, settings: Settings, replicas: int | None = None
) -> xr.Dataset:
    """Compare the histogram of the energy to that of replicated data.

        E(s) = −Σ_i h_i s_i − Σ_{i<j} J_ij s_i s_j,   at the posterior mean of h and J

    Up to 20 sites each replica is exact and has the size of the data. Above, its states come from
    heat-bath chains, at most 20 000 of them.

    Parameters
    ----------
    posterior : what ``fit`` returned, for its draws.
    data : ``states`` (sample, site).
    settings : for its seed.
    replicas : how many draws; by default 100, and 20 where chains run.

    Returns
    -------
    a Dataset with ``edges``, the shares ``data`` (bin) and ``parts`` (part, bin), those
    ``predicted`` (quantity, bin) for the mean and the 2.5 and 97.5 % quantiles of the replicas, and
    the number of states in a replica, ``replicated``.
    """
    encoding, states = data["states"].attrs["encoding"], data["states"].values
    draws = posterior["posterior"]
    theta = enumeration.pack(draws["h"].values, draws["J"].values)
    theta = theta.reshape(-1, theta.shape[-1])
    centre, sites = theta.mean(axis=0), states.shape[1]
    rng, exact = settings.generator("energies"), sites <= enumeration.LARGEST
    count = min(len(theta), replicas or (REPLICAS if exact else CHAINED))
    size = len(states) if exact else min(len(states), MOST_CHAINED)
    seen = energy(states, centre)
    low, high = np.quantile(seen, [0.0, 0.999])  # the last bin takes in whatever lies beyond
    low, high = low - 1e-6, high + 1e-6
    edges = np.linspace(low, high, BINS + 1)

    def share(values, weights=None):
        counts, _ = np.histogram(np.clip(values, low, high), edges, weights=weights)
        return counts / (values.size if weights is None else weights.sum())

    make = _enumerated if exact else _chained
    drawn = make(centre, theta[rng.choice(len(theta), count, replace=False)], encoding, size, rng)
    predicted = np.array([share(*replica) for replica in drawn])
    pieces = parts(data)
    arrays = {
        "edges": edges,
        "data": share(seen),
        "replicated": np.int64(size),
        "parts": np.array([share(seen[which]) for which in pieces.values()]),
        "predicted": [predicted.mean(axis=0), *np.quantile(predicted, [0.025, 0.975], axis=0)],
    }
    dims = {
        "edges": ("edge",),
        "data": ("bin",),
        "parts": ("part", "bin"),
        "predicted": ("quantity", "bin"),
    }
    coords = {"part": list(pieces), "quantity": ["mean", "low", "high"]}
    return dataset(arrays, dims, coords, sampled=False)


def energy(states: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return E(s) = −log P(s) − log Z of states (sample, site), (sample,)."""
    h, J = enumeration.unpack(theta)
    half = 0.5 * binary.matrix(J, h.size)
    pieces = np.array_split(states, max(1, len(states) // CHUNK))
    return np.concatenate([-(s @ h) - np.sum((s @ half) * s, axis=1) for s in pieces])


def _enumerated(centre, chosen, encoding, size, rng):
    """Energies of all states, and how often each came in a replica."""
    log_z, p = enumeration.probabilities(centre, encoding)
    at = -np.log(np.maximum(p, 1e-300)) - log_z
    for point in chosen:
        _, p = enumeration.probabilities(point, encoding)
        yield at, enumeration.sample(p, size, rng)


def _chained(centre, chosen, encoding, size, rng):
    """Energies of the states of a replica."""
    from bayesinf.models.binary.pairwise.large import sampling

    for point in chosen:
        yield (energy(sampling.sample(point, encoding, size, rng=rng).states, centre),)


# How large the differences are


def differences(posterior: xr.DataTree) -> dict[str, dict[str, np.ndarray]]:
    """Set what the model misses beside what sampling alone would.

    Differences of two parts are halved: those of M/2 states against M/2 others have twice the
    standard error of M.

    Parameters
    ----------
    posterior : what ``fit`` returned, or its file.

    Returns
    -------
    name of a statistic (``mean``, ``covariance``, ``cumulant``, ``population``) to

        ``data``, ``model``, ``replica`` : its values, what the posterior predicts, and the standard
            deviation of that from one replica to the next
        ``misfit``, ``halves``, ``even/odd`` : differences data − model, and half of those of parts
        ``parts`` : (part, ...)
    """
    sources = {
        "data": posterior["observed_data"].to_dataset(),
        "parts": noted(posterior, "null"),
        "replicas": posterior["posterior_predictive"].to_dataset(),
    }
    found: dict[str, dict[str, np.ndarray]] = {}
    for source, group in sources.items():
        values = connected(group) | {"population": group["population"].values}
        for name, value in values.items():
            found.setdefault(name, {})[source] = value
    for entry in found.values():
        replicas, piece = entry.pop("replicas"), entry["parts"]
        entry["model"], entry["replica"] = replicas.mean(axis=(0, 1)), replicas.std(axis=(0, 1))
        entry["misfit"] = entry["data"] - entry["model"]
        entry["halves"] = 0.5 * (piece[0] - piece[1])
        entry["even/odd"] = 0.5 * (piece[2] - piece[3])
    return found

"""Data with a known fault, as tables of others have them, and the right model on its own data.

Each fault is a short fit as ``fit`` makes it. Tables are of random pairs: Lennard-Jones, Morse and
Buckingham potentials of random size, 12 to 24 distances between the wall and the tail, energies
with noise of a few thousandths of the well.

A gap around the minimum, or rows far out, are no fault by themselves: a wide band that says how
little is known is an honest answer. What must not be believed is a well whose 95 % intervals miss
the true one; where they hold it nobody is misled, and that counts as refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems.lennard_jones.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults", "table"]

SHORT = Settings(draws=400, chains=4, prior_draws=20, workers=1)
GAP = 0.35  # width of a gap around the minimum, in its distance


@dataclass(frozen=True)
class Pair:
    """A random potential: well ``depth`` at ``minimum``, and its energies at distances."""

    depth: float
    minimum: float
    energy: Callable[[np.ndarray], np.ndarray]


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Return the faults by name, each a function from a generator to a fit; "none" has none."""
    return {
        "none": _right,
        "none, energies without noise": partial(_right, noise=0.0),
        "none, rounded energies": _rounded,
        "noise that follows its neighbours": _slow,
        "total energies taken as they are": partial(_shifted, total=True),
        "relative energies taken as they are": partial(_shifted, total=False),
        "well read in a gap (zero mean in r)": partial(_gap, mean="zero"),
        "well read in a gap (repulsive mean in r)": partial(_gap, mean="repulsive"),
        "energies far out (zero mean in r)": _far,
        "two wells as deep": _two_wells,
        "error bars a fifth of the noise": _too_sure,
    }


def table(
    rng: np.random.Generator, *, noise: float = 3e-3, sparse: bool = False
) -> tuple[Pair, xr.Dataset]:
    """Draw a pair and a table of its energies, as of ``read``.

    Parameters
    ----------
    rng : generator.
    noise : sd of the noise, in depths of the well.
    sparse : whether no row lies around the minimum, within ``GAP``.
    """
    pair = _pair(rng)
    count = int(rng.integers(12, 25))
    start, end = pair.minimum * rng.uniform(0.78, 0.86), pair.minimum * rng.uniform(2.0, 3.0)
    # Evenly in log r, every row moved by up to a third of its distance to the next.
    place = (np.arange(count) + rng.uniform(-0.33, 0.33, count)) / (count - 1)
    r = start * (end / start) ** np.clip(place, 0, 1)
    if sparse:
        r = r[np.abs(np.log(r / pair.minimum)) > GAP / 2]
    r = np.unique(r)
    return pair, _labelled(r, pair.energy(r) + noise * pair.depth * rng.standard_normal(len(r)))


def _pair(rng):
    depth, minimum = 10 ** rng.uniform(1, 3), rng.uniform(2.5, 5.0)
    kind = rng.integers(3)

    def lennard_jones(r):
        six = (minimum / r) ** 6
        return depth * (six * six - 2 * six)

    stiff = rng.uniform(5.0, 7.0)

    def morse(r):
        return depth * ((1 - np.exp(-stiff * (r / minimum - 1))) ** 2 - 1)

    steep = rng.uniform(12.0, 15.0)

    def buckingham(r):
        wall = 6 / steep * np.exp(steep * (1 - r / minimum))
        return depth / (1 - 6 / steep) * (wall - (minimum / r) ** 6)

    return Pair(depth, minimum, (lennard_jones, morse, buckingham)[kind])


def _labelled(r, energies, **columns):
    import xarray as xr

    columns = {"distances": r, "energies": energies} | columns
    units = {"distances": "Å"}
    return xr.Dataset(
        {n: ("point", values, {"units": units.get(n, "K")}) for n, values in columns.items()}
    )


def _right(rng, noise=3e-3):
    """The right model, as ``fit`` takes it."""
    _, data = table(rng, noise=noise)
    return fit(data, settings=_seeded(rng))


def _rounded(rng):
    """Energies as tables print them, to a thousandth of the well or so."""
    pair, data = table(rng, noise=0.0)
    digits = 3 - int(np.ceil(np.log10(pair.depth)))
    return fit(data.assign(energies=data["energies"].round(digits)), settings=_seeded(rng))


def _slow(rng):
    """Noise of a hundredth of the well whose neighbours correlate by 0.8, of many rows."""
    pair, _ = table(rng)
    r = pair.minimum * np.geomspace(0.82, 2.5, 60)
    noise = rng.standard_normal(len(r))
    for k in range(1, len(r)):
        noise[k] = 0.8 * noise[k - 1] + 0.6 * noise[k]
    return fit(_labelled(r, pair.energy(r) + 1e-2 * pair.depth * noise), settings=_seeded(rng))


def _shifted(rng, total):
    """Total energies, or energies above the lowest, and no constant inferred."""
    _, data = table(rng)
    lowest = float(data["energies"].min())
    shift = -3e8 * rng.uniform(0.1, 1) if total else -lowest
    shifted = (data["energies"] + shift).assign_attrs(data["energies"].attrs)
    return fit(data.assign(energies=shifted), constant=False, settings=_seeded(rng))


def _gap(rng, mean):
    """No row near the minimum, and a process in r that cannot foresee what lies between."""
    pair, data = table(rng, sparse=True)
    return _misled(fit(data, mean=mean, settings=_seeded(rng)), pair)


def _misled(found, pair):
    """The fit, if the intervals of its well miss the true one."""
    well = noted(found, "well")
    for name, true in (("minimum", pair.minimum), ("depth", pair.depth)):
        drawn = well[name].values[np.isfinite(well[name].values)]
        if drawn.size and not np.quantile(drawn, 0.025) <= true <= np.quantile(drawn, 0.975):
            return found
    raise DataError("the intervals hold the true well, or no well is told")


def _far(rng):
    """Three rows far out, and a process in r whose size the wall sets."""
    pair, data = table(rng)
    r = np.append(data["distances"].values, pair.minimum * np.array([5.0, 8.0, 13.0]))
    found = fit(_labelled(r, pair.energy(r)), mean="zero", settings=_seeded(rng))
    return _misled(found, pair)


def _two_wells(rng):
    """A second well further out, which noise leaves as deep as the first."""
    pair, data = table(rng, noise=1e-2)
    r, outer = data["distances"].values, 1.7 * pair.minimum
    second = (pair.depth + pair.energy(outer)) * np.exp(-(((r / outer - 1) / 0.12) ** 2))
    energies = data["energies"].values - second
    return fit(_labelled(r, energies), settings=_seeded(rng))


def _too_sure(rng):
    """Error bars of a fifth of the noise, and no noise besides."""
    pair, data = table(rng, noise=1e-2)
    bars = np.full(data.sizes["point"], 2e-3 * pair.depth)
    columns = (data[name].values for name in ("distances", "energies"))
    return fit(_labelled(*columns, error=bars), noise=0.0, settings=_seeded(rng))


def _seeded(rng) -> Settings:
    return SHORT.replace(seed=int(rng.integers(2**31)))

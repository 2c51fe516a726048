"""From which zero energies are counted: whether they level off elsewhere, and what is above that.

The energy of a pair is that of two atoms far apart from the lowest. Tables give it so, or as total
energies (−1054 hartree), or relative to the lowest row; read as they stand, the latter have no well
or one of a thousand hartree. ``noticed`` tells them apart by evidence, and a fit of energies that
stand on a constant infers it, with all else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import gp
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.lennard_jones.data import checked

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EVIDENCE", "above", "constant_of", "noticed"]

# Log Bayes factor from which a constant is inferred, 20 to 1. What it makes of tables with and
# without a constant is counted by ``workflows/trials.py lennard_jones``.
EVIDENCE = 3.0


def noticed(
    dataset: xr.Dataset, constant: bool | None = None, settings: Settings = DEFAULT
) -> xr.Dataset:
    """Return a dataset that says whether its energies stand on a constant.

    Two processes are compared, in log r with a size that falls off as a power of r: about zero,
    and about a constant that is inferred. The constant is believed for a log Bayes factor above
    ``EVIDENCE``. Where the lowest energy lies inside the table and yet not below zero, the pair
    apart must be above zero, and the constant is believed unless the evidence is as much against
    it.

    Parameters
    ----------
    dataset : as of ``simulate`` or ``read``; one that says already whether they do is believed.
    constant : whether it is to be inferred; None to find out.
    settings : its seed.

    Returns
    -------
    the dataset with the attributes ``constant``, 0 or 1; ``level``, an estimate of the energy of
    the separate pair, 0 without a constant; and ``constant_evidence``, the log Bayes factor.

    Raises
    ------
    DataError : energies that no fit should see.
    """
    from bayesinf.systems.lennard_jones.model import problem

    checked(dataset)
    if "constant" in dataset.attrs and constant in (None, bool(dataset.attrs["constant"])):
        return dataset
    plain, lifted = (dataset.assign_attrs(constant=k, level=_level(dataset) * k) for k in (0, 1))
    evidence = [gp.log_evidence(problem(one), settings) for one in (plain, lifted)]
    factor = evidence[1] - evidence[0]
    u = dataset["energies"].values[np.argsort(dataset["distances"].values, kind="stable")]
    lowest = int(np.argmin(u))
    unbound = 0 < lowest < len(u) - 1 and u[lowest] >= 0
    found = factor > (-EVIDENCE if unbound else EVIDENCE)
    believed = found if constant is None else constant
    return (lifted if believed else plain).assign_attrs(constant_evidence=float(factor))


def above(dataset: xr.Dataset) -> xr.Dataset:
    """Return the energies counted from where they level off, as far as ``noticed`` has told it."""
    level = dataset.attrs.get("level", 0.0)
    if not level:
        return dataset
    energies = (dataset["energies"] - level).assign_attrs(dataset["energies"].attrs)
    return dataset.assign(energies=energies).assign_attrs(constant=0, level=0.0)


def constant_of(theta) -> np.ndarray | float:
    """Return the constant among draws or parameters by name; 0 where there is none."""
    return theta.get("constant", 0.0)


def _level(dataset):
    """Energy of the pair apart, roughly: a + b r⁻⁶ through the outermost third of the rows."""
    r, u = (dataset[name].values.astype(float) for name in ("distances", "energies"))
    outer = np.argsort(r, kind="stable")[-max(3, len(r) // 3) :]
    columns = np.column_stack([np.ones(len(outer)), (r[outer] / r[outer].max()) ** -6])
    around = u[outer[-1]]
    (a, _), *_ = np.linalg.lstsq(columns, u[outer] - around)
    return float(around + a)

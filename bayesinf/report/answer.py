"""A fit as a terminal or a notebook shows it, its answer first.

The result of a fit is an ``xarray.DataTree``, which prints its groups. ``summary`` says what they
answer: the numbers with their uncertainty, and whether to believe them.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from bayesinf.checks import Verdict, check
from bayesinf.foreign import adopted
from bayesinf.report.numbers import aligned, brief

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Summary", "summary"]


@dataclass(frozen=True, repr=False)
class Summary:
    """What a fit answers; it prints itself, and shows itself in a notebook.

    Parameters
    ----------
    table : one row a quantity: its estimate, 95 % interval and unit, as text.
    verdict : whether to believe it.
    title : what was fitted with what, and how.
    """

    table: pd.DataFrame
    verdict: Verdict
    title: str

    def __repr__(self) -> str:
        return f"{aligned(self.table)}\n\n{self.verdict}\n({self.title})"

    def _repr_html_(self) -> str:
        shown = self.table.to_html(border=0, escape=True)
        return f"{shown}{self.verdict._repr_html_()}<p><small>{escape(self.title)}</small></p>"


def summary(fit: xr.DataTree) -> Summary:
    """Say what a fit answers: its numbers, and whether to believe them.

    Parameters
    ----------
    fit : InferenceData, of bayesinf or of another library.

    Returns
    -------
    a ``Summary``: ``table``, at most as many rows as a screen holds, those that stand clearest of
    zero where there are more; ``verdict``, as of ``bayesinf.check``.

    Raises
    ------
    DataError : there is no posterior.
    """
    found = adopted(fit)
    attrs = found.attrs
    said = [str(attrs[name]) for name in ("system", "model", "method") if attrs.get(name)]
    posterior = found["posterior"]
    count = posterior.sizes["chain"] * posterior.sizes["draw"]
    title = f"{', '.join(dict.fromkeys(said))}: {count} draws, {attrs['inference']}"
    return Summary(brief(found), check(found), title)

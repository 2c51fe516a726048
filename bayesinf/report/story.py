"""What a system has to say about its fits: sections with words, pictures and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Picture", "Section", "Story", "Table"]


@dataclass(frozen=True)
class Picture:
    """A figure with what to see in it.

    Parameters
    ----------
    name : file name without suffix; unique within a report.
    figure : a matplotlib Figure.
    caption : what to see, in a sentence or two.
    alt : the same for a reader who cannot see it: what is drawn, and what it shows.
    """

    name: str
    figure: Figure
    caption: str
    alt: str


@dataclass(frozen=True)
class Table:
    """A table with what to read from it; text cells stand as they are, numbers get four digits.

    Parameters
    ----------
    frame : a DataFrame; its index is shown unless it only counts the rows.
    caption : what to read, in a sentence.
    """

    frame: pd.DataFrame
    caption: str

    @classmethod
    def of(cls, rows: Mapping[str, Mapping[str, object]], index: str, caption: str) -> Table:
        """Tabulate rows by name, each from column to cell.

        A cell that a row lacks is a dash, and a column that is empty throughout is left out.

        Parameters
        ----------
        rows : name of a row to its cells, column to text or number.
        index : what the rows are.
        caption : as above.
        """
        import pandas as pd

        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis(index)
        frame = frame.loc[:, (frame != "").any()]
        return cls(frame.astype(object).where(frame.notna(), "–"), caption)


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, then pictures, then tables.

    One that is ``folded`` opens at a click: detail that few readers want, as further data sets.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Story:
    """What a system has to say about its fits; the rest of the report is the same for all.

    Parameters
    ----------
    title : of the report.
    question : one sentence.
    answer : its first paragraph answers the question in a sentence, with its number, and stands at
        the top of the page and in the terminal; its first picture is shown in the gallery.
    numbers : the answer in numbers, with units and intervals.
    predictive : how the data look under the posterior.
    classical : how the classical answer compares; None where there is none.
    priors : what they are, and how much they matter.
    extra : whatever else the system has to show.
    best : name of the fit that carries the answer, whose verdict is the report's; None for the
        first.
    derived : quantities that follow from that fit, name to draws with ``units``; they head the
        numbers in the terminal.

    Numbers, predictive and priors that are None are told in the words of ``report.sections``, of
    the fit that carries the answer.
    """

    title: str
    question: str
    answer: Section
    numbers: Section | None = None
    predictive: Section | None = None
    classical: Section | None = None
    priors: Section | None = None
    extra: tuple[Section, ...] = ()
    best: str | None = None
    derived: Mapping[str, xr.DataArray] = field(default_factory=dict)

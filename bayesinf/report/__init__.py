"""One page that a physicist can show, made from InferenceData, Verdicts and Figures.

    story.py     what a system says: Picture, Table, Section, Story
    numbers.py   numbers with the digits that their uncertainty leaves
    sections.py  what any fit can be told by, and the story of a system that has none
    answer.py    a fit in a terminal or a notebook, its answer first
    page.py      verdict, story, diagnostics, how to reload, provenance; the gallery

A system tells its ``Story``: question and answer at least. Whatever it leaves out is told in the
same words for all, and the page is one self-contained HTML file, read from the top, that needs
neither script nor network.
"""

from bayesinf.report.answer import Summary, summary
from bayesinf.report.numbers import (
    ESTIMATED,
    aligned,
    brief,
    described,
    estimates,
    exact,
    goodness,
    interval,
    number,
    quantity,
    short,
    signed,
    value_with_unit,
)
from bayesinf.report.page import (
    MOST_BYTES,
    answering,
    beside,
    gallery,
    known,
    overall,
    png,
    render,
    write,
    write_text,
    write_verdict,
)
from bayesinf.report.sections import plain_story
from bayesinf.report.story import Picture, Section, Story, Table

__all__ = [
    "ESTIMATED",
    "MOST_BYTES",
    "Picture",
    "Section",
    "Story",
    "Summary",
    "Table",
    "aligned",
    "answering",
    "beside",
    "brief",
    "described",
    "estimates",
    "exact",
    "gallery",
    "goodness",
    "interval",
    "known",
    "number",
    "overall",
    "plain_story",
    "png",
    "quantity",
    "render",
    "short",
    "signed",
    "summary",
    "value_with_unit",
    "write",
    "write_text",
    "write_verdict",
]

"""Docstrings of the house as Sphinx reads them.

The house writes ``name : words`` where NumPy's style has a type, returns in free words, formulas as
indented blocks, and signs such as | and * that reStructuredText takes for its own.
"""

from __future__ import annotations

import re

__all__ = ["setup", "told"]

NAMED = ("Parameters", "Attributes", "Raises")
SECTIONS = (*NAMED, "Returns", "Yields", "References", "Notes", "Examples")
ENTRY = re.compile(r"^(\*{0,2}[\w*][\w*., ]*?) : (.+)$")


def setup(app):
    """Rewrite each docstring before napoleon reads it."""
    app.connect("autodoc-process-docstring", _before, priority=100)
    app.connect("autodoc-process-docstring", _after, priority=900)


# Napoleon takes the first line of an attribute for "type: words", where it sees a colon.
COLON, UNSEEN = ":", "\ue000"


def _before(app, what, name, obj, options, lines):
    lines[:] = told(lines)
    if what in ("attribute", "property"):
        lines[:] = [line.replace(COLON, UNSEEN) for line in lines]


def _after(app, what, name, obj, options, lines):
    lines[:] = [line.replace(UNSEEN, COLON) for line in lines]


def told(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText in the sections of NumPy's style."""
    found, section, block = [], None, False
    previous = ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line in SECTIONS and following and set(following) == {"-"}:
            section, block = line, False
            found.append(line)
        elif section in NAMED and (entry := ENTRY.match(line)):
            found += [entry[1], f"    {_escaped(entry[2][0].upper() + entry[2][1:])}"]
        else:
            # An indented block of the text, a formula or a drawing, is shown letter by letter.
            free = section in (None, "Returns") and not previous.strip()
            if free and line.startswith("    ") and not block:
                found += ["::", ""]
                block = True
            block = block and (line.startswith("    ") or not line.strip())
            found.append(line if block else _escaped(line))
        previous = line
    return found


def _escaped(line):
    """The line without signs that mean something else outside ``code``."""
    parts = re.split(r"(``.*?``)", line)
    return "".join(p if k % 2 else re.sub(r"([|*])", r"\\\1", p) for k, p in enumerate(parts))

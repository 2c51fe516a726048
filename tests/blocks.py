"""Blocks of code in pages of Markdown, which the tests run as they stand."""

import re
from pathlib import Path

__all__ = ["blocks", "python_blocks"]

FENCE = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and code of each fenced block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [(found[2].strip(), found[3]) for found in FENCE.finditer(text)]


def python_blocks(page: Path) -> list[str]:
    """The code of each block of Python."""
    return [code for language, code in blocks(page) if language == "python"]

"""A matplotlib Figure that a notebook shows, whatever its backend, without pyplot."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

__all__ = ["Picture"]


class Picture(Figure):
    """A Figure that shows itself where it stands last in a cell."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=self.dpi)
        return content.getvalue()

"""What the pages take from the package itself, a module a thing, joined for Sphinx."""

from extension import calibration, docstrings, formulas, verdicts, workflows

__all__ = ["setup"]


def setup(app):
    """Join all parts to Sphinx."""
    for part in (formulas, docstrings, workflows, verdicts, calibration):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True}

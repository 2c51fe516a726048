"""The directive ``{calibration}``."""

__all__ = ["setup"]


def setup(app):
    """Add the directive."""

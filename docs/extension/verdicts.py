"""The directive ``{checks}``."""

__all__ = ["setup"]


def setup(app):
    """Add the directive."""

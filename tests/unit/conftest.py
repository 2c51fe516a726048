"""What the unit tests share."""

import pytest


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def undrawn(monkeypatch):
    """Pages are written without a dot on their pictures, where their words and files are asked."""
    monkeypatch.setattr("bayesinf.report.page.png", lambda *_: b"")


@pytest.fixture
def interpreted():
    """Functions of PyMC models run as Python: numba would compile those of a small model for
    seconds, tens where there is no cache yet, and what they say is the same.
    """
    import pytensor

    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        yield

"""The scripts of ``workflows/``, to import, and the data that they read without ``--data``.

In a clone both stand beside the package; a wheel holds them in this folder, side by side as there.
"""

from pathlib import Path
from pkgutil import iter_modules

__all__ = ["HOME", "names"]

_PACKAGE = Path(__file__).resolve().parent
_CLONE = _PACKAGE.parents[1]

# The folder that holds workflows/ and data/.
HOME = _CLONE if (_CLONE / "workflows").is_dir() else _PACKAGE

__path__ = [str(HOME / "workflows")]


def names() -> list[str]:
    """Return the names of all scripts, which are those of their files."""
    return sorted(module.name for module in iter_modules(__path__))

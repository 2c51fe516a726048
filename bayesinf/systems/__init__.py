"""The physics. Each module is one system: how its data come about, which model of which family
describes them, which priors are fair, and the figures that answer its question.

A system is found by its file name; nothing else lists it. Systems of the user's own are found the
same way in the folders that the environment variable ``BAYESINF_SYSTEMS`` names.
"""

from __future__ import annotations

import os
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from bayesinf.errors import DataError

__all__ = ["names", "system"]

__path__ += filter(None, os.environ.get("BAYESINF_SYSTEMS", "").split(os.pathsep))


def names() -> list[str]:
    """Return the names of all systems, which are those of their files."""
    found = (module.name for module in iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_"))


def system(name: str) -> ModuleType:
    """Import a system by its name.

    Raises
    ------
    DataError : there is none of that name.
    """
    if name not in names():
        raise DataError("no such system", expected=f"one of {', '.join(names())}", found=name)
    return import_module(f"{__name__}.{name}")

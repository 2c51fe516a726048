"""Whether a fit fits into memory: asked before it starts, not found out when it is killed."""

from __future__ import annotations

import os
from pathlib import Path

from bayesinf.errors import MachineError

__all__ = ["SHARE", "available", "require"]

SHARE = 0.9  # of what is available that one fit may take


def available() -> float:
    """Return how many bytes this process can still have; infinity where nothing says so.

    That is the least of what the system has left, what a container's limit leaves, and what the
    limit of the process leaves of its address space.
    """
    limits = [_system(), _container(), _process()]
    return min(limit for limit in limits if limit is not None) if any(limits) else float("inf")


def require(size: float, what: str, remedy: str) -> None:
    """Refuse work that would take more memory than there is.

    Parameters
    ----------
    size : bytes it will take, by an estimate.
    what : it is, in words.
    remedy : what would fit.

    Raises
    ------
    MachineError : it would not fit, and how much of it would.
    """
    room = SHARE * available() if size > 1e8 else float("inf")
    if size > room:
        raise MachineError(
            f"{what} would take about {size / 1e9:.3g} GB of memory, and {room / 1e9:.3g} GB can "
            f"be had, enough for {room / size:.1%} of it: {remedy}",
            size=size,
            room=room,
        )


def _system():
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        named = dict(line.split(":") for line in lines)
        return 1024.0 * float(named["MemAvailable"].split()[0])
    except (OSError, ValueError, LookupError):
        pass
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None


def _container():
    folder = Path("/sys/fs/cgroup")
    try:
        most = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii")
        return None if most == "max" else max(float(most) - float(used), 1.0)
    except (OSError, ValueError):
        return None


def _process():
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        used = pages * resource.getpagesize()
        return None if most == resource.RLIM_INFINITY else max(float(most - used), 1.0)
    except (ImportError, OSError, ValueError):
        return None

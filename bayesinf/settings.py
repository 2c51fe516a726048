"""How long to sample and from which seed: the one configuration that every fit takes.

Randomness is drawn from named streams. ``settings.generator("prior")`` and
``settings.generator("chain", 2)`` are independent, and depend on the seed and on the names alone,
never on the order of the calls or the number of workers: the same seed gives the same draws.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

from bayesinf.errors import DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DEFAULT", "QUICK", "Settings"]


@dataclass(frozen=True)
class Settings:
    """Length and seed of a fit.

    Parameters
    ----------
    seed : non-negative integer; all randomness of the fit follows from it.
    draws : draws kept in each chain.
    tune : draws made before those, and discarded.
    chains : independent chains.
    prior_draws : draws from the prior, for the prior and prior predictive pictures.
    workers : local processes or threads; None takes one per core.
    """

    seed: int = 1
    draws: int = 1000
    tune: int = 300
    chains: int = 4
    prior_draws: int = 500
    workers: int | None = None

    def __post_init__(self):
        for name, least in (("seed", 0), ("draws", 4), ("tune", 0), ("chains", 1)):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise DataError(
                    f"{name} is out of range", expected=f"an integer ≥ {least}", found=value
                )

    def generator(self, *names: str | int) -> np.random.Generator:
        """Return the random generator of the stream that ``names`` spell.

        Parameters
        ----------
        names : words or integers that say what the numbers are for.

        Returns
        -------
        a Generator over ``SeedSequence(seed, spawn_key=names)``, words entering by their CRC-32.
        """
        import numpy as np

        key = [name if isinstance(name, int) else crc32(name.encode()) for name in names]
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key))
        )

    def replace(self, **changes: Any) -> Settings:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """Return the fields that decide the draws, as JSON (the workers do not)."""
        fields = asdict(self)
        del fields["workers"]
        return json.dumps(fields)


DEFAULT = Settings()
QUICK = Settings(draws=200, tune=200, chains=4, prior_draws=200)

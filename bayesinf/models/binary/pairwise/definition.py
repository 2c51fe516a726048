"""The pairwise family, defined: P(s) = exp(Σ h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z, and its prior.

A ``BoltzmannMachine`` holds the states that were observed, with the prior, and answers all that a
``Problem`` is asked. Its ``pymc`` is the model, with all states written out; the sums over states
that everything else needs are those of its ``sums``, a ``Pairwise``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import capacity
from bayesinf.errors import DataError, FitError
from bayesinf.inference.kinds import Question
from bayesinf.models import binary
from bayesinf.models.binary import Moments
from bayesinf.models.binary.couplings import CouplingPrior, stated
from bayesinf.models.binary.pairwise import enumeration, predictive
from bayesinf.models.binary.pairwise.large.reweighting import ReweightingSample
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.memory import Memory, memory_of
from bayesinf.models.problem import Draws, Labels, Outlook, Problem, Route
from bayesinf.posterior import dataset
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["BoltzmannMachine", "moments_of", "problem"]

# Sites whose states PyMC holds as one matrix.
MOST_IN_PYMC = 12
# Parts of the data whose log likelihoods are stored one by one.
BLOCKS = 500
# States remembered for each that is counted: up to here errors are at most 10 % too small.
MEMORY = 1.2


@dataclass(frozen=True)
class BoltzmannMachine(Problem):
    """Data and prior of one pairwise model.

    Parameters
    ----------
    moments : means and pair moments of the states.
    prior : of fields and couplings.
    site : labels of the sites, (site,).
    states : (sample, site); None where moments are all there is.
    reweighting : sample for the sums over states of many sites; None lets a route draw it.
    posed : the sums that a route has drawn by; None for all states.
    remembered : what the order of the states shows; None where it is not asked.
    further : what the caller asks of a fit besides.
    """

    moments: Moments
    prior: CouplingPrior
    site: np.ndarray
    states: np.ndarray | None = None
    reweighting: ReweightingSample | None = None
    posed: Pairwise | None = None
    remembered: Memory | None = None
    further: tuple[Question, ...] = ()

    family = "pairwise"
    model = "pairwise"
    equation = r"p(s) = \frac{1}{Z(h, J)} \exp\Big(\sum_i h_i s_i + \sum_{i<j} J_{ij} s_i s_j\Big)"

    # What things are called

    @property
    def coords(self) -> dict[str, object]:
        """Labels of sites, pairs and triples, and numbers of sites that are on."""
        triples = predictive.followed(self.moments.sites).T
        followed = zip(("i3", "j3", "k3"), triples, strict=True)
        return {
            "site": self.site,
            **binary.pair_coords(self.site),
            "active": np.arange(self.moments.sites + 1),
        } | {name: ("triple", self.site[which]) for name, which in followed}

    @property
    def parameters(self) -> Labels:
        """Labels of fields and couplings."""
        return Labels({"h": ("site",), "J": ("pair",)}, self.coords)

    def memory(self, settings: Settings) -> float:
        """The curvature, its factor, and one more while they are made."""
        return of_matrices(self.moments.sites)

    @property
    def data(self) -> Labels:
        """Labels of statistics of states."""
        dims = {"mean": "site", "pair_mean": "pair", "triple_mean": "triple"}
        dims |= {"population": "active"}
        return Labels({name: (dim,) for name, dim in dims.items()}, self.coords)

    @property
    def pointwise(self) -> Labels:
        """Labels of the log likelihood, which stands in blocks of states."""
        return Labels({"states": ("block",)})

    @cached_property
    def observed(self) -> xr.Dataset:
        """The distinct states and how often each came, and their statistics."""
        statistics = self.data.group(self.seen, sampled=False)
        if self.states is None:
            return statistics
        distinct, counts = binary.distinct(self.states)
        dims = {"states": ("state", "site"), "count": ("state",)}
        coords = {"state": np.arange(counts.size), "site": self.site}
        table = Labels(dims, coords).group({"states": distinct, "count": counts}, sampled=False)
        return statistics.merge(table)

    @property
    def constants(self) -> xr.Dataset:
        """The number of states, as how many independent ones they count, and their blocks."""
        counted = self.moments.samples
        arrays = {
            "samples": np.int64(counted if self.states is None else len(self.states)),
            "counted": np.int64(counted),
            "block_size": self.blocks[0],
        }
        return dataset(arrays, {"block_size": ("block",)}, sampled=False)

    @property
    def attrs(self) -> dict[str, str]:
        """How to read states, fields and couplings."""
        return {"encoding": self.moments.encoding}

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        return self.prior.words()

    @property
    def hyperparameters(self) -> list[str]:
        """Factors of the prior: not that of the couplings where their width is inferred."""
        return self.prior.hyperparameters

    @property
    def discrepancies(self) -> dict[str, predictive.Discrepancy]:
        """Statistics of the states that the model is not told, as far as they are known."""
        known = predictive.OF_MOMENTS
        if self.states is None:
            return known
        enumerated = 3 <= self.moments.sites <= enumeration.LARGEST
        # States that count for fewer remember some triples longer than others: one number of
        # independent states is right for the slowest, and makes all others look too even.
        whole = self.moments.samples == len(self.states)
        asked = predictive.OF_TRIPLES if enumerated and whole else {}
        return known | predictive.OF_STATES | asked

    @property
    def routes(self) -> dict[str, Route]:
        """Chains, the normal approximation, and NUTS."""
        from bayesinf.models.binary.pairwise.routes import BEYOND_ENUMERATION, ROUTES

        return ROUTES if self.moments.sites <= enumeration.LARGEST else BEYOND_ENUMERATION

    @property
    def questions(self) -> tuple[Question, ...]:
        """What a fit answers for: independent states without drift, and its sums over them."""
        of_sums = () if self.posed is None else self.posed.questions
        of_order = () if self.remembered is None else _of_order(self)
        return (*of_order, *of_sums, *self.further)

    @property
    def order(self) -> xr.Dataset:
        """The evidence of memory and drift that these questions look at."""
        if self.remembered is None:
            return dataset({})
        share = self.moments.samples / len(self.states)
        arrays = {
            "memory": np.float64(self.remembered.time * share),
            "drift": np.float64(self.remembered.drift / np.sqrt(self.remembered.time)),
        }
        return dataset(arrays, sampled=False)

    # The data

    @cached_property
    def seen(self) -> dict[str, np.ndarray]:
        """Statistics of the data."""
        seen = {"mean": self.moments.mean, "pair_mean": self.moments.pair}
        if self.states is None:
            return seen
        summary = predictive.Summary.of_states(self.states, self.moments.statistics)
        return seen | {"triple_mean": summary.triple, "population": summary.population}

    @cached_property
    def blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of states (block,) and moments (block, parameter) of parts of the data."""
        if self.states is None:
            return np.array([self.moments.samples]), self.moments.statistics[np.newaxis]
        parts = np.array_split(self.states, min(len(self.states), BLOCKS))
        encoding, counted = self.moments.encoding, self.moments.samples
        moments = [binary.of_states(part, encoding).statistics for part in parts]
        return np.array([len(part) * counted / len(self.states) for part in parts]), np.array(
            moments
        )

    @property
    def sums(self) -> Pairwise:
        """What sums over states rest on."""
        if self.posed is None and self.moments.sites > enumeration.LARGEST:
            raise FitError(
                f"the states of {self.moments.sites} sites are too many to sum over: draw a "
                "reweighting sample first, by a route"
            )
        return self.posed or Pairwise(self.moments, self.prior)

    # Densities and draws

    def pymc(self, *, centred: bool = False) -> pm.Model:
        """Define the model in PyMC, with ``h``, ``J``, and ``scale`` where it is inferred.

        Parameters
        ----------
        centred : as of ``CouplingPrior.pymc``.

        Raises
        ------
        FitError : too many sites.
        """
        import pymc as pm
        import pytensor.tensor as pt

        data, sites = self.moments, self.moments.sites
        if sites > MOST_IN_PYMC:
            raise FitError(
                f"PyMC holds all states of at most {MOST_IN_PYMC} sites, not of {sites}: "
                "use the method mcmc or laplace"
            )
        states = binary.decoded(np.arange(1 << sites), sites, data.encoding).astype(float)
        i, j = binary.pairs(sites)
        features = np.concatenate([states, states[:, i] * states[:, j]], axis=1)
        with pm.Model(coords={"site": np.arange(sites), "pair": np.arange(i.size)}) as model:
            theta = pt.concatenate(self.prior.pymc("site", "pair", centred))
            log_z = pt.logsumexp(pt.dot(features, theta))
            seen = pt.dot(data.statistics, theta) - log_z
            pm.Potential("states", np.float64(data.samples) * seen)
        return model

    def named(self, theta: np.ndarray, scale: np.ndarray) -> Draws:
        """Name packed draws, (..., parameter) and (...)."""
        h, J = enumeration.unpack(theta)
        return {"h": h, "J": J} | ({"scale": scale} if self.prior.inferred else {})

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw fields, couplings and their width from the prior, (size, ...)."""
        h, J, scale = self.prior.sample(rng, self.moments.sites, self.moments.pair.size, size)
        return self.named(enumeration.pack(h, J), scale)

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior at each draw."""
        return self.prior.log_factors(draws["h"], draws["J"], draws.get("scale", 1.0))

    def log_likelihood(self, draws: Draws) -> Draws:
        """Log likelihood of each block of states."""
        theta = enumeration.pack(draws["h"], draws["J"])
        return self._of_blocks(theta, self.sums.log_partition(theta))

    def _of_blocks(self, theta, log_z):
        size, phi = self.blocks
        return {"states": size * (theta @ phi.T - log_z[..., np.newaxis])}

    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw as many states as the data have, and summarise them."""
        theta = enumeration.pack(draws["h"], draws["J"])
        flat = theta.reshape(-1, theta.shape[-1])
        made = predictive.replicas(self.sums, flat, rng)
        return predictive.statistics(made, theta.shape[:-1])

    def observing(self, data: Draws) -> BoltzmannMachine:
        """Return the same model of data that are known by their moments."""
        old = self.moments
        seen = Moments(old.encoding, old.samples, data["mean"], data["pair_mean"])
        bare = {"states": None, "reweighting": None, "posed": None, "remembered": None}
        return replace(self, moments=seen, **bare)

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Make replicas, discrepancies and log likelihood; one sum over states serves all."""
        theta = enumeration.pack(draws["h"], draws["J"])
        log_z, phi = self.sums.expectations(theta)
        replicas = predictive.spread(
            self.sums, predictive.replicas, theta, settings, "posterior predictive"
        )
        expected = dict(zip(("mean", "pair_mean"), enumeration.unpack(phi), strict=True))
        if predictive.OF_TRIPLES.keys() <= self.discrepancies.keys():
            middle = theta.reshape(-1, theta.shape[-1]).mean(axis=0)
            expected["triples"] = predictive.beyond_pairs(middle, self.moments.encoding)

        def discrepancies(seen: Draws) -> np.ndarray:
            values = [t(seen, expected, self.moments) for t in self.discrepancies.values()]
            return np.stack([np.broadcast_to(one, log_z.shape) for one in values], axis=-1)

        return Outlook(
            replicas,
            self._of_blocks(theta, log_z),
            discrepancies(replicas),
            discrepancies(self.seen),
            statistics={"log_partition": log_z},
        )

    def prior_predictive(self, draws: Draws, settings: Settings) -> Draws:
        """Draw the states that draws from the prior, (size, ...), would make."""
        theta = enumeration.pack(draws["h"], draws["J"])
        many = self.moments.sites > enumeration.LARGEST
        make = predictive.short_replicas if many else predictive.replicas
        return predictive.spread(self.sums, make, theta, settings, "prior predictive")


def problem(
    states: np.ndarray | xr.DataArray | Moments,
    *,
    encoding: str,
    prior: str | CouplingPrior = "normal",
    reweighting: ReweightingSample | None = None,
    effective: int | str | None = None,
) -> BoltzmannMachine:
    """Check states and state every prior.

    Parameters
    ----------
    states : (sample, site): an array, or a DataArray with dimensions ``sample`` and ``site``, whose
        labels of sites are kept; or ``Moments``, which the likelihood needs no more than, though
        fewer statistics can then be checked.
    encoding : "±1" or "0/1", of states, prior, fields and couplings.
    prior : ``normal`` (of fixed widths), ``inferred``, ``laplace`` or ``horseshoe`` (the couplings'
        width has a half-Cauchy prior), or a ``CouplingPrior``.
    reweighting : of ``draw_reweighting_sample``, which spares a search for the optimum.
    effective : as how many independent states these count: a number, ``auto`` for as many as their
        autocorrelation time leaves, or None for all. A coordinate ``repeat`` of theirs says where
        one recording ends and the next begins.

    Raises
    ------
    DataError : states of another encoding or form; more states than there are. FitError : an
        unknown prior.
    """
    told, coords = stated(prior, encoding), getattr(states, "coords", {})
    if isinstance(states, Moments):
        data = moments_of(states, encoding)
        return BoltzmannMachine(data, told, np.arange(data.sites), reweighting=reweighting)
    checked = binary.validated(states, encoding)
    site = np.asarray(coords.get("site", np.arange(checked.shape[1])))
    repeat = coords.get("repeat")
    memory = memory_of(checked, None if repeat is None else np.asarray(repeat), site)
    data = binary.of_states(checked, encoding)
    data = replace(data, samples=counted(effective, len(checked), memory))
    return BoltzmannMachine(data, told, site, checked, reweighting, remembered=memory)


def counted(effective: int | str | None, samples: int, memory: Memory) -> int:
    """Return as how many independent states some count, of which the memory is known.

    Raises
    ------
    DataError : neither ``auto`` nor a number from 1 to that of the states.
    """
    if effective is None:
        return samples
    if effective == "auto":
        return max(1, round(samples / memory.time))
    number = int(effective) if str(effective).isdecimal() else 0
    if not 1 <= number <= samples:
        raise DataError(
            "states cannot count as that many",
            expected=f"auto, or 1 to {samples}",
            found=effective,
        )
    return number


def _of_order(problem):
    """Ask for independent states that do not drift, in words that say what is known of them."""
    memory, states, counted = problem.remembered, len(problem.states), problem.moments.samples
    said = "the order of the states shows no memory"
    if memory.slowest:
        time = f"{memory.slowest} has an autocorrelation time of {memory.time:.3g} states"
        said = f"successive states are not independent: {time}"
        if counted < states:
            said = f"{states} states count as {counted}, since {time}"
    drift = f"between halves {memory.drifting} differs by {{value:.1f}} standard errors"
    independent = Question(
        name="independent states",
        variable="memory",
        worst="max",
        limit=MEMORY,
        relation="≤",
        required=True,
        said=said,
        remedy="count as many as are independent (--effective auto, in Python effective='auto'), "
        "or shuffle the rows if their order means nothing",
    )
    steady = Question(
        name="drift",
        variable="drift",
        worst="max",
        limit=round(memory.drift_limit, 2),
        relation="≤",
        required=True,
        said=drift,
        remedy="fit parts of the recording apart, since no one distribution made them all",
    )
    return independent, steady


def of_matrices(sites: int) -> float:
    """Return the bytes of three matrices of all parameters, which a fit holds at once."""
    return 3 * 8.0 * (sites * (sites + 1) // 2) ** 2


def refuse_unless_fits(sites: int) -> None:
    """Refuse more sites than memory holds matrices for, before any state is drawn.

    Raises
    ------
    FitError : how many would fit.
    """
    size = of_matrices(sites)
    most = int(sites * min(1.0, (capacity.SHARE * capacity.available() / size) ** 0.25))
    capacity.require(size, f"a fit of {sites} sites", f"at most {most} sites (--cells)")


def moments_of(states: np.ndarray | xr.DataArray | Moments, encoding: str) -> Moments:
    """Return the moments of states, or moments as they are if their encoding is this one."""
    if not isinstance(states, Moments):
        return binary.moments(states, encoding)
    if states.encoding != binary.known(encoding):
        raise DataError(
            "the moments are of another encoding",
            expected=encoding,
            found=states.encoding,
            remedy=f"pass .encoded({encoding!r})",
        )
    return states

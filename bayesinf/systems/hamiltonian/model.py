"""Motions as a problem: an energy with unknown weights, states with noise, rates where measured.

    x_j(0) unknown,  ẋ = J ∇H_w(x) − (0, γ p),   y_ij = x_j(t_i) + ε_ij,   r_ij = ẋ(x_j(t_i)) + η_ij

The states are followed from initial states that are inferred (``treated``); or they are taken as
they were measured, and only the rates scatter, which are then linear in w. That is the usual
shortcut, and it is biased: noise in the states is noise in the input. In either case the data are,
around an optimum, linear in weights, damping and initial states, which are normal given the
hyperparameters: ``linearised`` has that posterior in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bayesinf.diagnostics import Neighbours
from bayesinf.inference.kinds import Question
from bayesinf.models import noise
from bayesinf.models.problem import Draws, Labels, Outlook, Problem
from bayesinf.posterior import dataset
from bayesinf.priors import LogNormal, Normal, Prior
from bayesinf.settings import Settings
from bayesinf.systems.hamiltonian.data import RATES, STATES, Record
from bayesinf.systems.hamiltonian.energies import INPUTS, Energy, Frame
from bayesinf.systems.hamiltonian.linear import Linear
from bayesinf.systems.hamiltonian.network import Network
from bayesinf.systems.hamiltonian.paths import Flow, integrated, steps_of
from bayesinf.systems.hamiltonian.routes import CLOSED, FOLLOWED
from bayesinf.systems.hamiltonian.statistics import statistics

__all__ = ["Motion"]

TYPICAL_NOISE = 0.05  # median of the prior of a noise, over the sd of what is measured
PART = 200  # draws that are followed at once
MOST_KEPT = 100  # replicas that are kept of each chain
INSTANT = "instant"  # what leave-one-out leaves out: all that was measured at one
RING = 0.7  # half-widths of the data at which the energy is reported


@dataclass(frozen=True)
class Motion(Problem):
    """Motions, an energy and what is asked of them.

    Parameters
    ----------
    record : the motions.
    energy : of unknown weights.
    frame : where the data are.
    treated : whether states are followed from initial states, or taken as they were measured.
    damped : whether a damping is inferred.
    given : parameter to a prior in place of the default.
    units : of ``q``, ``p`` and ``t``.
    """

    record: Record
    energy: Energy | Network
    frame: Frame
    treated: bool = True
    damped: bool = False
    given: Mapping[str, Prior] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    family = "hamiltonian"
    questions = (
        Question(
            "optimum",
            "last_step",
            "max",
            0.01,
            "≤",
            True,
            "the last step to the optimum was {value:.1g} posterior sd",
            "state other priors, or fewer terms",
        ),
    )

    @property
    def routes(self):
        """Ways to draws."""
        return CLOSED if self.linear else FOLLOWED

    @property
    def model(self):
        """What is fitted, in a word or two."""
        path = "paths from inferred states" if self.treated else "rates at states as measured"
        return f"a Hamiltonian by {path}" + (", damped" if self.damped else "")

    @property
    def equation(self):
        """The model with its likelihood, in LaTeX."""
        loss = r" - \gamma p" if self.damped else ""
        seen = r"y = x(t) + \varepsilon" if self.treated else r"\dot y = \dot x(y) + \varepsilon"
        flow = rf"\dot q = \partial H / \partial p, \quad \dot p = -\partial H / \partial q{loss}"
        return rf"{flow}, \quad {seen}, \quad {self.energy.words}"

    # What is measured, and where.

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """Variables that scatter."""
        return (*STATES, *self.record.rates) if self.treated else RATES

    @cached_property
    def rows(self) -> Mapping[str, np.ndarray]:
        """Their values, (row,) each; rates that were not measured are differences of states."""
        held = {name: values[self.record.seen] for name, values in self.record.values.items()}
        if not self.treated:
            different = dict(zip(RATES, self.record.differences.T, strict=True))
            held |= {name: different[name] for name in RATES if name not in held}
        return {name: held[name] for name in self.measured}

    @cached_property
    def flow(self) -> Flow:
        """Rates of change."""
        return Flow(self.energy, self.damped)

    @cached_property
    def steps(self) -> int:
        """Steps of the scheme between two instants."""
        return steps_of(self.record.times, self.frame.time)

    @property
    def paths(self) -> int:
        """Number of paths."""
        return len(self.record.times)

    @cached_property
    def size(self) -> int:
        """Weights, damping and initial states together."""
        return self.flow.size + (2 * self.paths if self.treated else 0)

    # Priors.

    @cached_property
    def hyper(self) -> Mapping[str, Prior]:
        """Prior of each hyperparameter, an amplitude, length scales and noises."""
        found = dict(self.energy.priors)
        for name in self.measured:
            sd = float(np.std(self.rows[name]))
            found[f"noise[{name}]"] = LogNormal(TYPICAL_NOISE * sd, 1.5)
        return {name: self.given.get(name, prior) for name, prior in found.items()}

    @property
    def scalars(self) -> tuple[str, ...]:
        """Hyperparameters of the energy that are one number."""
        return tuple(name for name in self.energy.priors if "[" not in name)

    @property
    def linear(self) -> bool:
        """Whether the data are linear in all but the hyperparameters."""
        return self.energy.linear and not self.treated

    @cached_property
    def gamma(self) -> Normal:
        """Prior of the damping: normal, since a motion may gain energy as well."""
        return self.given.get("gamma", Normal(0.0, 0.5 / self.frame.time))

    def values(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Hyperparameters at standardised points (..., hyperparameter)."""
        pair = zip(self.hyper.items(), np.moveaxis(u, -1, 0), strict=True)
        return {name: prior.from_normal(each) for (name, prior), each in pair}

    @cached_property
    def prior_mean(self) -> np.ndarray:
        """Prior mean of what is linear, (parameter,)."""
        damping = [self.gamma.mean] if self.damped else []
        start = np.tile(self.frame.centre, self.paths) if self.treated else []
        return np.concatenate([np.zeros(self.energy.size), damping, start])

    def prior_sd(self, hyper: Mapping[str, np.ndarray]) -> np.ndarray:
        """Prior sd of what is linear at hyperparameters (...): (..., parameter)."""
        damping = [self.gamma.sd] if self.damped else []
        start = np.tile(self.frame.half, self.paths) if self.treated else []
        lead = np.shape(next(iter(hyper.values())))
        parts = [self.energy.prior_sd(hyper), np.concatenate([damping, start])]
        return np.concatenate([np.broadcast_to(p, (*lead, p.shape[-1])) for p in parts], axis=-1)

    def unpacked(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Parameters of the flow, and initial states (..., path, 2), of what is linear."""
        flow, start = np.split(np.asarray(theta), [self.flow.size], axis=-1)
        return flow, start.reshape(*start.shape[:-1], -1, 2) if self.treated else None

    # Prediction.

    def predicted(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Mean of what is measured at parameters (..., parameter): variable to (..., row)."""
        flow, start = self.unpacked(theta)
        if not self.treated:
            x = np.broadcast_to(self.record.states, (*flow.shape[:-1], *self.record.states.shape))
            return dict(zip(RATES, np.moveaxis(self.flow.rates(x, flow), -1, 0), strict=True))
        x = integrated(self.flow, self.record.times, start, flow, self.steps)
        x = x[..., self.record.seen, :]
        found = dict(zip(STATES, np.moveaxis(x, -1, 0), strict=True))
        if self.record.rates:
            rates = np.moveaxis(self.flow.rates(x, flow), -1, 0)
            found |= dict(zip(RATES, rates, strict=True))
        return {name: found[name] for name in self.measured}

    def design(self, theta: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Mean of what is measured, and its derivative (row, parameter), at one point."""
        flow, start = self.unpacked(theta)
        if not self.treated:
            slope = self.flow.by_theta(self.record.states, flow)
            return self.predicted(theta), dict(zip(RATES, np.moveaxis(slope, 1, 0), strict=True))
        x, s = integrated(self.flow, self.record.times, start, flow, self.steps, sensitive=True)
        seen, size = self.record.seen, self.flow.size
        x, s = x[seen], s[seen]
        path = np.nonzero(seen)[0]
        wide = np.zeros((len(x), 2, self.size))
        wide[..., :size] = s[..., :size]
        rows = np.arange(len(x))
        for k in range(2):
            wide[rows, :, size + 2 * path + k] = s[..., size + k]
        mean = dict(zip(STATES, x.T, strict=True))
        slope = dict(zip(STATES, np.moveaxis(wide, 1, 0), strict=True))
        if self.record.rates:
            along = self.flow.by_state(x, flow) @ wide
            along[..., :size] += self.flow.by_theta(x, flow)
            mean |= dict(zip(RATES, self.flow.rates(x, flow).T, strict=True))
            slope |= dict(zip(RATES, np.moveaxis(along, 1, 0), strict=True))
        return tuple({n: part[n] for n in self.measured} for part in (mean, slope))

    def ignoring(self) -> Motion:
        """The same energy from rates at the states as they were measured."""
        return replace(self, treated=False)

    def linearised(self, theta: np.ndarray) -> Linear:
        """The problem with the data linear around one point."""
        return Linear.of(self, theta)

    # What the driver asks.

    def posterior(self, u: np.ndarray, theta: np.ndarray) -> Draws:
        """Draws of the posterior's variables from hyperparameters and what is linear."""
        hyper = self.values(u)
        flow, start = self.unpacked(theta)
        weight, gamma = self.flow.split(flow)
        found = {"noise": np.stack([hyper[f"noise[{n}]"] for n in self.measured], axis=-1)}
        found |= {name: hyper[name] for name in self.scalars}
        if self.energy.length_inputs:
            scales = [hyper[f"length_scale[{name}]"] for name in self.energy.length_inputs]
            found["length_scale"] = np.stack(scales, axis=-1)
        found |= {"gamma": gamma} if self.damped else {}
        found |= {"energy": self.energy_at_sites(weight), "weight": weight}
        return found | ({"start": start} if self.treated else {})

    def packed(self, draws: Draws) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Hyperparameters by name, and what is linear (..., parameter), of draws."""
        hyper = {f"noise[{n}]": draws["noise"][..., k] for k, n in enumerate(self.measured)}
        hyper |= {name: draws[name] for name in self.scalars}
        for k, name in enumerate(self.energy.length_inputs):
            hyper[f"length_scale[{name}]"] = draws["length_scale"][..., k]
        parts = [draws["weight"]]
        parts += [draws["gamma"][..., None]] if self.damped else []
        if self.treated:
            start = draws["start"]
            parts.append(start.reshape(*start.shape[:-2], -1))
        return hyper, np.concatenate(parts, axis=-1)

    @cached_property
    def sites(self) -> np.ndarray:
        """Where the energy is reported: eight states on a ring, and its middle, (site, 2)."""
        angle = np.arange(8) * np.pi / 4
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return self.frame.centre + RING * self.frame.half * np.vstack([ring, np.zeros((1, 2))])

    def energy_at_sites(self, weight: np.ndarray) -> np.ndarray:
        """Energy at the sites less its mean over the ring, (..., site): a constant is not known."""
        found = self.energy.value(self.sites, weight)
        return found - found[..., :-1].mean(axis=-1, keepdims=True)

    @cached_property
    def parameters(self) -> Labels:
        """Labels of the parameters."""
        q, p, t = (self.units.get(name, "1") for name in ("q", "p", "t"))
        unit = "1" if (q, p, t) == ("1", "1", "1") else f"{q} {p}/{t}"
        rate = "1" if t == "1" else f"1/{t}"
        dims = {"noise": ("measured",), "length_scale": ("input",), "energy": ("site",)}
        dims |= {"weight": ("term",), "start": ("path", "coordinate")}
        coords = {
            "measured": list(self.measured),
            "input": list(self.energy.length_inputs or INPUTS),
            "site": [f"q = {x[0]:.3g}, p = {x[1]:.3g}" for x in self.sites],
            "term": list(self.energy.labels),
            "path": [f"{name} ({k})" for k, name in enumerate(self.record.trial)],
            "coordinate": list(STATES),
        }
        return Labels(dims, coords, {"energy": unit, "amplitude": unit, "gamma": rate})

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of what is linear."""
        found = [f"weight[{name}]" for name in self.energy.labels]
        found += ["gamma"] if self.damped else []
        paths = self.parameters.coords["path"] if self.treated else []
        return (*found, *(f"start[{path}, {name}]" for path in paths for name in STATES))

    @cached_property
    def data(self) -> Labels:
        """Labels of the data."""
        path = np.nonzero(self.record.seen)[0]
        coords = {
            "row": np.arange(len(path)),
            "t": ("row", self.record.times[self.record.seen], {"units": self.units.get("t", "1")}),
            "trial": ("row", self.record.trial[path]),
            "path": ("row", path),
        }
        units = {name: self.units.get(name, "1") for name in self.measured}
        return Labels(dict.fromkeys(self.measured, ("row",)), coords, units)

    @cached_property
    def observed(self):
        """The data."""
        return self.data.group(self.rows, sampled=False)

    @cached_property
    def constants(self):
        """The states as they were measured, and where the energy is reported."""
        arrays = {f"measured_{name}": self.record.states[:, k] for k, name in enumerate(STATES)}
        dims = dict.fromkeys(arrays, ("row",))
        labels = {"row": np.arange(len(self.record.states)), "coordinate": list(STATES)}
        return dataset(
            arrays | {"site_state": self.sites},
            dims | {"site_state": ("site", "coordinate")},
            labels | {"site": self.parameters.coords["site"]},
            sampled=False,
        )

    @cached_property
    def priors(self):
        """Parameters with their priors in words."""
        found = {name: str(prior) for name, prior in self.hyper.items()}
        found["weight"] = "quadratic terms Normal of wide sd, waves of a squared exponential's sd"
        found |= {"gamma": str(self.gamma)} if self.damped else {}
        if self.treated:
            found["start"] = "Normal about the middle of the data, sd half their range"
        return found

    @property
    def hyperparameters(self):
        """Factors of the prior that prior sensitivity scales."""
        scales = ("length_scale",) if self.energy.length_inputs else ()
        return ("noise", *self.scalars, *scales)

    def sample_prior(self, rng, size):
        """Draw from the prior."""
        u = rng.standard_normal((size, len(self.hyper)))
        sd = self.prior_sd(self.values(u))
        return self.posterior(u, self.prior_mean + sd * rng.standard_normal((size, self.size)))

    def log_factors(self, draws):
        """Log density of each factor of the prior."""
        hyper, theta = self.packed(draws)
        sd = self.prior_sd(hyper)
        each = -0.5 * ((theta - self.prior_mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        names = {"noise": "noise[", "length_scale": "length_scale["}
        names |= {name: name for name in self.scalars}
        found = {}
        for name, begin in names.items():
            parts = [p.log_density(hyper[n]) for n, p in self.hyper.items() if n.startswith(begin)]
            if parts:
                found[name] = np.sum(parts, axis=0)
        m, size = self.energy.size, self.flow.size
        found["weight"] = each[..., :m].sum(axis=-1)
        if self.damped:
            found["gamma"] = each[..., m]
        if self.treated:
            found["start"] = each[..., size:].sum(axis=-1)
        return found

    def _noise(self, draws):
        return {name: draws["noise"][..., k, None] for k, name in enumerate(self.measured)}

    def means(self, draws: Draws) -> dict[str, np.ndarray]:
        """Mean of what is measured, some draws at a time: variable to (..., row)."""
        _, theta = self.packed(draws)
        flat = theta.reshape(-1, theta.shape[-1])
        parts = [self.predicted(flat[k : k + PART]) for k in range(0, len(flat), PART)]
        return {
            name: np.concatenate([part[name] for part in parts]).reshape(*theta.shape[:-1], -1)
            for name in self.measured
        }

    @cached_property
    def pointwise(self):
        """Labels of the log likelihood: one number of all that was measured at an instant."""
        return Labels({INSTANT: ("row",)}, self.data.coords)

    def log_likelihood(self, draws):
        """Log likelihood of each instant."""
        return self._pointwise(self.means(draws), self._noise(draws))

    def _pointwise(self, means, noise):
        each = (
            -0.5 * ((self.rows[name] - means[name]) / noise[name]) ** 2 - np.log(noise[name])
            for name in self.measured
        )
        return {INSTANT: sum(each) - 0.5 * len(self.measured) * np.log(2 * np.pi)}

    def replicate(self, draws, rng):
        """Draw data like those observed."""
        return self._replicated(self.means(draws), self._noise(draws), rng)

    def _replicated(self, means, noise, rng):
        return {n: m + noise[n] * rng.standard_normal(m.shape) for n, m in means.items()}

    @cached_property
    def discrepancies(self):
        """Statistic to a function of standardised residuals and of the motion."""
        path = np.nonzero(self.record.seen)[0]
        times = self.record.times[self.record.seen]
        return statistics(self, noise.asked(Neighbours.along(times, path)))

    def outlook(self, draws, settings: Settings) -> Outlook:
        """Look at the data from draws; replicas are thinned, the statistics are not."""
        means, noise = self.means(draws), self._noise(draws)
        rng = settings.generator("posterior predictive")
        _, theta = self.packed(draws)
        flow, _ = self.unpacked(theta)
        replicas = self._replicated(means, noise, rng)
        if self.treated:
            x = np.stack([means[name] for name in STATES], axis=-1)
        else:
            x = np.broadcast_to(self.record.states, (*theta.shape[:-1], *self.record.states.shape))
        rates = self.flow.rates(x, flow)
        sides = []
        for side in (replicas, self.rows):
            residual = {n: (side[n] - means[n]) / noise[n] for n in self.measured}
            asked = self.discrepancies.values()
            sides.append(np.stack([f(residual, x, rates) for f in asked], axis=-1))
        kept = np.arange(0, theta.shape[1], -(-theta.shape[1] // MOST_KEPT))
        kept = None if len(kept) == theta.shape[1] else kept
        if kept is not None:
            replicas = {name: values[:, kept] for name, values in replicas.items()}
        return Outlook(replicas, self._pointwise(means, noise), *sides, kept=kept)

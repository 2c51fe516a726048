"""A PyMC model of the user's as a ``Problem``: everything is asked of the model itself.

Names, dimensions and coordinates are the model's; draws of the prior and replicas come from PyMC's
forward sampling, prior and pointwise likelihood from its log densities.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.density import routes, symbols
from bayesinf.models.density.definition import Density
from bayesinf.models.problem import Draws, Labels, Route
from bayesinf.posterior import dataset, element_names

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Program"]


class Program(Density):
    """A PyMC model with continuous parameters.

    Parameters
    ----------
    definition : the model.
    name : of it.
    units : variable to unit.

    Raises
    ------
    FitError : a parameter is discrete, or there is none.
    """

    routes: Mapping[str, Route] = {
        "nuts": Route(routes.nuts, "nuts"),
        "laplace": Route(routes.laplace, "laplace"),
        "ensemble": Route(routes.walkers, "ensemble"),
    }

    def __init__(
        self, definition: pm.Model, name: str | None = None, units: Mapping[str, str] = {}
    ):
        self.definition = definition
        self.model = name or definition.name or "PyMC model"
        self.parameter_names = [rv.name for rv in definition.free_RVs]
        self.variables = [*self.parameter_names, *(d.name for d in definition.deterministics)]
        discrete = [v.name for v in definition.free_RVs if v.dtype.startswith(("int", "uint", "b"))]
        if discrete or not self.parameter_names:
            raise FitError(
                f"the parameters {', '.join(discrete)} are discrete: sum them out, or sample the "
                "model by pymc.sample, whose result bayesinf.check takes"
                if discrete
                else "the model has no parameters: nothing to infer"
            )
        self.units = dict(units)
        self.observed, self.constants = self._known_data()
        self.parameters = self.data = self._labels()
        self.hyperparameters = self._top()
        if not definition.observed_RVs:
            questions = ("predictive check", "leave-one-out", "prior sensitivity")
            self.unasked = dict.fromkeys(questions, "the model has no data")

    @cached_property
    def pointwise(self) -> Labels:
        """Labels of the log likelihood; a vector with one density, such as of counts that share a
        total, is one observation.
        """
        dims = dict(self.data.dims)
        for rv in self.definition.observed_RVs:
            inner = getattr(rv.owner.op, "ndim_supp", 0)
            dims[rv.name] = dims[rv.name][: rv.ndim - inner]
        return Labels(dims, self.data.coords, self.units)

    def pymc(self) -> pm.Model:
        """Return the model itself."""
        return self.definition

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw parameters and what follows from them from the prior; potentials are left out."""
        import pymc as pm

        try:
            with symbols.quiet():
                tree = pm.sample_prior_predictive(
                    size,
                    model=self.definition,
                    var_names=self.variables,
                    random_seed=int(rng.integers(2**31)),
                )
        except NotImplementedError as error:
            raise FitError(
                f"the prior cannot be drawn from ({error}): give each parameter a proper prior"
            ) from error
        return {name: tree["prior"][name].values[0] for name in self.variables}

    def log_factors(self, draws: Draws) -> Draws:
        """Log prior density of each parameter, given those that it depends on, and each potential;
        summed over their elements.
        """
        from pymc.stats import compute_log_prior

        found = self._asked(compute_log_prior, draws, self.parameter_names)
        found |= self._potentials_at(draws)
        return {
            name: values.reshape(*self._lead(draws), -1).sum(axis=-1)
            for name, values in found.items()
        }

    def log_likelihood(self, draws: Draws) -> Draws:
        """Pointwise log likelihood of each observed variable."""
        from pymc.stats import compute_log_likelihood

        names = [rv.name for rv in self.definition.observed_RVs]
        return self._asked(compute_log_likelihood, draws, names) if names else {}

    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw data like those observed."""
        import pymc as pm

        names = [rv.name for rv in self.definition.observed_RVs]
        if not names:
            return {}
        with symbols.quiet():
            tree = pm.sample_posterior_predictive(
                self._tree(draws)["posterior"].to_dataset(),
                model=self.definition,
                var_names=names,
                random_seed=int(rng.integers(2**31)),
                progressbar=False,
            )
        found, lead = tree["posterior_predictive"], self._lead(draws)
        return {name: found[name].values.reshape(*lead, *found[name].shape[2:]) for name in names}

    def observing(self, data: Draws) -> Program:
        """Return the same model of other data; the user's own stays as it is.

        Raises
        ------
        FitError : the model has potentials, which draws from its prior leave out.
        """
        import pytensor.tensor as pt
        from pymc.model.fgraph import clone_model

        if self.definition.potentials:
            names = ", ".join(potential.name for potential in self.definition.potentials)
            raise FitError(
                f"draws from the prior leave out the potential {names}, so data that they make are "
                "none of this model's: state it as a distribution"
            )
        copy = clone_model(self.definition)
        for rv in copy.observed_RVs:
            old = copy.rvs_to_values.pop(rv)
            new = pt.as_tensor_variable(np.asarray(data[rv.name], dtype=old.dtype), name=rv.name)
            copy.values_to_rvs.pop(old)
            copy.rvs_to_values[rv], copy.values_to_rvs[new] = new, rv
        return Program(copy, self.model, self.units)

    # --- unconstrained coordinates ----------------------------------------------------------------

    @cached_property
    def coordinates(self):
        """Labels of the unconstrained coordinates, those of the parameters where shapes agree."""
        labels, dims = [], self.parameters.dims
        for rv, value in zip(self.definition.free_RVs, self.definition.value_vars, strict=True):
            array = self._point[value.name]
            # A simplex has a coordinate less than elements, so its coordinates are only counted.
            same = array.shape == tuple(self.definition.eval_rv_shapes()[rv.name])
            own = dims[rv.name] if same else [f"coordinate_{k}" for k in range(array.ndim)]
            coords = self.parameters.coords if same else {}
            group = dataset({rv.name: array}, {rv.name: own}, coords, sampled=False)
            labels += element_names(group[rv.name])
        return labels

    def starts(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """The model's initial point, and draws from the prior."""
        draws = self.sample_prior(rng, count - 1)
        points = [np.concatenate([np.ravel(value) for value in self._point.values()])]
        for k in range(count - 1):
            values = self._forward(*(draws[name][k] for name in self.parameter_names))
            points.append(np.concatenate([np.ravel(value) for value in values]))
        return np.stack(points).astype(float)

    def value_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and its gradient, by PyTensor."""
        value, gradient = self._gradient(point)
        return float(value), gradient

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density at many points in one call; what is not a number is no density."""
        (values,) = self._blocks(self._density, points)
        return np.where(np.isnan(values), -np.inf, values)

    def at(self, points: np.ndarray) -> Draws:
        """Values of the parameters, and of what follows from them."""
        found = self._blocks(self._values, points.reshape(-1, points.shape[-1]))
        lead = points.shape[:-1]
        return {
            name: values.reshape(*lead, *values.shape[1:])
            for name, values in zip(self.variables, found, strict=True)
        }

    # --- the parameters themselves ----------------------------------------------------------------

    def require_own_coordinates(self):
        """Refuse parameters that are fewer numbers than elements, such as a simplex.

        Raises
        ------
        FitError : there is such a parameter, which has no density of its own elements.
        """
        for rv, value in zip(self.definition.free_RVs, self.definition.value_vars, strict=True):
            if self._point[value.name].shape != tuple(self.definition.eval_rv_shapes()[rv.name]):
                raise FitError(f"the elements of {rv.name} are tied to each other: no covariance")

    def log_density_at(self, points: np.ndarray) -> np.ndarray:
        """Log density of the parameters themselves, (point, element) -> (point,)."""
        forward, density = self._own
        shapes = [self._point[v.name].shape for v in self.definition.value_vars]
        cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        found = np.full(len(points), -np.inf)
        for k, point in enumerate(points):
            parts = [p.reshape(s) for p, s in zip(np.split(point, cuts), shapes, strict=True)]
            with np.errstate(all="ignore"):
                real = np.concatenate([np.ravel(each) for each in forward(*parts)])
                if np.isfinite(real).all():
                    found[k] = density(real)
        return np.where(np.isnan(found), -np.inf, found)

    @cached_property
    def _own(self):
        """Parameters to coordinates, and coordinates to the density without the Jacobian."""
        import pymc as pm

        (density,), point = self._joined([self.definition.logp(jacobian=False)])
        return self._forward, pm.compile([point], density)

    @cached_property
    def _forward(self):
        """Parameters to coordinates, in the order of the model."""
        import pymc as pm

        free, transforms = self.definition.free_RVs, self.definition.rvs_to_transforms
        return pm.compile(
            free,
            [
                rv if transforms[rv] is None else transforms[rv].forward(rv, *rv.owner.inputs)
                for rv in free
            ],
            on_unused_input="ignore",
        )

    @cached_property
    def _point(self):
        """The model's initial point, value variable to array, in the order of the coordinates."""
        found = self.definition.initial_point()
        return {v.name: np.asarray(found[v.name]) for v in self.definition.value_vars}

    @cached_property
    def _gradient(self):
        import pymc as pm
        import pytensor

        density, point = self._joined([self.definition.logp()])
        return pm.compile([point], [*density, pytensor.grad(density[0], point)])

    @cached_property
    def _density(self):
        return self._batched([self.definition.logp()])

    @cached_property
    def _values(self):
        found = {variable.name: variable for variable in self.definition.unobserved_value_vars}
        return self._batched([found[name] for name in self.variables])

    def _potentials_at(self, draws):
        """Each potential's terms, with the axes of the draws."""
        if not self.definition.potentials:
            return {}
        lead = self._lead(draws)
        flat = [
            np.reshape(draws[n], (-1, *np.shape(draws[n])[len(lead) :]))
            for n in self.parameter_names
        ]
        terms = self._blocks(self._potentials, *flat)
        names = [potential.name for potential in self.definition.potentials]
        return {
            name: values.reshape(*lead, *values.shape[1:])
            for name, values in zip(names, terms, strict=True)
        }

    @cached_property
    def _potentials(self):
        """Potentials as a function of many draws of the parameters, (draw, ...) each."""
        import pymc as pm
        import pytensor.tensor as pt

        free = self.definition.free_RVs
        many = [pt.tensor(dtype=rv.dtype, shape=(None, *rv.type.shape)) for rv in free]
        return pm.compile(
            many,
            symbols.vectorised(self.definition.potentials, free, many),
            on_unused_input="ignore",
        )

    def _joined(self, outputs):
        """Outputs as functions of one vector of all coordinates."""
        from pymc.pytensorf import join_nonshared_inputs

        inputs = self.definition.value_vars
        return join_nonshared_inputs(point=self._point, outputs=outputs, inputs=inputs)

    def _batched(self, outputs):
        """Compile outputs as functions of many points, (point, coordinate)."""
        import pymc as pm
        import pytensor.tensor as pt

        outputs, point = self._joined(outputs)
        points = pt.matrix("points")
        full = symbols.vectorised(outputs, [point], [points])
        return pm.compile([points], full, on_unused_input="ignore")

    def _blocks(self, function, *many):
        """Evaluate in blocks that keep memory in bounds."""
        size = max(64, 2_000_000 // max(1, self._point_size))
        parts = [
            function(*(each[k : k + size] for each in many)) for k in range(0, len(many[0]), size)
        ]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    @cached_property
    def _point_size(self):
        observed = sum(variable.size for variable in self.observed.data_vars.values())
        return observed + sum(value.size for value in self._point.values())

    # --- labels -----------------------------------------------------------------------------------

    @cached_property
    def priors(self):
        """Each parameter's prior, and each potential, in words."""
        said = {rv.name: symbols.words(rv) for rv in self.definition.free_RVs}
        return said | {
            potential.name: "a factor of the density, stored with those of the prior, whose draws "
            "leave it out"
            for potential in self.definition.potentials
        }

    def _top(self):
        """Parameters whose prior hangs on no other, which prior sensitivity scales: the other
        priors, and potentials, are part of the model. None where that is all.
        """
        from pytensor.graph.traversal import ancestors

        free = self.definition.free_RVs
        top = [rv.name for rv in free if not {*free} & {*ancestors(rv.owner.inputs)}]
        return top if len(top) < len(free) or self.definition.potentials else None

    def _own_dims(self, name, ndim):
        given = self.definition.named_vars_to_dims.get(name) or (None,) * ndim
        return tuple(dim or f"{name}_dim_{k}" for k, dim in enumerate(given))

    def _labels(self):
        named = [self.definition[name] for name in self.variables] + self.definition.observed_RVs
        coords = {
            dim: np.asarray(values)
            for dim, values in self.definition.coords.items()
            if values is not None
        }
        dims = {variable.name: self._own_dims(variable.name, variable.ndim) for variable in named}
        return Labels(dims, coords, self.units)

    def _known_data(self):
        """Observed and constant data of the model."""
        from pymc.backends.arviz import find_constants, find_observations

        def group(found) -> xr.Dataset:
            arrays = {name: np.ma.filled(values, np.nan) for name, values in found.items()}
            dims = {name: self._own_dims(name, np.ndim(values)) for name, values in found.items()}
            return Labels(dims, self._labels().coords, self.units).group(arrays, sampled=False)

        constants = find_constants(self.definition)
        return group(find_observations(self.definition)), group(constants)

    def _lead(self, draws):
        """The axes of the draws, before a parameter's own."""
        name = self.parameter_names[0]
        values = draws[name]
        return values.shape[: values.ndim - self.definition[name].ndim]

    def _tree(self, draws):
        """The parameters' draws as PyMC takes them, chain and draw first."""
        import xarray as xr

        lead = self._lead(draws)
        axes = lead if len(lead) == 2 else (1, int(np.prod(lead)))
        arrays = {
            name: draws[name].reshape(*axes, *draws[name].shape[len(lead) :])
            for name in self.parameter_names
        }
        return xr.DataTree.from_dict({"posterior": self.parameters.group(arrays)})

    def _asked(self, function, draws, names):
        """What a function of PyMC's says of the draws, variable to array with their axes."""
        with symbols.quiet():
            found = function(
                self._tree(draws),
                var_names=names,
                model=self.definition,
                extend_inferencedata=False,
                progressbar=False,
            )
        lead = self._lead(draws)
        return {name: found[name].values.reshape(*lead, *found[name].shape[2:]) for name in names}

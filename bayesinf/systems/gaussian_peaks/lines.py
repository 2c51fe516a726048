"""Which curve a spectrum is: peaks of one shape on a background, in lmfit's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError

if TYPE_CHECKING:
    import lmfit
    import xarray as xr

__all__ = ["BACKGROUNDS", "POLYNOMIALS", "SHAPES", "Lines", "Shape"]


@dataclass(frozen=True)
class Shape:
    """A line shape of lmfit.

    Parameters
    ----------
    model : its class in ``lmfit.models``.
    area : area of a peak of height 1, in the peak's parameters.
    fwhm : full width at half maximum.
    extra : parameters besides height, centre and sigma.
    """

    model: str
    area: str
    fwhm: str
    extra: tuple[str, ...] = ()


SHAPES = {
    "gaussian": Shape("GaussianModel", "sqrt(2*pi)*{p}sigma", "2*sqrt(2*log(2))*{p}sigma"),
    "lorentzian": Shape("LorentzianModel", "pi*{p}sigma", "2*{p}sigma"),
    "voigt": Shape(
        "VoigtModel",
        "sqrt(2*pi)*{p}sigma/real(wofz(1j*{p}gamma/(sqrt(2)*{p}sigma)))",
        # Kielkopf's form of the width, right to 0.02 %: doi:10.1364/JOSA.63.000987
        "1.0692*{p}gamma+sqrt(0.8664*{p}gamma**2+8*log(2)*{p}sigma**2)",
        ("gamma",),
    ),
    "pseudo-voigt": Shape(
        "PseudoVoigtModel",
        "{p}sigma/((1-{p}fraction)*sqrt(log(2)/pi)+{p}fraction/pi)",
        "2*{p}sigma",
        ("fraction",),
    ),
}

# Names of the coefficients of a polynomial background, from the lowest power.
POLYNOMIAL = ("level", "slope", "curvature", "cubic")
POLYNOMIALS = {"constant": 1, "linear": 2, "quadratic": 3, "cubic": 4}
BACKGROUNDS = (*POLYNOMIALS, "exponential", "spline", "none")


def _polynomial(origin):
    """Return Σ_k c_k (x − origin)^k as a function whose arguments are the coefficients."""

    def background(x, level=0.0, slope=0.0, curvature=0.0, cubic=0.0):
        shift = x - origin
        return level + shift * (slope + shift * (curvature + shift * cubic))

    return background


def _spline(knots, origin, end):
    """Return the natural cubic spline through its values at evenly spaced knots."""

    def background(x, **values):
        weights = spline_weights(x, knots, origin, end)
        return sum(values[f"knot{k + 1}"] * weights[:, k] for k in range(knots))

    names = ["x", *(f"knot{k + 1}" for k in range(knots))]
    kind = Parameter.POSITIONAL_OR_KEYWORD
    background.__signature__ = Signature([Parameter(name, kind) for name in names])
    return background


def spline_weights(x: np.ndarray, knots: int, origin: float, end: float) -> np.ndarray:
    """Return what a natural cubic spline takes of its value at each knot, (point, knot)."""
    from scipy.interpolate import CubicSpline

    places = np.linspace(origin, end, knots)
    return CubicSpline(places, np.eye(knots), bc_type="natural")(x)


def _exponential(x, level, decay, origin):
    return level * np.exp(-(x - origin) / decay)


@dataclass(frozen=True)
class Lines:
    """Which curve it is.

    Parameters
    ----------
    peaks : how many.
    background : a polynomial, "constant" (``background_level``), "linear" (with
        ``background_slope``), "quadratic" (``background_curvature``) or "cubic"
        (``background_cubic``); "exponential" (level and ``background_decay``); "spline", natural
        and cubic (``background_knot1`` ..., its values at the knots); or "none".
    shape : "gaussian", "lorentzian", "voigt" (with ``gamma``) or "pseudo-voigt" (``fraction``).
    origin : x at which the background has its level, and where a spline begins.
    end : x where a spline ends.
    tied : whether all peaks have the same width.
    knots : of a spline.

    Raises
    ------
    FitError : an unknown shape or background, no peaks.
    """

    peaks: int = 1
    background: str = "constant"
    shape: str = "gaussian"
    origin: float = 0.0
    end: float = 1.0
    tied: bool = False
    knots: int = 6

    def __post_init__(self):
        known = {"shape": SHAPES, "background": BACKGROUNDS}
        for what, names in known.items():
            given = getattr(self, what)
            if given not in names:
                raise FitError(f"unknown {what} {given!r}: use one of {', '.join(names)}")
        if not 1 <= self.peaks == int(self.peaks):
            raise FitError(f"the number of peaks must be a positive integer, not {self.peaks}")
        if self.knots < 3:
            raise FitError(f"a spline needs at least 3 knots, not {self.knots}")

    def __str__(self):
        count = "one peak" if self.peaks == 1 else f"{self.peaks} peaks"
        shape = {"gaussian": "Gaussian", "lorentzian": "Lorentzian", "voigt": "Voigt"}
        kind = (
            f"{shape.get(self.shape, self.shape)}{', as wide as each other' if self.tied else ''}"
        )
        base = "no background" if self.background == "none" else f"{self.background} background"
        return f"{count} ({kind}), {base}"

    @classmethod
    def of(cls, fit: xr.DataTree) -> Lines:
        """Return what a fit says of itself."""
        return cls.told(fit.attrs)

    @classmethod
    def told(cls, attrs: Mapping[str, object]) -> Lines:
        """Return what ``attrs`` of others say."""
        given = {name: attrs[name] for name in cls.__dataclass_fields__}
        whole = {name: int(given[name]) for name in ("peaks", "knots")}
        return cls(**given | whole | {"tied": bool(given["tied"])})

    @property
    def attrs(self) -> dict[str, object]:
        """Root attributes in which a fit says it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "tied": int(self.tied)
        }

    @property
    def of_peaks(self) -> list[str]:
        """Free variables with an entry for each peak."""
        return ["center", "height", "sigma", *SHAPES[self.shape].extra]

    @property
    def of_background(self) -> list[str]:
        """Free variables of the background."""
        names = POLYNOMIAL[: POLYNOMIALS.get(self.background, 0)]
        if self.background == "exponential":
            names = ("level", "decay")
        if self.background == "spline":
            names = [f"knot{k}" for k in range(1, self.knots + 1)]
        return [f"background_{name}" for name in names]

    @property
    def fitted(self) -> list[str]:
        """All free variables, the noise aside."""
        return ["height", "center", *self.of_peaks[2:], *self.of_background]

    def names(self, variable: str) -> list[str]:
        """Return what lmfit calls a posterior variable, or the elements of one over peaks."""
        if variable.startswith("background_"):
            return [variable]
        return [f"p{k}_{variable}" for k in range(1, self.peaks + 1)]

    def free(self, variable: str) -> list[str]:
        """Return those of the ``names`` that are free: of a width that is shared, one."""
        return self.names(variable)[: 1 if self.tied and variable == "sigma" else None]

    def flat(self, values: Mapping[str, object]) -> dict[str, float]:
        """From posterior variables, a number or one for each peak, to lmfit's parameters."""
        result = {}
        for variable, value in values.items():
            names = self.names(variable)
            if np.size(value) not in (1, len(names)):
                raise FitError(
                    f"a start for {variable} needs one number or {len(names)}, not {np.size(value)}"
                )
            value = np.broadcast_to(value, len(names))
            free = self.free(variable)
            value = value if len(free) == len(names) else [np.mean(value)]
            result |= zip(free, np.asarray(value).tolist(), strict=True)
        return result

    def design(self, x: np.ndarray) -> np.ndarray:
        """Return the columns of a background that is linear in its variables, (point, variable)."""
        if self.background == "spline":
            return spline_weights(x, self.knots, self.origin, self.end)
        return np.vander(x - self.origin, POLYNOMIALS[self.background], increasing=True)

    @property
    def equation(self) -> str:
        """The curve in LaTeX."""
        sigma = r"\sigma" if self.tied else r"\sigma_k"
        form = {
            "gaussian": rf"\exp\left(-(x-x_k)^2/2{sigma}^2\right)",
            "lorentzian": rf"\frac{{{sigma}^2}}{{(x-x_k)^2+{sigma}^2}}",
        }.get(self.shape, rf"\mathrm{{{self.shape}}}(x-x_k)")
        base = {
            "none": "",
            "exponential": r"b_0\, e^{-(x-x_0)/d} + ",
            "spline": r"\mathrm{spline}(x) + ",
        }
        terms = ["b_0", "b_1 (x-x_0)", "b_2 (x-x_0)^2", "b_3 (x-x_0)^3"]
        powers = " + ".join(terms[: POLYNOMIALS.get(self.background, 0)]) + " + "
        count = "" if self.peaks == 1 else rf"\sum_{{k=1}}^{{{self.peaks}}} "
        whole = rf"f(x) = {base.get(self.background, powers)}{count}h_k {form}"
        return whole.replace("_k", "_1") if self.peaks == 1 else whole

    def lmfit(self) -> tuple[lmfit.Model, lmfit.Parameters]:
        """Return lmfit's Model, and its Parameters with heights free and areas tied to them."""
        import lmfit

        form, params = SHAPES[self.shape], lmfit.Parameters()
        model = self.lmfit_background(params)
        for k in range(1, self.peaks + 1):
            p = f"p{k}_"
            peak = getattr(lmfit.models, form.model)(prefix=p)
            model = peak if model is None else model + peak
            params.add(f"{p}height", value=1.0)
            params.add(f"{p}center", value=float(k))
            shared = {"expr": "p1_sigma"} if self.tied and k > 1 else {"value": 1.0, "min": 0}
            params.add(f"{p}sigma", **shared)
            for name in form.extra:
                params.add(f"{p}{name}", value=0.5, min=0, max=1 if name == "fraction" else np.inf)
            params.add(f"{p}amplitude", expr=f"{p}height*{form.area.format(p=p)}")
            params.add(f"{p}fwhm", expr=form.fwhm.format(p=p))
        return model, params

    def lmfit_background(self, params: lmfit.Parameters) -> lmfit.Model | None:
        """Return lmfit's Model of the background, None where there is none, and add its
        parameters to others.
        """
        import lmfit

        if self.background == "none":
            return None
        for name in self.of_background:
            params.add(name, value=1.0)
        if self.background == "exponential":
            params.add("background_origin", value=self.origin, vary=False)
            params["background_decay"].set(min=0)
            return lmfit.Model(_exponential, prefix="background_")
        names = [name.removeprefix("background_") for name in self.of_background]
        if self.background == "spline":
            function = _spline(self.knots, self.origin, self.end)
        else:
            function = _polynomial(self.origin)
        return lmfit.Model(
            function, independent_vars=["x"], param_names=names, prefix="background_"
        )

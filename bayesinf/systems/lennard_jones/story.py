"""The story of the report: question, answer, numbers, and what else the energies say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import predictive_statistics, prior_posterior, with_units
from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Story, Table, estimates, number
from bayesinf.systems.lennard_jones import figures
from bayesinf.systems.lennard_jones.figures import CALLED, first
from bayesinf.systems.lennard_jones.process import (
    MEANS,
    curves,
    physical,
    true_virial,
    truth_of,
    virial,
    well,
)

if TYPE_CHECKING:
    import xarray as xr


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the energies say, from the fits alone.

    Parameters
    ----------
    fits : ``MEAN_mean`` of the main data, ``NAME_MEAN_mean`` of further ones, where MEAN is zero,
        repulsive or lennard_jones; and ``learning_curve``. Results of ``compare`` and
        ``from_the_wall_inward`` are read from the repulsive fits' ``constant_data``.
    """
    data: dict[str, dict[str, xr.DataTree]] = {}
    for name, fit in fits.items():
        mean = next((m for m in MEANS if name.endswith(f"{m}_mean")), None)
        if mean is not None:
            data.setdefault(name.removesuffix(f"{mean}_mean").rstrip("_"), {})[mean] = fit
    (_, main), *others = data.items()
    best, learning = main["repulsive"], fits.get("learning_curve")
    return Story(
        title="A pair potential from a few energies",
        question=f"What do {len(best['observed_data']['y'])} "
        f"energies say about a pair potential ({_called(best)}), and is a wall worth having as "
        "prior mean?",
        answer=Section("With and without a wall", _answer(main), (_potential_picture("", main),)),
        numbers=Section(
            "The well, and the models compared",
            ("Depth, place of the minimum and zero crossing are read off each drawn curve; gamma "
             "is the slope of the wall, r0 where it begins.",),
            (),
            (Table(_well_table(main), f"{_called(best)}: the well, by prior mean."),
             Table(estimates(best), f"{_called(best)}: hyperparameters under the repulsive mean."),
             *_comparison(best)),
        ),
        predictive=Section(
            "Each energy, predicted from the others",
            ("Each energy is predicted from all the others. Statistics of these residuals, in "
             "units of their predicted sd, among those of data that the model would bring about.",),
            (
                Picture(
                    "predictive",
                    predictive_statistics(best),
                    "Largest residual, skewness, and memory, the product of neighbours: a process "
                    "of one length scale betrays itself by them when it meets a wall.",
                    "Observed and replicated statistics of leave-one-out residuals.",
                ),
            ),
        ),
        classical=_classical_section(main, learning),
        priors=Section(
            "What was believed before",
            ("All priors are proper and wide: around the extent of the data for the kernel, around "
             "σ and ε, as read off the data, for the mean.",),
            (
                Picture(
                    "prior_posterior",
                    prior_posterior(best, list(best["posterior"].data_vars)),
                    "What the data add: prior and posterior under the repulsive mean.",
                    "Densities of prior and posterior of each hyperparameter.",
                ),
            ),
            (Table(_prior_table(best), "Prior of each hyperparameter."),),
        ),
        extra=(
            *_wall_section("", main),
            *(section for name, of in others for section in _further(name, of)),
        ),
    )  # fmt: skip


def _called(fit):
    return fit.attrs["case"] or "the pair"


def _answer(of):
    fit = first(of)
    drawn = well(fit)
    said = [f"{what} {_value(drawn[name])}" for name, what in
            (("depth", "depth"), ("minimum", "minimum at"), ("crossing", "zero at"))]  # fmt: skip
    text = f"The well: {', '.join(said)} (posterior mean ± sd, repulsive mean)."
    if "zero" in of and truth_of(fit) is not None:
        gains = _mean_errors(of)
        text += (
            f" Over the range of the data the curve is off by {gains['repulsive']:.2g} "
            f"{_unit_of(fit)} on average with the wall, and by {gains['zero']:.2g} without."
        )
    return (text,)


def _value(draws):
    seen = draws.values[np.isfinite(draws.values)]
    if seen.size < 0.5 * draws.size:
        return "not within the data"
    unit = "" if draws.units == "1" else f" {draws.units}"
    return f"{number(float(seen.mean()), float(seen.std()))}{unit}"


def _unit_of(fit):
    unit = fit["observed_data"]["y"].units
    return "" if unit == "1" else unit


def _mean_errors(of):
    """Mean of |posterior mean − truth| over the range of the data, by prior mean."""
    found = {}
    for mean, fit in of.items():
        drawn = curves(fit)
        known = truth_of(fit)(drawn["x"].values)
        found[mean] = float(np.abs(drawn["mean"].mean(("chain", "draw")).values - known).mean())
    return found


def _well_table(of):
    import pandas as pd

    rows = {}
    for mean, fit in of.items():
        drawn = well(fit)
        rows[CALLED[mean]] = {name: _value(drawn[name]) for name in drawn.data_vars}
    known = truth_of(first(of))
    if known is not None:
        from scipy.optimize import brentq, minimize_scalar

        r = first(of)["constant_data"]["x"].values
        bottom = minimize_scalar(known, bounds=(r.min(), r.max()), method="bounded")
        values = {"depth": -bottom.fun, "minimum": bottom.x, "crossing": None}
        if bottom.fun > 0 or bottom.fun >= min(known(r.min()), known(r.max())):
            values = dict.fromkeys(values)  # the bottom lies outside the data
        if known(r.min()) > 0 > bottom.fun:
            values["crossing"] = brentq(known, r.min(), bottom.x)
        rows["truth"] = {name: "not within the data" if value is None else f"{value:.6g}"
                         for name, value in values.items()}  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("prior mean")


def _comparison(fit):
    found = noted(fit, "comparison")
    if found is None:
        return
    names = {"elpd_refitted": "elpd", "se": "standard error", "elpd_psis": "PSIS",
             "pareto_k": "largest k̂", "elpd_optimum": "at the optimum",
             "weight": "weight"}  # fmt: skip
    table = found[list(names)].to_dataframe()[list(names)].rename(columns=names)
    table = table.sort_values("elpd", ascending=False)
    shown = table.map(lambda v: f"{v:.2f}".replace("-", "−"))
    shown.index = [f"{CALLED[m]}, {k.replace('_', ' ')}" for m, k in table.index]
    yield Table(
        shown.rename_axis("model"),
        "Means and kernels: log density that each energy has under the others, summed. elpd: "
        "hyperparameters integrated over the posterior without the energy; PSIS: the same from the "
        "posterior's draws, not to be trusted where k̂ is above 0.7; at the optimum: closed form. "
        "Weight: share in the stack of models that predicts best.",
    )


def _prior_table(fit):
    import pandas as pd

    return pd.DataFrame({"prior": json.loads(fit.attrs["priors"])}).rename_axis("hyperparameter")


def _potential_picture(stem, of):
    fit = first(of)
    known = "; dashed: the truth" if truth_of(fit) is not None else ""
    return Picture(
        f"{stem}potential",
        figures.potential(of),
        f"{_called(fit)}. Above: the wall and the well, posterior mean and 95 % band of the curve "
        f"by prior mean, points the data{known}. Below: how wide each band is"
        + (", and, dotted, how far its mean is off" if known else "")
        + "; and the force −dU/dr, exactly the derivative of the process.",
        f"{_called(fit)}: energies and force against distance with bands for each prior mean.",
    )


def _classical_section(of, learning):
    fit = first(of)
    text = (
        "The classical recipe is kernel ridge regression with an exponential kernel and fixed "
        "numbers: ℓ = 0.1 σ, jitter 1e-9, a wall of 150 ε/σ inside 0.95 σ.",
    )
    if learning is None:
        return Section("Kernel ridge", (*text, "Too few data for a learning curve."))
    drawn = learning["posterior"]["nu"]
    zero, wall = (drawn.sel(wall=name).values.ravel() for name in ("zero", "repulsive"))
    sure = np.mean(wall > zero)
    gap = wall - zero
    scores = noted(learning, "score")
    count, inferred = (int(scores["splits"].sel(numbers=n).max()) if
                       np.isfinite(scores["splits"].sel(numbers=n)).any() else 0
                       for n in ("fixed", "inferred"))  # fmt: skip
    slower = "more slowly" if sure > 0.5 else "faster"
    rates = (
        f"Its error falls as N to the power {number(zero.mean(), zero.std())} without the wall and "
        f"{number(wall.mean(), wall.std())} with it. The wall starts lower and then learns "
        f"{slower}: the exponents differ by {number(gap.mean(), gap.std())}, and have that order "
        f"with probability {max(sure, 1 - sure):.3f}.",
    )
    pictures = [
        Picture(
            "learning",
            figures.learning_figure(learning),
            f"Left: mean error of held-out energies of {_called(fit)} against the number of "
            f"training points, {count} random splits each, with standard errors; filled: the "
            "classical numbers, with their power laws and 95 % bands; open: hyperparameters "
            "inferred for each split. Right: the posterior of the exponents.",
            "Learning curves on logarithmic axes, and densities of their exponents.",
        ),
        Picture(
            "scores",
            figures.calibration_figure(learning),
            "Are the predicted errors right? Above: how often central intervals cover a held-out "
            "energy; they should lie on the grey line. Below: squared z-score, which should be 1; "
            "CRPS, smaller is better; log predictive density, larger is better. Vermilion: "
            f"classical numbers; blue: inferred ({inferred} splits each).",
            "Coverage, z-scores, CRPS and log density against the number of training points.",
        ),
    ]
    caption = (
        f"Mean error of held-out energies ({_unit_of(fit)}) ± its standard error over the splits, "
        "with fixed and inferred hyperparameters, with zero mean and with a wall. Points θ: the "
        "effective number that an inferred split rests on, median over the splits, the smaller of "
        "both means; where it is below ten, take inferred scores with a pinch of salt."
    )
    return Section(
        "Kernel ridge, and how it learns", text + rates, tuple(pictures),
        (Table(_learning_table(scores), caption),),
    )  # fmt: skip


def _learning_table(scores):
    import pandas as pd

    columns = {}
    for numbers in scores["numbers"].values:
        for wall in scores["wall"].values:
            at = {"numbers": numbers, "wall": wall}
            values, errors = scores["error"].sel(at).values, scores["error_se"].sel(at).values
            if np.isfinite(values).all():
                name = f"{numbers}, {'wall' if wall == 'repulsive' else 'zero'}"
                columns[name] = [f"{v:.3g} ± {e:.1g}" for v, e in zip(values, errors, strict=True)]
    effective = scores["effective"].sel(numbers="inferred").min("wall").values
    if np.isfinite(effective).all():
        columns["points θ"] = [f"{value:.0f}" for value in effective]
    return pd.DataFrame(columns, pd.Index(scores["size"].values, name="training points"))


def _wall_section(name, of):
    fit = first(of)
    found = noted(fit, "wall")
    if found is None:
        return
    start = with_number(float(found["start"]), found["start"].units)
    best = lambda mean, numbers: float(
        found["log_density"][(found["model_mean"] == mean).values
                             & (found["numbers"] == numbers).values
                             & (found["model_kernel"] == "exponential").values].item()
    )  # fmt: skip
    said = [
        f"{best('zero', n):.1f} without a wall and {best('repulsive', n):.1f} with it "
        f"({n} numbers)".replace("-", "−")
        for n in ("fixed", "inferred")
    ]
    yield Section(
        f"From the wall inward: {_called(fit)}",
        (f"Trained at r ≥ {start} only, what does each model make of the wall inside? Log "
         f"predictive density of a held-out energy, exponential kernel: {said[0]}, {said[1]}.",),
        (
            Picture(
                f"{name}_wall".lstrip("_"),
                figures.wall_figure(fit),
                "Held-out energies (black) and their predictions with 95 % intervals: the "
                "classical recipe, and means with a squared-exponential kernel whose "
                "hyperparameters are inferred. A model whose interval misses the bar is too sure "
                "of itself.",
                "Energies inside the training range and the predictions of each model.",
            ),
        ),
        (Table(_wall_table(found), "Mean |error|, and log predictive density of a held-out energy; "
               "joint: of all of them together."),),
    )  # fmt: skip


def with_number(value: float, unit: str) -> str:
    """Return a number with four digits and its unit."""
    return f"{value:.4g}" if unit == "1" else f"{value:.4g} {unit}"


def _wall_table(found):
    import pandas as pd

    names = [
        f"{CALLED[str(mean)]}, {str(kernel).replace('_', ' ')}, {numbers}"
        for mean, kernel, numbers in zip(
            found["model_mean"].values, found["model_kernel"].values, found["numbers"].values,
            strict=True,
        )
    ]  # fmt: skip
    sign = lambda v: f"{v:.1f}".replace("-", "−")
    unit = found["error"].units
    return pd.DataFrame(
        {with_units("error", unit): [f"{v:.3g}" for v in found["error"].values],
         "log density": [sign(v) for v in found["log_density"].values],
         "joint": [sign(v) for v in found["log_density_joint"].values]},
        pd.Index(names, name="model"),
    )  # fmt: skip


def _further(name, of):
    """The potential, its well and, in units of length and energy, its virial coefficients."""
    fit = first(of)
    pictures, tables = [_potential_picture(f"{name}_", of)], [
        Table(_well_table(of), f"{_called(fit)}: the well, by prior mean."),
        Table(estimates(fit), f"{_called(fit)}: hyperparameters under the repulsive mean."),
    ]  # fmt: skip
    text = list(_answer(of))
    if physical(fit):
        drawn = {mean: virial(one) for mean, one in of.items()}
        pictures.append(
            Picture(
                f"{name}_virial",
                figures.virial_figure(fit, drawn),
                "Second virial coefficient"
                + (" less that of the true potential" if truth_of(fit) is not None else "")
                + ", posterior mean and 95 % band by prior mean.",
                "Second virial coefficient against temperature.",
            )
        )
        tables.append(Table(_virial_table(fit, drawn), "Second virial coefficient (cm³/mol)."))
        text.append(
            "The second virial coefficient is integrated over the drawn potentials (classical, no "
            "quantum correction)."
        )
    yield Section(_called(fit), tuple(text), tuple(pictures), tuple(tables))
    yield from _wall_section(name, of)


def _virial_table(fit, drawn):
    import pandas as pd

    columns = {}
    for mean, found in drawn.items():
        values = found["B2"].values.reshape(-1, found.sizes["temperature"])
        columns[CALLED[mean]] = [number(v.mean(), v.std()) for v in values.T]
    temperatures = next(iter(drawn.values()))["temperature"].values
    source = true_virial(fit, temperatures)
    if source is not None:
        columns["true potential"] = [f"{value:.2f}".replace("-", "−") for value in source]
    return pd.DataFrame(columns, pd.Index([f"{t:g}" for t in temperatures], name="T (K)"))

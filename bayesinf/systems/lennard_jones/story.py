"""The story of the report: question, answer, numbers, and what else the energies say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import with_units
from bayesinf.posterior import noted
from bayesinf.report import (
    Picture,
    Section,
    Story,
    Table,
    estimates,
    number,
    sections,
    short,
)
from bayesinf.systems.lennard_jones import figures
from bayesinf.systems.lennard_jones.figures import CALLED, first
from bayesinf.systems.lennard_jones.model import MEANS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

OUTSIDE = "not within the data"


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the energies say, from the fits alone.

    Parameters
    ----------
    fits : ``MEAN_mean`` of the main data, ``NAME_MEAN_mean`` of further ones, where MEAN is zero,
        repulsive or lennard_jones; and ``learning_curve``. Results of ``compare`` and
        ``from_the_wall_inward`` are read beside the repulsive fits.
    """
    data: dict[str, dict[str, xr.DataTree]] = {}
    for name, fit in fits.items():
        mean = next((m for m in MEANS if name.endswith(f"{m}_mean")), None)
        if mean is not None:
            data.setdefault(name.removesuffix(f"{mean}_mean").rstrip("_"), {})[mean] = fit
    (_, main), *others = data.items()
    best = main["repulsive"]
    called = _called(best)
    return Story(
        title="A pair potential from a few energies",
        question=f"What do {best['observed_data'].sizes['point']} energies say about a pair "
        f"potential ({called}), and is a wall worth having as prior mean?",
        answer=Section("With and without a wall", (_answer(main),), (_potential("", main),)),
        numbers=Section(
            "The well, and the models compared",
            (
                "Depth, place of the minimum and zero crossing are read off each drawn curve; "
                "gamma is the slope of the wall, r0 where it begins.",
            ),
            (),
            (*_tables(main), *_comparison(best)),
        ),
        predictive=sections.predictive(
            best,
            (),
            "Each energy is predicted from all the others, and the statistics are of these "
            "residuals, in units of their predicted sd. Memory is the product of neighbours: a "
            "process of one length scale betrays itself by it when it meets a wall.",
        ),
        classical=_classical(main, fits.get("learning_curve")),
        priors=sections.priors(
            {"repulsive_mean": best},
            None,
            (),
            "All priors are proper and wide: around the extent of the data for the kernel, around "
            "σ and ε, as read off the data, for the mean.",
        ),
        extra=(
            *_wall("", main),
            *(section for name, of in others for section in _further(name, of)),
        ),
        best=next(name for name, fit in fits.items() if fit is best),
    )


def _called(fit):
    return fit.attrs["case"] or "the pair"


def _truth(fit, name):
    """What is known of a quantity beforehand, or None."""
    known = noted(fit, "truth")
    return None if known is None or name not in known else known[name]


def _answer(of):
    fit = first(of)
    drawn = noted(fit, "well")
    words = {"depth": "depth", "minimum": "minimum at", "crossing": "zero at"}
    said = ", ".join(f"{what} {_value(drawn[name])}" for name, what in words.items())
    text = f"The well: {said} (posterior mean ± sd, repulsive mean)."
    if "zero" in of and _truth(fit, "curve") is not None:
        off = {mean: _mean_error(one) for mean, one in of.items()}
        text += (
            f" Over the range of the data the curve is off by {off['repulsive']} on average with "
            f"the wall, and by {off['zero']} without."
        )
    return text


def _value(draws):
    """Mean ± sd of the draws that have a value, with the unit."""
    seen = draws.values[np.isfinite(draws.values)]
    if seen.size < 0.5 * draws.size:
        return OUTSIDE
    unit = "" if draws.units == "1" else f" {draws.units}"
    return f"{number(float(seen.mean()), float(seen.std()))}{unit}"


def _mean_error(fit):
    """Mean of |posterior mean − truth| over the range of the data, with its unit."""
    away = noted(fit, "curve")["mean"].values - _truth(fit, "curve").values
    unit = fit["observed_data"]["energies"].units
    return f"{np.abs(away).mean():.2g} {'' if unit == '1' else unit}".rstrip()


def _tables(of):
    """The well by prior mean, and the hyperparameters of the fit that speaks for the data."""
    fit, rows = first(of), {}
    for mean, one in of.items():
        rows[CALLED[mean]] = {name: _value(draws) for name, draws in noted(one, "well").items()}
    if _truth(fit, "depth") is not None:
        known = {name: float(_truth(fit, name)) for name in noted(fit, "well")}
        rows["truth"] = {n: short(v, 6) if np.isfinite(v) else OUTSIDE for n, v in known.items()}
    called = _called(fit)
    return (
        Table.of(rows, "prior mean", f"{called}: the well, by prior mean."),
        Table(estimates(fit), f"{called}: hyperparameters under the repulsive mean."),
    )


def _comparison(fit):
    found = noted(fit, "comparison")
    if found is None:
        return
    names = {
        "elpd_refitted": "elpd",
        "se": "standard error",
        "elpd_psis": "PSIS",
        "pareto_k": "largest k̂",
        "elpd_optimum": "at the optimum",
        "weight": "weight",
    }
    table = found[list(names)].to_dataframe()[list(names)].rename(columns=names)
    shown = table.sort_values("elpd", ascending=False).map(_fixed(2))
    shown.index = [f"{CALLED[m]}, {k.replace('_', ' ')}" for m, k in shown.index]
    yield Table(
        shown.rename_axis("model"),
        "Means and kernels: log density that each energy has under the others, summed. elpd: "
        "hyperparameters integrated over the posterior without the energy; PSIS: the same from the "
        "posterior's draws, not to be trusted where k̂ is above 0.7; at the optimum: closed form. "
        "Weight: share in the stack of models that predicts best.",
    )


def _fixed(places):
    """A function that writes numbers with so many decimals and a real minus sign."""
    return lambda value: f"{value:.{places}f}".replace("-", "−")


def _potential(stem, of):
    fit = first(of)
    known = _truth(fit, "curve") is not None
    return Picture(
        f"{stem}potential",
        figures.potential(of),
        f"{_called(fit)}. Above: the wall and the well, posterior mean and 95 % band of the curve "
        f"by prior mean, points the data{'; dashed: the truth' if known else ''}. Below: how wide "
        f"each band is{', and, dotted, how far its mean is off' if known else ''}; and the force "
        "−dU/dr, exactly the derivative of the process.",
        f"{_called(fit)}: energies and force against distance with bands for each prior mean.",
    )


def _classical(of, learning):
    recipe = (
        "The classical recipe is kernel ridge regression with an exponential kernel and fixed "
        "numbers: ℓ = 0.1 σ, jitter 1e-9, a wall of 150 ε/σ inside 0.95 σ."
    )
    if learning is None:
        return Section("Kernel ridge", (recipe, "Too few data for a learning curve."))
    zero, wall = (
        learning["posterior"]["nu"].sel(wall=name).values.ravel() for name in ("zero", "repulsive")
    )
    sure, gap = np.mean(wall > zero), wall - zero
    scores = noted(learning, "score")
    splits = scores["splits"].fillna(0).max(("wall", "size")).astype(int)
    count, inferred = (int(splits.sel(numbers=name)) for name in ("fixed", "inferred"))
    rates = (
        f"Its error falls as N to the power {number(zero.mean(), zero.std())} without the wall and "
        f"{number(wall.mean(), wall.std())} with it. The wall starts lower and then learns "
        f"{'more slowly' if sure > 0.5 else 'faster'}: the exponents differ by "
        f"{number(gap.mean(), gap.std())}, and have that order with probability "
        f"{max(sure, 1 - sure):.3f}."
    )
    pictures = (
        Picture(
            "learning",
            figures.learning_figure(learning),
            f"Left: mean error of held-out energies of {_called(first(of))} against the number of "
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
    )
    caption = (
        f"{with_units('Mean error of held-out energies', scores['error'].units)} ± its standard "
        "error over the splits, with fixed and inferred hyperparameters, with zero mean and with a "
        "wall. Points θ: the effective number that an inferred split rests on, median over the "
        "splits, the smaller of both means; where it is below ten, take inferred scores with a "
        "pinch of salt."
    )
    tables = (Table(_learning_table(scores), caption),)
    return Section("Kernel ridge, and how it learns", (recipe, rates), pictures, tables)


def _learning_table(scores):
    import pandas as pd

    columns = {}
    for numbers in scores["numbers"].values:
        for wall in scores["wall"].values:
            line = scores.sel(numbers=numbers, wall=wall)
            if np.isfinite(line["error"]).all():
                cells = zip(line["error"].values, line["error_se"].values, strict=True)
                name = f"{numbers}, {'wall' if wall == 'repulsive' else 'zero'}"
                columns[name] = [f"{v:.3g} ± {e:.1g}" for v, e in cells]
    effective = scores["effective"].sel(numbers="inferred").min("wall").values
    if np.isfinite(effective).all():
        columns["points θ"] = [f"{value:.0f}" for value in effective]
    return pd.DataFrame(columns, pd.Index(scores["size"].values, name="training points"))


def _wall(name, of):
    """From the wall inward: what each model makes of energies inside those that it has seen."""
    import pandas as pd

    fit = first(of)
    found = noted(fit, "wall")
    if found is None:
        return
    labels = ["model_mean", "model_kernel", "numbers"]
    frame = found[[*labels, "error", "log_density", "log_density_joint"]].to_dataframe()
    rough = frame[frame["model_kernel"] == "exponential"]
    rough = rough.set_index(["model_mean", "numbers"])["log_density"].map(_fixed(1))
    said = (
        f"{rough['zero', n]} without a wall and {rough['repulsive', n]} with it ({n} numbers)"
        for n in ("fixed", "inferred")
    )
    table = pd.DataFrame(
        {
            with_units("error", found["error"].units): frame["error"].map("{:.3g}".format),
            "log density": frame["log_density"].map(_fixed(1)),
            "joint": frame["log_density_joint"].map(_fixed(1)),
        }
    )
    table.index = pd.Index(
        [f"{CALLED[m]}, {k.replace('_', ' ')}, {n}" for m, k, n in frame[labels].values],
        name="model",
    )
    start = short(float(found["start"])) + f" {found['start'].units}".removesuffix(" 1")
    yield Section(
        f"From the wall inward: {_called(fit)}",
        (
            f"Trained at r ≥ {start} only, what does each model make of the wall inside? Log "
            f"predictive density of a held-out energy, exponential kernel: {', '.join(said)}.",
        ),
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
        (
            Table(
                table,
                "Mean |error|, and log predictive density of a held-out energy; joint: of all of "
                "them together.",
            ),
        ),
    )


def _further(name, of):
    """The potential, its well and, in units of length and energy, its virial coefficients."""
    fit = first(of)
    text, pictures, tables = [_answer(of)], [_potential(f"{name}_", of)], [*_tables(of)]
    if noted(fit, "virial") is not None:
        known = _truth(fit, "B2")
        less = "" if known is None else " less that of the true potential"
        text.append(
            "The second virial coefficient is integrated over the drawn potentials (classical, no "
            "quantum correction)."
        )
        pictures.append(
            Picture(
                f"{name}_virial",
                figures.virial_figure(of),
                f"Second virial coefficient{less}, posterior mean and 95 % band by prior mean.",
                "Second virial coefficient against temperature.",
            )
        )
        tables.append(_virial_table(of, known))
    yield Section(_called(fit), tuple(text), tuple(pictures), tuple(tables))
    yield from _wall(name, of)


def _virial_table(of, known):
    rows = {}
    for mean, fit in of.items():
        drawn = noted(fit, "virial")["B2"].stack(sample=("chain", "draw"))
        for t, values in drawn.groupby("temperature"):
            cells = rows.setdefault(f"{t:g}", {})
            cells[CALLED[mean]] = number(float(values.mean()), float(values.std()))
    if known is not None:
        for t, value in known.groupby("temperature"):
            rows[f"{t:g}"]["true potential"] = _fixed(2)(value.item())
    return Table.of(rows, "T (K)", "Second virial coefficient (cm³/mol).")

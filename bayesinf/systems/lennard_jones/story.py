"""The story of the report: question, answer, numbers, and what else the energies say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import (
    ESTIMATED,
    Picture,
    Section,
    Story,
    Table,
    described,
    estimates,
    exact,
    sections,
    short,
)
from bayesinf.systems.lennard_jones import figures
from bayesinf.systems.lennard_jones.chapters import beside_the_wall, kernel_ridge, virial_table
from bayesinf.systems.lennard_jones.figures import CALLED, OUTSIDE, called, decimals, leading
from bayesinf.systems.lennard_jones.model import FORMS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["STEMS", "story"]

# Form to the stem of its fits.
STEMS = {form: f"{form}_{'size' if form == 'falling' else 'mean'}" for form in FORMS}


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the energies say, from the fits alone.

    Parameters
    ----------
    fits : a stem of ``STEMS`` for each form of the main data, ``NAME_STEM`` for further ones; and
        ``learning_curve``. The fit of each data set that predicts best carries its answer: it is
        the one beside which ``comparison`` is noted, the results of ``compare``; those of
        ``from_the_wall_inward`` stand there too.
    """
    data: dict[str, dict[str, xr.DataTree]] = {}
    for name, fit in fits.items():
        form = next((form for form, stem in STEMS.items() if name.endswith(stem)), None)
        if form is not None:
            data.setdefault(name.removesuffix(STEMS[form]).rstrip("_"), {})[form] = fit
    (_, main), *others = data.items()
    form, best = leading(main)
    return Story(
        title="A pair potential from a few energies",
        question=f"What do {best['observed_data'].sizes['point']} energies say about a pair "
        f"potential ({called(best)}), and in which form do they say it best?",
        answer=Section("The well", tuple(_answer(main)), (_potential("", main),)),
        numbers=Section(
            "The well, and the forms compared",
            (
                "Depth, place of the minimum and zero crossing are read off each drawn curve, the "
                "minimum between the rows around the lowest energies.",
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
        classical=kernel_ridge(best, fits.get("learning_curve")),
        priors=sections.priors(
            {STEMS[form]: best},
            None,
            (),
            "All priors are proper and wide: around the extent of the data for the kernel, around "
            "σ and ε, as read off the data, for the mean.",
        ),
        extra=(
            *beside_the_wall("", best),
            *(section for name, of in others for section in _further(name, of)),
        ),
        best=next(name for name, fit in fits.items() if fit is best),
        derived={name: noted(best, "well")[name] for name in _WELL},
    )


def _answer(of):
    """What the energies say, in paragraphs: the well; zero of the energies, rivals, truth."""
    form, fit = leading(of)
    read = noted(fit, "well")
    depth, minimum, crossing = (_value(read[name]) for name in _WELL)
    elsewhere = float(fit["sample_stats"]["well_elsewhere"])
    doubt = f" ({_share(elsewhere)} of the curves are lowest elsewhere)"
    best = ""
    if (found := noted(fit, "comparison")) is not None and found.sizes["form"] > 1:
        best = ", which of the forms tried predicts energies left out best"
    by = f"that is by the form {CALLED[form]}{best}"
    if depth == OUTSIDE:
        zero = "" if crossing == OUTSIDE else f", whose zero is at {crossing}"
        yield f"No well lies within the data{zero}; {by}.{_upside_down(fit)}"
    else:
        yield (
            f"The well is {depth} deep, its minimum at {minimum}{doubt}, its zero at {crossing}; "
            f"{by}."
        )
    if level := _level(fit):
        yield level
    yield from _rivals(fit, form)
    if "truth_covered" in fit["sample_stats"]:
        share = float(fit["sample_stats"]["truth_covered"])
        yield f"The 95 % band of the curve covers {_share(share)} of the true potential."


def _upside_down(fit):
    """A word on energies that are highest where a well would be, as of binding energies."""
    y = fit["observed_data"]["energies"].values[
        np.argsort(fit["constant_data"]["distances"].values)
    ]
    top = int(np.argmax(y))
    if top in (0, len(y) - 1):
        return ""
    return (
        " The energies are highest between their ends, as energies of binding are that count "
        "downwards: change their sign if they are."
    )


_WELL = ("depth", "minimum", "crossing")


def _level(fit):
    """From where energies are counted, if not from zero."""
    if not fit.attrs["constant"]:
        return None
    drawn = fit["posterior"].dataset.get("constant")
    said = _value(drawn) if drawn is not None else short(float(fit.attrs["level"]), 10)
    factor = float(fit.attrs["constant_evidence"])
    return (
        f"The energies level off at {said}: the well is counted from there, and that constant is "
        f"inferred with all else (log Bayes factor {short(factor, 3)} against none)."
    )


def _rivals(fit, form):
    """How much better this form predicts than the others, energies left out one by one."""
    found = noted(fit, "comparison")
    if found is None or found.sizes["form"] < 2:
        return
    mine = found.isel(model_kernel=0)
    behind = [
        f"{CALLED[name]} {decimals(1)(float(mine['behind'].sel(form=name)))} ± "
        f"{decimals(1)(float(mine['behind_se'].sel(form=name)))}"
        for name in map(str, mine["form"].values)
        if name != form
    ]
    yield (
        "Of energies left out one by one the other forms lose, in log density ± standard error: "
        f"{', '.join(behind)}."
    )
    if "worth" in mine:
        yield (
            "What the coordinate is worth beside a wall: log r, with a size that falls off as a "
            f"power of r, gains {decimals(1)(float(mine['worth']))} ± "
            f"{decimals(1)(float(mine['worth_se']))} in leave-one-out log density over the "
            "repulsive mean in r."
        )


def _share(value):
    return f"{value:.1%}".replace(".0%", "%").replace("%", " %")


def _value(draws):
    """The draws that have a value, with the unit; words where most have none."""
    seen = draws.values[np.isfinite(draws.values)]
    if seen.size < 0.5 * draws.size:
        return OUTSIDE
    said, unit = described(seen), draws.units.removesuffix("1")
    return f"({said}) {unit}" if unit and not said.startswith("(") else f"{said} {unit}".strip()


def _tables(of):
    """The well by form, and the hyperparameters of the fit that speaks for the data."""
    form, fit = leading(of)
    rows = {}
    for name, one in of.items():
        cells = {quantity: _value(noted(one, "well")[quantity]) for quantity in _WELL}
        cells["lowest elsewhere"] = _share(float(one["sample_stats"]["well_elsewhere"]))
        rows[CALLED[name]] = cells
    known = noted(fit, "truth")
    if known is not None and "depth" in known:
        cells = {name: float(known[name]) for name in _WELL}
        drawn = noted(fit, "well")
        rows["truth"] = {
            name: exact(value, float(np.nanstd(drawn[name]))) if np.isfinite(value) else OUTSIDE
            for name, value in cells.items()
        }
    return (
        Table.of(rows, "form", f"{called(fit)}: the well by form; {ESTIMATED}."),
        Table(estimates(fit), f"{called(fit)}: hyperparameters, {CALLED[form]}; {ESTIMATED}."),
    )


def _comparison(fit):
    found = noted(fit, "comparison")
    if found is None:
        return
    names = {
        "elpd_refitted": "elpd",
        "behind": "behind",
        "behind_se": "± error",
        "elpd_psis": "PSIS",
        "pareto_k": "largest k̂",
        "elpd_optimum": "at the optimum",
        "weight": "weight",
    }
    refitted = "elpd_refitted" in found
    names = {name: said for name, said in names.items() if name in found}
    table = found[list(names)].to_dataframe()[list(names)].rename(columns=names)
    shown = table.sort_values("elpd" if refitted else "PSIS", ascending=False).map(decimals(2))
    shown.index = [f"{CALLED[form]}; {kernel.replace('_', ' ')}" for form, kernel in shown.index]
    behind = "how far that is behind the best form with the same kernel; "
    first = (
        f"elpd: hyperparameters integrated over the posterior without the energy, and {behind}"
        "PSIS: the same from the posterior's draws, "
        if refitted
        else f"PSIS: of the posterior's draws, weighed anew without the energy, and {behind}it is "
    )
    yield Table(
        shown.rename_axis("model"),
        "Forms and kernels: log density that each energy has under the others, summed. "
        f"{first}not to be trusted where k̂ is above 0.7; at the optimum: closed form. Weight: "
        "share in the stack of models that predicts best.",
    )


def _potential(stem, of):
    _, fit = leading(of)
    known = noted(fit, "truth")
    known = known is not None and "curve" in known
    return Picture(
        f"{stem}potential",
        figures.potential(of),
        f"{called(fit)}. Above: the wall and the well, posterior mean and 95 % band of the curve "
        f"by form, points the data{'; dashed: the truth' if known else ''}. Below: how wide "
        f"each band is{', and, dotted, how far its mean is off' if known else ''}; and the force "
        "−dU/dr, exactly the derivative of the process.",
        f"{called(fit)}: energies and force against distance with bands for each form.",
    )


def _further(name, of):
    """The potential, its well and, in units of length and energy, its virial coefficients."""
    _, fit = leading(of)
    text, pictures, tables = [*_answer(of)], [_potential(f"{name}_", of)], [*_tables(of)]
    if noted(fit, "virial") is not None:
        known = noted(fit, "truth")
        less = "" if known is None else " less that of the true potential"
        text.append(
            "The second virial coefficient is integrated over the drawn potentials (classical, no "
            "quantum correction)."
        )
        pictures.append(
            Picture(
                f"{name}_virial",
                figures.virial_figure(of),
                f"Second virial coefficient{less}, posterior mean and 95 % band by form.",
                "Second virial coefficient against temperature.",
            )
        )
        tables.append(virial_table(of, known))
    yield Section(called(fit), tuple(text), tuple(pictures), tuple(tables))
    yield from beside_the_wall(name, fit)

"""Chapters of the report: kernel ridge and how it learns, the wall from outside, virial numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import interval, with_units
from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Table, number, short, value_with_unit
from bayesinf.systems.lennard_jones import figures
from bayesinf.systems.lennard_jones.figures import CALLED, called, decimals

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["beside_the_wall", "kernel_ridge", "virial_table"]


def kernel_ridge(fit: xr.DataTree, learning: xr.DataTree | None) -> Section:
    """Tell the classical recipe, and its learning curves where there are any."""
    recipe = (
        "The classical recipe is kernel ridge regression with an exponential kernel and fixed "
        "numbers: ℓ = 0.1 σ, jitter 10⁻⁹, a wall of 150 ε/σ inside 0.95 σ."
    )
    if learning is None:
        return Section("Kernel ridge", (recipe, "No learning curve: too few data, or a look."))
    zero, wall = (
        learning["posterior"]["nu"].sel(wall=name).values.ravel() for name in ("zero", "repulsive")
    )
    gap, scores = wall - zero, noted(learning, "score")
    splits = scores["splits"].fillna(0).max(("wall", "size")).astype(int)
    count, inferred = (int(splits.sel(numbers=name)) for name in ("fixed", "inferred"))
    low, _, high = interval(gap)
    told = "which is not told from nothing"
    if low > 0 or high < 0:
        told = f"so that with the wall it learns {'more slowly' if low > 0 else 'faster'}"
    rates = (
        f"{_worth(scores)} Its error falls as N to the power {number(zero.mean(), zero.std())} "
        f"without the wall and {number(wall.mean(), wall.std())} with it; the exponents differ by "
        f"{number(gap.mean(), gap.std())}, {told}."
    )
    pictures = (
        Picture(
            "learning",
            figures.learning_figure(learning),
            f"Left: mean error of held-out energies of {called(fit)} against the number of "
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


def _worth(scores):
    """Whether a wall is worth having: yes or no, and by how much, at the largest training set."""
    last = scores.sel(numbers="fixed").isel(size=-1)
    unit = scores["error"].units
    (zero, zero_se), (wall, wall_se) = (
        (float(last["error"].sel(wall=name)), float(last["error_se"].sel(wall=name)))
        for name in ("zero", "repulsive")
    )
    gain, error = zero - wall, float(np.hypot(zero_se, wall_se))
    if abs(gain) <= 2 * error:
        said = "Whether a wall is worth having is not told"
    else:
        said = "A wall is worth having" if gain > 0 else "A wall is not worth having"
    without, having = value_with_unit(zero, zero_se, unit), value_with_unit(wall, wall_se, unit)
    return (
        f"{said}: of {int(last['size'])} training points the mean error of held-out energies is "
        f"{without} without and {having} with one."
    )


def _learning_table(scores):
    import pandas as pd

    columns = {}
    for numbers in scores["numbers"].values:
        for wall in scores["wall"].values:
            line = scores.sel(numbers=numbers, wall=wall)
            if np.isfinite(line["error"]).all():
                cells = zip(line["error"].values, line["error_se"].values, strict=True)
                name = f"{numbers}, {'wall' if wall == 'repulsive' else 'zero'}"
                columns[name] = [number(v, e) for v, e in cells]
    effective = scores["effective"].sel(numbers="inferred").min("wall").values
    if np.isfinite(effective).all():
        columns["points θ"] = [f"{value:.0f}" for value in effective]
    return pd.DataFrame(columns, pd.Index(scores["size"].values, name="training points"))


def beside_the_wall(name: str, fit: xr.DataTree) -> Iterator[Section]:
    """Tell, from the wall inward, what each model makes of energies inside all that it has seen."""
    import pandas as pd

    found = noted(fit, "wall")
    if found is None:
        return
    labels = ["form", "model_kernel", "numbers"]
    frame = found[[*labels, "error", "log_density", "log_density_joint"]].to_dataframe()
    rough = frame[frame["model_kernel"] == "exponential"]
    rough = rough.set_index(["form", "numbers"])["log_density"].map(decimals(1))
    said = (
        f"{rough['zero', n]} without a wall and {rough['repulsive', n]} with it ({n} numbers)"
        for n in ("fixed", "inferred")
    )
    table = pd.DataFrame(
        {
            with_units("error", found["error"].units): frame["error"].map(partial(short, digits=3)),
            "log density": frame["log_density"].map(decimals(1)),
            "joint": frame["log_density_joint"].map(decimals(1)),
        }
    )
    table.index = pd.Index(
        [f"{CALLED[m]}; {k.replace('_', ' ')}, {n}" for m, k, n in frame[labels].values],
        name="model",
    )
    start = short(float(found["start"])) + f" {found['start'].units}".removesuffix(" 1")
    yield Section(
        f"From the wall inward: {called(fit)}",
        (
            f"Trained at r ≥ {start} only, what does each model make of the wall inside? Log "
            f"predictive density of a held-out energy, exponential kernel: {', '.join(said)}.",
        ),
        (
            Picture(
                f"{name}_wall".lstrip("_"),
                figures.wall_figure(fit),
                "Held-out energies (black) and their predictions with 95 % intervals: the "
                "classical recipe, and forms with a squared-exponential kernel whose "
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


def virial_table(of: Mapping[str, xr.DataTree], known: xr.Dataset | None) -> Table:
    """Tabulate second virial coefficients by form, and those of the true potential."""
    rows = {}
    for mean, fit in of.items():
        drawn = noted(fit, "virial")["B2"].stack(sample=("chain", "draw"))
        for t, values in drawn.groupby("temperature"):
            cells = rows.setdefault(f"{t:g}", {})
            cells[CALLED[mean]] = number(float(values.mean()), float(values.std()))
    if known is not None:
        for t, value in known["B2"].groupby("temperature"):
            rows[f"{t:g}"]["true potential"] = decimals(2)(value.item())
    return Table.of(rows, "T (K)", "Second virial coefficient (cm³/mol).")

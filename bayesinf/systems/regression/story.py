"""The story of the report: which columns the target has to do with, and how well it is foretold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import (
    Picture,
    Section,
    Story,
    Table,
    described,
    interval,
    number,
    sections,
    short,
)
from bayesinf.systems.regression import figures

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

NAMED = 4  # columns in the answer's sentence
TOLD = 24  # rows of a table
# Columns, no more than WIDE, repeat one another where their correlations have an eigenvalue below
# TIED; those do whose part of its vector is above PART.
WIDE, TIED, PART = 200, 1e-4, 0.1
CAPTION = "Coefficients of the columns as they stand."
SCALES = dict.fromkeys(("poisson", "negbinomial"), "the log rate of ")
SCALES |= dict.fromkeys(("bernoulli", "binomial"), "the log odds of ")


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell effects, curves, groups, predictions, and how the classical answer compares."""
    name, fit = next(iter(fits.items()))
    target = fit.attrs["target"]
    extra = [*_curves(fit), *_groups(fit), *sections.new_rows(fit, target), *_comparison(fit)]
    extra += [part for other, one in fits.items() if other != name for part in _other(other, one)]
    return Story(
        title=f"What {target} depends on",
        question=f"What has {target} to do with the columns of the table, and how surely?",
        answer=_answer(fit),
        numbers=_numbers(fit),
        predictive=sections.predictive(fit, _fitted(fit)),
        classical=_classical(fit),
        extra=tuple(extra),
        best=name,
        derived=_derived(fit),
    )


def _r2(fit):
    draws = noted(fit, "explained")["r2"].values
    return f"{draws.mean():.2f} ± {max(draws.std(), 0.005):.2f}"


def _clear(found):
    """Which columns have an interval that leaves out zero, the largest effects first."""
    clear = (found["low"].values > 0) | (found["high"].values < 0)
    size = np.abs(found["mean"].values) * found["spread"].values
    order = np.argsort(-size, kind="stable")
    return [int(k) for k in order if clear[k]]


def _answer(fit):
    found, target = noted(fit, "effects"), fit.attrs["target"]
    of_what = SCALES.get(fit.attrs["response"], "") + target
    explained = f"the model explains R² = {_r2(fit)} of the variance of {target}"
    pictures = ()
    if found is None:
        said, title = f"{explained[0].upper()}{explained[1:]}.", f"R² = {_r2(fit)}"
    else:
        clear, count = _clear(found), found.sizes["feature"]
        named = "; ".join(_effect(found, k) for k in clear[:NAMED])
        more = f" and {len(clear) - NAMED} more" if len(clear) > NAMED else ""
        said = (
            f"{len(clear)} of {count} coefficients stand clear of zero ({named}{more}: change "
            f"of {of_what} per standard deviation of the column), and {explained}."
            if clear
            else f"None of {count} coefficients stands clear of zero, and {explained}."
        )
        title = f"{len(clear)} of {count} coefficients clear of zero, R² = {_r2(fit)}"
        pictures = (
            Picture(
                "effects",
                figures.effects(fit),
                "How much one standard deviation of each column moves the target: posterior mean "
                "and 95 % interval. An interval across the grey line leaves the sign open; open "
                "marks are the classical estimates, arrows at an edge those that lie beyond it.",
                "Intervals of the effect of each column, with classical estimates.",
            ),
        )
    said = " ".join((said, *_entangled(fit)))
    return Section(title, (said,), pictures or _drawn_curves(fit))


def _entangled(fit):
    """Columns that repeat one another: of them the data know what they do together, and no more.

    Their correlations have eigenvalues near zero, whose vectors name them.
    """
    found, columns = noted(fit, "effects"), fit["constant_data"].dataset
    names = [] if found is None else map(str, found["feature"].values)
    names = [n for n in names if n in columns and columns[n].dims == ("row",)]
    X = np.array([columns[n].values for n in names if columns[n].dtype.kind in "fiu"])
    if not 2 <= len(X) == len(names) <= WIDE or not np.all(X.std(axis=1) > 0):
        return
    size, vectors = np.linalg.eigh(np.corrcoef(X))
    tied = np.flatnonzero(np.sqrt(np.sum(vectors[:, size < TIED] ** 2, axis=1)) > PART)
    if tied.size:
        named = ", ".join(names[k] for k in tied[:NAMED])
        more = f" and {tied.size - NAMED} more" if tied.size > NAMED else ""
        yield (
            f"The columns {named}{more} repeat one another but for 1 % of their spread or "
            "less: the data know what they do together, and the prior decides how much "
            "of it each does."
        )


def _effect(found, k):
    spread = float(found["spread"][k])
    value = number(float(found["mean"][k]) * spread, float(found["sd"][k]) * spread)
    return f"{found['feature'].values[k]} {value}"


def _derived(fit):
    import xarray as xr

    draws = noted(fit, "explained")["r2"].values
    return {"R²": xr.DataArray(draws[np.newaxis], dims=("chain", "draw"), attrs={"units": "1"})}


def _numbers(fit):
    posterior, found = fit["posterior"], noted(fit, "effects")
    rest = {
        str(name): values.values
        for name, values in posterior.data_vars.items()
        if values.ndim == 2 and not (found is not None and name in found["feature"].values)
    }
    units = {str(name): values.attrs["units"] for name, values in posterior.data_vars.items()}
    rest["R²"] = noted(fit, "explained")["r2"].values
    tables = ()
    if found is not None:
        names = [str(name) for name in found["feature"].values]
        order = np.sort(np.argsort(-np.abs(found["mean"] / found["sd"]).values)[:TOLD])
        rows = {
            names[k]: {
                "coefficient": number(float(found["mean"][k]), float(found["sd"][k])),
                "95 % interval": interval(
                    float(found["low"][k]), float(found["high"][k]), float(found["sd"][k])
                ),
            }
            | (
                {"included": f"{100 * float(found['included'][k]):.0f} %"}
                if "included" in found
                else {}
            )
            for k in order
        }
        some = f", the {len(rows)} clearest of {len(names)}" if len(rows) < len(names) else ""
        caption = f"Coefficients of the columns as they stand{some}; slope_x is the straight part "
        caption += "of s(x)." if any(name.startswith("slope_") for name in names) else ""
        caption = caption if caption.endswith(".") else caption.split("; slope_x")[0] + "."
        tables = (Table.of(rows, "column", caption),)
    caption = "Widths of the priors, noise, intercept; R² is the share of variance explained."
    return Section(
        "In numbers", (), (), (*tables, sections.derived(rest, units=units, caption=caption))
    )


def _fitted(fit):
    if fit.attrs["response"] == "bernoulli":
        return ()
    return (
        Picture(
            "fitted",
            figures.fitted(fit),
            "Each row's value against what the posterior expects, with the interval that should "
            "hold 95 % of such rows. Points should straddle the line at every height.",
            "Observed against expected values with predictive intervals.",
        ),
    )


def _classical(fit):
    found = noted(fit, "effects")
    if found is None:
        return None
    names = [name for name in ("ols", "ridge", "lasso", "ml", "quasi_poisson") if name in found]
    if not names:
        return None
    called = {"ols": "least squares", "ridge": "ridge", "lasso": "lasso"}
    called |= {"ml": "maximum likelihood", "quasi_poisson": "Poisson's maximum likelihood"}
    apart = {n: np.abs(found[n] - found["mean"]).values / found["sd"].values for n in names}
    said = "; ".join(f"{called[n]} {np.max(apart[n]):.2g}" for n in names)
    zero = int(np.sum(found["lasso"].values == 0)) if "lasso" in names else 0
    words = [
        "How far the classical coefficients lie from the posterior mean, in posterior standard "
        f"deviations, at the most: {said}. Penalties are those of cross-validation."
        if "ridge" in names
        else f"The farthest classical coefficient from the posterior mean, in its sd: {said}."
    ]
    if zero:
        words.append(
            f"The lasso sets {zero} of {found.sizes['feature']} coefficients to zero and gives "
            "none an interval."
        )
    order = np.sort(np.argsort(-np.abs(found["mean"] / found["sd"]).values)[:TOLD])
    rows = {
        str(found["feature"].values[k]): {
            "posterior": number(float(found["mean"][k]), float(found["sd"][k]))
        }
        | {called[n]: short(float(found[n][k])) for n in names}
        for k in order
    }
    return Section(
        "Classical coefficients",
        tuple(words),
        (),
        (Table.of(rows, "column", "Coefficients of the columns as they stand."),),
    )


def _other(name, fit):
    """A further fit, told by its effects."""
    found = noted(fit, "effects")
    if found is None:
        return
    order = np.sort(np.argsort(-np.abs(found["mean"] / found["sd"]).values)[:TOLD])
    spread = found["spread"].values
    rows = {}
    for k in order:
        mean, sd, low, high = (
            float(found[part][k]) * spread[k] for part in ("mean", "sd", "low", "high")
        )
        cells = {"effect": number(mean, sd), "95 % interval": interval(low, high, sd)}
        rows[str(found["feature"].values[k])] = cells
    yield Section(
        f"Beside it: {name.replace('_', ' ')}",
        (f"{fit.attrs['formula']}; R² = {_r2(fit)}.",),
        (),
        (Table.of(rows, "column", "Change of the target per standard deviation of the column."),),
        folded=True,
    )


def _drawn_curves(fit):
    if not noted(fit, "curves").sizes.get("column"):
        return ()
    return (
        Picture(
            "curves",
            figures.curves(fit),
            "Partial dependence: the mean of the target along one column, averaged over the other "
            "columns as they occur, with its 95 % band. Ticks at the bottom are where data lie.",
            "Mean of the target along each column with bands.",
        ),
    )


def _curves(fit):
    pictures = _drawn_curves(fit)
    if noted(fit, "effects") is not None and pictures:
        yield Section("Along each column", (), pictures)


def _groups(fit):
    found = noted(fit, "groups")
    if found is None:
        return
    widths, slopes = [], False
    for term, along in dict(
        zip(found["grouping"].values, found["along"].values, strict=True)
    ).items():
        group = str(term).removeprefix(f"{along}|")
        said = f"slopes of {along} by {group}" if along else group
        widths.append(f"{said} {described(fit['posterior'][f'scale_{term}'].values)}")
        slopes |= bool(along)
    more = " Slopes are told per standard deviation of their column, and shifts at its mean."
    yield Section(
        "Groups",
        (
            f"How much groups differ, as a standard deviation: {'; '.join(widths)}. Groups with "
            "few rows are drawn towards the others." + more * slopes,
        ),
        (
            Picture(
                "groups",
                figures.groups(fit),
                "Shift of each group, and what its slope has beyond the common one, with 95 % "
                "intervals."
                if slopes
                else "Shift of each group, with its 95 % interval.",
                "Intervals of the effects of groups.",
            ),
        ),
    )


def _comparison(fit):
    found = noted(fit, "comparison")
    if found is None:
        return
    rows = {}
    for k, name in enumerate(found["formula"].values):
        behind, error = float(found["elpd_behind"][k]), float(found["behind_se"][k])
        evidence = float(found["log_evidence"][k])
        rows[str(name)] = {
            "log score of left-out rows": number(
                float(found["elpd"][k]), float(found["elpd_se"][k])
            ),
            "behind the best": number(-behind, error) if behind else "best",
            "log evidence": f"{evidence:.1f}" if np.isfinite(evidence) else "",
        }
    best = str(found["formula"].values[int(np.argmax(found["elpd"].values))])
    words = [f"Left-out rows are foretold best by {best}."]
    if np.isfinite(found["log_evidence"].values).all():
        chosen = str(found["formula"].values[int(np.argmax(found["log_evidence"].values))])
        words.append(f"The evidence, which weighs priors too, is largest for {chosen}.")
    else:
        words.append("There is no evidence where priors or noise have local variances.")
    yield Section(
        "Formulas compared",
        tuple(words),
        (
            Picture(
                "comparison",
                figures.comparison(fit),
                "Log score of left-out rows less that of the best formula, with two standard "
                "errors: one that reaches the grey line may be as good.",
                "Differences of log scores between formulas.",
            ),
        ),
        (Table.of(rows, "formula", "Leave-one-out (PSIS) and evidence, of the same rows."),),
    )

"""What do a few energies say about a pair potential, and in which form do they say it best?

Without --data: 25 of 50 Lennard-Jones energies in reduced units, with learning curves over random
splits of all 50, and the energies of two argon atoms. With --data a folder, a pattern such as
'dimers/*.csv', or a table with --each: the wells of all pairs, on one page.
"""

from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from bayesinf import workflow


@workflow.script
def main(
    run: workflow.Run,
    r: Annotated[str | None, typer.Option(help="Column of distances: name, or position.")] = None,
    energy: Annotated[str | None, typer.Option(help="Column of energies.")] = None,
    error: Annotated[str | None, typer.Option(help="Column of error bars, or 'none'.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    distance_unit: Annotated[
        str | None, typer.Option(help="Where the header does not say, as in 'r (Å)'.")
    ] = None,
    energy_unit: Annotated[str | None, typer.Option(help="Likewise: K, meV, kJ/mol, ...")] = None,
    constant: Annotated[
        bool | None,
        typer.Option(help="Whether energies count from an unknown zero; default: by evidence."),
    ] = None,
    kernel: Annotated[
        str,
        typer.Option(help="squared_exponential, matern52, matern32, exponential, ..."),
    ] = "squared_exponential",
    window: workflow.Windows = None,
    splits: Annotated[int, typer.Option(min=2, help="Random splits of each size.")] = 500,
    each: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of many pairs in a table: what names each."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of many pairs: this one by itself.")
    ] = None,
):
    """Learn a pair potential in the form that predicts best, and say how sure it is everywhere."""
    from bayesinf.posterior import annotated
    from bayesinf.systems import lennard_jones as system

    batch = False
    with run.step("load"):
        if run.data is not None:
            columns = [workflow.column(name) for name in (r, energy, error)]
            chosen = {"distance_unit": distance_unit, "energy_unit": energy_unit}
            chosen |= {"decimal": decimal, "windows": workflow.windows(window)}
            many = system.pairs(run.data, *columns, each=each, **chosen)
            if only is not None and many is None:
                raise workflow.misread("only", "many pairs in --data", only)
            batch = many is not None and only is None
            if batch:
                run.report_reading(many)
                potentials = {}
            else:
                reads = partial(system.read, run.data, *columns, **chosen)
                own = reads() if many is None else many.single(only)
                potentials = {"": run.report_reading(own)}
        else:
            rng = run.settings.generator("simulate")
            potentials = {"": system.simulate(rng=rng)}
            if run.look:
                run.shortened += ["argon, other kernels and learning curves are left out"]
            else:
                potentials["argon"] = system.argon(run.shipped("argon.csv"))
        potentials = {
            name: system.noticed(one, constant, run.settings) for name, one in potentials.items()
        }
    if batch:
        return workflow.batch(run, many, system.loop(kernel=kernel, constant=constant))
    # Without a wall argon's energies, from 2000 K to −143 K, are no draw of one process in r, and
    # the checks say so: it is shown from the wall inward, but is no result to keep.
    settings = run.settings
    if run.quick and "draws" not in run.given:
        # Draws cost little here, and of 200 it is chance whether chains agree.
        settings = settings.replace(draws=500)
    jobs = {
        f"{name}_{stem}".lstrip("_"): (found, form)
        for name, found in potentials.items()
        for form, stem in system.STEMS.items()
        if (name, form) != ("argon", "zero")
    }
    with run.step("fit"):
        call = partial(fit_one, kernel=kernel, settings=settings)
        fits = dict(zip(jobs, run.map(call, jobs.values(), label="Fitting"), strict=True))
    with run.step("compare"):
        for name, found in potentials.items():
            done = {form: fits[stem] for stem, (data, form) in jobs.items() if data is found}
            notes = side_results(found, name, kernel, run, done)
            stem = f"{name}_{system.STEMS[system.best(notes['comparison'])]}".lstrip("_")
            fits[stem] = annotated(fits[stem], **notes)
    if run.look:
        return fits
    with run.step("learning curves"):
        curve = learning_curve(potentials[""], splits, run)
    return fits | ({} if curve is None else {"learning_curve": curve})


def fit_one(job, kernel, settings):
    """Fit the training points of one set of energies in one form."""
    from bayesinf.systems.lennard_jones import FORMS, fit

    data, form = job
    return fit(training(data), kernel=kernel, settings=settings.replace(workers=1), **FORMS[form])


def training(data):
    """The points to train on."""
    return data.isel(point=data["training"].values)


def side_results(data, name, kernel, run, fits):
    """Compare forms and kernels, and hold out the wall, where there is one to hold out.

    A look refits nothing: energies left out are judged by the draws there are, under one kernel.
    """
    from bayesinf.errors import DataError
    from bayesinf.systems import lennard_jones as system

    short = run.settings.replace(draws=min(run.settings.draws, 500))
    one = name or run.quick  # kernel, of the page's second potential and of a look
    options = {"settings": short, "scheduler": run.scheduler}
    forms = [form for form in system.FORMS if (name, form) != ("argon", "zero")]
    others = () if one else [each for each in system.KERNELS if each != kernel]
    judged = {"forms": forms, "kernels": (kernel, *others), "fits": fits, "refit": not run.quick}
    compared = system.compare(training(data), **judged, **options)
    results = {"comparison": compared}
    if run.quick:
        return results
    with suppress(DataError):  # the data do not reach inside the wall
        start = 3.2 if name == "argon" else None
        results["wall"] = system.from_the_wall_inward(data, start=start, **options)
    return results


def learning_curve(data, count, run):
    """Score random splits and fit the power laws; None where the data are too few for that."""
    from bayesinf.errors import FitError
    from bayesinf.systems import lennard_jones as system

    sizes = {"count": count, "inferred": min(count, 100)}
    if run.quick:
        sizes = {"count": min(count, 100), "inferred": 10, "fractions": system.FRACTIONS[::2]}
    try:
        scores = system.learning_curves(
            data, **sizes, settings=run.settings, scheduler=run.scheduler
        )
        return system.learning_rates(scores, run.settings)
    except FitError:  # fewer than three sizes of training sets
        return None


if __name__ == "__main__":
    workflow.cli(main)

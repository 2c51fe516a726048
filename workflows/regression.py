"""What has a target to do with the columns of a table? Any formula, with intervals for everything.

Reads a table, fits y ~ a*b + C(site) + poly(x, 3) + s(x) + (1|group) + (x|group), of counts with
an offset(log(exposure)), under a prior that shrinks, selects or smooths, compares formulas,
foretells new rows, and stands beside least squares, ridge and lasso. With --data a folder, a
pattern such as 'runs/*.csv', or a table with --each: the same formula for all, on one page.
"""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bayesinf import workflow

Prior = StrEnum(
    "Prior", ["normal", "laplace", "bayesian_lasso", "horseshoe", "spike_and_slab", "flat"]
)
Response = StrEnum(
    "Response", ["normal", "student", "poisson", "negbinomial", "bernoulli", "binomial"]
)


@workflow.script
def main(
    run: workflow.Run,
    formula: Annotated[
        str | None, typer.Option(help="Such as 'y ~ a*b + C(site) + s(x) + (x|group)'.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column to explain, without --formula.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Columns that explain, a,b,c; default: all others.")
    ] = None,
    error: Annotated[str | None, typer.Option(help="Column of error bars of the target.")] = None,
    trials: Annotated[
        str | None, typer.Option(help="Column of trials, of a binomial response.")
    ] = None,
    prior: Annotated[
        Prior, typer.Option(help="Of the coefficients, in units of their columns' spread.")
    ] = Prior.normal,
    response: Annotated[
        Response,
        typer.Option(
            help="How the target scatters; bernoulli: 0/1 or two words; binomial: with --trials."
        ),
    ] = Response.normal,
    compare: Annotated[
        list[str] | None, typer.Option(metavar="FORMULA", help="Another; repeat for more.")
    ] = None,
    new: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows to foretell: predictions.csv.")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    each: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of many tables in one: what names each."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of many tables: this one by itself.")
    ] = None,
):
    """Infer what a target has to do with the columns of a table."""
    from bayesinf.errors import DataError
    from bayesinf.systems import regression as system

    if run.data is None and (alone := {"target", "features", "error", "trials"} & run.given):
        raise DataError(
            "these are columns of a file",
            where=", ".join(f"--{name}" for name in sorted(alone)),
            expected="--data FILE beside them",
        )
    others, options = compare or [], {"response": str(response), "prior": str(prior)}
    with run.step("read"):
        many = None
        if run.data is not None:
            named = [name.strip() for name in features.split(",")] if features else None
            columns = {"target": target, "features": named, "error": error}
            columns |= {"response": str(response), "decimal": decimal, "trials": trials}
            many = system.tables(run.data, formula, each=each, **columns)
            if only is not None and many is None:
                raise workflow.misread("only", "many tables in --data", only)
            for name in sorted(run.given & {"compare", "new"}):
                if many is not None and only is None:
                    raise workflow.misread(name, "one table; of many, one by --only", "many")
        if many is not None and only is None:
            run.report_reading(many)
        elif run.data is not None:
            reads = partial(system.read, run.data, formula, **columns, others=others)
            own = reads() if many is None else many.single(only)
            for one in (own.attrs["formula"], *others):  # what cannot be stated is refused here
                system.problem(own, one, **options)
            table = run.report_reading(own)
        else:
            table = system.diabetes(formula)
        batch = many is not None and only is None
        rows = system.new_rows(new, table, table.attrs["formula"]) if new else None
    if batch:
        return workflow.batch(run, many, system.loop(**options))
    with run.step("fit"):
        found = system.fit(table, **options, settings=run.settings)
        fits = {str(prior): found}
        if run.data is None and not run.given & {"formula", "prior", "response"}:
            # As it was published: of the progression itself.
            plain = table.attrs["formula"].replace("sqrt(progression)", "progression")
            published = {"prior": "bayesian_lasso", "settings": run.settings}
            fits["bayesian_lasso"] = system.fit(table, plain, **published)
    if others:
        with run.step("compare"):
            fits[str(prior)] = system.compared(
                found, table, others, settings=run.settings, **options
            )
    if rows is not None:
        with run.step("predict"):
            told = system.predict(fits[str(prior)], table, rows, settings=run.settings, **options)
            fits[str(prior)], run.tables["predictions"] = told, system.predictions(told)
    return fits


if __name__ == "__main__":
    workflow.cli(main)

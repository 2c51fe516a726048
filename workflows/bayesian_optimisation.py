"""Where is an expensive function lowest, how deep is it there, and where to measure next?

Evaluations of your own as a table (a column for each input, one for the value), or the file of a
campaign that `bayesinf ask` and `bayesinf tell` keep. Without --data: campaigns on Forrester's
function, with and without noise, Branin's, and Hartmann's of six inputs.
"""

from functools import partial
from typing import Annotated

import typer

from bayesinf import workflow


@workflow.script
def main(
    run: workflow.Run,
    x: Annotated[str | None, typer.Option(help="Columns of the inputs, a,b,c.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of the value: name, or position.")] = None,
    bounds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW:HIGH[:integer][:log]", help="Of an input; repeat for others."
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(help="Column of what must be ≤ 0; repeat for others.")
    ] = None,
    maximise: Annotated[bool, typer.Option("--maximise", help="Seek the largest value.")] = False,
    noise: Annotated[
        float | None, typer.Option(help="Sd of the noise, 0 for exact values; else inferred.")
    ] = None,
    rule: Annotated[str, typer.Option(help="ei, lcb or thompson.")] = "ei",
    batch: Annotated[int, typer.Option(help="How many places to measure next.")] = 1,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
):
    """Infer where a function is lowest, and how deep, and say where to measure next."""
    from bayesinf.optimisation import store
    from bayesinf.systems import bayesian_optimisation as system

    asked = {"rule": store.rule_of(rule), "batch": batch}
    stated = dict(map(store.input_of, bounds or ()))
    with run.step("evaluations"):
        if run.data is not None:
            options = {"bounds": {n: (one.low, one.high) for n, one in stated.items()}}
            options["integers"] = [n for n, one in stated.items() if one.integer]
            options["logs"] = [n for n, one in stated.items() if one.log]
            columns = [workflow.column(name.strip()) for name in x.split(",")] if x else None
            options |= {"x": columns, "y": workflow.column(y), "decimal": decimal}
            options |= {"constraints": constraint or (), "noise": noise}
            options |= {"goal": "maximise" if maximise else "minimise"}
            jobs = {"posterior": run.report_reading(system.read(run.data, **options))}
        else:
            names = {
                "posterior": ("forrester", {}),
                "noisy": ("forrester", {"evaluations": 20, "noise": 1.0}),
                "branin": ("branin", {}),
                "hartmann": ("hartmann", {}),
            }
            if run.look:
                names = dict(list(names.items())[:1])
                run.shortened += ["one function of four is minimised"]
            calls = [
                partial(
                    system.simulate,
                    name,
                    rule=asked["rule"],
                    rng=run.settings.generator("simulate", key),
                    **more,
                )
                for key, (name, more) in names.items()
            ]
            jobs = dict(zip(names, run.map(_called, calls, label="Evaluating"), strict=True))
    settings = run.settings
    if "draws" not in run.given:
        _, settings = system.plan(jobs["posterior"], settings=settings)
    with run.step("fit"):
        of = {"settings": settings.replace(workers=1), **asked}
        calls = [partial(system.fit, data, **of) for data in jobs.values()]
        return dict(zip(jobs, run.map(_called, calls, label="Fitting"), strict=True))


def _called(call):
    return call()


if __name__ == "__main__":
    workflow.cli(main)

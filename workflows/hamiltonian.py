"""Which energy H(q, p) moves this system, and how surely is it known where?

Reads motions (times, q and p of several trials, with their rates where they were measured), infers
the energy with noise in the states treated and ignored, side by side, forecasts motions that are
held out, and compares with networks. Without --data it reads a simulated pendulum.
"""

from enum import StrEnum
from typing import Annotated

import typer

from bayesinf import workflow

Form = StrEnum("Form", ["smooth", "spring", "pendulum"])
LOOK = 6  # motions that a look takes
System = StrEnum("System", ["spring", "pendulum"])


@workflow.script
def main(
    run: workflow.Run,
    form: Annotated[
        Form, typer.Option(help="Any smooth H, c q² + k p², or c (1 − cos q) + k p².")
    ] = Form.smooth,
    damped: Annotated[bool, typer.Option("--damped", help="Infer a damping, ṗ = … − γ p.")] = False,
    kinetic: Annotated[
        float | None, typer.Option(metavar="K", help="Kinetic energy K p², where it is known.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Fit every motion; hold none out to forecast.")
    ] = False,
    networks: Annotated[
        bool, typer.Option("--networks", help="Also fit a network by paths (minutes).")
    ] = False,
    q: Annotated[str | None, typer.Option(help="Column of q: name, or position.")] = None,
    p: Annotated[str | None, typer.Option(help="Column of p: name, or position.")] = None,
    rates: Annotated[
        str | None, typer.Option(metavar="A,B", help="Columns of dq/dt and dp/dt, where measured.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of times: name, or position.")] = None,
    trial: Annotated[
        str | None, typer.Option(help="Column that tells motions apart, or 'none'.")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    system: Annotated[
        System | None, typer.Option(help="Simulate this instead; --seed says which motions.")
    ] = None,
    trials: Annotated[int, typer.Option(min=4, help="Simulated motions; half are held out.")] = 50,
    noise: Annotated[float, typer.Option(min=0.0, help="Sd of simulated noise.")] = 0.1,
    damping: Annotated[float, typer.Option(help="Damping of what is simulated.")] = 0.0,
):
    """Infer the energy of motions, and forecast some that are held out."""
    from bayesinf.posterior import annotated
    from bayesinf.systems import hamiltonian

    with run.step("read"):
        if run.data is not None:
            pair = [workflow.column(name.strip()) for name in rates.split(",")] if rates else None
            motions = run.report_reading(
                hamiltonian.read(
                    run.data,
                    q=workflow.column(q),
                    p=workflow.column(p),
                    rates=pair,
                    time=workflow.column(time),
                    trial=workflow.column(trial),
                    decimal=decimal,
                )
            )
        elif system is not None:
            rng = run.settings.generator("simulate")
            motions = hamiltonian.simulate(
                str(system), trials, noise=noise, rate_noise=noise, damping=damping, rng=rng
            )
        else:
            motions = hamiltonian.read(run.shipped("pendulum.nc"))
            if run.look:
                motions = hamiltonian.some(motions, slice(0, LOOK))
                run.shortened += [f"{LOOK} motions are taken"]
        part, held_out = (motions, None) if every else hamiltonian.split(motions)
        options = {"damped": damped, "kinetic": kinetic, "held_out": held_out}
        hamiltonian.problem(part, str(form), damped=damped, kinetic=kinetic)
    settings = run.settings
    if "draws" not in run.given:
        _, settings = hamiltonian.plan(settings=settings)
    fits = {}
    ways = {"paths": True} if run.look else {"paths": True, "ignored": False}
    for name, treated in ways.items():
        with run.step(f"fit {name}"):
            fits[name] = hamiltonian.fit(
                part, str(form), treated=treated, **options, settings=settings
            )
    if run.look and not networks:
        run.shortened += ["the fit that ignores noise in the states, and networks, are left out"]
        return fits
    with run.step("networks"):
        told = hamiltonian.classical(part, held_out, followed=networks)
        return {name: annotated(fit, classical=told) for name, fit in fits.items()}


if __name__ == "__main__":
    workflow.cli(main)

"""What does the spectrum of scattered light say of a plasma, and what do three features of it say?

Reads wavelengths, or shifts from the probe's, and counted photons. Without --data it reads a
simulated spectrum.
"""

from typing import Annotated

import typer

from bayesinf import workflow
from bayesinf.errors import DataError


@workflow.script
def main(
    run: workflow.Run,
    angle: Annotated[float, typer.Option(help="Scattering angle, degrees.")] = 90.0,
    probe: Annotated[float, typer.Option(help="Wavelength of the probe, nm.")] = 532.0,
    instrument: Annotated[
        float, typer.Option(help="Full width of the instrument at half maximum, nm.")
    ] = 0.06,
    gain: Annotated[float, typer.Option(help="What one photon adds to the counts.")] = 1.0,
    surrogate: Annotated[
        bool, typer.Option(help="Train a network on features of the peaks, and fit by it too.")
    ] = True,
    prior: workflow.Priors = None,
    window: workflow.Windows = None,
    x: Annotated[
        str | None, typer.Option(help="Column of wavelengths or shifts: name, or position.")
    ] = None,
    y: Annotated[str | None, typer.Option(help="Column of counts: name, or position.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
):
    """Infer a plasma from the spectrum of the light that it scatters."""
    from bayesinf.posterior import annotated
    from bayesinf.systems import thomson_surrogate as system

    with run.step("read"):
        setup = system.Setup(angle, probe, instrument)
        if run.data is not None:
            spectrum = run.report_reading(
                system.read(
                    run.data,
                    workflow.column(x),
                    workflow.column(y),
                    setup=setup,
                    gain=gain,
                    decimal=decimal,
                    windows=workflow.windows(window),
                )
            )
        else:
            spectrum = system.simulate(setup=setup, rng=run.settings.generator("simulate"))
        priors = workflow.priors(prior)
        system.problem(spectrum, priors=priors)
    _, settings = system.plan(settings=run.settings)
    with run.step("fit all channels"):
        fits = {"spectrum": system.fit(spectrum, priors=priors, settings=settings)}
    if not surrogate:
        return fits
    spectrometer = system.spectrometer_of(spectrum)
    with run.step("train a network"):
        if run.quick:
            run.shortened += ["the network is trained for a moment"]
        length = {"count": 800, "steps": 150} if run.quick else {}
        network = system.train(spectrometer, **length, settings=settings)
        length = {"held_out": 200, "processes": 0} if run.quick else {}
        judged = system.judged(spectrometer, network, **length, settings=settings)
    with run.step("fit three features"):
        try:
            found = system.fit_features(spectrum, network, priors=priors, settings=settings)
        except DataError as error:  # all channels may know a plasma that features do not
            fits["spectrum"].attrs["no_features"] = str(error)
        else:
            fits["features"] = annotated(found, surrogate=judged)
    return fits | {"network": network.posterior}


if __name__ == "__main__":
    workflow.cli(main)

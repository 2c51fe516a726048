"""Which peaks does a spectrum hold, and may their errors be read from the curvature at the optimum?

Without --data: the certified sets Gauss1, Gauss2 and Eckerle4 of NIST, and a simulated pair of
peaks so close that the quadratic approximation fails.
"""

from functools import partial
from typing import Annotated

import typer

from bayesinf import workflow

CASES = ("gauss1", "gauss2", "eckerle4", "overlap")


@workflow.script
def main(
    run: workflow.Run,
    x: Annotated[str | None, typer.Option(help="Column of x: name, or position from 1.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of y.")] = None,
    error: Annotated[str | None, typer.Option(help="Column of error bars, or 'none'.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    peaks: Annotated[int, typer.Option(min=1, help="How many peaks; for --data.")] = 1,
    background: Annotated[
        str, typer.Option(help="constant, linear, exponential or none; for --data.")
    ] = "constant",
    shape: Annotated[
        str, typer.Option(help="gaussian, lorentzian, voigt or pseudo-voigt; for --data.")
    ] = "gaussian",
    case: Annotated[
        str, typer.Option(help=f"Without --data: all, or one of {', '.join(CASES)}.")
    ] = "all",
):
    """Find the peaks of a spectrum, with their errors by curvature and by sampling side by side."""
    from bayesinf.systems import gaussian_peaks as system

    with run.step("load"):
        if run.data is not None:
            columns = map(workflow.column, (x, y, error))
            own = run.report_reading(system.read(run.data, *columns, decimal=decimal))
            spectra = {"": (own, {"peaks": peaks, "background": background, "shape": shape})}
        else:
            spectra = shipped(run, case)
    jobs = {
        f"{name}_{method}".lstrip("_"): (*spectrum, method)
        for name, spectrum in spectra.items()
        for method in ("laplace", "emcee")
        # That the approximation fails here is the point: it is shown, but is no result to keep.
        if (name, method) != ("overlap", "laplace")
    }
    with run.step("fit"):
        call = partial(fit_one, settings=run.settings)
        return dict(zip(jobs, run.map(call, jobs.values(), label="Fitting"), strict=True))


def shipped(run, case):
    """Read the certified sets and simulate the overlapping pair; the first one is the main one."""
    from bayesinf.errors import DataError
    from bayesinf.systems import gaussian_peaks as system

    if case not in ("all", *CASES):
        raise DataError("unknown --case", expected=f"all, {', '.join(CASES)}", found=case)
    spectra = {}
    for name in CASES if case == "all" else (case,):
        if name == "overlap":
            spectrum, model = system.overlap(), {"peaks": 2}
        else:
            spectrum = system.nist(run.shipped(f"{name.capitalize()}.dat"))
            model = system.nist_options(spectrum)
        spectra[name if spectra else ""] = spectrum, model
    return spectra


def fit_one(job, settings):
    """Fit one spectrum by one method."""
    from bayesinf.systems.gaussian_peaks import fit

    spectrum, model, method = job
    return fit(spectrum, method=method, settings=settings, **model)


if __name__ == "__main__":
    workflow.cli(main)

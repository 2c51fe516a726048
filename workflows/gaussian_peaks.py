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
    with run.step("load"):
        if run.data is not None:
            model = {"peaks": peaks, "background": background, "shape": shape}
            spectra = {"": own_spectrum(run.data, x, y, error) | model}
        else:
            spectra = shipped_spectra(run, case)
    jobs = {
        f"{name}_{method}".lstrip("_"): (options, method)
        for name, options in spectra.items()
        for method in ("laplace", "emcee")
        # That the approximation fails here is the point: it is shown, but is no result to keep.
        if (name, method) != ("overlap", "laplace")
    }
    with run.step("fit"):
        call = partial(fit_one, settings=run.settings)
        return dict(zip(jobs, run.map(call, jobs.values(), label="Fitting"), strict=True))


def own_spectrum(path, x, y, error):
    """Read a file of the user's."""
    from bayesinf.data import axes, curve

    read = axes(curve(path, *map(workflow.column, (x, y, error))))
    return dict(zip(("x", "y", "error"), read, strict=True), case=path.name)


def shipped_spectra(run, case):
    """Read the certified sets and simulate the overlapping pair; the first one is the main one."""
    from bayesinf.errors import DataError
    from bayesinf.systems import gaussian_peaks as peaks

    if case not in ("all", *CASES):
        raise DataError("unknown --case", expected=f"all, {', '.join(CASES)}", found=case)
    spectra = {}
    for name in CASES if case == "all" else (case,):
        if name == "overlap":
            read = peaks.overlap()
            truth = read[[variable for variable in read.data_vars if variable.endswith("_truth")]]
            options = {"peaks": 2, "case": "Two overlapping peaks (simulated)", "reference": truth}
        else:
            read = peaks.nist(run.shipped(f"{name.capitalize()}.dat"))
            options = peaks.nist_options(read)
            del options["starts"]  # our own guess has to find them
        spectra[name if spectra else ""] = {"x": read["x"], "y": read["y"]} | options
    return spectra


def fit_one(job, settings):
    """Fit one spectrum by one method."""
    from bayesinf.systems.gaussian_peaks import fit

    options, method = job
    return fit(**options, method=method, settings=settings)


if __name__ == "__main__":
    workflow.cli(main)

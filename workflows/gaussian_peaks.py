"""Which peaks does a spectrum hold, and may their errors be read from the curvature at the optimum?

Without --data: the certified sets Gauss1, Gauss2 and Eckerle4 of NIST, and a simulated pair of
peaks so close that the quadratic approximation fails. With --data a folder, a pattern such as
'scans/*.csv', a table with --spectrum, or a cube: all spectra at once, on one page.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from bayesinf import workflow

CASES = ("gauss1", "gauss2", "eckerle4", "overlap")
METHODS = ("laplace", "emcee")
# NIST's model of Eckerle4, a Gaussian with noise of one size, is not like its data: the residuals
# on the line are thirty times those in the wings, and neighbours agree. This one is.
LIKE_ECKERLE4 = {
    "peaks": 1,
    "shape": "pseudo-voigt",
    "background": "constant",
    "likelihood": "shot+correlated",
}


@dataclass(frozen=True)
class Model:
    """What is fitted to --data."""

    peaks: Annotated[
        str, typer.Option(metavar="K or K-L", help="How many peaks; '1-4' compares.")
    ] = "1"
    background: Annotated[
        str,
        typer.Option(help="constant, linear, quadratic, cubic, exponential, spline or none."),
    ] = "constant"
    shape: Annotated[str, typer.Option(help="gaussian, lorentzian, voigt or pseudo-voigt.")] = (
        "gaussian"
    )
    tied: Annotated[bool, typer.Option("--tied", help="All peaks are as wide.")] = False
    search: Annotated[
        str, typer.Option(help="global: differential evolution before the descents; or starts.")
    ] = "starts"
    negative: Annotated[bool, typer.Option("--negative", help="The peaks are dips.")] = False
    likelihood: Annotated[
        str | None,
        typer.Option(
            help="normal, student, poisson, negbinomial, proportional, shot or correlated; "
            "default: what the data call for, and it is said."
        ),
    ] = None
    centers: Annotated[
        str | None, typer.Option(metavar="X,X,...", help="Where to start looking for the peaks.")
    ] = None
    prior: workflow.Priors = None
    window: workflow.Windows = None
    method: Annotated[str, typer.Option(help="laplace, emcee, or both, side by side.")] = "both"

    def methods(self):
        """The methods that are asked for."""
        if self.method not in ("both", *METHODS):
            raise workflow.misread("method", f"both, {', '.join(METHODS)}", self.method)
        return METHODS if self.method == "both" else (self.method,)

    def numbers(self):
        """The numbers of peaks that are asked for."""
        low, dash, high = self.peaks.partition("-")
        if not low.isdigit() or not (high.isdigit() if dash else True):
            raise workflow.misread("peaks", "a number such as 2, or two such as 1-4", self.peaks)
        found = range(int(low), int(high or low) + 1)
        if not found or not found[0]:
            raise workflow.misread("peaks", "numbers from 1 on, the lower first", self.peaks)
        return found

    def options(self):
        """The model as ``gaussian_peaks.problem`` takes it, the number of peaks aside."""
        given = {
            name: getattr(self, name)
            for name in ("background", "shape", "tied", "search", "negative", "likelihood")
        }
        given["priors"] = workflow.priors(self.prior)
        given["centers"] = workflow.numbers("centers", self.centers) if self.centers else ()
        return given


@workflow.script
def main(
    run: workflow.Run,
    model: Model,
    x: Annotated[str | None, typer.Option(help="Column of x: name, or position from 1.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of y.")] = None,
    error: Annotated[str | None, typer.Option(help="Column of error bars, or 'none'.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    spectrum: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of a table of many spectra: what names each."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of many spectra: this one by itself.")
    ] = None,
    refine: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of many spectra: sample the N worst doubted.")
    ] = 0,
    case: Annotated[
        str, typer.Option(help=f"Without --data: all, or one of {', '.join(CASES)}.")
    ] = "all",
):
    """Find the peaks of a spectrum, with their errors by curvature and by sampling side by side."""
    from bayesinf.systems import gaussian_peaks as system

    with run.step("load"):
        methods, numbers, options = model.methods(), model.numbers(), model.options()
        many, own = None, None
        if run.data is not None:
            columns = list(map(workflow.column, (x, y, error)))
            chosen = {"decimal": decimal, "windows": workflow.windows(model.window)}
            many = system.several(run.data, *columns, spectrum=spectrum, **chosen)
            if only is not None and many is None:
                raise workflow.misread("only", "many spectra in --data", only)
            if only is not None:
                own, many = many.single(only), None
            elif many is None:
                own = system.read(run.data, *columns, **chosen)
            run.report_reading(own if many is None else many)
            spectra = {"": (own, options | {"peaks": numbers[0]})}
        else:
            spectra = shipped(run, case)
    if many is not None:
        return batch(run, many, numbers, options, refine)
    counted = {}
    if run.data is not None and len(numbers) > 1:
        with run.step("count"):
            counted = count(run, own, numbers, options)
            spectra = {"": (own, options | {"peaks": int(counted[BEST].attrs["peaks"])})}
    jobs = {
        f"{name}_{method}".lstrip("_"): (*spectrum, method)
        for name, spectrum in spectra.items()
        for method in methods
        # That the approximation fails here is the point: it is shown, but is no result to keep.
        if (name, method) != ("overlap", "laplace") and (method == "laplace" or not counted)
    }
    jobs |= extra(spectra) if run.data is None else {}
    with run.step("fit"):
        call = partial(fit_one, settings=run.settings)
        fits = dict(zip(jobs, run.map(call, jobs.values(), label="Fitting"), strict=True))
    fits |= counted
    if run.data is not None and "emcee" in fits:
        with run.step("explain"):
            trying = partial(run.map, label="Trying other models")
            fits["emcee"], others = system.explained(
                *spectra[""][:1], fits["emcee"], spectra[""][1], run.settings, trying
            )
            fits |= others
    if run.data is not None:
        said = {fit.attrs["why"] for fit in fits.values()} - {""}
        for why in sorted(said):
            if not any(other.startswith(why) for other in said - {why}):
                print(f"Noticed: {why}")
    return fits


def batch(run, many, numbers, options, refine):
    """Fit many spectra at once, and tell them on one page."""
    from bayesinf.systems import gaussian_peaks as system

    if len(numbers) > 1:
        found = f"{numbers[0]}-{numbers[-1]}"
        raise workflow.misread("peaks", "one number, for many spectra at once", found)
    stated, why = system.batch.stated(many, options | {"peaks": numbers[0]})
    if why:
        print(f"Noticed: {why}.")
    with workflow.staged(run.output, run=run.id) as folder:
        with run.step("fit"):
            how = {"here": run.scheduler is not None, "run": run.id}
            system.batch.write(many, stated, run.settings, folder, run.map, **how)
        refined = {}
        if refine:
            given = options | {"peaks": numbers[0]}
            with run.step("refine"):
                refined = system.batch.refine(
                    folder, many, given, run.settings, run.map, refine, run=run.id
                )
        with run.step("report"):
            said, verdict = system.batch.tell(folder, many, run.command, run.id, refined, why=why)
    run.say(verdict.words, verdict.believed, answer=said)


BEST = "emcee"


def count(run, spectrum, numbers, options):
    """Fit each number of peaks; the best of them under the name of the answer."""
    from bayesinf.errors import FitError
    from bayesinf.systems import gaussian_peaks as system

    trying = partial(run.map, label="Counting peaks")
    found = system.counts(spectrum, numbers, options, run.settings, trying)
    fits = {number: fit for number, fit in found.items() if not isinstance(fit, str)}
    for number, reason in found.items():
        if isinstance(reason, str):
            print(f"{number} peaks: {reason}.")
    if not fits:
        raise FitError(next(iter(found.values())))
    best = system.best_count(fits)
    others = {f"peaks{number}": fit for number, fit in fits.items() if number != best}
    return {BEST: fits[best]} | others


def shipped(run, case):
    """Read the certified sets and simulate the overlapping pair; the first one is the main one."""
    from bayesinf.systems import gaussian_peaks as system

    if case not in ("all", *CASES):
        raise workflow.misread("case", f"all, {', '.join(CASES)}", case)
    spectra = {}
    every = CASES[:1] if run.look else CASES
    if run.look and case == "all":
        run.shortened += [f"{CASES[0]} is taken of {', '.join(CASES)}"]
    for name in every if case == "all" else (case,):
        if name == "overlap":
            spectrum, model = system.overlap(), {"peaks": 2}
        else:
            spectrum = system.nist(run.shipped(f"{name.capitalize()}.dat"))
            model = system.nist_options(spectrum)
        spectra[name if spectra else ""] = spectrum, model
    return spectra


def extra(spectra):
    """The model that is like Eckerle4's data, beside the certified one."""
    for name, (spectrum, _) in spectra.items():
        if spectrum.attrs.get("name") == "Eckerle4":
            return {f"{name}_better".lstrip("_"): (spectrum, LIKE_ECKERLE4, "emcee")}
    return {}


def fit_one(job, settings):
    """Fit one spectrum by one method."""
    from bayesinf.systems.gaussian_peaks import fit

    spectrum, model, method = job
    return fit(spectrum, method=method, settings=settings, **model)


if __name__ == "__main__":
    workflow.cli(main)

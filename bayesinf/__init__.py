"""bayesinf: a probabilistic inference workflow in which every fit is a posterior.

    data/          a file -> labelled xarray.Dataset with units
    systems/       the physics: simulate, features, priors, which model
    models/        likelihood and prior, defined once in PyMC, and this family's own fast routes
    inference/     routes that need a log density and nothing else
    posterior.py   InferenceData: groups, provenance, save and load
    diagnostics.py R-hat, effective sample sizes and tails of weights, for thousands at once
    foreign.py     posteriors of other libraries, dressed as ours
    checks/        may this posterior be believed?
    audits/        may the normal around an optimum stand for it? a curve_fit of yours as well
    calibration.py does the whole machine give honest intervals?
    forecasts/     each draw on its way into the future, and how good that was
    figures/       InferenceData in, matplotlib Figure out
    report/        one page a physicist can show
    workflow/      the frame that every script in workflows/ shares, and the bayesinf command
    scripts/       those scripts, to import
    schema.py      what a file must be to pass for a posterior of ours
    reader.py      binary files of others, in a process of their own
    sealed.py      what is asked of a file before it is read
    publication.py a folder is one run's, whole
    kept.py        what a run that was cut off had done
    capacity.py    whether a fit fits into memory
    progress.py    how far a run is, and how long it will be
    parallel.py    one function over many items, on local cores or a Dask cluster

Data flow down this list and never up. What passes is xarray.
"""

from importlib import import_module

# What anybody begins with, to the module that holds it. ``__init__.pyi`` says the same to editors
# and type checkers.
_NAMES = {
    "fit": "models.density",
    "summary": "report",
    "Summary": "report",
    "write_report": "workflow",
    "load": "posterior",
    "save": "posterior",
    "check": "checks",
    "audit": "audits",
    "Verdict": "checks",
    "calibrate": "calibration",
    "retell": "workflow",
    "Settings": "settings",
    "DEFAULT": "settings",
    "QUICK": "settings",
    "BayesinfError": "errors",
    "DataError": "errors",
    "FitError": "errors",
    "MachineError": "errors",
    "CheckFailed": "errors",
}
# The families of models, and the rooms that are used by themselves.
_ROOMS = {
    "linear": "models.linear",
    "curve": "models.curve",
    "gp": "models.gp",
    "binary": "models.binary",
    "pairwise": "models.binary.pairwise",
    "logistic": "models.binary.logistic",
    "density": "models.density",
    "data": "data",
    "priors": "priors",
    "checks": "checks",
    "systems": "systems",
    "forecasts": "forecasts",
    "figures": "figures",
    "report": "report",
    "calibration": "calibration",
}

__all__ = sorted([*_NAMES, *_ROOMS, "__version__"])


def __getattr__(name: str):
    # Names are looked up when they are used, so that importing bayesinf costs nothing.
    if name in _NAMES:
        return getattr(import_module(f"bayesinf.{_NAMES[name]}"), name)
    if name in _ROOMS:
        return import_module(f"bayesinf.{_ROOMS[name]}")
    if name == "__version__":
        return import_module("bayesinf.posterior").library_version("bayesinf")
    raise AttributeError(f"module 'bayesinf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

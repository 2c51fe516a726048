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

_HOMES = {
    "fit": "models.density",
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

__all__ = sorted(_HOMES)


def __getattr__(name):
    # Names are looked up when they are used, so that importing bayesinf costs nothing.
    if name in _HOMES:
        return getattr(import_module(f"bayesinf.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'bayesinf' has no attribute {name!r}")


def __dir__():
    return __all__

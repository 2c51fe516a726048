"""A script made of a function, and its run from the command line."""

from __future__ import annotations

import atexit
import gc
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING, get_type_hints

import typer
from typer.exceptions import TyperException

from bayesinf import kept, sealed
from bayesinf.errors import BayesinfError, MachineError
from bayesinf.settings import DEFAULT, QUICK
from bayesinf.workflow import ending
from bayesinf.workflow.options import REPORTS, SHARED
from bayesinf.workflow.retelling import story_of
from bayesinf.workflow.run import Run

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.report import Story

__all__ = ["cli", "ended", "script"]


def script(
    function: Callable | None = None,
    *,
    name: str | None = None,
    story: Callable[[Mapping[str, xr.DataTree]], Story] | None = None,
    without: Iterable[str] = (),
) -> Callable:
    """Make a script of a function from a ``Run``, and options of its own, to fits by name.

    The options of ``SHARED`` become fields of the run. A parameter that is annotated with a
    dataclass, such as ``Recording``, becomes an option for each of its fields. What the function
    returns is finished with the story of the system that the script is named after, or told plainly
    where that has none; a script that returns None has seen to its results itself.

    Parameters
    ----------
    function : its first parameter is the run; its docstring asks the question.
    name : of the script; None takes its file's.
    story : from the fits to the system's part of the report, in place of the system's own.
    without : shared options that mean nothing to this script.

    Returns
    -------
    a function of all options, for ``cli``.
    """
    if function is None:
        return partial(script, name=name, story=story, without=without)
    file = Path(function.__code__.co_filename)
    title = name or file.stem
    shared = {each: entry for each, entry in SHARED.items() if each not in without}
    hints = get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    gathered = {p.name: hints[p.name] for p in own if is_dataclass(hints[p.name])}
    options = {each: (kind, default) for each, (kind, default) in shared.items()}
    for parameter in own:
        if parameter.name in gathered:
            kinds = get_type_hints(gathered[parameter.name], include_extras=True)
            options |= {
                f.name: (kinds[f.name], f.default) for f in fields(gathered[parameter.name])
            }
        else:
            options[parameter.name] = hints[parameter.name], parameter.default

    def main(context: typer.Context = None, **given):
        values = {each: default for each, (_, default) in options.items()} | given
        common = {each: values[each] for each in SHARED if each in values}
        run = _opened(title, file, common, _given(context, given))
        arguments = {
            parameter.name: gathered[parameter.name](
                **{f.name: values[f.name] for f in fields(gathered[parameter.name])}
            )
            if parameter.name in gathered
            else values[parameter.name]
            for parameter in own
        }
        with (
            sealed.reading(common.get("read_bytes")),
            kept.keeping(_decisive(sys.argv), fresh=common.get("fresh", False)) as folder,
        ):
            run.kept = folder
            try:
                fits = function(run, **arguments)
                if fits is not None:
                    question = " ".join((function.__doc__ or title).split("\n\n")[0].split())
                    run.finish(fits, story or story_of(title, title.replace("_", " "), question))
            except typer.Exit:  # done, whatever it says of the results
                kept.forget(folder)
                raise
            kept.forget(folder)

    parameters = {"context": (typer.Context, inspect.Parameter.empty)} | options
    main.__signature__ = inspect.Signature(
        [
            inspect.Parameter(
                each, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
            for each, (kind, default) in parameters.items()
        ]
    )
    main.__annotations__ = {each: kind for each, (kind, _) in parameters.items()}
    main.__name__, main.__doc__, main.__module__ = "main", function.__doc__, function.__module__
    return main


def cli(main: Callable) -> None:
    """Run a script's ``main`` with its options from the command line, and end with its status."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    ended(app, Path(sys.argv[0]).stem or "bayesinf")


def ended(app: typer.Typer, name: str) -> None:
    """Run the command line of an application, and end with its status.

    Whatever goes wrong becomes one line on stderr: a user's mistake with exit status 2, anything
    else with 1, a signal with 128 and its number.
    """
    ending.plain_streams()
    _spare()
    try:
        with ending.traced(name), ending.stoppable():
            status = app(standalone_mode=False)
            sys.stdout.flush()
        if status == 128 + SIGINT:  # as typer calls an interrupt
            ending.failed("stopped by SIGINT")
    except (BayesinfError, TyperException) as error:
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        if said:  # without arguments the help has been printed, and is all there is to say
            ending.failed(said)
        status = 1 if isinstance(error, MachineError) else 2
    except (ending.Stopped, KeyboardInterrupt) as signal:
        ending.failed(f"stopped by {signal.args[0] if signal.args else 'SIGINT'}")
        status = 128 + getattr(signal, "number", SIGINT)
    except MemoryError:
        ending.failed("there is not enough memory; run with fewer draws, or fewer data")
        status = 1
    except OSError as error:
        ending.failed(f"{error.filename or name}: {error.strerror or error}")
        ending.silenced()
        status = 1
    except Exception as error:
        ending.fault(error, name)
        status = 1
    sys.exit(status or 0)


def _opened(name, file, common, given):
    """The run that the shared options describe."""
    lengths = {each: common.get(each) for each in ("seed", "draws", "tune", "chains")}
    quick = common.get("quick", False)
    # A look at a shipped example is over before worker processes would have started.
    alone = quick and common.get("data") is None and common.get("scheduler") is None
    settings = (QUICK if quick else DEFAULT).replace(
        workers=1 if alone else None,
        **{each: value for each, value in lengths.items() if value is not None},
    )
    output = common.get("output")
    return Run(
        name,
        settings,
        REPORTS / name if output is None else Path(output),
        data=common.get("data"),
        scheduler=common.get("scheduler"),
        quick=quick,
        given=given,
        home=file.parent,
    )


def _decisive(words):
    """The words of a command without those that change nothing of what it makes."""
    aside = [k for k, word in enumerate(words) if word in ("--fresh", "--scheduler")]
    aside += [k + 1 for k in aside if words[k] == "--scheduler"]
    return [
        word
        for k, word in enumerate(words)
        if k not in aside and not word.startswith("--scheduler=")
    ]


def _given(context, options):
    """Names of the options that stand on the command line, or in a call from Python."""
    if context is None:
        return frozenset(options)
    source = context.get_parameter_source
    return frozenset(each for each in options if source(each).name == "COMMANDLINE")


def _spare() -> None:
    """Spend nothing on what a script has no use for.

    Threads of BLAS wait for each other on matrices of hundreds, which is what stands between the
    fits (those hold them to one thread themselves); unless the environment says otherwise there is
    one, so that results are the same on any number of cores too. To look for cyclic garbage at each
    700 new objects takes a tenth of a run, and a third of its figures; at the end, when all goes,
    nobody need look.
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # read when NumPy loads, which is later
    gc.set_threshold(50_000, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)

"""The frame that every script in ``workflows/`` shares: options, errors, files and exit status.

    options.py     the options that all scripts have in common
    script.py      a script made of a function, and its run from the command line
    ending.py      how a script ends when it does not end well
    run.py         one run: its data, settings and clock, and how it ends
    batching.py    a run on many data sets of one kind
    retelling.py   a page from the fits of a run, or from any InferenceData
    tables.py      numbers for summary.csv

A script is a function that reads, fits, and returns its fits by name; ``script`` gives it the
options that all have in common, and a ``Run`` as its first argument. Then every fit is checked and
everything written into a hidden folder beside the output, which is published whole at the end
(``bayesinf.publication``). So a bad input, a failed fit or a killed run leaves the output folder as
it was. The story is told last, and where that fails the fits are kept: ``retell`` makes the page
once it can be told.

One fit carries the answer, as the story says: its verdict is that of the run. Exit status: 0 done
and believed; 1 it could not be done (memory, disk, a lost scheduler), or done but for the report,
one line on stderr; 2 bad usage or bad input, one line on stderr, nothing written; 3 done, but the
answer's fit failed a check.
"""

from bayesinf.publication import staged
from bayesinf.workflow.batching import batch
from bayesinf.workflow.options import (
    REPORTS,
    Priors,
    Recording,
    Windows,
    column,
    misread,
    numbers,
    priors,
    windows,
)
from bayesinf.workflow.retelling import retell, write_report
from bayesinf.workflow.run import Run
from bayesinf.workflow.script import cli, script
from bayesinf.workflow.tables import summary

__all__ = [
    "REPORTS",
    "Priors",
    "Recording",
    "Run",
    "Windows",
    "batch",
    "cli",
    "column",
    "misread",
    "numbers",
    "priors",
    "retell",
    "script",
    "staged",
    "summary",
    "windows",
    "write_report",
]

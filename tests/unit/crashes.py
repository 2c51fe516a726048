"""Kills a publication at each of its steps, and says what was left: run by test_publication.py.

A step is anything that Python asks of the file system, as its audit hook sees it. Each case is a
fork of this process, in a folder of its own: an earlier run, a file of the user's, and a new run
that is killed, interrupted, asked to end, or fails at its k-th step.
"""

import errno
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

from bayesinf.publication import staged
from bayesinf.workflow.ending import stoppable

STEPS = ("open", "os.", "shutil.")
OLD = {"index.html": "old", "verdict.json": "old", "old.nc": "old", "figures/a.png": "old"}
NEW = {
    "index.html": "new",
    "verdict.json": "new",
    "new.nc": "new",
    "figures/b.png": "new",
    "figures/a.png": "new",
}


def publish(home, files, run, keep=()):
    with staged(home, keep=keep, run=run) as folder:
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)


def prepared(home):
    publish(home, OLD, "0" * 16)
    (home / "notes.txt").write_text("mine")
    (home / "figures" / "own.png").write_text("mine")


def one(home, number, step):
    """Publish, and have it end by a signal, or by an error where ``number`` is 0, at a step."""
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        if event.startswith(STEPS) and str(home.parent) in str(arguments):
            seen += 1
            if seen == step and number:
                os.kill(os.getpid(), number)
            elif seen == step:
                raise OSError(errno.ENOSPC, "No space left on device")

    sys.addaudithook(hook)
    try:
        with stoppable():
            publish(home, NEW, "1" * 16)
    except OSError:
        os._exit(1)
    except BaseException as stopped:
        os._exit(128 + getattr(stopped, "number", 0))
    os._exit(0 if seen >= step else 99)  # 99: there was no such step


def main(root, most):
    """Print a list of [signal, step, exit status, folder]."""
    cases = []
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, 0):
        for step in range(1, most):
            home = root / f"{int(number)}-{step}" / "wire"
            home.parent.mkdir(parents=True)
            prepared(home)
            child = os.fork()
            if not child:
                try:
                    one(home, number, step)
                except BaseException:
                    traceback.print_exc()
                    os._exit(98)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status == 99:
                shutil.rmtree(home.parent)
                break
            cases.append([int(number), step, status, str(home)])
    print(json.dumps(cases))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

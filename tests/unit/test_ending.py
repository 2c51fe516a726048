"""How a script ends when it is stopped, crashes, or has nowhere to write: in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bayesinf.errors import MOST, DataError, one_line, printable

HERE = Path(__file__).resolve().parent
SCRIPT = '''
import ctypes, os, sys, time
from pathlib import Path
from bayesinf import parallel, workflow
from bayesinf.publication import staged

def sleep(item):
    Path(f"worker-{item}").write_text(str(os.getpid()))
    time.sleep(600)

@workflow.script(name="sleeper")
def main(run, how: str = "sleep"):
    """What does it do?"""
    if how == "print":
        print("±" * 10)
    elif how == "full":
        Path("big").write_bytes(bytes(10**7))
    elif how == "memory":
        raise MemoryError
    elif how == "spare":
        import gc, numpy
        from threadpoolctl import threadpool_info
        print(*{pool["num_threads"] for pool in threadpool_info()}, gc.get_threshold()[0])
    elif how == "lost":
        raise workflow.MachineError("the scheduler was lost")
    elif how == "crash":
        ctypes.string_at(0)
    elif how == "letters":
        raise workflow.DataError("bad \\x1b[31mred\\x07" + "x" * 1000)
    else:
        with staged(run.output):
            Path("ready").touch()
            if how == "workers":
                parallel.map(sleep, range(2), workers=2)
            time.sleep(600)

from bayesinf import errors
workflow.DataError, workflow.MachineError = errors.DataError, errors.MachineError
workflow.cli(main)
'''


def start(folder, how, **options):
    (folder / "sleeper.py").write_text(SCRIPT)
    options = {"env": os.environ | {"TMPDIR": str(folder)}} | options
    return subprocess.Popen(
        [sys.executable, "sleeper.py", "--how", how],
        cwd=folder,
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        **options,
    )


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.decode()


def wait_for(*paths):
    while not all(path.exists() and path.read_text() for path in paths):
        time.sleep(0.05)


def lives(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="asks /proc who lives")
@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGTERM, 143, "error: stopped by SIGTERM\n"),
        (signal.SIGINT, 130, "error: stopped by SIGINT\n"),
        (signal.SIGKILL, -9, ""),
    ],
)
def test_a_signal_ends_the_workers_too(tmp_path, number, status, said):
    process = start(tmp_path, "workers")
    workers = [tmp_path / f"worker-{k}" for k in range(2)]
    wait_for(*workers)
    process.send_signal(number)
    process.wait(60)
    pids = [int(path.read_text()) for path in workers]
    patience = time.monotonic() + 10
    while any(map(lives, pids)) and time.monotonic() < patience:
        time.sleep(0.1)
    assert not any(map(lives, pids))
    found, out, err = ended(process)
    assert (found, out) == (status, b"")
    assert err == said or number == signal.SIGKILL  # then joblib tells of the semaphores it frees
    hidden = [path.name for path in (tmp_path / "reports").iterdir()]
    assert len(hidden) == (number == signal.SIGKILL)
    assert not list(tmp_path.glob("*.trace"))


def test_a_crash_of_a_library_is_one_line_and_its_trace_is_kept(tmp_path):
    status, out, err = ended(start(tmp_path, "crash"))
    assert status == -signal.SIGSEGV and out == b""
    assert err.startswith("error: a numerical library crashed; its trace is in ")
    assert err.count("\n") == 1
    assert "Segmentation fault" in Path(err.split(" is in ")[1].strip()).read_text()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_that_lacks_a_letter_ends_no_run(tmp_path, encoding):
    env = os.environ | {"PYTHONIOENCODING": encoding, "TMPDIR": str(tmp_path)}
    status, out, err = ended(start(tmp_path, "print", env=env))
    assert (status, err) == (0, "")
    assert out.decode(encoding).strip() == ("?" if encoding == "ascii" else "±") * 10
    done = subprocess.run(
        [sys.executable, "sleeper.py", "--help"], cwd=tmp_path, env=env, capture_output=True
    )
    assert done.returncode == 0 and b"--how" in done.stdout and done.stderr == b""


@pytest.mark.parametrize(("stated", "threads"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_numerical_libraries_have_one_thread_unless_the_user_says_so(tmp_path, stated, threads):
    if os.cpu_count() < int(threads):
        pytest.skip("a machine of one core")
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    env |= {"TMPDIR": str(tmp_path), "MKL_NUM_THREADS": threads} | stated
    status, out, _ = ended(start(tmp_path, "spare", env=env))
    assert status == 0 and out.decode().split() == [threads, "50000"]


def test_a_full_disk_and_a_missing_listener_are_one_line(tmp_path):
    import resource

    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    status, _, err = ended(start(tmp_path, "full", preexec_fn=limit))
    assert (status, err) == (1, "error: sleeper: File too large\n")
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            status, _, err = ended(start(tmp_path, "print", stdout=full))
        assert (status, err) == (1, "error: sleeper: No space left on device\n")


def test_lack_of_memory_and_strange_letters_are_one_line(tmp_path):
    status, _, err = ended(start(tmp_path, "memory"))
    assert status == 1 and err.startswith("error: there is not enough memory")
    assert ended(start(tmp_path, "lost")) == (1, b"", "error: the scheduler was lost\n")
    status, _, err = ended(start(tmp_path, "letters"))
    assert status == 2 and len(err) <= len("error: ") + MOST + 1
    assert err.startswith("error: bad [31mred xxx") and err.strip().isprintable()


def test_a_message_is_one_printable_line():
    assert printable("a\x1b[2J\u202eb\nc") == "a [2J b\nc"
    assert one_line("a\r\n\tb\ud800") == "a b"
    for length in (MOST, MOST + 1, 10_000):
        line = one_line("b" + "x" * (length - 2) + "e")
        assert len(line) == MOST and line[0] == "b" and line[-1] == "e"
        assert one_line(line) == line
    error = DataError("bad", found="\x1b]0;title\x07" * 100, remedy="mend it")
    assert len(str(error)) <= MOST and str(error).isprintable() and str(error).endswith("mend it")

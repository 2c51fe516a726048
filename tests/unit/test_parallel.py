import os
import pickle
import sys
import threading
import time

import numpy as np
import pytest

from bayesinf import parallel, progress
from bayesinf.checks import Check, Verdict
from bayesinf.errors import CheckFailed, DataError, MachineError


def square(x):
    return x * x


def noise(seed):
    a = np.random.default_rng(seed).normal(size=(60, 60))
    return a @ a.T


def refuse(x):
    raise DataError("bad spins", source="spins.csv", where=f"row {x}", expected="±1", found=0)


def process_of_inner(x):
    return os.getpid(), parallel.map(_pid, [1, 2])


def _pid(_):
    return os.getpid()


def threads_of_blas(_):
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return [pool["num_threads"] for pool in threadpool_info()]


def die(_):
    os._exit(1)


@pytest.mark.parametrize("how", [{"workers": 1}, {"workers": 2}, {"workers": 2, "threads": True}])
def test_same_results_in_order_whatever_the_workers(how):
    assert parallel.map(square, range(7), **how) == [x * x for x in range(7)]
    for here, there in zip(
        [noise(s) for s in range(4)], parallel.map(noise, range(4), **how), strict=True
    ):
        np.testing.assert_array_equal(here, there)


def test_nothing_to_do():
    assert parallel.map(square, []) == []


def test_processes_are_processes_and_threads_are_threads():
    assert os.getpid() not in parallel.map(_pid, range(4), workers=2)
    names = parallel.map(
        lambda _: threading.current_thread().name, range(4), workers=2, threads=True
    )
    assert threading.current_thread().name not in names


@pytest.mark.parametrize("how", [{"workers": 1}, {"workers": 2}, {"workers": 2, "threads": True}])
def test_an_error_arrives_as_it_was_raised(how):
    with pytest.raises(DataError, match=r"spins\.csv, row [67]: bad spins; expected ±1, found 0"):
        parallel.map(refuse, [6, 7], **how)


def test_every_error_survives_the_journey():
    error = DataError("bad", source="a.csv", where="row 3", expected="1", found=2, remedy="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.where == "row 3" and again.found == 2
    error = MachineError("stuck", tau=81.5)
    assert pickle.loads(pickle.dumps(error)).evidence == {"tau": 81.5}
    check = Check("R-hat", 1.2, "≤ 1.01", False, True, "R-hat is 1.2", "run longer")
    error = CheckFailed(Verdict("nuts", (check,)))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.verdict.checks[0].value == 1.2


@pytest.mark.parametrize("threads", [False, True])
def test_a_map_inside_a_map_is_serial(threads):
    for outer, inner in parallel.map(process_of_inner, [1, 2], workers=2, threads=threads):
        assert set(inner) == {outer}
    # and the thread that called is free again afterwards
    assert os.getpid() not in parallel.map(_pid, range(2), workers=2)


@pytest.mark.parametrize("how", [{"workers": 1}, {"workers": 2}, {"workers": 2, "threads": True}])
def test_numerical_libraries_keep_to_one_thread(how):
    for counts in parallel.map(threads_of_blas, range(2), **how):
        assert set(counts) == {1}


def test_a_dead_worker_is_a_clear_error():
    with pytest.raises(MachineError, match="2 worker processes died"):
        parallel.map(die, [1, 2], workers=2)


def test_a_bar_appears_only_when_the_work_outlasts_our_patience(monkeypatch, capsys):
    monkeypatch.setattr(parallel, "PATIENCE", 0.2)
    parallel.map(square, range(5), workers=1, label="squares")
    assert capsys.readouterr() == ("", "")
    parallel.map(lambda _: time.sleep(0.2), range(3), workers=1, label="slumber")
    out, err = capsys.readouterr()
    assert out == "" and "slumber" in err and "3/3" in err


def test_no_bar_is_left_where_the_work_failed(monkeypatch, capsys):
    def fail(_):
        time.sleep(0.3)
        raise DataError("all is lost")

    monkeypatch.setattr(parallel, "PATIENCE", 0.05)
    with pytest.raises(DataError, match="all is lost"):
        parallel.map(fail, range(3), workers=1, label="slumber")
    assert capsys.readouterr() == ("", "")


def test_a_dask_cluster_gives_the_same():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=60
    ) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tcp://127.0.0.1:")
        for here, there in zip(
            parallel.map(noise, range(6), workers=1),
            parallel.map(noise, range(6), scheduler=address),
            strict=True,
        ):
            np.testing.assert_array_equal(here, there)
        processes = parallel.map(_pid, range(8), scheduler=address)
        assert os.getpid() not in processes and len(set(processes)) == 2
        outer, inner = parallel.map(process_of_inner, [1], scheduler=address)[0]
        assert set(inner) == {outer}
        with pytest.raises(DataError, match="row 6: bad spins"):
            parallel.map(refuse, [6], scheduler=address)


def test_a_cluster_without_workers_is_a_clear_error(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(parallel, "CONNECT", 1.0)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster,
        pytest.raises(DataError, match="has no workers"),
    ):
        parallel.map(square, [1], scheduler=cluster.scheduler_address)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "tcp://127.0.0.1:port"])
def test_a_wrong_address_is_a_clear_error_within_seconds(address, monkeypatch):
    monkeypatch.setattr(parallel, "CONNECT", 1.0)
    started = time.monotonic()
    with pytest.raises(DataError, match=f"{address}: no Dask scheduler answers") as caught:
        parallel.map(square, [1], scheduler=address)
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)


def test_without_dask_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DataError, match=r"dask is not installed; pip install 'bayesinf\[dask\]'"):
        parallel.map(square, [1], scheduler="127.0.0.1:8786")


def test_a_line_tells_how_far_it_is_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "BEAT", 0.1)
    with progress.heartbeat(lambda: "fit: 3 s"):
        parallel.map(lambda _: time.sleep(0.15), range(2), workers=1, label="chains")
    said = capsys.readouterr().err.splitlines()
    assert said and all(line.startswith("fit: 3 s") for line in said)
    assert "fit: 3 s; chains: 1 of 2, about 0 s to go" in said
    time.sleep(0.2)
    assert capsys.readouterr().err == ""

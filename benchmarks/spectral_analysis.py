"""Period search against astropy's LombScargle(nterms=3), on one grid of trial frequencies; growth.

    search    a million frequencies, 280 uneven points, three harmonics, the mean floating: our
              compiled sweep, and astropy's "chi2" (the same sums, solved one by one) and
              "fastchi2" (sums by Fourier transform, with its interpolation error).
    growth    random walks, whose power piles up at the lowest frequency: the posterior of one to
              three harmonics on boxes, against the number of points.

All run in one process, by turns, so that what else the machine does hits all alike. The largest
difference of the powers stands beside the times.
"""

import time

import numpy as np
from common import Table, by_turns, main

TOY = {"search": {"count": 2000, "turns": 1}, "growth": {"sizes": (20,)}}


def search(count=1_000_000, points=280, harmonics=3, turns=2):
    from astropy.timeseries import LombScargle

    from bayesinf.systems.spectral_analysis.search import power

    rng = np.random.default_rng(1)
    t = np.sort(rng.uniform(0, 2000, points))
    error = rng.uniform(0.02, 0.06, points)
    y = 16 + 0.3 * np.sin(2 * np.pi * 9.3 * t) + error * rng.standard_normal(points)
    start, step = 0.5, 1e-5
    frequency = start + step * np.arange(count)
    peer = LombScargle(t, y, error, nterms=harmonics)
    regular = {"assume_regular_frequency": True}
    sides = {
        "ours": lambda: power(t, y, error, start, step, count, harmonics),
        "chi2": lambda: peer.power(frequency, method="chi2"),
        "fastchi2": lambda: peer.power(frequency, method="fastchi2", **regular),
    }
    power(t, y, error, start, step, 2, harmonics)  # the first call loads what is compiled
    print(f"{count} frequencies, {points} points, {harmonics} harmonics: seconds")
    seconds = dict.fromkeys(sides, "9.2f")
    columns = {"turn": "6"} | seconds | {"× chi2": "8.1f", "× fastchi2": "10.1f"}
    table, rows = Table(columns | {"difference": "10.1e"}), []
    for times, found in by_turns(sides, turns):
        ratios = {f"× {name}": times[name] / times["ours"] for name in ("chi2", "fastchi2")}
        apart = float(np.max(np.abs(found["ours"] - found["chi2"])))
        rows.append(times | ratios | {"difference": apart})
    middle = table.turns(rows, "target < 4 s, ≥ 20, ≤ 1e-8")
    return {"turns": rows, "median": middle, "count": count, "points": points}


def growth(sizes=(40, 80, 160, 320)):
    from bayesinf import data
    from bayesinf.systems.spectral_analysis.model import Curve, periodic

    print("random walks: boxes and seconds of processor time")
    table = Table({"points": "6", "harmonics": "9", "boxes": "7", "seconds": "8.2f"})
    rows = []
    for points in sizes:
        rng = np.random.default_rng(points)
        t = np.sort(rng.uniform(0, points, points))
        walk = 0.1 * np.cumsum(rng.standard_normal(points))
        curve = Curve(data.curve_from_arrays(t, walk, np.full(points, 0.1)))
        for harmonics in (1, 2, 3):
            started = time.process_time()
            boxes = periodic(curve, harmonics).survey.boxes
            row = {"points": points, "harmonics": harmonics, "boxes": len(boxes.value)}
            rows.append(row | {"seconds": time.process_time() - started})
            table.row(rows[-1])
    return {"rows": rows}


if __name__ == "__main__":
    main(__doc__, [search, growth], TOY)

"""Every method of the package against small posteriors whose answers are known.

    against    bias in sd, sd ratio, coverage of the 95 % interval, what the checks say, seconds;
               each is the worst over the parameters, and right is what the checks allow: a mean
               to a quarter of an sd, an sd to a quarter
    made       the answers made again, and how far the files of data/references are from them

A new sampler has to pass ``against``: right where it is believed, believed where it is right.
``--case made --write_files yes`` writes the files.
"""

import sys
import time
from pathlib import Path
from zlib import crc32

import numpy as np
from common import Table, main
from posteriors import PROBLEMS
from posteriors.marginals import read, write

from bayesinf.checks import check
from bayesinf.checks.weights import AGREEING
from bayesinf.errors import BayesinfError
from bayesinf.models import problem as driver
from bayesinf.posterior import element_names
from bayesinf.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "data" / "references"
SEED = 20260
LEVEL = 0.95  # of the interval whose coverage is asked


def against(problems=None, methods=None, draws=1000, seed=1):
    """Run every method that applies on every problem."""
    chosen = problems.split(",") if problems else list(PROBLEMS)
    table = Table(
        {
            "problem": "14s",
            "method": "11s",
            "bias": "6.2f",
            "sd ratio": "8.2f",
            "coverage": "8.3f",
            "verdict": "12s",
            "right": "5s",
            "s": "6.1f",
        }
    )
    results, wrong = {}, []
    for name in chosen:
        known = read(FOLDER / f"{name}.json")
        stated = PROBLEMS[name].stated(known["data"])
        wanted = methods.split(",") if methods else list(stated.routes)
        for method in [each for each in wanted if each in stated.routes]:
            found = _measured(stated, method, known["marginals"], draws, seed)
            results[f"{name} {method}"] = found
            right = found["right"] == 1.0
            if found["believed"] and not right:
                wrong.append(f"{name} {method}")
            row = {
                "problem": name,
                "method": method,
                "bias": found["bias"],
                "sd ratio": found["ratio"],
                "coverage": found["coverage"],
                "verdict": "believed" if found["believed"] else "not believed",
                "right": "yes" if right else "NO",
                "s": found["seconds"],
            }
            table.row(row, found["failed"])
    print(f"Believed and wrong: {', '.join(wrong) or 'none'} (of {len(results)}).")
    return results


def _measured(stated, method, marginals, draws, seed):
    settings = Settings(seed=seed, draws=draws, chains=4, prior_draws=50)
    started = time.perf_counter()
    nothing = {"bias": 9.99, "ratio": 9.99, "coverage": 0.0, "right": 0.0, "believed": 0.0}
    try:
        fit = driver.fit(stated, method, settings)
    except BayesinfError as error:
        return nothing | {"seconds": time.perf_counter() - started, "failed": str(error)[:60]}
    seconds = time.perf_counter() - started
    bias, ratio, coverage = 0.0, 1.0, LEVEL
    for variable in fit["posterior"].data_vars.values():
        for label, index in element_names(variable).items():
            if label not in marginals:
                continue
            known, values = marginals[label], variable[index].values
            off = (values.mean() - known.mean) / known.sd
            bias = max(bias, abs(off), key=abs)
            ratio = max(ratio, values.std() / known.sd, key=lambda r: abs(np.log(max(r, 1e-9))))
            low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            held = known.below(high) - known.below(low)
            coverage = max(coverage, held, key=lambda c: abs(c - LEVEL))
    verdict = check(fit)
    right = abs(bias) <= AGREEING and abs(np.log(max(ratio, 1e-9))) <= np.log1p(AGREEING)
    return {
        "bias": float(bias),
        "ratio": float(ratio),
        "coverage": float(coverage),
        "right": float(right),
        "believed": float(verdict.believed),
        "seconds": seconds,
        "failed": ", ".join(c.name for c in verdict.checks if c.required and not c.passed),
    }


def made(problems=None, write_files=None):
    """Make the answers again from the data in the files, and compare."""
    chosen = problems.split(",") if problems else list(PROBLEMS)
    table = Table({"problem": "14s", "off, sd": "8.1e", "MC error, sd": "12.1e"})
    results = {}
    for name in chosen:
        one, path = PROBLEMS[name], FOLDER / f"{name}.json"
        seed = [SEED, crc32(name.encode())]
        rngs = [np.random.default_rng([*seed, part]) for part in range(2)]
        data = one.make(rngs[0])
        found = one.known(data, rngs[1])
        if write_files:
            plain = {key: np.asarray(value).tolist() for key, value in data.items()}
            known = {"words": one.words, "how": one.how, "data": plain, "marginals": found}
            write(path, known | {"seed": seed})
        kept = read(path)["marginals"]
        pairs = [(kept[label], each) for label, each in found.items()]
        off = max(abs(a.mean - b.mean) / a.sd + abs(a.sd / b.sd - 1) for a, b in pairs)
        error = max(each.mean_error / each.sd for _, each in pairs)
        table.row({"problem": name, "off, sd": off, "MC error, sd": error}, one.how)
        results[name] = {"off": off, "error": error}
    return results


TOY = {
    "against": {"problems": "line,rate", "draws": 200},
    "made": {"problems": "line,rate,efficiency"},
}
OPTIONS = {
    "problems": {"help": "names, a,b,c; default: all"},
    "methods": {"help": "likewise"},
    "draws": {"type": int, "help": "of each of four chains"},
    "seed": {"type": int},
    "write_files": {"help": "of case made: anything writes data/references"},
}

if __name__ == "__main__":
    sys.exit(main(__doc__, [against, made], TOY, OPTIONS))

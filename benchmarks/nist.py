"""The curve family on the certified sets of NIST StRD, from both published starts.

    certified  worst relative error of parameters and of standard deviations, what the checks say of
               the posterior by the Laplace approximation and by emcee, and seconds

The models are read from the files themselves, so any other file of this form will do: put it into
a folder, and give that by --folder.
"""

import re
import time
from pathlib import Path

import lmfit
import numpy as np
from common import Table, main

from bayesinf.checks import check
from bayesinf.data import curve_from_arrays
from bayesinf.errors import BayesinfError
from bayesinf.models import curve, problem
from bayesinf.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT / "tests" / "reference" / "nist", ROOT / "data" / "gaussian_peaks")
WORDS = {name: getattr(np, name) for name in ("exp", "sin", "cos", "arctan", "log", "sqrt", "pi")}
NUMBER = r"([-+.\dEe]+)"


class Certified:
    """One file: its model, data, starts (start, parameter) and certified values (parameter,)."""

    def __init__(self, path):
        text = Path(path).read_text()
        self.name = re.search(r"Dataset Name: +(\S+)", text)[1]
        table = re.findall(rf"^ *b\d+ *= +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER} *$", text, re.M)
        *starts, self.values, self.sds = np.array(table, dtype=float).T
        self.starts = np.array(starts)
        rows = re.split(r"^Data: +y +x *$", text, flags=re.M)[1].strip().splitlines()
        self.y, self.x = np.array([row.split() for row in rows], dtype=float).T
        said = text[text.index("Model:") :]
        formula = re.search(r"\by *= *(.*?)\+ *e\s", said, re.S)[1]
        formula = " ".join(formula.split()).replace("[", "(").replace("]", ")")
        self.names = [f"b{i + 1}" for i in range(len(self.values))]
        # The formula is one of a certified file, in Python's own spelling but for its brackets.
        self.model = lmfit.Model(eval(f"lambda x, {', '.join(self.names)}: {formula}", dict(WORDS)))

    def problem(self, start):
        """State the fit from one of the published starts, 0 or 1."""
        given = dict(zip(self.names, self.starts[start], strict=True))
        points = curve_from_arrays(self.x, self.y)
        return curve.problem(self.model, self.model.make_params(**given), points)


def sets(folder=None):
    """Read all sets, or those of one folder."""
    paths = [path for one in ([folder] if folder else FOLDERS) for path in Path(one).glob("*.dat")]
    return [Certified(path) for path in sorted(paths, key=lambda path: path.name)]


def errors(one, classical):
    """Worst relative error of the parameters, and of the standard deviations."""
    found, sds = (
        np.array([float(classical[f"{name}{end}"]) for name in one.names]) for end in ("", "_error")
    )
    return np.max(np.abs(found / one.values - 1)), np.max(np.abs(sds / one.sds - 1))


def certified(folder="", methods="laplace,emcee", most=100, draws=1000):
    table = Table(
        {
            "set": "9",
            "start": "5",
            "parameters": "10.0e",
            "sds": "8.0e",
            "s": "6.2f",
            **{method: "12" for method in methods.split(",")},
        }
    )
    rows, settings = {}, Settings(draws=draws, prior_draws=20)
    for one in sets(folder or None)[:most]:
        for start in range(len(one.starts)):
            row, remark = {"set": one.name, "start": str(start + 1)}, ""
            try:
                started = time.perf_counter()
                stated = one.problem(start)
                row["parameters"], row["sds"] = errors(one, stated.classical())
                row["s"] = time.perf_counter() - started
                for method in methods.split(","):
                    started = time.perf_counter()
                    fit = problem.fit(stated, method, settings)
                    verdict = check(fit)
                    seconds = time.perf_counter() - started
                    row[method] = f"{'yes' if verdict.believed else 'no'}, {seconds:.1f} s"
                    failed = [c.name for c in verdict.checks if c.required and not c.passed]
                    remark += f"{method}: {', '.join(failed)}; " if failed else ""
            except BayesinfError as error:
                remark = f"{type(error).__name__}: {error}"
            table.row({name: row[name] for name in table.columns if name in row}, remark)
            rows[f"{one.name} {start + 1}"] = {
                name: float(row[name]) for name in ("parameters", "sds", "s") if name in row
            } | {name: row[name] for name in methods.split(",") if name in row}
    return rows


if __name__ == "__main__":
    main(
        __doc__,
        [certified],
        {"certified": {"methods": "laplace", "most": 2, "draws": 250}},
        {"folder": {"metavar": "DIR"}, "methods": {"metavar": "NAMES"}},
    )

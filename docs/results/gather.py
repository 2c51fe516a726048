"""Gather what calibrations and trials of the checks wrote into the tables of the documentation.

    python docs/results/gather.py reports/calibrate_* reports/trials

Each folder is one run of ``workflows/calibrate.py``, a row one quantity of it, or one of
``workflows/trials.py``, a row one fault of a system. What a table holds already of the same run or
fault is replaced, the rest is kept. Calibrations of fewer than 100 replications are refused, and
trials of fewer than 20 data sets.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pandas as pd

TABLE = Path(__file__).with_name("calibration.csv")
TRIALS = Path(__file__).with_name("trials.csv")
KEPT = ("quantity", "elements", "replications", "p_value", "coverage_50", "coverage_80")
KEPT += ("coverage_95", "low_95", "high_95", "passed")
ENOUGH, FEWEST = 100, 20


def gathered(folder: Path) -> pd.DataFrame:
    """Return the rows of one run."""
    told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    rows = pd.read_csv(folder / "summary.csv")[list(KEPT)]
    if told["replications"] < ENOUGH:
        sys.exit(f"{folder}: {told['replications']} replications; expected {ENOUGH} or more")
    day, command = _day(folder / "summary.csv"), _plain(told["command"])
    title = told["title"].removeprefix("Calibration of ")
    if "(" not in title and (variant := re.search(r"--variant (\S+)", command)):
        title += f" ({variant[1].replace('_', ' ')})"
    run = {"run": title, "calibrated": told["believed"]}
    return rows.assign(**run, failed=told["failed"], date=day, command=command).round(4)


def _day(path):
    return time.strftime("%Y-%m-%d", time.gmtime(path.stat().st_mtime))


def _plain(command):
    """The command without the folder that it wrote to."""
    return re.sub(r" --output \S+", "", command)


def tried(folder: Path) -> pd.DataFrame:
    """Return the rows of one run of trials."""
    rows = pd.read_csv(folder / "trials.csv", keep_default_na=False)
    if rows["tried"].min() < FEWEST:
        sys.exit(f"{folder}: {rows['tried'].min()} data sets; expected {FEWEST} or more")
    return rows.assign(date=_day(folder / "trials.csv"), command=rows["command"].map(_plain))


def calibrations(folders: list[Path]) -> None:
    """Write the table of calibrations."""
    new = pd.concat([gathered(folder) for folder in folders], ignore_index=True)
    old = pd.read_csv(TABLE) if TABLE.is_file() else new.iloc[:0]
    kept = old[~old["run"].isin(new["run"])]
    both = pd.concat([each for each in (kept, new) if len(each)], ignore_index=True)
    order = ["run", "quantity", "elements", "replications", "failed", *KEPT[3:], "calibrated"]
    both = both[[*order, "date", "command"]].sort_values(["command"], kind="stable")
    both.to_csv(TABLE, index=False)
    print(f"{TABLE.name}: {both['run'].nunique()} runs, {len(both)} quantities")


def trials(folders: list[Path]) -> None:
    """Write the table of trials, right fits of a system before its faults."""
    new = pd.concat([tried(folder) for folder in folders], ignore_index=True)
    old = pd.read_csv(TRIALS, keep_default_na=False) if TRIALS.is_file() else new.iloc[:0]
    both = pd.concat([old, new], ignore_index=True)
    both = both.drop_duplicates(["system", "fault"], keep="last")
    right = both["fault"].str.startswith("none")
    both = both.assign(fault_last=~right).sort_values(["system", "fault_last"], kind="stable")
    both.drop(columns="fault_last").to_csv(TRIALS, index=False)
    print(f"{TRIALS.name}: {both['system'].nunique()} systems, {len(both)} faults")


def main(folders: list[str]) -> None:
    """Write the tables."""
    every = [Path(folder) for folder in folders]
    of_trials = [folder for folder in every if (folder / "trials.csv").is_file()]
    if of_trials:
        trials(of_trials)
    if len(of_trials) < len(every):
        calibrations([folder for folder in every if folder not in of_trials])


if __name__ == "__main__":
    main(sys.argv[1:])

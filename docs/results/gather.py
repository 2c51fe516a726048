"""Gather what ``workflows/calibrate.py`` wrote into the table that the documentation shows.

    python docs/results/gather.py reports/calibrate_*

Each folder is one run; a row is one quantity of it. Runs that the table holds already, by their
title, are replaced, others are kept. Runs of fewer than 100 replications are refused.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pandas as pd

TABLE = Path(__file__).with_name("calibration.csv")
KEPT = ("quantity", "elements", "replications", "p_value", "coverage_50", "coverage_80")
KEPT += ("coverage_95", "low_95", "high_95", "passed")
ENOUGH = 100


def gathered(folder: Path) -> pd.DataFrame:
    """Return the rows of one run."""
    told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    rows = pd.read_csv(folder / "summary.csv")[list(KEPT)]
    if told["replications"] < ENOUGH:
        sys.exit(f"{folder}: {told['replications']} replications; expected {ENOUGH} or more")
    day = time.strftime("%Y-%m-%d", time.gmtime((folder / "summary.csv").stat().st_mtime))
    command = re.sub(r" --output \S+", "", told["command"])
    title = told["title"].removeprefix("Calibration of ")
    if "(" not in title and (variant := re.search(r"--variant (\S+)", command)):
        title += f" ({variant[1].replace('_', ' ')})"
    run = {"run": title, "calibrated": told["believed"]}
    return rows.assign(**run, failed=told["failed"], date=day, command=command).round(4)


def main(folders: list[str]) -> None:
    """Write the table."""
    tables = [gathered(Path(folder)) for folder in folders]
    new = pd.concat(tables, ignore_index=True)
    old = pd.read_csv(TABLE) if TABLE.is_file() else new.iloc[:0]
    kept = old[~old["command"].isin(new["command"])]
    both = pd.concat([each for each in (kept, new) if len(each)], ignore_index=True)
    order = ["run", "quantity", "elements", "replications", "failed", *KEPT[3:], "calibrated"]
    both = both[[*order, "date", "command"]].sort_values(["command"], kind="stable")
    both.to_csv(TABLE, index=False)
    print(f"{TABLE.name}: {both['command'].nunique()} runs, {len(both)} quantities")


if __name__ == "__main__":
    main(sys.argv[1:])

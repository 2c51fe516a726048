"""The directive ``{calibration}``: what ``results/calibration.csv`` holds, as a figure and a table.

``results/gather.py`` writes the table from runs of ``workflows/calibrate.py``.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

__all__ = ["setup"]

LEVELS = (50, 80, 95)


def setup(app):
    """Add the directive."""
    app.add_directive("calibration", Calibration)


class Calibration(SphinxDirective):
    """A row a run, and the coverage of every quantity."""

    def run(self):
        """Return the nodes."""
        import pandas as pd

        path = Path(self.env.srcdir) / "results" / "calibration.csv"
        self.env.note_dependency(str(path))
        table = pd.read_csv(path)
        text = f"Shares of intervals that hold the truth, of {table['command'].nunique()} runs."
        picture = f'<figure><img src="{_drawn(table)}" alt="{text}" loading="lazy"></figure>'
        head = "run | data sets | quantities | 50 % | 80 % | 95 % | smallest p | verdict | date"
        rows = [f"| {head} |", "|---" * 9 + "|"]
        for _, run in table.groupby("command", sort=False):
            weight = run["elements"] / run["elements"].sum()
            held = [f"{100 * (weight * run[f'coverage_{level}']).sum():.1f}" for level in LEVELS]
            first = run.iloc[0]
            said = "calibrated" if first["calibrated"] else "**not calibrated**"
            cells = [first["run"], first["replications"], len(run), *held]
            cells += [f"{run['p_value'].min():.2g}", said, first["date"]]
            rows.append(f"| {' | '.join(map(str, cells))} |")
        return [nodes.raw("", picture, format="html"), *self.parse_text_to_nodes("\n".join(rows))]


def _drawn(table):
    """The 95 % coverage of every quantity, and the band of a calibrated one, as a data address."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    runs = list(table.groupby("command", sort=False))
    fig, axis = plt.subplots(figsize=(6.5, 0.6 + 0.27 * len(runs)), layout="constrained")
    for row, (_, run) in enumerate(runs):
        spread = (run["quantity"].groupby(run["quantity"]).ngroup() / max(len(run), 1) - 0.5) * 0.5
        for (_, one), shift in zip(run.iterrows(), spread, strict=True):
            at, color = row + shift, "#0072B2" if one["passed"] else "#D55E00"
            axis.plot([one["low_95"], one["high_95"]], [at, at], color="0.8", lw=1.5)
            axis.plot(one["coverage_95"], at, "o", ms=2.5, color=color)
    axis.axvline(0.95, color="0.4", lw=0.6)
    axis.set_yticks(range(len(runs)), [run["run"].iloc[0] for _, run in runs], fontsize=8)
    axis.set(ylim=(len(runs) - 0.4, -0.6), xlabel="share of 95 % intervals that hold the truth")
    axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(fig)
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"

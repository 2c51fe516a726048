"""What the page of a workflow takes from its script, its system and its report.

    :::{questions}                 of all workflows, with a link to the page of each
    :::{report} gaussian_peaks     the question, and the last report, where there is one
    :::{priors} gaussian_peaks     of the fit that carries the answer, where there is a report
    :::{faults} gaussian_peaks     planted faults on which its checks are tried
    :::{options} gaussian_peaks    of its script, beside those of all scripts

A report is a folder that the workflow wrote (``make report``). Its page is copied beside the site,
its picture and its words are shown. Without one a picture that is kept with the project stands in.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import time
from html import escape
from importlib import import_module
from pathlib import Path

import typer
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

__all__ = ["setup"]

KEPT = Path(__file__).resolve().parents[2] / "reports" / "pictures"
COPIES = "reports"  # in the site


def setup(app):
    """Add the directives, and the copies of reports when all pages are written."""
    for directive in (Questions, Report, Priors, Faults, Options):
        app.add_directive(directive.__name__.lower(), directive)
    app.connect("build-finished", _copied)


class Questions(SphinxDirective):
    """A line a workflow: its page, and the question that its script asks."""

    def run(self):
        """Return the nodes."""
        from bayesinf.systems import names

        lines = [f"- [`{name}`]({name}.md): {_plain(_question(name))}" for name in names()]
        return self.parse_text_to_nodes("\n".join(lines))


class Report(SphinxDirective):
    """The question of a script, and what its last report answers."""

    required_arguments = 1

    def run(self):
        """Return the nodes."""
        (name,) = self.arguments
        folder = Path(self.config.bayesinf_reports) / name
        shown = [*self.parse_text_to_nodes(f"*{_question(name)}*")]
        if not (folder / "verdict.json").is_file():
            kept = KEPT / f"{name}.png"
            if kept.is_file():
                shown.append(_picture(f"../{COPIES}/{name}.png", "The answer as a figure."))
            return [*shown, *self.parse_text_to_nodes(f"`bayesinf {name}` makes its report.")]
        told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
        day = time.strftime("%d %B %Y", time.gmtime((folder / "index.html").stat().st_mtime))
        page = nodes.reference("", "Open the whole report", refuri=f"../{COPIES}/{name}.html")
        said = f"The report of {day} (`{told['command']}`) asks: {told['question']} "
        said += f"{told['words']} "
        return [
            *shown,
            _picture(f"../{COPIES}/{name}.png", told["alt"]),
            *self.parse_text_to_nodes(said),
            nodes.paragraph("", "", page),
        ]


class Priors(SphinxDirective):
    """The priors of the fit that carries the answer of the last report, as a table."""

    required_arguments = 1

    def run(self):
        """Return the nodes."""
        import h5py

        folder = Path(self.config.bayesinf_reports) / self.arguments[0]
        if not (folder / "verdict.json").is_file():
            return []
        answer = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))["answer"]
        with h5py.File(folder / f"{answer}.nc") as file:
            priors = json.loads(file.attrs["priors"])
        rows = [f"| `{name}` | {_plain(words)} |" for name, words in priors.items()]
        head = f"Priors of `{answer}` in the report above:"
        text = "\n".join([head, "", "| parameter | prior |", "|---|---|", *rows])
        return self.parse_text_to_nodes(text)


class Faults(SphinxDirective):
    """What ``bayesinf trials`` plants into data, to see whether checks refuse it."""

    required_arguments = 1

    def run(self):
        """Return the nodes."""
        from bayesinf.systems import system

        (name,) = self.arguments
        module = system(name)
        if not hasattr(module, "faults"):
            return []
        found = [fault for fault in module.faults() if not fault.startswith("none")]
        text = f"`bayesinf trials {name}` plants these faults, and counts how often the checks "
        text += "refuse each, and how often what is right:\n\n"
        return self.parse_text_to_nodes(text + "\n".join(f"- {_plain(each)}" for each in found))


class Options(SphinxDirective):
    """The options that a script has beside those of all scripts, as a table."""

    required_arguments = 1

    def run(self):
        """Return the nodes."""
        from bayesinf.workflow.options import SHARED

        (name,) = self.arguments
        main = import_module(f"bayesinf.scripts.{name}").main
        defaults = main.__signature__.parameters
        rows = [
            f"| `{_spelt(option, hint)}` | {_help(hint)} | {_default(defaults[option].default)} |"
            for option, hint in main.__annotations__.items()
            if option != "context" and option not in SHARED
        ]
        text = "\n".join(["| option | what it says | else |", "|---|---|---|", *rows])
        return self.parse_text_to_nodes(text)


def _question(name):
    """The first paragraph of a script's docstring."""
    script = import_module("bayesinf.scripts").HOME / "workflows" / f"{name}.py"
    told = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    return " ".join(told.split("\n\n")[0].split())


def _picture(uri, alt):
    text = f'<figure><img src="{escape(uri)}" alt="{escape(alt)}" loading="lazy"></figure>'
    return nodes.raw("", text, format="html")


def _info(hint):
    return next(
        each
        for each in hint.__metadata__
        if isinstance(each, typer.models.OptionInfo | typer.models.ArgumentInfo)
    )


def _spelt(option, hint):
    stated = [each for each in _info(hint).param_decls or () if each.startswith("--")]
    return stated[0] if stated else "--" + option.replace("_", "-")


def _help(hint):
    return _plain(_info(hint).help or "")


def _plain(words):
    """Words that Markdown shows as they stand."""
    return re.sub(r"([\\*_|~$<\[\]`])", r"\\\1", words)


def _default(value):
    if value in (None, False, ()):
        return ""
    return f"`{getattr(value, 'value', value)}`"


def _copied(app, failure):
    """Copy pages and pictures of the reports beside the site."""
    if failure is not None or app.builder.format != "html":
        return
    from bayesinf.systems import names

    home = Path(app.outdir) / COPIES
    home.mkdir(exist_ok=True)
    for name in names():
        folder = Path(app.config.bayesinf_reports) / name
        if (folder / "verdict.json").is_file():
            told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
            shutil.copy(folder / "index.html", home / f"{name}.html")
            shutil.copy(folder / told["picture"], home / f"{name}.png")
        elif (KEPT / f"{name}.png").is_file():
            shutil.copy(KEPT / f"{name}.png", home)

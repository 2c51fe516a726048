"""Two directives for the page on the verdict.

    :::{checks}              every question of ``bayesinf.checks``, with two examples each
    :::{family-questions}    what families ask of their own fits beside

Both read what the package holds, so that no question is missing.
"""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

from sphinx.util.docutils import SphinxDirective

__all__ = ["declared", "setup"]


def setup(app):
    """Add the directives."""
    app.add_directive("checks", Checks)
    app.add_directive("family-questions", FamilyQuestions)


class Checks(SphinxDirective):
    """Every question, whom it is asked, what a passing and a failing fit are told."""

    def run(self):
        """Return the nodes."""
        from bayesinf.checks import QUESTIONS
        from extension import examples

        self.env.note_dependency(examples.__file__)
        told = []
        for name, question in QUESTIONS.items():
            passing, failing = (list(question(fit)) for fit in examples.EXAMPLES[name]())
            self.env.note_dependency(inspect.getfile(question))
            failed = [check for check in failing if not check.passed]
            said, wrong = _paragraph(question), _paragraph(examples.EXAMPLES[name])
            weight = "" if failed[0].required else " Advice: it leaves a fit believed."
            told += [
                f"### {name[0].upper()}{name[1:]}",
                f"{said}",
                f"Asked of {_asked(name)}.{weight}",
                f"Passes: {_listed(passing)}.",
                f"Fails: {wrong} The verdict says: {_listed(failed)}; {failed[0].remedy}.",
            ]
        return self.parse_text_to_nodes("\n\n".join(told), allow_section_headings=True)


class FamilyQuestions(SphinxDirective):
    """The numbers that a family answers for beside its kind of inference, as a table."""

    def run(self):
        """Return the nodes."""
        rows = [
            f"| {question.name} | {question.relation} {question.limit:.3g} | "
            f"{'required' if question.required else 'advice'} | {_said(question)} | "
            f"{_cell(question.remedy)} |"
            for question in declared()
        ]
        head = ["| question | limit | | what it says | where it fails |", "|---|---|---|---|---|"]
        return self.parse_text_to_nodes("\n".join([*head, *rows]))


def declared():
    """Every question that a module or a class of the package holds, by name."""
    import bayesinf
    from bayesinf.inference.kinds import Question

    found = {}
    for module in pkgutil.walk_packages(bayesinf.__path__, "bayesinf."):
        if "__main__" in module.name or module.name.startswith("bayesinf.scripts."):
            continue
        held = list(vars(import_module(module.name)).values())
        held += [getattr(each, "questions", ()) for each in held if inspect.isclass(each)]
        for each in held:
            for one in each if isinstance(each, tuple | list) else (each,):
                if isinstance(one, Question):
                    found[one.name, one.variable] = one
    return [found[key] for key in sorted(found)]


def _asked(name):
    from bayesinf.checks import EVERY_FIT
    from bayesinf.inference.kinds import KINDS

    if name in EVERY_FIT:
        return "every fit"
    kinds = [f"`{kind}`" for kind, asked in KINDS.items() if name in asked.questions]
    return f"fits of the kind {', '.join(kinds)}"


def _paragraph(function):
    return " ".join(inspect.getdoc(function).split("\n\n")[0].split())


def _listed(checks):
    return f"*{_cell(', '.join(check.message for check in checks))}*"


def _said(question):
    text = question.said
    for place in ("{value:.2g}", "{value:.1g}", "{value:.3g}", "{value:.2f}", "{value:.0f}"):
        text = text.replace(place, "…")
    for place in ("{value:.1%}", "{value:.0%}"):
        text = text.replace(place, "… %")
    return _cell(text.replace("{name}", "…"))


def _cell(words):
    return "".join(f"\\{sign}" if sign in "\\*_|~$<[]`" else sign for sign in words)

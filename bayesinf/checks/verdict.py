"""A check, which is one question to a posterior and its answer, and the verdict of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from html import escape

from bayesinf.errors import CheckFailed

__all__ = ["Check", "Verdict"]


@dataclass(frozen=True)
class Check:
    """One question to a posterior, and its answer.

    Parameters
    ----------
    name : what is checked.
    value : the number looked at, the worst where there are many.
    threshold : what the number should be, in words.
    passed : whether it is.
    required : whether the posterior cannot be believed without.
    message : the finding, as a clause.
    remedy : what to do where it failed.
    """

    name: str
    value: float
    threshold: str
    passed: bool
    required: bool
    message: str
    remedy: str


@dataclass(frozen=True, repr=False)
class Verdict:
    """All checks of one posterior.

    Parameters
    ----------
    inference : the kind of inference that made it.
    checks : what was looked at.
    unasked : questions that this posterior cannot be asked, to the reason: a file of another
        library's without replicas, a model that has no data.
    """

    inference: str
    checks: tuple[Check, ...]
    unasked: Mapping[str, str] = field(default_factory=dict)

    @property
    def believed(self) -> bool:
        """Whether every required check passed."""
        return all(check.passed for check in self.checks if check.required)

    @property
    def words(self) -> str:
        """The verdict for people: believed, or what to distrust and what to do."""
        return self._found + self._not_asked

    @property
    def _not_asked(self):
        said = [f"{name.replace('_', ' ')} ({reason})" for name, reason in self.unasked.items()]
        return f" Not asked: {', '.join(said)}." if said else ""

    @property
    def _found(self):
        failed = [check for check in self.checks if not check.passed]
        if not failed:
            opening = "Believed as far as it was asked" if self.unasked else "Believed"
            all_of_them = (
                f"All {len(self.checks)} checks pass" if self.checks[1:] else "Its check passes"
            )
            return f"{opening}. {all_of_them}: {_listed(self.checks)}."
        if self.believed:
            asked = " that could be asked" if self.unasked else ""
            opening = f"Believed: all required checks{asked} pass. Keep in mind that "
        else:
            opening, failed = "Do not believe yet: ", [check for check in failed if check.required]
        remedies = dict.fromkeys(check.remedy for check in failed)
        return f"{opening}{_listed(failed)}; {'; '.join(remedies)}."

    def __repr__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        """The words, and a row a check, for a notebook."""
        colour = "#00875F" if self.believed else "#D55E00"
        rows = "".join(
            f"<tr><td>{'✓' if check.passed else '✗'}</td><td>{escape(check.name)}</td>"
            f"<td>{escape(check.message)}</td><td>{escape(check.threshold)}</td></tr>"
            for check in self.checks
        )
        head = "<tr><th></th><th>check</th><th>found</th><th>should be</th></tr>"
        return (
            f'<p style="border-left: 4px solid {colour}; padding-left: 0.6em">'
            f"{escape(self.words)}</p><details><summary>{len(self.checks)} checks</summary>"
            f"<table>{head}{rows}</table></details>"
        )

    def to_dict(self) -> dict[str, object]:
        """Return the verdict as plain values that JSON can hold."""
        checks = [asdict(check) for check in self.checks]
        for check in checks:  # JSON has no infinity
            check["value"] = check["value"] if math.isfinite(check["value"]) else None
        return {
            "inference": self.inference,
            "believed": self.believed,
            "words": self.words,
            "checks": checks,
            **({"not_asked": dict(self.unasked)} if self.unasked else {}),
        }

    def require(self) -> Verdict:
        """Return the verdict itself where the posterior is believed.

        Raises
        ------
        CheckFailed : it is not.
        """
        if not self.believed:
            raise CheckFailed(self)
        return self


def _listed(checks: Iterable[Check]) -> str:
    return ", ".join(check.message for check in checks)

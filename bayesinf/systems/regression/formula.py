"""Formulas: what formulaic reads, with curves ``s(x)``, effects of groups, and an offset.

    y ~ a*b + C(site) + x**2 + poly(x, 3) + s(x) + (1|group) + (x|group) + offset(log(exposure))

or sqrt(y) ~ ..., log(y) ~ ... The plain part is formulaic's (its grammar is Wilkinson's), but for
the power of a column, which is meant as such and there is the column itself. Curves and groups are
taken out before it is read, and become columns with a prior of their own. ``(1|g)`` gives each
group an intercept, ``(x|g)`` an intercept and a slope, ``(0 + x|g)`` a slope alone, as in bambi. An
offset is a part of the linear predictor that is known.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from bayesinf.errors import DataError

__all__ = ["Formula", "quoted"]

_NAME = r"(?:`([^`]+)`|([A-Za-z_][\w.]*))"
_TARGET = re.compile(rf"\s*(?:(sqrt|log10|log)\(\s*{_NAME}\s*\)|{_NAME})\s*")
_SMOOTH = re.compile(rf"s\(\s*{_NAME}\s*(?:,\s*(?:k\s*=\s*)?(\d+)\s*)?\)")
_POWER = re.compile(rf"{_NAME}\s*(?:\*\*|\^)\s*(\d+)")
_GROUP = re.compile(rf"\(([^|()]+)\|\s*{_NAME}\s*\)")
_OFFSET = re.compile(rf"offset\(\s*(?:(?:np\.)?(sqrt|log10|log)\(\s*{_NAME}\s*\)|{_NAME})\s*\)")


@dataclass(frozen=True)
class Formula:
    """What is explained, and by what.

    Parameters
    ----------
    text : as it was given.
    target : what is explained, as it is called.
    source : its column.
    function : what is taken of the column, a name of NumPy's; "" for the column itself.
    plain : the part that formulaic reads.
    smooth : column to the number of knots, None for the usual one.
    effects : term to the column of its groups, and the one along which each has a slope of its own;
        None for an intercept.
    offset : function, "" for none, and column of what is known of the linear predictor.
    """

    text: str
    target: str
    source: str
    function: str
    plain: str
    smooth: dict[str, int | None]
    effects: dict[str, tuple[str, str | None]]
    offset: tuple[str, str] | None

    @classmethod
    def parse(cls, text: str) -> Formula:
        """Read a formula.

        Raises
        ------
        DataError : it is none, saying which part cannot be read.
        """
        left, mark, right = text.partition("~")
        target = _TARGET.fullmatch(left)
        if not mark or not target or not right.strip() or "~" in right:
            raise DataError(
                "the formula cannot be read",
                expected="a target and features, as in 'y ~ a + C(site) + s(x) + (1|group)'",
                found=repr(text),
                remedy="put a name with spaces between backticks; a target may be sqrt, log or "
                "log10 of a column",
            )
        smooth, effects, plain, offset = {}, {}, [], None
        for sign, part in _parts(_squared(right)):
            if sign == "+" and (found := _SMOOTH.fullmatch(part)):
                smooth[found[1] or found[2]] = int(found[3]) if found[3] else None
            elif sign == "+" and (found := _OFFSET.fullmatch(part)) and offset is None:
                offset = found[1] or "", next(filter(None, found.groups()[1:]))
            elif sign == "+" and (own := _of_groups(part)) and not own.keys() & effects:
                effects |= own
            elif "|" in part or re.search(r"(?<![\w.])(s|offset)\(", part):
                raise DataError(
                    f"the part {part} of the formula cannot be read",
                    expected="s(x), s(x, 20), (1|group), (x|group), (0 + x|group) or one "
                    "offset(log(x)), each added by itself, x a column, and no effect stated twice",
                    remedy="smooth interactions, and products or categories that differ by group, "
                    "are not offered",
                )
            else:
                plain.append(f"{sign} {part}")
        function, *names = target.groups()
        source = next(filter(None, names))
        formula = cls(
            text,
            f"{function}({source})" if function else source,
            source,
            function or "",
            " ".join(plain).removeprefix("+").strip() or "1",
            smooth,
            effects,
            offset,
        )
        formula._read()
        return formula

    @property
    def variables(self) -> list[str]:
        """Columns that it uses, that of the target first."""
        named = _named(self.plain, self._read())
        slopes = [column for _, column in self.effects.values() if column is not None]
        known = [self.offset[1]] if self.offset else []
        columns = [self.source, *named, *self.smooth, *slopes, *self.groups, *known]
        return list(dict.fromkeys(columns))

    @property
    def groups(self) -> tuple[str, ...]:
        """Columns whose values are groups."""
        return tuple(dict.fromkeys(group for group, _ in self.effects.values()))

    @property
    def features(self) -> list[str]:
        """Columns that explain."""
        return [name for name in self.variables if name != self.source]

    def _read(self):
        """The plain part as formulaic has it."""
        from formulaic import Formula as Read
        from formulaic.errors import FormulaicError

        try:
            read = Read(self.plain)
        except (FormulaicError, SyntaxError, ValueError, TypeError) as error:
            raise DataError(
                "the formula cannot be read",
                expected="terms joined by + - : * as in 'y ~ a*b + C(site) + poly(x, 3)'",
                found=repr(self.text),
            ) from error
        if not hasattr(read, "required_variables") or self.source in _named(self.plain, read):
            raise DataError(
                "the formula cannot be read",
                expected="one side of features, the target not among them",
                found=repr(self.text),
            )
        return read


def _of_groups(part):
    """Effects that a part such as (x|group) states; none where it is no such part."""
    found = _GROUP.fullmatch(part)
    if not found:
        return {}
    group, intercept, slopes = found[2] or found[3], True, []
    for sign, term in _parts(found[1]):
        if term in ("0", "1"):
            intercept = (sign, term) in (("+", "1"), ("-", "0"))
        elif sign == "+" and (name := re.fullmatch(_NAME, term)):
            slopes.append(name[1] or name[2])
        else:
            return {}
    own = {group: (group, None)} if intercept else {}
    return own | {f"{column}|{group}": (group, column) for column in slopes}


def _named(plain, read):
    """Columns that the plain part uses, those within functions included, in order."""
    found = {}
    for term in read:
        for factor in term.factors:
            held = re.findall(r"`([^`]+)`", factor.expr)
            text = re.sub(r"`[^`]+`", "_held_", factor.expr)
            if factor.expr.isidentifier() or not text.strip():
                found |= {factor.expr: None}
                continue
            if str(factor.eval_method).endswith("LOOKUP"):
                found |= {factor.expr: None}
                continue
            tree = ast.parse(text.strip(), mode="eval")
            called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
            called |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            names = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called]
            found |= {n.id: None for n in names if n.id != "_held_"} | dict.fromkeys(held)
    return list(found)


def quoted(name: str) -> str:
    """Return a name as a formula has it: between backticks where it is no plain word."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f"`{name}`"


def _squared(text):
    """The same with x**2 written I(x**2): in Wilkinson's grammar it is x crossed with x, or x.

    Within a function it is Python's power already, and stays; so does that of a sum in brackets.
    """
    called, opened, within, quote = re.compile(r"[\w.`]$"), [], [], False
    for k, letter in enumerate(text):
        quote ^= letter == "`"
        if letter in "([{" and not quote:
            opened.append(letter == "{" or (letter == "(" and called.search(text[:k]) is not None))
        elif letter in ")]}" and not quote and opened:
            opened.pop()
        within.append(any(opened))

    def written(found):
        return found[0] if within[found.start()] else f"I({found[0].replace('^', '**')})"

    return _POWER.sub(written, text)


def _parts(text):
    """Signs and terms of a sum, as far as brackets and backticks leave them apart."""
    depth, quote, sign, part, found = 0, False, "+", "", []
    for letter in text:
        quote ^= letter == "`"
        depth += 0 if quote else (letter in "([{") - (letter in ")]}")
        if letter in "+-" and depth == 0 and not quote and part.strip():
            found.append((sign, part.strip()))
            sign, part = letter, ""
        elif letter in "+-" and depth == 0 and not quote:
            sign = letter
        else:
            part += letter
    return [*found, (sign, part.strip())] if part.strip() else found

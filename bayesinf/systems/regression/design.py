"""From a table and its formula to the columns of a linear predictor, for these rows or new ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models import linear
from bayesinf.systems.regression.formula import Formula

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Design", "frame"]

TAKEN = ("mean", "row", "new_row", "beta", "intercept", "scale", "sigma")  # as results call theirs


@dataclass(frozen=True)
class Design:
    """Columns of a formula, as laid by the rows of a table.

    Parameters
    ----------
    table : Dataset of a table.
    text : formula.
    """

    table: xr.Dataset
    text: str

    @cached_property
    def formula(self) -> Formula:
        """The formula, read."""
        found = Formula.parse(self.text)
        for name in found.variables:
            if name not in self.table:
                raise DataError(
                    f"there is no column {name}",
                    expected=f"one of {', '.join(map(str, self.table.data_vars))}",
                    found=repr(self.text),
                )
        if found.target in TAKEN:
            raise DataError(
                f"the name {found.target} is taken",
                expected="a target that is called by another name",
                remedy="rename the column",
            )
        return found

    @cached_property
    def _matrix(self):
        """The plain part as formulaic makes it, which remembers how."""
        return _made(lambda: self._model(self.formula.plain, frame(self.table)), self.text)

    @staticmethod
    def _model(plain, rows):
        import formulaic

        return formulaic.model_matrix(plain, rows, na_action="ignore")

    @cached_property
    def target(self) -> xr.DataArray:
        """What is explained, (row,)."""
        formula, column = self.formula, self.table[self.formula.source]
        if not formula.function:
            return column
        values = _taken(formula.function, column, formula.target)
        if self.table.attrs.get("error"):
            raise DataError(
                "error bars are those of the column itself",
                expected=f"{formula.source} as the target, or no --error",
                found=formula.target,
            )
        changed = column.copy(data=values)
        return changed.rename(formula.target).assign_attrs(units="1")

    @property
    def intercept(self) -> bool:
        """Whether there is one."""
        return "Intercept" in self._matrix.columns

    @property
    def plain(self) -> list[str]:
        """Names of the plain columns."""
        return [str(name) for name in self._matrix.columns if name != "Intercept"]

    @cached_property
    def smooth(self) -> dict[str, linear.Smooth]:
        """Column to its smooth curve."""
        found = {}
        for name, knots in self.formula.smooth.items():
            values = _numbers(self.table[name], "a curve is smooth along numbers", f"s({name})")
            found[name] = linear.smooth(values, knots)
        return found

    @property
    def effects(self) -> dict[str, tuple[str, str | None]]:
        """Term to the column of its groups, and that of their slopes; None for intercepts."""
        return self.formula.effects

    @cached_property
    def spread(self) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of each column along which groups have slopes."""
        found = {}
        for term, (_, column) in self.effects.items():
            if column is not None:
                said = "slopes by group are along numbers"
                values = _numbers(self.table[column], said, f"({term})")
                found[column] = float(values.mean()), float(values.std()) or 1.0
        return found

    @cached_property
    def levels(self) -> dict[str, np.ndarray]:
        """Column to the groups in it."""
        return {name: np.unique(self.table[name].values) for name in self.formula.groups}

    @cached_property
    def terms(self) -> dict[str, list[str]]:
        """Term to the names of its columns; that of the plain part has no name."""
        self._refuse_constant()
        found = {"": self.plain} if self.plain else {}
        for name, curve in self.smooth.items():
            count = len(curve.knots) - 2
            found[f"s({name})"] = [f"s({name}) {k + 1}" for k in range(count)]
        for term, (group, _) in self.effects.items():
            found[term] = [f"{term} {_said(level)}" for level in self.levels[group]]
        if not found:
            raise DataError(
                "the formula has no features", expected="one at least", found=repr(self.text)
            )
        return found

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return [name for names in self.terms.values() for name in names]

    def columns(self, table: xr.Dataset | None = None) -> np.ndarray:
        """All columns, (row, column), of the table or of other rows; groups of which the fit knows
        nothing have none.
        """
        table = self.table if table is None else table
        parts = [self._plain_columns(table)]
        parts += [curve.columns(table[name].values) for name, curve in self.smooth.items()]
        for term, (group, _) in self.effects.items():
            own = table[group].values[:, np.newaxis] == self.levels[group]
            parts.append(own * self.lever(term, table)[:, np.newaxis])
        return np.hstack(parts)

    def lever(self, term: str, table: xr.Dataset) -> np.ndarray:
        """What an effect of groups is multiplied by, (row,): one, or the column less its mean.

        So intercepts are those at the mean, and no origin of a column changes a prior.
        """
        column = self.effects[term][1]
        if column is None:
            return np.ones(table.sizes["row"])
        return table[column].values - self.spread[column][0]

    @cached_property
    def scales(self) -> np.ndarray:
        """Widths of the columns' priors relative to each other, (column,): one over the spread of
        plain columns and of those that have slopes by group, ones elsewhere.
        """
        plain = self.columns()[:, : len(self.plain)].std(axis=0)
        parts = [1 / np.where(plain > 0, plain, 1.0)] if self.plain else []
        for term, names in self.terms.items():
            if term:
                column = self.effects.get(term, (None, None))[1]
                sd = 1.0 if column is None else self.spread[column][1]
                parts.append(np.full(len(names), 1 / sd))
        return np.concatenate(parts)

    def offset(self, table: xr.Dataset | None = None) -> np.ndarray | None:
        """What is known of the linear predictor, (row,); None for nothing."""
        if self.formula.offset is None:
            return None
        function, name = self.formula.offset
        said = f"{function}({name})" if function else name
        column = (self.table if table is None else table)[name]
        _numbers(column, "an offset is a number", f"offset({said})")
        return _taken(function, column, said)

    def lines(self, table: xr.Dataset | None = None) -> dict[str, np.ndarray]:
        """Name to the column of the straight part of each smooth curve."""
        table = self.table if table is None else table
        return {
            f"slope_{name}": curve.line(table[name].values) for name, curve in self.smooth.items()
        }

    def _plain_columns(self, table):
        if table is self.table:
            found = self._matrix
        else:
            self._refuse_new(table)
            spec = self._matrix.model_spec
            found = _made(lambda: spec.get_model_matrix(frame(table)), self.text)
        values = found[self.plain].to_numpy(dtype=float)
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise DataError(
                "a term is not finite",
                where=f"row {table['row'].values[row]}, {self.plain[column]}",
                expected="a number for each row",
                remedy="a logarithm or a root of what is not positive has none",
            )
        return values

    def _refuse_constant(self):
        """Refuse a column without two values: of its effect the prior alone would decide."""
        known = self.formula.offset[1] if self.formula.offset else None
        for name in self.formula.features:
            values = self.table[name].values
            if name != known and len(values) > 1 and np.all(values == values[0]):
                raise DataError(
                    "a column that is the same in all rows explains nothing",
                    where=f"column {name}",
                    expected="two values or categories at least",
                    found=_said(values[0]),
                    remedy="leave it out: a formula has an intercept of its own",
                )

    def _refuse_new(self, table):
        """Refuse categories that no row of the fit has."""
        for name in self.formula.features:
            known, new = self.table[name].values, table[name].values
            if known.dtype.kind != "U" or name in self.levels:
                continue
            strange = np.setdiff1d(new, known)
            if len(strange):
                raise DataError(
                    "a category that the fit does not know",
                    where=f"column {name}",
                    expected=f"one of {', '.join(np.unique(known)[:8])}",
                    found=str(strange[0]),
                )


def _numbers(column, what, where):
    """Values of a column of numbers; words are refused."""
    values = column.values
    if values.dtype.kind == "U":
        raise DataError(
            what,
            where=where,
            expected="a column of numbers",
            found=f"words such as {values[0]}",
        )
    return values


def _taken(function, column, said):
    """A function of a column, (row,), where it is one."""
    values = column.values
    if not function:
        return values
    least = values.min()
    if least < 0 or (least == 0 and function != "sqrt"):
        raise DataError(
            f"there is no {said}",
            where=f"row {column['row'].values[int(np.argmin(values))]}",
            expected="numbers above zero",
            found=f"{least:.6g}",
        )
    return getattr(np, function)(values)


def frame(table: xr.Dataset) -> pd.DataFrame:
    """Columns of a table as formulaic takes them."""
    import pandas as pd

    columns = {
        str(name): values.values.astype(object) if values.dtype.kind == "U" else values.values
        for name, values in table.data_vars.items()
        if values.dims == ("row",)
    }
    return pd.DataFrame(columns, index=np.arange(table.sizes["row"]))


def _made(make, text):
    """What formulaic makes; its error as one line."""
    from formulaic.errors import FormulaicError

    try:
        with np.errstate(all="ignore"):  # what is not finite is refused by its row
            return make()
    except (FormulaicError, ArithmeticError, ValueError, TypeError, NameError, AttributeError) as e:
        cause = e.__cause__ or e
        raise DataError(
            "the formula cannot be evaluated",
            expected="functions that formulaic knows, such as C, poly, np.log, and I(...)",
            found=f"{text!r}: {cause}",
        ) from e


def _said(level):
    return f"{level:g}" if isinstance(level, float | np.floating) else str(level)

"""The story of the equation: its numbers, what the data leave open, and its solution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted, true_values
from bayesinf.report import (
    ESTIMATED,
    Picture,
    Section,
    Story,
    Table,
    estimates,
    short,
    value_with_unit,
)
from bayesinf.systems.mackey_glass import figures
from bayesinf.systems.mackey_glass.mechanism import PARAMETERS, within_a_delay

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["alone", "section", "sentence"]

NAMES = {"beta": "β", "gamma": "γ", "n": "n", "tau": "τ"}
LOOSE = 0.2  # standard deviation of a logarithm from which a product counts as open


def alone(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell fits of the equation where no forecast is asked for."""
    name, fit = next(iter(fits.items()))
    picture, *rest = pictures(fit)
    return Story(
        title="The delay equation of a series",
        question="Which delay equation made this series, and how well do the data say so?",
        answer=Section(_headline(fit), (sentence(fit),), (picture,)),
        extra=(Section("How far to trust it", (_caution(fit),)), _open(fit, rest)),
        best=name,
    )


def section(fit: xr.DataTree) -> Iterator[Section]:
    """Tell the equation in sections of a page that forecasts."""
    truth = true_values(fit)
    picture, *rest = pictures(fit)
    numbers = Table(
        estimates(fit, list(PARAMETERS), truth or None), f"Numbers of the equation: {ESTIMATED}."
    )
    cut = noted(fit, "windows")
    words = (
        f"{fit['observed_data'].sizes['time']} noisy observations in {cut.sizes['window']} windows "
        f"of about {float(cut['length']):.3g}; the history over one delay before each is not "
        "known, and integrated out by Laplace's method.",
        _caution(fit),
    )
    yield Section("The equation", words, (picture,), (numbers,))
    yield _open(fit, rest)


def _caution(fit):
    """How much of a history is seen, which is what Laplace's method leans on."""
    return (
        f"About {within_a_delay(fit):.0f} observations fall into a delay. Where they are few, as "
        "three to five, simulations have the intervals too narrow: of 100, those of 95 % held 89 "
        "to 94 %."
    )


def _value(fit, name):
    draws = fit["posterior"][name]
    return value_with_unit(float(draws.mean()), float(draws.std()), draws.attrs["units"])


def _headline(fit):
    return f"Delay τ = {_value(fit, 'tau')}"


def sentence(fit: xr.DataTree) -> str:
    """Say the numbers of the equation."""
    listed = ", ".join(f"{NAMES[name]} = {_value(fit, name)}" for name in NAMES)
    return (
        f"The delay equation that is fitted to noisy observations has {listed}, and their noise is "
        f"{_value(fit, 'noise')}."
    )


def pictures(fit: xr.DataTree) -> tuple[Picture, ...]:
    """The solution through the data, and the numbers in pairs."""
    return (
        Picture(
            "solution",
            figures.solution(fit),
            "Observations, and the band that holds 95 % of solutions, each window from a history "
            "of its own; dashed lines begin windows. Below, residuals of the median in units of "
            "the noise.",
            "Observations with the band of solutions against time, and residuals.",
        ),
        Picture(
            "numbers",
            figures.numbers(fit),
            "Posterior of the equation's numbers in pairs: regions that hold 50 and 90 % of it. "
            "A narrow slant is a combination that is known better than either.",
            "Posterior densities of the numbers of the equation, alone and in pairs.",
        ),
    )


def _open(fit, shown):
    found = noted(fit, "open")
    rows = {
        _product(found["power"].values[k]): {
            "known to": f"{100 * (np.exp(float(found['sd'][k])) - 1):.2g} %"
        }
        for k in range(found.sizes["product"])
    }
    sd = found["sd"].values
    first, *_, last = rows
    words = [
        f"Least known is {first}, to {100 * (np.exp(sd[0]) - 1):.2g} %, and best {last}, to "
        f"{100 * (np.exp(sd[-1]) - 1):.2g} %: {short(sd[0] / sd[-1], 2)} times better."
    ]
    if sd[0] > LOOSE:
        words.append("The data leave the first of them open.")
    return Section(
        "What the data leave open",
        tuple(words),
        tuple(shown),
        (Table.of(rows, "product", "Products of powers of the numbers, each known by itself."),),
    )


def _product(powers):
    """A product of powers, without those that hardly count."""
    kept = [(name, p) for name, p in zip(NAMES.values(), powers, strict=True) if abs(p) > 0.05]
    sign = np.sign(max(kept, key=lambda one: abs(one[1]))[1])
    parts = [f"{name}^{sign * p:.2g}".replace("-", "−") for name, p in kept]
    return " · ".join(part.removesuffix("^1") for part in parts)

"""Units as people write them: with capitals or without, in words, with a sign or a stroke."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

__all__ = ["known_unit", "spelled"]

# Units as people write them in a row of their own or after a stroke. Capitals count (meV, MeV).
_SYMBOLS = """
    m cm mm µm μm um nm pm fm km Å A s ms µs μs us ns ps fs min h d K °C C °F eV meV keV MeV GeV
    J kJ mJ Hz kHz MHz GHz THz V mV µV μV uV kV mA µA μA uA nA W mW Pa kPa MPa hPa bar mbar T mT
    rad mrad deg ° °2θ % dB dBm cm-1 cm^-1 cm⁻¹ 1/cm nm-1 nm^-1 1/nm Å-1 Å^-1 1/Å A-1 A^-1 1/A
    kJ/mol kcal/mol kJ/mole kcal/mole Eh Ha Bohr bohr a0 a.u. au arb. arb cts cps counts/s
    photons/s mol mol/L mmol/L M mM g kg mg N mN Ω kΩ ohm Jy mag ppm ppb g/mol W/m2 W/m^2
    mAh Torr Gy Sv Bq G Oe
"""
# Units in words, whose capitals do not matter.
_WORDS = """
    counts, count, angstrom, angstroms, ångström, nanometer, nanometers, nanometre, nanometres,
    micrometer, micrometers, micron, microns, kelvin, hartree, hartrees, volt, volts, second,
    seconds, degree, degrees, radians, a.u., arb. units, arb. u., arbitrary, arbitrary units,
    channels, wavenumbers, electronvolt, ev, deg 2theta, degrees 2-theta
"""
_KNOWN = {*_SYMBOLS.split()}
_KNOWN_WORDS = {word.strip() for word in _WORDS.split(",")}
# One unit to the ways in which it is written, in small letters and without blanks.
_SPELLINGS = """
    Å: å angstrom angstroms ångström ångströms ang ang. aa
    nm: nanometer nanometers nanometre nanometres
    pm: picometer picometers picometre picometres
    bohr: bohrs a0 a_0 a₀ bohrradius bohrradii a.u. au
    m: meter meters metre metres
    hartree: hartrees ha eh e_h a.u. au
    eV: ev electronvolt electronvolts
    K: kelvin kelvins
    kJ/mol: kj/mol kj/mole kjmol-1 kj·mol-1 kjmol^-1 kjpermol kj.mol-1
    kcal/mol: kcal/mol kcal/mole kcalmol-1 kcal·mol-1 kcalmol^-1 kcalpermol kcal.mol-1
    cm-1: cm-1 cm^-1 1/cm cm**-1 cm^{-1} wavenumber wavenumbers reciprocalcentimeter
    meV: millielectronvolt millielectronvolts
"""
_UNITS_OF: dict[str, list[str]] = {}
for _unit, _, _ways in (line.strip().partition(": ") for line in _SPELLINGS.strip().splitlines()):
    for _way in _ways.split():
        _UNITS_OF.setdefault(_way, []).append(_unit)


def known_unit(text: str) -> bool:
    """Whether a text is a unit that people write."""
    return text in _KNOWN or text.casefold() in _KNOWN_WORDS


def spelled(text: str, units: Iterable[str]) -> str | None:
    """Return which of some units a text means, None where it is none of them.

    Capitals matter only where they tell units apart: ``HARTREE`` is hartree, but MeV is not meV.
    """
    units = list(units)
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").strip()
    if text in units or plain in units:
        return text if text in units else plain
    small = "".join(plain.casefold().split())
    ways = [unit for unit in _UNITS_OF.get(small, ()) if unit in units]
    same = [unit for unit in units if len(unit) > 3 and unit.casefold() == small]
    return next(iter([*same, *ways]), None)

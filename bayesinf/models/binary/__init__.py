"""Binary data, sites that are on or off: what they are, and two families of models of them.

``states`` says what binary data are in either encoding, and what summarises them; it is offered
here, under this package's name. ``couplings`` is the prior of fields and couplings, which both
families share. ``pairwise`` is the law of independent states, ``logistic`` that of each state given
the one before it.
"""

from bayesinf.models.binary.states import (
    ENCODINGS,
    NEVER,
    Moments,
    codes,
    constant_sites,
    convert,
    convert_directed,
    decoded,
    distinct,
    identical_pairs,
    known,
    listed,
    matrix,
    moments,
    nulls,
    of_states,
    pairs,
    population,
    sites_of,
    triple_moments,
    triples,
    validated,
)

__all__ = [
    "ENCODINGS",
    "NEVER",
    "Moments",
    "codes",
    "constant_sites",
    "convert",
    "convert_directed",
    "decoded",
    "distinct",
    "identical_pairs",
    "known",
    "listed",
    "matrix",
    "moments",
    "nulls",
    "of_states",
    "pairs",
    "population",
    "sites_of",
    "triple_moments",
    "triples",
    "validated",
]

"""Binary data, sites that are on or off: what they are, and two families of models of them.

``states`` says what binary data are in either encoding, ``statistics`` what summarises them; both
are offered here, under this package's name. Both families share ``couplings``, the prior of fields
and couplings, ``widths``, approximations of the posterior at several widths of these, ``chains``,
which sample it, ``batches`` of draws, and ``predictions`` of single sites. ``pairwise`` is the law
of independent states, ``logistic`` that of each state given the one before it.
"""

from bayesinf.models.binary.predictions import chances
from bayesinf.models.binary.states import (
    ENCODINGS,
    codes,
    convert,
    convert_directed,
    decoded,
    distinct,
    known,
    logit_slope,
    matrix,
    pair_coords,
    pairs,
    sites_of,
    validated,
)
from bayesinf.models.binary.statistics import (
    NEVER,
    Moments,
    constant_sites,
    identical_pairs,
    listed,
    moments,
    nulls,
    of_states,
    population,
    triple_moments,
    triples,
)

__all__ = [
    "ENCODINGS",
    "NEVER",
    "Moments",
    "chances",
    "codes",
    "constant_sites",
    "convert",
    "convert_directed",
    "decoded",
    "distinct",
    "identical_pairs",
    "known",
    "listed",
    "logit_slope",
    "matrix",
    "moments",
    "nulls",
    "of_states",
    "pair_coords",
    "pairs",
    "population",
    "sites_of",
    "triple_moments",
    "triples",
    "validated",
]

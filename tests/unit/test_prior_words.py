"""Priors read from a line of text: what it states, and what is wrong with it, in one line."""

import pytest

from bayesinf import priors
from bayesinf.errors import DataError

READ = {
    "center[1] ~ Normal(656.3, 0.5)": ("center[1]", priors.Normal(656.3, 0.5)),
    "p1_center~gaussian( -1e3 ,2 )": ("p1_center", priors.Normal(-1000.0, 2.0)),
    "noise ~ half-normal(0.1)": ("noise", priors.HalfNormal(0.1)),
    "noise ~ Half Cauchy(0.1)": ("noise", priors.HalfCauchy(0.1)),
    "b ~ Normal(sd=3)": ("b", priors.Normal(0.0, 3.0)),
    "b ~ student_t(4)": ("b", priors.StudentT(4.0)),
    "b ~ StudentT(4, 1, scale=2)": ("b", priors.StudentT(4.0, 1.0, 2.0)),
    "slope ~ Flat(−5, 5)": ("slope", priors.Uniform(-5.0, 5.0)),
    "width ~ LogUniform(1e-3, 10)": ("width", priors.LogUniform(1e-3, 10.0)),
    "width ~ lognormal(median=2, spread=0.3)": ("width", priors.LogNormal(2.0, 0.3)),
    "rate ~ Gamma(2, 0.5)": ("rate", priors.Gamma(2.0, 0.5)),
    "rate ~ Exponential(0.1)": ("rate", priors.Exponential(0.1)),
    "share ~ Beta(1, 3)": ("share", priors.Beta(1.0, 3.0)),
    "sigma^2 ~ InverseGamma(2, 0.1)": (
        "sigma",
        priors.OnVariance(priors.InverseGamma(2.0, 0.1)),
    ),
    "σ² ~ Exponential(3)": ("σ", priors.OnVariance(priors.Exponential(3.0))),
}


@pytest.mark.parametrize("text", READ)
def test_a_prior_is_read(text):
    assert priors.parse(text) == READ[text]


REFUSED = {
    "Normal(1, 2)": "no prior can be read",
    "center Normal(1, 2)": "no prior can be read",
    "~ Normal(1, 2)": "no prior can be read",
    "center ~ Normal 1 2": "no prior can be read",
    "center ~ Normal(1, 2) + 3": "no prior can be read",
    "center ~ Cauchy(1)": "unknown prior Cauchy; expected one of Normal, StudentT",
    "center ~ Normal(1, two)": "sd is no number; expected a number such as 656.3 or 1e-3, "
    "found 'two'",
    "center ~ Normal(1, )": "sd is no number",
    "center ~ Normal(1, 2, 3)": "the numbers do not fit; expected Normal(mean, sd), found '3'",
    "center ~ Normal(1, mean=2)": "expected Normal(mean, sd), found 'mean=2'",
    "center ~ Normal(1, width=2)": "expected Normal(mean, sd), found 'width=2'",
    "rate ~ Gamma()": "expected Gamma(shape, rate), found no shape",
    "slope ~ Flat()": "expected Uniform(lower, upper), found no lower and no upper",
    "center ~ Normal(1, -2)": "sd of a prior cannot be -2.0; expected a finite number above zero",
    "center ~ Normal(nan, 2)": "mean of a prior cannot be nan",
    "center ~ Uniform(3, 2)": "leave nothing between them; expected lower below upper, "
    "found 3 and 2",
    "sigma^2 ~ Normal(0, 1)": "a prior of a variance reaches below zero",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_read_is_said_in_one_line(text):
    with pytest.raises(DataError) as caught:
        priors.parse(text)
    said = str(caught.value)
    assert REFUSED[text] in said and repr(text) in said and "\n" not in said

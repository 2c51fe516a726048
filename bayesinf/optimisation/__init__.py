"""Bayesian optimisation: where is an expensive function lowest, and where to measure next?

A campaign is told what was measured and asked where to go on:

    campaign = optimisation.campaign({"x": (0.0, 1.0)}, noise=0.0)
    place = optimisation.ask(campaign)
    campaign = campaign.told([0.3], y)

    campaign.py     bounds, integers, constraints, evaluations: plain data
    surrogate.py    Gaussian processes given the values, hyperparameters and kernel integrated out;
    kernel.py       the compiled numbers of these
    feasibility.py  where measuring is possible and allowed
    rules.py        what a place promises: expected improvement, confidence bound, Thompson
    places.py       the best place of a rule, over the continuum and over integers
    paths.py        drawn curves as functions
    asking.py       the next place or places, and whether to stop
    minimum.py      the answer: a posterior of where the minimum is, and how deep
    store.py        the campaign in one file, which no kill can harm
"""

from bayesinf.optimisation.asking import ask, recommended
from bayesinf.optimisation.campaign import Campaign, Evaluation, Input, campaign
from bayesinf.optimisation.rules import RULES

__all__ = ["RULES", "Campaign", "Evaluation", "Input", "ask", "campaign", "recommended"]

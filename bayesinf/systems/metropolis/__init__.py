"""Samplers at work: do the checks say so where a sampler is wrong?

    x_i ~ N(μ, S),   S known,   μ | x ~ N(x̄, S/n)

The position of something was measured n times, and the posterior of its place is a normal in
closed form, by default N((1, 1), [[0.05, 0.02], [0.02, 0.05]]). Metropolis' rule, its adaptive
form, emcee and NUTS draw from it, and a published mistake (to record accepted moves alone) is held
to the right rule, over many runs and by quadrature. Then all samplers meet a banana, a funnel and
two modes of known moments, and what the checks say of each is held to whether it was right.

Metropolis et al., J. Chem. Phys. 21, 1087 (1953), doi:10.1063/1.1699114; Haario, Saksman &
Tamminen, Bernoulli 7, 223 (2001), doi:10.2307/3318737.
"""

from bayesinf.systems.metropolis.accepted import accepted_only, mistake
from bayesinf.systems.metropolis.calibration import calibration_problem
from bayesinf.systems.metropolis.data import SCATTER, read, simulate
from bayesinf.systems.metropolis.model import classical, fit
from bayesinf.systems.metropolis.story import story
from bayesinf.systems.metropolis.targets import TARGETS, Target
from bayesinf.systems.metropolis.trials import trial

__all__ = [
    "SCATTER",
    "TARGETS",
    "Target",
    "accepted_only",
    "calibration_problem",
    "classical",
    "fit",
    "mistake",
    "read",
    "simulate",
    "story",
    "trial",
]

"""Every number by which the sampling of many sites is tuned, and why it has that value."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT", "Tuning"]


@dataclass(frozen=True)
class Tuning:
    """Settings of chains, search, reweighting and checks; none of them changes the model.

    "Effective" states are counted as independent ones of equal weight: what their average is worth.
    """

    # ── Markov chains ────────────────────────────────────────────────────────────────────────────

    # Site visits below which starting threads costs more time than they save.
    serial_visits: int = 2**22
    # Sweeps of the first pilot run; each later one is as long as all before it together.
    pilot_sweeps: int = 32
    # Pilot sweeps after which chains that still remember are left to the checks.
    most_pilot_sweeps: int = 2**13
    # Autocorrelation times in the last pilot run: with 64 chains τ is then known to 12 %.
    pilot_times: float = 20
    # Correlation of successive kept states: less of it would cost more sweeps than it is worth.
    kept_correlation: float = 0.05
    # Autocorrelation times over which correlations are summed (Sokal): beyond, noise adds up.
    window_times: float = 5
    # Draws of each chain that correlations are measured on: with 64 chains, plenty.
    measured_draws: int = 2**10
    # Random projections, and single sites, watched for slow modes beside energy and activity.
    watched: int = 4

    # ── Annealed importance sampling of log Z ────────────────────────────────────────────────────

    # Intermediate distributions at first; doubled until the error is small.
    anneal_steps: int = 2**6
    # The most: for 160 sites and 1000 chains, 5·10⁹ visits of sites.
    most_anneal_steps: int = 2**15
    # States that tell the means of the independent sites that annealing starts from.
    anneal_pilot: int = 2**11
    # Standard error aimed at: log Z at the centre shifts all log likelihoods alike.
    log_z_error: float = 0.02

    # ── Search for the optimum ───────────────────────────────────────────────────────────────────

    # Chains side by side: enough for their spread to be known to 9 %.
    chains: int = 64
    # States of the first steps, at least: far from the optimum a rough gradient does.
    step_states: int = 20_000
    # The same for each parameter, where these are many.
    step_states_each: int = 5
    # States of the last steps for each parameter, or the data's number where that is larger.
    last_states_each: int = 40
    # Sweeps between states at first.
    step_thin: int = 10
    # Sweeps between states at most, where chains are slow.
    most_step_thin: int = 80
    # Autocorrelation time, as a share of a chain's length, at which sweeps are doubled.
    slow_chain: float = 0.1
    # States of each chain dropped after a step, which the chains need to follow it.
    step_burn: int = 20
    # Additions that one sum over the states of a step may cost: tens of milliseconds.
    step_work: float = 2e7
    # Standard deviations of the data's level within which levels are visited.
    level_range: float = 10.0
    # Log weight lost with each level beyond that range: chains do not go there.
    level_wall: float = 1e5
    # States of a level that are needed to tell its spread.
    level_least: int = 10
    # Pseudo-counts of each level, so that one rarely visited changes the bias slowly.
    level_prior: float = 5.0
    # Flatness of the visits to levels below which the bias is corrected before a step.
    least_flatness: float = 0.3
    # Standard deviation of Δ·φ that a step may have: one half keeps most weights alike.
    step_sd: float = 0.5
    # Standard deviation that Δ·φ may have within a level, which the bias has to follow.
    step_level_sd: float = 1.5
    # Slope at a step's end over that at its start, below which it went too far and is undone.
    overshoot: float = -0.3
    # Expected gain of a step over that by sampling noise alone, at which states are doubled.
    noisy_gain: float = 8.0
    # Expected gain, in the same units, at which the search has all states it needs, and averages.
    final_gain: float = 2.0
    # Steps of 1, 1/2, 1/3, ... that average sampling errors at the end.
    averaging_steps: int = 10
    # Extra states taken to show each pair, so that a pair seen together once does not go far.
    pair_prior: float = 1.0
    # Steps after which the search has failed: 30 retina cells take about 20.
    most_steps: int = 300
    # EM steps for the width of the couplings, which converges long before.
    width_steps: int = 30

    # ── Newton steps by conjugate gradients ──────────────────────────────────────────────────────

    # Residual, relative to the gradient: rough, as the next Newton step corrects it.
    solver_residual: float = 0.1
    # Products with the Fisher matrix at most; with the preconditioner a few are enough.
    solver_products: int = 50

    # ── Long run and reweighting sample ──────────────────────────────────────────────────────────

    # Effective states for each state of the data: moves the posterior by 1/√25 = 0.2 sd.
    run_ratio: float = 25
    # Long runs at most, each from where the one before says that the optimum is.
    long_runs: int = 3
    # Effective states at least, though few data would need fewer.
    least_run: int = 200_000
    # Effective states at most, though very many data would need more.
    most_run: int = 10_000_000
    # Length of the run before the last Newton step, as a share of the long run.
    first_run: float = 0.4
    # States that the long run makes at once, to bound memory.
    run_part: int = 2**18
    # Sweeps between states at most: more would cost more than weighing one more state.
    most_run_thin: int = 10
    # States of the reweighting sample, over the variance of the rarest pair: 16 000 where all sites
    # are as often on as off.
    kept_rarest: float = 1000
    # The most that rare pairs ask for.
    kept_states: int = 100_000
    # The same for each parameter: the error of the curvature is then one or two per cent.
    kept_states_each: int = 50
    # Triples of sites whose means are followed, for predictive checks.
    triples: int = 500
    # States that one task of a thread weighs: their sums fit in its cache.
    block: int = 2**13
    # Parameter vectors that are evaluated together, to bound memory.
    rows: int = 16
    # States whose triples are multiplied at once, in cache.
    triple_block: int = 2**11

    # ── Whether the reweighting sample may be trusted ────────────────────────────────────────────

    # Effective states at a draw of the posterior: with 1000, its moments are known to 3 %.
    least_size: float = 1000
    # Pareto k̂ of the weights above which their averages cannot be relied on.
    largest_k: float = 0.7
    # Shift of the posterior by sampling error, in posterior sd, that intervals may leave out.
    largest_shift: float = 0.3
    # Distinct states below which the weights have no tail to fit.
    least_distinct: int = 1000
    # Residual of the moments at the optimum, rms in standard errors of the data.
    largest_residual: float = 3.0


DEFAULT = Tuning()

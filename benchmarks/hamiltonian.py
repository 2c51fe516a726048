"""Energies of motions beside published ones, coverage of forecasts, training beside PyTorch.

energies  mean squared error of the true energy along forecasts of held-out motions from their
          true initial states, of paths followed, of a network of an energy and of a plain
          network, with the mean of the seeds and its standard error, beside the errors that
          Greydanus, Dzamba & Yosinski (2019), arXiv:1906.01563, Table 1, publish of their
          networks; and the share of the held-out states, measured with noise, that 50 % and
          95 % bands hold at four horizons, of all seeds together.
training  processor seconds until the energy error of a network of an energy is no more than
          the published one, and where PyTorch is installed those of an equal network trained as
          the reference does it: Adam at 1e-3, all rates at once, the gradient by automatic
          differentiation, looked at every 100 steps.
"""

import time

import numpy as np
from common import Table, main

TOY = {
    "energies": {
        "seeds": (1,),
        "trials": 4,
        "systems": ("spring",),
        "form": "spring",
        "networks": False,
    },
    "training": {"trials": 4, "most": 10, "systems": ("spring",)},
}


def motions(system, trials, seed):
    """Motions to fit, and those held out."""
    from bayesinf.systems import hamiltonian

    rng = np.random.default_rng(seed)
    return hamiltonian.split(hamiltonian.simulate(system, trials, rng=rng))


def energies(
    seeds=(1, 2, 3), trials=50, systems=("spring", "pendulum"), form="smooth", networks=True
):
    from bayesinf.checks import check
    from bayesinf.posterior import noted
    from bayesinf.settings import Settings
    from bayesinf.systems import hamiltonian
    from bayesinf.systems.hamiltonian.story import PUBLISHED

    short = Settings(draws=250, chains=4, prior_draws=4, workers=1)
    found = {}
    for system in systems:
        errors, covered = {}, []
        for seed in seeds:
            part, held_out = motions(system, trials, seed)
            fit = hamiltonian.fit(part, form, held_out=held_out, settings=short.replace(seed=seed))
            row = {"paths followed": float(noted(fit, "error")["energy"])}
            if networks:
                told = hamiltonian.classical(part, held_out)
                pair = zip(told["fitted"].values, told["energy"].values, strict=True)
                row |= {str(name): float(value) for name, value in pair}
            for name, value in row.items():
                errors.setdefault(name, []).append(value)
            covered.append(noted(fit, "forecast")["covered"].values)
            horizons = noted(fit, "forecast")["horizon"].values
            said = "believed" if check(fit).believed else "not believed"
            print(f"{system}, seed {seed}: {said}, " + ", ".join(f"{v:.3g}" for v in row.values()))
        own, plain = PUBLISHED[system]
        table = Table({"energy error": "24", "mean": "10.2e", "± ": "8.1e", "worst": "9.2e"})
        for name, values in errors.items():
            error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            table.row(
                {"energy error": name, "mean": np.mean(values), "± ": error, "worst": max(values)}
            )
        print(f"published: network of an energy {own:g}, plain network {plain:g}")
        shares = np.mean(covered, axis=0)
        for level, row in zip((0.5, 0.95), shares, strict=True):
            pair = zip(horizons, row, strict=True)
            print(f"{level:.0%} bands hold " + ", ".join(f"{v:.1%} at {h:g}" for h, v in pair))
        found[system] = {"errors": errors, "covered": shares.tolist()}
    return found


def training(trials=50, most=2000, systems=("spring", "pendulum"), seed=1):
    from bayesinf.systems.hamiltonian.data import Record
    from bayesinf.systems.hamiltonian.model import Motion
    from bayesinf.systems.hamiltonian.network import Network
    from bayesinf.systems.hamiltonian.results import errors
    from bayesinf.systems.hamiltonian.routes import optimum
    from bayesinf.systems.hamiltonian.story import PUBLISHED

    found = {}
    for system in systems:
        goal = PUBLISHED[system][0]
        part, held_out = motions(system, trials, seed)
        record = Record.of(part)
        steps, begun = [], time.process_time()

        class Watched(Motion):
            """Motions of which every point on the way to the optimum is kept."""

            def linearised(self, theta, steps=steps, begun=begun):
                steps.append((time.process_time() - begun, theta))
                return super().linearised(theta)

        problem = Watched(record, Network(record.frame), record.frame, treated=False)
        optimum(problem)
        seconds = time.process_time() - begun
        told = [errors(problem.flow, w, held_out, record.frame.time)["energy"] for _, w in steps]
        there = next((t for (t, _), e in zip(steps, told, strict=True) if e <= goal), np.nan)
        print(
            f"{system}: {goal:g} after {there:.1f} s, optimum after {seconds:.1f} s, {told[-1]:.3g}"
        )
        found[system] = {"optimum": seconds, "energy": float(told[-1])}
        found[system] |= {"seconds": there} if np.isfinite(there) else {}
        peer = torched(problem, held_out, goal, most)
        found[system] |= {} if peer is None else {"torch": peer}
    return found


def torched(problem, held_out, goal, most):
    """Processor seconds, steps and energy error of the same network by PyTorch; None without."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: not compared")
        return None
    from bayesinf.systems.hamiltonian.results import errors

    torch.manual_seed(0)
    torch.set_num_threads(1)
    frame, width = problem.frame, problem.energy.width
    net = torch.nn.Sequential(
        torch.nn.Linear(2, width),
        torch.nn.Tanh(),
        torch.nn.Linear(width, width),
        torch.nn.Tanh(),
        torch.nn.Linear(width, 1, bias=False),
    ).double()
    x = torch.tensor((problem.record.states - frame.centre) / frame.half, requires_grad=True)
    target = torch.tensor(np.stack([problem.rows["dq_dt"], problem.rows["dp_dt"]], axis=-1))
    scale = torch.tensor(frame.energy / frame.half)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    spent, step = 0.0, 0
    while step < most:
        begun = time.process_time()
        for _ in range(min(100, most)):
            (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
            slope = slope * scale
            loss = ((slope[:, 1] - target[:, 0]) ** 2 + (slope[:, 0] + target[:, 1]) ** 2).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        spent, step = spent + time.process_time() - begun, step + min(100, most)
        weight = np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])
        told = errors(problem.flow, weight, held_out, frame.time)
        if told["energy"] <= goal:
            break
    print(f"PyTorch: {step} steps in {spent:.1f} s, energy error {told['energy']:.3g}")
    return {"seconds": spent, "steps": step, "energy": float(told["energy"])}


if __name__ == "__main__":
    main(__doc__, (energies, training), TOY)

"""Which calls of ArviZ work on which files, in whatever version of it runs this (1.x or 0.23).

    python tests/arviz_calls.py reports/*/*.nc

Exit status 1 where one fails. Files are read by ArviZ alone; what it cannot stack, coordinates that
only some variables have, is dropped, as README says.
"""

import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
warnings.simplefilter("ignore")

import arviz  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402

NEW = int(arviz.__version__.split(".")[0]) >= 1
LARGEST = 30  # elements of a variable that is drawn


def opened(path):
    """All groups of a file, without coordinates that only some variables have."""
    tree = arviz.from_netcdf(path)
    if NEW:
        return tree.map_over_datasets(lambda group: group.reset_coords(drop=True))
    return tree.map(lambda group: group.reset_coords(drop=True), groups=tree.groups())


def calls(tree):
    """Name to call."""
    group = tree["posterior"]
    sizes = {name: group[name][0, 0].size for name in group.data_vars}
    some = [name for name, size in sizes.items() if size <= LARGEST] or [min(sizes, key=sizes.get)]
    some = some[:1]
    replicas = [n for n, v in tree["posterior_predictive"].data_vars.items() if v.ndim > 2]
    found = {
        "summary": lambda: arviz.summary(tree),
        "extract": lambda: arviz.extract(tree, num_samples=5),
        "loo": lambda: arviz.loo(tree),
        "compare": lambda: arviz.compare({"one": tree, "other": tree}),
        "plot_trace": lambda: arviz.plot_trace(tree, var_names=some),
    }
    if not NEW:
        found["plot_posterior"] = lambda: arviz.plot_posterior(tree, var_names=some)
        return found
    found["plot_dist"] = lambda: arviz.plot_dist(tree, var_names=some)
    found["psense_summary"] = lambda: arviz.psense_summary(tree, var_names=some)
    if replicas:
        found["plot_ppc_dist"] = lambda: arviz.plot_ppc_dist(
            tree, var_names=replicas[:1], num_samples=5
        )
    return found


def main(paths):
    """Try all calls on all files."""
    failed = 0
    for path in map(Path, paths):
        said = []
        for name, call in calls(opened(path)).items():
            try:
                call()
            except Exception as error:  # whatever it is, the next call is tried
                said.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:100]}")
            plt.close("all")
        failed += len(said)
        print(f"{path.parent.name}/{path.name}: {'; '.join(said) or 'all calls work'}", flush=True)
    print(f"ArviZ {arviz.__version__}: {failed} calls failed on {len(paths)} files")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

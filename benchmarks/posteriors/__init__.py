"""Small problems of this project's physics whose posteriors are known: data, model, answer.

Each is stated twice: as a ``Problem`` of the package, and by itself, in a closed form, on a grid or
by a long run, in a few lines that use nothing of the package. ``data/references/<name>.json`` holds
the data and the answer.
"""

from posteriors import curves, densities, processes, spins, weights
from posteriors.registry import PROBLEMS, Reference

__all__ = ["PROBLEMS", "Reference", "curves", "densities", "processes", "spins", "weights"]

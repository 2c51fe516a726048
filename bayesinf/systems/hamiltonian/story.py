"""The story of the report."""

from bayesinf.report import plain_story


def story(fits):
    """Tell the energy."""
    return plain_story(fits, "A Hamiltonian from motions", "Which energy moves this system?")

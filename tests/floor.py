"""The oldest versions that pyproject.toml allows, as constraints for pip, for ``make test-floor``.

python tests/floor.py > floor.txt
"""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def floors(text):
    """Every requirement of the package and of its tests, at its least version."""
    project = tomllib.loads(text)["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["dask"]]
    lines += project["optional-dependencies"]["test"]
    found = (re.fullmatch(r"([\w-]+)>=([\d.]+)", line) for line in lines)
    return [f"{each[1]}=={each[2]}" for each in found if each]


if __name__ == "__main__":
    print("\n".join(floors(PROJECT.read_text(encoding="utf-8"))))

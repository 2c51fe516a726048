"""What all tests share: one thread for linear algebra and few looks for garbage, as scripts have,
hypothesis without a clock or a die, and the way to reference data that a checkout may or may not
have beside it."""

import atexit
import gc
import os
from pathlib import Path

# Read when the libraries load, so they stand before any import of NumPy.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
gc.set_threshold(50_000, *gc.get_threshold()[1:])
atexit.register(gc.freeze)
# PyMC models that are run as Python are not to start a C compiler, a second for each operation.
os.environ.setdefault("PYTENSOR_FLAGS", "cxx=")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("bayesinf", deadline=None, derandomize=True)
settings.load_profile("bayesinf")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def reference_data():
    """The folder of optional reference data beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no reference data in ../shared/data beside this checkout")
    return folder

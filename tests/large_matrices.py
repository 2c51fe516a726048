"""Do NumPy's and SciPy's factorisations hold where matrices are large? Against known answers.

    python tests/large_matrices.py [--calls cholesky,solve,qr,eigh,svd] [--sizes 9000,11000,...]

Each call runs on one thread, in a process of its own, which may die; it takes 1 to 8 GB and a
minute to an hour. ``OPENBLAS_CORETYPE=SkylakeX`` asks for the kernels for AVX-512 where OpenBLAS
would choose others.

    A = min(i, j):      L = R = the triangle of ones, A⁻¹ tridiagonal,
                        eigenvalues 1 / (4 sin²((2k − 1) π / (4n + 2)))
    A = H R:            a reflection H of a triangle R of ones
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np

CALLS = ("cholesky", "solve", "qr", "eigh", "svd")
SIZES = (9_000, 11_000, 13_000, 20_000)
LIBRARIES = ("scipy", "numpy")
MOST = 1e-6  # error, absolute of what is exact, relative of eigenvalues


def error(library: str, call: str, size: int) -> float:
    """Largest error of a call."""
    from scipy import linalg

    one = np.arange(1.0, size + 1)
    if call == "qr":
        v, matrix = np.cos(one), np.triu(np.ones((size, size)))
        matrix -= np.multiply.outer(2 * v / (v @ v), v @ matrix)
        options = {"mode": "r", "overwrite_a": True, "check_finite": False}
        R = np.linalg.qr(matrix, "r") if library == "numpy" else linalg.qr(matrix, **options)[0]
        R *= np.sign(np.diag(R))[:, np.newaxis]
        return max(float(np.abs(row - (one > k)).max()) for k, row in enumerate(R))
    matrix = np.minimum.outer(one, one)
    if call == "cholesky":
        if library == "numpy":
            lower = np.linalg.cholesky(matrix)
        else:
            lower = linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
        return max(float(np.abs(row - (one <= k + 1)).max()) for k, row in enumerate(lower))
    if call == "solve":
        right, solve = matrix.sum(axis=1), (np.linalg if library == "numpy" else linalg).solve
        return float(np.abs(solve(matrix, right) - 1).max())
    known = np.sort(1 / (4 * np.sin((2 * one - 1) * np.pi / (4 * size + 2)) ** 2))
    if call == "eigh":
        found = (np.linalg if library == "numpy" else linalg).eigh(matrix)[0]
    elif library == "numpy":
        found = np.sort(np.linalg.svd(matrix)[1])
    else:
        found = np.sort(linalg.svd(matrix, overwrite_a=True, check_finite=False)[1])
    return float(np.abs(found / known - 1).max())


def main() -> None:
    """Run all that was asked for, one after the other, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", default=",".join(CALLS))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--libraries", default=",".join(LIBRARIES))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        from threadpoolctl import threadpool_limits

        library, call, size = given.one
        with threadpool_limits(1):
            print(f"error {error(library, call, int(size)):.1e}")
        return
    held = tried = 0
    for call in given.calls.split(","):
        for size in given.sizes.split(","):
            for library in given.libraries.split(","):
                started = time.monotonic()
                command = [sys.executable, __file__, "--one", library, call, size]
                done = subprocess.run(command, capture_output=True, text=True)
                fine = done.returncode == 0 and float(done.stdout.split()[1]) < MOST
                said = done.stdout.strip() or f"died, exit status {done.returncode}"
                taken = time.monotonic() - started
                print(f"{library} {call} {size}: {said}, {taken:.0f} s", flush=True)
                held, tried = held + fine, tried + 1
    print(f"{held} of {tried} held")
    sys.exit(held < tried)


if __name__ == "__main__":
    main()

"""The one result: an InferenceData with its provenance.

ArviZ 1.x holds InferenceData as an ``xarray.DataTree`` whose children are the groups of the
InferenceData schema. This module is the only one that knows that container: it assembles the groups
that a fit hands over, labels them with where they came from, writes them to netCDF in one atomic
step, and reads them back. Whatever else wants a number from a posterior takes it from the groups by
name.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from bayesinf import reader
from bayesinf.errors import DataError
from bayesinf.packing import stored
from bayesinf.schema import refuse_strange

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from bayesinf.settings import Settings

__all__ = [
    "GROUPS",
    "LIBRARIES",
    "PROVENANCE",
    "REQUIRED_GROUPS",
    "SAMPLE_DIMS",
    "TOTAL",
    "annotated",
    "assemble",
    "data_sha256",
    "dataset",
    "element_names",
    "evenly",
    "library_version",
    "load",
    "log_likelihood",
    "noted",
    "observation_names",
    "opened",
    "ours",
    "prior_words",
    "provenance",
    "read",
    "reported",
    "save",
    "true_values",
]

SAMPLE_DIMS = ("chain", "draw")
TOTAL = "log_likelihood"  # in sample_stats, where the pointwise ones do not add up to it

# Every fit has these; predictions join them where points were held out. sample_stats holds what is
# known about each draw without being a parameter (log density, divergences, discrepancies of data
# and replicas) and the evidence that its method leaves for the checks.
REQUIRED_GROUPS = (
    "posterior",
    "sample_stats",
    "posterior_predictive",
    "log_likelihood",
    "log_prior",
    "prior",
    "prior_predictive",
    "observed_data",
    "constant_data",
)
GROUPS = (*REQUIRED_GROUPS, "predictions", "predictions_constant_data")

PROVENANCE = (
    "system",
    "model",
    "inference",
    "seed",
    "settings",
    "data_sha256",
    "created_at",
    "elapsed_seconds",
    "bayesinf_version",
    "library_versions",
)

LIBRARIES = ("arviz", "emcee", "lmfit", "numba", "numpy", "nutpie", "pymc", "scipy", "xarray")


def dataset(
    arrays: Mapping[str, np.ndarray],
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, object] | None = None,
    units: Mapping[str, str] | None = None,
    *,
    sampled: bool = True,
) -> xr.Dataset:
    """Label plain arrays as one group.

    Parameters
    ----------
    arrays : name to array; a sampled array leads with the axes chain and draw.
    dims : name to the dimensions after those; none for scalars.
    coords : coordinates; those whose dimensions the arrays do not use are left out.
    units : name to unit; what is not named is dimensionless, "1".
    sampled : whether the arrays lead with chain and draw.

    Returns
    -------
    a Dataset in which every variable has a ``units`` attribute.
    """
    import numpy as np
    import xarray as xr

    dims, units, lead = dims or {}, units or {}, SAMPLE_DIMS if sampled else ()
    variables = {
        name: xr.Variable((*lead, *dims.get(name, ())), array, {"units": units.get(name, "1")})
        for name, array in arrays.items()
    }
    sizes = dict(pair for each in variables.values() for pair in each.sizes.items())
    numbered = {dim: np.arange(sizes[dim]) for dim in lead if dim in sizes}
    labels = xr.Coordinates({**numbered, **(coords or {})})
    unused = [name for name, label in labels.items() if not set(label.dims) <= set(sizes)]
    return xr.Dataset(variables, labels.drop_vars(unused) if unused else labels)


def assemble(
    groups: Mapping[str, xr.Dataset],
    *,
    system: str,
    model: str,
    inference: str,
    settings: Settings,
    data: xr.Dataset,
    started: float,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    """Join the groups of one fit into an InferenceData with its provenance.

    Parameters
    ----------
    groups : group name to Dataset; all of ``REQUIRED_GROUPS`` and any other of ``GROUPS``.
    system, model : what was fitted with what.
    inference : exact, laplace, nuts, gibbs, ensemble or mle+mcmc.
    settings : length and seed of the fit.
    data : what was fitted; its SHA-256 is recorded.
    started : ``time.perf_counter()`` at the start of the fit.
    attrs : further root attributes, numbers or strings.

    Returns
    -------
    an InferenceData, as an ``xarray.DataTree``.

    Raises
    ------
    ValueError : a group is missing or unknown, or a variable has no ``units``.
    """
    import xarray as xr

    missing = [name for name in REQUIRED_GROUPS if name not in groups]
    unknown = [name for name in groups if name not in GROUPS]
    bare = [
        f"{group}.{name}"
        for group, content in groups.items()
        for name, variable in content.data_vars.items()
        if "units" not in variable.attrs
    ]
    if missing or unknown or bare:
        raise ValueError(f"groups missing: {missing}, unknown: {unknown}; without units: {bare}")
    tree = xr.DataTree.from_dict({name: groups[name] for name in GROUPS if name in groups})
    commit = _git_commit()
    tree.attrs = {
        "system": system,
        "model": model,
        "inference": inference,
        "seed": settings.seed,
        "settings": settings.to_json(),
        "data_sha256": data_sha256(data),
        **provenance(),
        "elapsed_seconds": time.perf_counter() - started,
        **({"git_commit": commit} if commit else {}),
        **(attrs or {}),
    }
    return tree


def annotated[Result: (xr.DataTree, xr.Dataset)](result: Result, **notes: xr.Dataset) -> Result:
    """Return a fit, or a data set, with other results beside it.

    Whatever its report needs beside the fit then travels in the file of the fit; so does the truth
    of simulated data, which ``simulate`` puts beside them as ``truth``.

    Parameters
    ----------
    result : what a fit returned, whose ``constant_data`` take the notes, or a Dataset; it stays as
        it is.
    notes : name to results, which ``noted`` finds again under that name.

    Returns
    -------
    the same with them.
    """
    import xarray as xr

    content = _beside(result)
    for name, note in notes.items():
        content = content.merge(_renamed(note, name))
    if not isinstance(result, xr.DataTree):
        return content
    copy = result.copy()
    copy["constant_data"] = xr.DataTree(content)
    return copy


def _renamed(note: xr.Dataset, name: str) -> xr.Dataset:
    return note.rename({each: f"{name}.{each}" for each in {*note.variables, *note.dims}})


def _beside(result: xr.DataTree | xr.Dataset) -> xr.Dataset:
    """What is known beside the draws of a fit, or the data themselves."""
    import xarray as xr

    return result["constant_data"].to_dataset() if isinstance(result, xr.DataTree) else result


def noted(result: xr.DataTree | xr.Dataset, name: str) -> xr.Dataset | None:
    """Return the results that ``annotated`` put beside a fit or data; None where there are none.

    Their dimensions and coordinates are as they were, from a file as well.
    """
    content, lead = _beside(result), f"{name}."
    kept = content[[v for v in content.variables if str(v).startswith(lead)]]
    kept = kept.drop_vars([v for v in kept.variables if not str(v).startswith(lead)])
    names = {each: str(each).removeprefix(lead) for each in {*kept.variables, *kept.dims}}
    return kept.rename(names).drop_attrs(deep=False) if names else None


def prior_words(posterior: xr.DataTree) -> dict[str, str]:
    """Return the priors of a fit in words, by the name of what they are of."""
    return json.loads(posterior.attrs.get("priors", "{}"))


def reported(posterior: xr.DataTree) -> list[str]:
    """Return the variables that are judged and reported, the root attribute ``quantities``.

    A fit without it reports all of its posterior's variables.
    """
    names = json.loads(posterior.attrs.get("quantities", "null"))
    return list(map(str, posterior["posterior"].data_vars)) if names is None else names


def evenly(draws: xr.Dataset, most: int) -> xr.Dataset:
    """Take at most so many draws, evenly, as many of each chain, and one of each at least."""
    step = -(-draws.sizes["chain"] * draws.sizes["draw"] // most)
    step = min(step, draws.sizes["draw"])
    return draws.isel(draw=slice(step - 1, None, step))


def log_likelihood(posterior: xr.DataTree) -> xr.DataArray | None:
    """Return the log likelihood of all data together, (chain, draw); None where there is none.

    The group ``log_likelihood`` holds that from which leave-one-out follows, log p(y_i | θ) or,
    where a family integrates others out, log p(y_i | the other y, θ). The latter do not add up to
    the likelihood, which then stands in ``sample_stats``.
    """
    if "sample_stats" in posterior.children and TOTAL in posterior["sample_stats"]:
        return posterior["sample_stats"].to_dataset()[TOTAL]
    each = posterior["log_likelihood"].data_vars
    own = [v.sum(set(v.dims) - set(SAMPLE_DIMS)) for n, v in each.items() if not _marginal(n)]
    return sum(own[1:], start=own[0]) if own else None


def _marginal(name):
    """Whether a file of version 0.1 kept log p(y_i | the other y) beside log p(y_i)."""
    return str(name).endswith("_marginal")


def true_values(posterior: xr.DataTree) -> dict[str, float]:
    """Return what is known about the parameters beforehand, as for simulated data.

    Parameters
    ----------
    posterior : an InferenceData; the truth is what ``annotated`` put beside it as ``truth``.

    Returns
    -------
    label of an element, as ``element_names`` spells it, to its true value.
    """
    truth, draws = noted(posterior, "truth"), posterior["posterior"].to_dataset()
    values: dict[str, float] = {}
    if truth is None:
        return values
    for name in truth.data_vars:
        if name not in draws:
            continue
        variable = draws[name]
        dims = [dim for dim in variable.dims if dim not in SAMPLE_DIMS]
        if set(dims) == set(truth[name].dims):
            flat = truth[name].transpose(*dims).values.ravel()
            values |= dict(zip(element_names(variable), map(float, flat), strict=True))
    return values


def save(posterior: xr.DataTree, path: str | os.PathLike) -> Path:
    """Write an InferenceData to a compressed netCDF file, all of it or nothing.

    The file is written under a temporary name in the same folder and then moved, so a killed run
    leaves whatever stood there before. Attributes that netCDF has no type for (None, bool, dict,
    path, list of mixed kinds) are written as JSON.

    Parameters
    ----------
    posterior : what a fit returned.
    path : the file; its folder is made where it is missing.

    Returns
    -------
    the path written.

    Raises
    ------
    DataError : an attribute is of a kind that cannot be written; the message names it.
    OSError : the disk is full, or the file too large for it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    encoding = {
        f"/{group}": {
            name: stored(variable, SAMPLE_DIMS) for name, variable in node.variables.items()
        }
        for group, node in posterior.children.items()
    }
    content = _image(_writable(posterior), encoding)
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _image(tree, encoding):
    """The bytes of a file, made in memory: HDF5 on a full disk leaves one that it cannot close."""
    try:
        content = tree.to_netcdf(engine="netcdf4", encoding=encoding)
    except (RuntimeError, ValueError):  # names and kinds that netCDF lacks, HDF5 not: "$a$"
        return tree.to_netcdf(engine="h5netcdf", encoding=encoding)
    # Without the padding at its end, whose loss no reader would notice: where the file ends stands
    # in HDF5's superblock, in another place in its version 0 than since 2.
    place = 40 if content[8] == 0 else 28
    return content[: int.from_bytes(content[place : place + 8], "little")]


def _writable(posterior):
    """The same with attributes that netCDF has types for."""
    tree = posterior.copy()
    for node in tree.subtree:
        node.attrs = _attributes(node.attrs, node.path)
        for name, variable in node.dataset.variables.items():
            node[name].attrs = _attributes(variable.attrs, f"{node.path.rstrip('/')}/{name}")
    return tree


def _attributes(attrs, place):
    return {name: _attribute(value, place, name) for name, value in attrs.items()}


def _attribute(value, place, name):
    """A value that netCDF has a type for: text, a number or an array of them; else its JSON."""
    import numpy as np

    if isinstance(value, bytes | str | float | np.number):
        return value
    if isinstance(value, list | tuple | np.ndarray | int) and not isinstance(value, bool):
        kinds = {type(each) for each in value} if isinstance(value, list | tuple) else set()
        alike = len(kinds) <= 1 or kinds <= {int, float}
        array = np.asarray(value) if alike else None
        if array is not None and array.dtype.kind in "iufUS":
            return value
    try:
        return json.dumps(value, default=_as_json)
    except (TypeError, ValueError) as error:
        raise DataError(
            "an attribute cannot be written",
            source=place,
            where=f"attribute {name!r}",
            expected="text, numbers, or what JSON can hold",
            found=type(value).__name__,
        ) from error


def _as_json(value):
    """What JSON has no word for, in those that it has."""
    import numpy as np

    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(type(value).__name__)


def load(path: str | os.PathLike) -> xr.DataTree:
    """Read an InferenceData that ``save`` wrote.

    A file may be damaged, or anybody's, which can end or hold up the library that reads it: that is
    done in a process of its own.

    Parameters
    ----------
    path : a netCDF file.

    Returns
    -------
    the InferenceData, in memory; the file is closed.

    Raises
    ------
    DataError : the file is missing, truncated, not netCDF, or netCDF of another schema.
    """
    return ours(read(path), path)


def read(path: str | os.PathLike) -> xr.DataTree:
    """Read all groups of a netCDF file, of whatever schema, as ``load`` does.

    Raises
    ------
    DataError : the file is missing, truncated, or not netCDF.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file", source=path, expected="a netCDF file of InferenceData")
    again = "it may be truncated or of another format: run its workflow again"
    return reader.apart(opened, path, "", "netCDF", again)


def ours(tree: xr.DataTree, path: str | os.PathLike) -> xr.DataTree:
    """Return the groups that were read from a file, if they are a posterior that ``save`` wrote.

    Raises
    ------
    DataError : they are not.
    """
    missing = [name for name in REQUIRED_GROUPS if name not in tree.children]
    missing += [name for name in PROVENANCE if name not in tree.attrs]
    if missing:
        raise DataError(
            "the file is not a bayesinf posterior",
            source=path,
            expected="the groups and attributes of an InferenceData that bayesinf.save wrote",
            found=f"none of the name {', '.join(missing)}",
            remedy="for other InferenceData files use arviz.from_netcdf",
        )
    refuse_strange(tree, path)
    return tree


def opened(path: Path, place: str = "") -> xr.DataTree:
    """Read all groups of a netCDF file into memory, whatever they are, and close it."""
    import xarray as xr

    with xr.open_datatree(path, engine="netcdf4", group=place or None) as tree:
        return tree.load()


def element_names(variable: xr.DataArray) -> dict[str, dict[str, int]]:
    """Name each element of a variable as people call it, such as ``J[3, 7]``.

    Parameters
    ----------
    variable : of a group; chain and draw are not counted.

    Returns
    -------
    name to index, ``{dimension: number}``, in C order; a scalar has its own name and no index.
    """
    import numpy as np

    dims = [dim for dim in variable.dims if dim not in SAMPLE_DIMS]
    words = []
    for dim in dims:
        # A pair is named by its sites, the coordinates beside its number.
        along = [c for name, c in variable.coords.items() if c.dims == (dim,) and name != dim]
        columns = [coordinate.values for coordinate in along or [variable[dim]]]
        for digits in LABEL_DIGITS:  # few may not tell two places apart
            word = [
                ", ".join(_label(c, digits) for c in entry) for entry in zip(*columns, strict=True)
            ]
            if len(set(word)) == len(word):
                break
        # Where something was measured twice at one place, only its number tells which one it is.
        words.append(word if len(set(word)) == len(word) else list(map(str, variable[dim].values)))
    if not dims:
        return {str(variable.name): {}}
    names: dict[str, dict[str, int]] = {}
    for place in np.ndindex(*(variable.sizes[dim] for dim in dims)):
        label = ", ".join(word[k] for word, k in zip(words, place, strict=True))
        names[f"{variable.name}[{label}]"] = dict(zip(map(str, dims), place, strict=True))
    return names


LABEL_DIGITS = (4, 6, 17)


def _label(entry, digits=6):
    """A coordinate as text: numbers with so many digits."""
    short = isinstance(entry, float) and digits < LABEL_DIGITS[-1]
    return f"{entry:.{digits}g}" if short else str(entry)


def observation_names(variable: xr.DataArray) -> list[str]:
    """Name each observation of a variable of the data: ``energy at r = 0.9``.

    Where the data stand along one measured coordinate it is named; else as ``element_names`` does.
    NAME_marginal is NAME with other parameters integrated out, and named like it.

    Parameters
    ----------
    variable : of ``log_likelihood`` or ``observed_data``.
    """
    name = str(variable.name).removesuffix("_marginal")
    dims = [dim for dim in variable.dims if dim not in SAMPLE_DIMS]
    along = [
        coordinate
        for place, coordinate in variable.coords.items()
        if coordinate.dims == tuple(dims) and place not in dims and coordinate.dtype.kind == "f"
    ]
    if len(along) != 1:
        return list(element_names(variable.rename(name)))
    place, values = along[0].name, along[0].values.ravel()
    words = [f"{name} at {place} = {_label(float(value))}" for value in values]
    if len(set(words)) == len(words):
        return words
    # Six digits, or the place alone where it was measured twice, do not tell them apart.
    return [f"{word} (point {k})" for k, word in enumerate(words, 1)]


def data_sha256(data: xr.Dataset) -> str:
    """Return the SHA-256 of a Dataset's names, dimensions, types and values, as hex digits."""
    import numpy as np

    digest = hashlib.sha256()
    for name in sorted(map(str, data.variables)):
        variable = data[name]
        values = np.ascontiguousarray(variable.values)
        digest.update(repr((name, variable.dims, values.dtype.str, values.shape)).encode())
        digest.update(
            repr(values.tolist()).encode() if values.dtype.hasobject else values.tobytes()
        )
    return digest.hexdigest()


def provenance() -> dict[str, str]:
    """Return when a file was made and by which versions, as its root attributes have them."""
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "bayesinf_version": library_version("bayesinf"),
        "library_versions": json.dumps({name: library_version(name) for name in LIBRARIES}),
    }


@cache
def library_version(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@cache
def _git_commit() -> str | None:
    """The commit of bayesinf's own checkout; None where it is not run from one."""
    home = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(home), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    toplevel, commit = answer.stdout.split()
    # An environment inside somebody else's repository has a commit, but not ours.
    return commit if Path(toplevel).resolve() == home else None

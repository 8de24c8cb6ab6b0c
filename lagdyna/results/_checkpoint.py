"""Checkpoints: named arrays of a PyTree in one `.npz` file."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._errors import UserError
from ._files import replacing
from ._run_file import other_precision

Tree = TypeVar("Tree")


def save_checkpoint(path: Path, tree: PyTree, notes: dict[str, Any]) -> None:
    """Write every array of a PyTree under its own name into one `.npz` file, with notes.

    Arrays are plain NumPy arrays, without pickles. The file is replaced as a whole.

    **Arguments:** `path`, the file; `tree`, a PyTree; `notes`, plain values for JSON.
    """
    arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in _named(tree)}
    save_arrays(path, {**arrays, _NOTES: np.asarray(json.dumps(notes))})


def load_checkpoint(
    path: Path,
    like: Tree,
    check: Callable[[dict[str, Any]], None] | None = None,
    optional: Sequence[str] = (),
) -> tuple[Tree, dict[str, Any]]:
    """Load the PyTree and the notes that `save_checkpoint` wrote.

    **Arguments:**

    - `path`: the `.npz` file.
    - `like`: a PyTree of the same structure, shapes and types.
    - `check`: callback that receives the notes before the arrays are compared; it may raise.
    - `optional`: names of parts of `like` that the file need not have, such as those of
        [`lagdyna.results.optimiser_states`][]. A part with other arrays stays that of `like`.

    **Returns:** the tree and the notes.

    **Raises:** `UserError` if the file is missing, truncated or damaged, or its arrays are
    those of another model than `like`.
    """
    expected = dict(_named(like))
    found = dict(load_arrays(path))
    try:
        notes = json.loads(str(found.pop(_NOTES)))
    except (KeyError, ValueError) as error:
        raise _damaged(path, error) from error
    if check is not None:
        check(notes)
    for part in optional:
        theirs = {name: leaf for name, leaf in found.items() if _is_within(name, part)}
        ours = {name: leaf for name, leaf in expected.items() if _is_within(name, part)}
        if next(_mismatches(path, ours, theirs), None) is not None:
            found = {name: leaf for name, leaf in found.items() if name not in theirs} | ours
    for name, mismatch in _mismatches(path, expected, found):
        if any(_is_within(name, part) for part in optimiser_states(like)):
            now, then = version("optax"), notes.get("optax", "another version")
            mismatch += (
                f". That is the state of an optimiser, written with optax {then}, and this is "
                f"{now}: resume the run with that version; evaluating and loading need no such "
                "state"
            )
        raise UserError(mismatch)
    arrays, static = eqx.partition(like, eqx.is_array)
    leaves = [jnp.asarray(found[name]) for name in expected]
    arrays = jax.tree.unflatten(jax.tree.structure(arrays), leaves)
    return eqx.combine(arrays, static), notes


def _mismatches(
    path: Path, expected: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Name and describe the arrays of a file that are not those that are expected."""
    other = f"{str(path)!r} is of another model: "
    for name, leaf in expected.items():
        if name not in found:
            yield name, f"{other}it has no array `{name}`"
            continue
        before, now = found[name].dtype, np.dtype(leaf.dtype)
        if found[name].shape != leaf.shape or before.kind != now.kind:
            yield (
                name,
                f"{other}its array `{name}` is {before}{list(found[name].shape)}, and "
                f"{now}{list(leaf.shape)} was expected",
            )
        elif before != now:
            wide = before.itemsize > now.itemsize
            kinds = ("float64", "float32") if wide else ("float32", "float64")
            yield name, other_precision(str(path), *kinds)
    extra = found.keys() - expected.keys()
    if extra:
        yield min(extra), f"{other}it has an unexpected array `{min(extra)}`"


def _is_within(name: str, part: str) -> bool:
    """Whether an array is the part, or inside of it."""
    return name == part or (name.startswith(part) and name[len(part)] in ".[")


def optimiser_states(tree: PyTree) -> list[str]:
    """List the parts of a PyTree that are states of Optax, by their names in a checkpoint.

    Their structure may differ between versions of Optax, and inference needs none of them.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=_is_optimiser_state)
    return [jax.tree_util.keystr(path) for path, leaf in leaves if _is_optimiser_state(leaf)]


def _is_optimiser_state(node: Any) -> bool:
    if type(node) is tuple:  # of a chain of transformations
        return any(_is_optimiser_state(each) for each in node)
    return type(node).__module__.partition(".")[0] == "optax"


def read_notes(path: Path) -> dict[str, Any]:
    """Read the notes of a checkpoint alone.

    **Raises:** `UserError` if the file is missing, truncated or damaged.
    """
    try:
        notes = json.loads(str(load_arrays(path, [_NOTES])[_NOTES]))
        if not isinstance(notes, dict):
            raise ValueError("its notes are no object")
        return notes
    except (KeyError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise _damaged(path, error) from error


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays into one `.npz` file, which is replaced as a whole."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **cast(dict[str, Any], dict(arrays)))


def load_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Load the arrays in a `.npz` file: all of them, or those of some names.

    **Raises:** `UserError` if the file is missing, truncated or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in names or file.files}
        if not all(isinstance(array, np.ndarray) for array in found.values()):
            raise ValueError("an entry is not an array")
        return found
    except FileNotFoundError as error:
        raise UserError(
            f"{str(path)!r} does not exist; the run stopped before its first checkpoint, so "
            "start it again in a new directory"
        ) from error
    # NumPy and `zipfile` raise a dozen kinds of exceptions for damaged bytes.
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{str(path)!r} is not a whole checkpoint: it is cut off or damaged ({error})"
    )


_NOTES = "notes"


def _named(tree: PyTree) -> list[tuple[str, Any]]:
    """List the arrays of a PyTree with their paths, such as `.transition.field.weight`."""
    arrays = eqx.filter(tree, eqx.is_array)
    return [
        (jax.tree_util.keystr(path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(arrays)
    ]

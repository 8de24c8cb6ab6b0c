"""Checkpoints: named arrays of a PyTree in one `.npz` file."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._errors import UserError
from ._files import replacing

Tree = TypeVar("Tree")


def save_checkpoint(path: Path, tree: PyTree, notes: dict[str, Any]) -> None:
    """Write every array of a PyTree under its own name into one `.npz` file, with notes.

    Arrays are plain NumPy arrays, without pickles. The file is replaced as a whole.

    **Arguments:** `path`, the file; `tree`, a PyTree; `notes`, plain values for JSON.
    """
    arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in _named(tree)}
    save_arrays(path, {**arrays, _NOTES: np.asarray(json.dumps(notes))})


def load_checkpoint(
    path: Path, like: Tree, check: Callable[[dict[str, Any]], None] | None = None
) -> tuple[Tree, dict[str, Any]]:
    """Load the PyTree and the notes that `save_checkpoint` wrote.

    **Arguments:**

    - `path`: the `.npz` file.
    - `like`: a PyTree of the same structure, shapes and types.
    - `check`: callback that receives the notes before the arrays are compared; it may raise.

    **Returns:** the tree and the notes.

    **Raises:** `UserError` if the file is missing, truncated or damaged, or its arrays are
    those of another model than `like`.
    """
    expected = _named(like)
    found = dict(load_arrays(path))
    try:
        notes = json.loads(str(found.pop(_NOTES)))
    except (KeyError, ValueError) as error:
        raise _damaged(path, error) from error
    if check is not None:
        check(notes)
    for name, leaf in expected:
        if name not in found:
            raise UserError(f"{str(path)!r} is of another model: it has no array `{name}`")
        if found[name].shape != leaf.shape or found[name].dtype != leaf.dtype:
            raise UserError(
                f"{str(path)!r} is of another model: its array `{name}` is "
                f"{found[name].dtype}{list(found[name].shape)}, and "
                f"{leaf.dtype}{list(leaf.shape)} was expected"
            )
    extra = found.keys() - {name for name, _ in expected}
    if extra:
        raise UserError(
            f"{str(path)!r} is of another model: it has an unexpected array `{min(extra)}`"
        )
    arrays, static = eqx.partition(like, eqx.is_array)
    leaves = [jnp.asarray(found[name]) for name, _ in expected]
    arrays = jax.tree.unflatten(jax.tree.structure(arrays), leaves)
    return eqx.combine(arrays, static), notes


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

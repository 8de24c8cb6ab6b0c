"""Checkpoints: named arrays of a PyTree in one `.npz` file."""

import json
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._bytes import check_depth
from .._errors import UserError
from ._arrays import damaged, load_array, load_arrays, save_arrays
from ._seal import checked

Tree = TypeVar("Tree")


def save_checkpoint(path: Path, tree: PyTree, notes: dict[str, Any]) -> None:
    """Write every array of a PyTree under its own name into one `.npz` file, with notes.

    Arrays are plain NumPy arrays, without pickles. The file is replaced as a whole.

    **Arguments:** `path`, the file; `tree`, a PyTree; `notes`, plain values for JSON.
    """
    arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in _named(tree)}
    save_arrays(path, {**arrays, _NOTES: np.asarray(json.dumps(notes))})


def load_checkpoint(
    path: Path, like: Tree, schema: type[Any] | None = None
) -> tuple[Tree, dict[str, Any]]:
    """Load the PyTree and the notes that `save_checkpoint` wrote.

    **Arguments:**

    - `path`: the `.npz` file.
    - `like`: a PyTree of the same structure, shapes and types.
    - `schema`: a `msgspec.Struct` of the keys that the notes need.

    **Returns:** the tree and the notes.

    **Raises:** `UserError` if the file is missing, truncated or damaged, its arrays are those
    of another model than `like`, or weights are not finite.
    """
    expected = _named(like)
    # Another precision, and notes, may take more bytes than expected, but not many times more.
    usual = sum(leaf.size * leaf.dtype.itemsize for _, leaf in expected)
    found = load_arrays(path, limit_bytes=4 * usual + _NOTES_BYTES)
    notes = _notes(path, found.pop(_NOTES, None), schema)
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
    check_finite(path, found, dict(expected))
    arrays, static = eqx.partition(like, eqx.is_array)
    leaves = [jnp.asarray(found[name]) for name, _ in expected]
    arrays = jax.tree.unflatten(jax.tree.structure(arrays), leaves)
    return eqx.combine(arrays, static), notes


def check_finite(path: Path, found: dict[str, np.ndarray], expected: dict[str, Any]) -> None:
    """Refuse weights that are not finite, where those of the untrained model are.

    States of learners are left out: sums in them may overflow, and their updates are skipped.

    **Raises:** `UserError` that names the array.
    """
    for name, leaf in expected.items():
        floating = jnp.issubdtype(leaf.dtype, jnp.inexact)
        if not floating or "learner" in name or np.isfinite(found[name]).all():
            continue
        if np.isfinite(np.asarray(leaf)).all():
            raise damaged(path, f"its array `{name}` has values that are not finite")


def read_notes(path: Path, schema: type[Any]) -> dict[str, Any]:
    """Read the notes of a checkpoint alone, before anything is built to load the arrays.

    **Arguments:** `schema`, as for [`lagdyna.results.load_checkpoint`][].

    **Raises:** `UserError` if the file is missing or damaged.
    """
    return _notes(path, load_array(path, _NOTES, _NOTES_BYTES), schema)


def _notes(path: Path, found: np.ndarray | None, schema: type[Any] | None) -> dict[str, Any]:
    """Parse and validate the notes of a checkpoint."""
    try:
        if found is None or found.ndim != 0 or found.dtype.kind != "U":
            raise ValueError("it has no notes")
        notes = json.loads(str(found))
        check_depth(notes)
        if not isinstance(notes, dict):
            raise ValueError("its notes are no JSON object")
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if schema is not None:
        checked(path, notes, schema)
    return notes


_NOTES = "notes"
_NOTES_BYTES = 64 * 2**20


def _named(tree: PyTree) -> list[tuple[str, Any]]:
    """List the arrays of a PyTree with their paths, such as `.transition.field.weight`."""
    arrays = eqx.filter(tree, eqx.is_array)
    return [
        (jax.tree_util.keystr(path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(arrays)
    ]

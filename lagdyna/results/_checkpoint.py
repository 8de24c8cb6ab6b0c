"""Checkpoints: named arrays of a PyTree in one `.npz` file."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
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
from ._run_file import other_precision
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
    path: Path,
    like: Tree,
    check: Callable[[dict[str, Any]], None] | None = None,
    optional: Sequence[str] = (),
    schema: type[Any] | None = None,
) -> tuple[Tree, dict[str, Any]]:
    """Load the PyTree and the notes that `save_checkpoint` wrote.

    **Arguments:**

    - `path`: the `.npz` file.
    - `like`: a PyTree of the same structure, shapes and types.
    - `check`: callback that receives the notes before the arrays are compared; it may raise.
    - `optional`: names of parts of `like` that the file need not have, such as those of
        [`lagdyna.results.optimiser_states`][]. A part with other arrays stays that of `like`.
    - `schema`: a `msgspec.Struct` of the keys that the notes need.

    **Returns:** the tree and the notes.

    **Raises:** `UserError` if the file is missing, truncated or damaged, its arrays are those
    of another model than `like`, or weights are not finite.
    """
    expected = dict(_named(like))
    # Another precision, and notes, may take more bytes than expected, but not many times more.
    usual = sum(leaf.size * leaf.dtype.itemsize for leaf in expected.values())
    found = load_arrays(path, limit_bytes=4 * usual + _NOTES_BYTES)
    notes = _notes(path, found.pop(_NOTES, None), schema)
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
    check_finite(path, found, expected)
    arrays, static = eqx.partition(like, eqx.is_array)
    # `jnp.asarray` would compile a program for each shape.
    leaves = jax.device_put([found[name] for name in expected])
    arrays = jax.tree.unflatten(jax.tree.structure(arrays), leaves)
    return eqx.combine(arrays, static), notes


def load_part(path: Path, part: str, like: Tree, schema: type[Any] | None = None) -> Tree:
    """Load a part of the PyTree that `save_checkpoint` wrote.

    **Arguments:**

    - `path`: the `.npz` file.
    - `part`: name of the part, such as `.agent`.
    - `like`: a PyTree like that part, with shapes (`jax.ShapeDtypeStruct`) in place of arrays.
        States of optimisers of another version are replaced by zeros.
    - `schema`: as for [`lagdyna.results.load_checkpoint`][].

    **Raises:** `UserError` as [`lagdyna.results.load_checkpoint`][]. Numbers that are not
    finite are returned as they are.
    """
    found = load_arrays(path)
    _notes(path, found.pop(_NOTES, None), schema)
    shapes, static = eqx.partition(like, lambda x: isinstance(x, jax.ShapeDtypeStruct))
    leaves = jax.tree_util.tree_leaves_with_path(shapes)
    expected = {part + jax.tree_util.keystr(place): leaf for place, leaf in leaves}
    theirs = {name: found[name] for name in expected if name in found}
    states = [part + name for name in optimiser_states(like)]
    for name, mismatch in [*_mismatches(path, expected, theirs)]:
        if not any(_is_within(name, each) for each in states):
            raise UserError(mismatch)
        theirs[name] = np.zeros(expected[name].shape, expected[name].dtype)
    arrays = jax.device_put([theirs[name] for name in expected])
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(shapes), arrays), static)


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


def read_notes(path: Path, schema: type[Any] | None = None) -> dict[str, Any]:
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

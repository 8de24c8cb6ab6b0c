"""Checkpoints load as they were saved, and damaged or foreign files are refused."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Array

from lagdyna import UserError
from lagdyna.results import load_checkpoint, read_notes, save_arrays, save_checkpoint

from ..helpers import identical

NOTES = {"records": 2, "wall_seconds": 1.5}


class Learned(eqx.Module):
    weights: Array
    count: Array
    done: Array
    name: str = eqx.field(static=True)
    inner: Any


def a_tree(factor: float = 1.0) -> Learned:
    weights = factor * jnp.asarray([[1.5, -0.0], [np.inf, np.nan]])
    count, done = jnp.asarray(7), jnp.asarray([True, False])
    state = optax.adam(1e-3).init({"a": weights, "b": None})
    return Learned(weights, count, done, "tanh", (state, None))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "a.npz", a_tree(), NOTES)
    return tmp_path / "a.npz"


def test_a_checkpoint_loads_to_the_bit(path: Path) -> None:
    tree, notes = load_checkpoint(path, a_tree(0.0))
    identical(tree, a_tree())
    assert notes == NOTES
    # -0.0 equals 0.0 and NaN nothing, so the bytes are compared too.
    assert np.asarray(tree.weights).tobytes() == np.asarray(a_tree().weights).tobytes()


def test_precision_is_kept(x64: None, tmp_path: Path) -> None:
    tree = {"a": jnp.asarray([1 / 3]), "b": jnp.asarray([1 / 3], jnp.float32)}
    assert {x.dtype.name for x in tree.values()} == {"float64", "float32"}
    save_checkpoint(tmp_path / "a.npz", tree, {})
    identical(load_checkpoint(tmp_path / "a.npz", tree)[0], tree)


def test_numpy_can_read_it_and_nothing_is_pickled(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        assert ".weights" in file.files
        np.testing.assert_array_equal(file[".weights"], a_tree().weights)
        assert json.loads(str(file["notes"])) == NOTES
        assert all(file[name].dtype != object for name in file.files)


def test_a_failed_write_leaves_the_old_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(file: io.BufferedWriter, **arrays: Any) -> None:
        file.write(b"PK\x03\x04 half of a check")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, a_tree(2.0), {})
    assert list(path.parent.iterdir()) == [path]
    identical(load_checkpoint(path, a_tree())[0], a_tree())


def refused(path: Path, like: Any, *said: str) -> None:
    with pytest.raises(UserError) as error:
        load_checkpoint(path, like)
    message = str(error.value)
    assert str(path) in message
    for words in said:
        assert words in message
    assert "\n" not in message


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "b.npz", a_tree(), "does not exist", "before its first checkpoint")


def test_a_checkpoint_truncated_anywhere_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        refused(path, a_tree(), "cut off or damaged")
    path.write_bytes(whole[:-1])
    refused(path, a_tree(), "cut off or damaged")


SMALL = {"weights": np.asarray([1.5, -0.0], np.float32), "count": np.asarray(7, np.int32)}
JAX_SMALL = {name: jnp.asarray(array) for name, array in SMALL.items()}


def unharmed(path: Path) -> bool:
    """Whether it still loads as it was saved; any error but a `UserError` fails the test."""
    try:
        tree, notes = load_checkpoint(path, JAX_SMALL)
    except UserError:
        return False
    for name, array in SMALL.items():
        assert np.asarray(tree[name]).tobytes() == array.tobytes()
    assert notes == NOTES
    return True


@pytest.mark.filterwarnings("ignore")  # of zipfile
def test_any_flipped_bit_is_noticed_or_does_not_matter(path: Path) -> None:
    save_checkpoint(path, JAX_SMALL, NOTES)
    whole = path.read_bytes()
    harmless = set()
    for place in range(len(whole)):
        for bit in {0, place % 8}:  # bit 0 is the one that encrypts an archive
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            if unharmed(path):
                harmless.add(place)
    # Some bytes, such as times in the archive, do not matter; every number does.
    assert len(harmless) < 0.3 * len(whole)
    for content in (
        *(array.tobytes() for array in SMALL.values()),
        "records".encode("utf-32-le"),
    ):
        start = whole.index(content)
        assert harmless.isdisjoint(range(start, start + len(content)))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200)
@given(st.data())
def test_any_overwritten_stretch_is_noticed_or_does_not_matter(
    path: Path, data: st.DataObject
) -> None:
    save_checkpoint(path, JAX_SMALL, NOTES)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    likely = st.text("0123456789(),'{}[] <", min_size=1, max_size=8).map(str.encode)
    stretch = data.draw(st.one_of(st.binary(min_size=1, max_size=12), likely))
    path.write_bytes(whole[:place] + stretch + whole[place + len(stretch) :])
    unharmed(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY\x01\x00", b"text", b"\x80\x04."])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    refused(path, a_tree(), "cut off or damaged")


def test_a_directory_or_an_array_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, a_tree(), "cut off or damaged")
    np.save(tmp_path / "a.npy", np.ones(3))
    refused(tmp_path / "a.npy", a_tree(), "cut off or damaged")


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    arrays.pop("seal")
    save_arrays(path, arrays)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], tuple[str, ...]]] = {
    "an array less": (lambda a: a.pop(".weights"), ("another model", "no array `.weights`")),
    "one more": (lambda a: a.update(x=1), ("another model", "unexpected array `x`")),
    "shape": (
        lambda a: a.update({".weights": a[".weights"][:1]}),
        ("another model", "`.weights` is float32[1, 2]", "float32[2, 2] was expected"),
    ),
    "type": (
        lambda a: a.update({".count": np.float32(7)}),
        ("another model", "`.count` is float32[]"),
    ),
    "no notes": (lambda a: a.pop("notes"), ("damaged",)),
    "damaged notes": (lambda a: a.update(notes=np.asarray("{")), ("damaged",)),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_of_another_tree_is_refused(path: Path, change: str) -> None:
    alter, said = CHANGES[change]
    rewritten(path, alter)
    refused(path, a_tree(), *said)


def test_numbers_that_were_changed_are_noticed(path: Path) -> None:
    for change in (
        lambda a: a.update({".count": np.asarray(8, np.int32)}),
        lambda a: a.update(notes=np.asarray(json.dumps({**NOTES, "records": 1}))),
    ):
        with np.load(path) as file:
            arrays = dict(file)
        whole = path.read_bytes()
        change(arrays)
        np.savez(path, **arrays)
        refused(path, a_tree(), "damaged", "checksum differs")
        arrays.pop("seal")
        np.savez(path, **arrays)
        refused(path, a_tree(), "has no checksum", "run it again")
        path.write_bytes(whole)


def test_pickled_and_compressed_arrays_are_refused(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, ".weights": np.asarray([object()])})
    refused(path, a_tree(), "damaged", "Python objects")
    np.savez_compressed(path, **arrays)
    refused(path, a_tree(), "damaged", "compressed")


def test_a_declared_shape_takes_no_memory(path: Path) -> None:
    """The header of an array claims more numbers than its entry has bytes."""
    with np.load(path) as file:
        arrays = dict(file)
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", huge.getvalue() + bytes(8))
    refused(path, a_tree(), "damaged", "does not fit its size")
    np.savez(path, **arrays, more=np.zeros(2**23))
    with path.open("r+b") as file:
        file.truncate(2**34)
    refused(path, a_tree(), "damaged", "bytes, and at most")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npz")
    refused(tmp_path / "a.npz", a_tree(), "damaged", "no regular file")
    refused(Path("/dev/zero"), a_tree(), "damaged", "no regular file")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    fresh = {"world": jnp.ones(2), "learner": jnp.ones(2), "best": jnp.asarray([-jnp.inf])}
    save_checkpoint(tmp_path / "a.npz", {**fresh, "learner": jnp.asarray([1, jnp.inf])}, {})
    load_checkpoint(tmp_path / "a.npz", fresh)
    save_checkpoint(tmp_path / "a.npz", {**fresh, "world": jnp.asarray([1, jnp.nan])}, {})
    refused(tmp_path / "a.npz", fresh, "`['world']` has values that are not finite")


def test_notes_are_read_alone_and_validated(path: Path) -> None:
    class Wanted(msgspec.Struct):
        records: int
        wall_seconds: float

    class Other(msgspec.Struct):
        records: str

    assert read_notes(path, Wanted) == NOTES
    with pytest.raises(UserError, match=r"damaged or of another kind: Expected `str`"):
        read_notes(path, Other)
    for notes in (json.dumps([1]), "[" * 10_000 + "]" * 10_000, "nan"):
        rewritten(path, lambda a, notes=notes: a.update(notes=np.asarray(notes)))
        with pytest.raises(UserError, match="damaged"):
            read_notes(path, Wanted)


def test_a_float64_checkpoint_is_not_read_as_float32(path: Path) -> None:
    with jax.enable_x64(True):
        save_checkpoint(path, a_tree(), NOTES)
    refused(path, a_tree(), "is of float64, and this process computes in float32")


def test_entries_that_are_no_arrays_are_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x.npy", "text")
    refused(path, a_tree(), "cut off or damaged")

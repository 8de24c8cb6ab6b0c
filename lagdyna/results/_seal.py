"""Checksums of the files of a run, by which a changed number is noticed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from .._errors import UserError
from ._files import read_json, without_nonfinite, write_json

Schema = TypeVar("Schema")

SEAL = "seal"  # key of the checksums in a file
UNSEALED = (
    "has no checksum: a lagdyna before the release of 0.2.0 wrote it, or it was changed; run "
    "it again"
)


def digest_of(value: Any, label: str = "") -> str:
    """Compute the SHA-256 of a value of JSON, whatever the spaces and the order of its keys.

    **Arguments:** `label`, which names the place of the value and is part of the digest.
    """
    # Through JSON once, so that tuples and keys are as they will be read.
    plain = json.loads(json.dumps(value))
    text = json.dumps([label, plain], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def digest_of_lines(lines: Sequence[Any]) -> str:
    """Compute the SHA-256 of lines of `metrics.jsonl`."""
    return digest_of(without_nonfinite([*lines]), "metrics.jsonl")


def digest_of_arrays(arrays: Mapping[str, np.ndarray], label: str) -> str:
    """Compute the SHA-256 of named arrays; `label` as in `digest_of`."""
    found = hashlib.sha256(label.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"\n{name} {array.dtype.str} {arrays[name].shape}\n".encode())
        if array.nbytes:
            found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def write_sealed(
    path: Path, value: Mapping[str, Any], metrics: str | None = None
) -> dict[str, Any]:
    """Write a JSON object with a checksum, as the last key `seal`.

    **Arguments:** `metrics`, the digest of the lines of metrics that the object belongs to.

    **Returns:** the object as it was written.
    """
    value = {name: each for name, each in value.items() if name != SEAL}
    seal = {"sha256": digest_of([value, metrics], path.name)}
    if metrics is not None:
        seal["metrics"] = metrics
    sealed = {**value, SEAL: seal}
    write_json(path, sealed)
    return sealed


def read_sealed(
    path: Path, schema: type[Schema], metrics: str | None = None
) -> tuple[Schema, dict[str, Any]]:
    """Read a JSON object that `write_sealed` wrote.

    **Arguments:**

    - `schema`: a `msgspec.Struct` of the keys that are needed; others are kept.
    - `metrics`: the digest of the lines of metrics that it must belong to, if it is known.

    **Returns:** the object as the schema, and as it is.

    **Raises:** `UserError` if the file is missing or damaged, or has other values than were
    written.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise UserError(f"{str(path)!r} is damaged: it holds no JSON object")
    check_seal(path, found, metrics)
    return checked(path, found, schema), found


def check_seal(path: Path, found: dict[str, Any], metrics: str | None = None) -> None:
    """Compare a JSON object with its checksum.

    **Raises:** `UserError` if it has none, has other values than were written, or belongs to
    other lines of metrics.
    """
    seal = found.get(SEAL)
    if not isinstance(seal, dict):
        raise UserError(f"{str(path)!r} {UNSEALED}")
    value = {name: each for name, each in found.items() if name != SEAL}
    matches = seal.get("sha256") == digest_of([value, seal.get("metrics")], path.name)
    if not matches or set(seal) - {"sha256", "metrics"}:
        raise UserError(
            f"{str(path)!r} is damaged: its values are not those that were written (its "
            "checksum differs)"
        )
    if metrics is not None and seal.get("metrics") != metrics:
        raise UserError(
            f"{str(path)!r} and the file 'metrics.jsonl' do not belong together: one of them "
            "is damaged or of another run"
        )


def checked(path: Path, value: Any, schema: type[Schema]) -> Schema:
    """Validate plain values against a schema.

    **Raises:** `UserError` that names the key.
    """
    try:
        return msgspec.convert(value, schema)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{str(path)!r} is damaged or of another kind: {reason}") from error

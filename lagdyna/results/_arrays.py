"""Named arrays in one `.npz` file, read without trust in what the file says of itself."""

import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from .._bytes import regular_file
from .._errors import UserError
from ._files import replacing
from ._seal import SEAL, UNSEALED, digest_of_arrays

LIMIT_BYTES = 16 * 2**30


def save_arrays(path: Path, arrays: Mapping[str, Any], label: str | None = None) -> None:
    """Write arrays into one `.npz` file with a checksum; the file is replaced as a whole.

    **Arguments:** `label`, which names the place of the arrays, to be given again when they
    are read; by default the name of the file.
    """
    found = {name: np.asarray(array) for name, array in arrays.items() if name != SEAL}
    seal = np.asarray(digest_of_arrays(found, label or path.name))
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **cast(dict[str, Any], {**found, SEAL: seal}))


def load_arrays(
    path: Path, label: str | None = None, limit_bytes: int = LIMIT_BYTES
) -> dict[str, np.ndarray]:
    """Load the arrays in a `.npz` file that `save_arrays` wrote.

    **Arguments:** `label`, as it was given to `save_arrays`; `limit_bytes`, of the file.

    **Raises:** `UserError` if the file is missing, truncated, damaged or too large, or has
    other numbers than were written.
    """
    try:
        with regular_file(path, limit_bytes) as file:
            found = _read(file, None)
        seal = found.pop(SEAL, None)
        sealed = seal is not None and seal.ndim == 0 and seal.dtype.kind == "U"
        matches = sealed and str(seal) == digest_of_arrays(found, label or path.name)
    except FileNotFoundError as error:
        raise _missing(path) from error
    # NumPy and `zipfile` raise a dozen kinds of exceptions for damaged bytes.
    except Exception as error:
        raise damaged(path, error) from error
    if not sealed:
        raise UserError(f"{str(path)!r} {UNSEALED}")
    if not matches:
        raise damaged(path, "its checksum differs")
    return found


def load_array(path: Path, name: str, limit_bytes: int) -> np.ndarray | None:
    """Load one array of a `.npz` file, without its checksum; `None` if there is none.

    **Arguments:** `limit_bytes`, of the array.

    **Raises:** `UserError` if the file is missing or damaged.
    """
    try:
        with regular_file(path, LIMIT_BYTES) as file:
            return _read(file, name, limit_bytes).get(name)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except Exception as error:  # as above
        raise damaged(path, error) from error


def _missing(path: Path) -> UserError:
    return UserError(
        f"{str(path)!r} does not exist; the run stopped before its first checkpoint, so start "
        "it again in a new directory"
    )


def damaged(path: Path, error: Exception | str) -> UserError:
    """Create the error of a damaged file."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(
        f"{str(path)!r} is not a whole checkpoint: it is cut off or damaged ({reason})"
    )


def _read(file: Any, only: str | None, limit_bytes: int = LIMIT_BYTES) -> dict[str, Any]:
    """Read every array, or one; no more memory is taken than the file has bytes.

    **Arguments:** `limit_bytes`, of each array.
    """
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(each.compress_type != zipfile.ZIP_STORED for each in members):
            raise ValueError("an entry is compressed")
        if sum(each.file_size for each in members) > size:
            raise ValueError("its entries are larger than the file")
        found = {}
        for each in members:
            name = each.filename.removesuffix(".npy")
            if name in found or name == each.filename:
                raise ValueError(f"an unexpected entry {each.filename!r}")
            if only is not None and name != only:
                continue
            if each.file_size > limit_bytes:
                raise ValueError(f"its entry {name!r} has {each.file_size} bytes")
            with archive.open(each) as member:
                found[name] = _array(member, each.file_size)
    return found


def _array(member: Any, size: int) -> np.ndarray:
    """Read one array, whose header must agree with the size of its entry."""
    version = np.lib.format.read_magic(member)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"an array of format {version}")
    shape, fortran, dtype = readers[version](member)
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - member.tell():
        raise ValueError(f"an array whose shape {shape} does not fit its size")
    # Reading to the end compares the checksum of the archive.
    content = bytearray(member.read())
    if count == 0 or dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")

"""A run directory as one file, to share or to archive."""

import hashlib
import json
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec

from .._bytes import check_depth, regular_file
from .._errors import UserError
from ..reports import REPORT, try_report
from ..results import (
    LOCK_FILE,
    Kind,
    cannot_write,
    kind_of,
    locked,
    new_directory,
    replacing,
    reserved,
)

MANIFEST = "lagdyna.json"
_FORMAT = 1
_DATA = (".json", ".jsonl", ".toml", ".npz", ".csv")
_PICTURES = (".png", ".pdf", ".svg", ".gif", ".mp4", ".webm")
_EXPORTS = (".stablehlo", ".onnx")
_SUFFIXES = {*_DATA, *_PICTURES, *_EXPORTS}
_LIMIT_BYTES = 16 * 2**30
_MANIFEST_BYTES = 64 * 2**20
_CHUNK = 2**20
_DEPTH = 6


class Manifest(msgspec.Struct, frozen=True):
    """List of what a packed run holds, the file `lagdyna.json` in it.

    **Attributes:** `kind`, of the run; `name`, of its directory; `format`, of the list;
    `lagdyna`, the version that packed it; `files`, the SHA-256 of each by its path.
    """

    kind: Kind
    name: str
    format: int
    lagdyna: str
    files: dict[str, str]


class Packed(NamedTuple):
    """Result of packing a run.

    **Attributes:** `file`; `files`, how many it holds; `left_out`, paths of those that are no
    data of lagdyna.
    """

    file: Path
    files: int
    left_out: tuple[str, ...]


def pack(run: str | Path, file: str | Path) -> Packed:
    """Write a run directory of any kind into one `.zip` file, with checksums.

    The file holds data alone: configs, metrics, weights, pictures and exports. Code that the
    config names is not part of it, and reports, which `unpack` writes anew.

    **Arguments:** `run`, the directory; `file`, a new file.

    **Raises:** [`lagdyna.UserError`][] if the directory holds no run, a process is writing to
    it, or the file exists or does not end in `.zip`. Nothing has been written then.
    """
    run, file = Path(run), Path(file)
    kind = kind_of(run)
    if kind is None:
        raise UserError(f"`run` was {str(run)!r}, which holds no run; a run is accepted")
    if kind == "sweep":  # other processes may be writing its trials
        raise UserError(
            f"`run` was {str(run)!r}, which holds a sweep; the directory of one of its trials, "
            "as trial-0, is accepted"
        )
    if file.suffix != ".zip":
        raise UserError(f"`file` was {str(file)!r}; a name that ends in .zip is accepted")
    if file.exists():
        raise UserError(f"`file` was {str(file)!r}, which exists; a new file is accepted")
    directories = [run, *sorted(path.parent for path in run.glob("seed-*/run.json"))]
    with locked(*directories):
        inside, left_out = _contents(run)
        sums = {}
        try:
            with (
                replacing(file) as temporary,
                zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                for name in inside:
                    sums[name] = _added(archive, name, run / name)
                manifest = Manifest(kind, run.resolve().name, _FORMAT, version("lagdyna"), sums)
                text = json.dumps(msgspec.to_builtins(manifest), indent=1)
                archive.writestr(MANIFEST, text)
        except OSError as error:
            raise cannot_write(file, error) from error
    return Packed(file, len(inside), tuple(left_out))


def _contents(run: Path) -> tuple[list[str], list[str]]:
    """List the files to pack, and the others."""
    inside, left_out = [], []
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        regular = path.is_file() and not path.is_symlink()
        if regular and path.suffix in _SUFFIXES and _is_safe(name):
            inside.append(name)
        elif not path.name.startswith(".") and path.name not in (LOCK_FILE, REPORT):
            left_out.append(name)
    return inside, left_out


def _added(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    """Add a file to an archive, and return its checksum."""
    found = hashlib.sha256()
    with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as into:
        while chunk := source.read(_CHUNK):
            found.update(chunk)
            into.write(chunk)
    return found.hexdigest()


def unpack(file: str | Path, out: str | Path | None = None) -> Path:
    """Read a packed run into a new directory.

    The file is opened as data. Nothing in it is run, and nothing is written outside of the
    directory. Every file is compared with its checksum first.

    **Arguments:** `file`, from [`lagdyna.runs.pack`][]; `out`, a new or empty directory, by
    default the first free `runs/NAME-1`, ... with the name of the packed directory.

    **Returns:** the directory.

    **Raises:** [`lagdyna.UserError`][] if the file is missing, damaged, no packed run or of
    another version, or the directory cannot be used. Nothing has been written then.
    """
    file = Path(file)
    with _opened(file) as archive:
        manifest = _manifest(file, archive)
        name = _plain(manifest.name)
        chosen = None if out is None else Path(out)
        with reserved(chosen, lambda k: Path("runs") / f"{name}-{k}") as into:
            new_directory(into)
            with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=into.parent) as folder:
                held = Path(folder) / "run"
                for member, digest in manifest.files.items():
                    _extract(file, archive, member, digest, held / member)
                if kind_of(held) != manifest.kind:
                    raise _damaged(file, "it holds another kind of run than it says")
                try:
                    into.rmdir()  # it is empty; the whole directory takes its place at once
                    held.rename(into)
                except OSError as error:
                    raise cannot_write(into, error) from error
    for name in ("seed-*/run.json", "runs/*/run.json", "plan-*/plan.json"):
        for path in sorted(into.glob(name)):
            try_report(path.parent)
    try_report(into)
    return into


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """Open a file as an archive.

    **Raises:** `UserError` if it is missing or no archive.
    """
    try:
        with regular_file(file, _LIMIT_BYTES) as content, zipfile.ZipFile(content) as archive:
            yield archive
    except FileNotFoundError as error:
        raise UserError(f"`file` was {str(file)!r}, which does not exist") from error
    except UserError:
        raise
    except Exception as error:  # `zipfile` raises many kinds for damaged bytes
        raise _damaged(file, error) from error


def _manifest(file: Path, archive: zipfile.ZipFile) -> Manifest:
    """Read the list of files, and compare it with the archive.

    **Raises:** `UserError` if it is missing, of another version, or not what is there.
    """
    members = archive.infolist()
    names = [each.filename for each in members]
    if MANIFEST not in names:
        raise UserError(
            f"`file` was {str(file)!r}, which is no packed run: it has no {MANIFEST}; a file "
            "that `lagdyna pack` wrote is accepted"
        )
    text = _read(archive, MANIFEST, _MANIFEST_BYTES)
    try:
        value: Any = json.loads(text)
        check_depth(value)
        manifest = msgspec.convert(value, Manifest)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise _damaged(file, error) from error
    if manifest.format != _FORMAT:
        raise UserError(
            f"{str(file)!r} was packed by lagdyna {manifest.lagdyna:.40} in format "
            f"{manifest.format}, and this version reads format {_FORMAT}; use the version that "
            "packed it"
        )
    if sorted(names) != sorted([MANIFEST, *manifest.files]):
        raise _damaged(file, "its files are not those that it lists")
    for each in members:
        if stat.S_ISLNK(each.external_attr >> 16) or not _is_safe(each.filename):
            raise _damaged(file, f"it has the unexpected entry {each.filename[:100]!r}")
    if sum(each.file_size for each in members) > _LIMIT_BYTES:
        raise _damaged(file, "it is too large")
    return manifest


def _is_safe(name: str) -> bool:
    """Whether a path stays within a directory, and is a kind of file that runs hold."""
    path = PurePosixPath(name)
    parts = name.split("/")
    plain = all(part and not part.startswith(".") and _plain(part) == part for part in parts)
    return plain and len(parts) <= _DEPTH and path.suffix in _SUFFIXES


def _plain(name: str) -> str:
    """Replace what no file name of a run has, on any system."""
    allowed = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)
    return allowed.strip(".") or "run"


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as member:
        content = member.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"its entry {name!r} is too large")
    return content


def _extract(file: Path, archive: zipfile.ZipFile, name: str, digest: str, into: Path) -> None:
    """Write one file, and compare it with its checksum.

    **Raises:** `UserError` if it is another.
    """
    found, size = hashlib.sha256(), archive.getinfo(name).file_size
    into.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as member, into.open("xb") as target:
        for chunk in _chunks(member, size):
            found.update(chunk)
            target.write(chunk)
    if found.hexdigest() != digest:
        raise _damaged(file, f"the checksum of {name!r} differs")


def _chunks(member: Any, size: int) -> Iterator[bytes]:
    """Read no more than an entry says that it holds."""
    while chunk := member.read(_CHUNK):
        size -= len(chunk)
        if size < 0:
            raise ValueError("an entry is larger than it says")
        yield chunk


def _damaged(file: Path, error: Exception | str) -> UserError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{str(file)!r} is no whole packed run: {reason}")

"""Files of a run's directory as parts of a report: pictures, config, circumstances, list."""

import base64
import datetime
import os
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._bytes import read_bytes
from .._errors import UserError
from .._text import cell
from ..results import LOCK_FILE, RUN_FILE, run_facts
from ._page import Picture, Table

REPORT = "report.html"

_MAGIC = {".png": (b"\x89PNG\r\n\x1a\n", "image/png"), ".gif": (b"GIF8", "image/gif")}

# Pictures that are larger are left beside the page, so that it can be sent.
_LIMIT, _ALL = 6 * 2**20, 24 * 2**20

_CONFIG_BYTES = 2**20
_MOST_FILES = 60

_CAPTIONS = {
    "learning_curve.png": "learning curve",
    "learning_curves.png": "learning curves over seeds",
    "energy.png": "learned energies",
    "rollout.gif": "an episode of the final policy",
    "phase.png": "coordinates and velocities: data and rollouts",
    "rollout_error.png": "errors of rollouts by their horizon",
    "torque.png": "forces, recorded and predicted",
    "plan.png": "the plan",
    "plan.gif": "film of the plan",
}

_FILES = {
    REPORT: "this page",
    "config.toml": "the config with every default",
    "run.json": "kind of run, format and version",
    "summary.json": "the result",
    "report.json": "the result: errors, parameters, notes",
    "metrics.jsonl": "numbers over time, a JSON object a line",
    "sizes.json": "sizes and natural units of the data",
    "robot.json": "the robot description that was fitted",
    "seeds.json": "the seeds",
    "compare.json": "the rows of the comparison",
    "plan.json": "the report of the plan",
    "plan.npz": "states, actions and gains as NumPy arrays",
    "results.json": "figures of the paper and ours",
    "reproduction.json": "options of the reproduction",
    "checkpoint/training.npz": "what was learned, as NumPy arrays",
    **_CAPTIONS,
}


def pictures(directory: Path) -> tuple[list[Picture], list[str]]:
    """Read the pictures of a directory into data URIs.

    **Returns:** the pictures, those with known names first; and sentences about those that
    are too large.
    """
    found, left_out, total = [], [], 0
    for path in sorted(_plain_files(directory), key=_place):
        if path.suffix not in _MAGIC:
            continue
        magic, kind = _MAGIC[path.suffix]
        try:
            content = read_bytes(path, min(_LIMIT, _ALL - total))
        except OSError as error:
            left_out.append(f"{path.name} is not part of this page: {error.strerror}.")
            continue
        except ValueError:
            left_out.append(f"{path.name} is not part of this page, since it is too large.")
            continue
        if content.startswith(magic):
            total += len(content)
            text = base64.b64encode(content).decode("ascii")
            caption = _CAPTIONS.get(path.name, path.stem.replace("_", " "))
            found.append(Picture(path.name, caption, f"data:{kind};base64,{text}"))
    return found, left_out


def _place(path: Path) -> tuple[int, str]:
    """Order of pictures: as in `_CAPTIONS`, then by name."""
    names = [*_CAPTIONS]
    return (names.index(path.name) if path.name in names else len(names)), path.name


def _plain_files(directory: Path) -> list[Path]:
    """List the regular files of a directory; links may lead elsewhere."""
    return [each for each in directory.iterdir() if each.is_file() and not each.is_symlink()]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def config_text(directory: Path) -> str | None:
    """Read the config of a run; `None` without one. Links may lead elsewhere."""
    path = directory / "config.toml"
    if path.is_symlink() or not path.exists():
        return None
    try:
        return read_bytes(path, _CONFIG_BYTES).decode("utf-8", errors="replace")
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r} cannot be read: {error}") from error


def date_of(path: Path) -> str:
    """Say when a run was begun, or else when its result was written, in UTC.

    **Arguments:** `path`, the file of the result.
    """
    run = path.parent
    begun = run_facts(run).begun if (run / RUN_FILE).exists() else None
    if begun is not None:
        return f"begun {begun.replace('T', ' ').replace('Z', ' UTC')}"
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    return f"written {when:%Y-%m-%d %H:%M} UTC"


def circumstances(directory: Path, result: Mapping[str, Any]) -> Table:
    """Tabulate versions, machine and commit.

    **Arguments:** `result`, the content of `summary.json` or `report.json`.
    """
    facts, versions = run_facts(directory), result.get("versions") or {}
    machine = result.get("machine") or {}
    rows = [
        ("lagdyna", versions.get("lagdyna")),
        ("commit", result.get("commit")),
        ("device", result.get("device")),
        ("processor", machine.get("processor")),
        ("cores", machine.get("cores")),
        ("precision", facts.precision),
        ("version of the numerical results", result.get("numerics", facts.numerics)),
        *((name, text) for name, text in versions.items() if name != "lagdyna"),
    ]
    shown = [(name, cell(value)) for name, value in rows if value not in (None, "")]
    return Table("Versions and machine", ("", ""), shown)


def files_table(directory: Path) -> Table:
    """Tabulate the files of a directory, and what each is."""
    rows, links = [], []
    checkpoint = directory / "checkpoint"
    paths = [
        *_plain_files(directory),
        *(_plain_files(checkpoint) if _is_folder(checkpoint) else []),
    ]
    names = {path.relative_to(directory).as_posix(): path for path in paths}
    for name in sorted({*names, REPORT} - {LOCK_FILE}):
        if name.startswith("."):
            continue
        size = "" if name == REPORT else _size(names[name].stat().st_size)
        rows.append((name, _FILES.get(name, ""), size))
        links.append(None)
    for folder in sorted(directory.iterdir()):
        if _is_folder(folder) and folder.name != "checkpoint":
            inner = f"{folder.name}/{REPORT}"
            rows.append((f"{folder.name}/", _folder(folder.name), ""))
            links.append(link_to(directory, inner))
    note = ""
    if len(rows) > _MOST_FILES:
        note = f"and {len(rows) - _MOST_FILES} more"
        rows, links = rows[:_MOST_FILES], links[:_MOST_FILES]
    return Table("Files", ("file", "content", "size"), rows, note, links=tuple(links))


def link_to(directory: Path, name: str) -> str | None:
    """Make the link to a file of a directory; `None` if there is no such file.

    **Arguments:** `name`, the path in the directory. Its folders may be named like a scheme
    or a query of links.
    """
    if not (directory / name).is_file():
        return None
    return "./" + urllib.parse.quote(os.fsencode(name))


def _folder(name: str) -> str:
    """Describe a folder of a run by its name."""
    for begin, text in (
        ("seed-", "the run of one seed"),
        ("plan-", "a plan with the model"),
        ("evaluation-", "an evaluation of the policy"),
        ("export-", "an export for other programs"),
        ("parts", "results of the parts"),
        ("runs", "runs of the parts"),
    ):
        if name.startswith(begin):
            return text
    return ""


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"

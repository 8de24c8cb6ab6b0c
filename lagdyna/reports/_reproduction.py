"""Reports of reproductions."""

import shlex
from pathlib import Path
from typing import Any

from .._errors import UserError
from .._text import cell
from ..results import ReproductionFile, read_json, read_sealed
from ._directory import circumstances, date_of, files_table, link_to, pictures
from ._page import Command, Page, Table


def reproduction_page(directory: Path) -> Page:
    """Describe a reproduction: the paper's figures and ours."""
    found, options = read_sealed(directory / "reproduction.json", ReproductionFile)
    path = directory / "results.json"
    entries = read_json(path)
    if not isinstance(entries, list) or not all(isinstance(x, dict) for x in entries):
        raise UserError(f"{str(path)!r} is damaged: it is no list of figures")
    shown, left_out = pictures(directory)
    given = [each for each in entries if each.get("paper") is not None]
    quick = " --quick" if found.quick else ""
    seeds = f"{found.seeds} seed{'s' if found.seeds > 1 else ''}"
    within = sum(_is_within(each) for each in given)
    result = f"{len(entries)} figures over {seeds}."
    if given:
        result += (
            f" The paper states {len(given)} of them, and {within} of those lie between the "
            "smallest and the largest of our seeds."
        )
    notes = ["A quick reproduction shows the tendency only."] if found.quick else []
    return Page(
        title=_capitalized(options.get("title") or found.name),
        kind=f"reproduction · {found.name}",
        date=date_of(path),
        result=result,
        facts=[],
        notes=notes,
        pictures=shown,
        left_out=left_out,
        tables=[_entries(entries), _parts(directory)],
        config=None,
        circumstances=circumstances(directory, {}),
        files=files_table(directory),
        commands=[
            Command(
                "Add seeds; parts that are there are not made again:",
                f"lagdyna reproduce {found.name}{quick} --seeds {found.seeds + 1} --out "
                f"{shlex.quote(str(directory))}",
            ),
            Command("List all reproductions:", "lagdyna reproduce"),
            Command(
                "Read the figures in Python:",
                "import json\nfrom pathlib import Path\n\n"
                f"figures = json.loads(Path({str(path)!r}).read_text())",
            ),
        ],
    )


def _is_within(entry: dict[str, Any]) -> bool:
    low, high = entry.get("low"), entry.get("high")
    return low is not None and high is not None and low <= entry["paper"] <= high


def _entries(entries: list[dict[str, Any]]) -> Table:
    rows = [
        (
            str(each.get("name")),
            *(cell(each.get(key)) for key in ("paper", "ours", "low", "high")),
            cell(each.get("unit")),
            cell(each.get("seeds")),
            cell(each.get("note")),
        )
        for each in entries
    ]
    columns = ("figure", "paper", "ours", "from", "to", "unit", "seeds", "conditions")
    return Table("Figures of the paper and ours", columns, rows)


def _parts(directory: Path) -> Table:
    """List the parts that were made, and the reports of their runs."""
    names = sorted(path.stem for path in (directory / "parts").glob("*.npz"))
    pages = (f"runs/{name}/report.html" for name in names)
    links = tuple(link_to(directory, page) for page in pages)
    rows = [(name,) for name in names]
    return Table(f"Parts ({len(rows)})", ("part",), rows, folded=True, links=links)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]

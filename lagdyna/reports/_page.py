"""Content of a report, and its page of HTML."""

from importlib.resources import files
from typing import Any, NamedTuple

from .._plain import plain


class Table(NamedTuple):
    """Table of a report.

    **Attributes:** `heading`; `columns`, their names; `rows`, texts, of which the first names
    the row; `note`, a sentence below; `folded`, whether it is closed at first; `links`, for
    each row a file beside the report that its first cell leads to, or `None`.
    """

    heading: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""
    folded: bool = False
    links: tuple[str | None, ...] = ()


MOST_ROWS = 300


def thinned(table: Table, file: str) -> Table:
    """Leave out rows of a long table, evenly; `file` has them all."""
    step = -(-len(table.rows) // MOST_ROWS)
    if step <= 1:
        return table
    rows = table.rows[step - 1 :: step]
    return table._replace(rows=rows, note=f"One of {step} rows; {file} has all.")


class Picture(NamedTuple):
    """Picture of a report: `name` of its file, `caption`, and its `content` as a data URI."""

    name: str
    caption: str
    content: str


class Command(NamedTuple):
    """Next step: its `purpose`, and the `code` of it."""

    purpose: str
    code: str


class Page(NamedTuple):
    """Content of a report.

    **Attributes:**

    - `title`, `kind`: what was done, and the kind of run in a few words.
    - `date`: when the result was written.
    - `result`: the result in one sentence.
    - `facts`: the most important numbers by name.
    - `notes`: cautions.
    - `pictures`, `left_out`: pictures, and sentences about those that are too large.
    - `tables`: tables.
    - `config`: text of the config, or `None`.
    - `circumstances`: versions, machine and commit.
    - `files`: files of the directory.
    - `commands`: how to go on.
    """

    title: str
    kind: str
    date: str
    result: str
    facts: list[tuple[str, str]]
    notes: list[str]
    pictures: list[Picture]
    left_out: list[str]
    tables: list[Table]
    config: str | None
    circumstances: Table | None
    files: Table
    commands: list[Command]


def render(page: Page) -> str:
    """Render a report as one HTML page that needs nothing else.

    All content is escaped: names of tasks and files may hold anything.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    text = (files("lagdyna.reports") / "template.html").read_text(encoding="utf-8")
    return environment.from_string(text).render(page=page)


def _finalized(value: Any) -> Any:
    """Make control characters visible; lines stay lines."""
    if type(value) is not str:  # markup that has been escaped
        return value
    return "\n".join(plain(line) for line in value.split("\n"))

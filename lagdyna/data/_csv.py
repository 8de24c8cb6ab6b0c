import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ..tables import Header, parse_stamp, read_header
from ._assemble import ReadOptions, assemble, named
from ._data_error import DataError, one_line
from ._fields import column_indices, column_names
from ._limit import check_limit
from ._trajectory import Trajectory, TrajectorySet

_BLOCK_LINES = 20_000
_MAX_LINE_LENGTH = 1_000_000  # characters; longer lines are rejected


def read_csv(path: Path, options: ReadOptions) -> list[Trajectory]:
    """Read the trajectories of a `.csv` file.

    The user guide describes the layout. Lines are read in blocks, so that the text of only
    one block is in memory.
    """
    try:
        # `utf-8-sig` removes the byte order mark that spreadsheets write.
        with path.open(encoding="utf-8-sig") as file:
            header, table, lines = _read_table(path, file, options)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not text ({one_line(error)}); a .csv file in UTF-8 is accepted"
        ) from error
    names = header.names
    labels = table[:, names.index("trajectory")] if "trajectory" in names else None
    columns = [name for name in names if name != "trajectory"]
    if labels is not None:
        table = np.delete(table, names.index("trajectory"), axis=1)
    indices = column_indices(str(path), columns)
    trajectories = []
    for first, last in _find_trajectory_rows(path, labels, lines):
        arrays = {name: table[first:last, index] for name, index in indices.items()}
        source = str(path) if labels is None else f"{path}: trajectory {labels[first]:g}"
        trajectories += assemble(
            source,
            arrays,
            options,
            lambda row, first=first: f"line {lines[first + row]}",
            several=labels is None,
        )
    return named(trajectories, header.joints, str(path))


def write_csv(path: Path, trajectories: TrajectorySet) -> None:
    """Write one line per row, with all digits of every number."""
    first = trajectories[0]
    widths = {name: x.size // first.rows for name, x in first.arrays.items()}
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(",".join(["trajectory", *column_names(widths)]) + "\n")
        for i, trajectory in enumerate(trajectories):
            columns = [x.reshape(trajectory.rows, -1) for x in trajectory.arrays.values()]
            for row in np.concatenate(columns, axis=1):
                # `repr` of a Python float is the shortest text that reads back exactly.
                file.write(",".join([str(i), *map(repr, row.tolist())]) + "\n")


def _read_table(
    path: Path, file: IO[str], options: ReadOptions
) -> tuple[Header, np.ndarray, np.ndarray]:
    """Read the header, the table, and the line number of each table row."""
    numbered = _numbered_lines(path, file)
    number, first = next(numbered, (0, ""))
    if re.fullmatch(r"sep=.\s*", first):  # as Excel writes it
        number, first = next(numbered, (0, ""))
    if number == 0:
        raise DataError(
            f"{path}: empty; a line of column names and lines of numbers are needed"
        )
    header = read_header(str(path), first, options.columns)
    column_indices(
        str(path), [name for name in header.names if name != "trajectory"], header.hint
    )
    second = next(numbered, None)
    units = None
    if second is not None:
        cells = header.cells(str(path), *second)
        units = cells if header.is_units(cells) else None
        if units is None:
            numbered = itertools.chain([second], numbered)
    factors = header.factors(str(path), units)
    numbered = _with_seconds(path, header, factors, numbered)
    tables, lines, size, characters = [], [], 0, 0
    while block := list(itertools.islice(numbered, _BLOCK_LINES)):
        table = _parse_block(path, header, block)
        size += table.nbytes
        characters += sum(len(line) + 1 for _, line in block)
        # Lines have similar lengths, so extrapolate the total size from the blocks read.
        expected = size * path.stat().st_size / max(characters, 1)
        check_limit(str(path), max(size, int(expected)), options.limit_bytes)
        tables.append(table)
        lines.append(np.array([number for number, _ in block]))
    if len(tables) == 0:
        raise DataError(f"{path}: no line after the column names; at least two are needed")
    return header, np.concatenate(tables) * factors, np.concatenate(lines)


def _with_seconds(
    path: Path, header: Header, factors: list[float], numbered: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    """Refuse time stamps below a unit that is not seconds."""
    number, line = next(numbered, (0, ""))
    column = header.names.index("t") if "t" in header.names else 0
    cells = header.cells(str(path), number, line)
    cell = cells[header.places[column]] if len(cells) == header.width else ""
    if factors[column] != 1 and parse_stamp(cell.replace(",", ".")) is not None:
        raise DataError(
            f"{path}: column t, line {number}: found the time stamp {cell.strip()!r} below a "
            "unit of time; leave the unit out, or write numbers"
        )
    return itertools.chain([(number, line)] if number else [], numbered)


def _numbered_lines(path: Path, file: IO[str]) -> Iterator[tuple[int, str]]:
    """Iterate over the non-blank lines and their numbers, counted from 1."""
    for number in itertools.count(1):
        line = file.readline(_MAX_LINE_LENGTH)
        if line == "":
            return
        if len(line) == _MAX_LINE_LENGTH:
            raise DataError(
                f"{path}: line {number} is longer than {_MAX_LINE_LENGTH} characters; "
                "one line per row is accepted"
            )
        if line.strip() != "":
            yield number, line


def _parse_block(path: Path, header: Header, block: list[tuple[int, str]]) -> np.ndarray:
    """Parse numbered lines into an array of shape `(lines, columns)`."""
    if header.separator != ",":
        block = _with_points(path, block)
    try:
        # NumPy's parser is an order of magnitude faster. It does not locate errors and
        # rejects empty cells and quotes, so fall back to the slow parser if it fails.
        lines = [line for _, line in block]
        table = np.loadtxt(lines, delimiter=header.separator, comments=None, ndmin=2)
        if table.shape == (len(block), header.width):
            return table[:, header.places]
    except ValueError:
        pass
    return np.array([_parse_line(path, header, number, line) for number, line in block])


def _with_points(path: Path, block: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Replace decimal commas by decimal points."""
    comma = next((number for number, line in block if "," in line), None)
    if comma is None:
        return block
    point = next((number for number, line in block if "." in line), None)
    if point is not None:
        raise DataError(
            f"{path}: line {comma} has a comma and line {point} a point within cells; numbers "
            "with decimal commas or with decimal points are accepted, not both"
        )
    return [(number, line.replace(",", ".")) for number, line in block]


def _parse_line(path: Path, header: Header, number: int, line: str) -> list[float]:
    """Parse one line into one number per column that is read."""
    cells = header.cells(str(path), number, line)
    if len(cells) != header.width:
        commas = header.separator == "," and len(cells) > header.width
        hint = "; numbers with decimal commas need semicolons or tabs between them"
        raise DataError(
            f"{path}: line {number} has {len(cells)} cells, but the first line names "
            f"{header.width} columns; one cell per column is accepted{hint if commas else ''}"
        )
    return [
        _parse_cell(path, column, number, cells[place].strip())
        for column, place in zip(header.names, header.places, strict=True)
    ]


def _parse_cell(path: Path, column: str, number: int, cell: str) -> float:
    """Parse one cell; an empty cell is NaN."""
    if cell == "":
        return np.nan
    try:
        if "_" not in cell:  # `float` accepts 1_000
            return float(cell)
    except ValueError:
        pass
    stamp = parse_stamp(cell) if column == "t" else None
    if stamp is not None:
        return stamp
    shown = cell if len(cell) <= 40 else cell[:40] + "..."
    stamps = ", time stamps as 2026-05-04T10:00:00.125Z" if column == "t" else ""
    raise DataError(
        f"{path}: column {column}, line {number}: found {shown!r}; "
        f"real numbers are accepted{stamps}, and nan or an empty cell for a gap"
    )


def _find_trajectory_rows(
    path: Path, labels: np.ndarray | None, lines: np.ndarray
) -> list[tuple[int, int]]:
    """Find the first row, and the last row plus one, of each trajectory."""
    if labels is None:
        return [(0, len(lines))]
    # The comparison rejects NaN but not infinity, which equals its rounded value.
    wrong = np.flatnonzero(~(np.isfinite(labels) & (labels == np.round(labels))))
    if len(wrong) > 0:
        raise DataError(
            f"{path}: column trajectory, line {lines[wrong[0]]}: found {labels[wrong[0]]}; "
            "whole numbers are accepted"
        )
    edges = [0, *(np.flatnonzero(np.diff(labels) != 0) + 1).tolist(), len(labels)]
    seen = set()
    for edge in edges[:-1]:
        if labels[edge] in seen:
            raise DataError(
                f"{path}: column trajectory, line {lines[edge]}: {labels[edge]:g} appears "
                "again after another trajectory; the rows of a trajectory must be contiguous"
            )
        seen.add(labels[edge])
    return list(itertools.pairwise(edges))

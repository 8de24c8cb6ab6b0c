import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ._check import checked
from ._data_error import DataError, one_line
from ._fields import columns_of, places_of
from ._limit import check_limit
from ._trajectory import Trajectory, TrajectorySet, pieces

_BLOCK_LINES = 20_000
_LONGEST_LINE = 1_000_000  # characters; a longer one is no line of a table


def read_csv(path: Path, limit_bytes: int) -> list[Trajectory]:
    """The trajectories of a `.csv` file; its layout is described in the documentation.

    Read in blocks of lines, so that no more text than that is ever in memory.
    """
    try:
        # `utf-8-sig` takes off the mark that spreadsheets put before the first name.
        with path.open(encoding="utf-8-sig") as file:
            header, table, lines = _read_table(path, file, limit_bytes)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not text ({one_line(error)}); a .csv file in UTF-8 is accepted"
        ) from error
    labels = table[:, header.index("trajectory")] if "trajectory" in header else None
    columns = [name for name in header if name != "trajectory"]
    if labels is not None:
        table = np.delete(table, header.index("trajectory"), axis=1)
    places = places_of(str(path), columns)
    found = []
    for first, last in _blocks_of_one_label(path, labels, lines):
        arrays = {name: table[first:last, place] for name, place in places.items()}
        source = str(path) if labels is None else f"{path}: trajectory {labels[first]:g}"
        values = checked(source, arrays, lambda row, first=first: f"line {lines[first + row]}")
        found += pieces(source, values)
    return found


def write_csv(path: Path, trajectories: TrajectorySet) -> None:
    """Writes one line for each row, every number with all its digits."""
    first = trajectories[0]
    widths = {name: x.size // first.rows for name, x in first.arrays.items()}
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(",".join(["trajectory", *columns_of(widths)]) + "\n")
        for i, trajectory in enumerate(trajectories):
            columns = [x.reshape(trajectory.rows, -1) for x in trajectory.arrays.values()]
            for row in np.concatenate(columns, axis=1):
                # `repr` of a Python float is the shortest text that reads back the same.
                file.write(",".join([str(i), *map(repr, row.tolist())]) + "\n")


def _read_table(
    path: Path, file: IO[str], limit_bytes: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The names of the columns, the table, and for each of its rows the line it was on."""
    numbered = _lines(path, file)
    number, first = next(numbered, (0, ""))
    if number == 0:
        raise DataError(f"{path}: empty; a line of column names and lines of numbers follow")
    header = [name.strip() for name in _cells(path, number, first)]
    if header.count("trajectory") > 1:
        raise DataError(f"{path}: column 'trajectory' appears twice; once is accepted")
    places_of(str(path), [name for name in header if name != "trajectory"])
    tables, lines, size, characters = [], [], 0, 0
    while block := list(itertools.islice(numbered, _BLOCK_LINES)):
        table = _parse(path, header, block)
        size += table.nbytes
        characters += sum(len(line) + 1 for _, line in block)
        # Lines are about equally long, so the first block tells the size of the rest.
        expected = size * path.stat().st_size / max(characters, 1)
        check_limit(str(path), max(size, int(expected)), limit_bytes)
        tables.append(table)
        lines.append(np.array([number for number, _ in block]))
    if len(tables) == 0:
        raise DataError(f"{path}: no line after the column names; at least two are needed")
    return header, np.concatenate(tables), np.concatenate(lines)


def _lines(path: Path, file: IO[str]) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers, counted from 1."""
    for number in itertools.count(1):
        line = file.readline(_LONGEST_LINE)
        if line == "":
            return
        if len(line) == _LONGEST_LINE:
            raise DataError(
                f"{path}: line {number} is longer than {_LONGEST_LINE} characters; "
                "one line for each row is accepted"
            )
        if line.strip() != "":
            yield number, line


def _parse(path: Path, header: list[str], block: list[tuple[int, str]]) -> np.ndarray:
    try:
        # NumPy's parser is an order of magnitude faster, but does not say what is wrong
        # where, and knows neither empty cells nor quotes.
        table = np.loadtxt([line for _, line in block], delimiter=",", comments=None, ndmin=2)
        if table.shape == (len(block), len(header)):
            return table
    except ValueError:
        pass
    return np.array([_numbers(path, header, number, line) for number, line in block])


def _numbers(path: Path, header: list[str], number: int, line: str) -> list[float]:
    cells = _cells(path, number, line)
    if len(cells) != len(header):
        raise DataError(
            f"{path}: line {number} has {len(cells)} cells where the first line names "
            f"{len(header)} columns; every line has one cell for each"
        )
    return [
        _number(path, column, number, cell.strip())
        for column, cell in zip(header, cells, strict=True)
    ]


def _number(path: Path, column: str, number: int, cell: str) -> float:
    if cell == "":
        return np.nan
    try:
        if "_" not in cell:  # Python allows 1_000, a table does not
            return float(cell)
    except ValueError:
        pass
    shown = cell if len(cell) <= 40 else cell[:40] + "..."
    raise DataError(
        f"{path}: column {column}, line {number}: found {shown!r}; "
        "real numbers are accepted, and nan or nothing for a gap"
    )


def _cells(path: Path, number: int, line: str) -> list[str]:
    try:
        return next(csv.reader([line], skipinitialspace=True), [])
    except csv.Error as error:
        raise DataError(
            f"{path}: line {number} is not of cells between commas ({one_line(error)})"
        ) from error


def _blocks_of_one_label(
    path: Path, labels: np.ndarray | None, lines: np.ndarray
) -> list[tuple[int, int]]:
    """First row, and last row plus one, of each trajectory."""
    if labels is None:
        return [(0, len(lines))]
    # A comparison with nan is false, and a cast of infinity undefined: both are caught.
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
                f"{path}: column trajectory, line {lines[edge]}: {labels[edge]:g} comes back "
                "after another trajectory; the rows of one follow each other"
            )
        seen.add(labels[edge])
    return list(itertools.pairwise(edges))

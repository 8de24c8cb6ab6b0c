"""Checksums of JSON files, which nothing that was added escapes."""

import json
from pathlib import Path

import msgspec
import pytest

from lagdyna import UserError
from lagdyna.results import read_sealed, write_sealed


class Content(msgspec.Struct):
    """Schema of the file."""

    value: int


@pytest.mark.parametrize("where", ["value", "seal"])
def test_a_key_that_was_added_is_noticed(where: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_sealed(path, {"value": 1})
    assert read_sealed(path, Content)[0].value == 1
    table = json.loads(path.read_text())
    (table if where == "value" else table["seal"])["more"] = 1
    path.write_text(json.dumps(table))
    with pytest.raises(UserError, match="its checksum differs"):
        read_sealed(path, Content)

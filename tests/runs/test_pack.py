"""Runs as one file, to share."""

import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lagdyna import UserError
from lagdyna.reports import REPORT
from lagdyna.results import locked
from lagdyna.runs import load_run, pack, unpack

from .. import environments as environments  # registers them
from ..damage import _flipped


@pytest.fixture(scope="module")
def packed(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(whole, tmp_path_factory.mktemp("pack") / "run"))
    return pack(copy, copy.parent / "run.zip").file


def test_a_run_is_the_same_elsewhere(whole: Path, packed: Path, tmp_path: Path) -> None:
    out = unpack(packed, tmp_path / "out")
    files = {path.name for path in whole.rglob("*") if path.is_file()}
    assert files == {path.name for path in out.rglob("*") if path.is_file()}
    for path in whole.rglob("*"):
        if path.is_file() and path.name != REPORT:
            assert (out / path.relative_to(whole)).read_bytes() == path.read_bytes()
    # The report is written anew, since that in a file of anybody's may hold anything.
    with zipfile.ZipFile(packed) as archive:
        assert not [name for name in archive.namelist() if name.endswith(REPORT)]
    assert f"lagdyna evaluate {out}" in (out / REPORT).read_text(encoding="utf-8")
    assert load_run(out).records == load_run(whole).records
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_code_and_links_are_left_out(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "mine.py").write_text("raise SystemExit")
    (run / "elsewhere.json").symlink_to("/etc/hostname")
    found = pack(run, tmp_path / "run.zip")
    assert found.left_out == ("elsewhere.json", "mine.py")
    with zipfile.ZipFile(found.file) as archive:
        assert not {"elsewhere.json", "mine.py"} & set(archive.namelist())


def test_what_cannot_be_packed_is_refused(whole: Path, packed: Path, tmp_path: Path) -> None:
    for run, file, message in (
        (tmp_path, "a.zip", "holds no run"),
        (whole, "a.tar", r"ends in \.zip"),
        (whole, packed, "which exists; a new file"),
    ):
        with pytest.raises(UserError, match=message):
            pack(run, tmp_path / file)
    copy = Path(shutil.copytree(whole, tmp_path / "run"))
    with locked(copy), pytest.raises(UserError, match="in use"):
        pack(copy, tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("name", ["../out.json", "/tmp/a.json", "a/../../b.json", "run.py"])
def test_entries_outside_of_the_directory_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "evil.zip"
    manifest = {"kind": "train", "name": "run", "format": 1, "lagdyna": "0.2.0"}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "{}")
        archive.writestr("lagdyna.json", json.dumps({**manifest, "files": {name: "0"}}))
    with pytest.raises(UserError, match="unexpected entry"):
        unpack(file, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"evil.zip"}


def test_any_damage_is_noticed(packed: Path, tmp_path: Path) -> None:
    content, rng, refused = packed.read_bytes(), random.Random(0), 0
    for number in range(60):
        file, out = tmp_path / "damaged.zip", tmp_path / f"out-{number}"
        cut = content[: rng.randrange(len(content))]
        file.write_bytes(cut if number % 4 == 0 else _flipped(file, content, rng))
        try:
            unpack(file, out)
        except UserError as error:
            assert "\n" not in str(error)
            assert not out.exists() or not os.listdir(out)
            refused += 1
        else:  # a byte that says nothing, such as a time
            with zipfile.ZipFile(packed) as archive:
                for name in set(archive.namelist()) - {"lagdyna.json"}:
                    assert (out / name).read_bytes() == archive.read(name)
            shutil.rmtree(out)
    assert refused > 30


def test_the_command_packs_and_unpacks(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    lagdyna = [sys.executable, "-m", "lagdyna"]

    def said(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*lagdyna, *arguments], cwd=tmp_path, capture_output=True, text=True
        )

    assert "files -> shared.zip" in said("pack", str(run), "shared.zip").stdout
    assert said("unpack", "shared.zip").stdout.strip() == "-> runs/run-1"
    assert (tmp_path / "runs" / "run-1" / "run.json").exists()
    refused = said("unpack", "shared.zip", "--out", "run")
    assert refused.returncode == 2
    assert "already holds a run" in refused.stderr

"""Sweeps whose directory was damaged, or prepared to write or delete elsewhere."""

import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.results import LOCK_FILE
from lagdyna.sweeps import (
    Assignment,
    Outcome,
    begin_sweep,
    read_trials,
    resume_sweep,
    run_training,
    sweep,
    work,
)

from .cheap import GRID, a_config, cheap, everything, horizon_of

pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep; tests only read it."""
    out = tmp_path_factory.mktemp("whole") / "sweep"
    sweep(a_config(), out, run_trial=cheap)
    return out


@pytest.mark.parametrize("kept", [None, 0, 2, -1])
def test_results_are_not_lost_with_the_study(
    whole: Path, tmp_path: Path, kept: int | None
) -> None:
    """The list of trials would be written anew, with all of them waiting."""
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    journal = out / "study.journal"
    if kept is None:
        journal.unlink()
    else:
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(True)[:kept]))
    before = everything(out)
    with pytest.raises(UserError, match="restore it, or begin the sweep in a new directory"):
        resume_sweep(out, run_trial=cheap)
    assert everything(out) == before


@pytest.mark.parametrize("line", [b"[1]\n", b"3\n", b"[" * 100_000 + b"\n", b"\xff\n"])
def test_any_line_that_is_no_record_is_refused(
    whole: Path, tmp_path: Path, line: bytes
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    with (out / "study.journal").open("ab") as file:
        file.write(line)
    with pytest.raises(UserError, match="study.journal' is damaged or cannot be read"):
        resume_sweep(out, run_trial=cheap)


def test_values_of_other_types_are_refused(whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    lines = (whole / "study.journal").read_text().splitlines()
    for i, line in enumerate(lines[:8]):
        for key in json.loads(line):
            changed = json.dumps({**json.loads(line), key: []})
            text = "\n".join([*lines[:i], changed, *lines[i + 1 :], ""])
            (out / "study.journal").write_text(text)
            try:
                resume_sweep(out, run_trial=cheap)
            except UserError as error:
                assert str(out) in str(error)  # some keys do not matter


@pytest.mark.parametrize("name", ["study.journal", "claims"])
def test_a_link_in_a_sweep_is_not_followed(whole: Path, tmp_path: Path, name: str) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    elsewhere = tmp_path / "elsewhere"
    if name == "claims":
        shutil.rmtree(out / name)
        elsewhere.mkdir()
        (elsewhere / ".lagdyna-mine").write_text("mine")
    else:
        (out / name).unlink()
        elsewhere.write_text("mine")
    (out / name).symlink_to(elsewhere)
    before = everything(tmp_path / "elsewhere"), elsewhere.is_file() and elsewhere.read_text()
    with pytest.raises(UserError, match=f"{name}' is a link, which is not followed"):
        resume_sweep(out, run_trial=cheap)
    after = everything(tmp_path / "elsewhere"), elsewhere.is_file() and elsewhere.read_text()
    assert after == before


@pytest.mark.parametrize("inner", ["", "seed-0"])
def test_what_a_linked_trial_leads_to_is_not_removed(tmp_path: Path, inner: str) -> None:
    study = begin_sweep(a_config(), tmp_path / "sweep")
    with study.claimed() as claim:  # given back, as by a worker that was killed
        assert claim is not None
    (tmp_path / "mine" / "seed-0").mkdir(parents=True)
    (tmp_path / "mine" / "seed-0" / "thesis.txt").write_text("mine")
    link = claim.directory / inner
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "mine" / inner)
    with pytest.raises(UserError, match="is a link, which is not followed"):
        work(study, run_training)
    assert (tmp_path / "mine" / "seed-0" / "thesis.txt").read_text() == "mine"
    assert read_trials(tmp_path / "sweep").trials[0].state == "waiting"


def test_files_of_the_user_in_a_trial_that_was_killed_are_kept(tmp_path: Path) -> None:
    study = begin_sweep(a_config(), tmp_path / "sweep")
    with study.claimed() as claim:
        assert claim is not None
    claim.directory.mkdir()
    (claim.directory / "config.toml").write_text("")
    (claim.directory / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes.txt' is nothing that an interrupted run"):
        work(study, run_training)
    assert (claim.directory / "notes.txt").read_text() == "mine"


def test_a_file_in_place_of_a_trial_is_kept(tmp_path: Path) -> None:
    study = begin_sweep(a_config(), tmp_path / "sweep")
    with study.claimed() as claim:
        assert claim is not None
    claim.directory.write_text("mine")
    with pytest.raises(UserError, match="is a file, where the directory of a trial is"):
        work(study, cheap)
    assert claim.directory.read_text() == "mine"


@pytest.mark.parametrize("text", ["space = 3", "train = 'x'\n[space]\nmodel = ['a']", ""])
def test_a_stored_config_of_another_form_is_refused(
    whole: Path, tmp_path: Path, text: str
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    (out / "sweep.toml").write_text(text)
    with pytest.raises(UserError, match=r"sweep.toml: `(space|train)` (was|is)"):
        resume_sweep(out, run_trial=cheap)


def test_dates_and_endless_sweeps_are_refused(tmp_path: Path) -> None:
    for choice in (datetime.date(2020, 1, 1), {"hidden": [datetime.time(1)]}):
        with pytest.raises(UserError, match=r"`space.model` had the choice '[^']*', a (da|ti)"):
            a_config(space={"model": ["delan", choice]})
    with pytest.raises(UserError, match="`trials` was 1000000000, .* at most 10000 are accep"):
        a_config(trials=10**9)
    sides = {name: [*range(1, 201)] for name in ("agent.horizon", "agent.batch")}
    with pytest.raises(UserError, match="`trials` was 40000, by default the points of a gri"):
        a_config(**{**GRID, "space": sides})
    assert a_config(**{**GRID, "space": sides, "trials": 5}).trials == 5
    with pytest.raises(UserError, match="cannot be written: File name too long"):
        begin_sweep(a_config(), tmp_path / ("x" * 300))


def test_a_full_disk_is_named(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    study = begin_sweep(a_config(trials=5), out)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="cannot be written: No space left.*free some"):
            work(study, cheap)
    assert not resume_sweep(out, run_trial=cheap).unfinished


def test_a_trial_that_fails_in_a_solve_does_not_stop_the_others(tmp_path: Path) -> None:
    def fails(assignment: Assignment) -> Outcome:
        if horizon_of(assignment) == 8:
            np.linalg.inv(np.zeros((2, 2)))
        return cheap(assignment)

    config: Any = a_config(**{**GRID, "space": {"agent.horizon": [4, 8, 16]}})
    found = sweep(config, tmp_path / "sweep", run_trial=fails)
    assert [each.state for each in found.trials] == ["finished", "failed", "finished"]
    assert found.trials[1].reason == "LinAlgError: Singular matrix"


def test_files_that_a_killed_worker_left_are_removed(whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    for folder in (out, out / "trial-0"):
        (folder / ".lagdyna-half.json").write_text("{")
    resume_sweep(out, run_trial=cheap)
    assert not (out / ".lagdyna-half.json").exists()
    assert (out / "trial-0" / ".lagdyna-half.json").exists()  # maybe of another worker


def test_a_kill_while_a_line_is_written_stops_nobody(whole: Path, tmp_path: Path) -> None:
    """A process is killed while it holds the lock; the others go on at once."""
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    study = begin_sweep(a_config(trials=5), out)
    program = (
        "import os, signal, sys; from pathlib import Path; from lagdyna.results import locked\n"
        "with locked(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    guard = out / "claims" / "journal"
    done = subprocess.run([sys.executable, "-c", program, str(guard)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (guard / LOCK_FILE).exists()
    assert not work(study, cheap).unfinished
    assert not [*out.rglob("*.lock")]

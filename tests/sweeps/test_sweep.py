"""Trials of sweeps in one process: claimed, interrupted, pruned, failed, added."""

import errno
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lagdyna import UserError
from lagdyna.options import table_of
from lagdyna.results import LOCK_FILE, InUse, cannot_write, kind_of, locked
from lagdyna.sweeps import (
    Assignment,
    Outcome,
    Trial,
    begin_sweep,
    best_trials,
    open_sweep,
    read_trials,
    resume_sweep,
    sweep,
    work,
)
from lagdyna.tasks import get_task

from .cheap import GRID, a_config, cheap, everything, horizon_of

pytest.importorskip("optuna")


def options_of(trials: Any) -> list[dict[str, Any]]:
    return [each.options for each in trials.trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of four random trials; tests only read it."""
    out = tmp_path_factory.mktemp("whole") / "sweep"
    sweep(a_config(), out, run_trial=cheap)
    return out


def test_trials_are_kept_with_their_options_and_results(whole: Path) -> None:
    found = read_trials(whole)
    assert kind_of(whole) == "sweep"
    assert [each.state for each in found.trials] == ["finished"] * 4
    for each in found.trials:
        horizon = each.options["agent.horizon"]
        assert horizon in (4, 8, 16)
        assert 1e-4 <= each.options["learner.rate"] <= 1e-2
        assert each.options["model"] in ("delan", {"name": "lnn", "hidden": [8]})
        assert each.values == (horizon, 0.0)
        assert each.objective == horizon / 2
        assert each.interval == (0.0, horizon)
        assert each.seconds == 0.5
    assert [each.objective for each in found.best] == sorted(
        (each.objective or 0 for each in found.trials), reverse=True
    )
    assert best_trials(whole, 2) == [whole / each.directory for each in found.best[:2]]
    assert found == resume_sweep(whole, run_trial=cheap)


def test_a_grid_is_tried_in_order(tmp_path: Path) -> None:
    trials = sweep(a_config(**GRID), tmp_path / "sweep", run_trial=cheap)
    assert [tuple(each.values()) for each in options_of(trials)] == [
        (4, [8]),
        (4, [9, 9]),
        (8, [8]),
        (8, [9, 9]),
    ]


def test_the_order_of_options_is_that_of_the_beginning(whole: Path, tmp_path: Path) -> None:
    """In the stored file, ranges and tables come last."""
    begin_sweep(a_config(), tmp_path / "sweep")
    found = resume_sweep(tmp_path / "sweep", run_trial=cheap)
    assert options_of(found) == options_of(read_trials(whole))
    assert [*open_sweep(tmp_path / "sweep").config.space] == [*a_config().space]
    choices = {"model": [{"name": "lnn"}, {"name": "delan"}], "agent.horizon": [4, 8]}
    begin_sweep(a_config(sampler="grid", space=choices, trials=1), tmp_path / "grid")
    resume_sweep(tmp_path / "grid", run_trial=cheap)
    config = a_config(sampler="grid", space=dict(reversed(choices.items())), trials=4)
    found = sweep(config, tmp_path / "grid", run_trial=cheap)
    assert [(each["model"]["name"], each["agent.horizon"]) for each in options_of(found)] == [
        *(("lnn", 4), ("lnn", 8), ("delan", 4), ("delan", 8)),
    ]


def test_two_workers_draw_what_one_does(whole: Path, tmp_path: Path) -> None:
    studies = [begin_sweep(a_config(), tmp_path / "sweep") for _ in range(2)]
    with studies[1].claimed() as second, studies[0].claimed() as first:
        assert first is not None
        assert second is not None
        assert (second.number, first.number) == (0, 1)
        third = work(studies[1], cheap)  # all but these two
        assert [each.state for each in third.trials] == [*["running"] * 2, *["finished"] * 2]
        for claim in (first, second):
            claim.finish((1.0, 2.0), 0.1)
    found = work(studies[0], cheap)
    assert options_of(found) == options_of(read_trials(whole))
    assert [each.state for each in found.trials] == ["finished"] * 4


def test_processes_that_begin_at_once_begin_one_sweep(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        begun = [threads.submit(begin_sweep, a_config(), tmp_path / "sweep") for _ in range(4)]
    assert [len(each.result().trials().trials) for each in begun] == [4] * 4
    assert len({each.result().directory for each in begun}) == 1


def test_an_interrupted_trial_is_continued_first_with_its_options(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def stops(assignment: Assignment) -> Outcome:
        seen.append((assignment.directory.name, horizon_of(assignment)))
        cheap(assignment)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return cheap(assignment)

    with pytest.raises(KeyboardInterrupt):
        sweep(a_config(), tmp_path / "sweep", run_trial=stops)
    before = read_trials(tmp_path / "sweep")
    assert [each.state for each in before.trials] == [
        *("finished", "running", "waiting", "waiting"),
    ]
    said: list[tuple[int, str]] = []

    def progress(trial: Trial, text: str) -> None:
        said.append((trial.number, text))

    found = sweep(a_config(), tmp_path / "sweep", run_trial=stops, progress=progress)
    assert found.trials[0] == before.trials[0]
    assert found.trials[1].options == before.trials[1].options
    assert seen[1] == seen[2]
    assert said[:2] == [(1, "continues"), (1, "done")]
    assert [name for name, _ in seen] == [f"trial-{n}" for n in (0, 1, 1, 2, 3)]
    assert not found.unfinished


def test_trials_are_added_and_never_taken_away(whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    found = sweep(a_config(trials=6, slurm={"partition": "gpu"}), out, run_trial=cheap)
    assert found.trials[:4] == read_trials(whole).trials
    assert [each.state for each in found.trials[4:]] == ["finished"] * 2
    assert open_sweep(out).config.slurm.partition == "gpu"
    before = everything(out)
    with pytest.raises(UserError, match="`trials` was 5, and .* has 6 already"):
        begin_sweep(a_config(trials=5), out)
    assert everything(out) == before


def test_another_config_is_refused_with_what_differs(whole: Path, tmp_path: Path) -> None:
    before = everything(whole)
    other = {"seeds": 3, "train": {"task": "Pendulum-v1", "steps": 70}}
    with pytest.raises(UserError, match=r"`train.steps` was 60 and is 70; `seeds` was 2 and"):
        begin_sweep(a_config(**other), whole)
    assert everything(whole) == before
    # A study of another sweep in this directory.
    sweep(a_config(seed=1), tmp_path / "other", run_trial=cheap)
    shutil.copy(whole / "study.journal", tmp_path / "other" / "study.journal")
    with pytest.raises(UserError, match="`seed` was 0 and is 1"):
        resume_sweep(tmp_path / "other", run_trial=cheap)


def test_a_directory_of_anything_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="`out` was .* is not empty"):
        begin_sweep(a_config(), tmp_path)
    assert everything(tmp_path) == {"notes.txt": b"mine"}
    with pytest.raises(UserError, match="which is a file; a directory is accepted"):
        begin_sweep(a_config(), tmp_path / "notes.txt")
    task = {**table_of(get_task("Pendulum-v1")), "env_id": "NoSuch-v0"}
    with pytest.raises(UserError, match="NoSuch"):
        begin_sweep(a_config(train={"task": task}), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_bad_trials_are_pruned_by_the_median_of_the_others(tmp_path: Path) -> None:
    def rounds(assignment: Assignment) -> Outcome:
        for n in (1, 2, 3):
            assignment.report(n, float(horizon_of(assignment)) if n > 1 else 0.0)
        return cheap(assignment)

    config = a_config(
        **{**GRID, "space": {"agent.horizon": [16, 17, 4, 18]}},
        pruner="median",
        startup=2,
        warmup=2,
    )
    found = sweep(config, tmp_path / "sweep", run_trial=rounds)
    assert [each.state for each in found.trials] == [
        *("finished", "finished", "pruned", "finished"),
    ]
    pruned = found.trials[2]
    assert (pruned.rounds, pruned.objective, pruned.values) == (2, 4.0, ())
    assert pruned.seconds is not None
    assert pruned not in found.best


def test_the_first_failure_stops_and_later_ones_are_kept(tmp_path: Path) -> None:
    mistakes: dict[int, Any] = {
        4: UserError("no such thing"),
        8: RuntimeError("RESOURCE_EXHAUSTED: out of memory\nand a long list"),
        16: float("nan"),
        32: TypeError("a mistake in a model of the user's"),
    }

    def fails(assignment: Assignment) -> Outcome:
        horizon = horizon_of(assignment)
        mistake = mistakes.get(horizon, 1.0)
        if isinstance(mistake, Exception):
            raise mistake
        return Outcome((mistake, 2.0), 0.1)

    config = a_config(**{**GRID, "space": {"agent.horizon": [4, 5, 8, 16, 32]}})
    with pytest.raises(UserError, match="trial 0 failed: no such thing"):
        sweep(config, tmp_path / "sweep", run_trial=fails)
    assert read_trials(tmp_path / "sweep").trials[0].reason == "no such thing"
    with pytest.raises(UserError, match="has no finished trial yet"):
        best_trials(tmp_path / "sweep")
    found = resume_sweep(tmp_path / "sweep", run_trial=fails)
    assert [each.state for each in found.trials] == ["failed", "finished", *["failed"] * 3]
    assert found.trials[2].reason == "RuntimeError: RESOURCE_EXHAUSTED: out of memory"
    assert "not finite: nan, 2" in (found.trials[3].reason or "")
    assert found.trials[4].reason == "TypeError: a mistake in a model of the user's"
    assert [each.number for each in found.best] == [1]


def test_an_exception_of_the_first_trial_goes_on(tmp_path: Path) -> None:
    def mistaken(assignment: Assignment) -> Outcome:
        raise TypeError("a mistake")

    with pytest.raises(TypeError, match="a mistake"):
        sweep(a_config(), tmp_path / "sweep", run_trial=mistaken)
    states = [each.state for each in read_trials(tmp_path / "sweep").trials]
    assert states == ["failed", *["waiting"] * 3]


def test_a_full_disk_stops_the_worker_and_fails_no_trial(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def fills(assignment: Assignment) -> Outcome:
        if assignment.directory.name == "trial-1":
            raise cannot_write(assignment.directory, full)
        return cheap(assignment)

    with pytest.raises(UserError, match="cannot be written: No space left.*free some space"):
        sweep(a_config(), tmp_path / "sweep", run_trial=fills)
    states = [each.state for each in read_trials(tmp_path / "sweep").trials]
    assert states == ["finished", "running", "waiting", "waiting"]
    found = resume_sweep(tmp_path / "sweep", run_trial=cheap)
    assert len(found.best) == 4


def test_a_seed_directory_in_use_stops_the_worker(tmp_path: Path) -> None:
    study = begin_sweep(a_config(), tmp_path / "sweep")
    with study.claimed() as claim:  # given back as it is, as by a worker that was killed
        assert claim is not None
        (claim.directory / "seed-0").mkdir(parents=True)
    with locked(claim.directory / "seed-0"), pytest.raises(InUse, match="in use by process"):
        work(study, cheap)
    assert read_trials(tmp_path / "sweep").trials[0].state == "waiting"  # not written since
    assert not work(study, cheap).unfinished


def test_a_run_that_the_study_does_not_know_is_not_touched(tmp_path: Path) -> None:
    study = begin_sweep(a_config(), tmp_path / "sweep")
    (tmp_path / "sweep" / "trial-0").mkdir()
    (tmp_path / "sweep" / "trial-0" / "mine").write_text("mine")
    with pytest.raises(UserError, match="trial-0' exists, and the study has not begun"):
        work(study, cheap)
    assert (tmp_path / "sweep" / "trial-0" / "mine").read_text() == "mine"


def test_a_line_that_was_cut_off_loses_nothing_else(whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    with (out / "study.journal").open("ab") as file:
        file.write(b'{"op_code": 6, "trial_')
    found = sweep(a_config(trials=5), out, run_trial=cheap)
    assert found.trials[:4] == read_trials(whole).trials
    assert found.trials[4].state == "finished"
    for line in (out / "study.journal").read_text().splitlines():
        json.loads(line)


def test_damaged_files_are_refused(whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "sweep"))
    text = (out / "sweep.json").read_text()
    (out / "sweep.json").write_text(text.replace('"finished"', '"failed"', 1))
    with pytest.raises(UserError, match="its checksum differs"):
        read_trials(out)
    (out / "study.journal").write_text('{"op_code": 0}\n{"op\n{}\n')
    with pytest.raises(UserError, match="study.journal' is damaged or cannot be read"):
        resume_sweep(out, run_trial=cheap)
    (out / "sweep.toml").write_text("trials = ")
    with pytest.raises(UserError, match="is not TOML"):
        resume_sweep(out, run_trial=cheap)


def test_code_in_a_stored_sweep_is_not_run_unasked(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from lagdyna.parts import DeLaNConfig\n"
        f"open({str(tmp_path / 'ran')!r}, 'a').write('x')\nMine = DeLaNConfig(hidden=(8,))\n"
    )
    spec = f"{tmp_path / 'mine.py'}:Mine"
    config = a_config(trials=1, space={"model": [spec], "agent.horizon": [4]})
    sweep(config, tmp_path / "sweep", run_trial=cheap)
    (tmp_path / "ran").unlink()
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "# changed\n")
    with pytest.raises(UserError, match="names code in `model`.*add `--trust`"):
        resume_sweep(tmp_path / "sweep", run_trial=cheap)
    assert not (tmp_path / "ran").exists()
    assert not resume_sweep(tmp_path / "sweep", run_trial=cheap, trust=True).unfinished
    assert (tmp_path / "ran").exists()


def test_without_optuna_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"optuna; install it with `pip install 'lagdyna\[sw"):
        begin_sweep(a_config(), tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_no_lock_is_left(whole: Path) -> None:
    assert not [*whole.rglob(LOCK_FILE), *whole.rglob("*.lock")]

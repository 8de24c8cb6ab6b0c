"""Continuation of interrupted and damaged runs; `test_train.py` interrupts at other events."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.reports import REPORT
from lagdyna.results import RUN_FILE, load_arrays, locked, save_arrays, write_sealed
from lagdyna.runs import evaluate, kept, load, load_run, resume, train

from .conftest import CONFIG
from .watch import (
    StopAfterEvaluations,
    StopAfterEvents,
    StopAfterRounds,
    records_of,
    same_run,
)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interrupted after the first of three rounds."""
    out = tmp_path_factory.mktemp("interrupted") / "run"
    progress = StopAfterRounds(1)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, out, progress=progress)
    assert progress.ended == 1, "the receiver is told of the end"
    return out


@pytest.fixture
def run(interrupted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(interrupted, tmp_path / "run"))


def test_a_run_continues_after_its_last_whole_round(whole: Path, run: Path) -> None:
    progress = StopAfterRounds()
    resume(run, progress=progress)
    assert progress.began == [20]
    assert progress.recorded == [40, 60]
    assert progress.ended == 1
    assert {"collect", "fit", "imagine", "evaluate", "pictures"} == set(progress.names)
    assert progress.names[-1] == "pictures"
    same_run(whole, run)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_interrupted_within_a_restart_interval_resumes_to_the_same_end(
    whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, out, progress=StopAfterRounds(2))  # two of three rounds
    resume(out)
    same_run(whole, out)


def stopped(evaluations: int, out: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, out, progress=StopAfterEvaluations(evaluations))
    return out


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("evaluations", [1, 5])
def test_a_run_continues_after_its_last_phase_within_an_episode(
    whole: Path, tmp_path: Path, evaluations: int
) -> None:
    run = stopped(evaluations, tmp_path / "run")
    rounds, steps = evaluations // 2, 10 * evaluations
    unfinished = records_of(run)[-1]
    assert unfinished["in_progress"]
    assert (unfinished["env_steps"], unfinished["round"]) == (steps, rounds + 1)
    assert len(load_run(run).records) == rounds
    assert kept(run) == f"kept up to step {steps}; `lagdyna resume {run}` continues"
    progress = StopAfterRounds()
    resume(run, progress=progress)
    assert progress.began == [steps]
    same_run(whole, run)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_interrupted_in_each_phase_ends_as_an_uninterrupted_one(
    whole: Path, tmp_path: Path
) -> None:
    run = stopped(1, tmp_path / "run")
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            resume(run, progress=StopAfterEvaluations(1))
    resume(run)
    same_run(whole, run)


def test_damaged_notes_about_a_round_are_refused(tmp_path: Path) -> None:
    run = stopped(1, tmp_path / "run")
    path = run / "checkpoint" / "training.npz"
    arrays = load_arrays(path)
    notes = json.loads(str(arrays["notes"]))
    del notes["round"]["rewards"]
    save_arrays(path, {**arrays, "notes": np.asarray(json.dumps(notes))})
    with pytest.raises(UserError, match="notes about the round in progress are damaged"):
        resume(run)


def test_a_run_that_is_being_written_is_not_resumed(run: Path) -> None:
    with locked(run), pytest.raises(UserError, match=r"is in use by process .* on host"):
        resume(run)


def test_metrics_have_the_imagined_returns_of_policies(whole: Path) -> None:
    loaded = load_run(whole)
    agent: Any = loaded.training.agent
    assert agent.pool is not None
    first, *others = loaded.records
    # During the first interval the current policy acts.
    assert first["imagined_return"] == first["newest_return"]
    assert len(others) == 2
    for record in others:
        assert record["imagined_return"] >= record["newest_return"]


def test_an_interruption_during_a_checkpoint_keeps_the_old_one(
    whole: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of metrics has been written, the checkpoint has not."""
    saved = (run / "checkpoint" / "training.npz").read_bytes()

    def half(file: Any, **arrays: Any) -> None:
        file.write(b"PK\x03\x04 half of a check")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        resume(run)
    monkeypatch.undo()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    assert (run / "checkpoint" / "training.npz").read_bytes() == saved
    assert [path.name for path in (run / "checkpoint").iterdir()] == ["training.npz"]
    resume(run)
    same_run(whole, run)


def test_a_run_that_lacks_only_its_pictures_is_not_trained_again(
    whole: Path, run: Path
) -> None:
    for name in ("checkpoint", "metrics.jsonl"):
        if (whole / name).is_dir():
            shutil.copytree(whole / name, run / name, dirs_exist_ok=True)
        else:
            shutil.copy(whole / name, run / name)
    progress = StopAfterRounds()
    resume(run, progress=progress)
    assert progress.began == [60]
    assert progress.names == ["pictures"]
    same_run(whole, run)
    assert (run / "summary.json").exists()
    for name in ("rollout.gif", "learning_curve.png"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("content", [b"", b'{"round": 1, "ep', b"\xff\xfe{}\n", b"no\n"])
def test_missing_lines_of_metrics_are_refused(run: Path, content: bytes) -> None:
    (run / "metrics.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=r"metrics.jsonl.* has 0 complete lines, .*refers to 1"):
        resume(run)


@pytest.mark.usefixtures("no_pictures")
def test_a_damaged_summary_is_refused(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "summary.json").write_text('{"task": "Pend')
    with pytest.raises(UserError, match=r"summary\.json.*is not whole"):
        resume(run)
    (run / "summary.json").unlink()  # as the message advises
    resume(run)
    same_run(whole, run)


def test_a_damaged_config_is_refused(run: Path) -> None:
    (run / "config.toml").write_text("steps = ")
    with pytest.raises(UserError, match=r"config\.toml.*is not TOML"):
        resume(run)


def test_a_run_whose_environment_is_missing_is_refused(run: Path) -> None:
    shutil.rmtree(run / "checkpoint")  # which holds the config that the run was begun with
    path = run / "config.toml"
    path.write_text(path.read_text().replace("ShortPendulum-v0", "ShortPendulum-v9"))
    with pytest.raises(UserError, match=r"ShortPendulum-v9.*no such environment"):
        resume(run)


def test_inference_needs_no_state_of_an_optimiser(run: Path) -> None:
    """Such as that of another version of Optax, which has other arrays."""
    path, before = run / "checkpoint" / "training.npz", load_run(run)
    arrays = load_arrays(path)
    states = [name for name in arrays if ".learners.transition.optimiser" in name]
    assert len(states) > 4
    arrays[states[0] + ".extra"] = arrays.pop(states[0])
    save_arrays(path, arrays)
    after = load_run(run)
    for a, b in zip(
        jax.tree.leaves((before.transition, before.training.agent.policy)),
        jax.tree.leaves((after.transition, after.training.agent.policy)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match=r"the state of an optimiser, written with optax \d"):
        resume(run)


@pytest.mark.parametrize("read", [load, load_run, resume, evaluate])
def test_a_run_of_another_precision_is_refused(run: Path, read: Any) -> None:
    facts = json.loads((run / RUN_FILE).read_text())
    assert facts["precision"] == "float32"
    write_sealed(run / RUN_FILE, {**facts, "precision": "float64"})
    with pytest.raises(UserError, match="is of float64, and this .* set JAX_ENABLE_X64=1 bef"):
        read(run)


def test_a_checkpoint_of_another_precision_is_refused(run: Path) -> None:
    path = run / "checkpoint" / "training.npz"
    wide = {
        name: each.astype(np.float64) if each.dtype == np.float32 else each
        for name, each in load_arrays(path).items()
    }
    save_arrays(path, wide)
    with pytest.raises(UserError, match="is of float64, and this process computes in float32"):
        load_run(run)


@pytest.mark.usefixtures("no_pictures")
def test_a_finished_run_is_extended(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    for steps in (20, 59):
        with pytest.raises(UserError, match=rf"`steps` was {steps}, .* has made 60 steps alr"):
            resume(run, steps=steps)
    assert resume(run, steps=60) == json.loads((whole / "summary.json").read_text())
    # As if the process had been killed between the checkpoint and the config.
    config = (run / "config.toml").read_text()
    with pytest.raises(KeyboardInterrupt):
        resume(run, steps=75, progress=StopAfterEvents(1))
    assert not (run / REPORT).exists()  # it was of the run that ended
    (run / "config.toml").write_text(config)
    assert load_run(run).config.steps == 75
    progress = StopAfterRounds()
    summary = resume(run, progress=progress)
    assert progress.began == [60]
    assert progress.recorded == [75]
    assert summary["env_steps"] == 75
    assert "after 75 steps" in (run / REPORT).read_text(encoding="utf-8")
    same = [{k: v for k, v in x.items() if k != "seconds"} for x in records_of(whole)]
    now = [{k: v for k, v in x.items() if k != "seconds"} for x in records_of(run)]
    assert now[:3] == same
    before, after = load_run(whole).training, load_run(run).training
    # The first step of each episode begins at an unknown velocity, and is not stored.
    assert int(before.buffer.added) == 60 - 3
    assert (int(after.buffer.added), after.buffer.capacity) == (75 - 4, 75)
    np.testing.assert_array_equal(
        after.buffer.experience.action[: 60 - 3], before.buffer.experience.action[: 60 - 3]
    )
    assert resume(run, steps=75) == summary


@pytest.mark.parametrize("read", [load, load_run, resume], ids=lambda each: each.__name__)
def test_a_run_of_lagdyna_0_1_is_refused(run: Path, read: Any) -> None:
    """Its directory has no `run.json`."""
    (run / RUN_FILE).unlink()
    with pytest.raises(UserError, match=r"was written by lagdyna 0\.1, and this is .*cannot"):
        read(run)


@pytest.mark.parametrize("read", [load, load_run, resume], ids=lambda each: each.__name__)
def test_a_directory_without_a_run_is_refused(tmp_path: Path, read: Any) -> None:
    with pytest.raises(UserError, match="holds no run; a directory that `lagdyna train` wrote"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("critics = 1\n", "critics = 2\n", "`agent.critics` was 1 and is 2"),
        (
            'activation = "softplus"\n',
            'activation = "tanh"\n',
            "`model.activation` was 'softplus' and is 'tanh'",
        ),
        ("steps = 60", "steps = 80", "`steps` was 60 and is 80"),
        ("hidden = [\n    8,\n]", "hidden = [9]", "`model.hidden` was [8] and is [9]"),
    ],
    ids=["critics", "activation", "longer", "wider"],
)
def test_a_checkpoint_of_another_config_is_refused(
    run: Path, old: str, new: str, said: str
) -> None:
    path = run / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    before = (run / "checkpoint" / "training.npz").read_bytes()
    with pytest.raises(UserError, match="was begun with another config: ") as error:
        resume(run)
    assert said in str(error.value)
    assert (run / "checkpoint" / "training.npz").read_bytes() == before

"""Runs whose files were caught in an unlucky moment; `test_run` interrupts between them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagdyna.experiments import Silence, UserError, resume, train

from .. import environments as environments  # registers them
from .small import small_config
from .test_run import same_run

CONFIG = small_config(
    steps=60,
    task={**small_config().task.__dict__, "env_id": "lagdyna-tests/ShortPendulum-v0"},
    agent={"updates": 5},
)


class Phases(Silence):
    """Presses Ctrl-C when a round has been recorded, and notes where a run goes on."""

    def __init__(self, rounds: int | None = None):
        self.rounds = rounds
        self.began: list[int] = []
        self.ended = 0
        self.names: list[str] = []
        self.recorded: list[int] = []

    def begin(self, config: Any, out: Path, env_steps: int, seeds: Any) -> None:
        self.began.append(env_steps)

    def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
        assert 0 <= done <= total
        self.names.append(name)

    def record(self, record: dict[str, Any]) -> None:
        self.recorded.append(record["env_steps"])
        if record["round"] == self.rounds:
            raise KeyboardInterrupt

    def end(self) -> None:
        self.ended += 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    train(CONFIG, out)
    return out


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interrupted after the first of three rounds."""
    out = tmp_path_factory.mktemp("halfway") / "run"
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, out, progress=Phases(1))
    return out


@pytest.fixture
def run(halfway: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(halfway, tmp_path / "run"))


def test_a_run_goes_on_after_its_last_whole_round(whole: Path, run: Path) -> None:
    progress = Phases()
    resume(run, progress=progress)
    assert progress.began == [20]
    assert progress.recorded == [40, 60]
    assert progress.ended == 1
    assert {"collect", "fit", "imagine", "evaluate", "pictures"} == set(progress.names)
    assert progress.names[-1] == "pictures"
    same_run(whole, run)


def test_whoever_watches_hears_of_the_end_after_an_interruption(tmp_path: Path) -> None:
    progress = Phases(1)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, tmp_path / "run", progress=progress)
    assert progress.ended == 1


def test_interrupted_while_a_checkpoint_is_written(
    whole: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of metrics is there already, the checkpoint still the old one."""
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


def test_interrupted_over_its_pictures_a_finished_run_only_draws(
    whole: Path, run: Path, tmp_path: Path
) -> None:
    for name in ("checkpoint", "metrics.jsonl"):
        if (whole / name).is_dir():
            shutil.copytree(whole / name, run / name, dirs_exist_ok=True)
        else:
            shutil.copy(whole / name, run / name)
    progress = Phases()
    resume(run, progress=progress)
    assert progress.began == [60]
    assert progress.names == ["pictures"]
    same_run(whole, run)
    assert (run / "summary.json").exists()
    for name in ("rollout.gif", "energy.png"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("content", [b"", b'{"round": 1, "ep', b"\xff\xfe{}\n", b"no\n"])
def test_fewer_lines_of_metrics_than_the_checkpoint_knows(run: Path, content: bytes) -> None:
    (run / "metrics.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=r"metrics.jsonl.* has 0 whole lines, .* knows of 1"):
        resume(run)


def test_a_summary_that_is_damaged(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "summary.json").write_text('{"task": "Pend')
    with pytest.raises(UserError, match=r"summary\.json.*is not whole"):
        resume(run)
    (run / "summary.json").unlink()  # as the message advises
    resume(run)
    same_run(whole, run)


def test_a_run_whose_config_was_damaged(run: Path) -> None:
    (run / "config.toml").write_text("steps = ")
    with pytest.raises(UserError, match=r"config\.toml.*is not TOML"):
        resume(run)


def test_a_run_whose_environment_is_gone(run: Path) -> None:
    path = run / "config.toml"
    path.write_text(path.read_text().replace("ShortPendulum-v0", "ShortPendulum-v9"))
    with pytest.raises(UserError, match=r"ShortPendulum-v9.*no such environment"):
        resume(run)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[agent]\n", "[agent]\ncritics = 2\n", "`agent.critics` was 1 and is 2"),
        (
            'dissipation = "none"',
            'dissipation = "viscous"',
            "`model.dissipation` was 'none' and is 'viscous'",
        ),
        ("steps = 60", "steps = 80", "`steps` was 60 and is 80"),
        ("hidden = [\n    8,\n]", "hidden = [9]", "`model.hidden` was [8] and is [9]"),
    ],
    ids=["critics", "friction", "longer", "wider"],
)
def test_a_checkpoint_of_another_config(run: Path, old: str, new: str, said: str) -> None:
    path = run / "config.toml"
    text = path.read_text()
    assert old in text
    if "critics" in new:
        text = text.replace("critics = 1\n", "")
    path.write_text(text.replace(old, new))
    before = (run / "checkpoint" / "training.npz").read_bytes()
    with pytest.raises(UserError, match="was begun with another config: ") as error:
        resume(run)
    assert said in str(error.value)
    assert (run / "checkpoint" / "training.npz").read_bytes() == before

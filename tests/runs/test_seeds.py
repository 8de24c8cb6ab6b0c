"""Runs of several seeds and their directories."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lagdyna import UserError
from lagdyna.progress import Silence
from lagdyna.results import kind_of
from lagdyna.runs import evaluate, kept, load_run, resume, resume_seeds, train_seeds
from lagdyna.tasks import get_task
from lagdyna.training import EPISODE, start_seeds
from lagdyna.training import _seeds as seeds_module

from .. import environments as environments  # registers them
from ..small import REPLAYED, small_config
from .watch import (
    SUMMARY,
    StopAfterEvaluations,
    StopAfterEvents,
    StopAfterRounds,
    records_of,
    same_run,
)

TASK = dataclasses.replace(
    get_task("Pendulum-v1"), env_id="lagdyna-tests/Countdown-v0", repeat=2, unchecked=True
)
# Episodes end after one to nine steps, at other times for each seed.
CONFIG = small_config(
    task=dataclasses.asdict(TASK),
    solver={"name": "euler"},
    learner={"updates": 5},
    agent={"updates": 3, **REPLAYED},
    seed=4,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeds 4 and 5, three rounds."""
    out = tmp_path_factory.mktemp("several") / "run"
    train_seeds(CONFIG, 2, out)
    return out


def test_the_directory_has_a_run_for_each_seed(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert names == {
        *("run.json", "seed-4", "seed-5", "seeds.json", "checkpoint"),
        *("learning_curve.png", "summary.json", "report.html"),
    }
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert all(f'href="./seed-{seed}/report.html"' in page for seed in (4, 5))
    for seed in (4, 5):
        run = whole / f"seed-{seed}"
        assert {path.name for path in run.iterdir()} == {
            *("run.json", "config.toml", "metrics.jsonl", "summary.json", "checkpoint"),
            *("learning_curve.png", "energy.png", "report.html"),
        }
        summary = json.loads((run / "summary.json").read_text())
        assert set(summary) == SUMMARY
        assert summary["seed"] == seed
        assert records_of(run)[-1]["env_steps"] == 60
        loaded = load_run(run)
        assert loaded.config.seed == seed == int(loaded.training.seed)
        assert resume(run) == summary
    assert len(evaluate(whole / "seed-4", out=whole.parent / "evaluated")["returns"]) == 2
    with Image.open(whole / "learning_curve.png") as image:
        assert len(set(image.convert("L").get_flattened_data())) > 10


def test_the_summary_is_over_the_seeds(whole: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    singles = [
        json.loads((whole / f"seed-{seed}" / "summary.json").read_text()) for seed in (4, 5)
    ]
    returns = [single["return_mean"] for single in singles]
    assert summary["seeds"] == [4, 5]
    assert summary["returns"] == returns
    assert summary["steps_to_target"] == [single["steps_to_target"] for single in singles]
    assert summary["return_mean"] == pytest.approx(np.mean(returns))
    assert summary["return_interquartile_mean"] == pytest.approx(np.mean(returns))
    low, high = summary["return_interval"]
    assert min(returns) <= low <= high <= max(returns)
    assert resume_seeds(whole) == resume(whole) == summary


def rounds_of(seed: int) -> list[tuple[int, int, float]]:
    """Steps, episodes and mean return after each round, from the lengths of the episodes."""
    rounds, steps, lengths = [], 0, []
    while steps < 60:
        first, wanted, before = steps, min(20, 60 - steps), len(lengths)
        while steps - first < wanted:
            env = environments.Countdown()
            env.reset(seed=int(start_seeds(seed, EPISODE, len(lengths) + 1)[-1]))
            lengths.append(min(env.rest, 60 - steps))
            steps += lengths[-1]
        rounds.append((steps, len(lengths), (steps - first) / (len(lengths) - before)))
    return rounds


def test_each_seed_has_its_own_episodes_on_the_host(whole: Path) -> None:
    found = []
    for seed in (4, 5):
        records = records_of(whole / f"seed-{seed}")
        found.append(
            [(r["env_steps"], r["episodes"], pytest.approx(r["train_return"])) for r in records]
        )
        assert found[-1] == rounds_of(seed)
        assert [record["round"] for record in records] == list(range(1, len(records) + 1))
        for record in records:
            steps = [entry["env_steps"] for entry in record["evaluations"]]
            assert steps == sorted(set(steps))
            assert steps[-1] == record["env_steps"]
    assert [r[0] for r in found[0]] != [r[0] for r in found[1]]


def same_seeds(a: Path, b: Path, seeds: tuple[int, ...]) -> None:
    for seed in seeds:
        same_run(a / f"seed-{seed}", b / f"seed-{seed}")
    same = [json.loads((run / "summary.json").read_text()) for run in (a, b)]
    assert same[0]["returns"] == same[1]["returns"]


@pytest.mark.usefixtures("no_pictures")
def test_interrupted_seeds_resume_to_the_same_end(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_seeds(CONFIG, 2, run, progress=StopAfterRounds(1))
    assert kind_of(run) == "seeds"
    before = int(load_run(run / "seed-5").training.env_steps)
    assert before == records_of(whole / "seed-5")[0]["env_steps"]
    # As if the process had been killed while it wrote the next round: one seed is ahead.
    ahead, own = (each / "seed-4" for each in (whole, run))
    shutil.copy(ahead / "checkpoint/training.npz", own / "checkpoint/training.npz")
    first, rest = (each / "metrics.jsonl" for each in (own, ahead))
    lines = [*first.read_text().splitlines()[:1], *rest.read_text().splitlines()[1:]]
    first.write_text("".join(f"{line}\n" for line in lines))
    written = run / "seed-5" / "config.toml"
    text = written.read_text()
    written.write_text(text.replace("batch = 8", "batch = 9", 1))
    with pytest.raises(UserError, match=r"seed-5' was begun with another config: .* is 9"):
        resume_seeds(run)
    written.write_text(text)
    progress = StopAfterRounds()
    resume(run, progress=progress)
    ends = [[line["env_steps"] for line in records_of(whole / f"seed-{s}")] for s in (4, 5)]
    assert progress.began == [max(each[0] for each in ends)]
    assert progress.recorded == [max(each) for each in zip(*ends, strict=True)][1:]
    same_seeds(whole, run, (4, 5))


def test_seeds_continue_after_their_last_phase(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_seeds(CONFIG, 2, run, progress=StopAfterEvaluations(1))
    assert kept(run).startswith("kept up to step 1")
    progress = StopAfterRounds()
    resume(run, progress=progress)
    assert 10 <= progress.began[0] < 20
    same_seeds(whole, run, (4, 5))


def test_finished_seeds_are_extended(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    with pytest.raises(UserError, match="`steps` was 50, .* has made 60 steps already"):
        resume(run, steps=50)
    with pytest.raises(KeyboardInterrupt):
        resume(run, steps=70, progress=StopAfterEvents(1))
    assert not (run / "summary.json").exists()
    for seed in (4, 5):
        loaded, before = (load_run(each / f"seed-{seed}") for each in (run, whole))
        assert (loaded.config.steps, int(loaded.training.env_steps)) == (70, 60)
        added = int(before.training.buffer.added)
        assert int(loaded.training.buffer.added) == added
        for old, new in zip(
            before.training.buffer.experience.state,
            loaded.training.buffer.experience.state,
            strict=True,
        ):
            np.testing.assert_array_equal(new[:added], old[:added])


@pytest.mark.usefixtures("no_pictures")
def test_seeds_interrupted_before_their_first_round_begin_again(
    whole: Path, tmp_path: Path
) -> None:
    class AtOnce(Silence):
        def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_seeds(CONFIG, 2, tmp_path / "run", progress=AtOnce())
    resume_seeds(tmp_path / "run")
    same_seeds(whole, tmp_path / "run", (4, 5))


def test_impossible_seeds_are_refused_before_anything_is_written(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    for seeds in (0, -2):
        with pytest.raises(UserError, match=rf"`seeds` was {seeds}: expected `int` >= 1"):
            train_seeds(CONFIG, seeds, out)
    with monkeypatch.context() as patch:
        patch.setattr(seeds_module, "available_memory", lambda: 1_000_000)
        with pytest.raises(UserError, match=r"`seeds` was 1000: each takes"):
            train_seeds(CONFIG, 1000, out)
    assert not out.exists()
    with pytest.raises(UserError, match="already holds a run"):
        train_seeds(CONFIG, 2, whole)


def test_a_run_of_one_seed_and_one_of_several_are_told_apart(whole: Path) -> None:
    with pytest.raises(UserError, match=r"a run of several seeds; .*one of them.*seed-4"):
        load_run(whole)
    message = r"holds a run of `lagdyna train`; a directory that `lagdyna train --seeds`"
    with pytest.raises(UserError, match=message):
        resume_seeds(whole / "seed-4")


def test_a_damaged_list_of_seeds_is_refused(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "summary.json").unlink()
    for text, said in (('{"see', "is not whole"), ('{"seeds": []}', "has no checksum")):
        (run / "seeds.json").write_text(text)
        with pytest.raises(UserError, match=said):
            resume_seeds(run)

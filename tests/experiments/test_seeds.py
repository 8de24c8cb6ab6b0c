"""Several seeds as one program."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lagdyna.experiments import (
    Silence,
    Trainer,
    UserError,
    evaluate,
    is_several,
    load_run,
    resume,
    resume_seeds,
    train_seeds,
)
from lagdyna.experiments import _seeds as seeds_module
from lagdyna.experiments._curves import curves, evaluations_of
from lagdyna.experiments._seeds import ManySeeds
from lagdyna.experiments._statistics import interquartile_interval, interquartile_mean
from lagdyna.experiments._worlds import EPISODE, start_seeds
from lagdyna.tasks import get_task

from .. import environments as environments  # registers them
from .small import small_config
from .test_resume import Phases
from .test_run import SUMMARY, records_of, same_run

TASK = dataclasses.replace(
    get_task("Pendulum-v1"), env_id="lagdyna-tests/Countdown-v0", repeat=2
)
# Episodes end after one to nine steps, at other times for each seed.
CONFIG = small_config(
    task=dataclasses.asdict(TASK),
    solver={"name": "euler"},
    learner={"updates": 5},
    agent={"updates": 3},
    seed=4,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeds 4 and 5, three rounds."""
    out = tmp_path_factory.mktemp("several") / "run"
    train_seeds(CONFIG, 2, out)
    return out


def test_eight_seeds_on_eight_devices_are_eight_runs() -> None:
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-m", "tests.experiments.eight_devices"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["leaves"] > 20


def test_the_directory_holds_a_run_for_each_seed(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert names == {
        *("seed-4", "seed-5", "seeds.json", "checkpoint"),
        *("learning_curve.png", "summary.json"),
    }
    for seed in (4, 5):
        run = whole / f"seed-{seed}"
        assert {path.name for path in run.iterdir()} == {
            *("config.toml", "metrics.jsonl", "summary.json", "checkpoint"),
            *("learning_curve.png", "energy.png"),
        }
        summary = json.loads((run / "summary.json").read_text())
        assert set(summary) == SUMMARY
        assert summary["seed"] == seed
        assert records_of(run)[-1]["env_steps"] == 60
        loaded = load_run(run)
        assert loaded.config.seed == seed == int(loaded.training.seed)
        assert resume(run) == summary
    assert len(evaluate(whole / "seed-4", out=whole.parent / "judged")["returns"]) == 2
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
    assert resume_seeds(whole) == summary


def lived(seed: int) -> list[tuple[int, int, float]]:
    """Steps, episodes and mean return after each round, from the episodes' lengths alone."""
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


def test_on_the_host_each_seed_goes_its_own_way(whole: Path) -> None:
    found = []
    for seed in (4, 5):
        records = records_of(whole / f"seed-{seed}")
        found.append(
            [(r["env_steps"], r["episodes"], pytest.approx(r["train_return"])) for r in records]
        )
        assert found[-1] == lived(seed)
        assert [record["round"] for record in records] == list(range(1, len(records) + 1))
        for record in records:
            steps = [entry["env_steps"] for entry in record["evaluations"]]
            assert steps == sorted(set(steps))
            assert steps[-1] == record["env_steps"]
    assert [r[0] for r in found[0]] != [r[0] for r in found[1]]


def same_several(a: Path, b: Path, seeds: tuple[int, ...]) -> None:
    for seed in seeds:
        same_run(a / f"seed-{seed}", b / f"seed-{seed}")
    same = [json.loads((run / "summary.json").read_text()) for run in (a, b)]
    assert same[0]["returns"] == same[1]["returns"]


def test_interrupted_several_seeds_resume_to_the_same_end(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_seeds(CONFIG, 2, run, progress=Phases(1))
    assert is_several(run)
    before = int(load_run(run / "seed-5").training.env_steps)
    assert before == records_of(whole / "seed-5")[0]["env_steps"]
    # As if it had died while it wrote the next round down: one seed is ahead.
    for name in ("metrics.jsonl", "checkpoint/training.npz"):
        shutil.copy(whole / "seed-4" / name, run / "seed-4" / name)
    written = run / "seed-5" / "config.toml"
    text = written.read_text()
    written.write_text(text.replace("batch = 8", "batch = 9", 1))
    with pytest.raises(UserError, match=r"seed-5' was begun with another config: .* is 9"):
        resume_seeds(run)
    written.write_text(text)
    progress = Phases()
    resume_seeds(run, progress=progress)
    ends = [[line["env_steps"] for line in records_of(whole / f"seed-{s}")] for s in (4, 5)]
    assert progress.began == [max(each[0] for each in ends)]
    assert progress.recorded == [max(each) for each in zip(*ends, strict=True)][1:]
    same_several(whole, run, (4, 5))


def test_interrupted_before_its_first_round_it_begins_again(
    whole: Path, tmp_path: Path
) -> None:
    class AtOnce(Silence):
        def phase(self, name: str, done: int, total: int, metrics: dict[str, float]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_seeds(CONFIG, 2, tmp_path / "run", progress=AtOnce())
    resume_seeds(tmp_path / "run")
    same_several(whole, tmp_path / "run", (4, 5))


def test_what_cannot_be_is_refused_before_anything_is_written(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    for seeds in (0, -2):
        with pytest.raises(UserError, match=rf"`seeds` was {seeds}: expected `int` >= 1"):
            train_seeds(CONFIG, seeds, out)
    monkeypatch.setattr(seeds_module, "available_memory", lambda: 1_000_000)
    with pytest.raises(UserError, match=r"`seeds` was 1000: each takes") as error:
        train_seeds(CONFIG, 1000, out)
    most = int(str(error.value).split("at most ")[1].split()[0])
    assert 1 <= most < 1000
    ManySeeds(Trainer(CONFIG), range(most))._check_memory()
    with pytest.raises(UserError, match=f"at most {most} are accepted"):
        ManySeeds(Trainer(CONFIG), range(most + 1))._check_memory()
    assert not out.exists()
    with pytest.raises(UserError, match="already holds a run"):
        train_seeds(CONFIG, 2, whole)
    with pytest.raises(UserError, match=r"a run of several seeds; .*one of them.*seed-4"):
        load_run(whole)
    with pytest.raises(UserError, match="holds no run of several seeds"):
        resume_seeds(whole / "seed-4")


def test_a_list_of_seeds_that_is_damaged(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "summary.json").unlink()
    for text, said in (('{"see', "is not whole"), ('{"seeds": []}', "has no list of `seeds`")):
        (run / "seeds.json").write_text(text)
        with pytest.raises(UserError, match=said):
            resume_seeds(run)


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    values = np.asarray([-1000.0, 3.0, 1.0, 2.0, 4.0, 7.0, 5.0, 900.0])
    assert interquartile_mean(values) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean(np.asarray([1.0, 2.0, 6.0])) == pytest.approx(3.0)
    assert interquartile_interval(values[:1, None]) is None


def test_the_interval_covers_the_mean_it_is_for() -> None:
    """Of 60 samples of normal numbers, 95 in 100 intervals of 20 should hold their mean."""
    rng = np.random.default_rng(0)
    samples = rng.normal(3.0, 1.0, (20, 60))
    found = interquartile_interval(samples)
    again = interquartile_interval(samples)
    assert found is not None
    assert again is not None
    np.testing.assert_array_equal(found, again)
    low, high = found
    covered = np.mean((low <= 3.0) & (high >= 3.0))
    assert 0.85 <= covered <= 1.0
    # The interval of so many normal numbers is about 4 times their standard error wide.
    assert 0.6 < np.mean(high - low) / (4 / np.sqrt(20)) < 1.4


def test_curves_of_seeds_that_were_judged_at_other_times() -> None:
    def line(*points: tuple[int, float]) -> list[dict[str, Any]]:
        return [{"evaluations": [{"env_steps": s, "return_mean": r} for s, r in points]}]

    seeds = [line((10, 1.0), (20, 2.0)), line((12, 5.0), (25, 6.0))]
    times, returns = curves([evaluations_of(lines) for lines in seeds])
    np.testing.assert_array_equal(times, [12, 20, 25])
    np.testing.assert_array_equal(returns, [[1.0, 2.0, 2.0], [5.0, 5.0, 6.0]])

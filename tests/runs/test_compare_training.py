"""Comparison of agents, by runs whose files are made up."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lagdyna import UserError
from lagdyna.config import config_from_table
from lagdyna.options import config_to_toml
from lagdyna.results import digest_of_lines, write_json_lines, write_run_file, write_sealed
from lagdyna.runs import compare, compare_training
from lagdyna.runs._directory import digest_of_seeds


def made_up(
    out: Path,
    returns: list[float],
    task: str = "Pendulum-v1",
    seed: int = 0,
    first: int = 50,
    **more: Any,
) -> None:
    """A finished run that was evaluated every 50 steps, but for the first evaluation."""
    (out / "checkpoint").mkdir(parents=True)
    config = config_from_table({"task": task, "seed": seed, **more}).resolved()
    (out / "config.toml").write_text(config_to_toml(config))
    evaluations = [
        {"env_steps": 50 * (i + 1) if i else first, "return_mean": value, "return_std": 1.0}
        for i, value in enumerate(returns)
    ]
    records = [{"evaluations": evaluations}]
    write_json_lines(out / "metrics.jsonl", records)
    parts = {
        name: None if part is None else part.name
        for name in ("agent", "model", "learner", "solver")
        for part in [getattr(config, name)]
    }
    summary = {
        **REST,
        **parts,
        "task": config.task.env_id,
        "target_return": config.task.target_return,
        "return_mean": returns[-1],
        "env_steps": 50 * len(returns),
    }
    write_sealed(out / "summary.json", summary, digest_of_lines(records))
    write_run_file(out, "train")


REST = {
    "return_std": 1.0,
    "eval_episodes": 1,
    "steps_to_target": None,
    "wall_seconds": 1.0,
}


def several(
    out: Path, returns: list[list[float]], first: tuple[int, ...] = (50, 50, 50), **more: Any
) -> None:
    for seed, each in enumerate(returns):
        made_up(out / f"seed-{seed}", each, seed=seed, first=first[seed], **more)
    seeds = [*range(len(returns))]
    write_sealed(out / "seeds.json", {"seeds": seeds})
    summary: dict[str, Any] = {
        **{"agent": "dyna", "model": None, "learner": None, "seeds": seeds, "env_steps": 50},
        **{"return_interquartile_mean": 1.0, "return_interval": None, "steps_to_target": []},
        **{"target_return": None, "wall_seconds": 1.0},
    }
    records = [[{"evaluations": evaluations_in(out / f"seed-{seed}")}] for seed in seeds]
    write_sealed(out / "summary.json", summary, digest_of_seeds(records))
    write_run_file(out, "seeds")


def evaluations_in(run: Path) -> list[Any]:
    (line,) = (run / "metrics.jsonl").read_text().splitlines()
    return json.loads(line)["evaluations"]


SLOW = [[-900.0, -500.0, -190.0], [-900.0, -400.0, -300.0], [-800.0, -500.0, -195.0]]
FAST = [[-900.0, -150.0, -150.0], [-180.0, -150.0, -140.0], [-900.0, -199.0, -160.0]]


def test_agents_are_compared_over_all_of_their_seeds(tmp_path: Path) -> None:
    several(tmp_path / "slow", SLOW)
    several(tmp_path / "fast", FAST, agent={"name": "dyna", "ratio": 0.0})
    made_up(tmp_path / "one", [-300.0, -150.0])
    runs: list[Any] = [tmp_path / name for name in ("slow", "fast", "one")]
    rows = compare_training(runs, tmp_path / "out")
    slow, fast, one = rows
    assert [row["seeds"] for row in rows] == [3, 3, 1]
    assert [row["agent"] for row in rows] == ["imagination", "dyna", "imagination"]
    assert [row["model"] for row in rows] == ["delan", None, "delan"]
    assert slow["return"] == pytest.approx(np.mean([-190, -300, -195]))
    assert slow["return_interval"][0] < slow["return"] < slow["return_interval"][1]
    assert (slow["reached"], slow["steps_to_target"]) == (2, 150)
    assert (fast["reached"], fast["steps_to_target"]) == (3, pytest.approx(250 / 3))
    assert slow["better_return"] is None
    assert fast["better_return"] == {"probability": 1.0, "low": 1.0, "high": 1.0}
    assert fast["fewer_steps"]["probability"] == 1.0
    assert one["better_return"] == {"probability": 1.0, "low": None, "high": None}
    assert one["return_interval"] is None
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == rows
    with Image.open(tmp_path / "out" / "learning_curves.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    assert compare(runs) == rows


def test_another_target_can_be_given(tmp_path: Path) -> None:
    several(tmp_path / "slow", SLOW)
    (row,) = compare_training([tmp_path / "slow"], target=-450.0)
    assert (row["reached"], row["target_return"]) == (3, -450.0)
    assert row["steps_to_target"] == pytest.approx((150 + 100 + 150) / 3)


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`runs` was empty"):
        compare_training([])
    made_up(tmp_path / "a", [-1.0])
    made_up(tmp_path / "b", [1.0], task="acrobot")
    with pytest.raises(UserError, match="learned Pendulum-v1, and .* learned lagdyna/Acrobot"):
        compare_training([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "a" / "summary.json").unlink()
    (tmp_path / "early").mkdir()  # as of a run that was stopped before it began
    for others, target in itertools.product(([], [tmp_path / "early"]), (None, 200.0)):
        runs: list[str | Path] = [tmp_path / "a", *others]
        with pytest.raises(UserError, match="a', which is not finished .*`lagdyna resume .*a`"):
            compare(runs, target=target)
    with pytest.raises(UserError, match="early', which holds no run of `lagdyna train`"):
        compare([tmp_path / "early"], target=200.0)
    with pytest.raises(UserError, match="holds no run"):
        compare_training([tmp_path / "nothing"])


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("metrics.jsonl", None),
        ("metrics.jsonl", b""),
        ("metrics.jsonl", b'{"evaluations": [{"env_st'),
        ("metrics.jsonl", b"\xff\xfe"),
        ("summary.json", b"{}"),
        ("summary.json", b'{"return_mean": 1.0}'),
    ],
)
def test_a_damaged_run_is_refused(tmp_path: Path, file: str, damage: bytes | None) -> None:
    made_up(tmp_path / "a", [-1.0])
    if damage is None:
        (tmp_path / "a" / file).unlink()
    else:
        (tmp_path / "a" / file).write_bytes(damage)
    with pytest.raises(UserError, match=rf"{file}.* (is missing|do not|has no checksum)"):
        compare_training([tmp_path / "a"])


def test_a_fit_beside_a_training_run_is_refused(tmp_path: Path) -> None:
    made_up(tmp_path / "a", [-1.0])
    (tmp_path / "fit").mkdir()
    write_run_file(tmp_path / "fit", "fit")
    for function in (compare, compare_training):
        with pytest.raises(UserError, match="holds a fit, beside runs of `lagdyna train`"):
            function([tmp_path / "a", tmp_path / "fit"])
    with pytest.raises(UserError, match="`target` was -200 for fits, which have no return"):
        compare([tmp_path / "fit"], target=-200.0)


def test_a_run_of_lagdyna_0_1_is_refused(tmp_path: Path) -> None:
    made_up(tmp_path / "a", [-1.0])
    (tmp_path / "a" / "run.json").unlink()
    with pytest.raises(UserError, match=r"was written by lagdyna 0\.1"):
        compare([tmp_path / "a"])


def test_directories_of_the_same_name_and_seeds_evaluated_at_other_steps(
    tmp_path: Path,
) -> None:
    """Each seed counts by its own evaluations, each directory has its own row."""
    for name in ("x", "y"):
        returns = [[-100.0, -900.0], [-900.0, -900.0]]
        several(tmp_path / name / "run", returns, first=(50, 90))
    rows = compare_training([tmp_path / "x" / "run", tmp_path / "y" / "run"], tmp_path / "out")
    assert [(row["reached"], row["steps_to_target"]) for row in rows] == [(1, 50)] * 2
    assert rows[1]["fewer_steps"]["probability"] == 0.5


def test_what_differs_besides_the_parts_is_noted(tmp_path: Path) -> None:
    several(tmp_path / "three", SLOW)
    several(tmp_path / "same", FAST, agent={"name": "dyna", "ratio": 0.0})
    made_up(tmp_path / "one", [-300.0, -150.0], seed=4)
    other = {**config_from_table({}).task.__dict__, "dt": 0.1}
    other["coordinates"] = [each.__dict__ for each in other["coordinates"]]
    several(tmp_path / "other", SLOW, task=other, evaluation={"episodes": 3})
    runs: list[Any] = [tmp_path / name for name in ("three", "same", "one", "other")]
    three, same, one, another = (row["notes"] for row in compare_training(runs))
    few = "{}, and the next seed may change the order of methods; use 5 or more"
    three_are_few = few.format("3 seeds: the interval is too narrow")
    assert three == []
    assert same == [three_are_few]
    assert one == [
        "100 environment steps, where three has 150: returns are of different amounts of "
        "experience",
        "seed 4, where three has seeds 0 to 2",
        few.format("1 seed: a single seed has no interval"),
    ]
    assert another == [
        "another description of the task than three: `task.dt` was 0.05 and is 0.1",
        "other evaluations than three: `evaluation.episodes` was 100 and is 3",
        three_are_few,
    ]

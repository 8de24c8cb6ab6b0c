"""Agents beside each other, from runs made up line by line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import mannwhitneyu

from lagdyna.experiments import UserError, compare_training, config_from_table
from lagdyna.experiments._statistics import improvement, interval, sooner
from lagdyna.experiments._toml import config_to_toml

finite = st.floats(-1e3, 1e3)


@given(st.lists(finite, min_size=1, max_size=8), st.lists(finite, min_size=1, max_size=8))
def test_improvement_is_the_fraction_of_pairs(ours: list[float], theirs: list[float]) -> None:
    a, b = np.asarray(ours), np.asarray(theirs)
    found = improvement(a, b)
    pairs = [(x > y) + 0.5 * (x == y) for x in ours for y in theirs]
    assert found.probability == pytest.approx(np.mean(pairs))
    u = mannwhitneyu(a, b).statistic / (len(a) * len(b))
    assert found.probability == pytest.approx(u)
    assert improvement(b, a).probability == pytest.approx(1 - found.probability)
    if min(len(a), len(b)) < 2:
        assert (found.low, found.high) == (None, None)
    else:
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.probability <= found.high <= 1


def test_sooner_counts_what_the_data_say_and_halves_what_they_do_not() -> None:
    never = np.nan
    ours, theirs = np.asarray([100.0, never]), np.asarray([100.0, 300.0, never])
    # Ours ended after 200 steps, theirs after 1000. 100 ties with 100 and is before the others;
    # what had not arrived by 200 is after 100, and may or may not be before 300.
    found = sooner(ours, theirs, (200.0, 1000.0))
    assert found.probability == pytest.approx((0.5 + 1 + 1 + 0 + 0.5 + 0.5) / 6)
    assert sooner(theirs, ours, (1000.0, 200.0)).probability == pytest.approx(2.5 / 6)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.probability <= found.high <= 1


def test_what_is_not_a_number_is_the_worst() -> None:
    assert improvement(np.asarray([np.nan]), np.asarray([-1e9])).probability == 0
    assert improvement(np.asarray([np.nan]), np.asarray([np.nan])).probability == 0.5


def test_the_interval_holds_the_mean_of_what_was_drawn() -> None:
    """In about 95 of 100 samples of a known distribution; never less than 80 here."""
    draws = np.random.default_rng(0).normal(3.0, 1.0, (100, 10))
    held = 0
    for sample in draws:
        ends = interval(sample)
        assert ends is not None
        held += ends[0] <= 3.0 <= ends[1]
    assert 80 <= held <= 99
    assert interval(np.asarray([1.0])) is None


def made_up(
    out: Path, returns: list[float], task: str = "Pendulum-v1", seed: int = 0, **more: Any
) -> None:
    """A finished run that was evaluated every 50 steps."""
    (out / "checkpoint").mkdir(parents=True)
    config = config_from_table({"task": task, "seed": seed, **more})
    (out / "config.toml").write_text(config_to_toml(config))
    evaluations = [
        {"env_steps": 50 * (i + 1), "return_mean": value, "return_std": 1.0}
        for i, value in enumerate(returns)
    ]
    (out / "metrics.jsonl").write_text(json.dumps({"evaluations": evaluations}) + "\n")
    parts = {"model": config.model.name, "learner": config.learner.name, "solver": "heun"}
    summary = {**parts, "return_mean": returns[-1], "env_steps": 50 * len(returns)}
    (out / "summary.json").write_text(json.dumps(summary))


def many(out: Path, returns: list[list[float]], **more: Any) -> None:
    for seed, each in enumerate(returns):
        made_up(out / f"seed-{seed}", each, seed=seed, **more)
    (out / "seeds.json").write_text(json.dumps({"seeds": [*range(len(returns))]}))


SLOW = [[-900.0, -500.0, -190.0], [-900.0, -400.0, -300.0], [-800.0, -500.0, -195.0]]
FAST = [[-900.0, -150.0, -150.0], [-180.0, -150.0, -140.0], [-900.0, -199.0, -160.0]]


def test_agents_are_compared_by_all_of_their_seeds(tmp_path: Path) -> None:
    many(tmp_path / "slow", SLOW)
    many(tmp_path / "fast", FAST, agent={"name": "dyna"})
    made_up(tmp_path / "one", [-300.0, -150.0])
    runs: list[Any] = [tmp_path / name for name in ("slow", "fast", "one")]
    rows = compare_training(runs, tmp_path / "out")
    slow, fast, one = rows
    assert [row["seeds"] for row in rows] == [3, 3, 1]
    assert [row["agent"] for row in rows] == ["imagination", "dyna", "imagination"]
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


def test_the_target_can_be_another(tmp_path: Path) -> None:
    many(tmp_path / "slow", SLOW)
    (row,) = compare_training([tmp_path / "slow"], target=-450.0)
    assert (row["reached"], row["target_return"]) == (3, -450.0)
    assert row["steps_to_target"] == pytest.approx((150 + 100 + 150) / 3)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`runs` was empty"):
        compare_training([])
    made_up(tmp_path / "a", [-1.0])
    made_up(tmp_path / "b", [1.0], task="acrobot")
    with pytest.raises(UserError, match="learned Pendulum-v1, and .* learned lagdyna/Acrobot"):
        compare_training([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "a" / "summary.json").unlink()
    with pytest.raises(UserError, match="has not come to its end; once `lagdyna resume`"):
        compare_training([tmp_path / "a"])
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
    with pytest.raises(
        UserError, match=r"metrics.jsonl. or .summary.json. is missing, cut off"
    ):
        compare_training([tmp_path / "a"])


def test_a_fit_beside_a_run_is_refused(tmp_path: Path) -> None:
    made_up(tmp_path / "a", [-1.0])
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "config.toml").write_text('[data]\nfile = "x.csv"\n')
    with pytest.raises(UserError, match="holds a fit, beside runs of `lagdyna train`"):
        compare_training([tmp_path / "a", tmp_path / "fit"])


def test_runs_of_the_same_name_and_seeds_judged_at_other_times(tmp_path: Path) -> None:
    """Each seed counts by its own evaluations, each directory has its own line."""
    for name in ("x", "y"):
        many(tmp_path / name / "run", [[-100.0, -900.0], [-900.0, -900.0]])
        late = tmp_path / name / "run" / "seed-1" / "metrics.jsonl"
        late.write_text(late.read_text().replace(": 50,", ": 90,"))
    rows = compare_training([tmp_path / "x" / "run", tmp_path / "y" / "run"], tmp_path / "out")
    assert [(row["reached"], row["steps_to_target"]) for row in rows] == [(1, 50)] * 2
    assert rows[1]["fewer_steps"]["probability"] == 0.5

"""Stored runs, their protocols, and the tables that are made of them."""

import dataclasses
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.config import Config, config_from_table, load_config
from lagdyna.options import config_to_toml
from lagdyna.reproductions.ramesh2023_suite import PAPER, run_config, steps_of
from lagdyna.results import (
    digest_of,
    digest_of_lines,
    save_checkpoint,
    write_json_lines,
    write_run_file,
    write_sealed,
)
from lagdyna.runs._directory import digest_of_seeds

TOP = Path(__file__).parents[1]
if not (TOP / "benchmarks").is_dir():
    pytest.skip("the ledger is part of a clone only", allow_module_level=True)
sys.path.insert(0, str(TOP / "benchmarks"))
collect: Any = importlib.import_module("collect")
ledger: Any = importlib.import_module("_ledger")
panels: Any = importlib.import_module("_panels")
protocols: Any = importlib.import_module("_protocols")
summaries: Any = importlib.import_module("_summaries")
tables: Any = importlib.import_module("tables")

# Protocols of a few steps, in place of the published ones.
CONFIGS = {
    "suite/pendulum.delan": 'task = "pendulum"\nsteps = 300\n',
    "suite/pendulum.mlp": 'task = "pendulum"\nsteps = 300\nmodel = "mlp"\n',
    "yardsticks/Pendulum-v1.imagination": 'task = "Pendulum-v1"\nsteps = 200\n',
    "ablations/cartpole.defaults": 'task = "cartpole"\nsteps = 100\n',
    "ablations/cartpole.constant-entropy": 'task = "cartpole"\nsteps = 100\n'
    "agent.entropy_end = 1.0\n",
    "ablations/pendulum.constant-entropy": 'task = "pendulum"\nsteps = 300\n'
    "agent.entropy_end = 1.0\n",
    "agents/Pendulum-v1.td3": 'task = "Pendulum-v1"\nsteps = 400\nagent.name = "dyna"\n'
    "agent.ratio = 0.0\n",
}
DELAN, MLP, YARDSTICK, DEFAULTS, CHANGED, SUITE_CHANGED, TD3 = CONFIGS
FIGURES = {"one_step_l1": 2e-5, "observed_l1": 1e-5, "held_l1": None}


class Place:
    """Protocols and a ledger in a temporary folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.results, self.protocols = folder / "results", folder / "protocols"
        self.results.mkdir()
        for name, text in CONFIGS.items():
            path = self.protocols / f"{name}.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, name: str = DELAN, seed: int = 0, **more: Any) -> Path:
        """A run directory whose files are made up."""
        config = load_config(self.protocols / f"{name}.toml")
        config = dataclasses.replace(config.resolved(), seed=seed)
        return made_up(self.folder / "runs" / f"{name}-{seed}", config, **more)

    def add(self, *runs: Path) -> list[Path]:
        return collect.collect([*runs], self.results, self.protocols, lambda *_: FIGURES)

    def json(self) -> dict[str, Any]:
        return tables.Tables(self.results, self.protocols).json()

    def files(self) -> dict[str, bytes]:
        paths = [path for path in self.results.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.results)): path.read_bytes() for path in paths}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def made_up(
    out: Path,
    config: Config,
    returns: tuple[float, ...] = (700.0, 750.0, 780.0),
    seconds: Any = 12.5,
    **more: Any,
) -> Path:
    """A finished run with evaluations at equal distances."""
    (out / "checkpoint").mkdir(parents=True)
    text, steps = config_to_toml(config), config.steps or 0
    (out / "config.toml").write_text(text)
    evaluations = [
        {"env_steps": steps * (i + 1) // len(returns), "return_mean": x, "return_std": 1.0}
        for i, x in enumerate(returns)
    ]
    records = [{"round": 1, "env_steps": steps, "evaluations": evaluations, "loss": 1 / 3}]
    write_json_lines(out / "metrics.jsonl", records)
    save_checkpoint(out / "checkpoint" / "training.npz", {}, {"config": text})
    write_run_file(out, "train", steps=more.pop("begun", steps))
    summary = {
        **{"task": config.task.env_id, "agent": config.agent.name, "model": None},
        **{"learner": None, "env_steps": steps, "return_mean": returns[-1], "return_std": 1.0},
        **{"eval_episodes": 1, "steps_to_target": None, "target_return": None},
        **{"numerics": 1, "commit": "c0ffee", "device": "cpu (cpu)", "seed": config.seed},
        **{"machine": {"cores": 2}, "versions": {"lagdyna": "0.2.0", "jax": "0.10"}},
        **{"wall_seconds": seconds, **more},
    }
    kept = {name: value for name, value in summary.items() if value != "left out"}
    write_sealed(out / "summary.json", kept, digest_of_lines(records))
    return out


def resealed(path: Path, **changes: Any) -> None:
    """Change a file of the ledger as its writer would."""
    value = {**json.loads(path.read_text()), **changes}
    value.pop("seal")
    seal = {"sha256": digest_of([value, None], path.name)}
    path.write_text(json.dumps({**value, "seal": seal}))


def test_the_tables_follow_the_stored_runs(place: Place) -> None:
    first = place.run(seed=0, returns=(700.0, 760.0, 780.0))
    second = place.run(seed=3, returns=(600.0, 640.0, 700.0))
    written = place.add(first, second)
    row = place.json()["suite"]["pendulum"]["delan"]
    assert (row["seeds"], row["of"], row["return"]) == (2, 5, 740.0)
    assert row["return_low"] == 700.0 <= row["return"] <= row["return_high"] == 780.0
    # One seed never reaches 95 % of the paper's 787.
    assert (row["steps_to_95"], row["reached"]) == (None, 1)
    assert (row["one_step_l1"], row["seconds"]) == (pytest.approx(2e-5), 12.5)
    assert place.json()["suite"]["pendulum"]["mlp"]["seeds"] == 0
    # A run is removed.
    written[1].unlink()
    row = place.json()["suite"]["pendulum"]["delan"]
    assert (row["seeds"], row["return"], row["steps_to_95"]) == (1, 780.0, 200.0)
    assert row["return_low"] is None
    # The other gets another fingerprint.
    resealed(written[0], numerics=0)
    found = place.json()
    assert found["suite"]["pendulum"]["delan"]["seeds"] == 0
    assert found["left_out"] == {DELAN: 1}
    # The seed is missing again, and both stay apart.
    place.add(first)
    assert place.json()["suite"]["pendulum"]["delan"]["seeds"] == 1
    assert len(place.files()) == 1


@pytest.mark.parametrize(
    "change", [{"steps": 299}, {"learner": {"rate": 1e-4}}, {"evaluation": {"episodes": 7}}]
)
def test_another_config_is_told_apart(place: Place, change: dict[str, Any]) -> None:
    (path,) = place.add(place.run())
    config = json.loads(path.read_text())["config"]
    for name, value in change.items():
        config[name] = {**config[name], **value} if isinstance(value, dict) else value
    resealed(path, config=config)
    assert place.json()["suite"]["pendulum"]["delan"]["seeds"] == 0


def test_an_option_that_is_newer_than_a_run_does_not_set_it_apart(place: Place) -> None:
    (path,) = place.add(place.run())
    config = json.loads(path.read_text())["config"]
    del config["learner"]["clip"], config["task"]["unchecked"]
    resealed(path, config=config)
    assert place.json()["suite"]["pendulum"]["delan"]["seeds"] == 1
    resealed(path, config={**config, "learner": {**config["learner"], "gone": 1}})
    assert place.json()["left_out"] == {DELAN: 1}


def test_a_stored_run_is_small_text_that_reads_back(place: Place) -> None:
    (path,) = place.add(place.run(seed=4))
    run = ledger.read_run(path)
    assert path.relative_to(place.results).parts[:2] == ("suite", "pendulum.delan")
    assert path.name == f"seed-4-{run.fingerprint[:8]}.json"
    assert (run.seed, run.seconds, run.at_once, run.commit) == (4, 12.5, 1, "c0ffee")
    assert (run.numerics, run.lagdyna, run.versions) == (1, "0.2.0", {"jax": "0.10"})
    assert run.figures == FIGURES
    assert run.metrics[0]["loss"] == np.float32(0.333333333)
    assert config_from_table(run.config).task.env_id == "lagdyna/Pendulum-v0"
    assert len(path.read_text().splitlines()) < 30


def test_the_seeds_of_one_program_are_runs(place: Place) -> None:
    out = place.folder / "many"
    config = load_config(place.protocols / f"{YARDSTICK}.toml").resolved()
    for seed in (0, 1):
        made_up(out / f"seed-{seed}", dataclasses.replace(config, seed=seed))
    records = [
        [json.loads(line) for line in (out / f"seed-{i}/metrics.jsonl").open()] for i in (0, 1)
    ]
    write_sealed(out / "seeds.json", {"seeds": [0, 1]})
    write_run_file(out, "seeds")
    with pytest.raises(UserError, match="is not finished; once `lagdyna resume"):
        place.add(out)
    summary = {
        **{"agent": "imagination", "model": None, "learner": None, "seeds": [0, 1]},
        **{"env_steps": 200, "return_interquartile_mean": 1.0, "return_interval": None},
        **{"steps_to_target": [], "target_return": None, "wall_seconds": 20.0},
    }
    write_sealed(out / "summary.json", summary, digest_of_seeds(records))
    assert [ledger.read_run(path).at_once for path in place.add(out)] == [2, 2]
    row = place.json()["yardsticks"]["Pendulum-v1"]["imagination"]
    # The seconds of a program of several seeds are not those of a run.
    assert (row["seeds"], row["seconds"]) == (2, None)


def truncate(path: Path) -> None:
    path.write_text(path.read_text()[:-20])


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


REFUSED: dict[str, tuple[Callable[[Place], Path], str]] = {
    "no run": (lambda p: p.folder, "holds no run; the directory of a finished `lagdyna train`"),
    "unfinished": (
        lambda p: [r := p.run(), (r / "summary.json").unlink()][0],
        "is not finished; once `lagdyna resume .* has finished it",
    ),
    "another protocol": (
        lambda p: made_up(p.folder / "x", config_of(p, DELAN, steps=250)),
        "is of no protocol; of 'suite/pendulum.delan', the nearest, `steps` was 300 and is 250",
    ),
    "already there": (
        lambda p: [r := p.run(), p.add(r)][0],
        "is seed 0 of 'suite/pendulum.delan', which is in the ledger already",
    ),
    "unknown task": (
        lambda p: made_up(p.folder / "x", Config(task="acrobot").resolved()),
        "is of the task 'lagdyna/Acrobot-v0', of which there is no table; those of Pend",
    ),
    "without seconds": (lambda p: p.run(seconds="left out"), "required field `wall_seconds`"),
    "of no seconds": (lambda p: p.run(seconds=0.0), "a run that says how long it took"),
    "without a seed": (lambda p: without_seed(p.run()), "the seed None in 'summary.json'"),
    "metrics cut off": (
        lambda p: [r := p.run(), truncate(r / "metrics.jsonl")][0],
        "'metrics.jsonl' do not belong together",
    ),
    "a changed return": (
        lambda p: [r := p.run(), replace(r / "summary.json", "780.0", "781.0")][0],
        "summary.json' is damaged: its values are not those that were written",
    ),
    "a changed config": (
        lambda p: [r := p.run(), replace(r / "config.toml", "hold = 1", "hold = 2")][0],
        "was begun with another config: `collect.hold` was 1 and is 2",
    ),
    "no checkpoint": (
        lambda p: [r := p.run(), (r / "checkpoint/training.npz").unlink()][0],
        "has no checkpoint, with which its config is compared",
    ),
    "older numerics": (lambda p: p.run(numerics=0), r"of version 0, 1 of the numerics"),
    "unknown numerics": (lambda p: p.run(numerics=None), "of version 1, unknown of the"),
    "extended": (lambda p: p.run(begun=200), "begun with 200 steps and extended to 300"),
    "another kind": (
        lambda p: [write_run_file(p.folder, "reproduction"), p.folder][1],
        "another kind, 'reproduction'; .*; the runs inside of it are accepted",
    ),
}


def config_of(place: Place, name: str, **changes: Any) -> Config:
    config = load_config(place.protocols / f"{name}.toml").resolved()
    return dataclasses.replace(config, **changes)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_stored_is_refused_and_nothing_is_written(
    place: Place, case: str
) -> None:
    make, message = REFUSED[case]
    good = place.run(MLP, seed=1)
    bad = make(place)
    before = place.files()
    with pytest.raises(UserError, match=message) as error:
        place.add(good, bad)
    assert "\n" not in str(error.value)
    assert place.files() == before


def without_seed(run: Path) -> Path:
    summary = json.loads((run / "summary.json").read_text())
    metrics = summary.pop("seal")["metrics"]
    del summary["seed"]
    write_sealed(run / "summary.json", summary, metrics)
    return run


def test_a_run_is_not_added_twice_by_one_command(place: Place) -> None:
    run = place.run()
    with pytest.raises(UserError, match="seed 0 of 'suite/pendulum.delan', which is in '.*run"):
        place.add(run, run)
    assert place.files() == {}


def test_a_failure_while_writing_leaves_the_ledger_as_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.add(place.run(seed=2))
    before, write, calls = place.files(), ledger.write_run, []

    def fails(run: Any, folder: Path) -> Path:
        calls.append(run.seed)
        if len(calls) == 2:
            raise UserError("the disk is full")
        return write(run, folder)

    monkeypatch.setattr(collect, "write_run", fails)
    with pytest.raises(UserError, match="the disk is full"):
        place.add(place.run(seed=0), place.run(seed=1))
    assert (calls, place.files()) == ([0, 1], before)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: replace(path, "780.0", "790.0"), "is damaged: its values are not those"),
        (truncate, "is not whole: .*`git checkout .*` restores a committed file"),
        (lambda path: path.with_name("notes.md").write_text("x"), "notes.md' is no stored run"),
        (lambda path: path.rename(path.with_name("seed-9-0.json")), "is damaged"),
        (lambda path: resealed(path, seed=1), "has no metrics, or another name than its"),
        (lambda path: resealed(path, metrics=[]), "has no metrics, or another name"),
        (lambda path: resealed(path, seconds=None), "damaged or of another kind: .*seconds"),
    ],
)
def test_a_damaged_ledger_is_named_and_left_as_it_is(
    place: Place, damage: Callable[[Path], Any], message: str
) -> None:
    (path,) = place.add(place.run())
    damage(path)
    before = place.files()
    for use in (place.json, lambda: place.add(place.run(MLP))):
        with pytest.raises(UserError, match=message):
            use()
    assert place.files() == before


def test_a_stored_run_of_no_protocol_is_named(place: Place) -> None:
    place.add(place.run())
    (place.protocols / f"{DELAN}.toml").unlink()
    with pytest.raises(UserError, match="a protocol that the tables do not know; put its file"):
        place.json()


def test_what_is_missing_is_listed_with_the_cheapest_first(place: Place) -> None:
    def missing(group: str | None = None) -> list[tuple[str, str]]:
        lines = collect.missing(group, place.results, place.protocols)
        words = [line.split() for line in lines]
        assert all(each[:3] == ["lagdyna", "train", "--config"] for each in words)
        return [(each[-1].removeprefix("runs/").rpartition("-")[0], each[5]) for each in words]

    assert len(missing()) == 29
    # An ablation is of three seeds.
    assert [seed for name, seed in missing("ablations") if name == CHANGED] == [*"012"]
    assert [name for name, _ in missing("suite")] == [MLP] * 5 + [DELAN] * 5
    place.add(place.run(seed=0, seconds=1.0), place.run(seed=3, seconds=1.0))
    assert missing()[:3] == [(DELAN, "1"), (DELAN, "2"), (DELAN, "4")]
    assert len(missing()) == 27
    with pytest.raises(UserError, match="was 'arms'; ablations, agents, suite, yardsticks are"):
        missing("arms")


def test_the_commands_end_with_one_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["collect.py", str(place.folder)])
    assert collect.main() == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("collect: ")
    assert found.err.count("\n") == 1
    (place.results / "x.txt").write_text("x")
    read = tables.Tables
    monkeypatch.setattr(tables, "Tables", lambda: read(place.results, place.protocols))
    monkeypatch.setattr(sys, "argv", ["tables.py", "--json"])
    assert tables.main() == 2
    assert capsys.readouterr().err.startswith("tables: ")


def test_a_target_is_held_if_no_later_evaluation_misses_it(place: Place) -> None:
    place.add(
        place.run(YARDSTICK, 0, returns=(-900.0, -150.0, -160.0)),
        place.run(YARDSTICK, 1, returns=(-150.0, -300.0, -160.0)),
        place.run(YARDSTICK, 2, returns=(-900.0, -300.0, -250.0)),
    )
    row = place.json()["yardsticks"]["Pendulum-v1"]["imagination"]
    assert (row["target"], row["reached"], row["held"]) == (-200.0, 2, 1)
    assert (row["steps"], row["decisions"], row["experience_seconds"]) == (200, 200, 10.0)
    assert row["steps_to_target"] is None
    text = tables.Tables(place.results, place.protocols).texts()
    assert "| 3 of 5 | 200 | 200 | 10 | -190 |" in text["yardsticks"]
    assert "| never (2 of 3) | 1 of 2 |" in text["yardsticks"]
    # The default agent stands in the table of agents too.
    assert text["agents"].splitlines()[2:][0].startswith("| `Pendulum-v1` | `imagination` | 3")


def test_ablations_say_how_often_the_defaults_are_better(place: Place) -> None:
    def lines() -> list[str]:
        text = tables.Tables(place.results, place.protocols).texts()["ablations"]
        return [line.split(" | ", 3)[-1] for line in text.splitlines()[2:]]

    assert lines() == []
    place.add(*(place.run(CHANGED, seed, returns=(600.0, 700.0 + seed)) for seed in (0, 1)))
    assert lines() == ["700 | 700 to 701 |  | never | 2.0e-5 |"]
    place.add(place.run(DEFAULTS, 0, returns=(500.0, 880.0)))
    assert [line.split(" | ")[2] for line in lines()] == ["", ""]  # of a single seed
    # The third seed of the defaults is worse than both with the change, the others are better.
    returns = {1: 870.0, 2: 300.0}
    place.add(*(place.run(DEFAULTS, i, returns=(500.0, x)) for i, x in returns.items()))
    first, second = lines()
    assert first == "683 | 300 to 880 |  | never (2 of 3) | 2.0e-5 |"
    assert second.startswith("700 | 700 to 701 | 0.67 (0.00 to 1.00) | never |")
    assert place.json()["ablations"]["cartpole"]["constant-entropy"]["of"] == 3
    tables.plot_ablations(
        place.folder / "x.png", tables.Tables(place.results, place.protocols).ablations()
    )
    assert (place.folder / "x.png").is_file()


def test_runs_of_the_suite_are_the_defaults_of_ablations_as_long(place: Place) -> None:
    place.add(*(place.run(DELAN, seed, returns=(780.0 + seed,)) for seed in range(4)))
    place.add(*(place.run(SUITE_CHANGED, seed, returns=(700.0,)) for seed in (0, 1)))
    text = tables.Tables(place.results, place.protocols).texts()["ablations"]
    first, second = [line.split(" | ") for line in text.splitlines()[2:]]
    assert first[:5] == ["| `pendulum`", "defaults", "4 of 5", "782", "780 to 783"]
    assert first[6] == "300"
    assert (second[1], second[5]) == ("constant entropy", "1.00 (1.00 to 1.00)")


def test_short_runs_stay_visible_beside_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(panels, "save", lambda figure, _: drawn.append(figure))
    short = np.asarray([50, 100]), np.asarray([-300.0, -160.0])
    long = np.asarray([200, 10_000]), np.asarray([-900.0, -170.0])
    for curves, scale in (({"a": [short]}, "linear"), ({"a": [short], "b": [long]}, "log")):
        panels.plot_panels(Path("x.png"), [panels.Panel("x", 10_000, curves, {})])
        axes = drawn[-1].axes[0]
        assert axes.get_xscale() == scale
        first, last = axes.transData.transform([(50, -200), (100, -200)])[:, 0]
        width = axes.bbox.width
        assert (last - first) / width == pytest.approx(
            50 / 10_000 if scale == "linear" else np.log(2) / np.log(200)
        )


def test_figures_of_a_task_are_chosen_by_its_name(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def scores(run: Path) -> dict[str, float]:
        asked.append(run)
        return {"success": 1.0, "score": 0.5, "robustness": 0.25}

    monkeypatch.setitem(collect.SCORES, "Pendulum", scores)
    monkeypatch.setattr(tables, "SCORED", ("Pendulum",))
    run = place.run(YARDSTICK, seed=0)
    collect.collect([run], place.results, place.protocols)
    assert asked == [run]
    # One failure of five seeds is visible.
    monkeypatch.setitem(collect.SCORES, "Pendulum", lambda _: {"success": 0.0})
    others = [place.run(YARDSTICK, seed=seed) for seed in range(1, 5)]
    collect.collect(others[:1], place.results, place.protocols)
    monkeypatch.setitem(collect.SCORES, "Pendulum", scores)
    collect.collect(others[1:], place.results, place.protocols)
    row = place.json()["yardsticks"]["Pendulum-v1"]["imagination"]
    assert row["success"] == pytest.approx(0.8)
    text = tables.Tables(place.results, place.protocols).texts()["yardsticks_scores"]
    assert "| `Pendulum-v1` | `imagination` | 5 of 5 | 10 | 0.8 |  |  |" in text


def test_models_are_compared_by_the_same_target(place: Place) -> None:
    delan = [place.run(DELAN, i, returns=(700.0, 780.0, 790.0 + i)) for i in range(3)]
    mlp = [place.run(MLP, i, returns=(600.0, 700.0, 770.0 + i)) for i in range(3)]
    place.add(*delan, *mlp)
    found = place.json()
    (row,) = found["suite_models"].values()
    assert row["seeds"] == [3, 3]
    assert row["better_return"][0] == row["fewer_steps"][0] == 1.0
    best = PAPER["pendulum"].delan.value
    mean, low, high = found["suite_aggregate"]["delan"]
    assert mean == pytest.approx(791.0 / best)
    assert 790.0 / best <= low < mean < high <= 792.0 / best


def test_the_bootstrap_over_tasks_is_stratified() -> None:
    """Tasks whose seeds agree leave no interval, however much the tasks differ."""
    mean, low, high = summaries.aggregate([np.full(5, 0.2), np.full(5, 1.0)])
    assert mean == pytest.approx(0.6) == low == high
    assert summaries.aggregate([]) is None


def test_figures_are_drawn_without_any_run(place: Place) -> None:
    place.add(place.run(seed=0), place.run(seed=1))
    tables.Tables(place.results, place.protocols).plot(place.folder)
    assert {path.name for path in place.folder.glob("*.png")} == {
        *("suite.png", "yardsticks.png", "agents.png")
    }


def test_two_protocols_of_the_same_runs_are_refused(place: Place) -> None:
    text = 'task = "pendulum"\nsteps = 300\nmodel = "delan"\nseed = 4\n'
    (place.protocols / "agents/pendulum.same.toml").write_text(text)
    with pytest.raises(UserError, match=r"is the same protocol as '.*pendulum.same.toml"):
        place.json()


def test_protocols_of_the_suite_are_those_of_the_reproduction() -> None:
    known = {each.name: each for each in protocols.read_protocols()}
    for task in PAPER:
        for model in ("delan", "mlp"):
            config = run_config(task, model, steps_of(task, False), 0)
            mark = protocols.fingerprint_of(config)
            assert known[f"suite/{task}.{model}"].fingerprint == mark


def test_published_figures_name_their_sources_and_tasks() -> None:
    found = summaries.read_published()
    tasks = {protocol.task for protocol in protocols.read_protocols()}
    assert {figure.task for figure in found.figures} | {*found.targets} <= tasks
    assert {figure.source for figure in found.figures} == {*found.sources}


def test_the_tables_of_the_docs_are_those_of_the_stored_runs() -> None:
    """`python benchmarks/tables.py` makes them anew."""
    for name, text in tables.Tables().texts().items():
        assert (TOP / "docs/outputs" / f"{name}.txt").read_text(encoding="utf-8") == text

"""The `lagdyna` command from outside, as a process of its own."""

import json
import math
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lagdyna.cli import main
from lagdyna.experiments import Config, config_from_table

from ..experiments.small import flags

COMMAND = str(Path(sys.executable).with_name("lagdyna"))
SPEC = """
[task]
env_id = "{env_id}"
dt = {dt}
force = {force}
[[task.coordinates]]
kind = "angle"
position = 0
velocity = {velocity}
velocity_range = 1.0
"""


@pytest.fixture(scope="module")
def environment():
    return {**os.environ, "MPLBACKEND": "Agg"}


@pytest.fixture
def lagdyna(environment, tmp_path):
    def run(*arguments):
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


@pytest.fixture
def here(monkeypatch, tmp_path, capsys):
    """The same within this process, which has imported everything: for what is over at once."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["lagdyna", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def finished(environment, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    done = subprocess.run(
        [COMMAND, "train", *flags(), "--out", str(out)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def write(path, text):
    path.write_text(text)
    return path


def own(**changes):
    """A config file with a task of the user's own."""
    values = {"env_id": "Pendulum-v1", "dt": 0.05, "force": [[2.0]], "velocity": 2}
    return SPEC.format(**{**values, **changes})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "Pendulun-v1"], ["`task` was 'Pendulun-v1'", "nearest: Pendulum-v1"]),
        (["train", "CartPole-v1"], ["'CartPole-v1'", "Discrete(2)", "continuous"]),
        (["train", "--solver", "huen"], ["`solver` was 'huen'", "nearest: heun", "tsit5"]),
        (["train", "--steps", "0"], ["`steps` was 0", ">= 1"]),
        (["train", "--steps", "-3"], ["`steps` was -3", ">= 1"]),
        (["train", "--steps", "1.5"], ["steps", "1.5", "whole number"]),
        (["train", "--seeds", "0"], ["`seeds` was 0", ">= 1"]),
        (["train", "--seeds", "1.5"], ["seeds", "1.5", "whole number"]),
        (["train", "--task.repeat", "0"], ["`task.repeat` was 0", ">= 1"]),
        (["train", "--seed", "-1"], ["`seed` was -1", ">= 0"]),
        (["train", "--stesp", "3"], ["--stesp", "--steps"]),
        (["train", "--agent.horizn", "3"], ["`agent.horizn`", "horizon"]),
        (["train", "--agent.horizon", "0"], ["`agent.horizon` was 0", ">= 1"]),
        (["train", "--set", "agent.horizon"], ["`set` was 'agent.horizon'", "="]),
        (["train", "--model", "delam"], ["`model.name` was 'delam'", "delan"]),
        (["train", "--config", "missing.toml"], ["missing.toml", "cannot be read"]),
        (["train", "--config", "discrete.toml"], ["CartPole-v1", "Discrete(2)"]),
        (["train", "--config", "outside.toml"], ["entry 7", "entries 0 to 2"]),
        (["train", "--config", "columns.toml"], ["`force` has 2 columns", "(1,)"]),
        (["train", "--config", "negative.toml"], ["`task.dt` was -0.05", "> 0"]),
        (["train", "--config", "zero.toml"], ["`task.dt` was 0.0", "> 0"]),
        (["train", "--config", "unknown.toml"], ["unknown.toml", "`agents` is not an option"]),
        (["train", "--config", "broken.toml"], ["broken.toml", "not TOML"]),
        (["train", "--out", "full"], ["'full'", "is not empty"]),
        (["evaluate", "nowhere"], ["'nowhere'", "holds no run"]),
        (["evaluate", "full", "--episodes", "0"], ["`episodes` was 0", ">= 1"]),
        (
            ["evaluate", "full", "--video", "a.avi"],
            ["`video` was 'a.avi'", ".gif, .mp4, .webm"],
        ),
        (["evaluate", "full", "--video", "gif"], ["`video` was 'gif'", "accepted"]),
        (["evaluate", "full", "--video", "zero.gif"], ["'zero.gif'", "which exists"]),
        (["evaluate", "full", "--video", "no/a.gif"], ["no directory 'no'"]),
        (["resume", "nowhere"], ["'nowhere'", "holds no run"]),
        (["fly"], ["fly", "train"]),
    ],
)
def test_a_mistake_gets_one_sentence_and_writes_nothing(here, tmp_path, arguments, said):
    refused(here, tmp_path, arguments, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], ["fly", "train"]),
        (["train", "Pendulun-v1"], ["`task` was 'Pendulun-v1'", "nearest: Pendulum-v1"]),
        (["train", "--config", "columns.toml"], ["`force` has 2 columns", "(1,)"]),
        (["evaluate", "full", "--video", "no/a.gif"], ["no directory 'no'"]),
        (["fit", "nothing.csv"], ["nothing.csv"]),
    ],
)
def test_so_it_does_from_outside(lagdyna, tmp_path, arguments, said):
    refused(lagdyna, tmp_path, arguments, said)


def refused(run, tmp_path, arguments, said):
    write(tmp_path / "discrete.toml", own(env_id="CartPole-v1"))
    write(tmp_path / "outside.toml", own(velocity=7))
    write(tmp_path / "columns.toml", own(force=[[1.0, 2.0]]))
    write(tmp_path / "negative.toml", own(dt=-0.05))
    write(tmp_path / "zero.toml", own(dt=0.0))
    write(tmp_path / "unknown.toml", "[agents]\nhorizon = 3\n")
    write(tmp_path / "broken.toml", "[agent\n")
    write(tmp_path / "zero.gif", "mine")
    (tmp_path / "full").mkdir()
    write(tmp_path / "full" / "mine.txt", "mine")
    before = sorted(tmp_path.rglob("*"))
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    for words in said:
        assert words in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_plain_lines_tell_how_a_run_went(finished):
    out, said = finished
    assert "\x1b" not in said
    for words in ("acting", "fitting", "imagination", "return", "critic"):
        assert words in said
    summary = json.loads((out / "summary.json").read_text())
    assert f"return {summary['return_mean']:.1f}" in said
    assert "target -200 not reached" in said


def test_several_seeds_are_one_run(lagdyna, finished, tmp_path):
    done = lagdyna("train", *flags(), "--seed", "2", "--seeds", "2", "--out", "both")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "both" / "summary.json").read_text())
    assert summary["seeds"] == [2, 3]
    assert "seeds 2 to 3 -> both" in done.stdout
    middle = f"{summary['return_interquartile_mean']:.1f}"
    assert f"return {middle}, the interquartile mean over 2 seeds" in done.stdout
    last = done.stdout.splitlines()[-2:]
    assert f"return {middle} (95 % from" in last[0]
    assert "target -200 reached by 0 of 2" in last[0]
    assert lagdyna("resume", "both").stdout.splitlines() == last
    assert lagdyna("evaluate", "both/seed-3", "--episodes", "1").returncode == 0
    refused = lagdyna("evaluate", "both")
    assert refused.returncode == 2
    assert "seed-2, seed-3" in refused.stderr
    compared = lagdyna("compare", "both", finished[0], "--target", "-5000", "--out", "side")
    assert compared.returncode == 0, compared.stderr
    assert "2 of 2" in compared.stdout
    assert "P(higher return)" in compared.stdout
    rows = json.loads((tmp_path / "side" / "compare.json").read_text())
    assert [row["seeds"] for row in rows] == [2, 1]
    assert (tmp_path / "side" / "learning_curves.png").stat().st_size > 1000


def test_a_run_is_never_written_over(lagdyna, finished):
    out, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = lagdyna("train", *flags(), "--out", out)
    assert done.returncode == 2
    assert "already holds a run" in done.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_evaluation_prints_what_it_writes(lagdyna, finished, tmp_path):
    out, _ = finished
    done = lagdyna("evaluate", out, "--episodes", "3", "--out", tmp_path / "judged")
    assert done.returncode == 0
    result = json.loads((tmp_path / "judged" / "evaluation.json").read_text())
    assert len(result["returns"]) == 3
    assert f"{np.mean(result['returns']):.1f}" in done.stdout


def test_an_evaluation_shows_its_first_episode(lagdyna, finished, tmp_path):
    out, _ = finished
    options = ("evaluate", out, "--episodes", "2", "--video")
    done = lagdyna(*options, "first.gif", "--out", tmp_path / "judged")
    assert done.returncode == 0, done.stderr
    assert "first.gif" in done.stdout
    assert json.loads((tmp_path / "judged" / "evaluation.json").read_text())["video"]
    with Image.open(tmp_path / "first.gif") as film:
        # Gymnasium's pendulum: 201 pictures, 0.05 s each. Alike ones are one in the file.
        seconds = 0.0
        for i in range(film.n_frames):
            film.seek(i)
            seconds += film.info["duration"] / 1000
        assert seconds == pytest.approx(201 * 0.05, rel=0.01)
        assert film.n_frames > 20
    again = lagdyna(*options, "first.gif", "--out", tmp_path / "again")
    assert again.returncode == 2
    assert "which exists" in again.stderr
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["first.gif", "judged"]


@pytest.mark.parametrize("damage", ["cut", "other", "missing"])
def test_a_damaged_run_is_refused(lagdyna, finished, tmp_path, damage):
    out, _ = finished
    run = tmp_path / "run"
    (run / "checkpoint").mkdir(parents=True)
    config = (out / "config.toml").read_text()
    if damage == "other":
        config = config.replace("critics = 1", "critics = 2")
    write(run / "config.toml", config)
    data = (out / "checkpoint" / "training.npz").read_bytes()
    if damage != "missing":
        data = data[: len(data) // 2] if damage == "cut" else data
        (run / "checkpoint" / "training.npz").write_bytes(data)
    said = {
        "cut": "cut off",
        "other": "`agent.critics` was 1 and is 2",
        "missing": "does not exist",
    }
    commands = ["evaluate"] if damage == "missing" else ["evaluate", "resume"]
    for command in commands:
        done = lagdyna(command, run)
        assert done.returncode == 2
        assert said[damage] in done.stderr
        assert "Traceback" not in done.stderr


def test_names_are_listed_and_written(lagdyna, tmp_path):
    done = lagdyna("solvers", "--out", tmp_path / "solvers")
    rows = json.loads((tmp_path / "solvers" / "solvers.json").read_text())
    assert {row["name"] for row in rows if row["default"]} == {"heun"}
    names = "ralston midpoint bosh3 tsit5 dopri5 dopri8 semi_implicit_euler euler"
    assert set(names.split()) < {row["name"] for row in rows}
    assert all(row["name"] in done.stdout for row in rows)
    done = lagdyna("tasks", "--out", tmp_path / "tasks")
    rows = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    assert "Pendulum-v1" in {row["name"] for row in rows}
    # In whole, however narrow a terminal is.
    assert {row["name"] for row in rows} <= set(done.stdout.split())


def test_the_command_line_overrides_the_file(lagdyna, tmp_path):
    write(tmp_path / "mine.toml", "steps = 70\n[agent]\nhorizon = 5\nhidden = [8]\n")
    done = lagdyna(
        *("train", "--config", "mine.toml", "--agent.horizon", "6", "--solver", "tsit5"),
        *("--seed", "4", "--set", "learner.window=3", "--show-config"),
    )
    config = config_from_table(tomllib.loads(done.stdout))
    assert (config.steps, config.agent.horizon, config.agent.hidden) == (70, 6, (8,))
    assert (config.solver.name, config.seed, config.learner.window) == ("tsit5", 4, 3)
    assert config.model == Config().model
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_help_and_version(lagdyna):
    assert "train" in lagdyna("--help").stdout
    assert "--steps" in lagdyna("train", "--help").stdout
    assert lagdyna("--version").stdout.strip()[0].isdigit()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes_to_the_same_end(lagdyna, environment, tmp_path, how):
    # Two episodes; the process dies somewhere in the second.
    # Trained twice in each, so that the machine is not busy with trainings alone.
    rounds = ["--collect.steps_per_round=200", "--collect.train_every=100"]
    options = [*flags()[2:], "--steps=400", *rounds, "--seed=3"]
    assert lagdyna("train", *options, "--out", "whole").returncode == 0
    process = subprocess.Popen(
        [COMMAND, "train", *options, "--out", "killed"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "killed" / "metrics.jsonl"
    while not (tmp_path / "killed" / "checkpoint" / "training.npz").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    said, _ = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "lagdyna resume killed" in said
    assert len(metrics.read_text().splitlines()) == 1
    assert not (tmp_path / "killed" / "summary.json").exists()
    assert lagdyna("resume", "killed").returncode == 0

    def lines(run):
        rows = (tmp_path / run / "metrics.jsonl").read_text().splitlines()
        return [{**json.loads(row), "seconds": None} for row in rows]

    assert lines("killed") == lines("whole")
    arrays = []
    for run in ("whole", "killed"):
        with np.load(tmp_path / run / "checkpoint" / "training.npz") as file:
            arrays.append({name: file[name] for name in file.files if name != "notes"})
    assert arrays[0].keys() == arrays[1].keys()
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])


def test_killed_before_the_first_checkpoint_a_run_starts_again(lagdyna, finished, tmp_path):
    out, _ = finished
    run = tmp_path / "run"
    (run / "checkpoint").mkdir(parents=True)
    write(run / "config.toml", (out / "config.toml").read_text())
    assert lagdyna("resume", run).returncode == 0
    results = []
    for directory in (out, run):
        summary = json.loads((directory / "summary.json").read_text())
        results.append({k: v for k, v in summary.items() if k != "wall_seconds"})
    assert results[0] == results[1]


def test_a_fit_and_a_comparison_from_outside(lagdyna, tmp_path):
    t = np.arange(30) * 0.05
    for trajectory, phase in enumerate((0.0, 0.7, 1.9)):
        rows = [f"{trajectory},{x},{math.cos(3 * x + phase)}" for x in t.tolist()]
        head = ["trajectory,t,q0"] if trajectory == 0 else []
        with (tmp_path / "swing.csv").open("a") as file:
            file.write("\n".join([*head, *rows]) + "\n")
    small = ("--updates", 40, "--model.hidden", "[4]")
    for model in ("delan", "mlp"):
        done = lagdyna("fit", "swing.csv", "--model", model, *small, "--out", model)
        assert done.returncode == 0, done.stderr
        assert "40 updates" in done.stdout
        assert "velocities were estimated" in done.stdout
        assert json.loads((tmp_path / model / "report.json").read_text())["model"] == model
    compared = lagdyna("compare", "delan", "mlp", "--out", "both")
    assert compared.returncode == 0, compared.stderr
    assert "delan" in compared.stdout
    assert len(json.loads((tmp_path / "both" / "compare.json").read_text())) == 2
    returns = lagdyna("compare", "delan", "mlp", "--target", "1")
    assert returns.returncode == 2
    assert "`--target` was 1 for fits, which have no return" in returns.stderr
    resumed = lagdyna("resume", "delan")
    assert resumed.returncode == 0, resumed.stderr
    shown = lagdyna("fit", "swing.csv", "--angles", "0", "--show-config")
    assert tomllib.loads(shown.stdout)["data"] == {
        "file": "swing.csv",
        "angles": [0],
        "chain": False,
        "validation": 0.2,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fit",), "`data.file` is missing"),
        (("fit", "nothing.csv"), "nothing.csv"),
        (("fit", "notes.csv"), "notes.csv"),
        (("fit", "notes.csv", "--model", "lagrange"), "`model.name` was 'lagrange'"),
        (("fit", "notes.csv", "--angles", "a"), "`data.angles` was 'a'"),
        (("compare", "nothing"), "holds no finished fit"),
        (
            ("reproduce", "einstein1905"),
            "`name` was 'einstein1905'; accepted: cranmer2020-double-pendulum",
        ),
        (
            ("reproduce", "ramesh2023-suite", "--tasks", "pendulum,acrobat"),
            "`tasks` has 'acrobat'; accepted: pendulum, reacher, cartpole, acrobot",
        ),
        (
            ("reproduce", "lutter2019-arm", "--tasks", "pendulum"),
            "`tasks` was 'pendulum'; lutter2019-arm has no tasks to choose from",
        ),
    ],
)
def test_a_mistake_with_data_gets_one_sentence(here, tmp_path, arguments, said):
    (tmp_path / "notes.csv").write_text("t,q0\n0,1\n0,2\n")
    done = here(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.csv"]

"""The `lagdyna` command from outside, as a process of its own."""

import json
import math
import signal
import subprocess
import time
import tomllib

import numpy as np
import pytest
from PIL import Image

from ..small import MLP, REPLAYED, flags
from .conftest import COMMAND

# Two training phases.
FLAGS = [*flags(steps=30, model=MLP, agent=REPLAYED), "--task.max_episode_steps=100"]
# Without a model, which compiles least.
MODEL_FREE = [
    *flags(
        steps=30,
        agent={"name": "dyna", "ratio": 0.0, "updates": 1, "batch": 8},
        **dict.fromkeys(("model", "learner", "reward")),
    ),
    "--agent.algorithm.hidden=[8]",
    "--task.max_episode_steps=100",
]


@pytest.fixture(scope="module")
def finished(environment, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    done = subprocess.run(
        [COMMAND, "train", *FLAGS, "--out", str(out)],
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


def test_a_pipe_gets_plain_lines(finished):
    out, said = finished
    assert "\x1b" not in said
    for words in ("acting", "fitting", "imagination", "return", "critic"):
        assert words in said
    summary = json.loads((out / "summary.json").read_text())
    assert f"return {summary['return_mean']:.1f}" in said
    assert "target -200 not reached" in said
    assert f"the run is in {out}: report.html, " in said
    assert "target -200 not reached" in (out / "report.html").read_text()


@pytest.mark.usefixtures("no_pictures")
def test_seeds_are_one_run(here, finished, tmp_path):
    done = here("train", *MODEL_FREE, "--seed", "2", "--seeds", "2", "--out", "both")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "both" / "summary.json").read_text())
    assert summary["seeds"] == [2, 3]
    assert "seeds 2 to 3 -> both" in done.stdout
    mean = f"{summary['return_interquartile_mean']:.1f}"
    assert f"return {mean}, the interquartile mean over 2 seeds" in done.stdout
    last = done.stdout.splitlines()[-2:]
    assert f"return {mean} (95 % from" in last[0]
    assert "target -200 reached by 0 of 2" in last[0]
    assert here("resume", "both").stdout.splitlines() == last
    assert here("evaluate", "both/seed-3", "--episodes", "1").returncode == 0
    refused = here("evaluate", "both")
    assert refused.returncode == 2
    assert "seed-2, seed-3" in refused.stderr
    compared = here("compare", "both", finished[0], "--target", "-5000", "--out", "side")
    assert compared.returncode == 0, compared.stderr
    assert "2 of 2" in compared.stdout
    assert "P(higher return)" in compared.stdout
    rows = json.loads((tmp_path / "side" / "compare.json").read_text())
    assert [row["seeds"] for row in rows] == [2, 1]
    assert (tmp_path / "side" / "learning_curves.png").stat().st_size > 1000


def test_a_run_is_never_written_over(here, finished):
    out, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = here("train", *FLAGS, "--out", out)
    assert done.returncode == 2
    assert "already holds a run" in done.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_evaluation_prints_what_it_writes(here, finished, tmp_path):
    out, _ = finished
    done = here("evaluate", out, "--episodes", "3", "--out", tmp_path / "evaluated")
    assert done.returncode == 0
    result = json.loads((tmp_path / "evaluated" / "evaluation.json").read_text())
    assert len(result["returns"]) == 3
    assert f"{np.mean(result['returns']):.1f}" in done.stdout


def test_an_evaluation_shows_its_first_episode(here, finished, tmp_path):
    out, _ = finished
    options = ("evaluate", out, "--episodes", "2", "--video")
    done = here(*options, "first.gif", "--out", tmp_path / "evaluated")
    assert done.returncode == 0, done.stderr
    assert "first.gif" in done.stdout
    assert json.loads((tmp_path / "evaluated" / "evaluation.json").read_text())["video"]
    with Image.open(tmp_path / "first.gif") as film:
        # 101 pictures of 0.05 s each. The file merges identical ones, so it may have fewer.
        seconds = 0.0
        for i in range(film.n_frames):
            film.seek(i)
            seconds += film.info["duration"] / 1000
        assert seconds == pytest.approx(101 * 0.05, rel=0.01)
        assert film.n_frames > 20
    again = here(*options, "first.gif", "--out", tmp_path / "again")
    assert again.returncode == 2
    assert "which exists" in again.stderr
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["evaluated", "first.gif"]


@pytest.mark.parametrize("damage", ["cut", "other", "missing"])
def test_a_damaged_run_is_refused(here, finished, tmp_path, damage):
    out, _ = finished
    run = tmp_path / "run"
    (run / "checkpoint").mkdir(parents=True)
    config = (out / "config.toml").read_text()
    if damage == "other":
        config = config.replace("critics = 1", "critics = 2")
    write(run / "config.toml", config)
    write(run / "run.json", (out / "run.json").read_text())
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
        done = here(command, run)
        assert done.returncode == 2
        assert said[damage] in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes_to_the_same_end(lagdyna, environment, tmp_path, how):
    # Two episodes of two training phases each; the process is killed in the second.
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
            arrays.append(
                {name: file[name] for name in file.files if name not in ("notes", "seal")}
            )
    assert arrays[0].keys() == arrays[1].keys()
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])


@pytest.mark.usefixtures("no_pictures")
def test_a_run_killed_before_its_first_checkpoint_starts_again(here, finished, tmp_path):
    out, _ = finished
    run = tmp_path / "run"
    (run / "checkpoint").mkdir(parents=True)
    for name in ("config.toml", "run.json"):
        write(run / name, (out / name).read_text())
    compared = here("compare", run, "--target", "200")
    assert compared.returncode == 2
    assert f"is not finished (no `summary.json`); `lagdyna resume {run}`" in compared.stderr
    assert here("resume", run).returncode == 0
    results = []
    for directory in (out, run):
        summary = json.loads((directory / "summary.json").read_text())
        differ = ("wall_seconds", "seal")
        results.append({k: v for k, v in summary.items() if k not in differ})
    assert results[0] == results[1]


def test_a_fit_and_a_comparison(here, tmp_path):
    t = np.arange(30) * 0.05
    for trajectory, phase in enumerate((0.0, 0.7, 1.9)):
        rows = [f"{trajectory},{x},{math.cos(3 * x + phase)}" for x in t.tolist()]
        head = ["trajectory,t,q0"] if trajectory == 0 else []
        with (tmp_path / "swing.csv").open("a") as file:
            file.write("\n".join([*head, *rows]) + "\n")
    small = ("--updates", 40, "--model.hidden", "[4]")
    for model, log in (("delan", ("--log", "csv")), ("mlp", ())):
        done = here("fit", "swing.csv", "--model", model, *small, "--out", model, *log)
        assert done.returncode == 0, done.stderr
        assert "40 updates" in done.stdout
        assert "velocities were estimated" in done.stdout
        assert json.loads((tmp_path / model / "report.json").read_text())["model"] == model
        page = (tmp_path / model / "report.html").read_text()
        assert f"{model} fitted to swing.csv" in page
        assert page.count('src="data:image/') >= 3
    assert "40,fit/updates,40.0" in (tmp_path / "delan" / "log.csv").read_text().splitlines()
    compared = here("compare", "delan", "mlp", "--out", "both")
    assert compared.returncode == 0, compared.stderr
    assert "delan" in compared.stdout
    assert "-> both: report.html, " in compared.stdout
    assert "Comparison of 2 fits" in (tmp_path / "both" / "report.html").read_text()
    assert len(json.loads((tmp_path / "both" / "compare.json").read_text())) == 2
    returns = here("compare", "delan", "mlp", "--target", "1")
    assert returns.returncode == 2
    assert "`--target` was 1 for fits, which have no return" in returns.stderr
    nowhere = here("compare", "nowhere", "--target", "1")
    assert nowhere.returncode == 2
    assert "'nowhere', which holds no run of `lagdyna train`" in nowhere.stderr
    resumed = here("resume", "delan")
    assert resumed.returncode == 0, resumed.stderr
    shown = here("fit", "swing.csv", "--angles", "0", "--show-config")
    assert tomllib.loads(shown.stdout)["data"] == {
        "file": "swing.csv",
        "angles": [0],
        "chain": False,
        "validation": 0.2,
        "unchecked": False,
    }

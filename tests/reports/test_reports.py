"""Pages of runs: whole in themselves, true to the files, and harmless whatever names hold."""

import base64
import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from lagdyna import UserError
from lagdyna.cli._report import report as command
from lagdyna.reports import REPORT, _directory, _page, _write, write_report
from lagdyna.results import (
    digest_of,
    digest_of_lines,
    write_json,
    write_json_lines,
    write_run_file,
    write_sealed,
)
from lagdyna.runs import compare

HOSTILE = "<script>alert('1')</script>\"' onload=x &amp; \x1b[31m \u202e"


class Parsed(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.text += " "

    @property
    def images(self) -> list[str]:
        return self.of("img", "src")

    def of(self, tag: str, name: str) -> list[str]:
        return [value for each, key, value in self.attributes if (each, key) == (tag, name)]


def parsed(run: Path) -> Parsed:
    """The page of a run, once it is known to need and to run nothing."""
    page = Parsed(run / REPORT)
    assert not {"script", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(uri.startswith(("data:image/png;", "data:image/gif;")) for uri in page.images)
    for link in page.of("a", "href"):
        assert ":" not in link
        assert link.startswith("./")
        assert (run / unquote(link)).is_file()
    text = (run / REPORT).read_text(encoding="utf-8")
    assert "url(" not in text
    assert "@import" not in text
    return page


def a_picture(path: Path) -> bytes:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
    return path.read_bytes()


def a_run(out: Path, task: str = "Pendulum-v1", seed: int = 0, **changes: Any) -> Path:
    """The files of a training run, without a run."""
    out.mkdir(parents=True)
    evaluations = [
        {"env_steps": 10 * i, "return_mean": -300.0 + i, "return_std": 1.5} for i in (1, 2)
    ]
    record = {"round": 1, "env_steps": 20, "model_loss": 0.125, "evaluations": evaluations}
    summary = {
        **{"task": task, "agent": "dyna", "model": "delan", "learner": "adam", "seed": seed},
        **{"solver": None, "env_steps": 20, "return_mean": -123.4567, "return_std": 7.0},
        **{"eval_episodes": 5, "steps_to_target": 17, "target_return": -200.0},
        **{"wall_seconds": 90.0, "notes": [], "commit": "abc123", "device": "cpu (cpu)"},
        **{"machine": {"processor": "a processor", "cores": 3}, "numerics": 1},
        "versions": {"lagdyna": "0.2.0", "jax": "9.8.7"},
        **changes,
    }
    write_run_file(out, "train")
    (out / "config.toml").write_text('[task]\nenv_id = "a <b>config</b>"\n')
    write_json_lines(out / "metrics.jsonl", [record])
    write_sealed(out / "summary.json", summary, digest_of_lines([record]))
    a_picture(out / "learning_curve.png")
    return out


def a_fit(out: Path, **changes: Any) -> Path:
    """The files of a fit of a known system, without a fit."""
    out.mkdir(parents=True)
    record = {
        **{"updates": 4, "piece": 4, "loss": 0.5, "validation_loss": 0.75},
        **{"skipped_updates": 0, "seconds": 1.5},
    }
    part = {
        **{"trajectories": 3, "one_step": {"q": [0.1, 0.2], "qd": [0.3, None]}},
        **{"torque": [0.0123, 2.5], "acceleration": None, "energy_drift": None},
        "rollout": {
            "seconds": [0.5, 1.5],
            "q": [[1.0, 2.0], [3.0, None]],
            "qd": [[1.0, 2.0], [3.0, 4.0]],
        },
        "relative": {"one_step_q": [0.25, None], "one_step_qd": None, "torque": [0.5, 20.0]},
    }
    parameters = [
        {
            **{"name": "mass", "start": [1.0, 2.0], "fitted": [1.25, 2.5], "learned": True},
            "interval": [[1.125, 1.375], None],
        },
        {
            **{"name": "gravity", "start": 9.81, "fitted": 9.81, "learned": False},
            "interval": None,
        },
    ]
    report = {
        **{"data": "logs/arm.csv", "model": "known", "loss": "forward", "learner": "adam"},
        **{"updates": 4, "seconds": 1.5, "weights": 9, "notes": ["mind the gap"]},
        **{"parameters": parameters, "calibration": None, "joints": ["pan", "lift"]},
        **{"training": part, "validation": part, "signals": {"delay": 0.004}},
        **changes,
    }
    write_run_file(out, "fit")
    write_json_lines(out / "metrics.jsonl", [record])
    write_sealed(out / "report.json", report, digest_of_lines([record]))
    return out


def test_the_page_of_a_training_run_says_what_its_files_say(tmp_path: Path) -> None:
    run = a_run(tmp_path / "my run")
    picture = (run / "learning_curve.png").read_bytes()
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert write_report(run) == run / REPORT
    page = parsed(run)
    assert "Return -123.5 ± 7.0 over 5 episodes after 20 steps" in page.text
    assert "target -200 reached after 17 steps" in page.text
    for text in ("-299", "0.125", "a <b>config</b>", "abc123", "9.8.7", "a processor", "begun"):
        assert text in page.text
    (content,) = page.images
    assert base64.b64decode(content.partition(",")[2]) == picture
    for command_line in ("evaluate", "resume", "compare", "export"):
        assert f"lagdyna {command_line} '{run}'" in page.text
    assert f"lagdyna.load_policy({str(run)!r})" in page.text
    for name in before:
        assert name in page.text
    # Nothing else was touched, and the same files give the same page.
    content = (run / REPORT).read_bytes()
    write_report(run)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == {
        **before,
        REPORT: content,
    }


def test_names_and_texts_of_others_are_escaped(tmp_path: Path) -> None:
    name = "a'b <i> $(x)"
    run = a_run(tmp_path / name, HOSTILE, notes=["</li><img src=x onerror=alert(1)>"])
    (run / "config.toml").write_text("</pre><script>alert(1)</script>")
    (run / "<img src=y>.json").write_text("{}")
    (run / "evil.png").write_text("<script>alert(1)</script>")
    secret = tmp_path / "secret.png"
    a_picture(secret)
    os.symlink(secret, run / "link.png")
    write_report(run)
    page = parsed(run)
    assert page.text.count("<script>alert('1')</script>") == 2  # of the title and of the page
    assert "</pre><script>" in page.text
    assert "<img src=y>.json" in page.text
    assert "\x1b" not in page.text
    assert "\\u202e" in page.text
    assert len(page.images) == 1
    assert "img-src data:" in page.of("meta", "content")[2]


def test_long_tables_are_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(tmp_path / "run")
    monkeypatch.setattr(_page, "MOST_ROWS", 1)
    write_report(run)
    text = parsed(run).text
    assert "One of 2 rows; metrics.jsonl has all." in text
    assert "-298" in text  # the last evaluation
    assert "-299" not in text


def test_large_pictures_stay_beside_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path / "run")
    monkeypatch.setattr(_directory, "_LIMIT", 10)
    write_report(run)
    page = parsed(run)
    assert page.images == []
    assert "learning_curve.png is not part of this page" in page.text


def test_the_page_of_seeds_leads_to_those_of_the_seeds(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for seed in (3, 4):
        a_run(run / f"seed-{seed}", seed=seed)
    digests = [
        digest_of_lines([json.loads((run / f"seed-{seed}/metrics.jsonl").read_text())])
        for seed in (3, 4)
    ]
    summary = {
        **{"task": "a task", "agent": "dyna", "model": None, "learner": None},
        **{"seeds": [3, 4], "env_steps": 20, "returns": [-1.0, -3.0], "return_mean": -2.0},
        **{"return_std": 1.0, "return_interquartile_mean": -2.5, "wall_seconds": 1.0},
        **{"return_interval": [-3.0, -1.0], "steps_to_target": [17, None]},
        "target_return": -200.0,
    }
    write_run_file(run, "seeds")
    write_sealed(run / "seeds.json", {"seeds": [3, 4]})
    write_sealed(run / "summary.json", summary, digest_of(digests))
    write_report(run / "seed-3")
    write_report(run)
    page = parsed(run)
    assert "Return -2.5 (95 % from -3.0 to -1.0), the interquartile mean over 2" in page.text
    assert "reached by 1 of 2" in page.text
    assert set(page.of("a", "href")) == {f"./seed-3/{REPORT}"}
    assert "standard deviation 1" in page.text


def test_the_page_of_a_fit_has_errors_and_parameters(tmp_path: Path) -> None:
    run = a_fit(tmp_path / "fit")
    write_report(run)
    text = " ".join(parsed(run).text.split())
    assert "known fitted to arm.csv" in text
    assert "0.0123 (50 %), 2.5 (20 times)" in text
    assert "mass[0] 1 1.25 1.12 to 1.38" in text
    assert "mass[1] 2 2.5 not identifiable from these data" in text
    assert "gravity 9.81 - not learned" in text
    for words in ("mind the gap", "pan, lift", "delay / s", "lagdyna resume", "--updates 8"):
        assert words in text


def test_the_page_of_a_robot_has_its_links(tmp_path: Path) -> None:
    state = {"mass": 1.5, "centre": [0.0, 0.1, 0.2], "moments": [0.01, 0.02, 0.03]}
    numbers = [
        {"name": "mass", "start": 1.0, "fitted": 1.5, "interval": [1.25, 1.75]},
        {"name": "mz", "start": 1.0, "fitted": 1.5, "interval": None},
    ]
    link = {"joint": "elbow", "start": state, "fitted": state, "numbers": numbers}
    robot = {"links": [link], "base_parameters": 7, "parameters": 20, "condition": 12.0}
    run = a_fit(tmp_path / "fit", parameters=None, robot=robot)
    write_report(run)
    text = parsed(run).text
    for words in ("elbow", "1.25 to 1.75", "mz", "7 combinations of 20 numbers"):
        assert words in text


@pytest.mark.parametrize("kind", ["fits", "agents"])
def test_comparisons_have_a_page(kind: str, tmp_path: Path) -> None:
    if kind == "fits":
        rows = [
            {
                **{"run": f"runs/{name}", "model": name, "learner": "adam", "loss": "forward"},
                **{"weights": 9, "seconds": 1.0, "one_step_q": 0.1, "rollout_q": error},
                **{"rollout_seconds": 2.0, "relative": {"one_step_q": 0.5}, "notes": [note]},
            }
            for name, error, note in (("a", 0.5, "fewer updates"), ("b", 0.25, HOSTILE))
        ]
        expected = ("b has the smallest error", "0.1 (50 %)", "a: fewer updates")
    else:
        better = {"probability": 0.75, "low": 0.5, "high": 1.0}
        rows = [
            {
                **{"run": f"runs/{name}", "agent": name, "model": None, "learner": None},
                **{
                    "seeds": 3,
                    "env_steps": 60,
                    "return": value,
                    "return_interval": [-9.0, 9.0],
                },
                **{"target_return": -200.0, "reached": 2, "steps_to_target": 40.0},
                "return_interval": [-9.0, 9.0],
                **{"steps_to_target_interval": None, "better_return": probability},
                **{"fewer_steps": None, "notes": []},
            }
            for name, value, probability in (("a", -5.0, None), ("b", -4.0, better))
        ]
        expected = ("b has the highest return, -4", "0.75 (0.5 to 1)", "2 of 3 seeds")
    write_json(tmp_path / "compare.json", rows)
    a_picture(tmp_path / "rollout_error.png")
    write_report(tmp_path)
    page = parsed(tmp_path)
    for words in (*expected, "lagdyna compare runs/a runs/b"):
        assert words in page.text
    assert len(page.images) == 1


def test_what_holds_no_finished_run_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="holds no run"):
        write_report(empty)
    unfinished = a_run(tmp_path / "unfinished")
    (unfinished / "summary.json").unlink()
    with pytest.raises(UserError, match="not finished; once `lagdyna resume` has finished it"):
        write_report(unfinished)
    changed = a_run(tmp_path / "changed")
    text = (changed / "summary.json").read_text()
    (changed / "summary.json").write_text(text.replace("-123.4567", "-1.0"))
    with pytest.raises(UserError, match="not those that were written"):
        write_report(changed)
    old = a_fit(tmp_path / "old", validation={"trajectories": 1})
    with pytest.raises(UserError, match="no report can be made of them"):
        write_report(old)
    (empty / "compare.json").write_text('[{"agent": "a"}]')
    with pytest.raises(UserError, match="no list of runs"):
        write_report(empty)
    assert not [*tmp_path.rglob(REPORT)]


def test_runs_are_whole_without_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(page: Any) -> str:
        raise RuntimeError("no more ink")

    one, other = a_fit(tmp_path / "a"), a_fit(tmp_path / "b")
    monkeypatch.setattr(_write, "render", fails)
    rows = compare([one, other], tmp_path / "both")
    note = f"{REPORT} was not written, and the run is whole without it: no more ink"
    assert rows[0]["notes"] == [note]
    assert len(json.loads((tmp_path / "both" / "compare.json").read_text())) == 2
    assert not (tmp_path / "both" / REPORT).exists()


def test_the_command_writes_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(tmp_path / "run")
    (run / REPORT).write_text("half a pa")
    command(run)
    assert capsys.readouterr().out == f"-> {run / REPORT}\n"
    assert "-123.5" in parsed(run).text
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_links_lead_to_files_whatever_folders_are_called(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    names = ("javascript:alert(1);x", "a#b", "a?b", "a%41", "a b", "<b>")
    for name in names:
        (run / name).mkdir()
        (run / name / REPORT).write_text("x")
    write_report(run)
    found = {unquote(link) for link in parsed(run).of("a", "href")}
    assert found == {f"./{name}/{REPORT}" for name in names}


def test_a_link_in_place_of_the_config_is_not_followed(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    (tmp_path / "secret").write_text("a secret")
    (run / "config.toml").unlink()
    (run / "config.toml").symlink_to(tmp_path / "secret")
    write_report(run)
    assert "a secret" not in (run / REPORT).read_text(encoding="utf-8")


def test_the_directory_of_a_sweep_has_no_page(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    write_run_file(tmp_path / "sweep", "sweep")
    with pytest.raises(UserError, match="holds a sweep; the directory of one of its trials"):
        write_report(tmp_path / "sweep")


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path / "run")

    def refuse(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied", "some/file")

    monkeypatch.setattr(_write, "_KINDS", {"train": (refuse, "summary.json")})
    with pytest.raises(UserError, match=r"cannot be read: .*Permission denied: 'some/file'"):
        write_report(run)
    assert not (run / REPORT).exists()

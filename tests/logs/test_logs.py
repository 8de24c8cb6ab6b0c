"""Numbers of runs in files and services."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna import UserError
from lagdyna.config import fit_config
from lagdyna.logs import AbstractSink, LoggedProgress, numbers, sinks_of
from lagdyna.progress import Silence

from ..small import small_config


class Kept(AbstractSink):
    """Sink that keeps what it gets."""

    def __init__(self):
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.closed = False

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.rows.append((step, dict(values)))

    def close(self) -> None:
        self.closed = True


EVALUATION = {"env_steps": 50, "return_mean": -3.0, "return_std": 1.0, "returns": [-4.0, -2.0]}
RECORD = {"env_steps": 60, "round": 1, "seconds": {"fit": 2.5}, "evaluations": [EVALUATION]}


def a_run(progress: LoggedProgress, out: Path) -> None:
    progress.begin(small_config(), out, 0, (7, 8))
    progress.phase("fit", 1, 2, {"loss": 0.5})
    progress.evaluation(EVALUATION)
    progress.record(RECORD)
    progress.end()


def test_evaluations_and_rounds_are_written_and_shown(tmp_path: Path) -> None:
    sink, said = Kept(), []

    class Shown(Silence):
        def evaluation(self, evaluation: dict[str, Any]) -> None:
            said.append(evaluation["return_mean"])

    def opened(out: Path, config: Mapping[str, Any]) -> list[AbstractSink]:
        assert out == tmp_path
        assert config["agent"]["hidden"] == [8]
        return [sink]

    a_run(LoggedProgress(opened, Shown()), tmp_path)
    (step, evaluation), (last, record) = sink.rows
    assert (step, last, sink.closed, said) == (50, 60, True, [-3.0])
    assert evaluation["evaluation/return_mean"] == -3.0
    assert (evaluation["seed-7/return_mean"], evaluation["seed-8/return_mean"]) == (-4.0, -2.0)
    assert record["round/seconds/fit"] == 2.5


def test_a_csv_file_has_a_row_for_each_number_and_grows(tmp_path: Path) -> None:
    for _ in range(2):  # the second is a resumed run
        a_run(LoggedProgress(sinks_of(["csv", "csv"])), tmp_path)
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [row for row in rows if row["name"] == "evaluation/return_mean"]
    assert [(row["step"], float(row["value"])) for row in found] == [("50", -3.0)] * 2


def test_a_fit_is_written_by_its_updates(tmp_path: Path) -> None:
    sink = Kept()
    progress = LoggedProgress(lambda out, config: [sink])
    progress.begin(fit_config({"data": {"file": "swings.npz"}}), tmp_path, 0, (0,))
    progress.record({"updates": 4, "loss": 0.5, "validation_loss": None})
    progress.end()
    assert sink.rows == [(4, {"fit/updates": 4.0, "fit/loss": 0.5})]
    assert sink.closed


@given(st.dictionaries(st.text("ab", min_size=1), st.floats() | st.none() | st.booleans()))
def test_only_finite_numbers_are_written(values: dict[str, Any]) -> None:
    found = numbers({"inner": values, "text": "x", "list": [1.0]}, "all")
    json.dumps(found, allow_nan=False)
    assert all(name.startswith("all/inner/") for name in found)


def test_unknown_logs_and_missing_packages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="`log` was 'mlflow'; csv, tensorboard, wandb are"):
        sinks_of(["csv", "mlflow"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'lagdyna\[tensorboard\]'"):
        sinks_of(["tensorboard"])


def test_tensorboard_gets_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    a_run(LoggedProgress(sinks_of(["tensorboard"])), tmp_path)
    (file,) = (tmp_path / "tensorboard").iterdir()
    content = file.read_bytes()
    assert b"evaluation/return_mean" in content
    assert b"round/seconds/fit" in content


def test_weights_and_biases_works_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    a_run(LoggedProgress(sinks_of(["wandb"])), tmp_path)
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    assert any(path.suffix == ".wandb" and path.stat().st_size for path in run.iterdir())

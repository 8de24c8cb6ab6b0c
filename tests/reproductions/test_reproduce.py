import json
from pathlib import Path

import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.reproductions import (
    REPRODUCTIONS,
    AbstractReproduction,
    Entry,
    Result,
    Results,
    entry,
    reproduce,
    resume_reproduction,
)
from lagdyna.reproductions._reproduction import PartProgress
from lagdyna.results import kind_of


class Counting(AbstractReproduction):
    """Experiment that takes no time and counts the parts that were made."""

    name = "counting"
    title = "counts"
    kinds = ("up", "down")

    def __init__(self) -> None:
        self.made: list[str] = []
        self.until = 100

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        if len(self.made) == self.until:
            raise KeyboardInterrupt
        self.made.append(f"{kind}-{seed}")
        progress("half way")
        return {
            "count": np.asarray(float(seed if kind == "up" else -seed)),
            "all": np.arange(seed),
        }

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        note = "quick" if quick else ""
        counts = results.stacked("up", "count"), results.stacked("down", "count")
        return [
            entry(f"count.{kind}", values, "m", paper=1.5, note=note)
            for kind, values in zip(self.kinds, counts, strict=True)
        ]


def test_results_are_written_with_the_paper_s_figures(tmp_path: Path) -> None:
    events: list[tuple[str, str]] = []
    out = tmp_path / "out"
    reproduce(
        Counting(), out, seeds=3, quick=True, progress=lambda *event: events.append(event)
    )
    assert events[:4] == [
        ("up, seed 0", "compiling"),
        ("up, seed 0", "half way"),
        ("up, seed 0", "done"),
        ("down, seed 0", "compiling"),
    ]
    up, down = json.loads((out / "results.json").read_text())
    assert up == {
        "name": "count.up",
        "paper": 1.5,
        "ours": 1.0,
        "low": 0.0,
        "high": 2.0,
        "unit": "m",
        "seeds": 3,
        "note": "quick",
    }
    assert (down["low"], down["high"]) == (-2.0, 0.0)
    assert kind_of(out) == "reproduction"
    page = (out / "report.html").read_text(encoding="utf-8")
    for words in ("<h1>Counts</h1>", "count.up", "1 of those lie", "--seeds 4"):
        assert words in page


def test_seeds_without_a_value_are_left_out_and_counted() -> None:
    some = entry("some", [1.0, np.nan, 3.0], "", note="five links", missing="never arrived")
    assert (some.ours, some.low, some.high, some.seeds) == (2.0, 1.0, 3.0, 3)
    assert some.note == "five links; 1 of 3 seeds never arrived"
    none = entry("none", [np.inf, np.nan], "")
    assert (none.ours, none.low, none.high, none.seeds) == (None, None, None, 2)
    assert none.note == "2 of 2 seeds without a value"
    assert "null" in json.dumps(none._asdict(), allow_nan=False)


def test_interquartile_entries_have_an_interval() -> None:
    values = [0.0, 10.0, 12.0, 100.0, np.nan]
    found = entry("some", values, "m", note="on a cart", interquartile=True)
    assert (found.ours, found.low, found.high, found.seeds) == (11.0, 0.0, 100.0, 5)
    first, second, third = found.note.split("; ")
    assert first.startswith("interquartile mean, 95 % from 0 to")
    assert (second, third) == ("on a cart", "1 of 5 seeds without a value")
    single = entry("one", [2.0], "m", interquartile=True)
    assert (single.ours, single.note) == (2.0, "interquartile mean")


def test_a_reproduction_declares_its_number_of_seeds(tmp_path: Path) -> None:
    class Twice(Counting):
        seeds = 2

    twice = Twice()
    assert reproduce(twice, tmp_path / "two")[0].seeds == 2
    assert reproduce(Counting(), tmp_path / "three")[0].seeds == 3
    assert twice.made == ["up-0", "down-0", "up-1", "down-1"]
    Twice.quick_seeds = 1
    assert reproduce(Twice(), tmp_path / "quick", quick=True)[0].seeds == 1
    assert reproduce(Twice(), tmp_path / "chosen", quick=True, seeds=3)[0].seeds == 3
    assert reproduce(Twice(), tmp_path / "whole")[0].seeds == 2


def test_all_reproductions_declare_seeds_and_a_title() -> None:
    for name, each in REPRODUCTIONS.items():
        assert each.name == name
        assert each.title
        assert each.seeds >= (each.quick_seeds or 1)


def test_an_interrupted_reproduction_continues(tmp_path: Path) -> None:
    out, experiment = tmp_path / "out", Counting()
    experiment.until = 3
    with pytest.raises(KeyboardInterrupt):
        reproduce(experiment, out, seeds=2)
    assert not (out / "results.json").exists()
    experiment.until = 100
    resume_reproduction({"counting": experiment}, out)
    assert experiment.made == ["up-0", "down-0", "up-1", "down-1"]
    assert len(json.loads((out / "results.json").read_text())) == 2
    # With more seeds in the same directory only the new ones are made.
    entries = reproduce(experiment, out, seeds=3)
    assert experiment.made[4:] == ["up-2", "down-2"]
    assert entries[0].seeds == 3


def test_what_cannot_be_made_is_left_out_until_it_can(tmp_path: Path) -> None:
    class Partial(Counting):
        kinds = ("up", "down", "sideways")
        reason: str | None = "nothing goes sideways here"

        def missing(self, kind: str) -> str | None:
            return self.reason if kind == "sideways" else None

        def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
            parts = results.parts
            return [entry(name, results.stacked(name, "count"), "m") for name in parts]

    experiment, events = Partial(), list[tuple[str, str]]()
    out = tmp_path / "out"
    found = reproduce(experiment, out, seeds=1, progress=lambda *event: events.append(event))
    assert events[0] == ("counting", "left out sideways: nothing goes sideways here")
    assert [each.name for each in found] == ["up", "down"]
    experiment.reason = None
    resume_reproduction({"counting": experiment}, out)
    assert experiment.made == ["up-0", "down-0", "sideways-0"]
    # Parts that are there stay in the report.
    experiment.reason = "nothing goes sideways any more"
    assert len(resume_reproduction({"counting": experiment}, out)) == 3


def test_other_directories_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    reproduce(Counting(), out, seeds=1)
    with pytest.raises(UserError, match="counting was begun without --quick"):
        reproduce(Counting(), out, seeds=1, quick=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        reproduce(Counting(), tmp_path / "other")
    with pytest.raises(UserError, match="holds no run"):
        resume_reproduction({"counting": Counting()}, tmp_path / "other")
    (out / "parts" / "up-0.npz").write_bytes(b"PK cut off")
    with pytest.raises(UserError, match="cut off or damaged"):
        reproduce(Counting(), out, seeds=1)
    with pytest.raises(UserError, match="names 'counting'; known are others"):
        resume_reproduction({"others": Counting()}, out)
    for damaged in ("[]", '{"name": "counting", "quick": false}', "{"):
        (out / "reproduction.json").write_text(damaged)
        with pytest.raises(UserError, match="damaged|has no checksum"):
            resume_reproduction({"counting": Counting()}, out)
        with pytest.raises(UserError, match="damaged|has no checksum"):
            reproduce(Counting(), out, seeds=1)


class Coloured(AbstractReproduction):
    """Experiment with tasks to choose from."""

    name = "coloured"
    title = "coloured"
    kinds = ("red.x", "red.y", "blue.x", "blue.y")
    seeds = 1
    tasks = ("red", "blue")
    quick_tasks = ("blue",)

    def __init__(self) -> None:
        self.made: list[str] = []

    def make(
        self, kind: str, seed: int, quick: bool, directory: Path, progress: PartProgress
    ) -> Result:
        self.made.append(kind)
        directory.mkdir(parents=True)
        return {"value": np.asarray(1.0)}

    def report(self, out: Path, results: Results, quick: bool) -> list[Entry]:
        return [entry(kind, results.stacked(kind, "value"), "") for kind in results.parts]


def test_tasks_are_chosen_and_added_later(tmp_path: Path) -> None:
    coloured, out = Coloured(), tmp_path / "q"
    assert [e.name for e in reproduce(coloured, out, quick=True)] == ["blue.x", "blue.y"]
    entries = reproduce(coloured, out, quick=True, tasks=["red"])
    assert [each.name for each in entries] == ["red.x", "red.y"]
    assert coloured.made == ["blue.x", "blue.y", "red.x", "red.y"]
    assert len(reproduce(coloured, out, quick=True, tasks=["blue", "red"])) == 4
    assert len(coloured.made) == 4
    begun = json.loads((out / "reproduction.json").read_text())
    assert begun["tasks"] == ["blue", "red"]
    assert sorted(path.name for path in (out / "runs").iterdir()) == [
        "blue.x-0",
        "blue.y-0",
        "red.x-0",
        "red.y-0",
    ]
    assert len(reproduce(coloured, tmp_path / "all")) == 4
    with pytest.raises(UserError, match="`tasks` has 'green'; accepted: red, blue"):
        reproduce(coloured, tmp_path / "no", tasks=["red", "green"])
    with pytest.raises(UserError, match="lutter2019-arm has no tasks to choose from"):
        reproduce(REPRODUCTIONS["lutter2019-arm"], tmp_path / "no", tasks=["red"])
    assert not (tmp_path / "no").exists()

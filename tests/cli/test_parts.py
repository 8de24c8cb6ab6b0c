"""`lagdyna parts`, `tasks`, `solvers` and `reproduce`: the lists of what there is."""

import dataclasses
import json

import pytest

from lagdyna.cli._describe import FAMILIES, describe_part, describe_variant
from lagdyna.options import described
from lagdyna.parts import MODELS, PosteriorConfig, SolverConfig
from lagdyna.simulate import SOLVERS

OWN = '''
from lagdyna.parts import (DynamicsConfig, ImaginationConfig, LearnerConfig)

class Plain(DynamicsConfig, frozen=True, kw_only=True):
    size: float
    twice: bool = False

    def build(self, plant, solver, key):
        raise NotImplementedError

class Own(Plain, frozen=True, kw_only=True):
    """My own model, of [`lagdyna.models.DeLaN`][]'s kind.

    **Arguments:**

    - `names`: some
        names.
    """

    names: tuple[str, ...] = ("a", "b")

short = ImaginationConfig(horizon=3)
number = 3
'''


@pytest.mark.parametrize("part", FAMILIES)
def test_every_option_of_every_variant_is_described(part):
    for name, kind in FAMILIES[part].variants.items():
        variant = describe_variant(part, name)
        assert variant.summary
        names = {each.name.removeprefix(f"{part}.") for each in variant.options}
        assert {each.partition(".")[0] for each in names} == {*kind.__struct_fields__}
        for option in variant.options:
            assert option.type
            assert option.text, option.name
            assert not option.required
            assert "**" not in option.text
            assert "][" not in option.text


def test_one_variant_of_a_part_is_the_default():
    for part in (*FAMILIES, "solver"):
        assert sum(each.default for each in describe_part(part)) == 1


def test_types_defaults_and_texts_are_those_of_the_class():
    options = {each.name: each for each in describe_variant("agent", "imagination").options}
    assert options["agent.discount"].type == "float > 0 and < 1"
    assert options["agent.hidden"].type == "list of int >= 1"
    assert options["agent.hidden"].default == [256, 256]
    assert options["agent.activation"].type == "softplus, tanh, silu, elu, relu"
    # A table of options is shown by its own options.
    names = {f"agent.posterior.{each.name}" for each in dataclasses.fields(PosteriorConfig)}
    assert names == {each for each in options if each.startswith("agent.posterior")}
    text = described(PosteriorConfig)[1]["samples"]
    assert options["agent.posterior.samples"].text == text
    assert options["agent.posterior.samples"].default == 0


def test_the_usual_sizes_of_a_learner_are_stated():
    options = {each.name: each for each in describe_variant("learner", "ckf").options}
    assert options["learner.updates"].default is None
    assert "By default 200." in options["learner.updates"].text
    options = {each.name: each for each in describe_variant("learner", "adam").options}
    assert "2000 in a training phase, 10000 in a fit" in options["learner.updates"].text


def test_a_part_within_a_part_is_named(here):
    done = here("parts", "agent", "dyna")
    assert "--agent.algorithm  td3, sac, or FILE.py:NAME; td3 by default" in done.stdout
    done = here("parts", "agent.algorithm", "td3")
    assert "--agent.algorithm.noise  float >= 0; 0.1 by default" in done.stdout
    assert "exploration noise" in done.stdout


def test_all_parts_are_listed_and_written(here, tmp_path):
    done = here("parts", "--out", "all")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "all" / "parts.json").read_text())
    expected = [(p, name) for p, family in FAMILIES.items() for name in family.variants]
    expected += [("solver", name) for name in SOLVERS]
    assert [(row["part"], row["name"]) for row in rows] == expected
    printed = done.stdout.split()
    assert all(row["name"] in printed for row in rows)
    noise = [
        option
        for row in rows
        if row["name"] == "td3"
        for option in row["options"]
        if option["name"] == "agent.algorithm.noise"
    ]
    assert noise[0]["default"] == 0.1
    again = here("parts", "--out", "all")
    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_the_variants_of_one_part_are_listed(here):
    done = here("parts", "model")
    assert all(name in done.stdout.split() for name in MODELS.variants)
    assert "ekf" not in done.stdout.split()


def test_a_solver_has_the_options_of_all_solvers(here):
    done = here("parts", "solver", "tsit5")
    for each in dataclasses.fields(SolverConfig):
        assert (f"--solver.{each.name} " in done.stdout) == (each.name != "name")


def test_a_variant_in_the_user_s_file_is_described(here, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    done = here("parts", "model", "own.py:Own")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "model own.py:Own",
        "My own model, of lagdyna.models.DeLaN's kind.",
        "--model.size  float; required",
        "--model.twice  bool; false by default",
        "--model.names  list of str; ['a', 'b'] by default",
        "    some names.".ljust(len(done.stdout.splitlines()[-1])),
    ]
    # A class without a docstring does not take that of its base.
    assert here("parts", "model", "own.py:Plain").stdout.splitlines()[1].startswith("--model")
    # Of an object the defaults are its values.
    assert (
        "--agent.horizon  int >= 1; 3 by default"
        in here("parts", "agent", "own.py:short").stdout
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["modle"], "`part` was 'modle'; nearest: model; accepted: model, learner"),
        (["algorithm"], "nearest: agent.algorithm"),
        (["model", "delam"], "`model` was 'delam'; nearest: delan; accepted: delan, lnn"),
        (["solver", "huen"], "`solver` was 'huen'"),
        (["model", "own.py:number"], "no DynamicsConfig"),
        (["model", "own.py:Nothing"], "has no 'Nothing'"),
        (["model", "nothing.py:Model"], "there is no file 'nothing.py'"),
    ],
)
def test_an_unknown_part_is_refused(here, tmp_path, arguments, said):
    (tmp_path / "own.py").write_text(OWN)
    done = here("parts", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr


def test_tasks_and_solvers_are_listed_and_written(here, tmp_path):
    done = here("solvers", "--out", tmp_path / "solvers")
    rows = json.loads((tmp_path / "solvers" / "solvers.json").read_text())
    assert {row["name"] for row in rows if row["default"]} == {"heun"}
    names = "ralston midpoint bosh3 tsit5 dopri5 dopri8 semi_implicit_euler euler"
    assert set(names.split()) < {row["name"] for row in rows}
    assert all(row["name"] in done.stdout for row in rows)
    done = here("tasks", "--out", tmp_path / "tasks")
    rows = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    assert "Pendulum-v1" in {row["name"] for row in rows}
    # No name is cut, however narrow the terminal is.
    assert {row["name"] for row in rows} <= set(done.stdout.split())


def test_reproductions_are_listed_with_their_seeds(here):
    from lagdyna.reproductions import REPRODUCTIONS

    lines = here("reproduce").stdout.splitlines()
    for name, each in REPRODUCTIONS.items():
        line = next(line for line in lines if name in line.split())
        seeds = {str(each.seeds), str(each.quick_seeds or each.seeds)}
        assert seeds <= {*line.split()}

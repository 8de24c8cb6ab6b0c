"""Mistakes of users: each gets one sentence, exit code 2, and nothing is written."""

import pytest

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


def write(path, text):
    path.write_text(text)
    return path


def own(**changes):
    """Describe a task of the user in a config file."""
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
        (["train", "--agent.horizon"], ["`--agent.horizon`", "without a value"]),
        (["train", "--agent.horizon", "--seed=1"], ["`--agent.horizon`", "without a value"]),
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
        (["resume", "nowhere"], ["'nowhere'", "holds no run", "lagdyna reproduce"]),
        (["fly"], ["fly", "train"]),
        (["train", "--config", "module.toml"], ["finds no module 'absent_module'", "folder"]),
        (["train", "--task.make.gravity", "9"], ["`task.make` was {'gravity': 9}"]),
        (["train", "--task.wrappers", '["ClipRewad"]'], ["nearest: ClipReward"]),
    ],
)
def test_a_mistake_gets_one_sentence(here, tmp_path, arguments, said):
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
def test_a_mistake_gets_one_sentence_from_outside(lagdyna, tmp_path, arguments, said):
    refused(lagdyna, tmp_path, arguments, said)


def refused(run, tmp_path, arguments, said):
    write(tmp_path / "discrete.toml", own(env_id="CartPole-v1"))
    write(tmp_path / "outside.toml", own(velocity=7))
    write(tmp_path / "module.toml", own(env_id="absent_module:My/Env-v0"))
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fit",), "`data.file` is missing"),
        (("fit", "nothing.csv"), "nothing.csv"),
        (("fit", "notes.csv"), "notes.csv"),
        (("fit", "notes.csv", "--model", "lagrange"), "`model.name` was 'lagrange'"),
        (("fit", "notes.csv", "--angles", "a"), "`data.angles` was ('a',); all, or coord"),
        (("fit", "a.csv", "notes.csv"), "a.csv"),
        (("fit", "*.npz"), "*.npz: no file has such a name"),
        (("fit", "notes.csv", "--data.duplicates", "no"), "`data.duplicates` was 'no'"),
        (("fit", "notes.csv", "--data.columns.q0", "pos"), "names 'pos' for q0"),
        (("fit", "minari:a/b-v0", "--data.layout", "Pendulun-v1"), "nearest: Pendulum-v1"),
        (("train", "acrobot", "pendulum"), "'pendulum' was given beside other arguments"),
        (("train", "--config", "notes.csv", "--task.env_id", "a:B-v0"), "not TOML"),
        (("compare", "nothing"), "holds no"),
        (
            ("reproduce", "einstein1905"),
            "`name` was 'einstein1905'; accepted: arms, cranmer2020-double-pendulum",
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

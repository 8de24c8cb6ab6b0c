"""Help texts, which are made from the parts, and how little they import."""

import os
import re
import subprocess
import sys

import pytest

from lagdyna.config import Config
from lagdyna.parts import AGENTS, LEARNERS, LOSSES, MODELS, SolverConfig
from lagdyna.tasks import get_task


def words(text: str) -> str:
    """Join the lines of a help text, without the frames around them."""
    return " ".join(text.replace("│", " ").split())


def test_help_and_version(lagdyna):
    assert "train" in lagdyna("--help").stdout
    assert "--steps" in lagdyna("train", "--help").stdout
    assert lagdyna("--version").stdout.strip()[0].isdigit()


def test_it_is_a_module_too(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "lagdyna", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()[0].isdigit()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["fit", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = {['lagdyna', *arguments]}\n"
        "from lagdyna.cli import main\n"
        "main()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "lagdyna.cli" in loaded
    assert not loaded & {"jax", "equinox", "diffrax", "optax", "scipy", "matplotlib"}


def test_help_lists_every_variant(here):
    train, fit = (words(here(name, "--help").stdout) for name in ("train", "fit"))
    for family in (MODELS, LEARNERS, AGENTS):
        for name in family.variants:
            assert name in train
        assert f"{family.default} (default)" in train
    for family in (MODELS, LEARNERS, LOSSES):
        for name in family.variants:
            assert name in fit
        assert f"{family.default} (default)" in fit
    assert "auto, one-step (default), multi-step; or FILE.py:NAME" in train


def test_help_states_the_defaults(here):
    train, fit = (words(here(name, "--help").stdout) for name in ("train", "fit"))
    usual = LEARNERS.variants[LEARNERS.default].usual_fit.updates
    assert f"{usual} by default" in fit
    for name, kind in LEARNERS.variants.items():
        if kind.usual_fit.updates != usual:
            group = re.search(rf"; {kind.usual_fit.updates} of ([\w, -]+)", fit)
            assert group is not None
            assert name in group[1].split(", ")
    assert f"{SolverConfig().name} by default" in train
    assert f"{Config().task.env_id} by default" in train
    assert f"everything random; {Config().seed} by default" in train
    assert Config().task == get_task("Pendulum-v1")


def test_completion_is_installed(tmp_path):
    home = {**os.environ, "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "lagdyna", "--install-completion", "--shell", "bash"]
    done = subprocess.run(command, env=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    script = tmp_path / ".local" / "share" / "bash-completion" / "completions" / "lagdyna"
    assert "--learner" in script.read_text()

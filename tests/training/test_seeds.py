"""Several seeds as one program; `tests/runs/test_seeds.py` has their directories."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lagdyna import UserError
from lagdyna.training import ManySeeds, Trainer
from lagdyna.training import _seeds as seeds_module

from ..small import small_config


def test_eight_seeds_on_eight_devices_equal_eight_runs() -> None:
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.eight_devices"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["leaves"] > 20


def test_more_seeds_than_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds_module, "available_memory", lambda: 1_000_000)
    trainer = Trainer(small_config())
    with pytest.raises(UserError, match=r"`seeds` was 1000: each takes") as error:
        ManySeeds(trainer, range(1000)).start()
    most = int(str(error.value).split("at most ")[1].split()[0])
    assert 1 <= most < 1000
    ManySeeds(trainer, range(most))._check_memory()
    with pytest.raises(UserError, match=f"at most {most} are accepted"):
        ManySeeds(trainer, range(most + 1))._check_memory()

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lagdyna.results import plot_energy, plot_learning_curve


@pytest.mark.parametrize("parts", [True, False])
def test_energies_are_drawn_with_and_without_parts(tmp_path: Path, parts: bool) -> None:
    time, total = np.arange(5.0), np.ones(5)
    split: Any = (0.4 * total, 0.6 * total) if parts else (None, None)
    plot_energy(tmp_path / "a.png", time, total, 0 * total, *split, "title")
    with Image.open(tmp_path / "a.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


@pytest.mark.parametrize("target", [None, -200.0])
def test_a_learning_curve_is_drawn_with_and_without_a_target(
    tmp_path: Path, target: float | None
) -> None:
    evaluation = {"env_steps": 10, "return_mean": -300.0, "return_std": 10.0}
    # A file of metrics has null in place of a number that was not finite.
    missing = {"env_steps": 15, "return_mean": None, "return_std": None}
    record = {"evaluations": [evaluation, missing], "env_steps": 20, "train_return": None}
    before = {**record, "train_return": -500.0}
    plot_learning_curve(tmp_path / "a.png", [before, record], "title", target)
    with Image.open(tmp_path / "a.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10

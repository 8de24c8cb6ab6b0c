"""Structure of a DeLaN, its loss and its learner, where they are left open."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from lagdyna import FitConfig
from lagdyna.config import fit_config
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.identification._structure import with_structure
from lagdyna.parts import LNNConfig
from lagdyna.runs import fit_model
from lagdyna.systems import PlanarChain

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of two and of three joints, and one without torques."""
    folder = tmp_path_factory.mktemp("logs")
    t = 0.01 * np.arange(50)
    for name, n, forces in (("two", 2, True), ("three", 3, True), ("free", 3, False)):
        q = np.sin(t[:, None] + np.arange(n))
        each = Trajectory(t, q, tau=np.cos(q) if forces else None)
        write(folder / f"{name}.npz", TrajectorySet([each]))
    return folder


def chosen(folder: Path, name: str, **options: Any) -> tuple[str | None, str, str]:
    data = {"file": str(folder / f"{name}.npz"), "angles": options.pop("angles", "all")}
    config = with_structure(fit_config({"data": data, **options}))
    return (
        getattr(config.model, "structure", None),
        config.loss.name,
        config.learner.name,
    )


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("three", {}, ("chain", "inverse", "levenberg-marquardt")),
        ("two", {}, ("network", "auto", "adam")),
        ("free", {}, ("chain", "auto", "adam")),
        ("three", {"angles": [0, 1]}, (None, "auto", "adam")),
        ("three", {"angles": [0, 1, 2]}, ("chain", "inverse", "levenberg-marquardt")),
        # What was chosen stays.
        ("three", {"model": {"structure": "network"}}, ("network", "auto", "adam")),
        (
            "two",
            {"model": {"structure": "chain"}},
            ("chain", "inverse", "levenberg-marquardt"),
        ),
        ("three", {"loss": "one-step"}, ("chain", "one-step", "adam")),
        ("three", {"loss": "forward"}, ("chain", "forward", "levenberg-marquardt")),
        ("three", {"learner": "adam"}, ("chain", "inverse", "adam")),
        ("three", {"learner": {"name": "adam"}}, ("chain", "inverse", "adam")),
        ("three", {"learner": {"updates": 7}}, ("chain", "inverse", "adam")),
        ("three", {"model": "lnn"}, (None, "auto", "adam")),
        ("three", {"signals": {"offset": True}}, ("chain", "auto", "adam")),
    ],
)
def test_a_chain_of_three_joints_is_learned_from_its_torques(
    logs: Path, name: str, options: dict[str, Any], expected: tuple[str | None, str, str]
) -> None:
    assert chosen(logs, name, **options) == expected


def test_a_config_of_another_model_is_not_read(tmp_path: Path) -> None:
    config = FitConfig(data=str(tmp_path / "missing.npz"), model=LNNConfig())
    assert with_structure(config) is config


@pytest.mark.slow
def test_torques_and_accelerations_of_a_chain_are_learned_by_default(tmp_path: Path) -> None:
    arm, rng, t = PlanarChain.rods(3, mass=1.0), np.random.default_rng(0), 0.02 * np.arange(300)
    torques, found = jax.jit(jax.vmap(arm.inverse_dynamics)), []
    for _ in range(5):
        w, phase = rng.uniform(0.5, 3, (2, 3)), rng.uniform(0, 6, (2, 3))
        angle = t[:, None, None] * w + phase
        q, qd, qdd = (
            np.sum(x, axis=1)
            for x in (np.sin(angle), w * np.cos(angle), -(w**2) * np.sin(angle))
        )
        found.append(Trajectory(t, q, qd, qdd, np.asarray(torques(q, qd, qdd))))
    write(tmp_path / "log.npz", TrajectorySet(found))
    data = {"file": str(tmp_path / "log.npz"), "angles": "all"}
    report = fit_model(fit_config({"data": data}), tmp_path / "run")
    relative = report["validation"]["relative"]
    assert max(*relative["torque"], *relative["acceleration"]) < 1e-3

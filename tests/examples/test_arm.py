"""`examples/arm.py`: its controller follows a reference exactly where its model is right."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "examples" / "arm.py"


@pytest.fixture(scope="module")
def arm() -> ModuleType:
    pytest.importorskip("mujoco")
    spec = importlib.util.spec_from_file_location("arm", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def traced() -> Iterator[list[str]]:
    """Events of JAX's tracing and compilation during a test."""
    events: list[str] = []

    def record(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.startswith("/jax/core/compile"):
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(record)
    yield events
    jax.monitoring.unregister_event_duration_listener(record)


def test_references_start_at_rest_and_are_smooth(arm: ModuleType) -> None:
    q, qd, qdd = arm.waves(4.0, np.ones(2), seed=3)
    for x in (q, qd, qdd):
        np.testing.assert_allclose(x[[0, -1]], 0, atol=1e-12)
    for x, xd in ((q, qd), (qd, qdd)):
        slope = (x[2:] - x[:-2]) / (2 * arm.DT)
        np.testing.assert_allclose(xd[1:-1], slope, atol=2e-3 * np.abs(xd).max())


def test_the_right_model_follows_a_reference_and_never_traces(
    arm: ModuleType, traced: list[str]
) -> None:
    controller = arm.ComputedTorque(arm.nominal_model())
    reference = arm.waves(2.0, np.asarray([1.0, 0.7, 1.0, 0.8]), seed=3)
    assert traced
    traced.clear()
    log = arm.run(arm.Plant(ideal=True), reference, controller)
    assert traced == []
    # What is left is the delay of torques that are held for 2 ms.
    assert np.abs(log.q - reference.q).max() < 5e-3
    moving = arm.run(arm.Plant(ideal=False), reference, controller)
    assert np.abs(moving.q - reference.q).max() > 0.05
    bent = np.tile([0.3, 0.9, 0.7, 0.3], (250, 1))
    still = arm.Reference(bent, 0 * bent, 0 * bent)
    held = arm.run(arm.Plant(ideal=True), still, controller.hold)
    assert np.abs(held.q - bent).max() < 1e-3

"""Exports of policies and models, read by programs without JAX."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lagdyna
from lagdyna import UserError
from lagdyna.agents import Features, Policy
from lagdyna.config import config_from_table
from lagdyna.export import What, export
from lagdyna.export._program import mechanics_program, policy_program
from lagdyna.export._writers import WRITERS
from lagdyna.identification import Sizes
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.runs import FittedRun, RunPolicy
from lagdyna.runtime import Contract, ExportedPolicy, Format, Spaces, load_program
from lagdyna.runtime._network import network_policy
from lagdyna.simulate import LagrangianField, LearnedModel, SolvedTransition
from lagdyna.systems import Pendulum

from .. import environments as environments  # registers them
from ..helpers import randomised, shape_of


def exported(whole: Path, out: Path, format: Format) -> ExportedPolicy:
    export(whole, "policy", format, out)
    policy = lagdyna.load_policy(out)
    assert isinstance(policy, ExportedPolicy)
    return policy


@pytest.mark.parametrize("format", get_args(Format))
def test_an_exported_policy_acts_as_the_run_s(
    whole: Path,
    tmp_path: Path,
    format: Format,
) -> None:
    if format == "onnx":
        pytest.importorskip("jax2onnx")
    policy, source = exported(whole, tmp_path / "out", format), lagdyna.load_policy(whole)
    rng = np.random.default_rng(0)
    state = expected_state = None
    for observations in rng.normal(size=(3, 2, 3)):  # positions alone; velocities are estimated
        actions, state = policy.predict(observations, state)
        expected, expected_state = source.predict(observations, expected_state)
        np.testing.assert_allclose(actions, expected, atol=2e-5)
        assert policy.predict(observations[0])[0].shape == (1,)
    check = policy.contract.check
    assert check is not None
    assert check.inputs == 1000
    assert check.largest_difference < 1e-5
    assert policy.contract.outputs[0].high == (2.0,)
    with pytest.raises(ValueError, match="an exported policy has no noise"):
        policy.predict(np.zeros(3), deterministic=False)


def test_a_policy_of_a_reaching_arm_is_the_same_in_numpy() -> None:
    config = config_from_table({"task": "Reacher-v5"})
    task = config.task
    features = Features(task.state_coordinates, (10.0, 10.0, 1.0, 1.0))
    shape = shape_of(Policy, features, 2, hidden=(6,), activation=jnp.tanh)
    policy = randomised(shape, 0, 0.5)
    source = RunPolicy(policy, config, Spaces(10, ((-1.0, 1.0), (-1.0, 1.0))))
    program = policy_program(source)
    artefact = WRITERS["npz"](program)
    contract = Contract(
        what="policy",
        format="npz",
        file="policy.npz",
        precision="float32",
        inputs=program.inputs,
        outputs=program.outputs,
        reading=program.reading,
        network=artefact.network,
    )
    with np.load(io.BytesIO(artefact.content)) as arrays:
        act = network_policy(contract, dict(arrays))
    observations = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
    expected, _ = source.predict(observations)
    np.testing.assert_allclose(act(observations), expected, atol=1e-5)


def test_a_policy_of_numpy_needs_no_jax(whole: Path, tmp_path: Path) -> None:
    policy = exported(whole, tmp_path / "out", "npz")
    program = (
        "import sys, lagdyna; "
        f"policy = lagdyna.load_policy({str(tmp_path / 'out')!r}); "
        "action, state = policy.predict([0.6, 0.8, 0.1]); "
        "assert not {'jax', 'equinox'} & set(sys.modules); print(action[0])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert float(found.stdout) == pytest.approx(policy.predict([0.6, 0.8, 0.1])[0][0])


def fitted() -> FittedRun:
    """A fit that has found a pendulum of 2 kg and 0.5 m, driven by a torque."""
    coordinates = Coordinates((True,))
    system = MechanicalSystem(
        Pendulum.point_mass(2.0, 0.5, 9.81), coordinates, FixedActuation(((1.0,),))
    )
    model = LearnedModel(SolvedTransition(LagrangianField(system), coordinates, 0.01))
    one = (1.0,)
    sizes = Sizes(1, 1, "tau", 0.01, 1.0, 1.0, one, (0.0,), one, one, one, one, one)
    absent: Any = None
    return FittedRun(absent, model, None, [], None, sizes)


@pytest.mark.parametrize("what", get_args(What)[1:-1])
def test_mechanics_have_their_closed_forms(what: str, tmp_path: Path) -> None:
    """Angles are from the upward position: `I qdd = m g l sin q + u` with `I = m l^2`."""
    program = mechanics_program(what, fitted(), None)
    artefact = WRITERS["stablehlo"](program)
    call = jax.export.deserialize(bytearray(artefact.content)).call
    inertia, weight = 2.0 * 0.5**2, 2.0 * 9.81 * 0.5
    q, qd, u = (jnp.asarray([x], jnp.float32) for x in (0.4, -0.3, 1.5))
    acceleration = (weight * np.sin(0.4) + 1.5) / inertia
    jerk = weight * np.cos(0.4) * -0.3 / inertia
    expected = {
        "step": (
            0.4 - 0.003 + 0.5e-4 * acceleration,
            -0.3 + 0.01 * acceleration + 0.5e-4 * jerk,
        ),
        "forward-dynamics": (acceleration,),
        "inverse-dynamics": (inertia * 1.5 - weight * np.sin(0.4),),
        "gravity": (-weight * np.sin(0.4),),
    }[what]
    given = (q, qd, u)[: len(program.inputs)]
    found = call(*given)
    np.testing.assert_allclose(np.ravel(found), expected, rtol=2e-4)
    assert [port.name for port in program.inputs] == ["q", "qd", program.inputs[-1].name][
        : len(given)
    ]
    forces = [port.units for port in program.outputs if port.name == "force"]
    assert all(units == ("N m",) for units in forces)
    shapes = [np.shape(x) for x in program.draw(np.random.default_rng(0))]
    assert shapes == [port.shape for port in program.inputs]


def test_a_step_takes_actions_in_the_environment_s_units(whole: Path, tmp_path: Path) -> None:
    out, contract = export(whole, "step", "stablehlo", tmp_path / "out")
    assert contract.dt == pytest.approx(0.05)
    _, call = load_program(out)
    run = lagdyna.load_run(whole)
    q, qd, action = (np.asarray([x], np.float32) for x in (0.5, -1.0, 1.2))
    expected = run.transition.step(
        lagdyna.State(jnp.asarray(q), jnp.asarray(qd)), jnp.asarray(action / 2)
    )
    np.testing.assert_allclose(np.ravel(call(q, qd, action)), np.ravel(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("what", "format", "message"),
    [
        ("motion", "npz", "`what` was 'motion'; policy, step, forward-dynamics"),
        ("policy", "zip", "`format` was 'zip'; stablehlo, onnx, npz are accepted"),
        ("step", "npz", "holds the weights of a policy, and `what` was 'step'"),
        ("gravity", "stablehlo", "the model of the run is no Lagrangian"),
        ("forward-dynamics", "stablehlo", "the model of the run has no acceleration"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(
    whole: Path, tmp_path: Path, what: Any, format: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        export(whole, what, format, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_not_installed_names_its_extra(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'lagdyna\[stablehlo\]'"):
        export(whole, "policy", "stablehlo", tmp_path / "out")
    with pytest.raises(UserError, match=r"package jax2onnx.*'lagdyna\[onnx\]'"):
        export(whole, "policy", "onnx", tmp_path / "out")


def test_damaged_exports_are_refused(whole: Path, tmp_path: Path) -> None:
    out, contract = export(whole, "policy", "npz", tmp_path / "out")
    file, written = out / contract.file, out / "contract.json"
    content, text = file.read_bytes(), written.read_text()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"policy\.npz' is damaged"):
        lagdyna.load_policy(out)
    file.unlink()
    with pytest.raises(UserError, match="does not exist; export the program again"):
        lagdyna.load_policy(out)
    file.write_bytes(content)
    for change, message in (
        ({"file": "../policy.npz"}, "is not beside its contract"),
        ({"format": "zip"}, r"contract\.json' is damaged"),
        ({"reading": None}, r"policy\.npz' is damaged: it is not what contract\.json"),
        ({"precision": "float64"}, "it is not what"),
    ):
        written.write_text(json.dumps({**json.loads(text), **change}))
        with pytest.raises(UserError, match=message):
            lagdyna.load_policy(out)
    written.write_text(text)
    lagdyna.load_policy(out)
    with pytest.raises(UserError, match="is not empty"):
        export(whole, "policy", "npz", out)

"""MuJoCo's own system identification, `mujoco.sysid`, of a simulated arm."""

import functools
import importlib
import io
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from ..._errors import UserError
from ...config import FitConfig
from ...data import Trajectory, TrajectorySet
from ...identification import fit_problem
from ...mechanics import (
    CoulombDissipation,
    MechanicalSystem,
    SumDissipation,
    ViscousDissipation,
)
from ...systems import RobotDescription, RobotModel
from .._reproduction import PartProgress
from ._models import SystemModel

# Samples of a window, 0.05 s. An arm without feedback is unstable: predictions of the
# description are useless after 0.2 s, and the optimiser starts from them.
_SAMPLES = 5
# Steps of the simulation in each sample, with constant torques.
_SUBSTEPS = 2
# Windows that are used, spread evenly over the recordings, and iterations of the optimiser.
_WINDOWS, _ITERATIONS = 100, 12
SYSID_SAMPLES = _SAMPLES * _WINDOWS
"""Samples that `mujoco.sysid` gets at most."""
# Bounds of masses and of second moments, relative to the description. Those of second moments
# are (0.5, 2) by default in `mujoco.sysid`, which would exclude some of the true links.
_RATIOS = np.array([0.1, 10.0])
# Starting value and bounds of each joint's friction and armature, SI units.
_JOINT = {
    "armature": (0.01, 0.0, 1.0),
    "damping": (0.1, 0.0, 50.0),
    "frictionloss": (0.1, 0.0, 50.0),
}


def load_sysid() -> Any:
    """Import `mujoco.sysid`.

    **Raises:** `UserError` if it cannot be imported.
    """
    try:
        found = importlib.import_module("mujoco.sysid")
    except ImportError:
        found = None
    # Without the packages of its extra it imports, and is empty.
    if not hasattr(found, "optimize"):
        raise UserError(
            "`mujoco.sysid` cannot be imported; `pip install 'mujoco[sysid]'` installs it, "
            "with MuJoCo 3.5 or later"
        )
    return found


@functools.cache
def why_missing() -> str | None:
    """Say why `mujoco.sysid` cannot be used; `None` where it can."""
    try:
        load_sysid()
    except UserError as error:
        return str(error)
    return None


def identify_by_rollouts(
    config: FitConfig, iterations: int | None, progress: PartProgress
) -> tuple[SystemModel, float]:
    """Identify an arm by `mujoco.sysid`, from rollouts of MuJoCo's simulation.

    Windows of the recordings are simulated from their first states under the recorded torques,
    and compared with the recorded positions and velocities. This is the residual that the
    documentation of `mujoco.sysid` describes, without a model of sensors. Errors are divided
    by the standard deviations of all recordings, since those of a short window say nothing.

    The parameters are the pseudo-inertia of each link (`InertiaType.Pseudo`, physically
    consistent), the armature of each joint, and its damping and friction loss where the config
    has friction. Friction loss becomes Coulomb friction, smoothed as in the config. Parameters
    start at the description. The optimiser is `mujoco`, the recommended one: Gauss-Newton with
    Jacobians from finite differences. Its cost grows with the windows, so that 100 of 0.05 s
    are used: 500 samples.

    The simulation takes two steps of the Runge-Kutta method in a sample, each under the mean
    torque, from a cubic spline.

    **Arguments:**

    - `config`: of a fit of the model `robot`, which has the recordings. Where these lack
        velocities, they are estimated as for the other models.
    - `iterations`: of the optimiser; `None` for the usual number.

    **Returns:** the model, with the identified parameters; and seconds, without those that read
    the recordings.

    **Raises:** `UserError` if `mujoco.sysid` cannot be imported.
    """
    sysid, problem = load_sysid(), fit_problem(config)
    start = time.perf_counter()
    system = problem.plant.known
    assert isinstance(system, MechanicalSystem)
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    assert robot.description is not None
    rubs = isinstance(system.dissipation, SumDissipation)
    mujoco = importlib.import_module("mujoco")
    text = simulation(robot.description, problem.data.dt / _SUBSTEPS)
    spec = mujoco.MjSpec.from_string(text)
    model = spec.compile()
    n = len(robot.joints)
    parameters = _parameters(sysid, spec, model, n, rubs)
    measured = _windows(sysid, spec, model, problem.data.raw.training)
    scale, evaluations = _scale(problem.data.raw.training), 0

    def scaled(_: Any, predicted: Any, recorded: Any, *__: Any, state: Any, **___: Any) -> Any:
        # Sensors of a step are those at its beginning, and the state is that at its end, after
        # a column with the time.
        found = state[_SUBSTEPS - 1 :: _SUBSTEPS, 1 : 2 * n + 1]
        return (found - recorded.data[1:]) / scale, predicted, recorded

    def build(values: Any) -> Any:
        return sysid.apply_param_modifiers(values, spec)

    def residual(x: np.ndarray, values: Any) -> tuple[list[np.ndarray], Any, Any]:
        nonlocal evaluations
        found = sysid.model_residual(x, values, build, measured, scaled, resample_true=False)
        evaluations += 1
        progress(f"{evaluations} evaluations of the residual")
        # One column for each point, with all windows below each other.
        columns = found[0].T.reshape(x.shape[1], -1).T if x.ndim > 1 else found[0]
        return [columns], found[1], found[2]

    # The optimiser prints each iteration, and `verbose` does not reach it.
    options = {"max_iters": iterations or _ITERATIONS, "output": io.StringIO()}
    best, _ = sysid.optimize(parameters, residual, "mujoco", verbose=False, **options)
    fitted = _identified(system, best, n, rubs)
    return SystemModel(fitted), time.perf_counter() - start


def simulation(description: RobotDescription, dt: float) -> str:
    """Write a robot description as MJCF whose bodies and joints are called by their numbers.

    Frames and joints are those of [`lagdyna.systems.RobotModel`][], so that inertial
    parameters mean the same in both. Each joint has a motor, and sensors of its position and
    velocity.
    """
    root = ET.Element("mujoco")
    gravity = _text(description.gravity)
    options = {"timestep": repr(dt), "integrator": "RK4", "gravity": gravity}
    ET.SubElement(ET.SubElement(root, "option", options), "flag", contact="disable")
    world = ET.SubElement(root, "worldbody")
    actuator, sensor = ET.SubElement(root, "actuator"), ET.SubElement(root, "sensor")
    bodies: list[ET.Element] = []
    for i, link in enumerate(description.links):
        parent = world if link.parent < 0 else bodies[link.parent]
        quaternion = Rotation.from_matrix(np.array(link.rotation)).as_quat()
        pose = {"pos": _text(link.position), "quat": _text(np.roll(quaternion, 1))}
        body = ET.SubElement(parent, "body", {"name": f"link{i}", **pose})
        x, y, z = np.array(link.inertia)
        moments = (x[0], y[1], z[2], x[1], x[2], y[2])
        mass = {"mass": repr(link.mass), "pos": _text(link.centre)}
        ET.SubElement(body, "inertial", {"fullinertia": _text(moments), **mass})
        kind = "slide" if link.slides else "hinge"
        ET.SubElement(body, "joint", name=f"joint{i}", type=kind, axis="0 0 1")
        ET.SubElement(actuator, "motor", name=f"motor{i}", joint=f"joint{i}")
        bodies.append(body)
    for what in ("pos", "vel"):
        for i in range(len(bodies)):
            ET.SubElement(sensor, f"joint{what}", name=f"{what}{i}", joint=f"joint{i}")
    return ET.tostring(root, encoding="unicode")


def _parameters(sysid: Any, spec: Any, model: Any, n: int, rubs: bool) -> Any:
    """Declare what is identified, with starting values and bounds."""
    found = sysid.ParameterDict()
    for i in range(n):
        kind = sysid.InertiaType.Pseudo
        bounds = {"mass_bound_mult": _RATIOS, "stretch_bound_mult": _RATIOS}
        each = sysid.body_inertia_param(spec, model, f"link{i}", inertia_type=kind, **bounds)
        each.modifier = _body_setter(f"link{i}")
        found.add(each)
    for name, (first, lower, upper) in _JOINT.items():
        if name == "armature" or rubs:
            for i in range(n):
                modifier = _setter(f"joint{i}", name)
                key = f"{name}{i}"
                found.add(sysid.Parameter(key, first, lower, upper, modifier=modifier))
    return found


def _body_setter(body: str) -> Any:
    """Make the function that writes log-Cholesky parameters into a body of MuJoCo's model.

    That of `mujoco.sysid` compiles the model once more for each body, and MuJoCo 4.0 refuses
    the model that it leaves for the next one.
    """

    def change(spec: Any, parameter: Any) -> None:
        alpha, d1, d2, d3, s12, s23, s13, *centre = parameter.value
        # Rucker & Wensing 2022, eq. 8: without the last column, this factor is that of the
        # second moment about the centre of mass.
        factor = np.array([[np.exp(d1), s12, s13], [0, np.exp(d2), s23], [0, 0, np.exp(d3)]])
        mass, second = np.exp(2 * alpha), factor @ factor.T
        x, y, z = mass * (np.trace(second) * np.eye(3) - second)
        element = spec.body(body)
        element.mass, element.ipos[:] = mass, centre
        element.inertia[:], element.iquat[:] = 0, (1, 0, 0, 0)
        element.fullinertia = np.array([x[0], y[1], z[2], x[1], x[2], y[2]])[:, None]
        element.explicitinertial = True

    return change


def _setter(joint: str, name: str) -> Any:
    """Make the function that writes a number into a joint of MuJoCo's model."""

    def change(spec: Any, parameter: Any) -> None:
        element, value = spec.joint(joint), float(parameter.value[0])
        # MuJoCo 4 has coefficients of a polynomial, of which the first is the damping.
        if np.ndim(getattr(element, name)) > 0:
            getattr(element, name)[0] = value
        else:
            setattr(element, name, value)

    return change


def _windows(sysid: Any, spec: Any, model: Any, recorded: TrajectorySet) -> list[Any]:
    """Cut recordings into windows with what is simulated and what is measured."""
    windows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    steps = _SAMPLES * _SUBSTEPS
    for each in recorded:
        assert each.qd is not None
        torque = _held(each)
        for first in range(0, each.rows - _SAMPLES, _SAMPLES):
            part = slice(first, first + _SAMPLES + 1)
            held = torque[first * _SUBSTEPS : first * _SUBSTEPS + steps + 1]
            windows.append((each.q[part], each.qd[part], held))
    chosen = np.linspace(0, len(windows) - 1, min(_WINDOWS, len(windows))).round().astype(int)
    kept = [windows[i] for i in chosen]
    at = model.opt.timestep * np.arange(steps + 1)
    sampled = at[::_SUBSTEPS]
    sequences = sysid.ModelSequences(
        "arm",
        spec,
        [f"window{i}" for i in range(len(kept))],
        [sysid.create_initial_state(model, q[0], qd[0]) for q, qd, _ in kept],
        [sysid.TimeSeries.from_control_names(at, torque, model) for _, _, torque in kept],
        [sysid.TimeSeries.from_names(sampled, np.hstack([q, qd]), model) for q, qd, _ in kept],
    )
    return sequences.measured_rollout


def _scale(recorded: TrajectorySet) -> Float[np.ndarray, " sensors"]:
    """Compute the standard deviations of positions and velocities."""
    positions = np.concatenate([each.q for each in recorded])
    velocities = np.concatenate([each.qd for each in recorded if each.qd is not None])
    return np.concatenate([positions.std(axis=0), velocities.std(axis=0)])


def _held(each: Trajectory) -> Float[np.ndarray, "steps n"]:
    """Compute the mean torque of each step of the simulation, and the last recorded one."""
    assert each.tau is not None
    part = np.arange(_SUBSTEPS) / _SUBSTEPS
    t = np.append((each.t[:-1, None] + np.diff(each.t)[:, None] * part).ravel(), each.t[-1])
    whole = CubicSpline(each.t, each.tau).antiderivative()(t)
    return np.concatenate([np.diff(whole, axis=0) / np.diff(t)[:, None], each.tau[-1:]])


def _identified(system: MechanicalSystem, best: Any, n: int, rubs: bool) -> MechanicalSystem:
    """Write the identified parameters into a system of the library."""
    robot = system.lagrangian
    assert isinstance(robot, RobotModel)
    dtype = robot.inertia.dtype

    def joints(name: str) -> Float[np.ndarray, " n"]:
        return np.array([best[f"{name}{i}"].value[0] for i in range(n)])

    inertia = np.stack([best[f"link{i}_inertia"].value for i in range(n)])
    changed = eqx.tree_at(lambda x: x.inertia, robot, jnp.asarray(inertia, dtype))
    changed = eqx.tree_at(
        lambda x: x.armature,
        changed,
        jnp.asarray(joints("armature"), dtype),
        is_leaf=lambda x: x is None,
    )
    system = eqx.tree_at(lambda x: x.lagrangian, system, changed)
    if not rubs:
        return system
    # Coefficients of the library are positive.
    friction = {
        name: jnp.asarray(np.maximum(joints(name), 1e-9), dtype)
        for name in ("damping", "frictionloss")
    }
    assert isinstance(system.dissipation, SumDissipation)
    width = next(
        each.width for each in system.dissipation.parts if isinstance(each, CoulombDissipation)
    )
    parts = (
        ViscousDissipation(friction["damping"]),
        CoulombDissipation(friction["frictionloss"], width),
    )
    return eqx.tree_at(lambda x: x.dissipation, system, SumDissipation(parts))


def _text(values: Sequence[float] | np.ndarray) -> str:
    return " ".join(repr(float(x)) for x in values)

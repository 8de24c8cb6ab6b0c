"""Identify an arm from its robot description and a log, and control it with the result.

Run `python examples/arm.py --out arm`; it needs the extra `mujoco`.

The arm is simulated by MuJoCo. Its masses differ from those in `data/arm.urdf` by up to 30 %,
its joints have friction and rotors, and a cable pulls at the elbow; the description knows none
of these. The arm is excited for some seconds under position control and logged at 500 Hz:
rounded positions, noisy velocities, torques. `lagdyna.fit` identifies inertia and friction, and
then the same together with a potential energy for the cable.

Each model controls the arm at 500 Hz by computed torques. The inverse dynamics are exported and
compiled before the loop: the loop calls a compiled program with NumPy arrays and never traces.
The script prints the error of the tip, and its drift while gravity compensation alone holds the
arm.
"""

import argparse
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import lagdyna
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.mechanics import FixedActuation, MechanicalSystem
from lagdyna.parts import RobotConfig, RobotResidualConfig
from lagdyna.simulate import LagrangianField, LearnedModel, SolvedTransition
from lagdyna.systems import RobotModel

URDF = Path(__file__).parent / "data" / "arm.urdf"
DT, SUBSTEPS = 0.002, 4  # control at 500 Hz, simulation at 2 kHz
ENCODER, VELOCITY_NOISE, TORQUE_NOISE = 2 * np.pi / 2**16, 2e-3, 0.02
STIFFNESS, DAMPING = 100.0, 20.0  # of the error's equation in computed torque control
SERVO = np.asarray([60.0, 120.0, 60.0, 15.0])  # N m/rad, position control without a model

Vector = Float[np.ndarray, " n"]
Torques = Callable[[Vector, Vector, Vector, Vector, Vector], Vector]


class Reference(NamedTuple):
    """Reference motion at each control step, each of shape `(time, n)`."""

    q: Float[np.ndarray, "time n"]
    qd: Float[np.ndarray, "time n"]
    qdd: Float[np.ndarray, "time n"]


class Log(NamedTuple):
    """Record of a motion: true and measured states, and torques, each of shape `(time, n)`."""

    q: Float[np.ndarray, "time n"]
    measured_q: Float[np.ndarray, "time n"]
    measured_qd: Float[np.ndarray, "time n"]
    tau: Float[np.ndarray, "time n"]


class Plant:
    """Arm in MuJoCo with the errors of a real one, unless `ideal`."""

    def __init__(self, seed: int = 0, *, ideal: bool = False):
        self.mujoco = mujoco = importlib.import_module("mujoco")
        self.model: Any = mujoco.MjModel.from_xml_path(str(URDF))
        self.model.opt.timestep = DT / SUBSTEPS
        self.model.jnt_limited[:] = 0
        self.ideal = ideal
        self.rng = np.random.default_rng(seed)
        if not ideal:
            factor = np.asarray([1.0, 0.8, 1.3, 1.3, 0.7])
            self.model.body_mass[:] *= factor
            self.model.body_inertia[:] *= factor[:, None]
            self.model.dof_damping[:] = (0.8, 1.2, 0.6, 0.15)
            self.model.dof_frictionloss[:] = (0.7, 1.0, 0.5, 0.1)
            self.model.dof_armature[:] = (0.08, 0.10, 0.05, 0.01)
        self.data: Any = mujoco.MjData(self.model)
        mujoco.mj_setConst(self.model, self.data)

    def reset(self, q: Vector, qd: Vector) -> None:
        """Set the state."""
        self.mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = q, qd

    def measure(self) -> tuple[Vector, Vector]:
        """Return position and velocity as the arm's sensors report them."""
        q, qd = self.data.qpos.copy(), self.data.qvel.copy()
        if self.ideal:
            return q, qd
        noise = VELOCITY_NOISE * self.rng.normal(size=qd.shape)
        return np.round(q / ENCODER) * ENCODER, qd + noise

    def step(self, tau: Vector) -> None:
        """Simulate one control step under constant torques."""
        for _ in range(SUBSTEPS):
            self.data.qfrc_applied[:] = tau
            if not self.ideal:  # a cable along the elbow
                self.data.qfrc_applied[2] -= 0.6 * np.sin(3 * self.data.qpos[2])
            self.mujoco.mj_step(self.model, self.data)


def waves(seconds: float, size: Vector, seed: int) -> Reference:
    """Sample a sum of five sines for each joint that starts and ends at rest."""
    rng = np.random.default_rng(seed)
    t = DT * np.arange(round(seconds / DT))[:, None]
    w = rng.uniform(0.6, 6.0, (5, len(size)))
    phase = rng.uniform(0, 2 * np.pi, w.shape)
    high = size * rng.dirichlet(np.ones(5), len(size)).T
    curve, slope, bend = (
        sum(high[i] * w[i] ** d * f(w[i] * t + phase[i]) for i in range(5))
        for d, f in enumerate((np.sin, np.cos, lambda x: -np.sin(x)))
    )
    # A smooth start and end: s (10 s^3 - 15 s^4 + 6 s^5) within a second.
    s = np.clip(np.minimum(t, t[-1] - t), 0, 1)
    sign = np.where(t < t[-1] / 2, 1.0, -1.0)
    rise, rate = s**3 * (10 - 15 * s + 6 * s**2), sign * 30 * s**2 * (1 - s) ** 2
    rate2 = 60 * s * (1 - s) * (1 - 2 * s)
    qdd = bend * rise + 2 * slope * rate + curve * rate2
    return Reference(curve * rise, slope * rise + curve * rate, qdd)


def run(plant: Plant, reference: Reference, torques: Torques) -> Log:
    """Control the arm along a reference; no JAX code is traced here."""
    plant.reset(reference.q[0], reference.qd[0])
    rows = []
    for wanted in zip(*reference, strict=True):
        q, qd = plant.measure()
        tau = torques(q, qd, *wanted)
        rows.append((plant.data.qpos.copy(), q, qd, tau))
        plant.step(tau)
    return Log(*(np.stack(column) for column in zip(*rows, strict=True)))


def servo(q: Vector, qd: Vector, wanted: Vector, wanted_qd: Vector, qdd: Vector) -> Vector:
    """Compute torques of a position controller that knows no model."""
    del qdd
    return SERVO * (wanted - q) + 0.1 * SERVO * (wanted_qd - qd)


# --8<-- [start:control]
class ComputedTorque:
    """Computed torque control with a model, compiled before it is used."""

    def __init__(self, model: LearnedModel):
        exported = model.export_inverse_dynamics()
        self.program = jax.jit(exported.call).lower(*exported.in_avals).compile()
        self.dtype = exported.in_avals[0].dtype

    def inverse_dynamics(self, *state: Vector) -> Vector:
        """Call the compiled inverse dynamics, from NumPy to NumPy."""
        return np.asarray(self.program(*(x.astype(self.dtype) for x in state)))

    def __call__(
        self, q: Vector, qd: Vector, wanted: Vector, wanted_qd: Vector, wanted_qdd: Vector
    ) -> Vector:
        """Compute the torques that make the error decay along the reference."""
        correction = STIFFNESS * (wanted - q) + DAMPING * (wanted_qd - qd)
        return self.inverse_dynamics(q, qd, wanted_qdd + correction)

    def hold(self, q: Vector, qd: Vector, *_: Vector) -> Vector:
        """Compute the torques that hold the arm against gravity, whatever its position."""
        rest = np.zeros_like(q)
        return self.inverse_dynamics(q, rest, rest) - 0.2 * qd


# --8<-- [end:control]


def nominal_model() -> LearnedModel:
    """Build the model of the robot description as it is."""
    robot = RobotModel.from_urdf(URDF)
    n = robot.tree.links
    motors = FixedActuation(tuple(tuple(float(i == j) for j in range(n)) for i in range(n)))
    system = MechanicalSystem(robot, robot.coordinates, motors)
    return LearnedModel(SolvedTransition(LagrangianField(system), system.coordinates, DT))


def record(path: Path, seconds: float) -> None:
    """Excite the arm and write the log."""
    found = []
    for seed in (1, 2, 3, 4):
        reference = waves(seconds / 4, np.asarray([1.5, 1.0, 1.4, 1.2]), seed)
        log = run(Plant(seed), reference, servo)
        tau = log.tau + TORQUE_NOISE * np.random.default_rng(seed).normal(size=log.tau.shape)
        t = DT * np.arange(len(tau))
        found.append(Trajectory(t, log.measured_q, log.measured_qd, tau=tau))
    write(path, TrajectorySet(found))


def tips(q: Float[np.ndarray, "time n"]) -> Float[np.ndarray, "time 3"]:
    """Compute positions of the tip, m."""
    robot = RobotModel.from_urdf(URDF)
    place = jax.jit(jax.vmap(lambda each: robot.frame_pose(each, "tip")[1]))
    return np.asarray(place(jnp.asarray(q)))


def evaluate(model: LearnedModel, seconds: float) -> tuple[float, float, float, float]:
    """Control the arm with a model along a motion that is not in the log.

    **Returns:** root mean square and largest error of the tip, and its drift within a second
    of gravity compensation, all in m; and seconds of a control step.
    """
    controller = ComputedTorque(model)
    reference = waves(seconds, np.asarray([1.4, 0.9, 1.3, 1.0]), seed=10)
    start = time.perf_counter()
    log = run(Plant(10), reference, controller)
    took = (time.perf_counter() - start) / len(reference.q)
    error = np.linalg.norm(tips(log.q) - tips(reference.q), axis=1)
    bent = np.tile(np.asarray([0.3, 0.9, 0.7, 0.3]), (round(1 / DT), 1))
    still = Reference(bent, np.zeros_like(bent), np.zeros_like(bent))
    drift = tips(run(Plant(11), still, controller.hold).q)
    moved = float(np.linalg.norm(drift[-1] - drift[0]))
    return float(np.sqrt(np.mean(error**2))), float(error.max()), moved, took


def main(arguments: list[str] | None = None) -> None:
    """Record, identify, control, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="new directory")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of the log")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True)
    log = args.out / "log.npz"
    record(log, args.seconds)
    models = {"robot description": nominal_model()}
    fits = {
        "identified": RobotConfig(robot=str(URDF), dissipation="both"),
        "with a residual": RobotResidualConfig(robot=str(URDF), dissipation="both"),
    }
    for name, config in fits.items():
        out = args.out / name.replace(" ", "-")
        lagdyna.fit(log, out, angles="all", model=config, loss="inverse")
        models[name] = lagdyna.load_fit(out).model
    print("| model | tip, rms, mm | largest, mm | drift, mm | control step, ms |")
    print("|---|---|---|---|---|")
    for name, model in models.items():
        error, largest, drift, step = evaluate(model, seconds=8.0)
        lengths = (f"{1e3 * x:.2f}" for x in (error, largest, drift, step))
        print(f"| {name} | {' | '.join(lengths)} |", flush=True)


if __name__ == "__main__":
    main()

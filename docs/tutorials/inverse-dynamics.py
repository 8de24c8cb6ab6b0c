# %% [markdown]
# # Inverse dynamics in a control loop
#
# In this tutorial you learn the inverse dynamics of an arm from 20 s of motion, and use them
# in a loop at 200 Hz: for gravity compensation, and for computed torque control. It runs in
# two minutes on two cores.
#
# A simulated arm with two links and friction takes the place of a machine. Replace `measure`
# and `send` by the functions of yours.

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import lagdyna
from lagdyna import State
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.mechanics import (
    Coordinates,
    CoulombDissipation,
    FixedActuation,
    MechanicalSystem,
    SumDissipation,
    ViscousDissipation,
)
from lagdyna.parts import DeLaNConfig, LevenbergMarquardtConfig
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.systems import PlanarChain

DT = 0.005  # s, a control step
SECONDS = 20  # quick: 4
HIDDEN, UPDATES = (16, 16), 60  # quick: (4,), 2

# %% [markdown]
# ## The machine
#
# Both links are rods of 1 m and 1 kg. Each joint has viscous and Coulomb friction.

# %%
friction = SumDissipation(
    (ViscousDissipation(jnp.array([0.5, 0.3])), CoulombDissipation(jnp.array([1.0, 0.5]), 0.05))
)
motors = FixedActuation(((1.0, 0.0), (0.0, 1.0)))  # the action is the torque, N m
arm = MechanicalSystem(PlanarChain.two_link_arm(), Coordinates((True, True)), motors, friction)
simulation = SolvedTransition(LagrangianField(arm), arm.coordinates, DT, substeps=4)
advance = eqx.filter_jit(simulation.step)
noise = np.random.default_rng(0)


class Machine:
    """Arm with encoders of 1e-4 rad and velocities with noise of 2e-3 rad/s."""

    def __init__(self, q, qd=(0.0, 0.0)):
        self.state = State(jnp.asarray(q, jnp.float32), jnp.asarray(qd, jnp.float32))

    def measure(self):
        q, qd = np.asarray(self.state.q), np.asarray(self.state.qd)
        return np.round(q / 1e-4) * 1e-4, qd + 2e-3 * noise.normal(size=2)

    def send(self, torque):
        self.state = advance(self.state, jnp.asarray(torque, jnp.float32))


# %% [markdown]
# ## Record a log
#
# A motion for identification moves all joints together, fast and slowly, through the whole
# range. Here each joint follows a sum of sines, under PD control without any model.

# %%
KP, KD = np.array([120.0, 60.0]), np.array([20.0, 10.0])  # N m/rad, N m s/rad


def sines(t, seed):
    """Sample a sum of four sines for each joint: position, velocity, acceleration."""
    rng = np.random.default_rng(seed)
    w, phase = rng.uniform(0.5, 4.0, (4, 1, 2)), rng.uniform(0, 2 * np.pi, (4, 1, 2))
    size = rng.uniform(0.2, 0.6, (4, 1, 2))
    angle = w * t[:, None] + phase
    q = np.array([1.2, 0.3]) + np.sum(size * np.sin(angle), 0)
    return q, np.sum(size * w * np.cos(angle), 0), -np.sum(size * w**2 * np.sin(angle), 0)


def pd(q, qd, wanted, wanted_qd, wanted_qdd):
    return KP * (wanted - q) + KD * (wanted_qd - qd)


def drive(controller, motion):
    """Control the machine along a motion; return measured states and torques."""
    machine, rows = Machine(motion[0][0], motion[1][0]), []
    for wanted in zip(*motion, strict=True):
        q, qd = machine.measure()
        torque = controller(q, qd, *wanted)
        rows.append((q, qd, torque))
        machine.send(torque)
    return (np.array(column) for column in zip(*rows, strict=True))


t = np.arange(0, SECONDS / 4, DT)
recordings = []
for seed in range(4):
    q, qd, torque = drive(pd, sines(t, seed))
    recordings.append(Trajectory(t, np.unwrap(q, axis=0), qd, tau=torque))
write("log.npz", TrajectorySet(recordings))

# %% [markdown]
# ## Fit a model
#
# The model is a deep Lagrangian network with friction. The inverse loss compares its torques
# with the recorded ones. Accelerations were not recorded, so they are estimated by smoothing.
# Levenberg-Marquardt suits a small network and a smooth log.

# %%
report = lagdyna.fit(
    "log.npz",
    "runs/arm",
    angles="all",
    model=DeLaNConfig(hidden=HIDDEN, dissipation="both"),
    loss="inverse",
    learner=LevenbergMarquardtConfig(updates=UPDATES),
)
model = lagdyna.load_fit("runs/arm").model
for joint, error in enumerate(report["validation"]["relative"]["torque"]):
    print(f"joint {joint}: torque error {100 * error:.1f} % of the variation")

# %% [markdown]
# The model splits each torque into its causes. Compare it with the true arm in one state:

# %%
q, qd, qdd = jnp.array([1.0, 0.5]), jnp.array([1.0, -0.5]), jnp.array([2.0, 1.0])
true = arm.lagrangian.forces(q, qd, qdd)
learned = model.forces(q, qd, qdd)
for name, one, other in (
    ("inertia", learned.inertial, true.inertial),
    ("Coriolis", learned.coriolis, true.coriolis),
    ("gravity", model.gravity(q), true.conservative),
    ("friction", model.friction(q, qd), -friction(q, qd)),
):
    one, other = (", ".join(f"{x:.2f}" for x in each) for each in (one, other))
    print(f"{name:9} learned {one} N m, true {other} N m")

# %% [markdown]
# ## Compile it for the loop
#
# A control loop must never wait for a compiler. `export_inverse_dynamics` traces the function
# ahead of time, and `compile` makes a program of it that takes and returns arrays:

# %%
exported = model.export_inverse_dynamics()
program = jax.jit(exported.call).lower(*exported.in_avals).compile()


def inverse_dynamics(q, qd, qdd):
    return np.asarray(program(*(np.asarray(x, np.float32) for x in (q, qd, qdd))))


# %% [markdown]
# ## Gravity compensation
#
# At rest, the inverse dynamics are the torques that hold the arm. Send them, and the arm
# stays where a hand leaves it. Without them it falls:

# %%
still = np.zeros(2)
pose = np.array([0.8, 0.9])
for name, compensated in (("no torque", 0.0), ("gravity compensation", 1.0)):
    machine = Machine(pose)
    for _ in range(400):
        q, qd = machine.measure()
        machine.send(compensated * inverse_dynamics(q, still, still))
    moved = np.abs(arm.coordinates.difference(machine.state.q, jnp.asarray(pose)))
    print(f"{name}: joints moved by {moved[0]:.3f} and {moved[1]:.3f} rad in 2 s")

# %% [markdown]
# ## Computed torque control
#
# Ask the inverse dynamics for the wanted acceleration, corrected by the error:
#
# $$\tau = f^{-1}\left(q, \dot q, \ddot q_d + K_p (q_d - q) + K_d (\dot q_d - \dot q)\right).$$
#
# Compare it with the PD controller that recorded the log, and with PD plus gravity, on a
# motion that is not in the log:


# %%
def pd_gravity(q, qd, *wanted):
    return pd(q, qd, *wanted) + inverse_dynamics(q, still, still)


def computed_torque(q, qd, wanted, wanted_qd, wanted_qdd):
    correction = 100.0 * (wanted - q) + 20.0 * (wanted_qd - qd)
    return inverse_dynamics(q, qd, wanted_qdd + correction)


motion = sines(np.arange(0, 5, DT), seed=10)
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for name, controller in (
    ("PD", pd),
    ("PD and gravity", pd_gravity),
    ("computed torque", computed_torque),
):
    q, _, _ = drive(controller, motion)
    error = np.asarray(arm.coordinates.difference(jnp.asarray(motion[0]), jnp.asarray(q)))
    size = np.linalg.norm(error, axis=1)
    axes.semilogy(np.arange(0, 5, DT), size, lw=1, label=name)
    print(f"{name:16} root mean square error {1e3 * np.sqrt(np.mean(size**2)):.1f} mrad")
axes.set(xlabel="time / s", ylabel="error of both joints / rad")
axes.legend(ncols=3)
plt.show()

# %% [markdown]
# Feedback alone has to find gravity, inertia and friction by its errors. With the model it
# only has to correct what the model gets wrong. Larger gains make each error smaller, until
# noise and the motors limit them.
#
# ## In other programs
#
# `lagdyna export` writes the function as a file, and tests it on 1,000 random inputs first:
#
#     lagdyna export runs/arm --what inverse-dynamics --format stablehlo --out inverse
#
# `lagdyna.runtime.load_program("inverse")` reads it in JAX. `--format onnx` is for programs
# without JAX.
#
# ## Go on
#
# - [Plan and control](../guides/control.md): `ComputedTorque` and `GravityCompensation` as
#   objects with torque limits, LQR, trackers and MPC.
# - [Use and export a result](../guides/export.md): every format, and what goes in and out.
# - [A robot arm from a URDF](robot-arm.md): the same for seven joints in space.

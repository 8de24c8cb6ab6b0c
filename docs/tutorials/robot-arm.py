# %% [markdown]
# # A robot arm from a URDF
#
# In this tutorial you identify an arm of seven joints from its URDF and a minute of its log:
# masses, rotors and friction, and a cable that the URDF does not know. Then you compute its
# torques, its gravity compensation and its poses. It runs in four minutes on two cores, and
# needs `pip install 'lagdyna[mujoco]'`, which reads URDF files.

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import lagdyna
from lagdyna.config import DataConfig
from lagdyna.data import Trajectory, TrajectorySet, write
from lagdyna.parts import RobotConfig, RobotResidualConfig
from lagdyna.systems import RobotModel

URDF = "examples/data/arm7.urdf"
MOTIONS, SECONDS = 9, 8.0  # quick: 5, 0.6
OPTIONS = {}  # quick: {"prior": 0.1, "friction_speed": 0.1}
SIZE = {}  # quick: {"residual_size": 0.1}

# %% [markdown]
# ## The description
#
# `RobotModel` is a Lagrangian with the kinematics and inertia of the file:

# %%
robot = RobotModel.from_urdf(URDF)
print(", ".join(robot.joints))

q = jnp.array([0.0, 0.6, 0.0, 1.2, 0.0, 0.5, 0.0])
rest = jnp.zeros(7)
print("gravity compensation:", np.round(robot.inverse_dynamics(q, rest, rest), 2), "N m")
print("tip:", np.round(robot.frame_pose(q, "tip")[1], 3), "m")

# %% [markdown]
# ## The log
#
# The arm of this log differs from its URDF. Its flange holds a tool of 0.8 kg, its joints
# have rotors and friction, and a cable pulls at the elbow. Torques have noise of 0.1 N m. A
# log of your own goes in its place.

# %%
VISCOUS = np.array([1.2, 1.5, 0.8, 0.9, 0.4, 0.3, 0.15])  # N m s/rad
COULOMB = np.array([1.5, 1.8, 1.0, 1.1, 0.5, 0.4, 0.2])  # N m
ROTORS = np.array([0.25, 0.25, 0.12, 0.12, 0.05, 0.03, 0.02])  # kg m²
ELBOW = 3

flange = '<mass value="0.6"/>'
held = RobotModel.from_urdf(Path(URDF).read_text().replace(flange, '<mass value="1.4"/>'))
torques = jax.jit(jax.vmap(held.inverse_dynamics))


def cable(q):
    """Compute the torque of the cable at the elbow, N m."""
    return 4.0 * np.sin(1.5 * q[..., ELBOW] + 0.4)


def motion(rng):
    """Sample a smooth motion of all joints, and the torques that it needs."""
    t = np.arange(0, SECONDS, 0.01)
    speed = rng.uniform(0.5, 3.0, (4, 1, 7))
    size, phase = (
        rng.uniform(0.2, 0.7, (4, 1, 7)) / np.sqrt(speed),
        rng.uniform(0, 6, (4, 1, 7)),
    )
    angle = speed * t[:, None] + phase
    q = np.sum(size * np.sin(angle), axis=0)
    qd = np.sum(size * speed * np.cos(angle), axis=0)
    qdd = -np.sum(size * speed**2 * np.sin(angle), axis=0)
    tau = np.asarray(torques(q, qd, qdd)) + ROTORS * qdd + VISCOUS * qd
    tau = tau + COULOMB * np.tanh(qd / 0.02) + 0.1 * rng.normal(size=tau.shape)
    tau[:, ELBOW] += cable(q)
    return Trajectory(t, q, qd, tau=tau, joints=robot.joints)


rng = np.random.default_rng(0)
motions = [motion(rng) for _ in range(MOTIONS)]
write("learn.npz", TrajectorySet(motions[:-1]))
write("test.npz", TrajectorySet(motions[-1:]))

# %% [markdown]
# ## Identify it
#
# The model `robot` keeps the kinematics and learns inertia, rotors and friction. Every value
# that the fit can reach is a body that can exist. Joints are matched by their names.

# %%
log = DataConfig(file="learn.npz", test="test.npz", angles="all")
config = lagdyna.FitConfig(data=log, model=RobotConfig(robot=URDF, **OPTIONS), loss="inverse")
report = lagdyna.fit_model(config, "runs/robot")

for name in ("armature", "viscous", "coulomb"):
    found = next(each for each in report["parameters"] if name in each["name"])
    print(f"{name:9}", *(f"{value:6.3f}" for value in found["fitted"]))

# %% [markdown]
# The rows are rotors in kg m², viscous friction in N m s/rad, and Coulomb friction in N m.
# Compare them with `ROTORS`, `VISCOUS` and `COULOMB` above.
#
# - Friction is right to a few percent, but for the Coulomb friction of the elbow.
# - The rotors of the other three yaw joints and of the wrist are right to a few percent, too.
#   Those of the first two joints act as the inertia of their links does, so a log does not
#   separate the two.
# - The elbow has a rotor of 0. The model has no cable, so its other parameters bend to
#   explain it.
#
# ## Learn what the URDF lacks
#
# No mass and no friction explains the cable. `robot-residual` learns a potential energy
# beside them, by linear least squares:

# %%
config = lagdyna.FitConfig(
    data=log, model=RobotResidualConfig(robot=URDF, **OPTIONS, **SIZE), loss="inverse"
)
residual_report = lagdyna.fit_model(config, "runs/robot-residual")

print("torque error on the test motion, % of the variation of each joint")
for name, each in (("robot", report), ("robot-residual", residual_report)):
    errors = each["test"]["relative"]["torque"]
    print(f"{name:15}", *(f"{100 * error:5.1f}" for error in errors))

# %% [markdown]
# The residual removes most of the error of the elbow, the fourth joint. What is left is
# mostly the noise of the torques, which is large where the torques are small.

# %%
fits = {
    "robot": lagdyna.load_fit("runs/robot").model,
    "robot-residual": lagdyna.load_fit("runs/robot-residual").model,
}
angles = np.linspace(-1.5, 1.5, 61)
postures = np.tile(np.asarray(q), (61, 1))
postures[:, ELBOW] = angles
still = np.zeros((61, 7))
true = np.asarray(torques(postures, still, still))[:, ELBOW] + cable(postures)

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.plot(angles, true, color=lagdyna.plot.GREY, lw=3, label="true")
described = jax.vmap(lambda q: robot.inverse_dynamics(q, rest, rest))(jnp.asarray(postures))
axes.plot(angles, described[:, ELBOW], ":", color=lagdyna.plot.GREEN, label="URDF")
colours = (lagdyna.plot.ORANGE, lagdyna.plot.BLUE)
for (name, model), colour in zip(fits.items(), colours, strict=True):
    holding = jax.vmap(model.gravity)(jnp.asarray(postures, jnp.float32))
    axes.plot(angles, holding[:, ELBOW], "--", color=colour, label=name)
axes.set(xlabel="elbow / rad", ylabel="holding torque of the elbow / (N m)")
axes.legend(ncols=2)
plt.show()

# %% [markdown]
# The figure has the torque that holds the arm at rest. With the residual it follows the
# cable.
#
# ## What the log determines
#
# Torques depend on fewer combinations of inertial parameters than there are parameters. The
# report says which numbers are measured, and which ones are those of the URDF:

# %%
link = report["robot"]["links"][-1]
print("link of", link["joint"])
for number in link["numbers"]:
    ends = number["interval"]
    told = "not determined" if ends is None else f"95 % interval {ends[0]:.4f} to {ends[1]:.4f}"
    print(f"  {number['name']:5}{number['start']:8.4f} -> {number['fitted']:8.4f}   {told}")

# %% [markdown]
# ## On the command line
#
#     lagdyna fit learn.npz --test test.npz --robot examples/data/arm7.urdf
#     lagdyna fit learn.npz --test test.npz --robot examples/data/arm7.urdf --model residual
#     lagdyna compare runs/robot runs/robot-residual
#
# ## Go on
#
# - [Robot arms](../guides/robots.md): motor currents, delays, friction near rest, and arms
#   without a description.
# - [Excite a robot](../guides/excite.md): `lagdyna excite` proposes motions that tell much.
# - [Inverse dynamics in a control loop](inverse-dynamics.md): use the model at 200 Hz and
#   above.

# %% [markdown]
# # From a log to a model
#
# In this tutorial you fit a Lagrangian to the log of a real double pendulum. You read its
# friction and its mass matrix, and find out how far it predicts. It runs in two minutes on
# two cores.
#
# The log is in `examples/data` of the repository, so run this in a clone. It was recorded by
# the Underactuated Robotics Lab of DFKI: eight motions of 10 s, with a motor in each joint.

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import lagdyna
from lagdyna import data
from lagdyna.config import DataConfig
from lagdyna.parts import AdamConfig, DeLaNConfig, MultiStepLossConfig

UPDATES = 2000  # quick: 3
ROWS = None  # quick: 60
STEPS = 250  # quick: 20

# %% [markdown]
# ## Read the log
#
# `lagdyna.data.read` takes CSV, npz, HDF5, ROS bags and more. It returns trajectories.

# %%
log = data.read("examples/data/double_pendulum.npz")
print(len(log), "trajectories of", log.joints, "with", ", ".join(log.fields))
first = log[0]
print(f"{first.rows} rows in {first.t[-1]:.1f} s")

figure, axes = plt.subplots(3, 1, figsize=(7, 5), sharex=True, layout="constrained")
names = ("q / rad", "qd / (rad/s)", "tau / (N m)")
for drawn, name, values in zip(axes, names, (first.q, first.qd, first.tau), strict=True):
    for joint, column in zip(log.joints, values.T, strict=True):
        drawn.plot(first.t[::4], column[::4], lw=0.8, label=joint)
    drawn.set(ylabel=name)
axes[0].legend(ncols=2)
axes[-1].set(xlabel="time / s")
plt.show()

# %% [markdown]
# The second angle is relative to the first link, and 0 hangs down. Velocities are coarse, and
# friction is a large part of the torques: this is how real logs look.
#
# Keep two motions for the test. Nothing is learned or chosen by them.

# %%
kept = (2, 4)
learn = [each.between(0, ROWS) for i, each in enumerate(log) if i not in kept]
data.write("learn.npz", data.TrajectorySet(learn))
data.write("test.npz", data.TrajectorySet([log[i].between(0, ROWS) for i in kept]))

# %% [markdown]
# ## Fit
#
# The model is a deep Lagrangian network with the structure of a chain of links, and with
# viscous and Coulomb friction in each joint. The loss compares windows of eight predicted
# states with the log. No masses, lengths or accelerations are given.

# %%
config = lagdyna.FitConfig(
    data=DataConfig(file="learn.npz", test="test.npz", angles="all"),
    model=DeLaNConfig(structure="chain", dissipation="both"),
    loss=MultiStepLossConfig(),
    learner=AdamConfig(rate=0.01, updates=UPDATES),
)
report = lagdyna.fit_model(config, "runs/pendulum")
for note in report["notes"]:
    print("note:", note)

# %% [markdown]
# The second note is about steps of 4 ms. The noise of the velocities in this log is larger
# than their change in 4 ms. Judge the model by longer rollouts.
#
# The command line does the same:
#
#     lagdyna fit learn.npz --test test.npz --angles all --model.structure chain \
#         --model.dissipation both --loss multi-step --learner.rate 0.01 --updates 2000
#
# ## How far it predicts
#
# A rollout begins at a recorded state and receives only the recorded torques from there on.
# Cut the test motions into windows of one second, and simulate all of them:

# %%
model, dt = lagdyna.load_fit("runs/pendulum").model, report["dt"]
windows = []
for motion in (log[i].between(0, ROWS) for i in kept):
    t = np.arange(motion.t[0], motion.t[-1], dt)  # the steps of the log differ a little
    rows = [
        np.stack([np.interp(t, motion.t, column) for column in array.T], axis=1)
        for array in (motion.q, motion.qd, motion.tau)
    ]
    for first in range(0, len(t) - STEPS, STEPS // 4):
        windows.append([array[first : first + STEPS + 1] for array in rows])
q, qd, tau = (jnp.asarray(np.stack(each), jnp.float32) for each in zip(*windows, strict=True))

start = lagdyna.State(q[:, 0], qd[:, 0])
predicted = eqx.filter_jit(jax.vmap(model.rollout))(start, tau[:, :-1]).q
off = model.transition.coordinates.difference(predicted, q)
error, moved = (jnp.sqrt(jnp.mean(x**2, axis=0)) for x in (off, q - q[:, :1]))

figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharex=True, layout="constrained")
horizon = dt * np.arange(STEPS + 1)
for i, (drawn, joint) in enumerate(zip(axes, log.joints, strict=True)):
    drawn.plot(horizon, moved[:, i], "--", color=lagdyna.plot.GREY, label="distance moved")
    drawn.plot(horizon, error[:, i], color=lagdyna.plot.BLUE, label="error of the rollout")
    drawn.set(xlabel="horizon / s", ylabel=f"{joint} / rad", ylim=(0, None))
axes[0].legend()
for k in (STEPS // 10, STEPS // 4, STEPS // 2, STEPS):
    shoulder, elbow = (f"{error[k, i]:.3f} of {moved[k, i]:.2f} rad" for i in (0, 1))
    print(f"{horizon[k]:.2f} s: shoulder off by {shoulder}, elbow by {elbow}")
print(len(q), "rollouts")
plt.show()

# %% [markdown]
# The lines are root mean squares over the windows. Test a model on motions and horizons like
# those that you will use it for.
#
# ## Friction
#
# The model has a friction for each joint, in N m. Draw it against the speed:

# %%
speeds = jnp.linspace(-10, 10, 201)
moving = jax.vmap(lambda v: model.friction(jnp.zeros(2), jnp.full(2, v)))(speeds)
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
for joint, force in zip(log.joints, moving.T, strict=True):
    axes.plot(speeds, force, label=joint)
axes.set(xlabel="speed / (rad/s)", ylabel="torque that overcomes friction / (N m)")
axes.legend()
slow, fast = (model.friction(jnp.zeros(2), jnp.full(2, v)) for v in (2.0, 10.0))
print("friction at 2 rad/s: ", *(f"{each:.3f} N m" for each in slow))
print("friction at 10 rad/s:", *(f"{each:.3f} N m" for each in fast))
plt.show()

# %% [markdown]
# The step at rest is Coulomb friction, the slope is viscous friction.
#
# ## Mass matrix and gravity

# %%
rest = jnp.zeros(2)
for name, elbow in (("stretched", 0.0), ("bent", jnp.pi / 2), ("folded", jnp.pi)):
    matrix = model.mass_matrix(jnp.array([0.0, elbow]), rest)
    print(
        f"{name:9} M11 {matrix[0, 0]:.4f}  M12 {matrix[0, 1]:.4f}  M22 {matrix[1, 1]:.4f} kg m²"
    )
level = jnp.array([jnp.pi / 2, 0.0])
print("torques that hold the stretched arm level:", model.gravity(level), "N m")

# %% [markdown]
# A mass matrix that is large stretched, small folded, and whose last entry hardly changes is
# what two links must have. The fit received no masses and no lengths; this follows from the
# log.
#
# ## Go on
#
# - `runs/pendulum/report.html` has the errors, with figures of forces and energies.
# - [Fit recordings](../guides/fitting.md) has other losses and learners, known equations, and
#   motors and encoders that are learned too.
# - [Read recordings](../guides/data.md): formats, units, gaps, and what is checked.
# - [Inverse dynamics in a control loop](inverse-dynamics.md) uses such a model on a machine.

# %% [markdown]
# # Swap the parts
#
# In this tutorial you fit four models to the same data of a pendulum, then one model through
# three solvers, and then with three learners. Each swap is one argument. It runs in three
# minutes on two cores.

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from lagdyna import State
from lagdyna.data import Experience
from lagdyna.filters import KalmanLearner
from lagdyna.learners import (
    GradientLearner,
    LevenbergMarquardtLearner,
    OneStepLoss,
    fit,
    step_scale,
)
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.models import LNN, DeLaN, NeuralODE
from lagdyna.simulate import (
    AccelerationField,
    LagrangianField,
    MLPTransition,
    SolvedTransition,
    rollout,
)
from lagdyna.systems import Pendulum

DT = 0.05  # s
ROWS = 500  # quick: 40
HIDDEN, UPDATES = (32, 32), 2000  # quick: (4,), 2
SMALL, STEPS = (12, 12), 40  # quick: (3,), 2

# %% [markdown]
# ## The data
#
# The data are 500 steps of 0.05 s of a rod of 1 kg and 1 m on a motor, from random states
# under random torques. The rod is analytic, so that the true motion is known.

# %%
angle = Coordinates((True,))
motor = FixedActuation(((2.0,),))  # an action of 1 is 2 N m
rod = Pendulum.rod(gravity=9.81)


def simulator(lagrangian, solver="heun", substeps=1):
    """Make a transition from a Lagrangian and a solver."""
    field = LagrangianField(MechanicalSystem(lagrangian, angle, motor))
    return SolvedTransition(field, angle, DT, solver=solver, substeps=substeps)


truth = simulator(rod, "dopri8", substeps=2)


@eqx.filter_jit
def experience(key, rows):
    """Sample states and actions, and simulate one step of each."""
    unit = jax.random.uniform(key, (3, rows, 1), minval=-1.0)
    state, action = State(jnp.pi * unit[0], 8 * unit[1]), unit[2]
    following = jax.vmap(truth.step)(state, action)
    return Experience(state, action, jnp.zeros(rows), following, jnp.zeros(rows, bool))


data, unseen = (experience(jax.random.key(k), ROWS) for k in (0, 1))

# %% [markdown]
# ## Four models
#
# A transition computes the next state from a state and an action. Three of these solve a
# differential equation, whose right-hand side is a DeLaN, an LNN or a plain network for the
# acceleration. The last one is a network for the whole step.

# %%
keys = jax.random.split(jax.random.key(2), 4)
ode = NeuralODE(angle, 1, hidden=HIDDEN, velocity_scale=(8.0,), key=keys[2])
models = {
    "DeLaN": simulator(DeLaN(angle, hidden=HIDDEN, key=keys[0])),
    "LNN": simulator(LNN(angle, hidden=HIDDEN, velocity_scale=(8.0,), key=keys[1])),
    "neural ODE": SolvedTransition(AccelerationField(ode), angle, DT),
    "network": MLPTransition(angle, 1, hidden=HIDDEN, velocity_scale=(8.0,), key=keys[3]),
}

# %% [markdown]
# All of them are PyTrees, so the same learner fits all of them. The loss is the squared error
# of the next state, in units of the usual change in a step.

# %%
loss = OneStepLoss(step_scale(data, angle))
error = eqx.filter_jit(loss)
adam = GradientLearner(optax.adam(optax.cosine_decay_schedule(5e-3, UPDATES, 0.01)), loss)


def learned(model, learner=adam, updates=UPDATES, batch=128):
    """Fit a model to the data."""
    key = jax.random.key(3)
    return fit(model, learner, data, key=key, steps=updates, batch_size=batch).model


fitted = {name: learned(model) for name, model in models.items()}
for name, model in fitted.items():
    print(f"{name:11} error of one step {np.sqrt(error(model, unseen)):.4f}")

# %% [markdown]
# A small error of one step is not yet a good simulator. Let the rod swing freely from 50
# random angles, and compare ten seconds of motion:


# %%
@eqx.filter_jit
def swing(model):
    """Simulate free motions of 10 s from rest; return angles and true energies."""
    pose = jax.random.uniform(jax.random.key(4), (50, 1), minval=1.0, maxval=3.0)
    starts, free = State(pose, jnp.zeros((50, 1))), jnp.zeros((200, 1))
    states = jax.vmap(lambda start: rollout(model, start, free))(starts)
    return states.q, jax.vmap(jax.vmap(rod.energy))(*states)


true_q, _ = swing(truth)
t = DT * np.arange(1, 201)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for name, model in fitted.items():
    q, energy = swing(model)
    off = jnp.sqrt(jnp.mean(angle.difference(q, true_q) ** 2, axis=(0, 2)))
    drift = jnp.sqrt(jnp.mean((energy - energy[:, :1]) ** 2, axis=0))
    left.semilogy(t, off[1:], label=name)
    right.semilogy(t, drift[1:], label=name)
    print(f"{name:11} after 10 s: angle off by {off[-1]:.3f} rad, energy by {drift[-1]:.3f} J")
left.set(xlabel="time / s", ylabel="error of the angle / rad")
right.set(xlabel="time / s", ylabel="drift of the true energy / J")
right.legend()
plt.show()

# %% [markdown]
# All four are good simulators of this rod, whose whole state space the 500 steps cover. The
# energy of the DeLaN is conserved by its equations, and yet drifts by 0.13 J: that is the
# error of Heun's method, by which the true equations drift as much. The neural ODE learned to
# make up for a part of it. With several links and less data the models differ; see
# [Results](../results/index.md).
#
# ## Three solvers
#
# A model is fitted through its solver, so the solver is part of the model. Fit the same DeLaN
# with three of them, and compare the learned mass matrix with the true one:

# %%
q, rest = jnp.array([jnp.pi]), jnp.zeros(1)
true_mass = rod.mass_matrix(q, rest)[0, 0]
print("solver                error of one step   error of the mass")
for solver in ("semi_implicit_euler", "heun", "tsit5"):
    start = simulator(DeLaN(angle, hidden=HIDDEN, key=keys[0]), solver)
    model = fitted["DeLaN"] if solver == "heun" else learned(start)
    mass = model.field.system.lagrangian.mass_matrix(q, rest)[0, 0]
    off = 100 * (mass / true_mass - 1)
    print(f"{solver:21} {np.sqrt(error(model, unseen)):12.4f} {off:+17.2f} %")

# %% [markdown]
# A solver of low order makes an error in each step, and the network bends its mass to make up
# for a part of it. Use a solver of higher order, or more substeps, if you want to read the
# physics. `lagdyna solvers` lists all of them, and any solver of Diffrax can be given as an
# object.
#
# ## Three learners
#
# A learner has two methods, `init` and `update`. Adam follows the gradient.
# Levenberg-Marquardt solves a least-squares problem in each update, and an extended Kalman
# filter estimates the weights as the state of a system. The last two need small networks:

# %%
small = simulator(DeLaN(angle, hidden=SMALL, key=keys[0]))
learners = {
    "Adam": (adam, UPDATES, 128),
    "Levenberg-Marquardt": (LevenbergMarquardtLearner(loss), STEPS, ROWS),
    "Kalman filter": (KalmanLearner(loss, fading=0.99), 5 * STEPS, 64),
}
for name, (learner, updates, batch) in learners.items():
    model = learned(small, learner, updates, batch)
    print(f"{name:20} {updates:5} updates, error {np.sqrt(error(model, unseen)):.4f}")

# %% [markdown]
# ## The same swaps in a whole run
#
# `lagdyna train` and `lagdyna fit` build the same objects from their names:
#
#     lagdyna train Pendulum-v1 --model lnn --solver tsit5 --learner ekf
#     lagdyna fit log.npz --angles all --model neural-ode --solver dopri5
#     lagdyna parts
#
# The last one lists all models, losses, learners, agents and solvers, and `lagdyna parts
# learner ekf` the options of one.
#
# ## Go on
#
# - [Models](../concepts/models.md): what each model can do.
# - [Weights as states](filters.md): filters, their uncertainty, and learning online.
# - [Compare and extend](compare-and-extend.md): compare over seeds, with a model of your own.

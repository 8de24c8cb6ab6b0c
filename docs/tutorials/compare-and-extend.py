# %% [markdown]
# # Compare and extend
#
# In this tutorial you compare two models over three seeds, write a third model in a file of
# your own, and compare it with both. It runs in five minutes on two cores.
#
# The question: does a Lagrangian help an agent that learns from very little? The task is
# `Pendulum-v1`, and each run gets 100 steps of experience.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt

import lagdyna
from lagdyna.config import EvaluationConfig
from lagdyna.parts import ImaginationConfig

SEEDS = 3  # quick: 2
AGENT, EPISODES = ImaginationConfig(hidden=(64, 64)), EvaluationConfig(episodes=20)
CONFIG = lagdyna.Config(steps=100, agent=AGENT, evaluation=EPISODES)  # quick: unsolved

# %% [markdown]
# ## Run each method over seeds
#
# `train_seeds` trains all seeds as one compiled program. Methods that are compared should
# differ in one part; here it is the model. `delan` is a deep Lagrangian network, `mlp` a
# network that predicts the next state without mechanics.

# %%
for model in ("delan", "mlp"):
    summary = lagdyna.train_seeds(CONFIG, SEEDS, f"runs/{model}", model=model)
    returns = ", ".join(f"{each:.0f}" for each in summary["returns"])
    print(f"{model}: final returns of the seeds {returns}")

# %% [markdown]
# The same on the command line:
#
#     lagdyna train --steps 100 --seeds 3 --agent.hidden "[64, 64]" --evaluation.episodes 20 \
#         --model mlp --out runs/mlp
#
# ## Compare them
#
# `lagdyna.compare` computes the statistics of Agarwal et al. (2021): interquartile means,
# bootstrap intervals, and the probability that a run of one method is better than a run of
# the first.


# %%
def show(rows):
    """Print the result of each method, and its comparison with the first."""
    for row in rows:
        low, high = row["return_interval"]
        print(
            f"{row['model']:15} return {row['return']:.0f} ({low:.0f} to {high:.0f}),", end=" "
        )
        print(f"{row['reached']} of {row['seeds']} seeds reached the target", end="")
        print(f" after {row['steps_to_target']:.0f} steps" if row["reached"] else "")
        if better := row["better_return"]:
            chance, low, high = better["probability"], better["low"], better["high"]
            print(f"{'':15} better than the first with probability {chance:.2f}", end=" ")
            print(f"({low:.2f} to {high:.2f})")


show(lagdyna.compare(["runs/delan", "runs/mlp"], target=-200.0))

# %% [markdown]
# Three seeds are few. The intervals say how few: an interval of the probability that holds
# 0.5 means that the runs do not tell which method is better. Papers need ten seeds or more.
#
# ## Write a model of your own
#
# A model is a class that holds options and builds a transition. This one assumes a constant
# mass and a potential energy that is a Fourier series of the angle. That suits a pendulum,
# and has few weights. Save it as `fourier.py`:

# %% file="fourier.py"
import jax.numpy as jnp
from jaxtyping import Array, Float

from lagdyna.mechanics import AbstractRigidBody
from lagdyna.parts import DynamicsConfig


class FourierLagrangian(AbstractRigidBody):
    """L = 1/2 m qd² - V(q) of one angle, with a Fourier series V."""

    log_mass: Float[Array, ""]
    waves: Float[Array, "2 order"]

    def mass_factor(self, q):
        return jnp.exp(0.5 * self.log_mass)[None, None]  # the root of the mass matrix

    def potential_energy(self, q):
        k = jnp.arange(1, self.waves.shape[1] + 1)
        return 10 * jnp.sum(self.waves * jnp.stack([jnp.cos(k * q[0]), jnp.sin(k * q[0])]))


class Fourier(DynamicsConfig, frozen=True, kw_only=True):
    """Rigid body of one angle whose potential energy is a Fourier series.

    **Arguments:** `order`, number of waves in the series.
    """

    order: int = 3

    def build(self, plant, solver, key):
        lagrangian = FourierLagrangian(jnp.zeros(()), jnp.zeros((2, self.order)))
        return solver.solve(plant.lagrangian_field(lagrangian, plant.dissipation), plant)


# %% [markdown]
# - `FourierLagrangian` is the mathematics. Write down the mass and the potential energy;
#   lagdyna derives the equations of motion. Arrays are what is learned. The factor 10 J makes
#   the learned numbers of order 1, which suits the rate of Adam.
# - `Fourier` has the options as fields, and `build` makes the transition. `plant` describes
#   the system to learn, `solver.solve` turns a vector field into a transition, and `key` is
#   for random initial weights, which this model does not need.
#
# The class is now a model like any other:

# %%
# !lagdyna parts model fourier.py:Fourier

# %% [markdown]
# ## Compare it

# %%
from fourier import Fourier

lagdyna.train_seeds(CONFIG, SEEDS, "runs/fourier", model=Fourier)
show(lagdyna.compare(["runs/delan", "runs/mlp", "runs/fourier"], target=-200.0))


# %%
def records(run):
    """Read the metrics of a run, one line for each round."""
    return [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]


runs = {
    name: [records(f"runs/{name}/seed-{seed}") for seed in range(SEEDS)]
    for name in ("delan", "mlp", "fourier")
}
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
lagdyna.plot.comparison(runs, target=-200.0, axes=axes)
plt.show()

# %% [markdown]
# Lines are interquartile means over the seeds, and bands their bootstrap intervals.
#
# The Fourier series has the right form for a pendulum, and its runs are not better for it.
# They vary most between seeds. Whether that is the model, its learner or chance, three seeds
# cannot decide: compare again with ten, and with `learner="levenberg-marquardt"`, which does
# not depend on the scale of the weights.
#
# On the command line, name the file:
#
#     lagdyna train --steps 100 --seeds 3 --agent.hidden "[64, 64]" --evaluation.episodes 20 \
#         --model fourier.py:Fourier --model.order 3 --out runs/fourier
#     lagdyna compare runs/delan runs/mlp runs/fourier --target -200
#
# ## Go on
#
# - [Add your own part](../guides/own-parts.md): learners, agents and whole packages, and how
#   runs with them are resumed and loaded.
# - [Sweeps](../guides/sweep.md): search options over seeds, on one machine or a cluster.
# - [Choose an agent](../guides/which-agent.md).

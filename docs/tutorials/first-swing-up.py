# %% [markdown]
# # First swing-up
#
# In this tutorial you learn to swing up a pendulum from 200 steps of experience, ten seconds
# of motion. You read the files of the run, use the policy in a program of your own, and
# compare the learned physics with the true one. It runs in three minutes on two cores.
#
# The task is Gymnasium's `Pendulum-v1`. A rod hangs on a motor that is too weak to lift it
# directly, so the policy has to swing.

# %%
from pathlib import Path

import gymnasium as gym
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import lagdyna

TASK = "Pendulum-v1"  # quick: small
STEPS = 200  # quick: 60
EPISODES = 20  # quick: 2

# %% [markdown]
# ## Train
#
# One call does everything:

# %%
summary = lagdyna.train(TASK, "runs/first", steps=STEPS)
print(f"mean return of 100 episodes: {summary['return_mean']:.0f}")
print(f"target of {summary['target_return']} reached after {summary['steps_to_target']} steps")

# %% [markdown]
# `lagdyna train Pendulum-v1 --steps 200 --out runs/first` is the same on the command line.
#
# The run repeats four steps until the experience is used up:
#
# 1. act in the environment, first at random and then by the policy, and store each
#    transition;
# 2. fit a Lagrangian and a reward to all stored transitions;
# 3. train an actor and a critic on rollouts of the fitted model;
# 4. evaluate the policy on 100 new episodes, from which nothing is learned.
#
# ## Watch it
#
# The run has filmed one episode of its final policy:
#
# ![The pendulum swings up and stays upright](runs/first/rollout.gif)
#
# ## What a run leaves behind

# %%
for file in sorted(Path("runs/first").rglob("*.*")):
    print(f"{file.stat().st_size / 1e3:7.1f} kB  {file}")

# %% [markdown]
# - `report.html` shows the whole run in a browser: result, figures, config and versions.
# - `config.toml` has every option with its value. `lagdyna train --config` repeats the run.
# - `metrics.jsonl` has losses and returns, `summary.json` the result.
# - `checkpoint/` has all that was learned, as plain arrays. Nothing is pickled.
#
# `lagdyna.load_run` reads all of it. Functions of `lagdyna.plot` draw it on axes of yours:

# %%
run = lagdyna.load_run("runs/first")
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
lagdyna.plot.learning_curve(run.records, target=summary["target_return"], axes=axes)
plt.show()

# %% [markdown]
# The band is a standard deviation over episodes. An episode starts at a random angle, so its
# return depends on how far the pendulum has to go.
#
# ## Use the policy
#
# `lagdyna.load_policy` reads the policy alone. Its `predict` has the form that
# Stable-Baselines3 uses:

# %%
policy = lagdyna.load_policy("runs/first")
env = gym.make("Pendulum-v1")
returns = []
for seed in range(EPISODES):
    observation, _ = env.reset(seed=seed)
    state, total, ended = None, 0.0, False
    while not ended:
        action, state = policy.predict(observation, state)
        observation, reward, terminated, truncated, _ = env.step(action)
        total += float(reward)
        ended = terminated or truncated
    returns.append(total)
print(f"return {np.mean(returns):.0f} +- {np.std(returns):.0f} in {EPISODES} episodes")

# %% [markdown]
# `lagdyna evaluate runs/first --episodes 20` does this on the command line.
#
# ## What it has learned
#
# The model is a deep Lagrangian network. One network gives the mass matrix $M(q)$, another
# one the potential energy $V(q)$, and the acceleration follows from the Lagrangian
#
# $$L = \tfrac12\, \dot q^\top M(q)\, \dot q - V(q).$$
#
# The run received no masses, lengths or gravity. The rod has 1 kg and 1 m in 10 m/s², so the
# learned quantities should be $M = 1/3$ kg m² and $V = 5 \cos q$ J, with $q = 0$ upright:

# %%
q = jnp.linspace(-jnp.pi, jnp.pi, 101)[:, None]
mass = jax.vmap(run.model.mass_matrix)(q, jnp.zeros_like(q))[:, 0, 0]
potential = jax.vmap(run.model.potential)(q)

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.plot(q, mass, label="learned")
left.axhline(1 / 3, color="C1", ls="--", label="true")
left.set(xlabel="angle q / rad", ylabel="mass matrix M / (kg m²)", ylim=(0, 0.6))
left.legend()
right.plot(q, potential - potential.mean(), label="learned")
right.plot(q, 5 * jnp.cos(q), "C1--", label="true")
right.set(xlabel="angle q / rad", ylabel="potential energy V / J")
print(f"mass matrix between {mass.min():.3f} and {mass.max():.3f} kg m², true {1 / 3:.3f}")
plt.show()

# %% [markdown]
# The potential energy has an arbitrary zero, so the figure shows it about its mean.
#
# ## Go on
#
# - `lagdyna resume runs/first --steps 400` gives the run another 200 steps of experience. The
#   same command continues a run that was interrupted.
# - `lagdyna train acrobot` swings up a chain of two links. `lagdyna tasks` lists more.
# - [Your own environment](your-environment.md) trains on an environment that you write.
# - [Swap the parts](swap-parts.md) chooses another model, solver or learner.

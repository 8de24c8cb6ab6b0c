# %% [markdown]
# # Your own environment
#
# In this tutorial you write a Gymnasium environment with friction, describe it to lagdyna,
# check the description, and learn to control it. Then you read the friction of the bearing
# from the model. It runs in four minutes on two cores.
#
# ## The environment
#
# A rod of 1 kg and 1 m hangs on a motor of 2 N m. Its bearing has viscous friction of 0.15 N
# m s/rad. The motor cannot hold the rod level, which takes 4.9 N m, so it has to swing. Save
# this as `rod.py`:

# %% file="rod.py"
import gymnasium as gym
import numpy as np


class Rod(gym.Env):
    """Rod on a weak motor, with friction in its bearing; the angle 0 is upright."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,))
    action_space = gym.spaces.Box(-2.0, 2.0, (1,))  # torque, N m
    inertia, gravity, friction, dt = 1 / 3, 4.9, 0.15, 0.05

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.angle, self.speed = np.pi + self.np_random.uniform(-0.1, 0.1), 0.0
        return self.observe(), {}

    def step(self, action):
        torque = np.clip(action[0], -2.0, 2.0)
        wrapped = (self.angle + np.pi) % (2 * np.pi) - np.pi
        reward = -(wrapped**2 + 0.1 * self.speed**2 + 0.001 * torque**2)
        for _ in range(5):  # five short steps between two observations
            force = torque + self.gravity * np.sin(self.angle) - self.friction * self.speed
            self.speed += self.dt / 5 * force / self.inertia
            self.angle += self.dt / 5 * self.speed
        return self.observe(), float(reward), False, False, {}

    def observe(self):
        return np.array([np.cos(self.angle), np.sin(self.angle), self.speed], np.float32)


gym.register("Rod-v0", Rod, max_episode_steps=200)

# %% [markdown]
# Nothing in the file is about lagdyna. The conditions are:
#
# - actions are a bounded `Box` of one dimension;
# - the observation contains the coordinates, or cosine and sine of an angle, and velocities;
# - the motion is smooth: there are no contacts.
#
# ## Describe it
#
# A `TaskSpec` says where the observation keeps the state, and how the action acts.
# `rod:Rod-v0` is the module that registers the environment, and its id.

# %%
from dataclasses import replace

import gymnasium as gym
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import lagdyna
from lagdyna.config import EvaluationConfig
from lagdyna.options import config_to_toml
from lagdyna.tasks import CoordinateSpec, TaskSpec

task = TaskSpec(
    env_id="rod:Rod-v0",
    # Entries 0 and 1 of the observation are cosine and sine of an angle, entry 2 its velocity.
    coordinates=(CoordinateSpec(kind="angle", cos=0, sin=1, velocity=2, velocity_range=8.0),),
    dt=0.05,  # s between two observations
    force=((2.0,),),  # N m of the largest action
    dissipation="viscous",
)

# %% [markdown]
# - `velocity_range` is the largest speed that the agent imagines. Give `velocity_limit`
#   instead if the environment clips the velocity.
# - `force` has a row for each coordinate and a column for each action.
# - Masses, lengths, gravity, the coefficient of friction and the reward are learned.
#
# ## Check the description
#
# `check_task` compares the description with 50 random steps of the environment:

# %%
for finding in lagdyna.check_task(task):
    print(f"{finding.verdict:8}{finding}")

# %% [markdown]
# Here is the same with two mistakes. Someone took `dt` for 0.5 s, and forgot the friction:

# %%
for finding in lagdyna.check_task(replace(task, dt=0.5, dissipation="none")):
    if finding.verdict != "ok":
        print(f"{finding.verdict:8}{finding}")

# %% [markdown]
# `lagdyna train` makes the same check first. It refuses what is certainly wrong, and prints a
# note of what is doubtful.
#
# The command line reads the description from a file:

# %%
EPISODES = EvaluationConfig(episodes=20)
CONFIG = lagdyna.Config(task=task, evaluation=EPISODES)  # quick: replace(small, task=task)
with open("rod.toml", "w", encoding="utf-8") as file:
    file.write(config_to_toml(CONFIG))

# %%
# !lagdyna check-task rod.toml

# %% [markdown]
# ## Train
#
# `lagdyna train --config rod.toml --out runs/rod` and this call are the same:

# %%
summary = lagdyna.train(CONFIG, "runs/rod")
run = lagdyna.load_run("runs/rod", trust=True)
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
lagdyna.plot.learning_curve(run.records, axes=axes)
plt.show()

# %% [markdown]
# The return of a rod that hangs still is about -1970, and each episode begins there.
#
# `trust=True` says that lagdyna may import `rod.py`, which the config of the run names.
# Without it, no code is run that a run directory names, since it may be a stranger's.
#
# ## One episode
#
# The policy acts in the environment, and the states show the swing-up:

# %%
env = gym.make("Rod-v0")
policy = lagdyna.load_policy("runs/rod", trust=True)
observation, _ = env.reset(seed=1)
rows, state = [], None
for _ in range(200):
    action, state = policy.predict(observation, state)
    rows.append((np.arctan2(observation[1], observation[0]), observation[2], action[0]))
    observation, *_ = env.step(action)

figure, axes = plt.subplots(3, 1, figsize=(6, 4.4), sharex=True, layout="constrained")
names = ("angle / rad", "speed / (rad/s)", "torque / (N m)")
for name, values, drawn in zip(names, np.array(rows).T, axes, strict=True):
    drawn.plot(0.05 * np.arange(200), values)
    drawn.set(ylabel=name)
axes[-1].set(xlabel="time / s")
plt.show()

# %% [markdown]
# ## Friction and mass
#
# The learned model is a mechanical system: friction, mass matrix and gravity can be read.

# %%
hanging, rest = jnp.array([jnp.pi]), jnp.zeros(1)
level = jnp.array([jnp.pi / 2])
friction = run.model.friction(hanging, jnp.ones(1))[0]
print(f"friction     {friction:.3f} N m s/rad, true 0.150")
print(f"mass matrix  {run.model.mass_matrix(hanging, rest)[0, 0]:.3f} kg m², true 0.333")
print(f"gravity      {-run.model.gravity(level)[0]:.2f} N m at the level rod, true 4.90")

# %% [markdown]
# Mass and gravity are right to a hundredth. Friction is the smallest of the forces here, and
# 400 steps tell it to a tenth.
#
# ## Go on
#
# - [Environments](../guides/environments.md): positions without velocities, wrappers,
#   episodes without end, environments that fail.
# - [Tasks](../reference/tasks.md): every field of a description.

"""Define a task for a Gymnasium environment, here MountainCarContinuous-v0, and train on it."""

import tempfile

import jax
import jax.numpy as jnp

from lagdyna import Config, State, load_run, train
from lagdyna.config import CollectConfig, EvaluationConfig
from lagdyna.parts import DeLaNConfig, ImaginationConfig
from lagdyna.tasks import CoordinateSpec, TaskSpec

# --8<-- [start:spec]
# The observation is (position, velocity). Velocities are per step, so dt is 1 step. Data
# determine only the ratio of force to mass. A force of 1.5 makes the mass 1000.
task = TaskSpec(
    env_id="MountainCarContinuous-v0",
    coordinates=(
        CoordinateSpec(
            kind="linear", position=0, velocity=1, velocity_limit=0.07, position_range=1.2
        ),
    ),
    dt=1.0,
    force=((1.5,),),
    target_return=90.0,
)
# --8<-- [end:spec]


# --8<-- [start:reward]
def reward(state: State, action: jax.Array, next_state: State) -> jax.Array:
    """Compute a shaped reward for imagined rollouts.

    The environment's own reward is sparse: it gives no signal before the goal is reached.
    """
    return jax.nn.sigmoid(20 * (next_state.q[0] - 0.45)) - 0.1 * action[0] ** 2


# --8<-- [end:reward]

# --8<-- [start:run]
config = Config(
    task=task,
    steps=300,
    model=DeLaNConfig(initial_mass=1000.0),
    agent=ImaginationConfig(horizon=32),
    collect=CollectConfig(random_steps=200, hold=20, train_every=100),
    evaluation=EvaluationConfig(episodes=10),
)
with tempfile.TemporaryDirectory() as directory:
    summary = train(config, directory, reward=reward)
    run = load_run(directory, reward=reward)
# --8<-- [end:run]
for record in run.records:
    for evaluation in record["evaluations"]:
        print(f"{evaluation['env_steps']} steps: return {evaluation['return_mean']:.1f}")

# Compare the learned energy at rest with the hill in the environment's source, sin(3 x).
x = jnp.linspace(-1.1, 0.4, 6)
potential = jax.vmap(run.model.energy)(x[:, None], jnp.zeros((6, 1)))
hill = 2.5 / 3 * jnp.sin(3 * x)
print("x        ", *(f"{value:7.2f}" for value in x))
print("learned V", *(f"{value:7.2f}" for value in potential - potential[0]))
print("true V   ", *(f"{value:7.2f}" for value in hill - hill[0]))

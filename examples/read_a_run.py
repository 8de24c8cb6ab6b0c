"""Read a run directory and use its model and policy.

Run `python examples/read_a_run.py runs/Pendulum-v1-1`.
"""

# --8<-- [start:all]
import json
import sys
from pathlib import Path

import jax.numpy as jnp

import lagdyna
from lagdyna.simulate import rollout

directory = Path(sys.argv[1])
for line in (directory / "metrics.jsonl").read_text().splitlines():
    record = json.loads(line)
    print(f"round {record['round']}: dynamics loss {record['model_loss']:.2g}")
    for evaluation in record["evaluations"]:
        print(f"  {evaluation['env_steps']} steps: return {evaluation['return_mean']:.1f}")

run = lagdyna.load_run(directory)
upright = lagdyna.State(jnp.zeros(1), jnp.zeros(1))
hanging = lagdyna.State(jnp.full(1, jnp.pi), jnp.zeros(1))
if run.model.has_lagrangian:  # the model `mlp` has none
    print("mass matrix, upright:", run.model.mass_matrix(*upright))

batch = lagdyna.State(jnp.stack([upright.q, hanging.q]), jnp.zeros((2, 1)))
print("actions of the policy, upright and hanging:", *run.trainer.act(run.training, batch))

pushed = rollout(run.transition, hanging, jnp.ones((10, 1)))
print("angle after ten steps of full torque, in the learned model:", pushed.q[-1])
# --8<-- [end:all]

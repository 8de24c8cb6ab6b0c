"""An agent of your own: REDQ, soft actor-critic with many critics (Chen et al. 2021).

lagdyna train Pendulum-v1 --agent examples/plugins/redq.py:REDQAgent
"""

import equinox as eqx
import jax

from lagdyna import agents
from lagdyna.learners import apply_gradient
from lagdyna.parts import AgentConfig, SACConfig


class REDQ(agents.AbstractOffPolicy):
    """Soft actor-critic; its target is the smallest estimate of a random subset of critics."""

    subset: int = eqx.field(static=True, default=2)
    entropy: float = eqx.field(static=True, default=0.2)  # coefficient, reward per nat

    def init_policy(self, key):
        sizes: dict = {"hidden": self.hidden, "activation": self.activation}
        return agents.Policy(self.features, self.action_size, key=key, **sizes)

    def update(self, state, batch, key):
        key, subset_key = jax.random.split(key)
        eps, next_eps = jax.random.normal(key, (2, *batch.action.shape), batch.action.dtype)
        drawn = jax.random.choice(subset_key, self.critics, (self.subset,), replace=False)
        actions, log_prob = jax.vmap(state.policy.sample)(batch.next_state, next_eps)
        values = agents.action_values(state.targets, batch.next_state, actions)[drawn].min(0)
        state, metrics = self.update_critics(state, batch, values - self.entropy * log_prob)

        def loss(policy):
            actions, log_prob = jax.vmap(policy.sample)(batch.state, eps)
            values = agents.action_values(state.critics, batch.state, actions).mean(0)
            return (self.entropy * log_prob - values).mean()

        before = state.policy, state.policy_state, eqx.filter_grad(loss)(state.policy)
        policy, policy_state, skipped = apply_gradient(self.optimiser, *before)
        metrics["skipped"] += skipped
        targets = agents.polyak_average(state.targets, state.critics, self.target_rate)
        return state.replace(policy=policy, policy_state=policy_state, targets=targets), metrics


class REDQAgent(AgentConfig, frozen=True, kw_only=True):
    """Dyna with REDQ: critics of widths `hidden`, `updates` per environment step."""

    hidden: tuple[int, ...] = (256, 256)
    critics: int = 10
    updates: int = 20

    def updates_in(self, steps):
        return self.updates * steps

    def build(self, plant, schedule):
        options: dict = SACConfig(hidden=self.hidden, critics=self.critics).shared(plant)
        sizes: dict = {"batch": 128, "rollouts": 400, "length": 10, "capacity": 20_000}
        starts, limits = agents.ReplayedStarts(), plant.limits
        return agents.Dyna(REDQ(**options), ratio=0.9, starts=starts, limits=limits, **sizes)

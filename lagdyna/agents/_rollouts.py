"""Imagined rollouts of a policy in a world model, differentiable with bounded gradients."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from ..mechanics import Limits, State
from ..models import NoTermination
from ..simulate import WorldModel
from ._networks import AbstractPolicy
from ._survival import survival


class ImaginedRollouts(NamedTuple):
    """Batch of imagined rollouts; time is the leading axis.

    **Attributes:**

    - `states`: `s_0 .. s_T`, a `State` of shapes `(T + 1, batch, n)`.
    - `actions`: `a_0 .. a_{T-1}`, shape `(T, batch, m)`.
    - `rewards`: `r_0 .. r_{T-1}`, shape `(T, batch)`.
    - `log_probabilities`: of the actions, shape `(T, batch)`.
    - `is_finite`: whether the model computed a finite `s_{t+1}`, shape `(T, batch)`.
    """

    states: State
    actions: Float[Array, "time batch m"]
    rewards: Float[Array, "time batch"]
    log_probabilities: Float[Array, "time batch"]
    is_finite: Bool[Array, "time batch"]


def imagine(
    policy: AbstractPolicy,
    world: WorldModel,
    starts: State,
    noise: Float[Array, "time batch m"],
    limits: Limits | None = None,
) -> ImaginedRollouts:
    """Roll out a stochastic policy in a world model, differentiably.

    A rollout stays where it is when the model's next state is not finite, and when its
    episode has ended with a probability above 0.99.

    Gradients are bounded so that one rollout cannot spoil a batch. On the way back through a
    step, the gradient of a rollout counts as 0 if it is not finite, and is shortened to ten
    times the median norm of the batch if it is longer.

    **Arguments:**

    - `policy`: the policy; its actions are sampled with `noise`.
    - `world`: the model. With posterior samples (`world.samples`) each rollout follows one
        sample.
    - `starts`: a `State` of shapes `(batch, n)`.
    - `noise`: standard normal, one vector per action.
    - `limits`: the box that states are clipped to; none by default.

    **Raises:** `ValueError` if the number of posterior samples does not divide `batch`.
    """
    transition, termination = world.imagined, world.termination

    def body(state: State, eps: Array) -> tuple[State, tuple[State, Array, Array, Array]]:
        action, log_probability = jax.vmap(policy.sample)(state, eps)
        next_state = transition.steps(
            jax.tree.map(_bounded_gradient, state), _bounded_gradient(action)
        )
        finite = jnp.all(jnp.isfinite(next_state.q) & jnp.isfinite(next_state.qd), axis=-1)
        next_state = jax.tree.map(partial(jnp.where, finite[:, None]), next_state, state)
        if limits is not None:
            next_state = limits.clip(next_state)
        if not isinstance(termination, NoTermination):
            ended = jax.vmap(termination)(state)[:, None] > _CERTAIN
            next_state = jax.tree.map(partial(jnp.where, ended), state, next_state)
        return next_state, (next_state, action, log_probability, finite)

    _, (next_states, actions, log_probabilities, finite) = jax.lax.scan(body, starts, noise)
    states = jax.tree.map(
        lambda first, rest: jnp.concatenate([first[None], rest]), starts, next_states
    )
    # The loop does not depend on the rewards, so they are computed in one batch.
    visited = jax.tree.map(lambda x: x[:-1], states)
    rewards = jax.vmap(world.rewards)(visited, actions, next_states)
    return ImaginedRollouts(states, actions, rewards, log_probabilities, finite)


# The probability above which an episode counts as ended for certain.
_CERTAIN = 0.99


def imagined_return(
    policy: AbstractPolicy, world: WorldModel, starts: State, actions: int
) -> Scalar:
    """Compute the mean imagined return of a policy without noise.

    States are not clipped, because clipping would add or remove energy.

    **Arguments:**

    - `policy`, `world`: as for [`lagdyna.agents.imagine`][].
    - `starts`: a `State` of shapes `(batch, n)`.
    - `actions`: the length of each rollout. Rewards are not discounted, and are weighted by
        the probability that the episode is still running.

    **Returns:** the mean over the batch of the sums of rewards, in units of the task's reward.
    """
    action = eqx.filter_eval_shape(jax.vmap(policy.mode), starts)
    no_noise = jnp.zeros((actions, *action.shape), action.dtype)
    rollouts = imagine(policy, world, starts, no_noise)
    rewards = rollouts.rewards
    if not isinstance(world.termination, NoTermination):
        rewards = rewards * survival(world.termination, rollouts.states, 1.0)[1]
    return jnp.mean(jnp.sum(rewards, axis=0))


@jax.custom_vjp
def _bounded_gradient(x: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
    """Return `x`; bound its gradient so that no row dominates the batch.

    A row that is not finite counts as 0. A row longer than ten times the median norm of the
    nonzero rows is shortened to that: otherwise a few rollouts that chaos or a bad model
    amplifies would determine the sum.
    """
    return x


def _forward(x: Array) -> tuple[Array, None]:
    return x, None


def _backward(_: None, gradient: Array) -> tuple[Array]:
    finite = jnp.all(jnp.isfinite(gradient), axis=-1, keepdims=True)
    gradient = jnp.where(finite, gradient, 0)
    # Scaled first: the square of a finite number may overflow.
    largest = jnp.max(jnp.abs(gradient), axis=-1, keepdims=True)
    scale = jnp.where(largest > 0, largest, 1)
    norm = scale * jnp.linalg.norm(gradient / scale, axis=-1, keepdims=True)
    median = jnp.nanmedian(jnp.where(norm > 0, norm, jnp.nan))
    bounded = gradient * jnp.where(norm > 0, jnp.minimum(1, _MAX_RATIO * median / norm), 1)
    return (bounded,)


# The largest ratio of the norm of a row to the median of the batch.
_MAX_RATIO = 10.0

_bounded_gradient.defvjp(_forward, _backward)

"""Gradient-based trajectory optimisation in a world model."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Scalar

from ..mechanics import Limits, State
from ..simulate import WorldModel


class Plans(NamedTuple):
    """Action sequences of a [`lagdyna.agents.ShootingPlanner`][], ordered by level.

    **Attributes:**

    - `starts`: the first states, a `State` of shapes `(plans, n)`.
    - `raw`: the actions before squashing, shape `(plans, time, m)`.
    - `returns`: the return of each plan in the last round, shape `(plans,)`; `-inf` before
        the first.
    """

    starts: State
    raw: Float[Array, "plans time m"]
    returns: Float[Array, " plans"]

    @property
    def actions(self) -> Float[Array, "plans time m"]:
        """Actions in `[-1, 1]^m`."""
        return jnp.tanh(self.raw)


class ShootingPlanner(eqx.Module):
    """Single-shooting planner that improves many action sequences over several rounds.

    Adam ascends the gradient of the sum of rewards through the model (Betts 1998, "Survey of
    numerical methods for trajectory optimization"). A gradient finds a local optimum only, so
    the search begins with many random sequences and improves few of them for long. Those of
    each level have been improved once more than those of the level before, of which they are
    the best (successive halving, Jamieson & Talwalkar 2016, "Non-stochastic best arm
    identification and hyperparameter optimization", here with new plans in each round). The
    last level keeps the best of itself and the level before.

    Every other new plan shares its first actions with a plan of the last level, since good
    plans often differ late.

    Call `improve` again while a model is learned to keep the plans up to date with it.

    **Arguments:**

    - `action_size`: `m`.
    - `limits`: the box that plans must stay in. A plan that leaves it, or reaches a state that
        is not finite, has a return of `-inf`.
    - `actions`: the length of a plan.
    - `levels`: the number of plans of each level.
    - `steps`: the iterates of Adam in a round, of which the best is kept.
    - `rate`: the learning rate of the first level; each further level uses half of the last.
    - `draws`: random plans tried for each one that the first level takes.
    - `hold`: the mean number of steps for which a random action is held.

    **Raises:** `ValueError` if there are fewer than two levels, a level has more plans than the
    one before, `actions`, `steps` or `draws` is not positive, `hold` is below 1, or `rate`
    below 0.
    """

    action_size: int = eqx.field(static=True)
    limits: Limits = eqx.field(static=True)
    actions: int = eqx.field(static=True, default=60)
    levels: tuple[int, ...] = eqx.field(static=True, default=(16, 8, 4, 4, 4))
    steps: int = eqx.field(static=True, default=20)
    rate: float = eqx.field(static=True, default=0.1)
    draws: int = eqx.field(static=True, default=4)
    hold: float = eqx.field(static=True, default=4.0)

    def __check_init__(self):
        if len(self.levels) < 2 or any(
            not 0 < after <= before
            for before, after in pairwise([*self.levels[:1], *self.levels])
        ):
            raise ValueError(
                f"`levels` were {self.levels}; two or more positive numbers are accepted, each "
                "at most the one before"
            )
        if min(self.actions, self.steps, self.draws) < 1 or self.hold < 1 or self.rate < 0:
            raise ValueError(
                f"`actions`, `steps` and `draws` were {self.actions}, {self.steps} and "
                f"{self.draws}, `hold` {self.hold} and `rate` {self.rate}; positive numbers, 1 "
                "or more and 0 or more are accepted"
            )

    def init(self, key: PRNGKeyArray, starts: State) -> Plans:
        """Create random plans.

        **Arguments:** `starts`, a `State` of shapes `(any, n)`, from which each plan draws its
        first state.
        """
        number = sum(self.levels)
        raw_key, key = jax.random.split(key)
        returns = jnp.full(number, -jnp.inf, starts.q.dtype)
        return Plans(_draw(key, starts, number), self._random(raw_key, number, starts), returns)

    def improve(
        self, plans: Plans, world: WorldModel, starts: State, *, key: PRNGKeyArray
    ) -> Plans:
        """Run one round: draw new plans, promote the best of each level, improve all.

        **Arguments:**

        - `plans`: from `init` or the last round.
        - `world`: the model as it is now.
        - `starts`: first states of new plans, a `State` of shapes `(any, n)`.
        - `key`: for the new plans.
        """

        def returns_of(raw: Array, start: State) -> tuple[Scalar, Bool[Array, ""]]:
            return self._rollout(raw, start, world)[:2]

        begin, raw, _ = self._promote(plans, self._draw_new(plans, key, starts, returns_of))
        optimiser = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.adam(optax.cosine_decay_schedule(1.0, self.steps, 0.1)),
        )
        rates = [self.rate / 2**i for i, size in enumerate(self.levels) for _ in range(size)]

        def improve_one(raw: Array, start: State, rate: Array) -> tuple[Array, Scalar]:
            def body(carry: Any, _: None) -> tuple[Any, None]:
                raw, state, best, most = carry
                (now, valid), gradient = jax.value_and_grad(returns_of, has_aux=True)(
                    raw, start
                )
                better = valid & (now > most)
                best, most = jnp.where(better, raw, best), jnp.where(better, now, most)
                # There is no gradient through a step that is not finite.
                gradient = jnp.where(jnp.isfinite(gradient), -gradient, 0)
                update, state = optimiser.update(gradient, state)
                raw = optax.apply_updates(raw, jax.tree.map(lambda x: rate * x, update))
                return (raw, state, best, most), None

            first = (raw, optimiser.init(raw), raw, jnp.asarray(-jnp.inf, raw.dtype))
            (_, _, best, most), _ = jax.lax.scan(body, first, length=self.steps)
            return best, most

        raw, returns = jax.vmap(improve_one)(raw, begin, jnp.asarray(rates, raw.dtype))
        return Plans(begin, raw, returns)

    def states(self, plans: Plans, world: WorldModel) -> State:
        """Compute the states along the plans of the last level, their starts included.

        **Returns:** a `State` of shapes `(last level * (time + 1), n)`.
        """
        starts, raw, _ = jax.tree.map(lambda x: x[-self.levels[-1] :], plans)
        *_, states = jax.vmap(lambda raw, start: self._rollout(raw, start, world))(raw, starts)
        everything = jax.tree.map(
            lambda first, rest: jnp.concatenate([first[:, None], rest], axis=1), starts, states
        )
        return jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), everything)

    def _draw_new(
        self,
        plans: Plans,
        key: PRNGKeyArray,
        starts: State,
        returns_of: Callable[[Array, State], tuple[Scalar, Bool[Array, ""]]],
    ) -> Plans:
        """Draw random plans and take the best for the first level."""
        raw_key, start_key, like_key, until_key = jax.random.split(key, 4)
        number = self.draws * self.levels[0]
        raw, begin = self._random(raw_key, number, starts), _draw(start_key, starts, number)
        # Every other one begins like a plan of the last level.
        like = jax.random.randint(like_key, (number,), -self.levels[-1], 0)
        until = jax.random.randint(until_key, (number, 1, 1), 0, self.actions)
        same = (jnp.arange(number) % 2 == 0)[:, None]
        raw = jnp.where(
            same[..., None] & (jnp.arange(self.actions)[:, None] < until), plans.raw[like], raw
        )
        begin = jax.tree.map(
            lambda new, old: jnp.where(same, old[like], new), begin, plans.starts
        )
        returns, valid = jax.vmap(returns_of)(raw, begin)
        drawn = Plans(begin, raw, jnp.where(valid, returns, -jnp.inf))
        return _best(drawn, self.levels[0], 0, number)

    def _promote(self, plans: Plans, new: Plans) -> Plans:
        """Replace the first level by new plans and move the best of each level one up."""
        *ends, total = np.cumsum(self.levels)
        begins = [0, *ends[:-1]]
        # The last level takes the best of two levels.
        ends[-1] = total
        parts = [
            _best(plans, size, int(begin), int(end))
            for size, begin, end in zip(self.levels[1:], begins, ends, strict=True)
        ]
        return jax.tree.map(lambda *xs: jnp.concatenate(xs), new, *parts)

    def _rollout(
        self, raw: Float[Array, "time m"], start: State, world: WorldModel
    ) -> tuple[Scalar, Bool[Array, ""], State]:
        """Compute the return of a plan, whether it stays within the limits, and its states.

        The state stays the same where a plan would leave the limits, and after termination.
        """

        @jax.checkpoint
        def body(carry: _Carry, action: Array) -> tuple[_Carry, tuple[Scalar, State]]:
            state, valid, ended = carry
            next_state = world.transition.step(state, action)
            ended |= world.termination(state) > 0.5
            valid &= self.limits.contains(next_state) | ended
            moves = valid & ~ended
            next_state = jax.tree.map(lambda a, b: jnp.where(moves, a, b), next_state, state)
            reward = jnp.where(moves, world.reward(state, action, next_state), 0)
            return (next_state, valid, ended), (reward, next_state)

        first = (start, jnp.ones((), bool), jnp.zeros((), bool))
        (_, valid, _), (rewards, states) = jax.lax.scan(body, first, jnp.tanh(raw))
        return rewards.sum(), valid, states

    def _random(self, key: PRNGKeyArray, number: int, like: State) -> Array:
        """Draw plans of standard normals, each held for some steps."""
        value_key, change_key = jax.random.split(key)
        shape = (self.actions, number, self.action_size)
        values = jax.random.normal(value_key, shape, like.q.dtype)
        changes = jax.random.bernoulli(change_key, 1 / self.hold, (*shape[:2], 1))

        def body(held: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
            value, change = step
            held = jnp.where(change, value, held)
            return held, held

        _, raw = jax.lax.scan(body, values[0], (values, changes))
        return jnp.moveaxis(raw, 0, 1)


# A state, whether the plan has stayed within the limits, and whether the episode has ended.
_Carry = tuple[State, Bool[Array, ""], Bool[Array, ""]]


def _draw(key: PRNGKeyArray, states: State, number: int) -> State:
    indices = jax.random.randint(key, (number,), 0, states.q.shape[0])
    return jax.tree.map(lambda x: x[indices], states)


def _best(plans: Plans, number: int, begin: int, end: int) -> Plans:
    """Take the plans of highest return from `begin` to `end`, the best first."""
    order = begin + jnp.argsort(-plans.returns[begin:end])[:number]
    return jax.tree.map(lambda x: x[order], plans)

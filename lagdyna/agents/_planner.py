from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Scalar

from ..mechanics import State
from ..models import AbstractReward, AbstractTermination, NoTermination
from ..simulate import AbstractTransition
from ._imagination import within


class Plans(NamedTuple):
    """Sequences of actions that are being improved, those longest at it last.

    **Attributes:**

    - `starts`: where each begins, a `State` of shapes `(plans, n)`.
    - `raw`: the actions before they are squashed, shape `(plans, time, m)`.
    - `worth`: what each was paid when it was last improved, shape `(plans,)`; before that
        `-inf`.
    """

    starts: State
    raw: Float[Array, "plans time m"]
    worth: Float[Array, " plans"]

    @property
    def actions(self) -> Float[Array, "plans time m"]:
        """In `[-1, 1]^m`."""
        return jnp.tanh(self.raw)


class ShootingPlanner(eqx.Module):
    """Searches for sequences of actions that pay, by gradients through the model.

    Single shooting: a sequence is followed through the model, and Adam climbs the gradient of
    the sum of its rewards (Betts 1998, "Survey of numerical methods for trajectory
    optimization"). There are many ways up, most of them bad, and a gradient
    finds the top of its own hill only. So many sequences begin at random and few are improved
    for long: those of each level have been improved once more than those of the one
    before, of which they are the best (successive halving, Jamieson & Talwalkar 2016,
    "Non-stochastic best arm identification and hyperparameter optimization", here with new
    ones in each round). The last level keeps the best of what comes to it and what it had.
    Every other new plan that is drawn begins as one of those does, up to a random action, since
    better ways often part from good ones late. These are paid more from the start, so once
    there are good plans hardly another one gets into the first level.

    Who improves the same plans again and again while the model is learned has plans that fit
    the model of the moment.

    **Arguments:**

    - `action_size`: `m`.
    - `limits`: the largest magnitudes of positions and velocities, each of length `n`. A
        plan that would take a state further, or to what is no number, is worth `-inf`.
    - `actions`: of a plan.
    - `levels`: how many plans each level has.
    - `steps`: how many plans a round looks at, from one to the next by a step of Adam; it keeps
        the best of them.
    - `rate`: of Adam for the first level, half of it for the next, and so on.
    - `draws`: how many random plans are tried for each that the first level takes.
    - `hold`: for how many actions a random one is held on average.

    **Raises:** `ValueError` if there are no two levels, one takes more plans than the one
    before has, one of `actions`, `steps` and `draws` is not positive, `hold` is below 1, or
    `rate` below 0.
    """

    action_size: int = eqx.field(static=True)
    limits: tuple[tuple[float, ...], tuple[float, ...]] = eqx.field(static=True)
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
        """Random plans.

        **Arguments:** `starts`, a `State` of shapes `(any, n)`, among which each draws its own.
        """
        number = sum(self.levels)
        raw_key, key = jax.random.split(key)
        worth = jnp.full(number, -jnp.inf, starts.q.dtype)
        return Plans(_drawn(key, starts, number), self._random(raw_key, number, starts), worth)

    def improve(
        self,
        plans: Plans,
        transition: AbstractTransition,
        reward: AbstractReward,
        starts: State,
        *,
        key: PRNGKeyArray,
        termination: AbstractTermination = NoTermination(),
    ) -> Plans:
        """One round: new plans, the best of each level to the next one, and all improved.

        **Arguments:**

        - `plans`: from `init` or the last round.
        - `transition`, `reward`, `termination`: the model as it is now.
        - `starts`: where new plans begin, a `State` of shapes `(any, n)`.
        - `key`: for the new ones.
        """

        def paid(raw: Array, start: State) -> tuple[Scalar, Bool[Array, ""]]:
            return self._followed(raw, start, transition, reward, termination)[:2]

        begin, raw, _ = self._promoted(plans, self._new(plans, key, starts, paid))
        optimiser = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.adam(optax.cosine_decay_schedule(1.0, self.steps, 0.1)),
        )
        rates = [self.rate / 2**i for i, size in enumerate(self.levels) for _ in range(size)]

        def improved(raw: Array, start: State, rate: Array) -> tuple[Array, Scalar]:
            def body(carry: Any, _: None) -> tuple[Any, None]:
                raw, state, best, most = carry
                (now, valid), gradient = jax.value_and_grad(paid, has_aux=True)(raw, start)
                better = valid & (now > most)
                best, most = jnp.where(better, raw, best), jnp.where(better, now, most)
                # Through a step that is not a number there is no gradient.
                gradient = jnp.where(jnp.isfinite(gradient), -gradient, 0)
                update, state = optimiser.update(gradient, state)
                raw = optax.apply_updates(raw, jax.tree.map(lambda x: rate * x, update))
                return (raw, state, best, most), None

            first = (raw, optimiser.init(raw), raw, jnp.asarray(-jnp.inf, raw.dtype))
            (_, _, best, most), _ = jax.lax.scan(body, first, length=self.steps)
            return best, most

        raw, worth = jax.vmap(improved)(raw, begin, jnp.asarray(rates, raw.dtype))
        return Plans(begin, raw, worth)

    def states(
        self,
        plans: Plans,
        transition: AbstractTransition,
        reward: AbstractReward,
        termination: AbstractTermination = NoTermination(),
    ) -> State:
        """Where the plans of the last level lead, a `State` of shapes
        `(last level * (time + 1), n)`, their starts included."""
        starts, raw, _ = jax.tree.map(lambda x: x[-self.levels[-1] :], plans)
        *_, states = jax.vmap(
            lambda raw, start: self._followed(raw, start, transition, reward, termination)
        )(raw, starts)
        everything = jax.tree.map(
            lambda first, rest: jnp.concatenate([first[:, None], rest], axis=1), starts, states
        )
        return jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), everything)

    def _new(
        self,
        plans: Plans,
        key: PRNGKeyArray,
        starts: State,
        paid: Callable[[Array, State], tuple[Scalar, Bool[Array, ""]]],
    ) -> Plans:
        """Random plans for the first level, the best of some more."""
        raw_key, start_key, like_key, until_key = jax.random.split(key, 4)
        number = self.draws * self.levels[0]
        raw, begin = self._random(raw_key, number, starts), _drawn(start_key, starts, number)
        # Every other one begins as one of the last level does.
        like = jax.random.randint(like_key, (number,), -self.levels[-1], 0)
        until = jax.random.randint(until_key, (number, 1, 1), 0, self.actions)
        same = (jnp.arange(number) % 2 == 0)[:, None]
        raw = jnp.where(
            same[..., None] & (jnp.arange(self.actions)[:, None] < until), plans.raw[like], raw
        )
        begin = jax.tree.map(
            lambda new, old: jnp.where(same, old[like], new), begin, plans.starts
        )
        worth, valid = jax.vmap(paid)(raw, begin)
        drawn = Plans(begin, raw, jnp.where(valid, worth, -jnp.inf))
        return _best(drawn, self.levels[0], 0, number)

    def _promoted(self, plans: Plans, new: Plans) -> Plans:
        """The new ones, and of each level the best, one level up."""
        *ends, all_of_them = np.cumsum(self.levels)
        begins = [0, *ends[:-1]]
        # To the last level come those of two.
        ends[-1] = all_of_them
        parts = [
            _best(plans, size, int(begin), int(end))
            for size, begin, end in zip(self.levels[1:], begins, ends, strict=True)
        ]
        return jax.tree.map(lambda *xs: jnp.concatenate(xs), new, *parts)

    def _followed(
        self,
        raw: Float[Array, "time m"],
        start: State,
        transition: AbstractTransition,
        reward: AbstractReward,
        termination: AbstractTermination,
    ) -> tuple[Scalar, Bool[Array, ""], State]:
        """What a plan is paid, whether it stays within the limits, and where it leads.

        It waits where it would leave them, and where an episode has ended.
        """

        @jax.checkpoint
        def body(carry: _Going, action: Array) -> tuple[_Going, tuple[Scalar, State]]:
            state, valid, over = carry
            following = transition.step(state, action)
            over |= termination(state) > 0.5
            valid &= within(following, self.limits) | over
            moves = valid & ~over
            following = jax.tree.map(lambda a, b: jnp.where(moves, a, b), following, state)
            paid = jnp.where(moves, reward(state, action, following), 0)
            return (following, valid, over), (paid, following)

        first = (start, jnp.ones((), bool), jnp.zeros((), bool))
        (_, valid, _), (paid, states) = jax.lax.scan(body, first, jnp.tanh(raw))
        return paid.sum(), valid, states

    def _random(self, key: PRNGKeyArray, number: int, like: State) -> Array:
        """Plans of standard normals, each held for a while."""
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


# A state, whether the plan has stayed within the limits, and whether the episode is over.
_Going = tuple[State, Bool[Array, ""], Bool[Array, ""]]


def _drawn(key: PRNGKeyArray, states: State, number: int) -> State:
    places = jax.random.randint(key, (number,), 0, states.q.shape[0])
    return jax.tree.map(lambda x: x[places], states)


def _best(plans: Plans, number: int, begin: int, end: int) -> Plans:
    """So many of those from `begin` to `end`, the worthiest first."""
    order = begin + jnp.argsort(-plans.worth[begin:end])[:number]
    return jax.tree.map(lambda x: x[order], plans)

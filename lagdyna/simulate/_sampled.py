import equinox as eqx
import jax
from jaxtyping import Array, Float

from ..mechanics import State
from ._transition import AbstractTransition


class SampledTransition(eqx.Module):
    """Several transitions that data have not told apart, as a posterior draws them.

    Rollout `i` of a batch follows member `i % count` in every step: it is imagined in one world
    (Thompson 1933), and not in a mean of worlds.

    **Arguments:**

    - `members`: a transition with a leading axis on its arrays, as
        [`lagdyna.learners.AbstractPosterior`][] gives of one.
    """

    members: AbstractTransition

    @property
    def count(self) -> int:
        """How many there are."""
        return jax.tree.leaves(eqx.filter(self.members, eqx.is_array))[0].shape[0]

    def steps(self, states: State, actions: Float[Array, "batch m"]) -> State:
        """The states one action later, each in its own member.

        **Arguments:** `states`, a `State` of shapes `(batch, n)`.

        **Raises:** `ValueError` if the batch is not a multiple of `count`.
        """
        batch = actions.shape[0]
        if batch % self.count:
            raise ValueError(
                f"a batch of {batch} rollouts is not the same number for each of "
                f"{self.count} samples"
            )

        def apart(x: Array) -> Array:
            return x.reshape(batch // self.count, self.count, *x.shape[1:])

        found = eqx.filter_vmap(_steps, in_axes=(eqx.if_array(0), 1, 1), out_axes=1)(
            self.members, jax.tree.map(apart, states), apart(actions)
        )
        return jax.tree.map(lambda x: x.reshape(batch, *x.shape[2:]), found)

    def all_steps(self, states: State, actions: Float[Array, "batch m"]) -> State:
        """The states one action later in every member, shapes `(count, batch, n)`."""
        return eqx.filter_vmap(_steps, in_axes=(eqx.if_array(0), None, None))(
            self.members, states, actions
        )


def _steps(transition: AbstractTransition, states: State, actions: Array) -> State:
    return transition.steps(states, actions)

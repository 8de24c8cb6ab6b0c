"""Policies that follow each other in a run, and which of them acts."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree, Scalar

from ..agents import Policy


class Generations(eqx.Module):
    """The best policy of each generation, and which of these acts.

    **Attributes:**

    - `best`: of each generation, with a leading axis of these; what is still to come stands
        for nothing.
    - `acts`: the number of the generation whose best acts.
    """

    best: Policy
    acts: Int[Array, ""]

    @classmethod
    def begin(cls, policy: Policy, number: int) -> "Generations":
        """So many generations, of which the first has a policy that acts."""
        return cls(mapped(lambda x: jnp.stack([x] * number), policy), jnp.zeros((), int))

    @property
    def policy(self) -> Policy:
        """Who acts."""
        return self._of(self.acts)

    def _of(self, number: Int[Array, ""]) -> Policy:
        return mapped(lambda x: x[number], self.best)

    def with_newest(
        self,
        newest: Policy,
        number: Int[Array, ""],
        replaces: Bool[Array, ""],
        worth: Callable[[Policy], Scalar],
    ) -> tuple["Generations", Scalar, Scalar]:
        """What is left when the generation at work has learned more.

        **Arguments:**

        - `newest`: the policy that learns.
        - `number`: of its generation, the latest that there is.
        - `replaces`: whether it takes the place of what was best there, come what may; else
            where it is worth more.
        - `worth`: what a policy is worth now; all that there are are judged anew.

        **Returns:** The generations, of which the worthiest acts; what that one is worth, and
        what the newest is.
        """
        count = len(jax.tree.leaves(eqx.filter(self.best, eqx.is_array))[0])
        found = jax.lax.fori_loop(
            0,
            number + 1,
            lambda i, found: found.at[i].set(worth(self._of(i))),
            jnp.full(count, -jnp.inf),
        )
        now = worth(newest)
        better = replaces | (now >= found[number])
        best = mapped(
            lambda kept, new: kept.at[number].set(jnp.where(better, new, kept[number])),
            self.best,
            newest,
        )
        found = found.at[number].set(jnp.where(better, now, found[number]))
        acts = jnp.argmax(found)
        return Generations(best, acts), found[acts], now


def mapped(function: Callable[..., Array], tree: PyTree, *others: PyTree) -> PyTree:
    """A function of arrays, of each in trees of the same structure."""
    return jax.tree.map(
        lambda x, *ys: function(x, *ys) if eqx.is_array(x) else x, tree, *others
    )

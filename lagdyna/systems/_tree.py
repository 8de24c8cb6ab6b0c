"""Kinematic trees: which link hangs on which, and scans along them."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree


class KinematicTree(eqx.Module):
    """Kinematic tree of links that each turn about or slide along one axis.

    Link `i` has its frame at joint `i`, with the joint's axis along `z`. At `q_i = 0` the
    frame has rotation `rotation[i]` and position `position[i]` in the frame of its parent, or
    in the world for a link on the base.

    **Arguments:** (all static)

    - `parents`: parent of each link, less than its own index; -1 for the base.
    - `slides`: for each joint, whether it is prismatic.
    - `rotation`: rotation matrix of each link, rows of three numbers.
    - `position`: position of each link, metres.

    **Raises:** `ValueError` if the lengths differ, there is no link, or a parent does not come
    before its child.
    """

    parents: tuple[int, ...] = eqx.field(static=True)
    slides: tuple[bool, ...] = eqx.field(static=True)
    rotation: tuple[tuple[tuple[float, ...], ...], ...] = eqx.field(static=True)
    position: tuple[tuple[float, ...], ...] = eqx.field(static=True)

    def __check_init__(self):
        lengths = {len(x) for x in (self.parents, self.slides, self.rotation, self.position)}
        if len(lengths) != 1 or not self.parents:
            raise ValueError(
                "`parents`, `slides`, `rotation` and `position` must have one entry per link, "
                f"got lengths {sorted(lengths)}"
            )
        for link, parent in enumerate(self.parents):
            if not -1 <= parent < link:
                raise ValueError(
                    f"`parents[{link}]` was {parent}; a smaller index is accepted, or -1"
                )

    @property
    def links(self) -> int:
        """Number of links, which is the number of coordinates."""
        return len(self.parents)

    @property
    def branches(self) -> tuple[tuple[int, int], ...]:
        """Runs of links that each hang on the one before, as ranges `(start, stop)`."""
        return _branches(self.parents)

    def arrays(self, dtype: Any) -> dict[str, jax.Array]:
        """Return rotations `(links, 3, 3)` and positions `(links, 3)` as arrays."""
        return {
            "rotation": jnp.asarray(self.rotation, dtype),
            "position": jnp.asarray(self.position, dtype),
        }

    def outward(
        self, step: Callable[[Any, Any], tuple[Any, Any]], base: PyTree, xs: PyTree
    ) -> PyTree:
        """Scan from the base to the tips.

        **Arguments:**

        - `step`: maps the state of the parent and the link's entry of `xs` to the state of the
            link and an output.
        - `base`: state of the base.
        - `xs`: arrays with a leading axis of links.

        **Returns:** the outputs, stacked over the links.
        """
        ends: dict[int, Any] = {-1: base}
        outputs = []
        for start, stop in self.branches:
            part = jax.tree.map(lambda x, a=start, b=stop: x[a:b], xs)
            end, output = jax.lax.scan(step, ends[self.parents[start]], part)
            ends[stop - 1] = end
            outputs.append(output)
        return _joined(outputs)

    def inward(
        self, step: Callable[[Any, Any], tuple[Any, Any]], zero: PyTree, xs: PyTree
    ) -> tuple[PyTree, PyTree]:
        """Scan from the tips to the base; what arrives at a link from its children is added.

        **Arguments:**

        - `step`: maps the sum over the children and the link's entry of `xs` to what the
            parent receives and an output.
        - `zero`: the sum without a child.
        - `xs`: arrays with a leading axis of links.

        **Returns:** what the base receives, and the outputs, stacked over the links.
        """
        sums: dict[int, Any] = {}
        outputs = []
        for start, stop in reversed(self.branches):
            part = jax.tree.map(lambda x, a=start, b=stop: x[a:b], xs)
            begin = sums.get(stop - 1, zero)
            end, output = jax.lax.scan(step, begin, part, reverse=True)
            parent = self.parents[start]
            known = sums.get(parent)
            sums[parent] = end if known is None else jax.tree.map(jnp.add, known, end)
            outputs.append(output)
        return sums[-1], _joined(outputs[::-1])


@functools.cache
def _branches(parents: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    children = [parents.count(link) for link in range(len(parents))]
    starts = [
        link
        for link, parent in enumerate(parents)
        if link == 0 or parent != link - 1 or children[link - 1] != 1
    ]
    return tuple(zip(starts, [*starts[1:], len(parents)], strict=True))


def _joined(pieces: list[PyTree]) -> PyTree:
    if len(pieces) == 1:
        return pieces[0]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *pieces)

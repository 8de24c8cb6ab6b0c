"""Programs that return arguments without copies of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna._forwarding import forwarding_jit

traces: list[None] = []


@forwarding_jit
def count(state: dict[str, Any], *, by: Any) -> tuple[dict[str, Any], Any, Any]:
    """Change one part of a state, and return another twice."""
    traces.append(None)
    return {**state, "count": state["count"] + by}, (state["large"], by), state["large"].sum()


def state(large: Any) -> dict[str, Any]:
    return {"large": large, "count": jnp.asarray(1), "name": "a", "none": None}


def test_arrays_that_stay_the_same_are_not_copied() -> None:
    before = state(jnp.arange(4.0))
    after, (large, by), total = count(before, by=2)
    assert after["large"] is large is before["large"]
    assert (int(after["count"]), by, float(total)) == (3, 2, 6.0)
    assert (after["name"], after["none"]) == ("a", None)
    assert int(before["count"]) == 1


def test_other_values_are_not_traced_again() -> None:
    count(state(jnp.zeros(3)), by=jnp.asarray(1))
    traces.clear()
    after, (large, by), _ = count(state(jnp.ones(3)), by=jnp.asarray(5))
    assert not traces
    np.testing.assert_array_equal(large, jnp.ones(3))
    assert (int(after["count"]), int(by)) == (6, 5)


def test_arrays_of_numpy_become_arrays_of_jax() -> None:
    after, _, _ = count(state(np.ones(2, np.float32)), by=1)
    assert isinstance(after["large"], jax.Array)


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap])
def test_it_is_a_part_of_larger_programs(transform: Any) -> None:
    def larger(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        after, _, total = count(state(x), by=1)
        return after["large"], total

    large, total = transform(larger)(jnp.ones((2, 3)))
    np.testing.assert_array_equal(large, jnp.ones((2, 3)))
    assert float(total.sum()) == 6.0


def test_it_is_differentiated_through_what_it_passes_on() -> None:
    slope = jax.grad(lambda x: count(state(x), by=1)[0]["large"].sum())(jnp.ones(2))
    np.testing.assert_array_equal(slope, jnp.ones(2))

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array, Scalar

from lagdyna.learners import AbstractLoss, GradientLearner, all_finite, apply_gradient

from ..helpers import close, identical, normals


class Line(eqx.Module):
    """Model with an integer and a static field, which learning must not change."""

    slope: Array
    offset: Array
    count: Array
    name: str = eqx.field(static=True, default="line")

    def __call__(self, x: Array) -> Array:
        return self.slope * x + self.offset


class SquaredError(AbstractLoss[Line, tuple[Array, Array]]):
    def __call__(self, model: Line, batch: tuple[Array, Array]) -> Scalar:
        x, y = batch
        return jnp.mean((jax.vmap(model)(x) - y) ** 2)


def line() -> Line:
    return Line(jnp.asarray(0.5), jnp.asarray(-1.0), jnp.asarray(7))


def batch(seed: int = 0) -> tuple[Array, Array]:
    x = normals(seed, 32)
    return x, 2 * x + 3


LEARNER = GradientLearner(optax.adam(0.1), SquaredError())
update = eqx.filter_jit(lambda learner, *x: learner.update(*x))


def learn(learner, model, batches):
    """Run one update a batch; return the model, the learner's state and all metrics."""
    state, history = learner.init(model), []
    for data in batches:
        model, state, metrics = update(learner, model, state, data)
        history.append(metrics)
    return model, state, history


def test_learning_converges_to_the_true_line(tolerance):
    model, _, history = learn(LEARNER, line(), [batch(i) for i in range(300)])
    assert history[-1]["loss"] < 1e-3 * history[0]["loss"]
    close((model.slope, model.offset), (jnp.asarray(2.0), jnp.asarray(3.0)), 1e-2)


def test_an_update_is_the_optax_step_of_the_gradient(tolerance):
    learner, model, (x, y) = GradientLearner(optax.sgd(0.1), SquaredError()), line(), batch()
    after, _, metrics = update(learner, model, learner.init(model), (x, y))
    error = np.asarray(0.5 * x - 1 - y)
    close(metrics["loss"], np.mean(error**2), tolerance)
    close(after.slope, 0.5 - 0.1 * np.mean(2 * error * x), tolerance)
    close(after.offset, -1 - 0.1 * np.mean(2 * error), tolerance)
    assert metrics["skipped"] == 0


def test_learning_changes_only_weights():
    model, _, _ = learn(LEARNER, line(), [batch()])
    assert (int(model.count), model.count.dtype, model.name) == (7, jnp.int32, "line")


def spoilt(value: float) -> tuple[Array, Array]:
    x, y = batch()
    return x, y.at[3].set(value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38], ids=str)
def test_a_non_finite_batch_is_skipped(value):
    # With 1e38 the gradient is finite, but its square in Adam's state is not.
    model, state, _ = learn(LEARNER, line(), [batch(1)])
    after, after_state, metrics = update(LEARNER, model, state, spoilt(value))
    identical(after, model)
    identical(after_state.optimiser, state.optimiser)
    assert metrics["skipped"] == 1


def test_an_overflowing_step_from_a_finite_gradient_is_skipped():
    learner = GradientLearner(optax.sgd(1e38, momentum=0.9), SquaredError())
    x, y = batch()
    model, state = line(), learner.init(line())
    gradient = eqx.filter_grad(SquaredError())(model, (x, 1e3 * y))
    assert all_finite(gradient)
    after, after_state, metrics = update(learner, model, state, (x, 1e3 * y))
    identical(after, model)
    identical(after_state.optimiser, state.optimiser)
    assert np.isfinite(metrics["loss"])
    assert metrics["skipped"] == 1


def test_a_skipped_update_does_not_affect_later_updates():
    good = [batch(i) for i in range(4)]
    model, state, history = learn(LEARNER, line(), [*good[:2], spoilt(np.nan), *good[2:]])
    undisturbed, undisturbed_state, _ = learn(LEARNER, line(), good)
    identical(model, undisturbed)
    identical(state, undisturbed_state)
    assert [int(m["skipped"]) for m in history] == [0, 0, 1, 0, 0]


class Fragile(AbstractLoss[Line, tuple[Array, Array]]):
    """Squared error that is `nan` for slopes above 1, as of a simulator that overflows."""

    def __call__(self, model: Line, batch: tuple[Array, Array]) -> Scalar:
        return SquaredError()(model, batch) * jnp.where(model.slope > 1, jnp.nan, 1.0)


def test_a_step_to_non_finite_gradients_is_undone_by_halves():
    learner = GradientLearner(optax.sgd(2.0), Fragile())
    begun, data = line(), batch()
    model, _, history = learn(learner, begun, [data] * 2)
    far = float(model.slope)
    assert far > 1.5
    assert [int(m["skipped"]) for m in history] == [0, 1]
    # Up to nine skipped updates in a row may be due to the data; the tenth is not.
    model, _, history = learn(learner, begun, [data] * 10)
    assert float(model.slope) == far
    model, state, history = learn(learner, begun, [data] * 11)
    close(model.slope, (far + 0.5) / 2, 1e-6)
    assert int(state.skipped) == 10
    # The step is halved until the gradient is finite; learning then continues.
    halvings = int(np.ceil(np.log2((far - 0.5) / 0.5)))
    model, state, history = learn(learner, begun, [data] * (10 + halvings))
    close(model.slope, 0.5 + (far - 0.5) / 2**halvings, 1e-6)
    model, state, history = learn(learner, begun, [data] * (11 + halvings))
    assert [int(m["skipped"]) for m in history] == [0] + [1] * (9 + halvings) + [0]
    assert int(state.skipped) == 0


def test_apply_gradient_checks_every_leaf():
    model, optimiser = line(), optax.sgd(0.1)
    weights = eqx.filter(model, eqx.is_inexact_array)
    state = optimiser.init(weights)
    for where in (lambda m: m.slope, lambda m: m.offset):
        gradient = eqx.tree_at(where, weights, jnp.asarray(jnp.nan))
        after, _, skipped = apply_gradient(optimiser, model, state, gradient)
        identical(after, model)
        assert skipped == 1


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
is_finite = jax.jit(all_finite)


@given(
    numbers=st.lists(finite, min_size=3, max_size=3),
    place=st.integers(0, 2),
    bad=st.sampled_from([np.nan, np.inf]),
)
def test_all_finite_detects_a_single_non_finite_number(numbers, place, bad):
    tree = {"a": jnp.asarray(numbers), "b": (jnp.ones(()), jnp.asarray(3))}
    assert is_finite(tree)
    tree["a"] = tree["a"].at[place].set(bad)
    assert not is_finite(tree)


def test_all_finite_of_large_numbers_does_not_overflow():
    assert is_finite(jnp.full(1000, jnp.finfo(jnp.float32).max))


def test_a_tree_without_floating_point_numbers_is_finite():
    assert all_finite({"count": jnp.asarray(1), "name": "x"})

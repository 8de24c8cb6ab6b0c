import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Scalar

from lagdyna.learners import AbstractLoss, GradientLearner, fit, learn

from ..helpers import close, identical, normals


class Distance(AbstractLoss[Array, Array]):
    """Mean squared distance of the model, a point, from the points of the batch."""

    def __call__(self, model: Array, batch: Array) -> Scalar:
        return jnp.mean((model - batch) ** 2)


LEARNER = GradientLearner(optax.adam(0.05), Distance())
KEY = jax.random.key(0)
START = jnp.zeros(2)


def test_fit_finds_the_mean_of_the_data(tolerance):
    data = normals(0, 50, 2) + 3
    found = fit(jnp.zeros(2), LEARNER, data, key=KEY, steps=600, batch_size=50)
    np.testing.assert_allclose(found.model, data.mean(axis=0), atol=0.15)


def test_metrics_have_one_entry_for_each_step():
    found = fit(START, LEARNER, normals(0, 5, 2), key=KEY, steps=12)
    assert {name: m.shape for name, m in found.metrics.items()} == {
        "loss": (12,),
        "skipped": (12,),
    }


def test_skipped_marks_the_skipped_updates():
    # One bad row in two: about half of the batches of one row are skipped.
    data = jnp.asarray([[1.0, 1.0], [jnp.nan, 1.0]])
    found = fit(START, LEARNER, data, key=KEY, steps=200, batch_size=1)
    bad = np.isnan(np.asarray(found.metrics["loss"]))
    np.testing.assert_array_equal(found.metrics["skipped"], bad)
    assert 50 < bad.sum() < 150
    close(found.model, np.ones(2), 0.05)


def test_the_key_determines_the_batches():
    data = normals(0, 50, 2)
    a, b, again = (
        fit(START, LEARNER, data, key=jax.random.key(i), steps=12, batch_size=2).model
        for i in (0, 1, 0)
    )
    identical(a, again)
    assert (a != b).any()


def test_a_fit_resumed_from_its_state_equals_an_uninterrupted_fit():
    # From a single row every key draws the same batches.
    row = jnp.asarray([[1.0, -2.0]])
    whole = fit(START, LEARNER, row, key=KEY, steps=20)
    half = fit(START, LEARNER, row, key=KEY, steps=10)
    rest = fit(half.model, LEARNER, row, key=KEY, steps=10, state=half.state)
    identical((rest.model, rest.state), (whole.model, whole.state))
    # Without Adam's state, the result differs.
    fresh = fit(half.model, LEARNER, row, key=KEY, steps=10)
    assert (fresh.model != whole.model).any()


def test_learn_draws_each_batch_with_its_own_key():
    sample = lambda key: jax.random.normal(key, (1, 2))  # noqa: E731
    still = GradientLearner(optax.sgd(0.0), Distance())
    found = learn(still, START, still.init(START), sample, key=KEY, steps=8)
    assert len(set(np.asarray(found.metrics["loss"]).tolist())) == 8


def test_a_count_stops_as_fewer_steps_would():
    sample = lambda key: jax.random.normal(key, (1, 2))  # noqa: E731
    begin = (LEARNER, START, LEARNER.init(START), sample)
    fewer = learn(*begin, key=KEY, steps=3)
    counted = learn(*begin, key=KEY, steps=5, count=jnp.asarray(3))
    identical((counted.model, counted.state), (fewer.model, fewer.state))
    losses = np.asarray(counted.metrics["loss"])
    np.testing.assert_array_equal(losses[:3], fewer.metrics["loss"])
    np.testing.assert_array_equal(losses[3:], 0.0)


def test_fitting_again_does_not_compile_again(compilations):
    data = normals(0, 9, 2)
    others = [(START + i, data + i, jax.random.key(i)) for i in range(3)]
    fit(START, LEARNER, data, key=KEY, steps=5)
    before = compilations()
    assert before > 0
    for model, rows, key in others:
        fit(model, LEARNER, rows, key=key, steps=5)
    assert compilations() == before


def test_fit_supports_vmap():
    data = normals(0, 20, 2)
    keys = jax.random.split(KEY, 3)
    one = lambda key: fit(START, LEARNER, data, key=key, steps=10, batch_size=2).model  # noqa: E731
    close(eqx.filter_vmap(one)(keys), jnp.stack([one(key) for key in keys]), 1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, r"`steps`.*got 0 and 64"),
        ({"batch_size": 0}, r"`batch_size`.*got 5 and 0"),
        ({"data": jnp.zeros((0, 2))}, r"`data`.*\[0\]"),
        ({"data": (jnp.zeros((3, 2)), jnp.zeros((4, 2)))}, r"`data`.*\[3, 4\]"),
        ({"data": ()}, r"`data`.*\[\]"),
    ],
)
def test_invalid_arguments_raise_by_name(wrong, message):
    options = {"data": jnp.zeros((3, 2)), "steps": 5} | wrong
    with pytest.raises(ValueError, match=message):
        fit(START, LEARNER, options.pop("data"), key=KEY, **options)

"""Learning of the world model, phase by phase."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna import UserError
from lagdyna.config import given
from lagdyna.filters import GainCovariance
from lagdyna.mechanics import State
from lagdyna.parts import GradientConfig
from lagdyna.simulate import LagrangianField, MLPTransition, WorldModel
from lagdyna.tasks import Outcome, get_task
from lagdyna.training import LearnerStates, Trainer, TrainingState

from .. import environments as environments  # registers them
from ..small import DYNA, MLP, REPLAYED, recorded, small_config
from .experience import explored, moved


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    collect = {"random_steps": 6, "hold": 3}
    return Trainer(small_config(model=MLP, collect=collect, steps=20))


@pytest.fixture(scope="module")
def untrained(trainer: Trainer) -> TrainingState:
    return trainer.init()


def world(training: TrainingState) -> WorldModel:
    return given(training.world)


def learners(training: TrainingState) -> LearnerStates:
    return given(training.learners)


def reward_scales(training: TrainingState) -> tuple[float, float]:
    reward: Any = world(training).reward
    return float(reward.location), float(reward.scale)


def test_a_phase_begins_with_fresh_learners_and_the_scale_of_the_rewards(
    trainer: Trainer, untrained: TrainingState
) -> None:
    training = explored(trainer, untrained, 4, reward=-2.0)  # -2, -4, -6, -8
    begun = trainer.begin_phase(training)
    location, scale = reward_scales(begun)
    assert location == pytest.approx(-5)
    assert scale == pytest.approx(np.sqrt(5), rel=1e-3)
    assert int(begun.phases) == int(training.phases) + 1
    for state in (learners(begun).transition, learners(begun).reward):
        of_optimiser, decay = state.optimiser
        assert not np.any(jax.tree.leaves(jax.tree.map(np.any, of_optimiser)))
        assert int(decay.updates) == 0


def test_the_scale_of_the_rewards_may_only_grow(
    trainer: Trainer, untrained: TrainingState
) -> None:
    """Otherwise states without data would look better once all rewards are good."""
    begun = trainer.begin_phase(explored(trainer, untrained, 2, reward=-2.0))
    assert reward_scales(begun) == pytest.approx((-3, 1))
    better = trainer.begin_phase(explored(trainer, begun, 18, reward=-1e-4))
    assert reward_scales(better) == reward_scales(begun)
    # Rewards that vary more than ever before enlarge the scale.
    larger = trainer.begin_phase(explored(trainer, begun, 2, reward=-100.0))
    assert reward_scales(larger)[0] == reward_scales(begun)[0]
    assert reward_scales(larger)[1] == pytest.approx(np.std([2, 4, 100, 200]), rel=1e-3)


@pytest.mark.parametrize(("until", "last"), [(1.0, 10), (0.6, 6), (0.4, 5)])
def test_weight_decay_follows_a_cosine_over_the_run(until: float, last: int) -> None:
    """Or over its first phases, at least five; dynamics and reward have their own strength."""
    options = {"weight_decay": 0.2, "weight_decay_until": until}
    reward = {"weight_decay": 0.4}
    config = small_config(model=MLP, learner=options, reward=reward, steps=100)
    trainer = Trainer(config)
    assert trainer.config.phases == 10

    @eqx.filter_jit
    def strengths(training: TrainingState, phase: jax.Array) -> list[jax.Array]:
        begun = trainer.begin_phase(eqx.tree_at(lambda t: t.phases, training, phase))
        states = (learners(begun).transition, learners(begun).reward)
        return [state.optimiser[-1].strength for state in states]

    training = trainer.init()
    found = np.asarray([strengths(training, jnp.asarray(i)) for i in range(11)])
    wave = np.asarray([0.5 + 0.5 * np.cos(np.pi * min(i, last) / last) for i in range(11)])
    np.testing.assert_allclose(found, np.outer(wave, [0.2, 0.4]), atol=1e-6)


def test_the_agent_determines_the_usual_weight_decay_and_activation() -> None:
    for agent, usual in (({}, (0.1, 0.3, "tanh")), (DYNA, (0.0, 0.0, "softplus"))):
        config = Trainer(small_config(agent=agent)).config
        learner, reward = config.learner, given(config.reward)
        assert isinstance(learner, GradientConfig)
        assert (learner.weight_decay, reward.weight_decay, reward.activation) == usual
    options = {"weight_decay": 0.2, "activation": "silu"}
    chosen = given(Trainer(small_config(agent=DYNA, reward=options)).config.reward)
    assert (chosen.weight_decay, chosen.activation) == (0.2, "silu")


def test_a_filter_learns_dynamics_and_reward() -> None:
    learner = {"name": "ekf", "updates": 40, "batch": 8}
    collect = {"random_steps": 12, "hold": 3}
    trainer = Trainer(small_config(model=MLP, collect=collect, learner=learner))
    training = trainer.begin_phase(explored(trainer, trainer.init(), 12))
    chunk = jnp.asarray(0)
    before, first = trainer.fit(training, chunk, 20)
    after, last = trainer.fit(before, chunk + 1, 20)
    for loss in ("model_loss", "reward_loss"):
        assert float(last[loss]) < float(first[loss])
    assert float(last["model_skipped"]) == 0
    # The next phase begins with the prior again, about what has been learned.
    again = trainer.begin_phase(after)
    fresh, used = learners(again).transition, learners(after).transition
    assert float(fresh.updates) == 0
    assert float(used.updates) == 40
    assert np.max(fresh.belief.blocks[0]) == 1


def test_the_members_of_an_ensemble_depend_on_the_seed_of_the_run() -> None:
    trainer = Trainer(small_config(model=MLP, learner={"name": "enkf"}))

    def members(seed: int) -> np.ndarray:
        first = trainer.first(jnp.asarray(seed, jnp.uint32))
        return np.asarray(learners(first).transition.belief)

    np.testing.assert_array_equal(members(3), members(3))
    assert not np.any(np.isclose(members(0), members(1), atol=1e-6))


def test_a_covariance_that_does_not_fit_into_memory_is_refused() -> None:
    changes = {"model": MLP, "reward": {"hidden": [900, 900]}}
    config = small_config(learner={"name": "ekf"}, **changes)
    with pytest.raises(UserError, match="`reward.hidden` was .900, 900., which makes 8"):
        Trainer(config).init()
    changes["reward"] = {"hidden": [16, 16]}
    blocks = small_config(learner={"name": "ekf-block"}, **changes)
    Trainer(blocks).init()


def test_context_and_termination_are_inputs_of_the_agent_and_not_of_the_dynamics() -> None:
    """A pendulum whose target lies elsewhere in each episode, which ends beyond 1."""
    pendulum = small_config().task
    task = dataclasses.replace(pendulum, context=(0, 1), context_range=0.5, terminates=True)
    config = small_config(learner={"updates": 400, "batch": 8}, agent=REPLAYED)
    trainer = Trainer(dataclasses.replace(config, task=task))
    training = trainer.init()
    qd = np.asarray([-1.0, 0.0, 0.0], np.float32)
    for i in range(16):
        over = i % 8 == 7
        here, there = (
            State(np.asarray([q, 0.1, -0.2 * (i // 8)], np.float32), qd)
            for q in (0.1 * (i % 8), 1.5 if over else 0.1 * (i % 8 + 1))
        )
        action = np.asarray([0.1 * (i % 3)], np.float32)
        outcome = Outcome(there, -1.0 - i, over, False)
        training = recorded(trainer, training, here, action, outcome)
    training = trainer.begin_phase(training)
    losses = []
    for chunk in range(2):
        training, metrics = trainer.fit(training, jnp.asarray(chunk), 200)
        losses.append(float(metrics["termination_loss"]))
        assert not any(
            metrics[f"{part}_skipped"] for part in ("model", "reward", "termination")
        )
    assert losses[1] < losses[0] < 0.7
    ended, alive = (State(jnp.asarray([q, 0.1, 0.0]), jnp.asarray(qd)) for q in (1.5, 0.2))
    probability = eqx.filter_jit(world(training).termination)
    assert probability(ended) > 0.5 > probability(alive)
    before = training.agent
    training, metrics = trainer.improve(training, jnp.asarray(0), 2)
    assert float(metrics["agent_skipped"]) == 0
    # Once all starts have ended, there is nothing to learn from.
    dead = eqx.tree_at(
        lambda t: (t.world.termination.network.layers[-1].bias, t.agent),
        training,
        (jnp.asarray([1e6]), before),
    )
    _, metrics = trainer.improve(dead, jnp.asarray(0), 2)
    assert float(metrics["imagined_reward"]) == 0
    transition: Any = world(training).transition
    assert isinstance(transition.field, LagrangianField)
    body: Any = transition.field.system.lagrangian
    assert eqx.filter_eval_shape(body.mass_factor, jnp.asarray([0.0])).shape == (1, 1)
    targets = np.asarray([[0.2, 0.1, -0.2], [0.2, 0.5, 0.2]], np.float32)
    actions = trainer.act(training, State(targets, np.stack([qd, qd])))
    assert abs(float(actions[0, 0] - actions[1, 0])) > 1e-4


def test_a_given_reward_is_not_learned() -> None:
    config = small_config(model=MLP)
    trainer = Trainer(config, reward=lambda state, action, _: jnp.cos(state.q[0]))
    training = trainer.begin_phase(explored(trainer, trainer.init(), 4))
    after, metrics = trainer.fit(training, jnp.asarray(0), 2)
    assert set(metrics) == {"model_loss", "model_skipped"}
    assert world(after).reward == world(training).reward


TASK = dataclasses.replace(
    get_task("Pendulum-v1"), env_id="lagdyna-tests/Countdown-v0", repeat=2
)


def tiny(model: str, learner: dict[str, Any]) -> Trainer:
    solver = None if model == "mlp" else {"name": "euler"}
    table = {"model": {"name": model, "hidden": [8]}, "learner": learner}
    if solver is not None:
        table["solver"] = solver
    return Trainer(small_config(task=dataclasses.asdict(TASK), agent={"updates": 3}, **table))


def test_the_scale_of_a_step_is_that_of_the_data_and_may_only_grow() -> None:
    trainer = tiny("mlp", {"updates": 5})

    def scales(training: TrainingState) -> State:
        transition = world(training).transition
        assert isinstance(transition, MLPTransition)
        return transition.scale

    begun = trainer.begin_phase(moved(trainer, trainer.init(), 0.2))
    np.testing.assert_allclose(scales(begun).q, [0.2], rtol=1e-5)
    np.testing.assert_allclose(scales(begun).qd, [0.4], rtol=1e-5)
    slower = trainer.begin_phase(moved(trainer, begun, 0.01))
    np.testing.assert_allclose(scales(slower).q, [0.2], rtol=1e-5)
    faster = trainer.begin_phase(moved(trainer, slower, 0.8))
    expected = np.sqrt(np.mean(np.square([0.2, 0.01, 0.8])))
    np.testing.assert_allclose(scales(faster).q, [expected], rtol=1e-5)
    np.testing.assert_allclose(scales(faster).qd, [2 * expected], rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "learner"),
    [
        ("lnn", {"name": "ekf"}),
        ("mlp", {"name": "enkf", "members": 64}),
        ("mlp", {"name": "lion"}),
    ],
    ids=["lnn-ekf", "mlp-enkf", "mlp-lion"],
)
def test_learners_change_weights_and_no_scale_that_is_set_from_data(
    model: str, learner: dict[str, Any]
) -> None:
    trainer = tiny(model, {"updates": 30, "batch": 4, **learner})
    begun = trainer.begin_phase(moved(trainer, trainer.init(), 0.2))
    half, first = trainer.fit(begun, jnp.asarray(0), 15)
    after, last = trainer.fit(half, jnp.asarray(1), 15)
    assert float(last["model_loss"]) < float(first["model_loss"])
    assert float(last["model_skipped"]) == float(last["reward_skipped"]) == 0

    def from_data(training: TrainingState) -> list[np.ndarray]:
        reward: Any = world(training).reward
        frozen = [reward.location, reward.scale]
        transition = world(training).transition
        if isinstance(transition, MLPTransition):
            frozen += [*transition.scale]
        return [np.asarray(x) for x in frozen]

    assert len(from_data(after)) == {"lnn": 2, "mlp": 4}[model]
    for before, now in zip(from_data(begun), from_data(after), strict=True):
        np.testing.assert_array_equal(before, now)
    posterior = trainer.posterior(after)
    assert (posterior is None) == (learner["name"] == "lion")
    if posterior is None:
        return
    drawn = eqx.filter_jit(posterior.sample)(jax.random.key(0), 3)
    assert isinstance(drawn, type(world(after).transition))
    # Two samples may make the same step, where velocities are clipped; their weights differ.
    weights = jax.tree.leaves(eqx.filter(drawn, eqx.is_inexact_array))
    rows = np.concatenate([np.reshape(leaf, (3, -1)) for leaf in weights], axis=1)
    assert len(np.unique(rows, axis=0)) == 3


def test_a_phase_with_fewer_errors_than_weights_keeps_gains() -> None:
    trainer = tiny("lnn", {"name": "ekf", "updates": 3, "batch": 2})
    begun = trainer.begin_phase(moved(trainer, trainer.init(), 0.2))
    half, _ = trainer.fit(begun, jnp.asarray(0), 1)
    after, metrics = trainer.fit(half, jnp.asarray(1), 2)
    assert float(metrics["model_skipped"]) == float(metrics["reward_skipped"]) == 0
    # Two rows of an angle and its velocity, or of a reward.
    for part, errors in (("transition", 4), ("reward", 2)):
        gains = []
        for training in (begun, half, after):
            belief = getattr(given(training.learners), part).belief
            assert isinstance(belief, GainCovariance)
            assert belief.gains.shape[:2] == (3, errors)
            gains.append(np.asarray(belief.gains))
        filled = [np.any(each != 0, axis=(1, 2)).tolist() for each in gains]
        assert filled == [[False] * 3, [True, False, False], [True] * 3]
        np.testing.assert_array_equal(gains[1][0], gains[2][0])
    again = trainer.begin_phase(after)
    assert int(given(again.learners).transition.belief.used) == 0


@pytest.mark.parametrize(
    ("changes", "learned", "imagined"),
    [
        ({}, 4, 2),
        ({"solver": {"substeps": 5}}, 5, 5),
        ({"loss": {"name": "one-step", "substeps": 1}}, 1, 2),
    ],
    ids=["default", "solver", "loss"],
)
def test_the_loss_has_a_substep_for_each_environment_step(
    changes: dict[str, Any], learned: int, imagined: int
) -> None:
    config = Trainer(small_config(task="acrobot", **changes)).config
    assert config.task.repeat == 4
    assert config.schedule.substeps == learned
    assert given(config.solver).substeps == imagined

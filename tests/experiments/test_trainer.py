import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Scalar

from lagdyna.experiments import AgentConfig, Config, Trainer, Training, UserError
from lagdyna.mechanics import State
from lagdyna.models import BoundTermination
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.tasks import Outcome, get_task

from .small import recorded, small_config

HERE = State(np.asarray([0.3], np.float32), np.asarray([-1.0], np.float32))


def lived(trainer: Trainer, training: Training, steps: int, reward: float = -1.0) -> Training:
    """After some steps in which hardly anything happened."""
    for i in range(steps):
        there = State(HERE.q + np.float32(0.01 * i), HERE.qd)
        action = np.asarray(trainer.explore(training, there))
        outcome = Outcome(HERE, reward * (1 + i), False, False)
        training = recorded(trainer, training, there, action, outcome)
    return training


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(small_config(collect={"random_steps": 6, "hold": 3}, steps=20))


@pytest.fixture(scope="module")
def untrained(trainer: Trainer) -> Training:
    return trainer.init()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"task": {**dataclasses.asdict(get_task("pendulum")), "terminates": True}},
        {"model": {"name": "mlp"}},
        {"learner": {"name": "ekf"}, "agent": {"posterior": {"samples": 4}}},
        {"learner": {"name": "enkf"}},
        {"agent": {"name": "dyna"}},
        {"agent": {"name": "dyna", "dyna": {"algorithm": "sac", "ratio": 0.0}}},
        {"agent": {"generation": 2}},
    ],
    ids=["default", "ends", "mlp", "ekf", "enkf", "td3", "sac", "generations"],
)
def test_what_is_learned_keeps_its_types_so_that_each_program_is_compiled_once(
    changes: dict[str, Any],
) -> None:
    def signature(training: Training) -> dict[str, tuple[Any, ...]]:
        leaves = jax.tree_util.tree_leaves_with_path(training)
        return {
            jax.tree_util.keystr(path): (x.shape, x.dtype, x.weak_type)
            for path, x in leaves
            if isinstance(x, jax.ShapeDtypeStruct)
        }

    trainer = Trainer(small_config(**changes))
    chunk = jnp.asarray(0)
    programs: dict[str, Callable[[Training], Any]] = {
        "begin_fit": trainer.begin_fit,
        "fit": lambda training: trainer.fit(training, chunk, 1)[0],
        "behave": lambda training: trainer.behave(training, chunk, 1)[0],
    }
    if trainer.config.generations > 1:
        programs["choose"] = lambda training: trainer.choose(training)[0]
    first = eqx.filter_eval_shape(trainer.init)
    assert len(signature(first)) > 50
    for name, program in programs.items():
        assert signature(eqx.filter_eval_shape(program, first)) == signature(first), name


def test_everything_learned_of_a_chain_sees_the_directions_of_its_links() -> None:
    def inputs(chain: bool) -> list[int]:
        task = dataclasses.replace(get_task("acro3bot"), chain=chain)
        training = eqx.filter_eval_shape(
            Trainer(small_config(task=dataclasses.asdict(task))).init
        )
        assert isinstance(training.transition, SolvedTransition)
        field, behaviour = training.transition.field, training.behaviour
        assert isinstance(field, LagrangianField)
        body = field.system.lagrangian
        networks = (
            body.factor_network,
            body.potential_network,
            training.reward.network,
            behaviour.policy.network,
            behaviour.critics[0].network,
        )
        return [network.layers[0].weight.shape[1] for network in networks]

    assert get_task("acro3bot").chain
    more = np.subtract(inputs(True), inputs(False))
    # Cosine and sine of three sums; the reward sees them of two states.
    np.testing.assert_array_equal(more, [6, 6, 12, 6, 6])


def test_no_two_draws_share_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of everything that a run draws: weights, actions, noise, batches, starts."""
    used: list[tuple[str, tuple[int, ...]]] = []

    def spied(name: str) -> Callable[..., Any]:
        draw = getattr(jax.random, name)

        def noting(key: Any, *args: Any, **kwargs: Any) -> Any:
            used.append((name, tuple(np.asarray(jax.random.key_data(key)).tolist())))
            return draw(key, *args, **kwargs)

        return noting

    for name in ("normal", "uniform", "randint", "bernoulli", "permutation"):
        monkeypatch.setattr(jax.random, name, spied(name))
    config = small_config(
        steps=4,
        learner={"updates": 2, "batch": 2},
        agent={
            "updates": 2,
            "batch": 4,
            "horizon": 1,
            "hidden": [2],
            "critics": 2,
            # Promising states are drawn in a loop of their own, from a key of their own.
            "uniform_starts": 0.75,
            "promising_starts": 0.0,
            "initial_starts": 0.25,
        },
        model={"hidden": [2]},
        reward={"hidden": [2]},
        solver={"name": "euler"},
        # Those of a stretch share theirs, that being what a stretch is.
        collect={"random_steps": 2, "train_every": 2, "random_stretches": 0.0},
    )
    trainer = Trainer(config)
    with jax.disable_jit():  # so that every draw is seen, with its key
        training = trainer.init()
        weights = len(used)
        for chunks in (2, 1):
            training = lived(trainer, training, 2)
            training = trainer.begin_fit(training)
            for chunk in range(chunks):
                training, _ = trainer.fit(training, jnp.asarray(chunk), 1)
                training, _ = trainer.behave(training, jnp.asarray(chunk), 1)
    # Three updates of each part and four actions: a batch for dynamics and one for reward;
    # replayed and uniform starts, which rollouts take them and in which order, the policy's
    # noise and states for the scale of rewards for the agent; and for an action both kinds
    # of it, of which one is used.
    assert len(used) - weights == 3 * 2 + 3 * 7 + 4 * 2
    keys = [key for _, key in used]
    shared = {what for what in used if keys.count(what[1]) > 1}
    assert not shared


def test_actions_are_random_at_first_and_held(trainer: Trainer, untrained: Training) -> None:
    """`random_steps` is 6 and `hold` 3."""
    training, actions = untrained, []
    for _ in range(10):
        actions.append(float(trainer.explore(training, HERE)[0]))
        training = lived(trainer, training, 1)
    assert actions[0] == actions[1] == actions[2] != actions[3]
    assert actions[3] == actions[4] == actions[5] != actions[6]
    assert len(set(actions[6:])) == 4, "the policy's noise is new at every step"
    # A training in between does not let go.
    trained = eqx.tree_at(lambda t: t.trainings, untrained, jnp.asarray(1))
    assert float(trainer.explore(trained, HERE)[0]) == actions[0]


def test_random_actions_fill_the_range() -> None:
    config = small_config(steps=400, collect={"random_steps": 400, "hold": 1})
    trainer = Trainer(config)
    training = trainer.init()
    many = jax.vmap(lambda step: trainer.explore(training_at(training, step), HERE))(
        jnp.arange(400)
    )
    assert np.all(np.abs(many) <= 1)
    assert abs(np.mean(many)) < 0.15
    assert np.std(many) == pytest.approx(1 / np.sqrt(3), abs=0.06)


def test_stretches_of_ten_actions_are_random_each_for_five() -> None:
    def acted(stretches: float) -> np.ndarray:
        collect = {"random_steps": 0, "random_stretches": stretches}
        trainer = Trainer(small_config(steps=2000, collect=collect))
        training = trainer.init()
        at = jax.vmap(lambda step: trainer.explore(training_at(training, step), HERE))
        return np.asarray(at(jnp.arange(2000)))[:, 0]

    pairs = acted(1.0).reshape(-1, 5)
    assert np.all(pairs == pairs[:, :1])
    assert np.std(pairs[:, 0]) == pytest.approx(1 / np.sqrt(3), abs=0.06)
    some, none = acted(0.25).reshape(-1, 10), acted(0.0).reshape(-1, 10)
    random = np.all(some[:, 1:5] == some[:, :1], axis=1)
    assert np.mean(random) == pytest.approx(0.25, abs=0.1)
    np.testing.assert_array_equal(some[~random], none[~random])


def test_only_the_agent_that_imagines_explores_in_stretches() -> None:
    assert small_config().random_stretches > 0
    assert small_config(agent={"name": "dyna"}).random_stretches == 0
    assert small_config(collect={"random_stretches": 0.5}).random_stretches == 0.5


def training_at(training: Training, step: Any) -> Training:
    return eqx.tree_at(lambda t: (t.env_steps, t.actions), training, (step, step))


def test_acting_is_the_policy_s_mode_and_needs_no_luck(
    trainer: Trainer, untrained: Training
) -> None:
    states = State(
        np.linspace(-3, 3, 5, dtype=np.float32)[:, None], np.zeros((5, 1), np.float32)
    )
    actions = trainer.act(untrained, states)
    assert actions.shape == (5, 1)
    for i in range(5):
        alone = State(jnp.asarray(states.q[i]), jnp.asarray(states.qd[i]))
        mode = untrained.behaviour.policy.mode(alone)
        np.testing.assert_allclose(actions[i], mode, rtol=1e-5)
    np.testing.assert_array_equal(actions, trainer.act(lived(trainer, untrained, 3), states))


def test_what_happened_is_recorded(trainer: Trainer, untrained: Training) -> None:
    action = np.asarray([0.25], np.float32)
    there = State(np.asarray([1.0], np.float32), np.asarray([2.0], np.float32))
    training = recorded(trainer, untrained, HERE, action, Outcome(there, -3.5, True, False))
    training = trainer.end_episode(training)
    training = recorded(trainer, training, there, -action, Outcome(HERE, -1.5, False, True))
    stored = jax.tree.map(lambda x: np.asarray(x[:2]), training.buffer.experience)
    np.testing.assert_array_equal(stored.state.q, [HERE.q, there.q])
    np.testing.assert_array_equal(stored.state.qd, [HERE.qd, there.qd])
    np.testing.assert_array_equal(stored.action, [[0.25], [-0.25]])
    np.testing.assert_array_equal(stored.reward, [-3.5, -1.5])
    np.testing.assert_array_equal(stored.next_state.q, [there.q, HERE.q])
    # Running out of time is no end: the value of what follows counts.
    np.testing.assert_array_equal(stored.terminated, [True, False])
    np.testing.assert_array_equal(training.buffer.episode[:3], [0, 1, -1])
    assert (int(training.env_steps), int(training.episodes), int(training.rounds)) == (2, 1, 0)
    assert int(trainer.end_round(training).rounds) == 1


def test_a_fit_begins_with_the_data_s_reward_and_fresh_learners(
    trainer: Trainer, untrained: Training
) -> None:
    training = lived(trainer, untrained, 4, reward=-2.0)  # -2, -4, -6, -8
    begun = trainer.begin_fit(training)
    assert float(begun.reward.location) == pytest.approx(-5)
    assert float(begun.reward.scale) == pytest.approx(np.sqrt(5), rel=1e-3)
    assert int(begun.trainings) == int(training.trainings) + 1
    for state in (begun.transition_state, begun.reward_state):
        of_optimiser, decay = state.optimiser
        assert not np.any(jax.tree.leaves(jax.tree.map(np.any, of_optimiser)))
        assert int(decay.updates) == 0


def test_good_rewards_later_on_do_not_make_states_without_data_look_better(
    trainer: Trainer, untrained: Training
) -> None:
    begun = trainer.begin_fit(lived(trainer, untrained, 2, reward=-2.0))
    assert float(begun.reward.location) == pytest.approx(-3)
    assert float(begun.reward.scale) == pytest.approx(1)
    better = trainer.begin_fit(lived(trainer, begun, 18, reward=-1e-4))
    assert float(better.reward.location) == float(begun.reward.location)
    assert float(better.reward.scale) == float(begun.reward.scale)
    # Rewards that vary more than ever before are another matter.
    larger = trainer.begin_fit(lived(trainer, begun, 2, reward=-100.0))
    assert float(larger.reward.location) == float(begun.reward.location)
    assert float(larger.reward.scale) == pytest.approx(np.std([2, 4, 100, 200]), rel=1e-3)


def test_decay_falls_over_the_run_and_is_the_models_own() -> None:
    learner: dict[str, Any] = {"decay": 0.2, "decay_until": 1.0}
    trainer = Trainer(small_config(learner=learner, reward={"decay": 0.4}, steps=100))
    left = [float(trainer.decay(jnp.asarray(i))) for i in range(11)]
    wave = [0.5 + 0.5 * np.cos(np.pi * i / 10) for i in range(11)]
    np.testing.assert_allclose(left, wave, atol=1e-6)
    begun = trainer.begin_fit(lived(trainer, trainer.init(), 8))
    begun = trainer.begin_fit(begun)
    for state, most in ((begun.transition_state, 0.2), (begun.reward_state, 0.4)):
        assert float(state.optimiser[-1].strength) == pytest.approx(most * wave[1])
    # Or over the first part of it alone, five trainings at least.
    for until, last in ((0.6, 6), (0.4, 5)):
        learner["decay_until"] = until
        trainer = Trainer(small_config(learner=learner, steps=100))
        left = [float(trainer.decay(jnp.asarray(i))) for i in range(11)]
        wave = [0.5 + 0.5 * np.cos(np.pi * min(i, last) / last) for i in range(11)]
        np.testing.assert_allclose(left, wave, atol=1e-6)


def test_dyna_s_models_are_as_they_were_before_decay_unless_told_otherwise() -> None:
    for name, usual in (("imagination", (0.1, 0.3, "tanh")), ("dyna", (0.0, 0.0, "softplus"))):
        config = Trainer(small_config(agent={"name": name})).config
        reward = config.reward
        assert (config.learner.decay, reward.decay, reward.activation) == usual
    given = {"decay": 0.2, "activation": "silu"}
    told = Trainer(small_config(agent={"name": "dyna"}, reward=given)).config
    assert (told.reward.decay, told.reward.activation) == (0.2, "silu")


def test_what_entropy_is_worth_falls_from_the_first_training_to_the_last() -> None:
    """Half a cosine over the run's ten trainings, were there one more."""
    agent = {"entropy": 0.2, "entropy_end": 0.25, "entropy_until": 1.0}
    trainer = Trainer(small_config(steps=100, agent=agent))
    worth = [float(trainer.entropy(jnp.asarray(i))) for i in range(1, 12)]
    wave = [0.125 + 0.075 * np.cos(np.pi * i / 10) for i in range(11)]
    np.testing.assert_allclose(worth, wave, rtol=1e-6)
    # Or over the first of them alone, five at least.
    for until, last in ((0.6, 6), (0.4, 5), (0.1, 5)):
        agent["entropy_until"] = until
        trainer = Trainer(small_config(steps=100, agent=agent))
        worth = [float(trainer.entropy(jnp.asarray(i))) for i in range(1, 12)]
        wave = [0.125 + 0.075 * np.cos(np.pi * min(i, last) / last) for i in range(11)]
        np.testing.assert_allclose(worth, wave, rtol=1e-6)


def test_a_filter_learns_dynamics_and_reward() -> None:
    learner = {"name": "ekf", "updates": 40, "batch": 8}
    trainer = Trainer(small_config(collect={"random_steps": 12, "hold": 3}, learner=learner))
    training = lived(trainer, trainer.init(), 12)
    training = trainer.begin_fit(training)
    chunk = jnp.asarray(0)
    before, first = trainer.fit(training, chunk, 4)
    after, last = trainer.fit(before, chunk + 1, 36)
    for loss in ("model_loss", "reward_loss"):
        assert float(last[loss]) < float(first[loss])
    assert float(last["model_skipped"]) == 0
    # The next training begins with the prior again, on what has been learned.
    again = trainer.begin_fit(after)
    fresh, used = again.transition_state, after.transition_state
    assert float(fresh.updates) == 0
    assert float(used.updates) == 40
    assert float(jnp.max(fresh.belief.blocks[0])) == 1


def test_members_of_an_ensemble_are_as_random_as_the_run() -> None:
    trainer = Trainer(small_config(learner={"name": "enkf"}))

    def members(seed: int) -> np.ndarray:
        return np.asarray(trainer.first(jnp.asarray(seed, jnp.uint32)).transition_state.belief)

    np.testing.assert_array_equal(members(3), members(3))
    assert not np.any(np.isclose(members(0), members(1), atol=1e-6))


@pytest.mark.parametrize(
    "agent",
    [{}, {"name": "dyna"}, {"name": "dyna", "dyna": {"ratio": 0.0}}],
    ids=["imagination", "td3", "model-free"],
)
def test_a_reward_that_is_given_is_what_an_agent_learns_from_whatever_was_paid(
    agent: dict[str, Any],
) -> None:
    def pays(state: State, action: Array, following: State) -> Scalar:
        return -jnp.sum(action**2)

    def learned(paid: float) -> tuple[Training, dict[str, Any]]:
        trainer = Trainer(small_config(agent=agent), pays)
        training = trainer.begin_fit(lived(trainer, trainer.init(), 6, reward=paid))
        return trainer.behave(training, jnp.asarray(0), 6)

    (little, metrics), (much, _) = (learned(paid) for paid in (-1.0, 1e3))
    assert metrics["agent_skipped"] == 0
    for one, other in zip(*map(jax.tree.leaves, (little.policy, much.policy)), strict=True):
        if eqx.is_array(one):
            np.testing.assert_array_equal(one, other)


def test_a_covariance_that_would_not_fit_is_refused_before_it_is_made() -> None:
    config = small_config(learner={"name": "ekf"}, reward={"hidden": [900, 900]})
    with pytest.raises(UserError, match="`reward.hidden` was .900, 900., which makes 8"):
        Trainer(config).init()
    blocks = small_config(learner={"name": "ekf-block"}, reward={"hidden": [16, 16]})
    Trainer(blocks).init()


def test_targets_and_ends_are_learned_with_and_the_dynamics_see_neither() -> None:
    """A pendulum whose target lies elsewhere in each episode, which ends beyond 1."""
    pendulum = small_config().task
    task = dataclasses.replace(pendulum, context=(0, 1), context_range=0.5, terminates=True)
    config = small_config(learner={"updates": 400, "batch": 8})
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
    training = trainer.begin_fit(training)
    losses = []
    for chunk in range(2):
        training, metrics = trainer.fit(training, jnp.asarray(chunk), 200)
        losses.append(float(metrics["termination_loss"]))
        assert not any(
            metrics[f"{part}_skipped"] for part in ("model", "reward", "termination")
        )
    assert losses[1] < losses[0] < 0.7
    lost, alive = (State(jnp.asarray([q, 0.1, 0.0]), jnp.asarray(qd)) for q in (1.5, 0.2))
    assert training.termination(lost) > 0.5 > training.termination(alive)
    before = training.behaviour
    training, metrics = trainer.behave(training, jnp.asarray(0), 2)
    assert float(metrics["agent_skipped"]) == 0
    # Once nothing is alive at any start, there is nothing to learn from.
    dead = eqx.tree_at(
        lambda t: (t.termination.network.layers[-1].bias, t.behaviour),
        training,
        (jnp.full(1, 1e6), before),
    )
    _, metrics = trainer.behave(dead, jnp.asarray(0), 2)
    assert float(metrics["imagined_reward"]) == 0
    field = training.transition.field
    assert isinstance(field, LagrangianField)
    assert field.system.lagrangian.mass_factor(jnp.zeros(1)).shape == (1, 1)
    targets = np.asarray([[0.2, 0.1, -0.2], [0.2, 0.5, 0.2]], np.float32)
    actions = trainer.act(training, State(targets, np.stack([qd, qd])))
    assert abs(float(actions[0, 0] - actions[1, 0])) > 1e-4


def test_rollouts_begin_where_much_is_paid_and_nothing_is_over() -> None:
    """A known reward that is best at 1; but episodes end beyond 0.5, in one of the cases."""
    agent = {
        "uniform_starts": 0.25,
        "promising_starts": 0.5,
        "initial_starts": 0.25,
        "batch": 8,
        "restart": 1.0,
    }
    trainer = Trainer(
        small_config(agent=agent), reward=lambda state, action, _: -((state.q[0] - 1) ** 2)
    )
    training = lived(trainer, trainer.init(), 4)
    promising = trainer._promising(training, jnp.asarray(0))
    assert np.median(np.abs(np.asarray(promising.q) - 1)) < 0.1
    ending = dataclasses.replace(training, termination=BoundTermination((0.5,)))
    alive = trainer._promising(ending, jnp.asarray(0))
    assert np.abs(np.asarray(alive.q)).max() <= 0.5
    assert np.median(np.asarray(alive.q)) > 0.4
    training, metrics = trainer.behave(training, jnp.asarray(0), 2)
    assert float(metrics["agent_skipped"]) == 0


def begins_only(kind: str) -> Config:
    """A run in which every rollout begins anew in each update, and all in one kind of state."""
    nowhere = {"uniform_starts": 0.0, "promising_starts": 0.0, "initial_starts": 0.0}
    return small_config(agent={**nowhere, kind: 1.0, "batch": 8, "restart": 1.0})


def test_rollouts_begin_where_pushes_lead_to_from_where_episodes_began() -> None:
    trainer = Trainer(begins_only("pushed_starts"))
    training = lived(trainer, trainer.init(), 4)
    pushed = trainer._pushed(training, jnp.asarray(0))
    began = np.asarray(training.buffer.experience.state.q)[np.asarray(training.buffer.first)]
    assert len(began) == 1
    # One in sixty stays there, the others go their ways, differently before other updates.
    away = np.abs(np.asarray(pushed.q) - began).max(axis=-1) > 1e-6
    assert 0.9 < away.mean() < 1
    assert len(np.unique(np.asarray(pushed.q)[away])) > 0.9 * away.sum()
    again = trainer._pushed(training, jnp.asarray(1))
    assert not np.array_equal(pushed.q, again.q)
    _, metrics = trainer.behave(training, jnp.asarray(0), 2)
    assert float(metrics["agent_skipped"]) == 0


def test_rollouts_begin_along_plans_that_get_better() -> None:
    trainer = Trainer(begins_only("planned_starts"))
    # Nobody has begun anywhere yet, and the plans are not to be of that.
    training = trainer.begin_fit(lived(trainer, trainer.init(), 4))
    training, metrics = trainer.behave(training, jnp.asarray(0), 2)
    assert float(metrics["agent_skipped"]) == 0
    plans = training.plans
    assert plans is not None
    began = np.asarray(training.buffer.experience.state.q)[np.asarray(training.buffer.first)]
    assert len(began) == 1
    np.testing.assert_array_equal(plans.starts.q, np.broadcast_to(began, plans.starts.q.shape))
    # The model does not change, so what is best becomes no worse, and in time better.
    elite = slice(-trainer.planner.levels[-1], None)
    worth = [np.asarray(plans.worth)[elite]]
    for chunk in range(1, 4):
        training, _ = trainer.behave(training, jnp.asarray(chunk), 2)
        assert training.plans is not None
        worth.append(np.asarray(training.plans.worth)[elite])
        assert worth[-1].min() >= worth[-2].min() - 1e-4
    assert worth[-1].min() > worth[0].min()
    # Where rollouts begin is along them.
    states = trainer._planned(training)
    assert states.q.shape[0] == trainer.planner.levels[-1] * (trainer.planner.actions + 1)


def test_more_beginnings_than_all_are_refused() -> None:
    given = (
        "`uniform_starts` 0.75, `promising_starts` 0.5, `initial_starts` 0.5, "
        "`pushed_starts` 0, `planned_starts` 0; at most 1"
    )
    with pytest.raises(UserError, match=given):
        small_config(agent={"uniform_starts": 0.75, "promising_starts": 0.5})


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
def test_beginnings_of_every_kind_fit_in_a_batch(batch: int) -> None:
    fractions = {
        "uniform_starts": 0.25,
        "promising_starts": 0.25,
        "initial_starts": 0.25,
        "pushed_starts": 0.125,
        "planned_starts": 0.125,
    }
    kinds = AgentConfig(batch=batch, **fractions).starts
    assert sum(kinds.values()) <= batch
    assert min(kinds.values()) >= 0
    if batch == 64:
        starts = {"promising": 16, "initial": 16, "uniform": 16, "pushed": 8, "planned": 8}
        assert kinds == starts

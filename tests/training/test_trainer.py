"""The compiled programs of a training run."""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Scalar

from lagdyna import UserError
from lagdyna.agents import ImaginationState
from lagdyna.config import given
from lagdyna.mechanics import State
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.tasks import Outcome, get_task
from lagdyna.tasks.suite._world_model import SuiteReward
from lagdyna.training import Trainer, TrainingState

from ..small import DYNA, MLP, REPLAYED, recorded, small_config
from .experience import HERE, explored

MODEL_FREE = {
    "agent": {"name": "dyna", "ratio": 0.0, "updates": 1, "algorithm": {"hidden": [8]}},
    **dict.fromkeys(("model", "learner", "reward")),
}


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(small_config(model=MLP, collect={"random_steps": 6, "hold": 3}, steps=20))


@pytest.fixture(scope="module")
def untrained(trainer: Trainer) -> TrainingState:
    return trainer.init()


@pytest.mark.parametrize(
    ("changes", "restarts"),
    [
        ({}, False),
        ({"learner": {"name": "ekf"}, "agent": {"posterior": {"samples": 4}}}, False),
        ({"model": MLP, "learner": {"name": "enkf"}}, False),
        ({"agent": DYNA}, False),
        (
            MODEL_FREE
            | {"agent": {"name": "dyna", "ratio": 0.0, "algorithm": {"name": "sac"}}},
            False,
        ),
        (
            {
                "task": {**dataclasses.asdict(get_task("pendulum")), "terminates": True},
                "agent": {"restart_interval": 2},
            },
            True,
        ),
    ],
    ids=["default", "ekf", "mlp-enkf", "td3", "sac", "terminating-restarts"],
)
def test_states_keep_their_types(changes: dict[str, Any], restarts: bool) -> None:
    """So that a run compiles each program once."""
    check_types(changes, restarts)


def test_states_are_in_double_precision_throughout(x64: None) -> None:
    for leaf in check_types({}, restarts=False).values():
        assert leaf[1] != jnp.float32


def check_types(changes: dict[str, Any], restarts: bool) -> dict[str, tuple[Any, ...]]:
    """Assert that all programs return the types they take, and return these."""

    def signature(training: TrainingState) -> dict[str, tuple[Any, ...]]:
        leaves = jax.tree_util.tree_leaves_with_path(training)
        return {
            jax.tree_util.keystr(path): (x.shape, x.dtype, x.weak_type)
            for path, x in leaves
            if isinstance(x, jax.ShapeDtypeStruct)
        }

    trainer = Trainer(small_config(**changes))
    chunk = jnp.asarray(0)
    programs: dict[str, Callable[[TrainingState], Any]] = {
        "begin_phase": trainer.begin_phase,
        "improve": lambda training: trainer.improve(training, chunk, 1)[0],
        "end_phase": lambda training: trainer.end_phase(training)[0],
    }
    if trainer.model_learner is not None:
        programs["fit"] = lambda training: trainer.fit(training, chunk, 1)[0]
    first = eqx.filter_eval_shape(trainer.init)
    assert len(signature(first)) > 50
    assert not restarts or isinstance(first.agent, ImaginationState)
    assert restarts == (getattr(first.agent, "pool", None) is not None)
    for name, program in programs.items():
        assert signature(eqx.filter_eval_shape(program, first)) == signature(first), name
    return signature(first)


def test_networks_of_a_chain_take_the_directions_of_its_links() -> None:
    def inputs(chain: bool) -> list[int]:
        task = dataclasses.replace(get_task("acro3bot"), chain=chain)
        training = eqx.filter_eval_shape(
            Trainer(small_config(task=dataclasses.asdict(task))).init
        )
        world, agent = given(training.world), training.agent
        assert isinstance(world.transition, SolvedTransition)
        assert isinstance(world.transition.field, LagrangianField)
        body: Any = world.transition.field.system.lagrangian
        networks = (
            body.factor_network,
            body.potential_network,
            world.reward.network,
            agent.actor_critic.policy.network,
            agent.actor_critic.critics[0].network,
        )
        return [network.layers[0].weight.shape[1] for network in networks]

    assert get_task("acro3bot").chain
    more = np.subtract(inputs(True), inputs(False))
    # Cosine and sine of three sums; the reward takes those of two states.
    np.testing.assert_array_equal(more, [6, 6, 12, 6, 6])


def test_no_two_draws_share_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, actions, noise, batches and starts: everything that a run draws."""
    used: list[tuple[str, tuple[int, ...]]] = []

    def spied(name: str) -> Callable[..., Any]:
        draw = getattr(jax.random, name)

        def noting(key: Any, *args: Any, **kwargs: Any) -> Any:
            # A callback, so that programs note each draw that they make, in loops too.
            data = jax.random.key_data(key)
            jax.debug.callback(lambda x: used.append((name, tuple(x.tolist()))), data)
            return draw(key, *args, **kwargs)

        return noting

    for name in ("normal", "uniform", "randint", "bernoulli", "permutation"):
        monkeypatch.setattr(jax.random, name, spied(name))
    options: dict[str, Any] = {
        "steps": 4,
        "learner": {"updates": 2, "batch": 2},
        "agent": {
            "updates": 2,
            "batch": 8,
            "horizon": 1,
            "hidden": [2],
            "critics": 2,
            # High-reward states are drawn in a loop of their own, from a key of their own.
            "uniform_starts": 0.5,
            "high_reward_starts": 0.0,
            "initial_starts": 0.25,
        },
        "reward": {"hidden": [2]},
        # The actions of a random stretch share a key by design.
        "collect": {"random_steps": 2, "train_every": 2, "random_stretches": 0.0},
    }

    def shared() -> set[tuple[str, tuple[int, ...]]]:
        jax.effects_barrier()
        times = collections.Counter(key for _, key in used)
        return {what for what in used if times[what[1]] > 1}

    # No other test has these sizes, and so programs without the callbacks.
    Trainer(small_config(**options)).first(jnp.asarray(0, jnp.uint32))
    assert not shared()
    assert used
    used.clear()
    # Phases draw the same for every model, and a network compiles fastest.
    trainer = Trainer(small_config(model={"name": "mlp", "hidden": [2]}, **options))
    training = trainer.first(jnp.asarray(0, jnp.uint32))
    jax.effects_barrier()
    weights = len(used)
    for chunks in (2, 1):
        training = explored(trainer, training, 2)
        training = trainer.begin_phase(training)
        for chunk in range(chunks):
            training, _ = trainer.fit(training, jnp.asarray(chunk), 1)
            training, _ = trainer.improve(training, jnp.asarray(chunk), 1)
    jax.effects_barrier()
    # There are three updates of each part and four actions. An update of the world model draws
    # a batch for the dynamics and one for the reward. An update of the agent draws replayed,
    # initial and uniform starts, the rollouts that take them and their order, the policy's
    # noise, and states for the scale of the reward. An action is drawn at random and from the
    # policy, and one of the two is used.
    assert len(used) - weights == 3 * 2 + 3 * 7 + 4 * 2
    assert not shared()


def test_first_actions_are_random_and_held(trainer: Trainer, untrained: TrainingState) -> None:
    """`random_steps` is 6 and `hold` 3; `tests/agents/test_exploration.py` has the rest."""
    training, actions = untrained, []
    for _ in range(10):
        actions.append(float(trainer.explore(training, HERE)[0]))
        training = explored(trainer, training, 1)
    assert actions[0] == actions[1] == actions[2] != actions[3]
    assert actions[3] == actions[4] == actions[5] != actions[6]
    assert len(set(actions[6:])) == 4, "the noise of the policy is new in every step"
    # A training phase in between does not change a held action.
    trained = eqx.tree_at(lambda t: t.phases, untrained, jnp.asarray(1))
    assert float(trainer.explore(trained, HERE)[0]) == actions[0]


@pytest.mark.parametrize(
    ("changes", "fraction"),
    [({}, 0.25), ({"agent": DYNA}, 0), ({"collect": {"random_stretches": 0.5}}, 0.5)],
    ids=["imagination", "dyna", "given"],
)
def test_the_agent_determines_the_random_stretches(
    changes: dict[str, Any], fraction: float
) -> None:
    assert Trainer(small_config(**changes)).exploration.random_fraction == fraction


def test_a_sparse_reward_is_explored_without_random_stretches() -> None:
    config = small_config(collect={"random_steps": 0, "random_stretches": 1.0})
    sparse = dataclasses.replace(
        config, task=dataclasses.replace(config.task, sparse_reward=True)
    )
    usual, seeker = Trainer(config), Trainer(sparse)
    assert (usual.seeks_new_states, seeker.seeks_new_states) == (False, True)
    training = seeker.first(jnp.asarray(0, jnp.uint32))
    rewards = jnp.arange(float(training.buffer.capacity))
    met = eqx.tree_at(
        lambda t: (t.buffer.experience.reward, t.buffer.added),
        training,
        (rewards, jnp.asarray(len(rewards))),
    )
    # A random action depends on the number of the action alone, not on the state.
    elsewhere = State(HERE.q + 1, HERE.qd)
    alike, after = (
        [float(seeker.explore(each, state)[0]) for state in (HERE, elsewhere)]
        for each in (training, met)
    )
    assert alike[0] != alike[1]
    assert after[0] == after[1]


def test_acting_is_the_mode_of_the_policy(trainer: Trainer, untrained: TrainingState) -> None:
    states = State(
        np.linspace(-3, 3, 5, dtype=np.float32)[:, None], np.zeros((5, 1), np.float32)
    )
    actions = trainer.act(untrained, states)
    assert actions.shape == (5, 1)
    mode = eqx.filter_jit(lambda policy, state: policy.mode(state))
    for i in range(5):
        alone = jax.device_put(State(states.q[i], states.qd[i]))
        np.testing.assert_allclose(
            np.asarray(actions)[i], mode(untrained.policy, alone), rtol=1e-5
        )
    later = trainer.act(explored(trainer, untrained, 3), states)
    np.testing.assert_array_equal(actions, later)


def test_a_run_that_keeps_its_best_policy_explores_with_the_newest() -> None:
    agent = {**REPLAYED, "keep_best_from": 0.5}
    collect = {"random_steps": 0, "random_stretches": 0.0}
    trainer = Trainer(small_config(model=MLP, agent=agent, collect=collect))
    training = trainer.init()
    states = State(HERE.q[None], HERE.qd[None])

    def actions(bias: Callable[[TrainingState], Array]) -> list[Array]:
        broken = eqx.tree_at(bias, training, jnp.full_like(bias(training), jnp.nan))
        return [trainer.act(broken, states), trainer.explore(broken, HERE)]

    acting, exploring = actions(lambda t: t.agent.pool.best.network.layers[-1].bias)  # pyright: ignore
    assert np.isnan(acting).all()
    assert np.isfinite(exploring).all()
    acting, exploring = actions(lambda t: t.agent.actor_critic.policy.network.layers[-1].bias)  # pyright: ignore
    assert np.isfinite(acting).all()
    assert np.isnan(exploring).all()


def test_transitions_are_stored(trainer: Trainer, untrained: TrainingState) -> None:
    action = np.asarray([0.25], np.float32)
    there = State(np.asarray([1.0], np.float32), np.asarray([2.0], np.float32))
    training = recorded(trainer, untrained, HERE, action, Outcome(there, -3.5, True, False))
    training = trainer.end_episode(training)
    training = recorded(trainer, training, there, -action, Outcome(HERE, -1.5, False, True))
    stored = jax.tree.map(lambda x: np.asarray(x)[:2], training.buffer.experience)
    np.testing.assert_array_equal(stored.state.q, [HERE.q, there.q])
    np.testing.assert_array_equal(stored.state.qd, [HERE.qd, there.qd])
    np.testing.assert_array_equal(stored.action, [[0.25], [-0.25]])
    np.testing.assert_array_equal(stored.reward, [-3.5, -1.5])
    np.testing.assert_array_equal(stored.next_state.q, [there.q, HERE.q])
    # A truncated episode has not terminated: the value of its last state counts.
    np.testing.assert_array_equal(stored.terminated, [True, False])
    np.testing.assert_array_equal(np.asarray(training.buffer.episode)[:3], [0, 1, -1])
    assert (int(training.env_steps), int(training.episodes), int(training.rounds)) == (2, 1, 0)
    assert int(trainer.end_round(training).rounds) == 1


@pytest.mark.parametrize(
    "changes",
    [{"model": MLP}, {"model": MLP, "agent": DYNA}, MODEL_FREE],
    ids=["imagination", "td3", "model-free"],
)
def test_an_agent_learns_from_a_given_reward_and_not_from_the_observed(
    changes: dict[str, Any],
) -> None:
    def known(state: State, action: Array, next_state: State) -> Scalar:
        return -jnp.sum(action**2)

    def learned(observed: float) -> tuple[TrainingState, dict[str, Any]]:
        trainer = Trainer(small_config(**changes), known)
        training = explored(trainer, trainer.init(), 6, reward=observed)
        return trainer.improve(trainer.begin_phase(training), jnp.asarray(0), 6)

    (low, metrics), (high, _) = (learned(observed) for observed in (-1.0, 1e3))
    assert metrics["agent_skipped"] == 0
    for one, other in zip(*map(jax.tree.leaves, (low.policy, high.policy)), strict=True):
        if eqx.is_array(one):
            np.testing.assert_array_equal(one, other)


def test_trainers_that_differ_in_the_seed_share_their_programs(
    compilations: Callable[[], int],
) -> None:
    def start(seed: int) -> TrainingState:
        trainer = Trainer(small_config(seed=seed, model=MLP))
        return trainer.begin_phase(trainer.init())

    first = start(1)
    before = compilations()
    second = start(2)
    assert compilations() == before
    weights = [jax.tree.leaves(t.policy)[0] for t in (first, second)]
    assert not np.array_equal(*weights)


def test_the_known_reward_of_an_environment_is_not_learned() -> None:
    config = small_config(task="pilco-cartpole", model=MLP, reward={"known": True})
    trainer = Trainer(config)
    world = given(jax.eval_shape(trainer.init).world)
    assert isinstance(world.reward, SuiteReward)
    assert list(given(trainer.model_learner).weights()) == ["model"]
    with pytest.raises(UserError, match=r"`reward.known` was true.*'Pendulum-v1' gives no"):
        Trainer(small_config(model=MLP, reward={"known": True}))
    with pytest.raises(UserError, match=r"`reward` was given.*`reward.known`"):
        Trainer(config, reward=lambda state, action, next_state: jnp.zeros(()))


def test_a_known_reward_is_not_explored_for() -> None:
    config = small_config()
    sparse = dataclasses.replace(
        config, task=dataclasses.replace(config.task, sparse_reward=True)
    )
    trainer = Trainer(sparse, reward=lambda state, action, next_state: -(state.q[0] ** 2))
    assert not trainer.seeks_new_states

"""Policies that follow each other in a run; who is imagined to do better acts."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.agents import Behaviour, Policy, imagined_return
from lagdyna.experiments import Config, Trainer, Training, load_run, resume, train
from lagdyna.mechanics import State

from .small import small_config
from .test_resume import CONFIG as SHORT
from .test_resume import Phases
from .test_run import records_of, same_run
from .test_trainer import lived

# Six trainings, three generations of two.
CONFIG = small_config(agent={"generation": 2})
# As many trainings in three rounds, two generations of three.
RUN = dataclasses.replace(
    SHORT, agent=dataclasses.replace(SHORT.agent, generation=4, planned_starts=0.125)
)


def pushed(policy: Policy, by: float) -> Policy:
    """The same policy with the mean of its first action moved as far as that."""
    where = lambda p: p.network.layers[-1].bias  # noqa: E731
    return eqx.tree_at(where, policy, where(policy).at[0].add(by))


def stacked(*policies: Policy) -> Policy:
    """As `Generations.best` has them."""
    first, *others = policies
    return jax.tree.map(
        lambda *xs: jnp.stack(xs) if eqx.is_array(xs[0]) else xs[0], first, *others
    )


def placed(training: Training, newest: Policy, best: Policy) -> Training:
    """The same with another policy that learns, and others that were best."""
    where = lambda t: (t.behaviour.policy, t.generations.best)  # noqa: E731
    return eqx.tree_at(where, training, (newest, best))


def bests(training: Training) -> Policy:
    assert training.generations is not None
    return training.generations.best


def same(a: Any, b: Any) -> bool:
    arrays = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (a, b))
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(*arrays, strict=True))


def counted(training: Training, trainings: int) -> Training:
    return eqx.tree_at(lambda t: t.trainings, training, jnp.asarray(trainings))


@given(steps=st.integers(1, 5000), every=st.integers(1, 400), generation=st.integers(1, 60))
def test_generations_are_equal_parts_of_the_run(
    steps: int, every: int, generation: int
) -> None:
    config = small_config(
        steps=steps, agent={"generation": generation}, collect={"train_every": every}
    )
    assert config.trainings <= config.generations * config.generation
    assert (config.generations - 1) * config.generation < config.trainings, "none is empty"
    # Rounded to whole ones, then up to whole trainings.
    off = abs(config.generation - generation)
    assert config.generations == 1 or off <= 0.5 * generation + 1


def test_a_short_run_and_the_other_agent_have_one_generation() -> None:
    short = small_config(agent={"generation": 6})
    other = small_config(agent={"generation": 2, "name": "dyna"})
    for config in (short, other):
        assert config.generations == 1
        training = Trainer(config).init()
        assert training.generations is None
        assert training.policy is training.behaviour.policy


def test_what_a_nat_is_worth_falls_anew_in_each_generation() -> None:
    config = dataclasses.replace(
        CONFIG, steps=400, agent=dataclasses.replace(CONFIG.agent, generation=10)
    )
    trainer = Trainer(config)
    worth = [float(trainer.entropy(jnp.asarray(i))) for i in range(1, 41)]
    assert config.generations == 4
    # Where there are more trainings than the run should have, the last generation lasts.
    assert float(trainer.entropy(jnp.asarray(43))) == worth[-1]
    np.testing.assert_array_equal(worth, 4 * worth[:10])
    assert worth[0] > worth[4] > worth[5] == worth[9]


def test_an_agent_begins_from_nothing_with_a_generation_and_who_acts_goes_on() -> None:
    trainer = Trainer(CONFIG)
    training = lived(trainer, trainer.init(), 8)
    for number in (0, 1, 2, 3, 4, 5, 6, 7, 8):
        moved = pushed(training.behaviour.policy, 0.5)
        training = eqx.tree_at(lambda t: t.behaviour.policy, counted(training, number), moved)
        after = trainer.begin_fit(training)
        assert same(after.policy, training.policy)
        if number in (2, 4):
            assert not same(after.behaviour.policy, moved)
            assert isinstance(after.behaviour, Behaviour)
            assert np.isnan(after.behaviour.going.q).all()
            again = trainer.begin_fit(counted(training, 6 - number)).behaviour
            assert not same(after.behaviour.policy, again.policy), "each begins elsewhere"
        else:
            assert same(after.behaviour, training.behaviour)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_who_is_imagined_to_do_better_acts(sign: float) -> None:
    """A known reward: the action, or the opposite of it."""
    trainer = Trainer(CONFIG, reward=lambda state, action, _: sign * action[0])
    training = counted(lived(trainer, trainer.init(), 8), 4)
    start = training.policy
    assert isinstance(start, Policy)
    more, less = pushed(start, 2.0), pushed(start, -2.0)
    best, worst = (more, less) if sign > 0 else (less, more)

    def chosen(new: Policy, old: Policy) -> tuple[Training, dict[str, float]]:
        """When the second generation is at work, `old` being the best of both so far."""
        before = placed(training, new, stacked(old, old, old))
        after, metrics = trainer.choose(before)
        assert same(after.behaviour, before.behaviour)
        return after, {name: float(value) for name, value in metrics.items()}

    after, metrics = chosen(best, worst)
    assert same(after.policy, best)
    assert metrics["imagined_return"] == metrics["newest_return"] > 0
    kept, others = chosen(worst, best)
    assert same(kept.policy, best)
    assert others["imagined_return"] == metrics["imagined_return"]
    assert others["newest_return"] < 0
    # 250 actions, each worth at most 1.
    assert 0.5 * 250 < metrics["imagined_return"] <= 250
    # Who learns acts where neither is better, and what is no number never does.
    assert same(chosen(best, best)[0].policy, best)
    broken = pushed(best, np.nan)
    assert same(chosen(broken, worst)[0].policy, worst)
    assert same(chosen(worst, broken)[0].policy, worst)
    endless = Trainer(CONFIG, reward=lambda state, action, _: jnp.inf * sign * action[0])
    promised = placed(training, best, stacked(worst, worst, worst))
    promised = endless.choose(eqx.tree_at(lambda t: t.reward, promised, endless.init().reward))
    assert not jnp.isfinite(promised[1]["newest_return"])
    assert same(promised[0].policy, worst), "nor does a promise without bounds"
    # In the first generation, what is newest.
    training = counted(training, 2)
    early, metrics = chosen(worst, best)
    assert same(early.policy, worst)
    assert metrics["imagined_return"] == metrics["newest_return"] < 0
    # Both in what is explored and in what is judged.
    here = State(np.full((1, 1), 0.3, np.float32), np.zeros((1, 1), np.float32))
    action = trainer.act(kept, here)[0]
    assert jnp.sign(action[0]) == sign


def test_an_earlier_generation_acts_again_when_the_model_knows_better() -> None:
    trainer = Trainer(CONFIG, reward=lambda state, action, _: action[0])
    training = counted(lived(trainer, trainer.init(), 8), 3)
    start = training.policy
    assert isinstance(start, Policy)
    good, bad, best = (pushed(start, by) for by in (1.0, -1.0, 3.0))

    def chosen(training: Training, *of_each_generation: Policy) -> Training:
        return trainer.choose(placed(training, bad, stacked(*of_each_generation)))[0]

    after = chosen(training, good, bad, best)
    assert same(after.policy, good), "what stands in the place of the third means nothing"
    # The first training of the second generation leaves its own policy, come what may.
    after = chosen(training, bad, good, best)
    assert same(after.policy, bad)
    assert same(bests(after), stacked(bad, bad, best))
    # The second training leaves the better one.
    after = chosen(counted(training, 4), bad, good, best)
    assert same(after.policy, good)
    assert same(bests(after), stacked(bad, good, best))
    # The last generation has its place too.
    after = chosen(counted(training, 6), bad, good, best)
    assert same(after.policy, best)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generations") / "run"
    train(RUN, out)
    return out


def test_a_run_of_generations_says_what_it_imagines(whole: Path) -> None:
    first, *others = records_of(whole)
    assert RUN.generation == 3
    assert first["imagined_return"] == first["newest_return"]
    assert len(others) == 2
    for record in others:
        assert record["imagined_return"] >= record["newest_return"]
    training = load_run(whole).training
    assert training.generations is not None


def test_a_run_of_generations_goes_on_as_if_it_had_not_stopped(
    whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(RUN, out, progress=Phases(2))  # in the middle of the second generation
    resume(out)
    same_run(whole, out)


def test_what_is_imagined_is_a_sum_over_a_rollout_without_noise(x64: None) -> None:
    trainer = Trainer(
        CONFIG, reward=lambda state, action, following: following.q[0] * action[0]
    )
    training = trainer.init()
    policy, transition = training.policy, training.transition
    assert isinstance(policy, Policy)
    starts = State(jnp.asarray([[0.3], [-2.0]]), jnp.asarray([[0.0], [1.0]]))
    total = 0.0
    for i in range(2):
        state = State(starts.q[i], starts.qd[i])
        for _ in range(7):
            action = policy.mode(state)
            state = transition.step(state, action)
            total += float(state.q[0] * action[0]) / 2
    found = eqx.filter_jit(imagined_return)(policy, transition, training.reward, starts, 7)
    np.testing.assert_allclose(found, total, rtol=1e-6)


def test_config_refuses_a_generation_of_no_training() -> None:
    with pytest.raises(Exception, match="generation"):
        small_config(agent={"generation": 0})
    assert isinstance(CONFIG, Config)


@pytest.mark.parametrize(("within", "paid"), [(1e-5, False), (0.1, True)])
def test_who_acts_is_judged_from_around_where_episodes_began(within: float, paid: bool) -> None:
    """Not from those few states alone; a known reward pays for being so near to them."""
    trainer = Trainer(
        CONFIG, reward=lambda state, action, _: 1.0 * (jnp.abs(state.q[0] - 0.3) < within)
    )
    _, metrics = trainer.choose(lived(trainer, trainer.init(), 2))
    assert (float(metrics["imagined_return"]) > 0.5) == paid

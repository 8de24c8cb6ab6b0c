import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, Scalar, UInt

from ..agents import (
    AbstractPolicy,
    Behaviour,
    Dyna,
    DynaBehaviour,
    ImaginationActorCritic,
    Plans,
    Policy,
    imagined_return,
    mixed_starts,
    promising_states,
    pushed_states,
    uniform_states,
)
from ..data import Experience, ReplayBuffer
from ..learners import (
    AbstractFilter,
    AbstractPosterior,
    AbstractSquaredLoss,
    GradientLearner,
    GradientState,
    MotionResidual,
    MultiStepLoss,
    OneStepLoss,
    PseudoHuberLoss,
    ResidualLoss,
    RewardLoss,
    TerminationLoss,
    learn,
    root_mean_square,
    step_scale,
)
from ..mechanics import MechanicalSystem, State
from ..models import (
    AbstractReward,
    AbstractTermination,
    GivenReward,
    RewardNetwork,
    TerminationNetwork,
)
from ..simulate import (
    AbstractTransition,
    MLPTransition,
    SampledTransition,
    SolvedTransition,
)
from ..tasks import suite_name, suite_task
from ._agents import imagined_limits, make_agent, make_planner
from ._config import Config, is_filter
from ._filters import check_memory, chosen_filter, make_filter
from ._generations import Generations, mapped
from ._held import HoldingLoss, divided
from ._models import known_of, make_reward, make_termination, make_transition
from ._nearby import Nearby
from ._parts import decaying, falling, make_optimiser, with_decay
from ._stepped import SteppedLoss

Metrics = dict[str, Scalar]
RewardFn = Callable[[State, Float[Array, " m"], State], Scalar]


class Live(eqx.Module):
    """Where an environment is that runs inside the compiled program.

    **Attributes:** `state`; `elapsed`, its steps into the episode.
    """

    state: State
    elapsed: Int[Array, ""]


class Training(eqx.Module):
    """Everything that a run has learned and seen: one PyTree, what a checkpoint holds.

    **Attributes:**

    - `transition`, `reward`, `termination`: the model of the world.
    - `transition_state`, `reward_state`, `termination_state`: of their learners.
    - `behaviour`: of the agent, what learns to act.
    - `plans`: sequences of actions where some rollouts are to begin along them, else `None`.
    - `generations`: policies of which one acts, where generations follow each other; else the
        policy of `behaviour` does.
    - `buffer`: the real experience.
    - `live`: the environment, if it runs inside the compiled program.
    - `seed`: of everything random.
    - `rounds`, `episodes`, `env_steps`, `trainings`, `actions`: how many there have been.
    """

    transition: AbstractTransition
    reward: AbstractReward
    termination: AbstractTermination
    transition_state: PyTree
    reward_state: PyTree
    termination_state: PyTree
    behaviour: Behaviour | DynaBehaviour
    plans: Plans | None
    generations: Generations | None
    buffer: ReplayBuffer
    live: Live | None
    seed: UInt[Array, ""]
    rounds: Int[Array, ""]
    episodes: Int[Array, ""]
    env_steps: Int[Array, ""]
    trainings: Int[Array, ""]
    actions: Int[Array, ""]

    @property
    def policy(self) -> AbstractPolicy:
        """Who acts."""
        return self.behaviour.policy if self.generations is None else self.generations.policy


Learner = GradientLearner | AbstractFilter


class Trainer:
    """The parts of a run, built from its config, and the compiled programs that use them.

    Every program takes and gives a [`lagdyna.experiments.Training`][] of the same
    shapes, so each is compiled once, whatever happens between; trainers that differ in
    nothing but the seed share them. Randomness comes from the seed and from how much has
    happened; nothing else needs to be remembered.

    **Arguments:**

    - `config`: the run's.
    - `reward`: a differentiable function of `(state, action, next_state)`, if the reward
        is known; it is learned otherwise.
    """

    def __init__(self, config: Config, reward: RewardFn | None = None):
        self._given_reward = None if reward is None else GivenReward(reward)
        self._known = known_of(config)
        self.config = config = self._completed(config)
        # What the compiled programs depend on. The seed reaches them as an array.
        self._identity = (dataclasses.replace(config, seed=0), self._given_reward)
        self._hash = hash(self._identity)  # every call of a program asks for it
        task = config.task
        self._reach = task.reach
        self._nearby = Nearby.of(config)
        self.suite = suite_name(task)
        learner = config.learner
        self._optimiser = None
        if not is_filter(learner.name):
            rate = falling(learner.rate, learner.updates_or_default)
            optimiser = make_optimiser(learner.name, rate, learner.clip)
            self._optimiser = with_decay(optimiser, rate)
        # A filter takes squared errors; a classifier has none.
        self._classifier = GradientLearner(
            make_optimiser("adam", falling(3e-3, learner.updates_or_default), learner.clip),
            TerminationLoss(),
        )
        self.agent = make_agent(config)
        self.planner = make_planner(config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trainer) and self._identity == other._identity

    def __hash__(self) -> int:
        return self._hash

    def init(self) -> Training:
        """Untrained models and agent, an empty buffer.

        **Raises:** `UserError` if the learner would hold too large a matrix.
        """
        self.check_sizes()
        return self.first(short_seed(self.config.seed))

    def _completed(self, config: Config) -> Config:
        """The config with what it left open of learner, solver and collection filled in."""
        collect = dataclasses.replace(
            config.collect,
            random_steps=config.random_steps,
            random_stretches=config.random_stretches,
            train_every=config.train_every,
            steps_per_round=config.steps_per_round,
        )
        substeps = config.solver.substeps or config.task.substeps
        solver = dataclasses.replace(config.solver, substeps=substeps)
        reward = dataclasses.replace(
            config.reward, activation=config.reward_activation, decay=config.reward_decay
        )
        learner = dataclasses.replace(
            config.learner,
            updates=config.learner.updates_or_default,
            batch=config.learner.batch_or_default,
            decay=config.learner_decay,
            substeps=config.learner.substeps or max(substeps, config.task.repeat),
        )
        if learner.name == "auto":
            name, blocks = chosen_filter([*self._weights(config).values()])
            options = dataclasses.replace(learner.filter, blocks=blocks)
            learner = dataclasses.replace(learner, name=name, filter=options)
        # What the task says of friction is for models that know forces.
        usual = "none" if config.model.discrete else config.task.dissipation
        friction = config.model.dissipation or usual
        model = dataclasses.replace(config.model, dissipation=friction)
        return dataclasses.replace(
            config,
            steps=config.steps_or_default,
            learner=learner,
            solver=solver,
            collect=collect,
            model=model,
            reward=reward,
        )

    def _weights(self, config: Config) -> dict[str, PyTree]:
        """What is learned, by the section of the config that sizes it; shapes alone."""
        key = jax.random.key(0)
        models: dict[str, Callable[[], Any]] = {"model": lambda: make_transition(config, key)}
        if self._given_reward is None:
            models["reward"] = lambda: make_reward(config, key)
        return {
            section: eqx.filter_eval_shape(lambda make=make: _free(make()))
            for section, make in models.items()
        }

    def check_sizes(self) -> None:
        """Refuses a learner that would hold too large a matrix, by a `UserError`."""
        learner = self.config.learner
        if not is_filter(learner.name):
            return
        weights, options = self._weights(self.config), learner.filter
        for section, each in weights.items():
            hidden = getattr(self.config, section).hidden
            check_memory(f"{section}.hidden", learner.name, hidden, [each], options)
        hidden = self.config.model.hidden
        check_memory("model.hidden", learner.name, hidden, [*weights.values()], options)

    @eqx.filter_jit
    def first(self, seed: UInt[Array, ""]) -> Training:
        """What `init` gives, for any seed."""
        config, task = self.config, self.config.task
        key = jax.random.fold_in(jax.random.key(seed), _INIT)
        model_key, reward_key, agent_key = jax.random.split(key, 3)
        transition = make_transition(config, model_key)
        reward = self._given_reward or make_reward(config, reward_key)
        termination = make_termination(config, jax.random.fold_in(reward_key, 0))
        buffer = ReplayBuffer.empty(self._capacity, task.state_coordinates.n, task.action_size)
        transition_learner, reward_learner = self._learners(buffer, transition, reward, seed)
        behaviour = self._behaviour(agent_key)
        plans, generations = None, None
        if isinstance(behaviour, Behaviour) and config.agent.starts["planned"]:
            plans = self._first_plans(agent_key, buffer)
        if isinstance(behaviour, Behaviour) and config.generations > 1:
            generations = Generations.begin(behaviour.policy, config.generations)
        return Training(
            transition,
            reward,
            termination,
            transition_learner.init(_free(transition)),
            reward_learner.init(_free(reward)),
            self._begin_classifier(termination),
            behaviour,
            plans,
            generations,
            buffer,
            self._start(seed),
            seed,
            *(jnp.zeros((), int) for _ in range(5)),
        )

    def _behaviour(self, key: PRNGKeyArray) -> Behaviour | DynaBehaviour:
        if isinstance(self.agent, Dyna):
            return self.agent.init(key, self.config.task.state_coordinates.n)
        return self.agent.init(key, self.config.agent.batch)

    def _first_plans(self, key: PRNGKeyArray, buffer: ReplayBuffer) -> Plans:
        """Random ones, from where the episodes in the buffer began."""
        start_key, key = jax.random.split(key)
        starts = buffer.sample_first(start_key, _POOL).state
        return self.planner.init(key, starts)

    @property
    def _capacity(self) -> int:
        """Of the replay buffer, where the config does not say: enough for everything."""
        config = self.config
        if config.collect.capacity is not None:
            return config.collect.capacity
        # An episode that ends for good may do so with any step, and that one is stored.
        repeat = 1 if self.suite is None else config.task.repeat
        return -(-config.steps_or_default // repeat)

    def _start(self, seed: UInt[Array, ""]) -> Live | None:
        if self.suite is None:
            return None
        zero = jnp.zeros((), int)
        return Live(suite_task(self.suite).reset(self.start_key(seed, zero)), zero)

    def start_key(self, seed: UInt[Array, ""], episode: Int[Array, ""]) -> PRNGKeyArray:
        """For the start of an episode inside the compiled program."""
        key = jax.random.fold_in(jax.random.key(seed), _START)
        return jax.random.fold_in(key, episode)

    @eqx.filter_jit
    def store(
        self,
        training: Training,
        experience: Experience,
        steps: Int[Array, ""],
        keep: Bool[Array, ""],
    ) -> Training:
        """What one action of the current episode did, if that is to be kept.

        States beyond those of imagined rollouts are stored as these see them, at the limit;
        what they pay is learned, the dynamics are not.

        **Arguments:** `steps`, of the environment, for which the action was held.
        """
        entry = jax.tree.map(
            lambda new, stored: new[None].astype(stored.dtype),
            self._nearby.clipped(experience),
            training.buffer.experience,
        )
        return eqx.tree_at(
            lambda t: (t.buffer, t.env_steps, t.actions),
            training,
            (
                training.buffer.add(entry, training.episodes, keep),
                training.env_steps + steps,
                training.actions + 1,
            ),
        )

    @eqx.filter_jit
    def begin_fit(self, training: Training) -> Training:
        """Fresh learners, and the scales of reward and steps, for one more training.

        Where a generation begins, a fresh agent too.
        """
        config = self.config
        buffer, reward, transition = training.buffer, training.reward, training.transition
        first = training.trainings == 0
        if isinstance(transition, MLPTransition):
            # Kept once set, save that it may grow: what the network says where there are no
            # data is in its units.
            scale = jax.tree.map(
                lambda now, before: jnp.where(first, now, jnp.maximum(now, before)),
                self._step_scale(buffer),
                transition.scale,
            )
            transition = eqx.tree_at(lambda t: t.scale, transition, scale)
        if isinstance(reward, RewardNetwork):
            mean = _mean(buffer.experience.reward, buffer.filled)
            scale = root_mean_square(buffer.experience.reward - mean, buffer.filled)
            # Kept once set, save that the scale may grow: where there are no data, both
            # stand for what is usual, and a buffer that fills with the good states of a
            # good policy would make all others look better and better.
            mean = jnp.where(first, mean, reward.location)
            scale = jnp.where(first, scale, jnp.maximum(scale, reward.scale))
            reward = eqx.tree_at(lambda r: (r.location, r.scale), reward, (mean, scale))
        transition_learner, reward_learner = self._learners(
            buffer, transition, reward, training.seed
        )
        return eqx.tree_at(
            lambda t: (
                t.transition,
                t.reward,
                t.transition_state,
                t.reward_state,
                t.termination_state,
                t.behaviour,
                t.trainings,
            ),
            training,
            (
                transition,
                reward,
                self._begun(
                    transition_learner, transition, config.learner_decay, training.trainings
                ),
                self._begun(reward_learner, reward, config.reward_decay, training.trainings),
                self._begin_classifier(training.termination),
                self._renewed(training),
                training.trainings + 1,
            ),
        )

    def _renewed(self, training: Training) -> Behaviour | DynaBehaviour:
        """What is to learn in the next training: what did before, or what begins from nothing.

        What an agent learns in its first models, of little data, it hardly forgets in better
        ones (Nikishin et al. 2022, "The primacy bias in deep reinforcement learning").
        """
        if training.generations is None:
            return training.behaviour
        number = training.trainings
        generation, within = self._generation(number)
        begins = (generation > 0) & (within == 0)
        fresh = self._behaviour(self._lasting_key(training, _RENEW, number))
        return mapped(lambda new, old: jnp.where(begins, new, old), fresh, training.behaviour)

    @eqx.filter_jit
    def choose(self, training: Training) -> tuple[Training, Metrics]:
        """Who acts until the next training: the best of any generation so far.

        The best of a generation is what learns, or what learned before, whichever does better
        in the model as it is now, solved as it was learned and clipped nowhere, from around
        where episodes began: one that does well from those few starts alone, in a model that
        is a little wrong, does so by luck. All generations are judged anew each time, since who
        acts shows the model what it was wrong about. So a new generation learns while an old
        one acts, and what gets worse has no say. Of the first generation it is what learns: in
        models of little data the best is what they are most wrong about, and who has been there
        can tell.
        """
        behaviour, before = training.behaviour, training.generations
        assert isinstance(behaviour, Behaviour)
        assert before is not None
        number, within = self._generation(training.trainings - 1)
        generations, acting, newest = before.with_newest(
            behaviour.policy, number, (within == 0) | (number == 0), self._judge(training)
        )
        metrics = {"imagined_return": acting, "newest_return": newest}
        return eqx.tree_at(lambda t: t.generations, training, generations), metrics

    def _generation(self, trainings: Int[Array, ""]) -> tuple[Int[Array, ""], Int[Array, ""]]:
        """After so many trainings, the generation, and how many trainings of it have been.

        The last one lasts: where episodes end at odd times there are more trainings than usual.
        """
        config = self.config
        number = jnp.minimum(trainings // config.generation, config.generations - 1)
        return number, trainings - number * config.generation

    def _judge(self, training: Training) -> Callable[[Policy], Scalar]:
        """What a policy is imagined to be paid now, from the same starts for each."""
        buffer = training.buffer
        key, *scatter_keys = jax.random.split(
            self._key(training, _CHOOSE, jnp.zeros((), int)), 3
        )
        began = buffer.sample_first(key, self.config.agent.batch).state
        q, qd = (
            x + _SCATTER * jnp.asarray(limit) * jax.random.normal(key, x.shape, x.dtype)
            for key, x, limit in zip(scatter_keys, began, self._reach, strict=True)
        )
        starts = State(q, qd)
        transition, substeps = training.transition, self.config.learner.substeps
        if substeps is not None and isinstance(transition, SolvedTransition):
            transition = dataclasses.replace(transition, substeps=substeps)

        def judged(policy: Policy) -> Scalar:
            paid = imagined_return(
                policy,
                transition,
                training.reward,
                starts,
                _JUDGED_ACTIONS,
                training.termination,
            )
            return jnp.where(jnp.isfinite(paid), paid, -jnp.inf)

        return judged

    def _begun(
        self, learner: Learner, model: PyTree, decay: float, trainings: Int[Array, ""]
    ) -> PyTree:
        """The state of a learner that begins to learn a model, after so many trainings."""
        state = learner.init(_free(model))
        if not isinstance(state, GradientState):
            return state
        strength = decay * self.decay(trainings)
        return state._replace(optimiser=decaying(state.optimiser, strength))

    def decay(self, trainings: Int[Array, ""]) -> Scalar:
        """The fraction of decay that is left after so many trainings."""
        until = max(_LEAST, round(self.config.learner.decay_until * self.config.trainings))
        return jnp.asarray(falling(1.0, until, 0.0)(trainings))

    @eqx.filter_jit
    def fit(
        self, training: Training, chunk: Int[Array, ""], updates: int
    ) -> tuple[Training, Metrics]:
        """`updates` updates of dynamics and reward; `chunk` numbers the calls of a training."""
        config, buffer = self.config.learner, training.buffer
        key, reward_key = jax.random.split(self._key(training, _FIT, chunk))
        batch = config.batch_or_default
        transition_learner, reward_learner = self._learners(
            buffer, training.transition, training.reward, training.seed
        )

        def sample(key: PRNGKeyArray) -> PyTree:
            if config.window == 1:
                return self._nearby.sample(buffer, key, batch)
            return self._nearby.sample_windows(buffer, key, batch, config.window)

        free, held = divided(training.transition, ())
        before = (free, training.transition_state)
        transition = learn(transition_learner, *before, sample, key=key, steps=updates)
        # If nothing was near there is nothing to learn of, and something has been drawn.
        near = jnp.any(self._nearby.rows(buffer))
        learned = jax.tree.map(
            lambda new, old: jnp.where(near, new, old) if eqx.is_array(new) else new,
            (transition.model, transition.state),
            before,
        )
        metrics = {
            "model_loss": jnp.mean(transition.metrics["loss"]),
            "model_skipped": jnp.where(near, jnp.sum(transition.metrics["skipped"]), updates),
        }
        training = eqx.tree_at(
            lambda t: (t.transition, t.transition_state),
            training,
            (eqx.combine(learned[0], held), learned[1]),
        )
        if isinstance(training.termination, TerminationNetwork):
            training, more = self._fit_termination(training, chunk, updates)
            metrics.update(more)
        if self._given_reward is not None:
            return training, metrics
        free, held = divided(training.reward, ())
        reward = learn(
            reward_learner,
            free,
            training.reward_state,
            lambda key: buffer.sample(key, batch),
            key=reward_key,
            steps=updates,
        )
        metrics["reward_loss"] = jnp.mean(reward.metrics["loss"])
        metrics["reward_skipped"] = jnp.sum(reward.metrics["skipped"])
        training = eqx.tree_at(
            lambda t: (t.reward, t.reward_state),
            training,
            (eqx.combine(reward.model, held), reward.state),
        )
        return training, metrics

    def _begin_classifier(self, termination: AbstractTermination) -> PyTree:
        """The state of the termination's learner, nothing where there is nothing to learn."""
        if isinstance(termination, TerminationNetwork):
            return self._classifier.init(termination)
        return ()

    def _fit_termination(
        self, training: Training, chunk: Int[Array, ""], updates: int
    ) -> tuple[Training, Metrics]:
        """As many updates of the termination, from ends and other steps in equal parts."""
        buffer = training.buffer
        ended = buffer.filled & buffer.experience.terminated
        going = buffer.filled & ~buffer.experience.terminated
        weights = ended / jnp.maximum(ended.sum(), 1) + going / jnp.maximum(going.sum(), 1)
        batch = self.config.learner.batch_or_default
        fit = learn(
            self._classifier,
            training.termination,
            training.termination_state,
            lambda key: buffer.sample_weighted(key, batch, weights),
            key=self._key(training, _ENDS, chunk),
            steps=updates,
        )
        training = eqx.tree_at(
            lambda t: (t.termination, t.termination_state), training, (fit.model, fit.state)
        )
        return training, {
            "termination_loss": jnp.mean(fit.metrics["loss"]),
            "termination_skipped": jnp.sum(fit.metrics["skipped"]),
        }

    @eqx.filter_jit
    def behave(
        self, training: Training, chunk: Int[Array, ""], updates: int
    ) -> tuple[Training, Metrics]:
        """`updates` updates of the agent; `chunk` as for `fit`."""
        if isinstance(self.agent, Dyna):
            behaviour, metrics = self._dyna(self.agent, training, chunk, updates)
        else:
            if training.plans is not None:
                training = self._with_better(training, training.plans, chunk)
            behaviour, metrics = self._imagination(self.agent, training, chunk, updates)
        skipped = metrics.pop("skipped")
        training = eqx.tree_at(lambda t: t.behaviour, training, behaviour)
        return training, {**metrics, "agent_skipped": skipped}

    def _imagination(
        self,
        agent: ImaginationActorCritic,
        training: Training,
        chunk: Int[Array, ""],
        updates: int,
    ) -> tuple[Behaviour, Metrics]:
        config, buffer = self.config.agent, training.buffer
        reward_scale = self._reward_scale(training, chunk)
        entropy = self.entropy(training.trainings)
        transition = self._imagined_in(training, chunk)
        starts, others = config.starts, []
        if starts["promising"]:
            others.append((self._promising(training, chunk), starts["promising"]))
        if starts["pushed"]:
            others.append((self._pushed(training, chunk), starts["pushed"]))
        if starts["planned"]:
            others.append((self._planned(training), starts["planned"]))
        arrays, static = eqx.partition(training.behaviour, eqx.is_array)

        def body(arrays: PyTree, key: PRNGKeyArray) -> tuple[PyTree, Metrics]:
            start_key, noise_key = jax.random.split(key)
            begin = mixed_starts(
                start_key,
                buffer,
                config.batch,
                starts["uniform"],
                *self._reach,
                initial=starts["initial"],
                others=others,
            )
            behaviour, metrics = agent.update(
                eqx.combine(arrays, static),
                transition,
                training.reward,
                begin,
                reward_scale,
                key=noise_key,
                termination=training.termination,
                entropy=entropy,
            )
            return eqx.filter(behaviour, eqx.is_array), metrics

        keys = jax.random.split(self._key(training, _BEHAVE, chunk), updates)
        arrays, metrics = jax.lax.scan(body, arrays, keys)
        skipped = jnp.sum(metrics.pop("skipped"))
        means = {name: jnp.mean(values) for name, values in metrics.items()}
        return eqx.combine(arrays, static), {**means, "skipped": skipped}

    def _promising(self, training: Training, chunk: Int[Array, ""]) -> State:
        """States around where most is paid, as the models of reward and ends have it."""
        idle = jnp.zeros(self.config.task.action_size)

        def worth(state: State) -> Scalar:
            over = training.termination(state) > 0.5
            return jnp.where(over, -jnp.inf, training.reward(state, idle, state))

        key = self._key(training, _PROMISING, chunk)
        return promising_states(key, _POOL, *self._reach, worth)

    def _pushed(self, training: Training, chunk: Int[Array, ""]) -> State:
        """States that random actions lead to from where episodes began."""
        start_key, key = jax.random.split(self._key(training, _PUSHED, chunk))
        return pushed_states(
            key,
            training.buffer.sample_first(start_key, _POOL).state,
            training.transition,
            self.config.task.action_size,
            imagined_limits(self.config),
        )

    def _with_better(self, training: Training, plans: Plans, chunk: Int[Array, ""]) -> Training:
        """The same with plans that have been improved once more, or with the first ones."""
        first_key, key = jax.random.split(self._key(training, _PLAN, chunk))
        # Before the first training there was nowhere to begin.
        first = (training.trainings <= 1) & (chunk == 0)
        plans = jax.tree.map(
            lambda new, old: jnp.where(first, new, old),
            self._first_plans(first_key, training.buffer),
            plans,
        )
        start_key, key = jax.random.split(key)
        better = self.planner.improve(
            plans,
            training.transition,
            training.reward,
            training.buffer.sample_first(start_key, _POOL).state,
            key=key,
            termination=training.termination,
        )
        return eqx.tree_at(lambda t: t.plans, training, better)

    def _planned(self, training: Training) -> State:
        """States that the best plans lead to."""
        assert training.plans is not None
        return self.planner.states(
            training.plans, training.transition, training.reward, training.termination
        )

    def _dyna(
        self, agent: Dyna, training: Training, chunk: Int[Array, ""], updates: int
    ) -> tuple[DynaBehaviour, Metrics]:
        behaviour, buffer = training.behaviour, self._as_paid(training)
        assert isinstance(behaviour, DynaBehaviour)
        key = self._key(training, _BEHAVE, chunk)
        start_key, real_key, imagine_key, key = jax.random.split(key, 4)
        if agent.imagines:
            uniform = round(self.config.agent.dyna.uniform_starts * agent.rollouts)
            behaviour = agent.imagine(
                behaviour,
                self._imagined_in(training, chunk),
                training.reward,
                mixed_starts(start_key, buffer, agent.rollouts, uniform, *self._reach),
                buffer.sample(real_key, agent.rollouts),
                key=imagine_key,
                termination=training.termination,
            )
        return agent.updates(behaviour, buffer, jax.random.split(key, updates))

    def _imagined_in(
        self, training: Training, chunk: Int[Array, ""]
    ) -> AbstractTransition | SampledTransition:
        """The model that rollouts are of, or samples of what is left open of it."""
        samples = self.config.agent.posterior.samples
        if not samples:
            return training.transition
        posterior = self.posterior(training)
        assert posterior is not None
        key = self._key(training, _SAMPLES, chunk)
        return SampledTransition(posterior.sample(key, samples))

    def entropy(self, training: Int[Array, ""]) -> Scalar:
        """What a nat of the policy's entropy is worth in a training, the first being 1."""
        agent = self.config.agent
        trainings = max(_LEAST, round(agent.entropy_until * self.config.generation))
        worth = falling(agent.entropy, trainings, agent.entropy_end)
        return jnp.asarray(worth(self._generation(training - 1)[1]))

    def _as_paid(self, training: Training) -> ReplayBuffer:
        """The buffer, every action paid by the reward that the agent imagines with.

        If one is given it may be another than the environment's.
        """
        buffer = training.buffer
        if self._given_reward is None:
            return buffer
        entries = buffer.experience
        paid = jax.vmap(self._given_reward)(entries.state, entries.action, entries.next_state)
        return eqx.tree_at(
            lambda b: b.experience.reward, buffer, paid.astype(entries.reward.dtype)
        )

    def _reward_scale(self, training: Training, chunk: Int[Array, ""]) -> Scalar:
        """What is usual as a reward: among those that were paid, or anywhere.

        The larger of the two. Where all goes badly at first next to nothing is paid, and
        measured by that a good state would be worth more than a critic can say.
        """
        buffer, m = self._as_paid(training), self.config.task.action_size
        rewards = buffer.experience.reward
        paid = root_mean_square(rewards, buffer.filled & jnp.isfinite(rewards))
        states = uniform_states(self._key(training, _SCALE, chunk), 256, *self._reach)
        idle = jnp.zeros((256, m))
        following = jax.vmap(training.transition.step)(states, idle)
        anywhere = jax.vmap(training.reward)(states, idle, following)
        return jnp.maximum(paid, root_mean_square(anywhere, jnp.isfinite(anywhere)))

    @eqx.filter_jit
    def explore(self, training: Training, state: State) -> Float[Array, " m"]:
        """An action to learn from: random at first, then the policy's, with its noise.

        Stretches of random actions come between. A policy that holds still shows the same
        state over and over, and its model never learns what would be better.
        """
        config, number = self.config.collect, training.actions
        shape = (self.config.task.action_size,)
        held = jax.random.fold_in(
            self._lasting_key(training, _RANDOM, jnp.zeros((), int)), number // config.hold
        )
        random = jax.random.uniform(held, shape, minval=-1.0, maxval=1.0)
        eps = jax.random.normal(self._key(training, _NOISE, number), shape)
        action, _ = training.policy.sample(_cast(state, training), eps)
        if self.config.random_stretches:
            which = self._lasting_key(training, _STRETCH, number // _STRETCH_ACTIONS)
            stretch = jax.random.bernoulli(which, self.config.random_stretches)
            kick = self._lasting_key(training, _KICK, number // _KICK_ACTIONS)
            other = jax.random.uniform(kick, shape, minval=-1.0, maxval=1.0)
            action = jnp.where(stretch, other, action)
        return jnp.where(training.env_steps < self.config.random_steps, random, action)

    @eqx.filter_jit
    def act(self, training: Training, states: State) -> Float[Array, "batch m"]:
        """The policy's actions without noise in a batch of states."""
        return jax.vmap(training.policy.mode)(_cast(states, training))

    @eqx.filter_jit
    def end_episode(self, training: Training) -> Training:
        """One more episode done."""
        return eqx.tree_at(lambda t: t.episodes, training, training.episodes + 1)

    @eqx.filter_jit
    def end_round(self, training: Training) -> Training:
        """One more round done."""
        return eqx.tree_at(lambda t: t.rounds, training, training.rounds + 1)

    def _key(self, training: Training, purpose: int, index: Int[Array, ""]) -> PRNGKeyArray:
        key = self._lasting_key(training, purpose, training.trainings)
        return jax.random.fold_in(key, index)

    def _lasting_key(
        self, training: Training, purpose: int, index: Int[Array, ""]
    ) -> PRNGKeyArray:
        """One that the next training does not change."""
        key = jax.random.fold_in(jax.random.key(training.seed), purpose)
        return jax.random.fold_in(key, index)

    def posterior(self, training: Training) -> AbstractPosterior[AbstractTransition] | None:
        """What the latest training left open of the dynamics, `None` if no filter learned."""
        transition = training.transition
        buffer, reward = training.buffer, training.reward
        learner, _ = self._learners(buffer, transition, reward, training.seed)
        if not isinstance(learner, AbstractFilter):
            return None
        free, held = divided(transition, ())
        posterior = learner.posterior(free, training.transition_state)
        return posterior.transformed(lambda learned: eqx.combine(learned, held))

    def _step_scale(self, buffer: ReplayBuffer) -> State:
        coordinates = self.config.task.state_coordinates
        return step_scale(buffer.experience, coordinates, self._nearby.rows(buffer))

    def _learners(
        self,
        buffer: ReplayBuffer,
        transition: AbstractTransition,
        reward: AbstractReward,
        seed: UInt[Array, ""],
    ) -> tuple[Learner, Learner]:
        """Of what is free in dynamics and reward, each loss scaled by the buffer's data.

        **Arguments:** `seed`, of the run.
        """
        experience, filled = buffer.experience, buffer.filled
        make_loss: Any = OneStepLoss if self.config.learner.window == 1 else MultiStepLoss
        mean = _mean(experience.reward, filled)
        reward_loss = RewardLoss(root_mean_square(experience.reward - mean, filled))
        window, substeps = self.config.learner.window, self.config.learner.substeps
        step_loss = make_loss(self._step_scale(buffer))
        if self._known is not None:
            step_loss = self._constrained(step_loss, self._known, buffer)
        if substeps is not None and isinstance(transition, SolvedTransition):
            step_loss = SteppedLoss(step_loss, substeps)
        near = self._nearby.rows(buffer)
        # Known equations are weighed against data by their squares.
        robust = self.config.learner.loss == "pseudo-huber" and self._known is None
        return (
            self._learner(step_loss, transition, near, seed, steps=window, robust=robust),
            self._learner(reward_loss, reward, filled, seed, steps=1, robust=False),
        )

    def _constrained(
        self, loss: OneStepLoss, known: MechanicalSystem, buffer: ReplayBuffer
    ) -> ResidualLoss:
        """The loss with known equations, scaled by what they are where nothing changes."""
        residual = MotionResidual(known, self.config.task.action_time)
        experience = buffer.experience
        still = jax.vmap(residual)(experience.state, experience.action, experience.state)
        scale = root_mean_square(still, self._nearby.rows(buffer))
        return ResidualLoss(loss, residual, scale, self.config.model.residual_weight)

    def _learner(
        self,
        loss: AbstractSquaredLoss,
        model: PyTree,
        rows: Bool[Array, " rows"],
        seed: UInt[Array, ""],
        *,
        steps: int,
        robust: bool,
    ) -> Learner:
        """The learner of a model, from those rows, by a loss of so many steps each.

        **Arguments:** `robust`, whether a gradient is that of distances, not of squares.
        """
        config = self.config.learner
        loss = HoldingLoss(loss, divided(model, ())[1])
        if self._optimiser is not None:
            return GradientLearner(self._optimiser, PseudoHuberLoss(loss) if robust else loss)
        seen = config.updates_or_default * config.batch_or_default * steps
        repeats = seen / jnp.maximum(rows.sum(), 1)
        return make_filter(config.name, loss, config.filter, repeats, seed)


# What randomness is for; part of the key, so that no two uses share one.
_FIT, _BEHAVE, _RANDOM, _NOISE, _INIT, _START, _SCALE, _ENDS, _SAMPLES, _PROMISING = range(10)
_STRETCH, _KICK, _RENEW, _CHOOSE, _PUSHED, _PLAN = range(10, 16)

# Of how many states those that rollouts begin in are drawn, before every 200 updates.
_POOL = 256

# Actions of a random stretch, and how many of them are the same: long enough to push what is
# held still out of its place.
_STRETCH_ACTIONS, _KICK_ACTIONS = 10, 5

# For how many trainings at least entropy loses worth and weights decay. Where entropy did so in
# the first of six, a pendulum was spun for good; where weights did in two, models were worse.
_LEAST = 5

# By how many actions two policies are compared, and how far around where episodes began, as a
# fraction of what is worth imagining.
_JUDGED_ACTIONS, _SCATTER = 250, 0.003


def short_seed(seed: int) -> UInt[Array, ""]:
    """As many bits of a seed as fit."""
    return jnp.asarray(seed % 2**32, jnp.uint32)


def _free(model: PyTree) -> PyTree:
    """What is learned of a model."""
    return eqx.filter(divided(model, ())[0], eqx.is_inexact_array)


def _mean(x: Float[Array, " rows"], where: Array) -> Scalar:
    return jnp.sum(jnp.where(where, x, 0)) / jnp.maximum(jnp.sum(where), 1)


def _cast(state: State, training: Training) -> State:
    """A state read on the host, in the precision that the run computes in."""
    dtype = training.buffer.experience.state.q.dtype
    return State(jnp.asarray(state.q, dtype), jnp.asarray(state.qd, dtype))

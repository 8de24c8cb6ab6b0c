"""The interface between a training run and an agent."""

import abc
import enum
from typing import TYPE_CHECKING, Generic, TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Int, PRNGKeyArray, Scalar, UInt

from ..data import ReplayBuffer
from ..simulate import WorldModel
from ._networks import AbstractPolicy

Metrics = dict[str, Scalar]
"""Metrics of updates by name, scalars."""


class AbstractAgentState(eqx.Module):
    """Everything that an agent has learned: one PyTree, part of every checkpoint.

    **Attributes:**

    - `policy`: the acting policy, used by evaluations and whoever uses the run. A field or a
        property.
    """

    if TYPE_CHECKING:  # checkers accept no property in place of an abstract variable

        @property
        def policy(self) -> AbstractPolicy: ...

    else:
        policy: eqx.AbstractVar[AbstractPolicy]

    @property
    def explorer(self) -> AbstractPolicy:
        """Policy that collects experience: the acting one, unless an agent has another."""
        return self.policy


AgentState = TypeVar("AgentState", bound=AbstractAgentState)


class Phase(eqx.Module):
    """Place of an update in a run. Random keys are made from it, so none is stored.

    **Attributes:**

    - `seed`: the seed of the run.
    - `number`: the number of the training phase; the first is 1.
    - `chunk`: the number of the call of `improve` within the phase, from 0. It is 0 in
        `begin_phase` and `end_phase`.
    """

    seed: UInt[Array, ""]
    number: Int[Array, ""]
    chunk: Int[Array, ""]

    def key(self, purpose: int = 100) -> PRNGKeyArray:
        """Make the random key of one purpose at this place of the run.

        **Arguments:**

        - `purpose`: any number; two uses in one call need two numbers. The library uses those
            below 100, see [`lagdyna.agents.Purpose`][].
        """
        return jax.random.fold_in(run_key(self.seed, purpose, self.number), self.chunk)


def run_key(seed: UInt[Array, ""], purpose: int, index: Int[Array, ""]) -> PRNGKeyArray:
    """Make a random key from the seed of a run, a purpose and a count.

    **Arguments:**

    - `seed`: the seed of the run.
    - `purpose`: what the key is for, a [`lagdyna.agents.Purpose`][] or another number.
    - `index`: a count that tells apart the uses with this purpose.
    """
    key = jax.random.fold_in(jax.random.key(seed), purpose)
    return jax.random.fold_in(key, index)


class Purpose(enum.IntEnum):
    """Purposes of random keys in a run; no two uses share one."""

    FIT = 0
    IMPROVE = 1
    RANDOM_ACTION = 2
    NOISE = 3
    INIT = 4
    START = 5
    REWARD_SCALE = 6
    TERMINATION = 7
    SAMPLES = 8
    HIGH_REWARD = 9
    STRETCH = 10
    KICK = 11
    RESTART = 12
    SELECT = 13


class AbstractAgent(eqx.Module, Generic[AgentState]):
    """Agent that learns to act from a world model, a replay buffer, or both.

    A run alternates between collecting experience and training phases. In each phase it
    calls `begin_phase`, then `improve` once per chunk of updates, then `end_phase`. All are
    traced into compiled programs and must return a state of the same structure and shapes.

    **Attributes:**

    - `uses_model`: whether `improve` needs a world model. A run with an agent that needs
        none trains no model. A field or a property.
    """

    if TYPE_CHECKING:

        @property
        def uses_model(self) -> bool: ...

    else:
        uses_model: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def init(self, key: PRNGKeyArray) -> AgentState:
        """Create an untrained agent."""

    def begin_phase(self, state: AgentState, phase: Phase) -> AgentState:
        """Prepare for a training phase, for example by resetting networks."""
        del phase
        return state

    @abc.abstractmethod
    def improve(
        self,
        state: AgentState,
        world: WorldModel | None,
        buffer: ReplayBuffer,
        phase: Phase,
        updates: int,
    ) -> tuple[AgentState, Metrics]:
        """Apply a number of updates to the agent.

        **Arguments:**

        - `state`: from `init` or the last call.
        - `world`: the learned model; `None` if the agent does not use one.
        - `buffer`: the real experience. Where a reward function was given, its rewards are
            those of that function.
        - `phase`: place in the run, the source of random keys.
        - `updates`: the number of updates, a Python integer.

        **Returns:** the state, and the means of metrics over the updates. `skipped` counts
        the updates that were not finite and were not applied.
        """

    def end_phase(
        self, state: AgentState, world: WorldModel | None, buffer: ReplayBuffer, phase: Phase
    ) -> tuple[AgentState, Metrics]:
        """Finish a training phase, for example by selecting the policy that acts next.

        **Arguments:** as for `improve`.

        **Returns:** the state and metrics of this phase.
        """
        del world, buffer, phase
        return state, {}


def required(world: WorldModel | None) -> WorldModel:
    """Return the world model.

    **Raises:** `ValueError` if there is none.
    """
    if world is None:
        raise ValueError("this agent learns in a world model; got `world` None")
    return world

import equinox as eqx
from jaxtyping import Array, Int, PyTree, UInt

from ..agents import AbstractAgentState, AbstractPolicy, Phase
from ..data import ReplayBuffer
from ..mechanics import State
from ..simulate import WorldModel


class EnvironmentState(eqx.Module):
    """State of an environment that runs inside the compiled program.

    **Attributes:** `state`; `elapsed`, environment steps into the episode.
    """

    state: State
    elapsed: Int[Array, ""]


class LearnerStates(eqx.Module):
    """States of the learners of a world model.

    **Attributes:** `transition`, `reward`, `termination`: of the learner of each part.
    """

    transition: PyTree
    reward: PyTree
    termination: PyTree


class TrainingState(eqx.Module):
    """Everything that a run has learned and recorded: one PyTree, and what a checkpoint holds.

    **Attributes:**

    - `world`: the learned model; `None` if the agent uses none.
    - `learners`: the states of its learners, or `None`.
    - `agent`: the state of the agent.
    - `buffer`: the real experience.
    - `environment`: the environment, if it runs inside the compiled program.
    - `seed`: of everything random.
    - `rounds`, `episodes`, `env_steps`, `phases`, `actions`: how many there have been.
    """

    world: WorldModel | None
    learners: LearnerStates | None
    agent: AbstractAgentState
    buffer: ReplayBuffer
    environment: EnvironmentState | None
    seed: UInt[Array, ""]
    rounds: Int[Array, ""]
    episodes: Int[Array, ""]
    env_steps: Int[Array, ""]
    phases: Int[Array, ""]
    actions: Int[Array, ""]

    @property
    def policy(self) -> AbstractPolicy:
        """Acting policy."""
        return self.agent.policy.with_model(self.world)

    @property
    def explorer(self) -> AbstractPolicy:
        """Policy that collects experience."""
        return self.agent.explorer.with_model(self.world)

    def phase(self, chunk: Int[Array, ""]) -> Phase:
        """Place of a chunk of updates in the run, the source of its random keys."""
        return Phase(self.seed, self.phases, chunk)

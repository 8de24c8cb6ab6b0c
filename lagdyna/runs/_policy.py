"""The policy of a run, to use outside of training."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from .._errors import UserError
from ..agents import AbstractAgentState, AbstractPolicy
from ..config import Config
from ..mechanics import State
from ..results import TrainNotes, damaged, load_part, run_facts
from ..runtime import AbstractPredictor, Spaces, rescaled
from ..tasks import bounded_with_spaces, read_state
from ._config_of import Objects, config_of
from ._from_run import from_run
from ._trust import Trust


class RunPolicy(AbstractPredictor):
    """Policy of a training run.

    `predict` is for the environment's observations, `act` for states in JAX. The actions of
    both are in the environment's units.

    **Arguments:**

    - `policy`: what acts; its actions are in `[-1, 1]^m`.
    - `config`: of the run.
    - `spaces`: of the environment.
    - `seed`: of the noise of exploration.

    **Attributes:** `spec`, the task; `spaces`; `policy`; `dtype`, of states and actions.
    """

    def __init__(
        self, policy: AbstractPolicy, config: Config, spaces: Spaces, *, seed: int = 0
    ):
        super().__init__(config.task.reading, spaces)
        self.policy, self.config, self.spec = policy, config, config.task
        self._noise = np.random.default_rng(seed)
        arrays = jax.tree.leaves(eqx.filter(policy, eqx.is_inexact_array))
        self.dtype = np.result_type(*(x.dtype for x in arrays))
        self._mode = jax.jit(self.act)
        self._modes = jax.jit(jax.vmap(self.act))
        self._sample, self._samples = jax.jit(self._noisy), jax.jit(jax.vmap(self._noisy))

    def act(self, state: State) -> Float[Array, " m"]:
        """Compute the action without noise, in the environment's units, under `jit` and `vmap`.

        **Arguments:** `state`, of shapes `(n,)`, as [`lagdyna.tasks.read_state`][] reads it.
        """
        return rescaled(self.policy.mode(state), self.spaces)

    def _noisy(self, state: State, eps: Float[Array, " m"]) -> Float[Array, " m"]:
        return rescaled(self.policy.sample(state, eps)[0], self.spaces)

    def decide(
        self, observations: Float[np.ndarray, "*batch obs"], deterministic: bool
    ) -> Float[np.ndarray, "*batch m"]:
        # Arrays of NumPy are as good as those of JAX, which would take longer to make.
        parts: Any = (np.asarray(x, self.dtype) for x in read_state(self.spec, observations))
        state = State(*parts)
        single = observations.ndim == 1
        if deterministic:
            return np.asarray((self._mode if single else self._modes)(state))
        size = (*observations.shape[:-1], len(self.spaces.actions))
        eps = self._noise.standard_normal(size).astype(self.dtype)
        return np.asarray((self._sample if single else self._samples)(state, eps))


@from_run
def policy_of(run: str | Path, *, agent: Any = None, trust: Trust = False) -> RunPolicy:
    """Load the policy of a training run; see `load_policy`."""
    path = Path(run)
    config = config_of(path, Objects(agent=agent, trust=trust))
    policy = _network(path, config)
    if policy is None:
        from ._train import load_run  # as late as possible: it imports the trainer

        policy = load_run(path, agent=agent, trust=trust).training.policy
    return RunPolicy(policy, config, _spaces(path, config))


def _network(run: Path, config: Config) -> AbstractPolicy | None:
    """Load a policy that needs no world model; `None` if it needs one."""
    built = config.agent.build(config.plant(), config.schedule)
    like: AbstractAgentState = eqx.filter_eval_shape(built.init, jax.random.key(0))
    policy: AbstractPolicy = eqx.filter_eval_shape(lambda state: state.policy, like)
    if type(policy).with_model is not AbstractPolicy.with_model:
        return None
    checkpoint = run / "checkpoint" / "training.npz"
    found = load_part(checkpoint, ".agent", like, TrainNotes).policy
    weights = jax.tree.leaves(eqx.filter(found, eqx.is_inexact_array))
    if not all(np.isfinite(np.asarray(x)).all() for x in weights):
        raise damaged(checkpoint, "its policy has weights that are not finite")
    return found


def _spaces(run: Path, config: Config) -> Spaces:
    """Read the environment's spaces, or find them out for a run that did not record them."""
    facts = run_facts(run)
    if facts.observation is not None and facts.actions is not None:
        return Spaces(facts.observation, facts.actions)
    try:
        return bounded_with_spaces(config.task)[1]
    except ValueError as error:
        raise UserError(
            f"{str(run)!r} does not say how long its observations are, and its environment "
            f"cannot be asked: {error}"
        ) from error

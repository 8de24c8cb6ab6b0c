"""Options of a run that belong to no swappable part."""

from dataclasses import dataclass

from ..options import ActivationName, Count, Fraction, NonNegative, Whole, Widths


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """Learned reward, and of the same sizes the learned termination.

    **Arguments:**

    - `hidden`: widths of the hidden layers.
    - `activation`: activation function; by default `tanh` with the agent `imagination`, else
        `softplus`.
    - `weight_decay`: as the learner's, for the reward; by default 0.3 with the agent
        `imagination`, else 0.
    - `known`: whether to use the reward function that the environment gives, as methods with a
        known cost do, instead of a learned one. Tasks of the suite give theirs.
    """

    hidden: Widths = (64, 64)
    activation: ActivationName | None = None
    weight_decay: NonNegative | None = None
    known: bool = False


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """Collection of real experience.

    **Arguments:**

    - `random_steps`: environment steps with random actions before the policy acts; by default
        those of 50 actions.
    - `hold`: actions for which a random action is held.
    - `random_stretches`: fraction of later stretches of ten actions that are random too, each
        action held for five; by default 0.25 with the agent `imagination`, else 0.
    - `train_every`: environment steps between training phases, also within an episode; by
        default those of 50 actions.
    - `steps_per_round`: environment steps after which, at the end of an episode, metrics and
        a checkpoint are written; by default those of 200 actions.
    - `capacity`: transitions in the replay buffer; by default all of them.
    """

    random_steps: Whole | None = None
    hold: Count = 1
    random_stretches: Fraction | None = None
    train_every: Count | None = None
    steps_per_round: Count | None = None
    capacity: Count | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Evaluation of the policy, without noise, after each training phase.

    **Arguments:**

    - `episodes`: number of episodes; nothing is learned from them.
    - `max_steps`: largest length of an episode in environment steps, for environments without
        a time limit.
    """

    episodes: Count = 100
    max_steps: Count = 10_000

"""Common steps of all functions that read a run directory."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, NoReturn, ParamSpec, TypeVar

from .._errors import UserError
from ..models import RewardFn
from ..options import begun_in, is_trusted, trusting
from ..results import check_precision, kind_of, origin_of, run_facts

Rest = ParamSpec("Rest")
Outcome = TypeVar("Outcome")


def from_run(
    function: Callable[Concatenate[str | Path, Rest], Outcome],
) -> Callable[Concatenate[str | Path, Rest], Outcome]:
    """Decorate a function that reads a run directory.

    Files that the run's config names are found from any folder, and a run of another precision
    than that of the process is refused.
    """

    @functools.wraps(function)
    def wrapped(run: str | Path, *args: Rest.args, **kwargs: Rest.kwargs) -> Outcome:
        if kind_of(run) is None:  # the function says what it accepts
            return function(run, *args, **kwargs)
        check_precision(run)
        trust = kwargs.get("trust") is True or is_trusted()
        with begun_in(origin_of(run)), trusting(trust):
            return function(run, *args, **kwargs)

    return wrapped


def check_reward(run: Path, reward: RewardFn | None) -> None:
    """Refuse to continue a run with another kind of reward than it was begun with.

    **Raises:** `UserError` that says whether to give a reward.
    """
    was_given = "reward" in run_facts(run).given
    if was_given and reward is None:
        raise UserError(
            f"{str(run)!r} was begun with a reward function, which no run directory holds; "
            "continue it in Python, as `lagdyna.resume(run, reward=FUNCTION)`. `lagdyna "
            "evaluate` does without"
        )
    if reward is not None and not was_given and run_facts(run).precision is not None:
        raise UserError(
            f"`reward` was given, and {str(run)!r} learns its reward; leave it out, or begin a "
            "new run with it"
        )


def reward_of(run: Path, reward: RewardFn | None) -> tuple[RewardFn | None, list[str]]:
    """Replace a reward function that inference does not need by one that says so.

    **Returns:** the function, and the parts of a checkpoint that may be missing without it.
    """
    if reward is not None or "reward" not in run_facts(run).given:
        return reward, []

    def missing(*_: object) -> NoReturn:
        raise UserError(
            f"{str(run)!r} was begun with a reward function, which was not given again; give "
            "it as `reward` to use the reward"
        )

    return missing, [".world.reward"]

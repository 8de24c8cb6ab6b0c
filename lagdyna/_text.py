"""Numbers and results in words, for the command line and for reports."""

from collections.abc import Mapping, Sequence
from typing import Any


def cell(value: Any) -> str:
    """Format a value for a table; a missing one is a dash."""
    if isinstance(value, list):
        return " ".join(cell(each) for each in value)
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def with_interval(value: float | None, ends: Sequence[float] | None) -> str:
    """Format a value with its confidence interval, if it has one."""
    if value is None:
        return "-"
    return f"{value:.4g}" + ("" if ends is None else f" ({ends[0]:.4g} to {ends[1]:.4g})")


def flat(values: Any, depth: int = 0) -> list[Any]:
    """List the entries of nested lists.

    **Arguments:** `depth`, 0 for numbers, 1 for pairs of numbers, such as intervals.
    """
    if values is None:
        return [None]
    if not isinstance(values, list) or (
        depth == 1 and len(values) == 2 and all(isinstance(x, float) for x in values)
    ):
        return [values]
    return [entry for each in values for entry in flat(each, depth)]


def training_result(summary: Mapping[str, Any]) -> str:
    """Say the result of a training run in one sentence."""
    reached, target = summary["steps_to_target"], summary["target_return"]
    if target is None:
        verdict = ""
    elif reached is None:
        verdict = f"; target {target:g} not reached"
    else:
        verdict = f"; target {target:g} reached after {reached} steps"
    return (
        f"return {summary['return_mean']:.1f} ± {summary['return_std']:.1f} over "
        f"{summary['eval_episodes']} episodes after {summary['env_steps']} steps of "
        f"experience, {summary['wall_seconds']:.0f} s{verdict}"
    )


def seeds_result(summary: Mapping[str, Any]) -> str:
    """Say the result of a training run of several seeds in one sentence."""
    count, interval = len(summary["seeds"]), summary["return_interval"]
    between = ""
    if interval is not None:
        between = f" (95 % from {interval[0]:.1f} to {interval[1]:.1f})"
    reached = [steps for steps in summary["steps_to_target"] if steps is not None]
    verdict = ""
    if summary["target_return"] is not None:
        verdict = f"; target {summary['target_return']:g} reached by {len(reached)} of {count}"
    return (
        f"return {summary['return_interquartile_mean']:.1f}{between}, the interquartile mean "
        f"over {count} seeds after {summary['env_steps']} steps of experience, "
        f"{summary['wall_seconds']:.0f} s{verdict}"
    )

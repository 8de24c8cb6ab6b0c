"""Cautions of comparisons: what differs between runs besides what is compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..identification import unseen_part
from ..options import differences
from ..statistics import caution


def fit_cautions(
    name: str,
    reports: tuple[dict[str, Any], dict[str, Any]],
    configs: tuple[dict[str, Any], dict[str, Any]],
) -> list[str]:
    """List what differs between a fit and the first fit of a comparison.

    **Arguments:**

    - `name`: of the first fit.
    - `reports`: contents of `report.json`, of the fit and of the first.
    - `configs`: their configs, as tables.
    """
    report, first = reports
    found = []
    if report.get("data") != first.get("data"):
        found.append(
            f"other data: {_listed(report.get('data'))}, where {name} has "
            f"{_listed(first.get('data'))}; the errors are not comparable"
        )
    options = _changed(configs, "data", ("file", "files"))
    if options:
        found.append(f"other options of the data than {name}: {options}")
    for key in ("updates", "seed", "dt"):
        if report.get(key) != first.get(key):
            found.append(f"{key} {report.get(key)}, where {name} has {first.get(key)}")
    (part, unseen), (other, first_unseen) = map(unseen_part, reports)
    if part != other:
        found.append(f"errors of {part} data, where {name} has those of {other} data")
    seconds, wanted = (each["rollout"]["seconds"][-1] for each in (unseen, first_unseen))
    if abs(seconds - wanted) > 1e-6 * abs(wanted):
        found.append(f"rollouts of {seconds:.3g} s, where {name} has {wanted:.3g} s")
    return found


def training_cautions(
    name: str,
    seeds: tuple[Sequence[int], Sequence[int]],
    lengths: tuple[int, int],
    configs: tuple[dict[str, Any], dict[str, Any]],
) -> list[str]:
    """List what differs between runs of an agent and the first of a comparison.

    **Arguments:** pairs, of the agent and of the first.

    - `name`: of the first agent.
    - `seeds`: of the runs.
    - `lengths`: environment steps.
    - `configs`: configs as tables.
    """
    found = []
    options = _changed(configs, "task", ("steps", "target_return", "description", "unchecked"))
    if options:
        found.append(f"another description of the task than {name}: {options}")
    if lengths[0] != lengths[1]:
        found.append(
            f"{lengths[0]} environment steps, where {name} has {lengths[1]}: returns are of "
            "different amounts of experience"
        )
    if sorted(seeds[0]) != sorted(seeds[1]):
        found.append(f"{_seeds(seeds[0])}, where {name} has {_seeds(seeds[1])}")
    options = _changed(configs, "evaluation", ())
    if options:
        found.append(f"other evaluations than {name}: {options}")
    few = caution(min(map(len, seeds)))
    if few is not None:
        found.append(few)
    return found


def run_label(run: str) -> str:
    """Name a run in a note by its directory."""
    return Path(run).name or run


def _changed(
    configs: tuple[dict[str, Any], dict[str, Any]], section: str, but: Sequence[str]
) -> str:
    """Describe the options of a section that differ between two tables, the first one last."""
    tables = [
        {section: {k: v for k, v in each.get(section, {}).items() if k not in but}}
        for each in reversed(configs)
    ]
    return "; ".join(differences(*tables))


def _listed(files: Any) -> str:
    return ", ".join(map(str, files)) if isinstance(files, list | tuple) else str(files)


def _seeds(seeds: Sequence[int]) -> str:
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered == [*range(ordered[0], ordered[-1] + 1)]:
        return f"seeds {ordered[0]} to {ordered[-1]}"
    return f"seed{'s' if len(ordered) > 1 else ''} {', '.join(map(str, ordered))}"

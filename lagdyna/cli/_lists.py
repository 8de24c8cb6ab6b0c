"""Commands that list names: tasks and solvers."""

from typing import Any

from rich.table import Table

from ._options import Location
from ._print import console, say, write_list


def tasks(*, out: Location = None) -> None:
    """List the tasks that `lagdyna train` accepts by name.

    Parameters
    ----------
    out
        A new or empty directory for tasks.json.
    """
    from ..tasks import TASKS

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "dt": task.dt,
            "repeat": task.repeat,
            "coordinates": [c.kind for c in task.coordinates],
            "actions": task.action_size,
            "target_return": task.target_return,
            "description": task.description,
        }
        for name, task in TASKS.items()
    ]
    write_list(out, "tasks.json", rows)
    # Users copy names, so each has a line of its own, which is never cut or wrapped.
    for row in rows:
        held = f", held for {row['repeat']} steps" if row["repeat"] > 1 else ""
        console.print(f"[bold]{row['name']}[/]  {row['description']}", soft_wrap=True)
        target = row["target_return"]
        facts = (
            ", ".join(row["coordinates"]),
            "1 action" if row["actions"] == 1 else f"{row['actions']} actions",
            f"dt {row['dt']:g} s{held}",
            *([] if target is None else [f"target {target:g}"]),
        )
        console.print(f"    [dim]{'; '.join(facts)}[/]", soft_wrap=True)
    say("Any other Gymnasium environment with continuous actions: see the docs, 'Tasks'.")


def solvers(*, out: Location = None) -> None:
    """List the solvers that `--solver` accepts.

    Parameters
    ----------
    out
        A new or empty directory for solvers.json.
    """
    import diffrax

    from ..parts import SolverConfig
    from ..simulate import SOLVERS, get_solver

    rows: list[dict[str, Any]] = []
    for name in SOLVERS:
        solver = get_solver(name)
        term = diffrax.ODETerm(lambda t, y, args: y)
        rows.append(
            {
                "name": name,
                "order": solver.order(term),
                "adaptive": isinstance(solver, diffrax.AbstractAdaptiveSolver),
                "default": name == SolverConfig().name,
            }
        )
    write_list(out, "solvers.json", rows)
    table = Table("solver", "order", "adaptive steps", "", box=None)
    for row in rows:
        table.add_row(
            row["name"],
            str(row["order"]),
            "yes" if row["adaptive"] else "no",
            "default" if row["default"] else "",
        )
    console.print(table)

from ._interruption import interruptible
from ._mistakes import use_working_directory
from ._options import (
    Agent,
    Config,
    Flag,
    Learner,
    Location,
    Model,
    Name,
    Settings,
    Solver,
    TaskEquations,
    TrainingLoss,
    Whole,
    configured,
)
from ._print import console, print_seeds, print_summary


def train(
    task: Name = None,
    /,
    *,
    config: Config = None,
    seed: Whole = None,
    seeds: Whole = None,
    steps: Whole = None,
    model: Model = None,
    known: TaskEquations = None,
    loss: TrainingLoss = None,
    learner: Learner = None,
    solver: Solver = None,
    agent: Agent = None,
    out: Location = None,
    set: Settings = None,
    show_config: Flag = False,
) -> None:
    """Learn to control a task in a simulator that is learned from little experience.

    Parameters
    ----------
    task
        One of `lagdyna tasks`; Pendulum-v1 by default.
    seed
        Seed of everything random; 0 by default.
    seeds
        Train this many seeds, from `--seed` on, as one program over all devices. Each has a
        run directory inside that of the run, beside the statistics of all.
    steps
        Environment steps of real experience, random ones included; those of the task by
        default.
    out
        A new or empty directory for the run; the first free one in runs/ by default.
    show_config
        Print the config with every default as TOML, and do nothing else.
    """
    from ..config import config_from_table
    from ..options import config_to_toml

    named = {
        "task": task,
        "seed": seed,
        "steps": steps,
        "model": model,
        "model.known": known,
        "loss": loss,
        "learner": learner,
        "solver": solver,
        "agent": agent,
    }
    whole = configured(config_from_table, config, named, set)
    if show_config:
        print(config_to_toml(whole.resolved()), end="")
        return
    use_working_directory(whole.task.env_id)
    from .. import runs
    from ._display import display

    progress = display(console)
    with runs.reserve_directory(whole, out) as directory:
        if seeds is None:
            summary = interruptible(
                lambda: runs.train(whole, directory, progress=progress), directory
            )
            print_summary(summary, directory)
        else:
            summary = interruptible(
                lambda: runs.train_seeds(whole, seeds, directory, progress=progress), directory
            )
            print_seeds(summary, directory)

from .._errors import UserError
from ._interruption import interruptible
from ._options import (
    Config,
    Equations,
    FitLoss,
    Flag,
    Learner,
    Location,
    Log,
    Model,
    Name,
    Settings,
    Solver,
    Updates,
    Whole,
    configured,
    indices,
    mapping,
    names_of,
)
from ._print import console, print_report


def fit(
    *data: str,
    config: Config = None,
    angles: Name = None,
    columns: Name = None,
    test: Name = None,
    model: Model = None,
    known: Equations = None,
    robot: Name = None,
    loss: FitLoss = None,
    learner: Learner = None,
    solver: Solver = None,
    updates: Updates = None,
    seed: Whole = None,
    out: Location = None,
    log: Log = None,
    set: Settings = None,
    show_config: Flag = False,
) -> None:
    """Fit a model of a mechanical system to recordings of it.

    Parameters
    ----------
    data
        Files of trajectories: .npz, .csv, .h5, .hdf5, ROS recordings (.db3, .mcap, .bag, a bag
        directory), folders of them, quoted patterns such as 'logs/*.csv', or minari:NAME.
    angles
        Coordinates that are angles, counted from 0: "all", or as 0,2 or q0,q2; none by
        default.
    columns
        Columns of the files, as `q=pos_*,tau=effort_*,t=stamp`; `*` stands for a number or for
        the name of a joint. Lagdyna's own names by default.
    test
        A file, folder or quoted pattern of recordings that are not learned from, to measure
        the errors on; part of the validation data by default.
    robot
        Robot description, a URDF or MJCF file, of a model robot (the default with it), residual
        (the robot and a learned force) or delan (the robot with unknown inertia).
    seed
        Seed of everything random, the choice of validation data included; 0 by default.
    out
        A new or empty directory for the run; the first free one in runs/ by default.
    show_config
        Print the config as TOML, and do nothing else. Defaults that depend on the data are
        left out.
    """
    from ..config import fit_config
    from ..options import config_to_toml

    named = {
        "data.file": data[0] if len(data) == 1 else list(data) or None,
        "data.angles": angles and indices(angles),
        "data.test": test,
        "data.columns": None if columns is None else mapping("columns", columns),
        "model": model,
        "model.known": known,
        **_robot_options(model, robot),
        "loss": loss,
        "learner": learner,
        "solver": solver,
        "learner.updates": updates,
        "seed": seed,
    }
    whole = configured(fit_config, config, named, set)
    if show_config:
        print(config_to_toml(whole), end="")
        return
    from .. import runs
    from ..logs import LoggedProgress, sinks_of
    from ..progress import progress_of

    progress = LoggedProgress(sinks_of(names_of(log)), progress_of("bar", console))
    with runs.reserve_directory(whole, out) as directory:
        report = interruptible(
            lambda: runs.fit_model(whole, directory, progress=progress), directory
        )
        print_report(report, directory)


# Models of a robot description by the name of the model without one.
_ROBOTS = {
    None: {"model": "robot"},
    "robot": {"model": "robot"},
    "residual": {"model": "robot-residual"},
    "robot-residual": {"model": "robot-residual"},
    "delan": {"model": "robot", "model.inertia": "unknown"},
}


def _robot_options(model: str | None, robot: str | None) -> dict[str, object]:
    """Name the options that `--robot` stands for."""
    if robot is None:
        return {}
    if model not in _ROBOTS:
        names = ", ".join(name for name in _ROBOTS if name is not None)
        raise UserError(
            f"`--robot` was given with the model {model!r}; {names} accept a robot description"
        )
    return {**_ROBOTS[model], "model.robot": robot}

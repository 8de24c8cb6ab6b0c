from pathlib import Path

from ._options import Again, Location, Seed, SettingsAgain, Trusted, Whole, trusted
from ._precision import use_precision
from ._print import say


def evaluate(
    run: Path,
    /,
    *,
    episodes: Whole = None,
    seed: Seed = 0,
    out: Location = None,
    video: Location = None,
    trust: Trusted = False,
    model: Again = None,
    known: Again = None,
    loss: Again = None,
    learner: Again = None,
    agent: Again = None,
    set: SettingsAgain = None,
) -> None:
    """Evaluate the policy of a run on new episodes.

    Parameters
    ----------
    run
        The directory of the run.
    episodes
        Number of episodes; as many as in the run by default.
    seed
        Seed of the initial states.
    out
        A new or empty directory for evaluation.json; evaluation-1, ... in that of the run by
        default.
    video
        A new file for a film of the first episode: .gif, or .mp4 and .webm with the extra
        lagdyna[video].
    """
    use_precision(run)
    from .. import runs

    again = {"model": model, "known": known, "loss": loss, "learner": learner, "agent": agent}
    result = runs.evaluate(
        run,
        episodes=episodes,
        seed=seed,
        out=out,
        video=video,
        trust=trusted(trust, again, set),
    )
    say(
        f"{result['task']} after {result['env_steps']} steps: return "
        f"{result['return_mean']:.1f} ± {result['return_std']:.1f} "
        f"(from {result['return_min']:.1f} to {result['return_max']:.1f}) "
        f"over {result['eval_episodes']} episodes -> {result['out']}"
        + ("" if video is None else f", the first of them -> {video}")
    )

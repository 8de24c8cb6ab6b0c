"""Run directories, data files and configs, and the damage that is done to them.

`tests/runs/test_damage.py` does some of it in every run of the tests, and
`benchmarks/damage.py` as much as it is told to.
"""

import hashlib
import io
import json
import os
import shutil
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import equinox as eqx
import jax
import msgspec
import numpy as np
import tomli_w

from lagdyna import UserError
from lagdyna.config import Config, FitConfig, fit_config, load_config
from lagdyna.data import DataError, Trajectory, TrajectorySet, read, write
from lagdyna.export import export
from lagdyna.identification import fit_problem, initial_state
from lagdyna.options import config_to_toml, read_table
from lagdyna.reproductions import reproduce, resume_reproduction
from lagdyna.results import digest_of_lines, save_checkpoint, write_run_file, write_sealed
from lagdyna.runs import compare, config_of, load_fit, load_run, resume_fit, resume_run
from lagdyna.runs._directory import (
    begin_directory,
    checkpoint_of,
    digest_of_seeds,
    notes_of,
    summary_of,
    write_progress,
)
from lagdyna.runs._fit_checkpoint import keep_fit
from lagdyna.runs._seeds import directories_of, resume_seeds, seeds_summary
from lagdyna.runtime import load_exported_policy
from lagdyna.training import ManySeeds, Trainer

from .reproductions.test_reproduce import Counting
from .small import small_config

LIMIT = 10.0  # seconds that an answer may take


class Target(NamedTuple):
    """Something that is read.

    **Attributes:** `path`, a file or a directory; `read`, which gives a value to compare;
    `exact`, whether the value must be that of the whole files: data and configs have no
    checksum, and another number in them is another number.
    """

    name: str
    path: Path
    read: Callable[[Path], Any]
    exact: bool = True

    @property
    def files(self) -> list[Path]:
        """The files to damage."""
        if self.path.is_file():
            return [self.path]
        found = (path for path in self.path.rglob("*") if path.is_file())
        return sorted(path for path in found if path.suffix in _SUFFIXES)


_SUFFIXES = (".json", ".jsonl", ".toml", ".npz")


def targets(root: Path, every: bool = True) -> list[Target]:
    """Make a whole directory or file of every kind.

    **Arguments:** `every`, whether to make those too whose programs take long to compile.
    """
    swings = recordings()
    for name in ("swings.csv", "swings.npz", "swings.h5"):
        write(root / name, swings)
    gradient, ekf = {"name": "adam", "updates": 4}, {"name": "ekf", "updates": 4, "batch": 4}
    host = small_config()
    suite = small_config(task="pendulum", agent={"name": "dyna", "batch": 4, "rollouts": 4})
    fit_of = {"data": {"file": str(root / "swings.npz")}, "model": {"hidden": [4]}}
    (root / "train.toml").write_bytes((a_run(root / "host", host) / "config.toml").read_bytes())
    fit = a_fit(root / "fit", fit_config({**fit_of, "learner": gradient}), 0.5)
    (root / "fit.toml").write_bytes((fit / "config.toml").read_bytes())
    a_fit(root / "posterior", fit_config({**fit_of, "learner": ekf}), 0.6)
    reproduce(Counting(), root / "reproduction", seeds=2, quick=True)
    some_seeds(root / "seeds", host)
    more = []
    if every:
        a_run(root / "suite", suite)
        more = [Target("training run of the suite", root / "suite", read_run)]
    return [
        *more,
        Target("training run", root / "host", read_run),
        Target("run of seeds", root / "seeds", read_seeds),
        Target("fit", root / "fit", read_fit),
        Target("fit by a filter", root / "posterior", read_fit),
        Target("reproduction", root / "reproduction", read_reproduction),
        Target("exported policy", an_export(root / "export", root / "host"), read_export),
        *(Target(f"data {x}", root / f"swings.{x}", read_data, False) for x in _DATA),
        Target("config of a training run", root / "train.toml", load_config, False),
        Target("config of a fit", root / "fit.toml", read_fit_config, False),
    ]


_DATA = ("csv", "npz", "h5")


def recordings() -> TrajectorySet:
    t = 0.05 * np.arange(12)
    return TrajectorySet(
        [
            Trajectory(t, a * np.cos(3 * t)[:, None], -3 * a * np.sin(3 * t)[:, None])
            for a in (0.1, 0.2, 0.3)
        ]
    )


def a_record(seed: int = 0) -> dict[str, Any]:
    evaluation = {"env_steps": 60, "return_mean": -5.5 - seed, "return_std": 1.25}
    return {
        **{"round": 1, "episodes": 1, "env_steps": 60, "train_return": -6.0},
        **{"eval_return_mean": -5.5 - seed, "eval_return_std": 1.25},
        **{"evaluations": [evaluation], "skipped_updates": 0, "seconds": {"fit": 1.5}},
    }


def a_run(out: Path, config: Config) -> Path:
    """A finished run whose weights are the first ones, since training takes long."""
    out.mkdir()
    trainer, record = Trainer(config), a_record(config.seed)
    begin_directory(out, trainer)
    write_progress(out, trainer.config, trainer.init(), [record], 2.5)
    summary = summary_of(trainer.config, [record], 3.5)
    write_sealed(out / "summary.json", summary, digest_of_lines([record]))
    return out


def some_seeds(out: Path, config: Config) -> None:
    out.mkdir()
    seeds = (0, 1)
    many = ManySeeds(Trainer(config), seeds)
    records = [[a_record(seed)] for seed in seeds]
    for seed in seeds:
        a_run(out / f"seed-{seed}", many.trainer.with_seed(seed).config)
    write_sealed(out / "seeds.json", {"seeds": [*seeds]})
    write_run_file(out, "seeds")
    (out / "checkpoint").mkdir()
    digests = [digest_of_lines(lines) for lines in records]
    notes = notes_of(many.trainer.config, [1, 1], 2.5, digests, 60, None)
    save_checkpoint(checkpoint_of(out), many.start(), notes)
    singles = [summary_of(config, lines, 1.5) for lines in records]
    summary = seeds_summary(many, singles, 3.5)
    write_sealed(out / "summary.json", summary, digest_of_seeds(records))


def a_fit(out: Path, config: FitConfig, loss: float) -> Path:
    out.mkdir()
    problem = fit_problem(config)
    record = {
        **{"updates": 4, "piece": 4, "loss": loss, "validation_loss": 0.75},
        **{"skipped_updates": 0, "seconds": 1.5},
    }
    report = {
        **{"model": config.model.name, "loss": "one-step", "learner": config.learner.name},
        **{"updates": 4, "seconds": 1.5, "weights": 9, "notes": [], "parameters": None},
        "calibration": None,
        "validation": {
            **{"one_step": {"q": [0.1], "qd": [0.2]}, "torque": None, "energy_drift": None},
            "rollout": {"seconds": [0.05, 0.1], "q": [[0.1], [0.2]], "qd": [[0.1], [0.3]]},
            "relative": {"one_step_q": [0.25], "one_step_qd": [0.5], "torque": None},
        },
    }
    write_run_file(out, "fit")
    (out / "config.toml").write_text(config_to_toml(problem.config))
    write_sealed(out / "sizes.json", problem.sizes._asdict())
    keep_fit(out, problem, initial_state(problem.config, problem.plant), [record])
    write_sealed(out / "report.json", report, digest_of_lines([record]))
    return out


def read_run(run: Path) -> Any:
    """Everything that the commands read of a training run."""
    loaded = load_run(run)
    finished = resume_run(run) if os.path.lexists(run / "summary.json") else None
    return loaded.training, loaded.records, finished, compare([run])


def read_seeds(run: Path) -> Any:
    rows = compare([run])
    loaded = [load_run(seed) for seed in directories_of(run)]
    training = [(each.training, each.records) for each in loaded]
    return training, resume_seeds(run), rows, [config_of(x) for x in directories_of(run)]


def read_fit(run: Path) -> Any:
    loaded = load_fit(run)
    finished = resume_fit(run) if os.path.lexists(run / "report.json") else None
    return loaded.model, loaded.posterior, loaded.records, finished, compare([run])


def an_export(out: Path, run: Path) -> Path:
    return export(run, "policy", "npz", out)[0]


def read_export(out: Path) -> Any:
    policy = load_exported_policy(out)
    return msgspec.to_builtins(policy.contract), policy.predict(np.zeros(3))


def read_reproduction(out: Path) -> Any:
    made = Counting()
    entries = resume_reproduction({"counting": made}, out)
    return [each._asdict() for each in entries]


def read_fit_config(path: Path) -> FitConfig:
    return fit_config(read_table(path))


def read_data(path: Path) -> Any:
    return [each.arrays for each in read(path)]


def fingerprint(value: Any) -> str:
    """Digest of everything in a value: arrays to the bit, all else by its text."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(value, is_leaf=lambda x: x is None):
        if eqx.is_array(leaf) or isinstance(leaf, np.ndarray):
            found.update(np.asarray(leaf).tobytes())
        elif not callable(leaf):
            found.update(repr(leaf).encode())
    return found.hexdigest()


class Outcome(NamedTuple):
    """What came of reading something that was damaged: `kind`, and the words of an error."""

    kind: str
    said: str


def outcome(target: Target, whole: str | None) -> Outcome:
    """Read a target, and compare what is read with that of the whole one."""
    try:
        value = target.read(target.path)
    except (UserError, DataError) as error:
        said = str(error)
        one_sentence = 0 < len(said) < 20_000 and "\n" not in said
        return Outcome("refused" if one_sentence else "unclear", said)
    except Exception as error:  # all others are faults
        return Outcome("traceback", f"{type(error).__name__}: {error}")
    if not target.exact:
        return Outcome("accepted", "")
    return Outcome("unchanged" if fingerprint(value) == whole else "silent change", "")


def damage(path: Path, rng: Random, others: list[Path]) -> str:
    """Damage a file in one way.

    **Arguments:** `others`, files whose content may be put there.

    **Returns:** what was done.
    """
    content = path.read_bytes()
    ways: list[Callable[[Path, bytes, Random], bytes | None]] = [*_BYTES, *_PLACES]
    ways += _OF.get(path.suffix, []) * 3
    way = rng.choice(ways)
    if rng.random() < 0.08:
        other = rng.choice(others)
        path.write_bytes(other.read_bytes())
        return f"content of {other.name}"
    changed = way(path, content, rng)
    if changed is not None:
        path.write_bytes(changed)
    return way.__name__.strip("_")


def restored(path: Path, content: bytes) -> None:
    """Put a file back, whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(content)


def _cut(path: Path, content: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(max(len(content), 1))]


def _flipped(path: Path, content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 3, 20])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwritten(path: Path, content: bytes, rng: Random) -> bytes:
    place, length = rng.randrange(len(content)), rng.choice([1, 4, 16, 200])
    filling = rng.choice([b"\0", b"\xff", b"9", b"{", b"[", b"\n", b'"', b"-"])
    return content[:place] + filling * length + content[place + length :]


def _digits(path: Path, content: bytes, rng: Random) -> bytes:
    places = [i for i, each in enumerate(content) if chr(each).isdigit()]
    changed = bytearray(content)
    if places:
        changed[rng.choice(places)] = ord(rng.choice("0123456789"))
    return bytes(changed)


def _inserted(path: Path, content: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    some = [b"\xff\xfe", b"\x1b[31m", "\N{RIGHT-TO-LEFT OVERRIDE}".encode(), b"[red]", b"NaN"]
    more = [b"1e999", b"9" * 5000, b"[" * 20_000, b"\r\n", b"{}", b"\0"]
    return content[:place] + rng.choice([*some, *more]) + content[place:]


def _emptied(path: Path, content: bytes, rng: Random) -> bytes:
    return rng.choice([b"", b"\n", b"{}", b"[]", b"null", b"\xef\xbb\xbf" + content])


def _doubled(path: Path, content: bytes, rng: Random) -> bytes:
    return content + rng.choice([content, b"\0" * 100, content[: len(content) // 2]])


def _missing(path: Path, content: bytes, rng: Random) -> None:
    if path.name in ("summary.json", "report.json"):
        return  # without it a run is unfinished, which is no damage
    path.unlink()


def _folder(path: Path, content: bytes, rng: Random) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path, content: bytes, rng: Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path, content: bytes, rng: Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(["/dev/zero", "nothing", path.name, "/dev/null", "."]))


_BYTES = [_cut, _cut, _flipped, _flipped, _flipped, _overwritten, _digits, _inserted]
_PLACES = [_emptied, _doubled, _missing, _folder, _pipe, _link]

_HUGE = [10**30, 10**400, -1, 0, 1e308, 1e-308, 2**31, 2**63, float("nan"), float("inf")]


def _strange(value: Any, rng: Random) -> Any:
    """Another value in the place of one."""
    deep: Any = 1
    for _ in range(rng.choice([3, 60, 400])):
        deep = [deep] if rng.random() < 0.5 else {"a": deep}
    swapped = [str(value), [value], {"a": value}, True, "", "x" * 10_000, -1, deep]
    near = [value + 1, value * 2, -value] if isinstance(value, int | float) else ["other"]
    return rng.choice([*swapped, *_HUGE, *near, *near])


def _altered(value: Any, rng: Random) -> Any:
    """Copy plain values with one of them changed, removed or added."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        key = rng.choice([*value])
        what = rng.random()
        if what < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if what < 0.15:
            return {**value, "more": 1}
        return {**value, key: _altered(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        i = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value[:i] + value[i + 1 :]
        return [*value[:i], _altered(value[i], rng), *value[i + 1 :]]
    return _strange(value, rng)


def _json(path: Path, content: bytes, rng: Random) -> bytes:
    return json.dumps(_altered(json.loads(content), rng)).encode()


def _lines(path: Path, content: bytes, rng: Random) -> bytes:
    lines = content.splitlines()
    i = rng.randrange(len(lines))
    lines[i] = json.dumps(_altered(json.loads(lines[i]), rng)).encode()
    if rng.random() < 0.2:
        lines.insert(0, rng.choice(lines))
    return b"\n".join(lines) + b"\n"


def _toml(path: Path, content: bytes, rng: Random) -> bytes:
    table = _altered(tomllib.loads(content.decode()), rng)
    try:
        return tomli_w.dumps(table).encode()
    except (TypeError, ValueError, AttributeError, RecursionError):
        return f"x = {'[' * 300}{']' * 300}\n".encode() + content


def _npz(path: Path, content: bytes, rng: Random) -> bytes:
    """Write an archive anew, with its right checksums, and one array that is another."""
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    name = rng.choice([*arrays])
    array = arrays[name]
    ways: list[Callable[[], Any]] = [
        lambda: arrays.pop(name),
        lambda: (
            arrays.update({name: array.astype(rng.choice(["f2", "f8", "i8", "c16", "?"]))})
            if array.dtype.kind in "fiub"
            else None
        ),
        lambda: arrays.update({name: array[None]}),
        lambda: arrays.update({name: array.reshape(-1)[:-1]}),
        lambda: arrays.update({name: np.zeros((0, *array.shape), array.dtype)}),
        lambda: arrays.update(more=array),
        lambda: arrays.update({name: np.asarray([name])}),
        lambda: arrays.update({name: arrays[rng.choice([*arrays])]}),
    ]
    if array.dtype.kind == "f" and array.size:
        number = rng.choice([np.nan, np.inf, 1e30, 0.5])
        ways += [lambda: np.put(array, rng.randrange(array.size), number)] * 8
    if array.dtype.kind in "iu" and array.size:
        ways += [lambda: np.put(array, 0, array.flat[0] + 1)] * 4
    rng.choice(ways)()
    written = io.BytesIO()
    (np.savez_compressed if rng.random() < 0.2 else np.savez)(written, **arrays)
    return written.getvalue()


def _bomb(path: Path, content: bytes, rng: Random) -> bytes:
    """An archive whose arrays are larger, or claim to be, than the file."""
    written = io.BytesIO()
    if rng.random() < 0.5:
        with np.load(io.BytesIO(content)) as file:
            arrays = {name: file[name] for name in file.files}
        arrays[rng.choice([*arrays])] = np.zeros(2**22)
        np.savez_compressed(written, **arrays)
        return written.getvalue()
    shape = rng.choice([(10**12,), (2**40, 2**40), (-1,), (10**5, 10**5)])
    header = io.BytesIO()
    fields = {"descr": rng.choice(["<f4", "|O", "<U9"]), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(written, "w") as archive:
        for name in ("q.npy", "t.npy", "notes.npy"):
            archive.writestr(name, header.getvalue())
    return written.getvalue()


_OF: dict[str, list[Callable[[Path, bytes, Random], bytes | None]]] = {
    ".json": [_json] * 4,
    ".jsonl": [_lines] * 4,
    ".toml": [_toml] * 4,
    ".npz": [_npz, _npz, _npz, _bomb],
}

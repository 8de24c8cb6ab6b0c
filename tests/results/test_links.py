"""Links in a run directory are not followed when files are written."""

from pathlib import Path

import pytest

from lagdyna import UserError
from lagdyna.results import check_links, write_json_lines, write_text


def test_writing_replaces_a_link_and_leaves_what_it_points_to(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("metrics.jsonl", "config.toml"):
        (run / name).symlink_to(mine)
    check_links(run)
    write_json_lines(run / "metrics.jsonl", [{"a": 1}])
    write_text(run / "config.toml", "seed = 1")
    assert mine.read_text() == "mine"
    assert (run / "metrics.jsonl").read_text() == '{"a": 1}\n'
    assert not (run / "config.toml").is_symlink()


@pytest.mark.parametrize("place", ["checkpoint", "seed-0/checkpoint"])
@pytest.mark.parametrize("to", ["elsewhere", "nowhere", "."])
def test_a_link_to_a_directory_is_refused(tmp_path: Path, place: str, to: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    run = tmp_path / "run"
    (run / place).parent.mkdir(parents=True)
    (run / place).symlink_to(to if to == "." else tmp_path / to)
    with pytest.raises(UserError, match=r"checkpoint' is a link, which is not followed"):
        check_links(run)

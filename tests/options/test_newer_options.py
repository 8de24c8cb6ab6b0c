"""Stored configs that lack options which are newer than they are."""

import tomllib

import pytest

from lagdyna import UserError
from lagdyna.config import Config, FitConfig
from lagdyna.options import check_unchanged, config_to_toml, with_newer_options


@pytest.mark.parametrize(
    ("config", "section", "option"),
    [
        (Config().resolved(), "reward", "known"),
        (Config().resolved(), "agent", "horizon"),
        (Config(agent="dyna").resolved(), "agent.algorithm", "rate"),
        (FitConfig(data="log.npz"), "data", "validation"),
    ],
)
def test_an_option_that_a_stored_config_lacks_has_its_default(
    config: Config | FitConfig, section: str, option: str
) -> None:
    now, before = (tomllib.loads(config_to_toml(config)) for _ in range(2))
    table = before
    for name in section.split("."):
        table = table[name]
    del table[option]
    check_unchanged("run", with_newer_options(before, config), now)
    with pytest.raises(UserError, match=rf"`{section}.{option}` was None"):
        check_unchanged("run", before, now)
    table[option] = 77
    with pytest.raises(UserError, match=rf"`{section}.{option}` was 77"):
        check_unchanged("run", with_newer_options(before, config), now)

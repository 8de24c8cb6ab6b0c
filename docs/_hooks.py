"""MkDocs hooks: what the code itself can say goes into the pages when they are built."""

from typing import Any

from lagdyna.cli._main import app
from lagdyna.experiments import Config, DataConfig, FitConfig, config_to_toml


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Fills in the whole default configs and the usage of every command."""
    defaults, usage = "<!-- default config -->", "<!-- usage of every command -->"
    if defaults in markdown:
        toml = f"```toml\n{config_to_toml(Config())}```"
        markdown = markdown.replace(defaults, toml)
    if (fit_defaults := "<!-- default fit config -->") in markdown:
        toml = config_to_toml(FitConfig(data=DataConfig(file="data.npz")))
        markdown = markdown.replace(fit_defaults, f"```toml\n{toml}```")
    if usage in markdown:
        text = app.generate_docs(output_format="markdown", heading_level=2)
        # One level up, and without the overview that the page's own contents give.
        text = text[text.index("### lagdyna train") :].replace("### lagdyna", "## lagdyna")
        markdown = markdown.replace(usage, text)
    return markdown

import difflib
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from .._errors import UserError
from ._describe import FAMILIES, Option, Variant, describe_part, describe_variant
from ._options import Location, Name
from ._print import console, say, write_list

_PARTS = (*FAMILIES, "solver")


PartName = Annotated[
    str | None,
    Parameter(show_default=False, help=f"One of {', '.join(_PARTS)}; all by default."),
]


def parts(part: PartName = None, name: Name = None, /, *, out: Location = None) -> None:
    """List the parts of a config, their variants, and the options of a variant.

    Parameters
    ----------
    name
        A variant whose options are listed: a name, or FILE.py:NAME for a part of your own.
    out
        A new or empty directory for parts.json, with the options of each variant.
    """
    if part is not None and part not in _PARTS:
        near = difflib.get_close_matches(part, _PARTS, n=1, cutoff=0.5)
        hint = f"nearest: {near[0]}; " if near else ""
        raise UserError(f"`part` was {part!r}; {hint}accepted: {', '.join(_PARTS)}")
    if part is not None and name is not None:
        variants = [describe_variant(part, name)]
    else:
        shown = _PARTS if part is None else (part,)
        variants = [each for one in shown for each in describe_part(one)]
    rows = [{**v._asdict(), "options": [o._asdict() for o in v.options]} for v in variants]
    write_list(out, "parts.json", rows)
    if name is not None:
        _print_variant(variants[0])
        return
    _print_list(variants)
    say("`lagdyna parts PART NAME` lists the options of one; NAME may be FILE.py:NAME.")


def _print_list(variants: Sequence[Variant]) -> None:
    """Print the variants of some parts, a line each."""
    # One width for all parts, so that the columns are aligned; names are never cut.
    width = max(len(each.name) for each in variants)
    for part in dict.fromkeys(each.part for each in variants):
        columns = Column(no_wrap=True, min_width=width), Column(overflow="fold")
        table = Table(*columns, box=None, show_header=False, padding=(0, 2))
        for each in variants:
            if each.part == part:
                default = " (default)" if each.default else ""
                table.add_row(Text(each.name), Text(_bare(each.summary) + default))
        console.print(Text(part, style="bold"))
        console.print(table)


def _print_variant(variant: Variant) -> None:
    """Print the description of a variant and of each of its options."""
    default = " (default)" if variant.default else ""
    console.print(Text(f"{variant.part} {variant.name}{default}", style="bold"), soft_wrap=True)
    if variant.text:
        console.print(Text(_bare(variant.text)))
    for option in variant.options:
        line = Text(f"--{option.name}", style="bold").append(f"  {_facts(option)}", style="dim")
        console.print(line, soft_wrap=True)
        if option.text:
            console.print(Padding(Text(_bare(option.text)), (0, 0, 0, 4)))
    if not variant.options:
        say("It has no options.")


def _facts(option: Option) -> str:
    """Describe the accepted values and the default of an option."""
    if option.required:
        return f"{option.type}; required"
    if option.default is None:
        return option.type
    value = option.default
    shown = str(value).lower() if isinstance(value, bool) else value
    return f"{option.type}; {'none' if shown == [] else shown} by default"


def _bare(text: str) -> str:
    """Remove the marks of code."""
    return text.replace("`", "")

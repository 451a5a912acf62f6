"""The flag by which the commands of the laboratory draw a picture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def picture_flag(*names: str) -> Callable[[_Command], _Command]:
    """The flag under other names, for a command whose `--output` is something else."""
    return click.option(
        *names,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Draw a picture too, .png or .svg.",
    )


picture_option = picture_flag("--output", "-o")

"""The flag by which the commands of the laboratory draw a picture."""

from pathlib import Path

import click

picture_option = click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw a picture too, .png or .svg.",
)

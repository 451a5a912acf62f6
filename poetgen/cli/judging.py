"""The flag by which a classifier takes part in choosing among drafts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from poetgen.errors import PoetgenError

if TYPE_CHECKING:
    from poetgen.writing.poet import Poet

judge_option = click.option(
    "--judge",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Of the drafts prefer those that this classifier of poetgen lab classify takes for "
    "--style.",
)


def use_judge(poet: Poet, folder: Path | None, *, style: str | None, rank: bool) -> None:
    """Let the classifier in a folder take part, where there is one.

    Raises:
        PoetgenError: There is nothing for it to judge by, or nothing to choose.
    """
    if folder is None:
        return
    if not style:
        raise PoetgenError(
            f"--judge {folder} needs --style", hint="say whose manner it is to judge: --style 唐"
        )
    if not rank:
        raise PoetgenError(
            f"--judge {folder} does not go with --no-rank",
            hint="it ranks drafts; leave one of them out",
        )
    from poetgen.lab.manner import manner_by

    poet.manner = manner_by(folder)

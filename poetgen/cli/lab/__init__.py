"""`poetgen lab`: what recurrent networks do, made visible; one file a command."""

from __future__ import annotations

import click

from poetgen.cli.lab.gates import gates


@click.group()
def lab() -> None:
    """See what a recurrent network does: its gates.

    \b
    poetgen lab gates my-run 小窗灯火夜读书
    """  # noqa: D301


lab.add_command(gates)

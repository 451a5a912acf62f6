"""`poetgen lab`: what recurrent networks do, made visible; one file a command."""

from __future__ import annotations

import click

from poetgen.cli.lab.attention import attention
from poetgen.cli.lab.classify import classify
from poetgen.cli.lab.compare import compare
from poetgen.cli.lab.exposure import exposure
from poetgen.cli.lab.gates import gates
from poetgen.cli.lab.gradients import gradients
from poetgen.cli.lab.rtrl import rtrl


@click.group()
def lab() -> None:
    """See what a recurrent network does: its gates, its gradients.

    \b
    poetgen lab compare --steps 100              cells trained on equal terms
    poetgen lab exposure my-run                  what it loses on its own writing
    poetgen lab gates my-run 小窗灯火夜读书      what its gates do over a line
    poetgen lab attention my-run 白日依山尽，黄河入海流。    where a seq2seq model looks
    poetgen lab classify --encoder tree          tell poems apart, by dynasty or form
    poetgen lab gradients                        how far back a gradient reaches, per cell
    poetgen lab rtrl                             a gradient carried forward in time
    """  # noqa: D301


lab.add_command(attention)
lab.add_command(compare)
lab.add_command(classify)
lab.add_command(exposure)
lab.add_command(gates)
lab.add_command(gradients)
lab.add_command(rtrl)

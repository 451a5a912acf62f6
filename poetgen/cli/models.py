"""`poetgen models`: the trained models there are, the card of one, and what makes one ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from poetgen.cli.card import card
from poetgen.cli.console import clean, messages, output, print_json
from poetgen.cli.packing import pack

if TYPE_CHECKING:
    from rich.table import Table

    from poetgen.checkpoint import CheckpointSummary


class _Models(click.Group):
    """A group whose first argument may also be the name of a model, or nothing."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Models, short_help="List the trained models, show one, make one ship.")
def models() -> None:
    """List the trained models, or show the card of one.

    \b
    poetgen models                 all that a name can mean
    poetgen models lstm            one: read whole, verified, and shown
    poetgen models my-run --json   the same for a script
    poetgen models pack my-run --output small
    poetgen models card my-run -o card.md
    """  # noqa: D301


models.add_command(pack)
models.add_command(card)


@models.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(name: str | None, as_json: bool) -> None:
    """List the trained models, or show one; the word `show` may be left out.

    \b
    poetgen models show            all that a name can mean
    poetgen models show lstm       one: its card, or its facts where it has none
    """  # noqa: D301
    from poetgen import checkpoint

    if name is None:
        found = checkpoint.list_checkpoints()
        if as_json:
            for summary in found:
                print_json(_record(summary))
        elif found:
            _print_table(found)
        else:
            messages().print(
                "No models yet. Train one in a minute:\n"
                "poetgen train --corpus sample --preset tiny --output my-model"
            )
        return
    loaded = checkpoint.load_checkpoint(name)
    summary = checkpoint.summary_of(loaded.folder)
    card = loaded.folder / checkpoint.CARD
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    if as_json:
        print_json({**_record(summary), "config": loaded.config, "card": text})
    elif text:
        _print_card(text)
    else:
        _print_facts(summary)


def _record(summary: CheckpointSummary) -> dict[str, Any]:
    """A summary as `--json` gives it."""
    model = summary.model
    return {
        "name": summary.name,
        "folder": str(summary.folder.resolve()),
        "where": summary.where,
        "cell": model and model.cell,
        "num_layers": model and model.num_layers,
        "hidden_size": model and model.hidden_size,
        "embedding_size": model and model.embedding_size,
        "parameters": model and model.parameter_count(),
        "vocabulary": model and model.vocabulary_size,
        "tokenizer": summary.config.get("tokenizer"),
        "script": summary.config.get("script"),
        "corpus": summary.config.get("corpus", {}).get("name"),
        "validation_perplexity": summary.figures.get("validation_perplexity"),
        "figures": summary.figures,
        "problem": summary.problem,
    }


def _print_table(found: list[CheckpointSummary]) -> None:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    rows = []
    for summary in found:
        record = _record(summary)
        known = summary.model is not None
        values = (
            summary.name,
            record["cell"] or "?",
            f"{record['num_layers']}×{record['hidden_size']}" if known else "?",
            _millions(record["parameters"]) if known else "?",
            str(record["corpus"] or "?"),
            "" if summary.problem else _perplexity(record),
            summary.where,
        )
        rows.append([clean(value) for value in values])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), collapse_padding=True)
    for i, heading in enumerate(
        ("name", "cell", "size", "parameters", "corpus", "perplexity", "where")
    ):
        # In a narrow terminal the headings, names and places fold, the figures do not.
        figure = heading not in ("name", "corpus", "where")
        table.add_column(
            heading,
            justify="right" if heading in ("parameters", "perplexity") else "left",
            overflow="fold",
            min_width=max(cell_len(row[i]) for row in rows) if figure else None,
        )
    for row in rows:
        table.add_row(*map(Text, row))
    _print_unfolded(table)
    for summary in found:
        if summary.problem:
            messages().print(Text(f"{clean(summary.name)}: {clean(summary.problem)}", "yellow"))


def _print_card(text: str) -> None:
    lines = "\n".join(map(clean, text.split("\n")))
    if not output().is_terminal:
        click.echo(lines)
        return
    from rich.markdown import Markdown

    output().print(Markdown(lines))


def _print_facts(summary: CheckpointSummary) -> None:
    from rich.table import Table
    from rich.text import Text

    record = _record(summary)
    corpus = summary.config["corpus"]
    facts = {
        "name": summary.name,
        "folder": record["folder"],
        "network": summary.model.described() if summary.model else "?",
        "parameters": f"{record['parameters']:,}",
        "vocabulary": f"{record['vocabulary']:,} tokens ({record['tokenizer']}), "
        f"{record['script']}",
        "corpus": f"{corpus.get('name', '?')}, {corpus.get('poems', '?')} poems, licence "
        f"{corpus.get('licence') or 'not stated'}",
        "perplexity": f"{_perplexity(record)} a character (validation)",
        **{
            name.replace("_", " "): _fact(value)
            for name, value in summary.figures.items()
            if name != "validation_perplexity"
        },
        "made by": f"poetgen {summary.config['poetgen_version']}",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in facts.items():
        table.add_row(Text(clean(name), "bold"), Text(clean(value)))
    _print_unfolded(table)


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_fact(of)}" for name, of in value.items())
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _print_unfolded(table: Table) -> None:
    """Print a table; into a pipe, which has no width, no name is cut or folded."""
    console = output()
    if not console.is_terminal:
        console.width = console.measure(table, options=console.options.update(width=10_000)).maximum
    console.print(table)


def _perplexity(record: dict[str, Any]) -> str:
    value = record["validation_perplexity"]
    return f"{value:.2f}" if isinstance(value, int | float) else "?"


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 100_000 else f"{count:,}"

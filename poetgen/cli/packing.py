"""`poetgen models pack`: from a training run to a folder that ships."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console

if TYPE_CHECKING:
    from poetgen.shipping.packing import Packed


@click.command(short_help="Make a small folder of a training run.")
@click.argument("run")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="The folder to make.",
)
@click.option(
    "--storage",
    type=click.Choice(["int8", "float16", "float32"]),
    default="int8",
    show_default=True,
    help="How weights are kept: a byte a number, two, or four.",
)
@click.option(
    "--measure",
    metavar="N",
    type=click.IntRange(1),
    help="Also measure what the storage costs, on N test poems.",
)
@click.option("--force", is_flag=True, help="Replace a packed model that is there.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def pack(
    run: str, output: Path, storage: str, measure: int | None, force: bool, as_json: bool
) -> None:
    """Make a small folder of a training run: its final weights, nothing of the training.

    \b
    poetgen models pack my-run --output checkpoints/lstm
    poetgen models pack my-run --output small --storage float16 --measure 500

    The run is left as it is; the folder needs no corpus and nothing else to write poems.
    """  # noqa: D301
    from poetgen.checkpoint import load_checkpoint
    from poetgen.shipping.packing import pack as pack_run

    checkpoint = load_checkpoint(run)
    measured: dict[str, Any] = {}
    if measure is not None:
        from poetgen.shipping.measuring import cost_of_storage

        measured = cost_of_storage(checkpoint, storage, measure)
    packed = pack_run(checkpoint, output, storage, force=force, measured=measured)
    _print(packed, storage, measured, as_json=as_json)


def _print(packed: Packed, storage: str, measured: dict[str, Any], *, as_json: bool) -> None:
    from poetgen.shipping.packing import MOST_BYTES

    if as_json:
        console.print_json(
            {
                "folder": str(packed.folder),
                "storage": storage,
                "bytes": packed.total,
                "files": {
                    name: {"before": before, "after": after}
                    for name, (before, after) in packed.sizes.items()
                },
                "relative_error": packed.relative_error,
                **measured,
            }
        )
    else:
        click.echo(console.clean(str(packed.folder)))
        for name, (before, after) in packed.sizes.items():
            was = "" if before == after else f"  (was {before:,})"
            click.echo(f"  {name:20}{after:>12,} bytes{was}")
        click.echo(f"  {'in all':20}{packed.total:>12,} bytes")
        click.echo(f"weights in {storage}, off by {packed.relative_error:.2%} (root mean square)")
        if measured:
            click.echo(
                f"perplexity {measured['perplexity']:,.2f} a character, before "
                f"{measured['perplexity_before']:,.2f}: {measured['perplexity_loss']:+.3%}, "
                f"on {measured['poems']:,} test poems"
            )
    if packed.total > MOST_BYTES:
        console.print_warning(
            f"{packed.total:,} bytes: what ships with poetgen has at most {MOST_BYTES:,}"
        )

"""Whether a recurrent network can be trained as fast as its matrix products.

1. Real tokens a second of `Trainer` with each cell, and of each the ratio to the lstm and the gru
   in the same run: the cells take turns, a step each.
2. The layers alone, forward and backward: GFLOP/s of their matrices, and what share that is of one
   matrix product of the same size on this machine. A GRU's recurrent products are of B rows and
   wait for each other; those of mingru, minlstm and output are of B x T rows.

    python -m benchmarks.cells              some five minutes on an idle core
    python -m benchmarks.cells --quick      a small network, to see that it runs

Times are of the processor (one thread), not of the clock, so that a busy machine disturbs them
less; the share of a product is still of an idle one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.training_speed import (
    PRODUCTS,
    VOCABULARY,
    made_up_corpus,
    trainer_steps,
)
from poetgen.models.cells import CELLS, cell_named
from poetgen.models.config import ModelConfig
from poetgen.training.options import preset_named

PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small network, few rounds")
    parser.add_argument("--rounds", type=int, help="of each comparison")
    parser.add_argument(
        "--cells", default=",".join(CELLS), help=f"which  [default: {','.join(CELLS)}]"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rounds = arguments.rounds or (3 if arguments.quick else 20)
    size = dict(preset_named("tiny" if arguments.quick else "small").model) | {"dropout": 0.0}
    cells = [cell_named(name).name for name in arguments.cells.split(",")]
    console = Console()
    console.print(steps_table(cells, size, rounds, poems=4_000 if arguments.quick else 40_000))
    console.print(layers_table(cells, size, rounds))
    console.print(
        f"embedding {size['embedding_size']}, hidden {size['hidden_size']}, vocabulary "
        f"{VOCABULARY}; torch {torch.__version__}, one thread"
    )


def steps_table(cells: list[str], size: dict[str, Any], rounds: int, poems: int) -> Table:
    """Tokens a second of whole training steps, and their ratio to those of lstm and gru."""
    corpus = made_up_corpus(poems)
    table = Table("cell", "precision", "tokens/s", "to lstm", "to gru")
    for dtype in PRODUCTS:
        precision = PRECISIONS[dtype]
        sides = {
            cell: trainer_steps(
                corpus, ModelConfig(cell=cell, vocabulary_size=VOCABULARY, **size), precision
            )
            for cell in cells
        }
        speeds: dict[str, list[float]] = {cell: [] for cell in cells}
        for turn in range(rounds + 2):  # The first two to warm up.
            for cell, side in sides.items():
                start = time.process_time()
                tokens = next(side)
                if turn >= 2:
                    speeds[cell].append(tokens / (time.process_time() - start))
        for cell in cells:
            table.add_row(
                cell,
                precision,
                f"{statistics.median(speeds[cell]):,.0f}",
                *(_ratio(speeds, cell, other) for other in ("lstm", "gru")),
            )
    return table


def _ratio(speeds: dict[str, list[float]], cell: str, other: str) -> str:
    """The median over the turns, in each of which both had the same batch."""
    if other not in speeds:
        return ""
    pairs = zip(speeds[cell], speeds[other], strict=True)
    return f"{statistics.median(a / b for a, b in pairs):.2f}"


def layers_table(cells: list[str], size: dict[str, Any], rounds: int) -> Table:
    """GFLOP/s of a layer, forward and backward, and its share of a plain product's."""
    E, H = size["embedding_size"], size["hidden_size"]
    table = Table("GFLOP/s, B x T", *cells, "matrix product")
    for (B, T), dtype in product(((30, 33), (15, 65)), PRODUCTS):
        left, right = torch.randn(B * T, E).to(dtype), torch.randn(E, 4 * H).to(dtype)
        jobs: dict[str, tuple[Callable[[], object], float]] = {
            cell: layer_job(cell, B, T, E, H, dtype) for cell in cells
        }
        jobs["matrix product"] = (partial(torch.mm, left, right), 2.0 * left.numel() * 4 * H)
        times: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(rounds + 1):
            for name, (job, _work) in jobs.items():
                start = time.process_time()
                job()
                times[name].append(time.process_time() - start)
        speeds = {
            name: work / statistics.median(times[name][1:]) / 1e9
            for name, (_, work) in jobs.items()
        }
        most = speeds["matrix product"]
        table.add_row(
            f"{B} x {T}, {PRECISIONS[dtype]}",
            *(f"{speeds[cell]:.0f} ({speeds[cell] / most:.0%})" for cell in cells),
            f"{most:.0f}",
        )
    return table


def layer_job(
    cell: str, B: int, T: int, E: int, H: int, dtype: torch.dtype
) -> tuple[Callable[[], object], float]:
    """A pass of a layer there and back, and the operations of its matrices in it."""
    layer = cell_named(cell).build(ModelConfig(cell, 9, E, H))
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.03)
    weights = sum(p.numel() for p in layer.parameters() if p.dim() == 2)
    inputs, gradient = torch.randn(B, T, E, requires_grad=True), torch.randn(B, T, H)

    def job() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            outputs = layer(inputs)[0]
        torch.autograd.backward(outputs, gradient)

    # Two operations a weight and token, and twice as much again on the way back.
    return job, 6.0 * B * T * weights


if __name__ == "__main__":
    main()

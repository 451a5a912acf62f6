"""The program of one session: `python -m poetgen.serving.session DRAFTS BOOK MODEL`.

It is a studio that keeps its drafts in a folder of its own, and its poems in the book that it is
given; an empty BOOK or MODEL is the one that `poetgen studio` takes. The server starts it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from poetgen.book.store import Book
from poetgen.studio.app import Studio


def main(drafts: str, book: str, model: str) -> int:
    """Run the studio until it is left, or the server asks or ends.

    Returns:
        The exit status: 1 where drafts could not be kept.
    """
    app = Studio(model, drafts=Path(drafts), book=Book(Path(book)) if book else None)
    try:
        app.run()
    finally:
        trouble = app.end()
    if trouble:
        sys.stderr.write(f"{trouble}\n")
    return 1 if trouble else app.return_code or 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Some of a split's poems as a split of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.vocabulary import UNK


def select_poems(
    split: EncodedSplit, forms: Sequence[str] = (), limit: int | None = None
) -> EncodedSplit:
    """Choose poems by form, in the order of the split.

    Args:
        split: The poems; itself comes back when all are chosen.
        forms: Names of forms; empty for all.
        limit: Keep the first so many of them; None for all.
    """
    codes = [code for code, name in enumerate(split.form_names) if not forms or name in forms]
    chosen = np.flatnonzero(np.isin(split.forms, codes))[:limit]
    if len(chosen) == len(split):
        return split
    starts, ends = split.offsets[chosen], split.offsets[chosen + 1]
    offsets = np.concatenate(([0], np.cumsum(ends - starts)))
    # A poem's places in the old row of ids: its place in the new row, moved by as much as it moved.
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], ends - starts)
    ids = split.ids[places]
    return EncodedSplit(
        name=split.name,
        ids=ids,
        offsets=offsets,
        characters=split.characters[chosen],
        forms=split.forms[chosen],
        form_names=split.form_names,
        unknown=int((ids == UNK).sum()),
        contexts=None if split.contexts is None else split.contexts[chosen],
    )

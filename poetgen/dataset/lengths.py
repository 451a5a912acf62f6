"""How a poem's length is said: by a token of its own, the first that is written after `<bos>`.

A model that is trained with `--stop length` decides how long its poem will be before it writes any
of it. In what it reads, the length n, in tokens, stands between `<bos>` and the text:

    [context] <bos> n x_1 … x_n <eos>

So the length is one token of the poem like the others. The loss and the perplexity count its nats
without knowing of it; the sampler draws it with the poem's own seed; and where a form is asked for,
it is given, as the context is. As nothing but a length can stand there, it needs no ids of its own:
after `<bos>`, the id after the specials means 1, the next 2, and so on. The last means "as many or
more".
"""

from __future__ import annotations

from poetgen.dataset.vocabulary import SPECIALS

LONGEST = 200
"""The length from which on poems are of one length, "as many or more": 200 tokens. Of the poems of
chinese-poetry, 2.6 % are as long."""

FIRST = len(SPECIALS)
"""The id that means a length of 1."""


def lengths_known(vocabulary_size: int) -> int:
    """How many lengths a vocabulary has ids for, the last of which means "as many or more"."""
    return min(LONGEST, vocabulary_size - FIRST)


def length_id(tokens: int, vocabulary_size: int) -> int:
    """The id that says that a poem has so many tokens, `<bos>` and `<eos>` not counted.

    Args:
        tokens: At least 1.
        vocabulary_size: Of the model.
    """
    return FIRST - 1 + max(1, min(tokens, lengths_known(vocabulary_size)))

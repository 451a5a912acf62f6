"""The recursive network: one function that puts two neighbours together, up a balanced binary tree.

A recurrent network reads n tokens in n steps, and the first must survive n - 1 of them. A recursive
one (Socher et al. 2011, https://icml.cc/2011/papers/125_icmlpaper.pdf; Socher et al. 2013,
https://aclanthology.org/D13-1170; Goodfellow, Bengio & Courville 2016, ch. 10.6,
https://www.deeplearningbook.org) makes a vector of the same kind of any two,

    leaf_t = tanh(V x_t + c)
    parent = tanh(W [left; right] + b)

with one W for all nodes. Socher's trees come from a parser. Here the tree is the same for all texts
of a length and needs none: neighbours are put together two by two, the results two by two again,
until one is left. So between any token and the root there are at most ⌈log₂ n⌉ steps, where the
recurrent network has n: 5 in place of 20 for a quatrain of five. What it gives up is that a node
knows where in the text it is: two texts of one length are put together alike, and a parent begins
at whatever place its number falls on.

A level with an odd number of nodes hands its last one up unchanged.

    1  2  3  4  5        n = 5
    └┬─┘  └┬─┘  │
     12    34   5
     └──┬──┘    │
       1234     5
        └───┬───┘
          12345          3 = ⌈log₂ 5⌉ levels above the leaves

Texts of unlike length stand in one batch, padded on the right: the nodes of a level are made all at
once, and one whose right half is padding is its left half unchanged. So padding never enters a
node, and a text that is done early waits in its place at the left.

W starts as ½[I I] and a little noise (as in Socher, Bauer, Manning & Ng 2013,
https://aclanthology.org/P13-1045): a parent is at first about the mean of its children, and the
gradient reaches every leaf.

Shapes: B texts side by side, S tokens of the longest, E embedding_size, H hidden_size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poetgen.models.dropout import locked_dropout
from poetgen.models.encoder import EMBEDDING_SCALE, Encoded

_NOISE = 0.01


class Compose(nn.Module):
    """Makes a parent of two children.

    Args:
        size: H.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.children_to_parent = nn.Linear(2 * size, size)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """(…, H) and (…, H) to (…, H)."""
        return torch.tanh(self.children_to_parent(torch.cat((left, right), dim=-1)))


class TreeEncoder(nn.Module):
    """Reads texts up a balanced binary tree.

    Args:
        vocabulary_size: Number of tokens.
        embedding_size: Width of a token's vector.
        hidden_size: Width of a node's.
        dropout: Share of units dropped in training on the way into the leaves and out of the root,
            and of the leaves the same units in all.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.output_size = hidden_size
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.leaf = nn.Linear(embedding_size, hidden_size)
        self.compose = Compose(hidden_size)

    def forward(self, ids: Tensor, lengths: Tensor) -> Encoded:
        """Read texts.

        Args:
            ids: (B, S) int64, padded on the right with any id.
            lengths: (B,) int64, tokens of each text, from 1 to S.

        Returns:
            As outputs the leaves, (B, S, H), whatever stands at the padding; as last the roots,
            (B, H).
        """
        leaves = torch.tanh(self.leaf(self._drop(self.embedding(ids))))  # (B, S, H)
        root = self.climb(leaves, lengths).unsqueeze(1)  # (B, 1, H)
        return Encoded(leaves, self._drop(root).squeeze(1))

    def climb(self, nodes: Tensor, lengths: Tensor) -> Tensor:
        """From the leaves (B, S, H), of which each text has `lengths` (B,), to the roots (B, H)."""
        while nodes.shape[1] > 1:
            if nodes.shape[1] % 2:
                nodes = torch.cat((nodes, nodes[:, -1:]), dim=1)  # No text has a node there.
            left, right = nodes[:, 0::2], nodes[:, 1::2]
            # Of each parent, the place of its right child, and whether that is one of the text's.
            places = torch.arange(1, nodes.shape[1], 2, device=nodes.device)
            has_right = (places < lengths.unsqueeze(1)).unsqueeze(2)
            nodes = torch.where(has_right, self.compose(left, right), left)
            lengths = (lengths + 1) // 2
        return nodes[:, 0]

    def _drop(self, features: Tensor) -> Tensor:
        return locked_dropout(features, self.dropout) if self.training else features

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Give every parameter the value that training starts from.

        Args:
            generator: Where the numbers come from; None for torch's global one.
        """
        self.embedding.weight.normal_(0.0, EMBEDDING_SCALE, generator=generator)
        nn.init.xavier_uniform_(self.leaf.weight, generator=generator)
        self.leaf.bias.zero_()
        layer = self.compose.children_to_parent
        layer.weight.normal_(0.0, _NOISE, generator=generator)
        for half in layer.weight.chunk(2, dim=1):
            half.add_(0.5 * torch.eye(self.output_size))
        layer.bias.zero_()


def depth(length: int) -> int:
    """The levels above the leaves of a text of `length` tokens: ⌈log₂ length⌉."""
    return (length - 1).bit_length()

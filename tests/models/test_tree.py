"""The recursive network: a tree as deep as it should be, whatever it is batched with."""

import pytest
import torch
from torch import Tensor, nn

from poetgen.models.encoder import mask_of
from poetgen.models.tree import TreeEncoder, depth

V, E, H = 20, 4, 6


def make_tree(**options: float) -> TreeEncoder:
    tree = TreeEncoder(V, E, H, **options)
    tree.initialise(torch.Generator().manual_seed(1))
    return tree


def by_hand(tree: TreeEncoder, ids: Tensor) -> Tensor:
    """The root of one text (n,), put together node by node."""
    nodes = [torch.tanh(tree.leaf(tree.embedding(i))) for i in ids]
    while len(nodes) > 1:
        pairs = [tree.compose(*nodes[i : i + 2]) for i in range(0, len(nodes) - 1, 2)]
        nodes = pairs + nodes[len(pairs) * 2 :]
    return nodes[0]


class Height(nn.Module):
    """In place of what makes a parent: counts the levels under it, and how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        self.calls += 1
        return torch.maximum(left, right) + 1


@pytest.mark.parametrize("length", range(1, 34))
def test_a_tree_over_n_leaves_is_as_deep_as_the_logarithm_of_n(length: int) -> None:
    tree = make_tree()
    tree.compose = height = Height()  # type: ignore[assignment]
    # Padded, so that the batch has more levels than the text.
    root = tree.climb(torch.zeros(1, 40, 1), torch.tensor([length]))
    levels = 0
    while 2**levels < length:
        levels += 1
    assert root.item() == levels == depth(length)
    assert height.calls == 6  # ⌈log₂ 40⌉: each level is one product for the whole batch.


def test_every_leaf_reaches_the_root_once() -> None:
    tree = make_tree()

    class Add(nn.Module):
        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return left + right

    tree.compose = Add()  # type: ignore[assignment]
    lengths = torch.arange(1, 12)
    leaves = 2.0 ** torch.arange(11).expand(11, 11).unsqueeze(2)
    roots = tree.climb(leaves, lengths)
    assert roots.squeeze(1).tolist() == [2.0**n - 1 for n in range(1, 12)]


def test_a_batch_of_unlike_lengths_is_what_each_text_is_alone() -> None:
    tree = make_tree()
    lengths = torch.tensor([7, 1, 5, 2, 8])
    ids = torch.randint(V, (5, 11), generator=torch.Generator().manual_seed(0))
    other = torch.where(mask_of(lengths, 11), ids, (ids + 1) % V)
    roots = tree(ids, lengths).last
    assert torch.equal(roots, tree(other, lengths).last)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(roots[row], by_hand(tree, ids[row, :length]))


def test_the_order_of_two_tokens_matters() -> None:
    tree, ids = make_tree(), torch.tensor([[1, 2, 3, 4], [2, 1, 3, 4]])
    roots = tree(ids, torch.tensor([4, 4])).last
    assert not torch.allclose(roots[0], roots[1])


def test_at_the_start_the_gradient_reaches_every_leaf_about_alike() -> None:
    tree = TreeEncoder(V, E, 32)
    tree.initialise(torch.Generator().manual_seed(1))
    leaves = torch.tanh(torch.randn(1, 20, 32, generator=torch.Generator().manual_seed(2)))
    leaves.requires_grad_()
    (gradient,) = torch.autograd.grad(
        tree.climb(leaves, torch.tensor([20])).sum(), [leaves], materialize_grads=True
    )
    norms = gradient[0].norm(dim=1)
    # 16 leaves go through five parents, the last four through three: 1/32 against 1/8 of the root.
    assert norms[:16].min() / norms[:16].max() > 0.1
    assert norms.min() > 0


def test_dropout_acts_in_training_only() -> None:
    tree = make_tree(dropout=0.5)
    ids, lengths = torch.arange(8).view(1, 8), torch.tensor([8])
    torch.manual_seed(0)
    assert not torch.equal(tree(ids, lengths).last, tree(ids, lengths).last)
    tree.eval()
    assert torch.equal(tree(ids, lengths).last, tree(ids, lengths).last)

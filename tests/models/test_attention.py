"""Attention: its equations by hand, and that nobody sees what may not be seen."""

import math

import torch

from poetgen.models.attention import Attention

B, T, S, H, D, A = 2, 3, 4, 5, 6, 7


def made() -> tuple[Attention, torch.Tensor, torch.Tensor]:
    attention = Attention(H, D, A).double()
    attention.initialise(torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    states = torch.randn(B, T, H, generator=generator, dtype=torch.float64)
    source = torch.randn(B, S, D, generator=generator, dtype=torch.float64)
    return attention, states, source


@torch.no_grad()
def test_it_is_a_softmax_of_the_products_of_queries_and_keys() -> None:
    attention, states, source = made()
    taken, weights = attention(states, source, torch.ones(B, T, S, dtype=torch.bool))
    for b in range(B):
        for t in range(T):
            query = attention.query.weight @ states[b, t]
            scores = torch.stack([query @ (attention.key.weight @ source[b, s]) for s in range(S)])
            alpha = (scores / math.sqrt(A)).exp()
            alpha /= alpha.sum()
            torch.testing.assert_close(weights[b, t], alpha)
            torch.testing.assert_close(taken[b, t], alpha @ source[b])


@torch.no_grad()
def test_what_is_not_visible_counts_nothing_whatever_it_is() -> None:
    attention, states, source = made()
    visible = torch.ones(B, T, S, dtype=torch.bool)
    visible[:, 1, 2:] = False
    taken, weights = attention(states, source, visible)
    assert (weights[:, 1, 2:] == 0).all()
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(B, T, dtype=torch.float64))
    source[:, 2:] = 100.0
    torch.testing.assert_close(attention(states, source, visible)[0][:, 1], taken[:, 1])

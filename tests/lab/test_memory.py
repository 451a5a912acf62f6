import torch

from poetgen.lab.memory import peak_bytes

KB = 1000  # Numbers of one byte in a tensor below.


def _zeros() -> torch.Tensor:
    return torch.zeros(KB, dtype=torch.int8)


def test_what_is_dropped_counts_no_more_and_what_is_held_does() -> None:
    def dropping() -> None:
        for _ in range(5):
            _zeros()

    def holding() -> None:
        assert len([_zeros() for _ in range(5)]) == 5

    assert peak_bytes(dropping) == KB
    assert peak_bytes(holding) == 5 * KB


def test_views_count_once_and_what_was_given_not_at_all() -> None:
    given = _zeros()

    def run() -> None:
        own = _zeros()
        assert len([own[:10], own.view(10, -1), given[:10], given]) == 4

    assert peak_bytes(run, [given]) == KB


def test_what_autograd_keeps_for_the_way_back_is_held() -> None:
    x = torch.zeros(250, requires_grad=True)  # 1 kB.

    def run() -> None:
        y = x
        for _ in range(4):
            y = torch.tanh(y)  # Each result is kept: tanh' = 1 - tanh².
        assert y.grad_fn is not None

    assert peak_bytes(run, [x]) == 4 * KB

"""How many bytes of tensors a computation holds at most, on whatever device.

A process's own memory says little: allocators keep what was freed. Here every operation of torch is
seen from below (`__torch_dispatch__`), under autograd and `torch.func` alike, and the memory of
what it made is counted for as long as anything holds it: tensors in Python, and what autograd saved
for the way back. What an operation uses inside itself is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(run: Callable[[], object], given: Sequence[Tensor] = ()) -> int:
    """Run something, and say how many bytes of tensors were held at once at most.

    Args:
        run: What to run; its result is dropped.
        given: Tensors that it had before, so that views of them do not count.
    """
    watch = _Watch(given)
    with watch:
        run()
    return watch.peak


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._given = {tensor.untyped_storage()._cdata for tensor in given}
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak: int = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for made in tree_leaves(result):
            if isinstance(made, Tensor):
                storage = made.untyped_storage()
                if storage._cdata not in self._given:
                    weak = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                    self._held[storage._cdata] = weak, storage.nbytes()
        self._held = {
            key: (weak, size)
            for key, (weak, size) in self._held.items()
            if not weak.expired()  # type: ignore[no-untyped-call]
        }
        self.peak = max(self.peak, sum(size for _, size in self._held.values()))
        return result

"""Where the arithmetic happens, and with how many bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from poetgen.errors import TrainingError

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def device_named(name: str) -> torch.device:
    """The device of `--device`; auto takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        TrainingError: There is no such device here.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, here in present.items() if here)
    if name not in present:
        raise TrainingError(
            f"--device is '{name}'", hint=f"the devices are auto, {', '.join(present)}"
        )
    if not present[name]:
        raise TrainingError(
            f"--device {name}: this machine, or this build of torch, has none",
            hint="leave --device out, or give --device cpu",
        )
    return torch.device(name)


def precision_named(name: str, device: torch.device) -> torch.dtype:
    """The type of the matrix products of `--precision`; auto takes bf16 where it is fast.

    Raises:
        TrainingError: There is no such precision, or not on `device`.
    """
    if name == "auto":
        return torch.bfloat16 if _has_bf16(device) else torch.float32
    if name not in _PRECISIONS:
        raise TrainingError(
            f"--precision is '{name}'", hint=f"the precisions are auto, {', '.join(_PRECISIONS)}"
        )
    if name == "fp16" and device.type != "cuda":
        raise TrainingError(
            f"--precision fp16 does not go with --device {device.type}",
            hint="fp16 needs --device cuda; leave --precision out for the best there is here",
        )
    if name == "bf16" and not _has_bf16(device):
        raise TrainingError(
            f"--precision bf16 does not go with this machine's --device {device.type}",
            hint="half precision needs a GPU or a CPU with bf16 instructions (AVX512-BF16, AMX); "
            "leave --precision out",
        )
    return _PRECISIONS[name]


def _has_bf16(device: torch.device) -> bool:
    """Whether bf16 products are made by the hardware.

    torch makes them on every CPU with AVX-512, but where it has to imitate the instruction, they
    take longer than those of fp32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    # torch 2.6 cannot tell.
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))

"""Where the arithmetic happens, and with how many bits."""

from __future__ import annotations

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
    """The type of the products of `--precision`; auto takes bf16 where CUDA has it, else fp32.

    Raises:
        TrainingError: There is no such precision, or not on `device`.
    """
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    if name not in _PRECISIONS:
        raise TrainingError(
            f"--precision is '{name}'", hint=f"the precisions are auto, {', '.join(_PRECISIONS)}"
        )
    if name != "fp32" and device.type != "cuda":
        raise TrainingError(
            f"--precision {name} does not go with --device {device.type}",
            hint="half precision needs --device cuda",
        )
    return _PRECISIONS[name]

import pytest
import torch

from poetgen.errors import TrainingError
from poetgen.training.devices import device_named, precision_named

CPU = torch.device("cpu")


@pytest.fixture(params=[False, True], ids=["without-bf16", "with-bf16"])
def has_bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    has: bool = request.param
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": has}, raising=False
    )
    return has


def test_auto_takes_bf16_on_a_cpu_that_has_it_and_fp32_elsewhere(has_bf16: bool) -> None:
    assert precision_named("auto", CPU) == (torch.bfloat16 if has_bf16 else torch.float32)
    assert precision_named("auto", torch.device("mps")) == torch.float32
    assert precision_named("fp32", CPU) == torch.float32


def test_bf16_is_refused_where_the_cpu_would_imitate_it(has_bf16: bool) -> None:
    if has_bf16:
        assert precision_named("bf16", CPU) == torch.bfloat16
    else:
        with pytest.raises(TrainingError, match="--precision bf16") as error:
            precision_named("bf16", CPU)
        assert "a GPU or a CPU with bf16" in str(error.value.hint)


@pytest.mark.usefixtures("has_bf16")
def test_fp16_is_for_cuda_only() -> None:
    with pytest.raises(TrainingError, match="--precision fp16") as error:
        precision_named("fp16", CPU)
    assert "--device cuda" in str(error.value.hint)


def test_an_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="--precision is 'fp8'") as error:
        precision_named("fp8", CPU)
    assert "auto, fp32, bf16, fp16" in str(error.value.hint)


def test_an_unknown_or_absent_device_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="--device is 'tpu'"):
        device_named("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="--device cuda"):
        device_named("cuda")

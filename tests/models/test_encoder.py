"""The encoder: right in both directions, and blind to padding."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from poetgen.errors import TrainingError
from poetgen.models.encoder import Encoder, mask_of

CELLS = ("rnn", "lstm", "gru")
LENGTHS = torch.tensor([3, 7, 1, 5])
V, E, H = 20, 6, 5


def make_encoder(cell: str = "gru", **options: object) -> Encoder:
    encoder = Encoder(V, E, H, cell, **options)  # type: ignore[arg-type]
    encoder.initialise(torch.Generator().manual_seed(1))
    with torch.no_grad():  # Biases that are not zero, or a mistake with them could not be seen.
        for parameter in encoder.parameters():
            if parameter.dim() == 1:
                parameter.normal_(generator=torch.Generator().manual_seed(len(parameter)))
    return encoder


def make_ids(size: int = 7, seed: int = 0) -> Tensor:
    return torch.randint(V, (len(LENGTHS), size), generator=torch.Generator().manual_seed(seed))


def torchs_own(encoder: Encoder, cell: str, num_layers: int, bidirectional: bool) -> nn.RNNBase:
    """torch's layers with the encoder's parameters."""
    layers: nn.RNNBase = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell](
        E, H, num_layers, batch_first=True, bidirectional=bidirectional
    )
    ours = dict(encoder.named_parameters())
    with torch.no_grad():
        for name, parameter in layers.named_parameters():
            kind, layer = name.removesuffix("_reverse").rsplit("_l", 1)
            way = "back" if name.endswith("_reverse") else "onward"
            parameter.copy_(ours[f"{way}.{layer}.{kind}_l0"])
    return layers


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_it_equals_torchs_layers_over_packed_sequences(
    cell: str, num_layers: int, bidirectional: bool
) -> None:
    encoder = make_encoder(cell, num_layers=num_layers, bidirectional=bidirectional)
    layers = torchs_own(encoder, cell, num_layers, bidirectional)
    ids = make_ids()
    packed = pack_padded_sequence(
        encoder.embedding(ids), LENGTHS, batch_first=True, enforce_sorted=False
    )
    out, state = layers(packed)
    expected, _ = pad_packed_sequence(out, batch_first=True)
    h = state[0] if cell == "lstm" else state
    ways = 2 if bidirectional else 1
    expected_last = torch.cat(tuple(h[-ways:]), dim=1)

    encoded = encoder(ids, LENGTHS)
    torch.testing.assert_close(encoded.outputs, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(encoded.last, expected_last, rtol=1e-5, atol=1e-6)

    # So do the gradients of something that weighs every number differently.
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(3))
    found = torch.autograd.grad((encoded.outputs * weight).sum(), [encoder.embedding.weight])
    wanted = torch.autograd.grad((expected * weight).sum(), [encoder.embedding.weight])
    torch.testing.assert_close(found[0], wanted[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_nothing(cell: str) -> None:
    encoder = make_encoder(cell, num_layers=2)
    ids = make_ids(12)
    other = torch.where(mask_of(LENGTHS, 12), ids, (ids + 7) % V)
    full, changed, short = (
        encoder(ids, LENGTHS),
        encoder(other, LENGTHS),
        encoder(ids[:, :7], LENGTHS),
    )
    assert torch.equal(full.outputs, changed.outputs)
    assert torch.equal(full.last, changed.last)
    torch.testing.assert_close(full.outputs[:, :7], short.outputs)
    assert not full.outputs[~mask_of(LENGTHS, 12)].any()
    for row, length in enumerate(LENGTHS.tolist()):
        alone = encoder(ids[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(full.last[row], alone.last[0], rtol=1e-5, atol=1e-6)


def test_no_gradient_comes_from_padding() -> None:
    encoder = make_encoder("lstm")
    vectors = torch.randn(len(LENGTHS), 9, E, requires_grad=True)
    encoded = encoder.read(vectors, LENGTHS)
    (gradient,) = torch.autograd.grad(encoded.outputs.sum() + encoded.last.sum(), [vectors])
    real = mask_of(LENGTHS, 9)
    assert not gradient[~real].any()
    assert gradient[real].abs().sum(dim=1).min() > 0


def test_each_direction_sees_its_own_side_alone() -> None:
    encoder = make_encoder("gru")
    ids = make_ids()
    ids[1, 4] = 0
    before = encoder(ids, LENGTHS).outputs[1]
    ids[1, 4] = 1
    moved = (encoder(ids, LENGTHS).outputs[1] - before).abs().gt(1e-7)  # (S, 2 H)
    assert moved[:, :H].any(dim=1).tolist() == [t >= 4 for t in range(7)]
    assert moved[:, H:].any(dim=1).tolist() == [t <= 4 for t in range(7)]


def test_dropout_holds_for_a_text_and_acts_in_training_only() -> None:
    encoder = make_encoder("gru", dropout=0.5)
    ids = make_ids()
    encoder.train()
    torch.manual_seed(0)
    dropped = encoder(ids, LENGTHS).outputs[1] == 0  # (S, D)
    assert 0 < dropped.sum() < dropped.numel()
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    encoder.eval()
    assert (encoder(ids, LENGTHS).outputs[1] != 0).all()
    assert torch.equal(encoder(ids, LENGTHS).last, encoder(ids, LENGTHS).last)


def test_the_seed_decides_how_it_starts() -> None:
    def start(seed: int) -> Encoder:
        encoder = Encoder(V, E, H, "lstm")
        encoder.initialise(torch.Generator().manual_seed(seed))
        return encoder

    first, same, other = start(1).state_dict(), start(1).state_dict(), start(2).state_dict()
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])
    gate = first["back.0.weight_hh_l0"][:H]
    torch.testing.assert_close(gate @ gate.t(), torch.eye(H))
    assert first["onward.0.bias_ih_l0"].view(4, H).mean(dim=1).tolist() == [0, 1, 0, 0]


def test_an_unknown_cell_names_the_flag() -> None:
    with pytest.raises(TrainingError, match="--cell is 'bean'"):
        Encoder(V, E, H, "bean")

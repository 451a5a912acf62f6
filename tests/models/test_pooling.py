import torch

from poetgen.models.encoder import Encoded, mask_of
from poetgen.models.pooling import AttentionPooling, LastStep

B, S, D = 3, 6, 4
LENGTHS = torch.tensor([6, 1, 4])


def make_encoded(seed: int = 0) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    return Encoded(
        torch.randn(B, S, D, generator=generator), torch.randn(B, D, generator=generator)
    )


def test_the_last_step_is_where_the_encoder_ended() -> None:
    encoded = make_encoded()
    pooled, weights = LastStep()(encoded, mask_of(LENGTHS, S))
    assert torch.equal(pooled, encoded.last)
    assert weights is None


def test_attention_begins_as_the_plain_mean_of_the_real_tokens() -> None:
    pooling, encoded = AttentionPooling(D), make_encoded()
    pooling.initialise(torch.Generator().manual_seed(1))
    pooled, weights = pooling(encoded, mask_of(LENGTHS, S))
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(pooled[row], encoded.outputs[row, :length].mean(dim=0))
        torch.testing.assert_close(weights[row, :length], torch.full((length,), 1 / length))


def test_attention_is_the_formula_token_by_token_and_never_padding() -> None:
    pooling, encoded = AttentionPooling(D), make_encoded()
    pooling.initialise(torch.Generator().manual_seed(1))
    with torch.no_grad():
        pooling.query.normal_(0.0, 3.0, generator=torch.Generator().manual_seed(2))
        pooling.key.bias.normal_(generator=torch.Generator().manual_seed(3))
    encoded.outputs[~mask_of(LENGTHS, S)] = 1e6
    pooled, weights = pooling(encoded, mask_of(LENGTHS, S))
    assert not weights[~mask_of(LENGTHS, S)].any()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(B))
    W, b, v = pooling.key.weight, pooling.key.bias, pooling.query
    for row, length in enumerate(LENGTHS.tolist()):
        outputs = encoded.outputs[row, :length]
        scores = torch.stack([torch.dot(v, torch.tanh(W @ o + b)) for o in outputs]).exp()
        expected = sum(s * o for s, o in zip(scores / scores.sum(), outputs, strict=True))
        torch.testing.assert_close(pooled[row], expected)
    assert weights[0].max() > 1.2 / S  # Not the plain mean, which the test before has.

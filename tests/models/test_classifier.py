"""Many to one: every encoder and pooling learns what only a whole reading can tell."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from poetgen.errors import TrainingError
from poetgen.models.classifier import ENCODERS, TREE, Classifier, ClassifierConfig
from poetgen.models.encoder import mask_of

V, C = 12, 2

KINDS = [
    *(
        (cell, True, pooling)
        for cell in ("rnn", "lstm", "gru")
        for pooling in ("last", "attention")
    ),
    ("gru", False, "last"),
    ("gru", False, "attention"),
    (TREE, False, "last"),
]


def make_classifier(encoder: str, bidirectional: bool, pooling: str) -> Classifier:
    config = ClassifierConfig(
        encoder=encoder,
        bidirectional=bidirectional,
        pooling=pooling,
        vocabulary_size=V,
        classes=C,
        embedding_size=12,
        hidden_size=16,
        dropout=0.0,
    )
    model = Classifier(config)
    model.initialise(1)
    return model


def texts_of_order(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Texts that hold 1 and 2 once each, 1 first in half of them: which is their class.

    The same tokens stand in both classes, so no count of words can tell them apart.
    """
    B, S = 64, 9
    lengths = torch.randint(4, S + 1, (B,), generator=generator)
    ids = torch.randint(3, V, (B, S), generator=generator)
    labels = torch.randint(2, (B,), generator=generator)
    for row, length in enumerate(lengths.tolist()):
        first, second = torch.randperm(length, generator=generator)[:2].sort().values
        ids[row, first], ids[row, second] = (1, 2) if labels[row] == 0 else (2, 1)
    return ids, lengths, labels


@pytest.mark.parametrize(
    ("encoder", "bidirectional", "pooling"),
    [
        ("rnn", True, "last"),
        ("lstm", True, "attention"),
        ("gru", False, "last"),
        (TREE, False, "last"),
    ],
)
def test_it_learns_which_of_two_tokens_came_first(
    encoder: str, bidirectional: bool, pooling: str
) -> None:
    model = make_classifier(encoder, bidirectional, pooling)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(3)
    for _ in range(200):
        ids, lengths, labels = texts_of_order(generator)
        loss = functional.cross_entropy(model(ids, lengths), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    right = total = 0
    with torch.no_grad():
        for _ in range(5):
            ids, lengths, labels = texts_of_order(generator)
            right += int((model(ids, lengths).argmax(dim=1) == labels).sum())
            total += len(labels)
    # Of 320 guesses a coin has 160 right, and 200 never (4.5 standard deviations); it has 300.
    assert right / total > 0.9, right / total


@pytest.mark.parametrize(("encoder", "bidirectional", "pooling"), KINDS)
def test_padding_changes_no_score(encoder: str, bidirectional: bool, pooling: str) -> None:
    model = make_classifier(encoder, bidirectional, pooling).eval()
    ids, lengths, _ = texts_of_order(torch.Generator().manual_seed(0))
    more = torch.cat((ids, torch.full((len(ids), 5), 7)), dim=1)
    more = torch.where(mask_of(lengths, 14), more, (more + 1) % V)
    torch.testing.assert_close(model(ids, lengths), model(more, lengths), rtol=1e-5, atol=1e-6)
    alone = torch.cat(
        [model(ids[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate(lengths)]
    )
    torch.testing.assert_close(model(ids, lengths), alone, rtol=1e-4, atol=1e-5)


def test_attention_says_what_each_token_counted() -> None:
    ids, lengths, _ = texts_of_order(torch.Generator().manual_seed(0))
    _, weights = make_classifier("gru", True, "attention").attend(ids, lengths)
    assert weights is not None
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(ids)))
    assert make_classifier("gru", True, "last").attend(ids, lengths)[1] is None


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_config_survives_json(encoder: str) -> None:
    config = ClassifierConfig(
        encoder=encoder, bidirectional=False, vocabulary_size=V, classes=4, dropout=0.0
    )
    assert ClassifierConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({"encoder": "bean"}, ("--encoder is 'bean'",)),
        ({"pooling": "sum"}, ("--pooling is 'sum'",)),
        ({"encoder": TREE}, ("--bidirectional", "--encoder tree")),
        (
            {"encoder": TREE, "bidirectional": False, "pooling": "attention"},
            ("--pooling attention", "--encoder tree"),
        ),
        (
            {"encoder": TREE, "bidirectional": False, "num_layers": 2},
            ("--num-layers 2", "--encoder tree"),
        ),
        ({"hidden_size": 0}, ("--hidden-size is 0",)),
        ({"dropout": 1.0}, ("--dropout is 1.0",)),
    ],
)
def test_what_makes_no_sense_is_an_error_that_names_the_flags(
    values: dict[str, object], flags: tuple[str, ...]
) -> None:
    with pytest.raises(TrainingError) as caught:
        ClassifierConfig(vocabulary_size=V, **values)  # type: ignore[arg-type]
    assert all(flag in caught.value.message for flag in flags)


def test_a_config_of_a_damaged_file_is_an_error() -> None:
    good = ClassifierConfig(vocabulary_size=V).to_dict()
    for bad in (
        {**good, "colour": 1},
        {**good, "hidden_size": "8"},
        {**good, "bidirectional": 1},
        {name: value for name, value in good.items() if name != "classes"},
    ):
        with pytest.raises(TrainingError):
            ClassifierConfig.from_dict(bad)

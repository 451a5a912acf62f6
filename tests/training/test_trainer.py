"""Training: that it learns, what it reports, and that it stops well."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poetgen.checkpoint import load_checkpoint
from poetgen.dataset.batches import Batch, Batches
from poetgen.dataset.encoded import EncodedCorpus
from poetgen.dataset.runs import FILE as RUNS
from poetgen.dataset.runs import RunFilter
from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel
from poetgen.models.network import from_checkpoint, to_arrays
from poetgen.training import learner as learner_module
from poetgen.training import trainer as trainer_module
from poetgen.training.evaluation import perplexity
from poetgen.training.optimization import batch_loss, make_optimizer
from poetgen.training.options import TrainingOptions
from poetgen.training.progress import TrainingProgress
from poetgen.training.trainer import Trainer
from tests.training.grammar import WITH_MEMORY, WITHOUT_MEMORY, encoded

CPU = torch.device("cpu")


@pytest.fixture
def corpus(poetgen_home: Path) -> EncodedCorpus:
    return encoded(poems=200)


def make(
    corpus: EncodedCorpus,
    folder: Path,
    *,
    resume: bool = False,
    cell: str = "lstm",
    shape: Mapping[str, Any] | None = None,
    **options: Any,
) -> Trainer:
    if not {"steps", "epochs", "minutes"} & options.keys():
        options["steps"] = 20
    model = ModelConfig(
        cell=cell,
        vocabulary_size=len(corpus.vocabulary),
        embedding_size=16,
        hidden_size=32,
        **(shape or {}),
    )
    options = {
        "token_budget": 256,
        "learning_rate": 0.02,
        "device": "cpu",
        "threads": 1,
        "precision": "fp32",
        **options,
    }
    source = {"name": corpus.name, "content_hash": corpus.content_hash, "licence": "", "poems": 200}
    return Trainer(corpus, model, TrainingOptions(**options), folder, source=source, resume=resume)


def finish(trainer: Trainer) -> list[TrainingProgress]:
    with trainer:
        return list(trainer.run())


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def losses(folder: Path) -> list[tuple[int, str, str]]:
    return [
        (line["step"], line["loss"].hex(), line["gradient_norm"].hex()) for line in log_of(folder)
    ]


def validations(folder: Path) -> list[float]:
    lines = log_of(folder)
    return [line["validation_perplexity"] for line in lines if "validation_perplexity" in line]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])  # Of the others see test_cells.py.
def test_a_cell_learns_what_only_a_memory_can(
    cell: str, poetgen_home: Path, tmp_path: Path
) -> None:
    corpus = encoded(poems=2000)
    records = finish(
        make(corpus, tmp_path / "run", cell=cell, steps=400, token_budget=512, patience=0)
    )
    end = float(np.mean([record.loss for record in records[-20:]]))
    assert WITH_MEMORY - 0.05 < end < WITHOUT_MEMORY - 0.3
    validation = records[-1].validation
    assert validation is not None
    assert validation.nats / validation.tokens < WITHOUT_MEMORY - 0.3


def test_a_record_says_where_the_run_stands(corpus: EncodedCorpus, tmp_path: Path) -> None:
    records = finish(make(corpus, tmp_path / "run", epochs=2, validate_every=5))
    trainer = make(corpus, tmp_path / "run", epochs=2)
    total = records[0].total_steps
    assert total is not None
    assert [record.step for record in records] == list(range(1, total + 1))
    assert [record.share for record in records] == [step / total for step in range(1, total + 1)]
    assert [record.epoch for record in records] == [1] * (total // 2) + [2] * (total // 2)
    assert all(record.tokens_per_second > 0 for record in records)
    assert records[-1].seconds_left == 0
    validated = [record.step for record in records if record.validation is not None]
    assert validated == sorted({*range(5, total + 1, 5), total})
    assert records[4].is_best
    assert trainer.position.step == 0


def test_validation_comes_twenty_times_by_itself(corpus: EncodedCorpus, tmp_path: Path) -> None:
    records = finish(make(corpus, tmp_path / "run", steps=40, patience=0))
    assert [record.step for record in records if record.validation] == list(range(2, 41, 2))


def test_the_log_has_a_line_for_each_step(corpus: EncodedCorpus, tmp_path: Path) -> None:
    records = finish(make(corpus, tmp_path / "run", steps=6, validate_every=3))
    log = log_of(tmp_path / "run")
    assert [line["loss"] for line in log] == [record.loss for record in records]
    assert [line["learning_rate"] for line in log] == [record.learning_rate for record in records]
    assert ["validation_perplexity" in line for line in log] == [False, False, True] * 2
    assert log[2]["validation_perplexity"] == pytest.approx(
        math.exp(log[2]["validation_nats_per_character"])
    )


def test_a_trained_model_loads_with_the_weights_that_were_best(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    trainer = make(corpus, tmp_path / "run", steps=12, validate_every=4)
    finish(trainer)
    checkpoint = load_checkpoint(tmp_path / "run")
    best = min(
        (line for line in log_of(tmp_path / "run") if "validation_perplexity" in line),
        key=lambda line: float(line["validation_nats_per_character"]),
    )
    assert checkpoint.figures["step"] == best["step"] == trainer.position.best_step
    assert checkpoint.figures["validation_perplexity"] == best["validation_perplexity"]
    assert checkpoint.config["corpus"]["name"] == "grammar"
    assert checkpoint.config["training"]["steps"] == 12
    now = trainer.checkpoint()
    assert now.vocabulary == checkpoint.vocabulary
    if best["step"] == 12:
        assert all(np.array_equal(now.arrays[k], checkpoint.arrays[k]) for k in now.arrays)


def test_training_stops_when_validation_gets_no_better(
    corpus: EncodedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([3.0, 2.0, 2.5, 2.4, 9.9])

    class Measured:
        def __init__(self) -> None:
            self.nats_per_character = next(figures)
            self.per_character = math.exp(self.nats_per_character)
            self.poems = 1

    monkeypatch.setattr(trainer_module, "perplexity", lambda *_, **__: Measured())
    trainer = make(corpus, tmp_path / "run", steps=50, validate_every=2, patience=2)
    records = finish(trainer)
    assert [record.is_best for record in records if record.validation] == [True, True, False, False]
    assert trainer.finished
    assert trainer.position.step == 8
    assert load_checkpoint(tmp_path / "run").figures["step"] == 4
    # Told to be more patient, the finished run goes on.
    again = make(corpus, tmp_path / "run", steps=50, validate_every=2, patience=3, resume=True)
    assert [record.step for record in finish(again)] == [9, 10]


def test_a_finished_run_has_nothing_left_to_do(corpus: EncodedCorpus, tmp_path: Path) -> None:
    finish(make(corpus, tmp_path / "run", steps=5))
    before = losses(tmp_path / "run")
    trainer = make(corpus, tmp_path / "run", steps=5, resume=True)
    with trainer:
        assert trainer.finished
        assert list(trainer.run()) == []
    assert losses(tmp_path / "run") == before


def test_a_checkpoint_knows_its_training_lines_though_the_run_is_older_than_that(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    finish(make(corpus, tmp_path / "run", steps=3))
    train = corpus.split("train")
    for step in (None, 5):
        if step:
            (tmp_path / "run" / RUNS).unlink()
            finish(make(corpus, tmp_path / "run", resume=True, steps=step))
        runs = RunFilter.load(tmp_path / "run" / RUNS, {"content_hash": corpus.content_hash})
        assert runs is not None
        for i in range(len(train)):
            first, second = corpus.vocabulary.decode(train[i].tolist()).strip("。").split("，")
            assert runs.borrowed_line(first)
            assert runs.borrowed_line(second)


def test_a_budget_of_time_ends_the_run_and_the_cosine_together(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    records = finish(make(corpus, tmp_path / "run", minutes=1.5 / 60, patience=0, warmup_steps=1))
    assert 1.5 <= records[-1].seconds < 4
    assert records[-1].total_steps is None
    assert records[-1].share == 1.0
    assert records[-1].learning_rate < 0.15 * max(record.learning_rate for record in records)


@pytest.mark.parametrize("with_all", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_run_that_is_stopped_and_resumed_makes_the_same_losses_bit_for_bit(
    cell: str, with_all: bool, corpus: EncodedCorpus, tmp_path: Path
) -> None:
    whole: dict[str, Any] = {"cell": cell, "steps": 24, "patience": 0}
    if with_all:
        whole["shape"] = {
            "num_layers": 2,
            "dropout": 0.3,
            "embedding_dropout": 0.1,
            "weight_drop": 0.3 if CELLS[cell].is_recurrent else 0.0,
        }
        whole |= {"label_smoothing": 0.1, "average": 0.9}
    finish(make(corpus, tmp_path / "whole", **whole))
    for stop_after in (5, 11, 19):
        with make(corpus, tmp_path / "parts", resume=True, **whole) as trainer:
            for progress in trainer.run():
                torch.rand(3)  # Whoever else draws random numbers changes nothing.
                if progress.step >= stop_after:
                    trainer.stop()
    finish(make(corpus, tmp_path / "parts", resume=True, **whole))
    assert len(losses(tmp_path / "whole")) == 24
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert validations(tmp_path / "parts") == validations(tmp_path / "whole")
    one, two = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays)


def test_a_run_that_died_makes_its_lost_steps_again_at_their_own_learning_rates(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"minutes": 10.0, "snapshot_every": 10}
    with make(corpus, tmp_path / "run", **options) as trainer:
        for progress in trainer.run():
            if progress.step == 16:
                break  # As good as dead: no snapshot after step 10.
    logged = log_of(tmp_path / "run")
    with make(corpus, tmp_path / "run", resume=True, **options) as trainer:
        assert trainer.position.step == 10
        for progress in trainer.run():
            if progress.step == 18:
                break
    again = log_of(tmp_path / "run")
    for name in ("loss", "learning_rate", "seconds", "gradient_norm"):
        assert [line[name] for line in again[:16]] == [line[name] for line in logged]
    assert logged[-1]["seconds"] < again[16]["seconds"] < logged[-1]["seconds"] + 1


def test_a_longer_budget_goes_on_from_the_end(corpus: EncodedCorpus, tmp_path: Path) -> None:
    finish(make(corpus, tmp_path / "run", steps=10))
    records = finish(make(corpus, tmp_path / "run", steps=15, resume=True))
    assert [record.step for record in records] == [11, 12, 13, 14, 15]
    assert records[0].learning_rate == pytest.approx(
        TrainingOptions(steps=15, learning_rate=0.02).learning_rate_at(10, 10 / 15)
    )


def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_best(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    with make(corpus, tmp_path / "run", validate_every=2, steps=20) as trainer:
        run = trainer.run()
        for _ in range(4):
            next(run)
        with torch.no_grad():
            trainer.model.output.bias[4] = math.nan
        with pytest.raises(TrainingError, match="step 5") as caught:
            next(run)
        assert "--learning-rate" in caught.value.hint
    assert load_checkpoint(tmp_path / "run").figures["step"] == 4
    assert [line["step"] for line in log_of(tmp_path / "run")] == [1, 2, 3, 4]
    finish(make(corpus, tmp_path / "run", steps=6, resume=True))


def test_memory_that_is_out_names_the_token_budget(
    corpus: EncodedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(learner_module, "loss_and_state", explode)
    with (
        make(corpus, tmp_path / "run") as trainer,
        pytest.raises(TrainingError, match="out of memory") as caught,
    ):
        next(trainer.run())
    assert "--token-budget (it is 256)" in caught.value.hint


def test_a_full_disk_is_one_line_and_spares_what_was_saved(
    corpus: EncodedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(corpus, tmp_path / "run", snapshot_every=3, validate_every=9) as trainer:
        run = trainer.run()
        for _ in range(4):
            next(run)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("poetgen.files.os.fsync", full)
        with pytest.raises(TrainingError, match=r"cannot save .* No space left on device"):
            list(run)
    monkeypatch.undo()
    with make(corpus, tmp_path / "run", steps=20, resume=True) as trainer:
        assert trainer.position.step == 3


def test_forms_restrict_training_and_validation(corpus: EncodedCorpus, tmp_path: Path) -> None:
    everything = corpus.split("train")
    mine = int((everything.forms == everything.form_names.index("七绝")).sum())
    assert 0 < mine < len(everything)
    records = finish(make(corpus, tmp_path / "run", epochs=1, forms=("七绝",), token_budget=1))
    assert len(records) == mine
    validation = records[-1].validation
    assert validation is None or set(validation.by_form) == {"七绝"}


def test_a_form_without_poems_is_one_clear_error(corpus: EncodedCorpus, tmp_path: Path) -> None:
    with (
        pytest.raises(TrainingError, match="no training poem of the form 五律"),
        make(corpus, tmp_path / "run", forms=("五律",)),
    ):
        pass


def test_padding_does_not_reach_the_loss() -> None:
    model = LanguageModel(ModelConfig(vocabulary_size=9, embedding_size=4, hidden_size=8))
    model.initialise(seed=1)
    short, long = [1, 5, 6, 2], [1, 7, 8, 5, 6, 2]

    def loss(rows: list[list[int]], width: int) -> float:
        ids = np.array([row + [0] * (width - len(row)) for row in rows])
        lengths = np.array([len(row) for row in rows])
        batch = Batch(ids, lengths, np.arange(len(rows)), np.zeros((len(rows), 0), np.int64))
        return batch_loss(model, batch, CPU).item()

    together = loss([short, long], 6)
    apart = (3 * loss([short], 4) + 5 * loss([long], 6)) / 8
    assert together == pytest.approx(apart, rel=1e-6)
    assert loss([short, long], 12) == pytest.approx(together, rel=1e-6)


def test_the_trainer_computes_what_a_plain_loop_does(corpus: EncodedCorpus, tmp_path: Path) -> None:
    trainer = make(corpus, tmp_path / "run", steps=8, weight_decay=0.1)
    finish(trainer)
    options, config = trainer.options, trainer.config
    model = LanguageModel(config)
    model.initialise(corpus.token_counts(), options.seed)
    optimizer = make_optimizer(model, options)
    batches = Batches(corpus.split("train"), 256, 0, context="drawn")
    expected: list[float] = []
    while len(expected) < 8:
        for batch in batches.epoch(len(expected) // len(batches)):
            if len(expected) == 8:
                break
            step = len(expected)
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate_at(step, step / 8)
            _, state = model(torch.from_numpy(batch.context))
            logits, _ = model(torch.from_numpy(batch.inputs), state)
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), torch.from_numpy(batch.targets).flatten(), ignore_index=0
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip_norm)
            optimizer.step()
            expected.append(loss.item())
    measured = [line["loss"] for line in log_of(tmp_path / "run")]
    assert measured == pytest.approx(expected, rel=1e-5)


def test_weight_decay_is_for_matrices_between_layers_only() -> None:
    model = LanguageModel(ModelConfig(vocabulary_size=9, embedding_size=4, hidden_size=8))
    optimizer = make_optimizer(model, TrainingOptions(steps=1, weight_decay=0.1))
    decayed, free = (
        {id(parameter) for parameter in group["params"]} for group in optimizer.param_groups
    )
    names = {name for name, parameter in model.named_parameters() if id(parameter) in decayed}
    assert names == {"recurrent.weight_ih_l0", "recurrent.weight_hh_l0", "projection.weight"}
    assert len(decayed) + len(free) == len(list(model.parameters()))


def test_a_new_run_destroys_nothing(corpus: EncodedCorpus, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(TrainingError, match="not an empty folder"),
        make(corpus, tmp_path / "run"),
    ):
        pass
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_a_run_in_the_same_folder_hints_at_resume(corpus: EncodedCorpus, tmp_path: Path) -> None:
    finish(make(corpus, tmp_path / "run", steps=2))
    with pytest.raises(TrainingError) as caught, make(corpus, tmp_path / "run"):
        pass
    assert "--resume" in caught.value.hint


def test_two_trainers_do_not_share_a_folder(corpus: EncodedCorpus, tmp_path: Path) -> None:
    with (
        make(corpus, tmp_path / "run"),
        pytest.raises(TrainingError, match="another process"),
        make(corpus, tmp_path / "run", resume=True),
    ):
        pass
    finish(make(corpus, tmp_path / "run", steps=2, resume=True))


def test_another_corpus_is_refused_on_resume(corpus: EncodedCorpus, tmp_path: Path) -> None:
    finish(make(corpus, tmp_path / "run", steps=2))
    with (
        pytest.raises(TrainingError, match="--corpus"),
        make(encoded(poems=180, seed=4), tmp_path / "run", steps=4, resume=True),
    ):
        pass


def test_half_precision_on_a_cpu_is_refused(corpus: EncodedCorpus, tmp_path: Path) -> None:
    with (
        pytest.raises(TrainingError, match="--precision fp16"),
        make(corpus, tmp_path / "run", precision="fp16"),
    ):
        pass
    assert not (tmp_path / "run" / "config.json").exists()


def test_an_average_is_what_is_measured_and_kept_and_changes_no_step(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    finish(make(corpus, tmp_path / "plain", steps=6))
    trainer = make(corpus, tmp_path / "run", steps=6, validate_every=6, average=0.8)
    with trainer:
        seen = [to_arrays(trainer.model) for _ in trainer.run()]
    assert losses(tmp_path / "run") == losses(tmp_path / "plain")
    shares = 0.8 ** np.arange(5, -1, -1)
    shares /= shares.sum()
    kept = load_checkpoint(tmp_path / "run")
    for name, array in kept.arrays.items():
        expected = sum(share * step[name] for share, step in zip(shares, seen, strict=True))
        np.testing.assert_allclose(array, expected, atol=1e-6)
        assert not np.array_equal(array, seen[-1][name])
        assert np.array_equal(trainer.checkpoint().arrays[name], array)
    measured = perplexity(from_checkpoint(kept), trainer._validation)
    assert validations(tmp_path / "run") == [measured.per_character]


def test_label_smoothing_is_a_share_of_the_plain_mean_over_the_vocabulary() -> None:
    model = LanguageModel(ModelConfig(vocabulary_size=9, embedding_size=4, hidden_size=8))
    model.initialise(seed=1)
    ids = np.array([[1, 5, 6, 2]])
    batch = Batch(ids, np.array([4]), np.arange(1), np.zeros((1, 0), np.int64))
    nats = -model(torch.from_numpy(batch.inputs))[0][0].log_softmax(-1)
    plain = nats[torch.arange(3), torch.from_numpy(batch.targets[0])].mean()
    assert batch_loss(model, batch, CPU).item() == pytest.approx(plain.item())
    expected = 0.9 * plain + 0.1 * nats.mean()
    assert batch_loss(model, batch, CPU, 0.1).item() == pytest.approx(expected.item())

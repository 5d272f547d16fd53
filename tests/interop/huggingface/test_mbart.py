"""mBART and mBART-50 as translators: their languages, and the token ids of transformers' searches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from marian_checkpoint import lines
from seq2seq_checkpoint import write_checkpoint

import attnkit
from attnkit.interop import convert
from attnkit.tasks.translate.translator import Translator

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
torch.set_num_threads(1)  # its threads would spin beside ours

TEXTS = [line for line in lines("source") if len(line) < 36][:8]
FAIRSEQ = 4  # <s> <pad> </s> <unk>


class Checkpoint:
    """A checkpoint with a SentencePiece file, which numbers its languages behind the pieces."""

    def __init__(self, folder: Path, tokenizer_class: str, **generation: Any) -> None:
        import sentencepiece
        from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as MANY

        self.folder = folder
        self.theirs = write_checkpoint(folder, model_type="mbart", seed=7, scale_embedding=True, generation=generation)
        (folder / "tokenizer.json").unlink()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([*lines("source"), *lines("target")]), vocab_size=120, model_type="unigram",
            model_prefix=str(folder / "sentencepiece.bpe"), hard_vocab_limit=False, minloglevel=2, num_threads=1,
        )  # fmt: skip
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
        codes = MANY if tokenizer_class == "MBart50Tokenizer" else MANY[:25]
        begin = self.processor.vocab_size() + 1
        self.languages = {code: begin + place for place, code in enumerate(codes)}
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class}))

    def ids(self, text: str) -> list[int]:
        """Of the pieces: fairseq's numbers."""
        return [FAIRSEQ - 1 if number == 0 else number + 1 for number in self.processor.encode(text)]

    def generate(self, ids: list[int], **options: Any) -> list[int]:
        with torch.no_grad():
            row = self.theirs.generate(torch.tensor([ids]), **options)[0].tolist()
        behind = row[1:] if "decoder_start_token_id" in options else row[2:]
        return behind[: behind.index(2)] if 2 in behind else behind


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Translator]:
    folder = tmp_path_factory.mktemp("mbart50")
    checkpoint = Checkpoint(folder / "hf", "MBart50Tokenizer", forced_bos_token_id=None)
    convert(folder / "hf", folder / "ours")
    return checkpoint, attnkit.load(folder / "ours", task="translate")


@pytest.mark.parametrize("beam", [1, 3])
def test_every_pair_of_languages(many: tuple[Checkpoint, Translator], beam: int) -> None:
    checkpoint, ours = many
    assert len(ours.languages) == 52 and ours.languages == ours.source_languages
    results = ours.translate([*TEXTS, ""], source_language="en", to="it_IT", beam=beam)
    for text, result in zip(TEXTS, results, strict=False):
        ids = [checkpoint.languages["en_XX"], *checkpoint.ids(text), 2]
        assert result.source_tokens == ours.source_tokenizer.pieces(ids)
        expected = checkpoint.generate(ids, forced_bos_token_id=checkpoint.languages["it_IT"], num_beams=beam)
        assert result.tokens == ours.target_tokenizer.pieces(expected)
    assert len({tuple(result.tokens) for result in results}) > 3
    french = ours.translate(TEXTS, source_language="en", to="fr", beam=beam)
    assert [each.tokens for each in french] != [each.tokens for each in results[:-1]]
    with pytest.raises(ValueError, match="one of 52 languages"):
        ours.translate(TEXTS, source_language="en", to="sw_XX")


def test_one_direction(tmp_path: Path) -> None:
    """Its sources end with the token of their language; its decoder starts with the other's."""
    checkpoint = Checkpoint(tmp_path / "hf", "MBartTokenizer", forced_bos_token_id=None)
    start = checkpoint.languages["ro_RO"]
    file = tmp_path / "hf" / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "decoder_start_token_id": start}))
    convert(tmp_path / "hf", tmp_path / "ours")
    ours = attnkit.load(tmp_path / "ours", task="translate")
    assert ours.languages == () and ours.model.bos_id == start
    for text, result in zip(TEXTS, ours.translate(TEXTS, attention=True), strict=True):
        ids = [*checkpoint.ids(text), 2, checkpoint.languages["en_XX"]]
        assert result.source_tokens == ours.source_tokenizer.pieces(ids)
        expected = checkpoint.generate(ids, decoder_start_token_id=start, num_beams=1)
        assert result.tokens == ours.target_tokenizer.pieces(expected)
        assert result.source_words[-2:] == [-1, -1]
    long = ours.translate(["dog " * 60])[0]
    assert long.truncated and len(long.source_tokens) == 48 and long.source_tokens[-1] == "en_XX"


def test_a_summarizer(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", model_type="mbart", seed=7, task="summarization")
    convert(tmp_path / "hf", tmp_path / "ours")
    assert attnkit.load(tmp_path / "ours", task="summarize").summarize(["the dog"])[0].tokens


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "T5Tokenizer"}, "MBartTokenizer or MBart50Tokenizer"),
        ("tokenizer_config.json", {"tokenizer_class": "MBartTokenizer"}, "expected the token of a language"),
        ("tokenizer_config.json", {"src_lang": "xx_XX"}, "expected a language of the vocabulary, got src_lang"),
        ("config.json", {"vocab_size": 100}, "expected ids below 100|of shape"),
    ],
)
def test_what_is_wrong_is_said(
    file: str, changes: dict[str, Any], message: str, many: tuple[Checkpoint, Translator], tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(many[0].folder, tmp_path / "hf")
    path = tmp_path / "hf" / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "hf", tmp_path / "ours")
    (tmp_path / "hf" / "sentencepiece.bpe.model").unlink()
    with pytest.raises((ValueError, FileNotFoundError)):
        convert(tmp_path / "hf", tmp_path / "ours")

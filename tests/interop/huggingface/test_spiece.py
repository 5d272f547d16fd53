"""The SentencePiece files of older checkpoints of Pegasus and T5: the ids that transformers gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from marian_checkpoint import lines

from attnkit.interop.huggingface.text_tokenizer import read_text_tokenizer

pytest.importorskip("tokenizers")

TEXTS = [*lines("source")[:40], "two\nlines", "a  b \n\n c", "Ωmega ﬁ 日本", "xyz 123 « – »", ""]


def write_model(folder: Path, model_type: str) -> None:
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines("source")), model_prefix=str(folder / "spiece"), vocab_size=90,
        model_type="unigram", hard_vocab_limit=False, minloglevel=2, num_threads=1, pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1,
    )  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))


@pytest.mark.parametrize(("model_type", "offset"), [("pegasus", 103), ("t5", 0)])
def test_ids_of_old_files(model_type: str, offset: int, tmp_path: Path) -> None:
    """They are SentencePiece's own; those of Pegasus' text stand behind the entries that only its training used."""
    import sentencepiece

    write_model(tmp_path, model_type)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spiece.model"))
    ours = read_text_tokenizer(tmp_path, 400)
    assert (ours.bos_id, ours.eos_id) == (None, 1)
    tokenizer = ours.framed().source
    for text in TEXTS:
        ids = tokenizer.encode(text)
        expected = processor.encode(text)
        assert ids == [number + offset if number > 1 else number for number in expected], text
        assert tokenizer.closed(ids, tokenizer.eos_id) == [*ids, 1]
        assert tokenizer.decode(ids).split() == processor.decode([i for i in expected if i > 2]).split()
    assert tokenizer.pieces([0, 1, 2 + offset]) == ["<pad>", "</s>", "<unk>"]
    assert 1 in tokenizer.encode("a</s>b")  # special tokens are found in texts


def test_other_files_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "xlnet")
    with pytest.raises(ValueError, match=r"expected a tokenizer\.json beside it"):
        read_text_tokenizer(tmp_path, 400)
    (tmp_path / "config.json").write_text('{"model_type": "pegasus"}')
    with pytest.raises(ValueError, match="at most 100 entries"):
        read_text_tokenizer(tmp_path, 100)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "XLNetTokenizer"}')
    with pytest.raises(ValueError, match="PegasusTokenizer, T5Tokenizer"):
        read_text_tokenizer(tmp_path, 400)
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "spiece.model").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"spiece\.model"):
        read_text_tokenizer(tmp_path, 400)

"""One source, several target languages: tags in corpora and tokenizers, training, `to`, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import complaint, output
from training_runs import content

import attnkit
from attnkit.text import ParallelCorpus, TokenizerConfig, TokenizerPair, en_it
from attnkit.text.config import DataConfig
from attnkit.text.languages import add_tag, languages_of, split_tag
from attnkit.text.tokenizers.vocabulary import UNK
from attnkit.training import ConfigError, read_config, train

# The same source in two languages.
WORDS = {"de": ["der", "Hund", "Haus", "rot"], "pt-BR": ["o", "cão", "casa", "vermelho"]}
SOURCE = ["the", "dog", "house", "red"]
TRIPLES = [
    (" ".join(SOURCE[i] for i in row), " ".join(words[i] for i in row), language)
    for language, words in WORDS.items()
    for row in [(0, 1), (0, 2), (0, 1, 3), (0, 2, 3), (1,), (3,), (2, 3), (1, 3)]
]


def write_tsv(path: Path) -> Path:
    path.write_text("".join("\t".join(fields) + "\n" for fields in TRIPLES))
    return path


def write_jsonl(path: Path) -> Path:
    lines = [json.dumps({"source": s, "target": t, "language": language}) for s, t, language in TRIPLES]
    path.write_text("\n".join(lines))
    return path


# --- tags


def test_tags_are_written_and_read() -> None:
    assert add_tag("de", "the dog") == ">>de<< the dog" and add_tag("de", "  ") == ""
    assert split_tag(">>de<< the dog") == ("de", "the dog") == split_tag("  >>de<<   the dog")
    assert split_tag(">>de<<") == ("de", "")
    for text in ("the >>de<< dog", ">>de<<the", "> >de<< the", ">>d e<< the", ">><< the"):
        assert split_tag(text) == (None, text)
    assert languages_of([">>fr<< a", "b", ">>de<< c", ">>fr<< d"]) == ("de", "fr")
    with pytest.raises(ValueError, match=re.escape("expected a language of letters, digits, - and _")):
        add_tag("de at", "x")


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "wordpunct", "char"])
@pytest.mark.parametrize("joint", [True, False])
def test_a_tag_is_one_entry_of_every_vocabulary(kind: str, joint: bool, tmp_path: Path) -> None:
    pairs = en_it.corpus(train=120, validation=0, test=0)["train"]
    sources = [add_tag(list(WORDS)[number % 2], f"the dog {pair.source}") for number, pair in enumerate(pairs)]
    config = TokenizerConfig(kind=kind, joint=joint, vocab_size=90)
    pair = TokenizerPair.train(sources, [pair.target for pair in pairs], config, 1, ("de", "pt-BR"))
    assert pair.languages == ("de", "pt-BR") and pair.joint is joint
    plain = pair.source.encode("the dog")
    tagged = {language: pair.source.encode(add_tag(language, "the dog")) for language in WORDS}
    for language, ids in tagged.items():
        assert ids[1:] == plain and pair.source.pieces(ids)[0] == f">>{language}<<"
        assert pair.source.decode(ids) == "the dog" and UNK not in ids
        assert ids[0] not in pair.source.encode(f"the >>{language}<< dog")  # elsewhere it is text
    assert tagged["de"][0] != tagged["pt-BR"][0]
    assert pair.source.encode(">>de<<") == pair.source.encode("") == []
    assert pair.source.unknown(">>de<< the ☃") == ["☃"]
    with pytest.raises(ValueError, match=r"expected a language among de, pt-BR, got fr"):
        pair.source.encode(">>fr<< the dog")
    assert pair.target.pieces(pair.target.encode(">>de<<"))[0] != ">>de<<"

    pair.save(tmp_path)
    loaded = TokenizerPair.load(tmp_path, json.loads(json.dumps(pair.to_config())))
    assert loaded.languages == pair.languages and loaded.joint is joint
    for language, ids in tagged.items():
        assert loaded.source.encode(add_tag(language, "the dog")) == ids
    assert loaded.target.encode("il cane") == pair.target.encode("il cane")


def test_a_given_model_without_the_tag_is_refused(tmp_path: Path) -> None:
    TokenizerPair.train([source for source, _, _ in TRIPLES], [], TokenizerConfig(vocab_size=26)).save(tmp_path)
    config = TokenizerConfig(models=(str(tmp_path / "tokenizer.spm"),))
    with pytest.raises(ValueError, match="expected a vocabulary with the tag >>de<< as a control symbol, got none"):
        TokenizerPair.train([], [], config, 1, ("de",))


# --- corpora


def test_a_column_or_a_key_names_the_language(tmp_path: Path) -> None:
    tsv = ParallelCorpus.read(write_tsv(tmp_path / "a.tsv"), format="tsv", languages=True)
    jsonl = ParallelCorpus.read(write_jsonl(tmp_path / "a.jsonl"), format="jsonl", languages=True)
    assert list(tsv) == list(jsonl) and tsv.sources[0] == ">>de<< the dog" and tsv.targets[0] == "der Hund"
    (tmp_path / "b.tsv").write_text(" \tleer\tde\nthe dog\to cão\tpt-BR\n")
    corpus = ParallelCorpus.read(tmp_path / "b.tsv", format="tsv", languages=True)
    assert corpus.sources == [">>pt-BR<< the dog"] and corpus.report.empty == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "a\tb\n", "line 1: expected 3 fields, got 2"),
        ("a.tsv", "a\tb\tde\n\n\na\n", "line 4: expected 3 fields, got 1"),
        ("a.jsonl", '{"source": "x\\ud800 y"}\n', "line 1: expected a JSON object: got the lone surrogate U+D800"),
        ("a.tsv", "a\tb\tde\na\tb\tde at\n", "line 2: expected a language of letters, digits, - and _"),
        ("a.tsv", "a\tb\t\n", "got ''"),
        ("a.jsonl", '{"source": "a", "target": "b"}\n', "expected a string under 'language', got nothing"),
    ],
)
def test_a_bad_language_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"\[corpus\] .*{re.escape(name)}") as raised:
        ParallelCorpus.read(tmp_path / name, format=name[2:], languages=True)  # type: ignore[arg-type]
    assert message in str(raised.value)


def test_parallel_files_have_no_column_for_it() -> None:
    with pytest.raises(ValueError, match='languages: expected the format "tsv" or "jsonl"'):
        DataConfig(train=("a", "b"), languages=True)


# --- a model


def toml(folder: Path) -> Path:
    data = write_tsv(folder / "data.tsv")
    path = folder / "run.toml"
    path.write_text(
        f"""
task = "translate"
[data]
format = "tsv"
languages = true
train = ["{data}"]
validation = ["{data}"]
[tokenizer]
kind = "word"
[model]
type = "transformer"
d_model = 32
ffn = 64
heads = 2
encoder_layers = 1
decoder_layers = 1
dropout = 0.0
[training]
max_steps = 120
batch_tokens = 64
learning_rate = 0.01
warmup_steps = 10
label_smoothing = 0.0
validate_every = 60
validate_unit = "steps"
[decoding]
tokenize = "none"
"""
    )
    return path


@pytest.fixture(scope="module")
def polyglot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("languages")
    train(read_config(toml(folder)), folder / "model", progress="none")
    return folder / "model"


def test_the_tag_chooses_the_language(polyglot: Path) -> None:
    translator = attnkit.load(polyglot)
    assert translator.languages == ("de", "pt-BR")
    for language in WORDS:
        pairs = [(source, target) for source, target, of in TRIPLES if of == language]
        results = translator.translate([source for source, _ in pairs], to=language, attention=True)
        assert [result.text for result in results] == [target for _, target in pairs]
        assert all(result.source_tokens[0] == f">>{language}<<" for result in results)
    typed = translator.translate([">>de<< the dog", "the dog", "", ">>de<<"], to="pt-BR")
    assert [result.text for result in typed] == ["der Hund", "o cão", "", ""]


def test_a_tag_is_no_word_of_an_alignment(tmp_path: Path) -> None:
    """Neither in the links of the training pairs nor in those of a line whose tag was added; one that a line has is."""
    file = tmp_path / "data.align"
    counts = [len(source.split()) for source, _, _ in TRIPLES]
    file.write_text("".join(" ".join(f"{i}-{n - 1 - i}" for i in range(n)) + "\n" for n in counts))  # back to front
    guided = ["model.alignment_head=0", f"training.guided_alignment.file={file}", "training.guided_alignment.weight=1"]
    train(read_config(toml(tmp_path), guided), tmp_path / "run", progress="none")
    translator = attnkit.load(tmp_path / "run", task="translate")
    added, own = (
        translator.translate([line], to="de", attention=True)[0]
        for line in ("the house red", ">>pt-BR<< the house red")
    )
    assert added.text == "der Haus rot" and added.alignment == [(0, 2), (1, 1), (2, 0)]
    assert own.text == "o casa vermelho" and own.alignment == [(1, 2), (2, 1), (3, 0)]
    by_model = ["model.alignment_head=0", f'training.guided_alignment.models=["{tmp_path / "run"}"]']
    train(read_config(toml(tmp_path), [*by_model, "training.max_steps=2"]), tmp_path / "made", progress="none")
    assert (tmp_path / "made" / "train.align").read_text() == file.read_text()
    file.write_text(file.read_text().replace("0-1 1-0", "2-1 1-0", 1))
    with pytest.raises(ValueError, match="line 1: expected links between 2 source and 2 target words"):
        train(read_config(toml(tmp_path), guided), tmp_path / "wrong", progress="none")
    with pytest.raises(ValueError, match=r"guided_alignment\.models: expected one model for data\.languages"):
        read_config(toml(tmp_path), [by_model[0], 'training.guided_alignment.models=["a", "b"]'])


def test_other_languages_are_refused(polyglot: Path, tmp_path: Path) -> None:
    translator = attnkit.load(polyglot)
    with pytest.raises(ValueError, match="expected a language among de, pt-BR, got 'fr'"):
        translator.translate_stream([], to="fr")
    with pytest.raises(ValueError, match="among de, pt-BR for line 2, got fr"):
        translator.translate([">>de<< the dog", ">>fr<< the dog"])
    with pytest.raises(ValueError, match="for line 1, got none; say it by to, or by a tag such as >>de<<"):
        translator.translate(["the dog"])
    from untrained_model import write_untrained_model

    write_untrained_model(tmp_path)
    with pytest.raises(ValueError, match="expected none: it writes only one, got 'de'"):
        attnkit.load(tmp_path).translate(["the dog"], to="de")


def test_the_commands_take_it(polyglot: Path, tmp_path: Path) -> None:
    assert output("translate", polyglot, "--to", "de", text="the dog\n\n>>pt-BR<< the dog\n") == "der Hund\n\no cão\n"
    assert "among de, pt-BR, got 'fr'" in complaint("translate", polyglot, "--to", "fr", text="the dog\n", status=2)
    (tmp_path / "source").write_text("the dog\nthe house red\n")
    (tmp_path / "reference").write_text("der Hund\nder Haus rot\n")
    files = ("--source", tmp_path / "source", "--reference", tmp_path / "reference")
    report = json.loads(output("evaluate", polyglot, "--to", "de", *files, "--metric", "chrf", "--json"))
    assert report["chrf"]["score"] == pytest.approx(100.0)


def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    config, short = toml(tmp_path), ("decoding.bleu=false", "training.max_steps=8", "training.validate_every=4")
    train(read_config(config, short), tmp_path / "whole", progress="none")
    train(read_config(config, [*short, "training.max_steps=3"]), tmp_path / "run", progress="none")
    train(read_config(config, short), tmp_path / "run", progress="none", resume=True)
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_a_language_without_training_data_is_refused(tmp_path: Path) -> None:
    config = toml(tmp_path)
    (tmp_path / "other.tsv").write_text("the dog\tle chien\tfr\n")
    with pytest.raises(ValueError, match="expected a language among de, pt-BR, got fr"):
        train(read_config(config, [f"data.validation=['{tmp_path / 'other.tsv'}']"]), tmp_path / "run", progress="none")
    with pytest.raises(ConfigError, match=r"data\.languages"):
        read_config(config, ["data.format=parallel"])

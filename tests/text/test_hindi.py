"""A script whose vowels are combining marks, learnt by heart from whole words and given back letter for letter."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import metrics

import attnkit
from attnkit.training import read_config, train

PAIRS = {
    "नमस्ते दोस्त": "hello , friend",
    "बहुत धन्यवाद": "thank you very much",
    "मैं एक छात्र हूँ ।": "i am a student .",
    "वह एक शिक्षक है ।": "he is a teacher .",
    "यह मेरी किताब है ।": "this is my book .",
    "तुम्हारा नाम क्या है ?": "what is your name ?",
    "बाज़ार कहाँ है ?": "where is the market ?",
    "बिल्ली दूध पीती है ।": "the cat drinks milk .",
    "लड़की किताब पढ़ती है ।": "the girl reads a book .",
    "रेलगाड़ी पाँच बजे आती है ।": "the train comes at five .",
    "यह 3.50 रुपये का है ।": "it costs 3.50 rupees .",
}
TOML = """
task = "translate"
[data]
train = {files}
validation = {files}
[tokenizer]
kind = "wordpunct"
[model]
type = "transformer"
d_model = 32
ffn = 64
heads = 2
encoder_layers = 1
decoder_layers = 1
dropout = 0.0
[training]
max_steps = 80
batch_tokens = 128
learning_rate = 0.01
warmup_steps = 10
label_smoothing = 0.0
validate_every = 80
validate_unit = "steps"
"""


@pytest.mark.parametrize("direction", [("hi", "en"), ("en", "hi")], ids=["from Hindi", "into Hindi"])
def test_a_corpus_that_is_known_by_heart_scores_100(direction: tuple[str, str], tmp_path: Path) -> None:
    texts = {"hi": list(PAIRS), "en": list(PAIRS.values())}
    for language, lines in texts.items():
        (tmp_path / language).write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "hindi.toml").write_text(TOML.format(files=[str(tmp_path / language) for language in direction]))
    train(read_config(tmp_path / "hindi.toml"), tmp_path / "model", progress="none")
    assert metrics(tmp_path / "model")[-1]["final_bleu"] == pytest.approx(100.0)
    source, target = (texts[language] for language in direction)
    assert [result.text for result in attnkit.load(tmp_path / "model").translate(source)] == target

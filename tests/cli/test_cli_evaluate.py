"""`attnkit evaluate` of classifiers and captioners as their users run it: in a process of its own."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import complaint, output
from PIL import Image
from text_runs import classify_toml, reviews, write_jsonl
from training_images import caption_task, classify_task

import attnkit
from attnkit.metrics import captions as caption_metrics
from attnkit.training import read_config, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of texts, one of images and a captioner, trained for a few steps, and their data."""
    folder = tmp_path_factory.mktemp("evaluate")
    few = ("training.max_steps=25", "decoding.metrics=false")
    train(read_config(classify_toml(folder, count=300), ("training.max_steps=30",)), folder / "texts", progress="none")
    train(read_config(classify_task(folder), few[:1]), folder / "images", progress="none")
    train(read_config(caption_task(folder), few), folder / "captions", progress="none")
    return folder


def measured(*arguments: str | Path, **options: Any) -> dict[str, Any]:
    found = json.loads(output("evaluate", *arguments, "--json", **options))
    assert isinstance(found, dict)
    return found


def last_line(run: Path) -> dict[str, Any]:
    found = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert isinstance(found, dict)
    return found


# ----- Texts


@pytest.fixture(scope="module")
def texts(folder: Path) -> Path:
    """Labelled texts, every fifth label of which is wrong, and one without a word."""
    others = {"neg": "pos", "pos": "neg"}
    examples = [
        (text, others[label] if number % 5 == 0 else label) for number, (text, label) in enumerate(reviews(40, seed=7))
    ]
    return write_jsonl(folder / "wrong.jsonl", [*examples, (" \n", "pos")])


def test_texts_are_counted_as_classify_has_them(folder: Path, texts: Path) -> None:
    rows = [json.loads(line) for line in texts.read_text().splitlines()][:-1]
    got = [each.label for each in attnkit.load(folder / "texts").classify(row["text"] for row in rows)]
    right = [label == row["label"] for label, row in zip(got, rows, strict=True)]
    found = measured(folder / "texts", "--source", texts)
    assert found["accuracy"] == pytest.approx(100 * np.mean(right)) and 0 < found["accuracy"] < 100
    counts: dict[str, dict[str, int]] = {"neg": {}, "pos": {}}
    for row, label in zip(rows, got, strict=True):
        counts[row["label"]][label] = counts[row["label"]].get(label, 0) + 1
    assert found["confusion"] == counts
    assert (found["texts"], found["empty"], found["truncated"], found["top5"]) == (40, 1, 0, None)
    of_neg = found["classes"][0]
    assert of_neg["label"] == "neg" and of_neg["examples"] == sum(counts["neg"].values())
    assert of_neg["precision"] == pytest.approx(100 * counts["neg"]["neg"] / got.count("neg"))
    shown = output("evaluate", folder / "texts", "--source", texts)
    assert f"accuracy {found['accuracy']:.2f} %" in shown and "40 texts, 1 without a word left out in" in shown
    assert f"{of_neg['precision']:.2f}" in shown and "taken for  neg  pos" in shown


def test_other_forms_of_labelled_texts(folder: Path, texts: Path, tmp_path: Path) -> None:
    expected = measured(folder / "texts", "--source", texts)
    rows = [json.loads(line) for line in texts.read_text().splitlines()]
    for number, row in enumerate(rows):
        file = tmp_path / "folders" / row["label"] / f"{number:02}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(row["text"])
    other = "".join(json.dumps({"review": row["text"], "stars": int(row["label"] == "pos")}) + "\n" for row in rows)
    (tmp_path / "stars.jsonl.gz").write_bytes(gzip.compress(other.encode()))
    renamed = ("--text-key", "review", "--label-key", "stars", "--rename", "0=neg", "--rename", "1=pos")
    for found in (
        measured(folder / "texts", "--source", tmp_path / "folders"),
        measured(folder / "texts", "--source", "-", text=texts.read_text()),
        measured(folder / "texts", "--source", tmp_path / "stars.jsonl.gz", *renamed),
        measured(folder / "texts", "--source", texts, "--batch-tokens", "7", "--threads", "1"),
    ):
        assert found["confusion"] == expected["confusion"] and found["loss"] == pytest.approx(expected["loss"])
    int8 = measured(folder / "texts", "--source", texts, "--precision", "int8")
    assert int8["loss"] != expected["loss"] and int8["loss"] == pytest.approx(expected["loss"], rel=0.2)


def test_a_run_is_measured_on_its_own_data(folder: Path, tmp_path: Path) -> None:
    """And the figures are those of its last validation and of its test."""
    line = last_line(folder / "texts")
    for split, name in (((), "test_"), (("--split", "test"), "test_"), (("--split", "validation"), "final_")):
        found = measured(folder / "texts", *split)
        assert found["accuracy"] == pytest.approx(line[f"{name}accuracy"])
        assert found["macro_f1"] == pytest.approx(line[f"{name}macro_f1"])
        loss = line["test_loss" if name == "test_" else "final_validation_loss"]
        assert found["loss"] == pytest.approx(loss, rel=1e-6)
    line = last_line(folder / "images")
    assert measured(folder / "images")["accuracy"] == pytest.approx(line["test_accuracy"])
    assert measured(folder / "images")["loss"] == pytest.approx(line["test_loss"], rel=1e-6)
    assert measured(folder / "captions")["images"] == 16
    said = complaint("evaluate", folder / "captions", "--split", "test")
    assert "training.toml: expected test data, got none" in said
    shutil.copytree(folder / "texts", tmp_path / "bare", ignore=shutil.ignore_patterns("training.toml"))
    assert "Missing option '--source'" in complaint("evaluate", tmp_path / "bare", status=2)


def test_entities_of_a_runs_own_texts_are_unpacked_once(tmp_path: Path) -> None:
    from attnkit.tasks.own_data import own_data

    file = write_jsonl(tmp_path / "a.jsonl", [(f"{text} &amp;lt;b&amp;gt;", label) for text, label in reviews(30)])
    toml = classify_toml(tmp_path, data=f'html = true\nlabel_key = "label" # of {file}')
    shutil.copy(toml, tmp_path / "training.toml")
    write_jsonl(tmp_path / "test.jsonl", [("a &amp;lt;b&amp;gt; <br/> film", "neg")])
    data, split = own_data(tmp_path)
    assert split == "test" and getattr(data, "texts") == ["a &amp;lt;b&amp;gt; <br/> film"]  # noqa: B009


# ----- Images


def test_images_in_folders_lists_and_mnists_format(folder: Path, tmp_path: Path) -> None:
    pictures = folder / "pictures"
    files = sorted(pictures.glob("*/*.png"))
    got = [each.label for each in attnkit.load(folder / "images").classify(files)]
    expected = measured(folder / "images", "--source", pictures)
    right = sum(label == file.parent.name for label, file in zip(got, files, strict=True))
    assert expected["images"] == 16 and expected["accuracy"] == pytest.approx(100 * right / 16)
    assert sum(row.get(label, 0) for label, row in expected["confusion"].items()) == right
    table = "file,colour\n" + "".join(f"{file.relative_to(pictures)},{file.parent.name}\n" for file in files)
    (tmp_path / "list.csv").write_text(table)
    keys = ("--images", pictures, "--image-key", "file", "--label-key", "colour")
    found = measured(folder / "images", "--source", tmp_path / "list.csv", *keys, "--batch-images", "3")
    assert found["confusion"] == expected["confusion"] and found["loss"] == pytest.approx(expected["loss"])
    outside = table.replace("red/", f"{pictures}/red/").replace("\nred,", "\nx,")
    (pictures / "away.csv").write_text(outside.replace(f"{pictures}", str(tmp_path / "pictures")))
    shutil.copytree(pictures, tmp_path / "pictures")
    arguments = ("evaluate", folder / "images", "--source", pictures / "away.csv", *keys[2:])
    assert "expected images in the folder" in complaint(*arguments)
    assert json.loads(output(*arguments, "--outside-images", "--json"))["confusion"] == expected["confusion"]


def write_idx(path: Path, array: np.ndarray) -> Path:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))
    return path


def test_mnists_format(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    images = write_idx(tmp_path / "images-idx3-ubyte.gz", rng.integers(0, 256, (9, 8, 8)).astype(np.uint8))
    numbers = np.array([0, 1, 2, 3, 0, 1, 2, 3, 3], np.uint8)
    both = ("--source", images, "--reference", write_idx(tmp_path / "labels-idx1-ubyte.gz", numbers))
    names = ["blue", "green", "grey", "red"]
    found = measured(folder / "images", *both, "--classes", ",".join(names))
    assert {each["label"]: each["examples"] for each in found["classes"]} | {"red": 3} == {
        **{each["label"]: 0 for each in found["classes"]}, "blue": 2, "green": 2, "grey": 2, "red": 3,
    }  # fmt: skip
    said = complaint("evaluate", folder / "images", *both)
    assert "expected the labels of the model (blue, green, grey, red), got '0' for image 0" in said


def test_an_image_that_cannot_be_read_is_one_line(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "pictures", tmp_path / "pictures")
    (tmp_path / "pictures" / "red" / "broken.png").write_bytes(b"no image")
    assert "broken.png" in complaint("evaluate", folder / "images", "--source", tmp_path / "pictures")
    shutil.copytree(folder / "pictures" / "red", tmp_path / "pictures" / "violet")
    said = complaint("evaluate", folder / "images", "--source", tmp_path / "pictures")
    assert "expected the labels of the model (blue, green, grey, red), got 'violet' for " in said


# ----- Captions


def test_captions_are_scored_against_all_of_an_image(folder: Path, tmp_path: Path) -> None:
    """The list has Flickr8k's form: a row for each of five captions."""
    files = sorted((folder / "pictures").glob("*/*.png"))
    captioner = attnkit.load(folder / "captions", task="caption")
    written = [each.text for each in captioner.caption(files)]
    lines = [
        [f"a picture of {n} things", text.upper(), "x , y .", "left and right", text] for n, text in enumerate(written)
    ]
    lines[0][4] = "nothing"
    rows = [f'{file.name},"{line}"' for file, five in zip(files, lines, strict=True) for line in five]
    (tmp_path / "captions.txt").write_text("image,caption\n" + "\n".join(rows) + "\n")
    (tmp_path / "all").mkdir()
    for file in files:
        shutil.copy(file, tmp_path / "all")
    arguments = ("evaluate", folder / "captions", "--source", tmp_path / "captions.txt", "--images", tmp_path / "all")
    found = json.loads(output(*arguments, "--json"))
    scores = caption_metrics.bleu(written, lines)
    assert [found[f"bleu{n}"] for n in range(1, 5)] == pytest.approx(scores)
    assert found["cider"] == pytest.approx(caption_metrics.cider(written, lines))
    right = sum(text in five for text, five in zip(written, lines, strict=True))
    assert found["exact"] == pytest.approx(100 * right / 16) and right in (15, 16)
    assert (found["images"], found["references"]) == (16, 80)
    greedy = [each.text for each in captioner.caption(files, beam=1, max_length=2)]
    cut = json.loads(output(*arguments, "--beam", "1", "--max-length", "2", "--batch-images", "5", "--json"))
    assert cut["bleu1"] == pytest.approx(caption_metrics.bleu(greedy, lines)[0]) and cut["truncated"] > 0
    shown = output(*arguments)
    assert f"BLEU-4 {scores[3]:.2f}" in shown and f"exact {found['exact']:.2f} %" in shown
    assert "16 images, 80 references in" in shown


def test_a_prompt_is_not_scored(folder: Path) -> None:
    files = sorted((folder / "pictures").glob("*/*.png"))
    written = attnkit.load(folder / "captions", task="caption").caption(files, prompt="all")
    assert all(each.text.startswith("all") for each in written)
    from attnkit.vision import ImageData, ImageFiles

    lines = [(each.text.removeprefix("all").strip(),) for each in written]
    data = ImageData(ImageFiles(files), captions=lines)
    report = attnkit.load(folder / "captions", task="caption").evaluate(data, prompt="all")
    assert report.exact == 100.0 and report.bleu1 == pytest.approx(100.0)


# ----- Options that are for others


@pytest.mark.parametrize(
    ("model", "arguments", "status", "message"),
    [
        (
            "texts",
            ("--source", "test.jsonl", "--beam", "2"),
            2,
            "--beam is for models that translate and models that summ",
        ),
        ("texts", ("--source", "test.jsonl", "--reference", "x"), 2, "--reference is for models that translate and"),
        ("texts", ("--source", "test.jsonl", "--rename", "neg"), 2, "--rename: expected OLD=NEW"),
        ("texts", ("--source", "test.jsonl", "--rename", "none=neg"), 1, "expected a label of the data to rename"),
        ("texts", ("--source", "test.jsonl", "--rename", "neg=bad"), 1, "labels of the model (neg, pos), got 'bad'"),
        (
            "texts",
            ("--source", "test.jsonl", "--text-key", "no"),
            1,
            "test.jsonl, line 1: expected a string under 'no'",
        ),
        ("texts", ("--source", "nofile"), 1, "nofile"),
        ("texts", ("--source", "test.jsonl", "--split", "test"), 2, "--split is for the data of the run that made"),
        ("texts", ("--text-key", "text"), 2, "--text-key says how --source is read, and there is none"),
        ("images", ("--source", "pictures", "--metric", "bleu"), 2, "--metric is for models that translate; this one"),
        ("images", ("--source", "pictures", "--labels", "a,b"), 2, "--labels is for models of images and texts"),
        ("images", ("--source", "pictures", "--classes", "a,b"), 2, "--classes is for MNIST's format"),
        ("images", ("--source", "pictures/list.jsonl"), 1, "expected images with labels, got none"),
        ("captions", ("--source", "pictures/list.jsonl", "--beam", "1", "--top-p", "0"), 2, "top_p"),
        ("captions", ("--source", "pictures/list.jsonl", "--caption-key", "no"), 1, "expected images with captions"),
    ],
)
def test_what_does_not_fit_is_one_line(
    model: str, arguments: tuple[str, ...], status: int, message: str, folder: Path
) -> None:
    paths = [str(folder / each) if (folder / each).exists() else each for each in arguments]
    assert message in complaint("evaluate", folder / model, *paths, status=status)


# ----- The world's models


def test_models_of_transformers(tmp_path: Path) -> None:
    """A classifier of BERT's family, a ViT of more than five classes, CLIP, and BLIP: converted, then measured."""
    pytest.importorskip("transformers")
    from clip_checkpoints import save_clip
    from support.caption_checkpoints import save_blip
    from text_encoders import write_checkpoint
    from vit_checkpoints import save_vit

    labels = [f"class {number}" for number in range(8)]
    write_checkpoint(tmp_path / "bert", "distilbert", "ForSequenceClassification", id2label={0: "NEG", 1: "POS"})
    save_vit(tmp_path / "vit", classes=8, id2label=dict(enumerate(labels)))
    save_clip(tmp_path / "clip")
    save_blip(tmp_path / "blip")
    for name in ("bert", "vit", "clip", "blip"):
        output("convert", tmp_path / name, tmp_path / f"{name}-model")
    rng = np.random.default_rng(0)
    for number, label in enumerate(labels * 2):
        file = tmp_path / "photos" / label / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(file)
    files = sorted((tmp_path / "photos").glob("*/*.png"))

    reviews = {"two dogs run": "neg", "a man sleeps": "pos", "red": "neg"}
    texts = write_jsonl(tmp_path / "texts.jsonl", list(reviews.items()))
    found = measured(tmp_path / "bert-model", "--source", texts, "--rename", "neg=NEG", "--rename", "pos=POS")
    got = [
        each.label for each in attnkit.load(tmp_path / "bert-model").classify(["two dogs run", "a man sleeps", "red"])
    ]
    assert found["accuracy"] == pytest.approx(100 * np.mean(np.array(got) == ["NEG", "POS", "NEG"]))

    found = measured(tmp_path / "vit-model", "--source", tmp_path / "photos")
    tops = [each.top for each in attnkit.load(tmp_path / "vit-model").classify(files, top=5)]
    inside = [file.parent.name in [name for name, _ in top] for file, top in zip(files, tops, strict=True)]
    assert found["top5"] == pytest.approx(100 * np.mean(inside)) and found["top5"] >= found["accuracy"]
    assert "top-5" in output("evaluate", tmp_path / "vit-model", "--source", tmp_path / "photos")

    template = ("--prompt-template", "it is {}")
    found = measured(tmp_path / "clip-model", "--source", tmp_path / "photos", *template)
    clip = attnkit.load(tmp_path / "clip-model", task="classify", reads="images-and-texts")
    names = [each.label for each in clip.classify(files, labels=labels, template="it is {}")]
    own = [file.parent.name for file in files]
    assert found["accuracy"] == pytest.approx(100 * np.mean(np.array(names) == own)) and found["images"] == 16
    given = ("--labels", ",".join([*labels, "another"]))
    wider = measured(tmp_path / "clip-model", "--source", tmp_path / "photos", *given, *template)
    assert wider["loss"] > found["loss"]
    said = complaint("evaluate", tmp_path / "clip-model", "--source", tmp_path / "photos", "--labels", "a,b")
    assert "expected the labels of the model (a, b), got 'class 0'" in said

    rows = [{"image": str(file.relative_to(tmp_path)), "caption": ["word1 word2", "word3"]} for file in files]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = measured(tmp_path / "blip-model", "--source", tmp_path / "list.jsonl", "--max-length", "6")
    written = [each.text for each in attnkit.load(tmp_path / "blip-model").caption(files, max_length=6)]
    assert found["bleu1"] == pytest.approx(caption_metrics.bleu(written, [row["caption"] for row in rows])[0])
    assert (found["images"], found["references"]) == (16, 32)


def test_texts_that_are_read_have_error_rates(folder: Path, tmp_path: Path) -> None:
    """Where an image has one text, characters and words are counted."""
    files = sorted((folder / "pictures").glob("*/*.png"))
    written = [each.text for each in attnkit.load(folder / "captions", task="caption").caption(files)]
    right = [f"{text}!" if number % 2 else text for number, text in enumerate(written)]
    rows = [{"image": str(file), "caption": text} for file, text in zip(files, right, strict=True)]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = (folder / "captions", "--source", tmp_path / "lines.jsonl", "--outside-images")
    found = measured(*arguments)
    assert found["cer"] == pytest.approx(100 * 8 / sum(map(len, right)))
    assert found["wer"] == pytest.approx(100 * 8 / sum(len(text.split()) for text in right))
    assert f"CER {found['cer']:.2f} %" in output("evaluate", *arguments)
    several = [{**row, "caption": [row["caption"], "x"]} for row in rows]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in several))
    assert measured(*arguments)["cer"] is None


def test_hidden_tokens_are_those_of_a_validation(tmp_path: Path) -> None:
    """The figures of a run's own held-out texts are those of its last validation, for its own [masking] is taken."""
    from text_runs import masked_toml

    toml = masked_toml(tmp_path)
    few = ("training.max_steps=5", "masking.share=0.4")
    train(read_config(toml, few), tmp_path / "model", progress="none")
    texts = [" ".join(text.split()) for text, _ in reviews(20, seed=1)]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    line = last_line(tmp_path / "model")
    found = measured(tmp_path / "model", "--source", tmp_path / "texts.txt")
    assert found["accuracy"] == pytest.approx(line["final_accuracy"])
    assert found["loss"] == pytest.approx(line["final_validation_loss"], rel=1e-6)
    assert found["perplexity"] == pytest.approx(line["final_perplexity"], rel=1e-6)
    assert found["texts"] == found["parts"] == 20
    assert "hidden tokens/s" in output("evaluate", tmp_path / "model", "--source", tmp_path / "texts.txt")
    (tmp_path / "long.txt").write_text(" ".join(texts) + "\n")
    assert measured(tmp_path / "model", "--source", tmp_path / "long.txt")["parts"] > 1
    said = complaint("evaluate", tmp_path / "model", "--source", tmp_path / "texts.txt", "--beam", "2", status=2)
    assert "this one guesses hidden tokens" in said
    (tmp_path / "none.txt").write_text("\n")
    assert "token to hide, got none" in complaint("evaluate", tmp_path / "model", "--source", tmp_path / "none.txt")


def test_summaries_are_scored_by_rouge(tmp_path: Path) -> None:
    """Of lines and of JSON lines."""
    pytest.importorskip("transformers")
    from seq2seq_checkpoint import write_checkpoint

    from attnkit.metrics.summaries import rouge

    write_checkpoint(tmp_path / "hf")
    output("convert", tmp_path / "hf", tmp_path / "model")
    model = tmp_path / "model"
    documents = ["A man rides a horse. The dog runs.", "the red house", "two women " * 40]
    search = ("--beam", "1", "--max-length", "12")
    written = [each.text for each in attnkit.load(model, task="summarize").summarize(documents, beam=1, max_length=12)]
    right = [f"{text} A word." for text in written]
    for name, lines in (("source", documents), ("right", right)):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    rows = [{"body": one, "abstract": other} for one, other in zip(documents, right, strict=True)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = ("--text-key", "body", "--summary-key", "abstract")
    both = ("--source", tmp_path / "source", "--reference", tmp_path / "right")
    found = measured(model, *both, *search)
    scores = rouge(written, right)
    assert (found["rouge1"], found["rouge2"], found["rouge_l"]) == pytest.approx(
        (scores.rouge1, scores.rouge2, scores.rouge_l)
    )
    again = measured(model, "--source", tmp_path / "rows.jsonl", *keys, *search, "--batch-tokens", "1")
    times = {"seconds", "documents_per_second"}
    assert {k: v for k, v in again.items() if k not in times} == {k: v for k, v in found.items() if k not in times}
    assert f"ROUGE-1 {scores.rouge1:.2f}" in output("evaluate", model, *both, *search)
    assert "under 'summary'" in complaint("evaluate", model, "--source", tmp_path / "rows.jsonl", *keys[:2])
    said = complaint("evaluate", model, *both, "--summary-key", "x", "--metric", "bleu", status=2)
    assert "--summary-key is for models that summarize" in said


def test_models_without_right_answers_say_so(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from text_encoders import write_checkpoint

    write_checkpoint(tmp_path / "hf", "bert", "Model")
    output("convert", tmp_path / "hf", tmp_path / "model")
    said = complaint("evaluate", tmp_path / "model", "--source", tmp_path / "texts.txt")
    assert "expected a model of one of the tasks translate, summarize, language-model, masked-language-model, " in said

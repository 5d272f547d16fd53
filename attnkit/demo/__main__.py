"""A tour in four minutes, what `./dev demo` runs: train a translator, use it, measure it, and look at its attention;
then the same for a captioner of pictures (`attnkit.demo.captions`).

    python -m attnkit.demo [--fresh] [--folder runs/demo]

Results go to stdout, progress to stderr. A second run uses the model of the first, so long as the preset is the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import attnkit
from attnkit.demo import captions
from attnkit.explain import AttentionMap, render_terminal, write_html, write_png
from attnkit.metrics import text as text_metrics
from attnkit.tasks.translate.alignment import alignment_error
from attnkit.tasks.translate.translator import Translator
from attnkit.text import en_it
from attnkit.training import RunExistsError, TranslateConfig, read_config, train_once
from attnkit.training.trainer import CURVE_FILE

PRESET = "en-it"
EXPECTED_BLEU, EXPECTED_ERROR = 95.0, 0.05
THRESHOLD = 0.2  # of attention that is a link: "the" and "on" share that of "sul"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demonstration. Returns the exit status: 0, or 1 when a model is worse than it should be."""
    parser = argparse.ArgumentParser(prog="python -m attnkit.demo", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/demo"), help="where the model goes (the captioner beside it)"
    )
    parser.add_argument("--fresh", action="store_true", help="delete both folders and train again")
    options = parser.parse_args(arguments)

    _train(options.folder, options.fresh)
    translator = attnkit.load(options.folder, task="translate")
    test = en_it.corpus(train=0, validation=0, test=_config().data.builtin_held_out)["test"]
    _show_translations(translator, test[: len(en_it.SHOWCASE)])
    bleu, error = _measure(translator, test)
    _show_attention(translator, test[0], options.folder)
    if bleu < EXPECTED_BLEU:
        print(f"demo: expected a BLEU of at least {EXPECTED_BLEU}, got {bleu:.1f}", file=sys.stderr)
    if error > EXPECTED_ERROR:
        print(f"demo: expected an alignment error of at most {EXPECTED_ERROR}, got {error:.3f}", file=sys.stderr)
    describes = captions.run(options.folder.with_name(options.folder.name + "-captions"), options.fresh)
    return int(bleu < EXPECTED_BLEU or error > EXPECTED_ERROR or not describes)


def _config() -> TranslateConfig:
    config = read_config(PRESET)
    assert isinstance(config, TranslateConfig)  # the preset is ours
    return config


def _train(folder: Path, fresh: bool) -> None:
    _title("1. A translator, English to Italian")
    print("A small Transformer learns sentences of a built-in grammar, from nothing, on this computer ...", flush=True)
    start = time.perf_counter()
    if train_once(_config(), folder, fresh=fresh):
        print(f"Trained in {time.perf_counter() - start:.0f} seconds.")
    else:
        print(f"Trained already: {folder} (--fresh trains again).")


def _show_translations(translator: Translator, pairs: Sequence[en_it.AlignedPair]) -> None:
    _title("2. Sentences that it has never seen")
    results = translator.translate([pair.source for pair in pairs])
    width = max(len(pair.source) for pair in pairs)
    for pair, result in zip(pairs, results, strict=True):
        right = "" if result.text == pair.target else f"   (expected: {pair.target})"
        print(f"  {pair.source:<{width}}  →  {result.text}{right}")


def _measure(translator: Translator, pairs: Sequence[en_it.AlignedPair]) -> tuple[float, float]:
    """Prints BLEU and the alignment error rate, and returns both."""
    _title(f"3. Measured on {len(pairs)} held-out sentences")
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    start = time.perf_counter()
    texts = [result.text for result in translator.translate(sources)]
    seconds = time.perf_counter() - start
    bleu = text_metrics.bleu(texts, targets, "none")
    error = alignment_error(translator, pairs, threshold=THRESHOLD)
    print(f"  BLEU                  {bleu.score:.1f}   ({bleu.signature})")
    print(
        f"  alignment error rate  {error:.3f}   (attention against true word links; it learnt those of other sentences)"
    )
    print(f"  translated in {seconds:.1f} seconds")
    return bleu.score, error


def _show_attention(translator: Translator, pair: en_it.AlignedPair, folder: Path) -> None:
    _title("4. Where it looks")
    result = translator.translate([pair.source], attention=True)[0]
    assert result.attention is not None
    attention = AttentionMap(result.source_tokens, result.tokens, result.attention, f"{pair.source} → {result.text}")
    print(render_terminal(attention, colour=sys.stdout.isatty()))
    page, picture = folder / "attention.html", folder / "attention.png"
    write_html(page, [attention])
    write_png(picture, attention)
    print(f"\nThe same as a page: {page}\nand as a picture:   {picture}")
    _draw_self_attention(translator, pair, folder)
    print(f"How it learnt:      {folder / CURVE_FILE}")
    print(f'\nNow yours:  echo "the dog is in the garden" | attnkit translate {folder}')


def _draw_self_attention(translator: Translator, pair: en_it.AlignedPair, folder: Path) -> None:
    """What the words of the same sentence look at among themselves, in every layer and head of the encoder."""
    maps = translator.attention(pair.source).select("encoder")
    for file in (folder / "self-attention.png", folder / "self-attention.html"):
        maps.save(file)
    print(f"Words that look at each other, in every layer and head: {folder / 'self-attention.png'} (and .html)")


def _title(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RunExistsError as error:
        print(f"demo: {error} (by --folder, or --fresh deletes what is there)", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as stop:
        print(f"\ndemo: {stop or 'interrupted'}", file=sys.stderr)
        sys.exit(130)

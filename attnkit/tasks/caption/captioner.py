"""Captioning images with a model."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Unpack, cast

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import PAUSE, Paused, windows
from attnkit.data.lines import one_line
from attnkit.decoding.begun import Begun
from attnkit.decoding.options import DecodingOptions, SearchArguments, decoding_options
from attnkit.decoding.search import Hypothesis, decode
from attnkit.decoding.workers import Stop, fair_share, run_batches
from attnkit.devices import device_of
from attnkit.tasks.shared.progress import Done, unseen
from attnkit.text.forced import Forced
from attnkit.text.tokenizers.vocabulary import BOS, PAD, UNK

if TYPE_CHECKING:
    from PIL.Image import Image

    from attnkit.decoding.defaults import DecodingDefaults
    from attnkit.decoding.sources import Regions
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.models.captioner import Captioner as CaptionModel
    from attnkit.tasks.caption.figures import CaptionReport
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.text.tokenizers.base import Tokenizer
    from attnkit.vision.data import ImageData
    from attnkit.vision.images import ImageLike
    from attnkit.vision.preprocessing import Preprocessing


class Caption(msgspec.Struct, frozen=True, eq=False):
    """One captioned image.

    text: the caption, behind its prompt where there is one.
    score: the normalised log-probability that hypotheses are compared by.
    tokens: the pieces of `text`, N of them, without those of a prompt.
    attention: float32 [N, rows, columns] over the square that the model sees, where each token's numbers sum to one,
        less what goes to tokens that are no place in the image, the class token of a Vision Transformer; None unless
        asked for, and for a model that does not attend.
    truncated: the caption reached max_length.
    alternatives: the second to the nbest-th caption, best first (samples as drawn), where nbest > 1.
    gates: float32 [N] from 0 to 1, how far each token lets in what it looks at (β: Xu et al., 2015, section 4.2.1);
        None unless attention is asked for, and for a model without such a gate.
    """

    text: str
    score: float
    tokens: list[str]
    attention: npt.NDArray[np.float32] | None
    truncated: bool = False
    alternatives: tuple[Caption, ...] = ()
    gates: npt.NDArray[np.float32] | None = None


class Captioner:
    """A captioning model with its tokenizer and the way it wants images. Made by `attnkit.load`."""

    reads = "images"
    """What `caption` takes."""

    def __init__(
        self,
        model: CaptionModel,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        *,
        precision: Precision = "fp32",
        defaults: DecodingDefaults | None = None,
    ) -> None:
        """`defaults` hold for what a call of `caption` leaves open, before those of `DecodingOptions`."""
        check_precision(precision)
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.precision: Precision = precision
        self._defaults = defaults
        self._first = defaults.first if defaults else None
        suppress = defaults.suppress if defaults else None
        if suppress is None:
            suppress = (PAD, UNK, BOS)  # they are no text
        self._suppress = [token for token in suppress if token != model.eos_id]

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> Captioner:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        preprocessing = directory.preprocessing()
        model = cast("CaptionModel", directory.load_model(precision))
        text = directory.tokenizers().target
        directory.check_vocabulary(text.vocab_size)
        return cls(model, text, preprocessing, precision=precision, defaults=directory.decoding)

    def caption(
        self,
        images: Iterable[ImageLike],
        *,
        attention: bool = False,
        prompt: str = "",
        batch_images: int = 32,
        **search: Unpack[SearchArguments],
    ) -> list[Caption]:
        """One Caption an image, in order.

        attention: also return where the model looked for each token, and the gates; the text is the same with and
        without.
        prompt: what every caption begins with; lengths and scores are of what is written behind it.
        batch_images: how many images go through the model at once, shared out among the threads.
        beam=5, nbest=1, min_length=1, max_length=None, ...: see `DecodingOptions`; a converted model may have other
        defaults. Lengths count tokens, and without max_length a caption is as long as the model can make it.

        An image is a file's name, bytes, a stream of them, a Pillow image or an array, as `attnkit.vision.read_image`
        takes them. Raises OSError or ValueError for one that is no image, naming its file.
        """
        from attnkit.vision.preprocessing import check_images

        check_images(images, "caption")
        return list(
            self.caption_stream(
                map(self.read, images), attention=attention, prompt=prompt, batch_images=batch_images, **search
            )
        )

    def caption_stream(
        self,
        pictures: Iterable[Image | Paused],
        *,
        attention: bool = False,
        prompt: str = "",
        batch_images: int = 32,
        **search: Unpack[SearchArguments],
    ) -> Iterator[Caption]:
        """`caption` for any number of pictures, as `read` returns them: yields in their order while it takes them,
        `batch_images` at a time, or as many as there are before a PAUSE (`attnkit.data.arrivals`).

        Arguments are checked at the call; errors of `pictures` itself pass through.
        """
        begin = Forced.read(one_line(prompt).strip(), self.tokenizer)
        longest = self.model.max_target_length - 1
        if len(begin.ids) >= longest:
            raise ValueError(f"[caption] expected a prompt of at most {longest - 1} tokens, got {len(begin.ids)}")
        options = self._options(search, len(begin.ids))
        if batch_images < 1:
            raise ValueError(f"[caption] expected batch_images >= 1, got {batch_images}")
        # A limit that the model does not allow is an error now, not after the first batch.
        options.max_lengths(np.ones(1, np.int32), np.zeros(1, np.int32), longest - len(begin.ids))
        return self._stream(pictures, begin, options, attention, batch_images)

    def _options(self, search: Any, before: int) -> DecodingOptions:
        """before: tokens of a prompt, which the model's own limits count, as transformers does."""
        if self._defaults is None:
            return decoding_options(**search)
        merged: Any = self._defaults.merge({**search})
        for name, least in (("min_length", 0), ("max_length", max(1, search.get("min_length", 0)))):
            if name not in search and merged.get(name) is not None:
                merged[name] = max(least, merged[name] - before)
        return decoding_options(**merged)

    def evaluate(
        self,
        data: ImageData,
        *,
        prompt: str = "",
        batch_images: int = 32,
        done: Done = unseen,
        **search: Unpack[SearchArguments],
    ) -> CaptionReport:
        """BLEU, CIDEr-D and exact matches of the captions of images, by what training measures when it validates.

        data: images with their captions, as `ImageDataConfig.read` gives them. prompt: what every caption begins with;
        it is not scored (Li et al., 2022). done: called for each image once it has its caption. The other arguments are
        those of `caption`. Raises what that raises, and ValueError for data without captions.
        """
        from attnkit.tasks.caption.figures import CaptionReport

        if data.captions is None:
            raise ValueError("[evaluate] expected images with captions, got none")
        begin, prepare = one_line(prompt).strip(), self.preprocessing
        pictures = (data.pictures.get(n, prepare.channels, prepare.at_least) for n in range(len(data)))
        texts, cut = [], 0
        for result in self.caption_stream(pictures, prompt=prompt, batch_images=batch_images, **search):
            texts.append(result.text.removeprefix(begin).strip())
            cut += result.truncated
            done(1)
        return CaptionReport.of(texts, data.captions, cut)

    def attention(
        self, image: ImageLike, target: str | None = None, **search: Unpack[SearchArguments]
    ) -> AttentionMaps:
        """All that the model looks at in an image while it writes a caption: "encoder" or "excitation" of the image's
        encoder, "decoder" and "cross", of all layers and heads, and "gates.beta", as it has them; see `AttentionMaps`.

        target: the caption; None writes one first, as `caption` does with these arguments. Raises what that raises, and
        ValueError for a caption that is longer than the model's.
        """
        from attnkit.tasks.caption.attention import look
        from attnkit.tasks.shared.attention_kinds import image_title

        picture = self.read(image)
        if target is None:
            target = next(self.caption_stream([picture], **search)).text
        given = Forced.read(one_line(target).strip(), self.tokenizer)
        if len(given.ids) >= (longest := self.model.max_target_length):
            raise ValueError(f"[attention] expected a caption of at most {longest - 1} tokens, got {len(given.ids)}")
        return look(self, image_title(image), picture, given)

    def read(self, image: ImageLike) -> Image:
        """The picture of a file, or what else `attnkit.vision.read_image` takes, in the model's channels. Raises
        OSError, TypeError or ValueError."""
        return self.preprocessing.read(image)

    def _stream(
        self,
        pictures: Iterable[Image | Paused],
        begin: Forced,
        options: DecodingOptions,
        attention: bool,
        batch_images: int,
    ) -> Iterator[Caption]:
        decode = functools.partial(self._decode, begin, options, attention)
        prepare, device = self.preprocessing, device_of(self.model)
        squares = (each if each is PAUSE else prepare.pixels(prepare.fitted(each)) for each in pictures)
        for window in windows(squares, batch_images):
            share = fair_share(len(window), batch_images, fewest=1, device=device)
            batches = [window[begin : begin + share] for begin in range(0, len(window), share)]
            for captions in run_batches(decode, batches, device):
                yield from captions

    def _decode(
        self,
        begin: Forced,
        options: DecodingOptions,
        attention: bool,
        batch: list[tuple[int, npt.NDArray[np.uint8]]],
        stop: Stop,
    ) -> list[Caption]:
        """The captions of numbered squares."""
        images = self.preprocessing.numbers(np.stack([square for _, square in batch]))
        with _tensor.no_grad(), _tensor.precision(self.precision):
            regions = self.model.encode(images)
            found = decode(
                Begun(self.model, begin.ids),
                regions,
                options,
                attention=attention and self.model.attends,
                first=None if self._first is None else [self._first] * len(batch),
                suppress=self._suppress,
                numbers=[number for number, _ in batch],
                what="image",
                stop=stop,
            )
            gates = self._gates(begin, regions, found) if attention else None
        written = [[self._write(begin, each, regions) for each in hypotheses] for hypotheses in found]
        if gates is not None:
            written = [[msgspec.structs.replace(each, gates=next(gates)) for each in captions] for captions in written]
        return [msgspec.structs.replace(captions[0], alternatives=tuple(captions[1:])) for captions in written]

    def _gates(
        self, prompt: Forced, regions: Regions, found: list[list[Hypothesis]]
    ) -> Iterator[npt.NDArray[np.float32]] | None:
        """Of all hypotheses, one image after the other; None where the model has no gates."""
        images = [index for index, hypotheses in enumerate(found) for _ in hypotheses]
        before = np.array(prompt.ids, np.int32)
        tokens = [np.concatenate([before, each.tokens]) for hypotheses in found for each in hypotheses]
        gates = self.model.gates(regions, np.array(images, np.int32), tokens)
        return None if gates is None else iter([each[len(before) :] for each in gates])

    def _write(self, prompt: Forced, hypothesis: Hypothesis, regions: Regions) -> Caption:
        ids = hypothesis.tokens.tolist()
        maps = None
        if hypothesis.attention is not None:
            maps = hypothesis.attention[:, regions.before :].reshape(-1, *regions.grid)
        return Caption(
            text=prompt.whole([*prompt.ids, *ids], self.tokenizer).strip(),
            score=hypothesis.score,
            tokens=self.tokenizer.pieces(ids),
            attention=maps,
            truncated=hypothesis.cut,
        )

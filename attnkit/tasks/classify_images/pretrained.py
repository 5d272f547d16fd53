"""A classifier of images that begins with what another model of images has learnt: its layers, and how it sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnkit.models.captioner_config import CaptionerConfig
from attnkit.models.cnn_config import CNNConfig
from attnkit.models.registry import build_model
from attnkit.models.vit_config import ViTConfig
from attnkit.tasks.classify_images.config import PretrainedClassifierConfig
from attnkit.tasks.shared.pretrained import PretrainedModel
from attnkit.training.errors import ConfigError

if TYPE_CHECKING:
    from attnkit.models.cnn import CNN
    from attnkit.models.vit import ViT

_TASKS = {"classify": "a classifier or an encoder of images", "caption": "a captioner"}
_HEADS = ("head.", "distillation_head.")


class PretrainedImages(PretrainedModel):
    """The model of `[pretrained]`.

    config: of the classifier that begins with it. image: how it wants images, which is how the classifier wants them.
    """

    reads = "images"

    def __init__(self, asked: PretrainedClassifierConfig, folder: Path, resumed: bool) -> None:
        """A new run reads the model directory and keeps its config.json in `folder`, a resumed one reads that. Raises
        FileNotFoundError or ValueError for a directory that is none, ConfigError for one that does not fit."""
        super().__init__(asked, folder, resumed, _TASKS)
        config: Any = self._directory.described.config
        if isinstance(config, CaptionerConfig):
            config = config.encoder
        if not isinstance(config, ViTConfig | CNNConfig):
            found = config.__struct_config__.tag
            raise ConfigError(f"pretrained.model: expected a ViT or a CNN, got a model of type {found!r}")
        self.image = self._directory.preprocessing()
        self.config: ViTConfig | CNNConfig = self.with_dropout(config, {})
        if not resumed:
            self.keep(folder)

    def build(self, classes: int, resumed: bool) -> ViT | CNN:
        """The classifier: its layers are the model's, what classifies is new. A resumed run has all weights in its
        checkpoint. Raises FileNotFoundError or ValueError for weights that are none."""
        classifier: ViT | CNN = build_model(self.config, classes)
        if not resumed:
            model: Any = self._directory.load_model()
            model.to("float32")
            encoder = model.encoder if isinstance(model.config, CaptionerConfig) else model
            learnt = {name: array for name, array in encoder.state_dict().items() if not name.startswith(_HEADS)}
            classifier.load_state_dict({**classifier.state_dict(), **learnt})
        return classifier

"""What config.json and generation_config.json of M2M-100 or NLLB-200 say, as configurations of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from attnkit.decoding.defaults import DecodingDefaults
from attnkit.interop.hf_config import (
    CONFIG_FILE,
    GenerationConfig,
    HiddenAct,
    Ids,
    Seq2SeqConfig,
    left_out_of_search,
    read_architecture,
    read_generation,
    read_table,
    settled,
)
from attnkit.models.config import NotNegative, Positive, Rate
from attnkit.models.transformer_config import TransformerConfig

MODEL_TYPE, _MIXTURE = "m2m_100", "nllb-moe"


class M2MConfig(Seq2SeqConfig, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    model_type: Literal["m2m_100"]
    vocab_size: Positive = 128112
    activation_function: HiddenAct = "relu"
    scale_embedding: bool = True
    attention_dropout: Rate = 0.1
    eos_token_id: Ids = 2
    decoder_start_token_id: NotNegative = 2
    pad_token_id: NotNegative = 1

    def options(self) -> dict[str, Any]:
        """fairseq's Transformer: norms before sublayers, sinusoids of tensor2tensor that begin behind the padding's
        id."""
        return {"norm": "pre", "position_spacing": "tensor2tensor", "position_offset": self.pad_token_id + 1}


class M2MConfigs(NamedTuple):
    """What both files say. target: the token of the language to write, where they name one. left_out: a line for each
    setting of the search that attnkit does not follow."""

    m2m: M2MConfig
    transformer: TransformerConfig
    defaults: DecodingDefaults
    target: int | None
    left_out: list[str]


def read_m2m_configs(folder: Path) -> M2MConfigs:
    """Both configurations of a checkpoint. Raises FileNotFoundError, or ValueError that names the file and the key."""
    file = folder / CONFIG_FILE
    if read_table(file).get("model_type") == _MIXTURE:
        raise ValueError(
            f'[convert] {file}: expected the model_type "{MODEL_TYPE}", got "{_MIXTURE}", a mixture of experts, which '
            "attnkit does not have; the dense models of NLLB-200 can be converted"
        )
    table, m2m = read_architecture(folder, MODEL_TYPE, "M2M100ForConditionalGeneration", M2MConfig)
    file, table, generation = read_generation(folder, table, GenerationConfig)
    transformer, defaults = settled(m2m, generation, file, language=True)
    left_out = left_out_of_search(table, file)
    return M2MConfigs(m2m, transformer, defaults, generation.forced_bos_token_id, left_out)

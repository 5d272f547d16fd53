"""Makes what ONNX Runtime reads of a checkpoint: python -m ... CHECKPOINT FOLDER PRECISION...

fp32.onnx is PyTorch's export with the fusions that ONNX Runtime has for BERT's family, int8.onnx its dynamic
quantisation of that.
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
import transformers

AXES = {0: "batch", 1: "tokens"}


class _States(torch.nn.Module):
    """Tensors in, the states out."""

    def __init__(self, model: Any, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Any) -> Any:
        return self.model(**dict(zip(self.names, inputs, strict=True))).last_hidden_state


def main(model_name: str, folder_name: str, *precisions: str) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
    folder = Path(folder_name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_name)
    # Its attention is written out, as the fusions expect it.
    model = transformers.AutoModel.from_pretrained(model_name, attn_implementation="eager").float().eval()
    example = dict(tokenizer(["two dogs run", "a man"], padding=True, return_tensors="pt"))
    names = list(example)
    torch.onnx.export(
        _States(model, names), tuple(example.values()), str(folder / "plain.onnx"), input_names=names,
        output_names=["states"], dynamic_axes={name: AXES for name in [*names, "states"]}, opset_version=17,
        dynamo=False,
    )  # fmt: skip
    _optimize(folder, model.config)
    if "int8" in precisions:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            folder / "fp32.onnx",
            folder / "int8.onnx",
            weight_type=QuantType.QInt8,
            # Behind a fused node it cannot tell the type by itself.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


def _optimize(folder: Path, config: Any) -> None:
    """Fuses attention, norms and GELU where the family is one that ONNX Runtime knows."""
    from onnxruntime.transformers import optimizer

    heads = getattr(config, "num_attention_heads", 0)
    width = getattr(config, "hidden_size", 0)
    made = optimizer.optimize_model(
        str(folder / "plain.onnx"), model_type="bert", num_heads=heads, hidden_size=width, opt_level=1
    )
    made.save_model_to_file(str(folder / "fp32.onnx"))


if __name__ == "__main__":
    main(*sys.argv[1:])

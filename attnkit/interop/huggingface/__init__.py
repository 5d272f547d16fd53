"""Models as Hugging Face transformers keeps them, a file a family, chosen by `model_type`."""

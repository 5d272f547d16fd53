"""The task "masked-language-model": texts in, a model that fills gaps in texts out."""

"""The task "translate": sentence pairs in, translations out."""

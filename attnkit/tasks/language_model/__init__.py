"""The task "language-model": texts in, a model that continues texts out."""

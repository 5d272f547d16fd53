"""The task "embed": texts in, vectors out."""

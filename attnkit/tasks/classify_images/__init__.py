"""The task "classify" for models that read images."""

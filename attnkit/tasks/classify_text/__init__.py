"""The task "classify" for models that read text."""

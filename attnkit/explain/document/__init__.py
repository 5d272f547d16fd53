"""Attention over the words and sentences of a document."""

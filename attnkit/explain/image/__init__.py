"""Attention over the regions of an image."""

"""Attention between two sentences."""

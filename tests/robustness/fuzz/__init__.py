"""Hostile inputs at random, each from a seed that makes it again: a file here for each kind, `runner.py` for all."""

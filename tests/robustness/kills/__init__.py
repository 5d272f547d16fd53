"""Trainings that are killed, or whose disk fails: what is resumed ends with the bytes of an undisturbed run."""

"""Figures of quality, from outputs and references alone: of translations, captions and classes."""

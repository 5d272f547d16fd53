"""The list of experiments, for everything that needs their names."""

from __future__ import annotations

# Name: what it shows. Each is a module of this package, dashes written as underscores, with a function
# `run(laboratory) -> list of files`, which says by `laboratory.expect` what its figure must have to show anything. The
# module's docstring is its title and paragraph on the page of all. Where its effect shows in less training than the
# preset's, FEW_STEPS is how long it is trained for that page.
EXPERIMENTS = {
    "fixed-context": "BLEU by sentence length, with attention and without",
    "recency": "which words of the source arrive, by their position: one fixed vector against attention",
    "context": "where a decoder without attention finds the source: at first, at every step, or with blank inputs",
    "reversal": "the order of the source, where one vector holds it all",
    "distance": "a word that must be remembered over a growing distance: RNN, LSTM and self-attention",
    "scores": "the same translator under every score and normaliser",
    "alignment": "which words belong together, as attention in one direction and in both says",
    "hard-soft": "a sampled position against a weighted mean",
    "local": "cost and quality of global, local and hard attention by the length of the source",
    "memory": "a memory that is read by content: key-value recall, also by damaged keys",
    "gates": "the input, forget and output gates of an LSTM that counts brackets, and of one that reads words",
    "excitation": "which channels squeeze-and-excitation opens for which class, layer by layer",
    "heads": "what each head of a trained Transformer looks at",
    "positions": "a Transformer with and without positional encoding, on shuffled words",
    "speed": "Transformer and recurrent translator: quality by seconds of training",
}

"""A Transformer built, trained and used by hand: it learns ten sentence pairs by heart and translates them.

    python examples/train_tiny.py

`attnkit train` does all this and more from a configuration file; here every part is in sight.
"""

import attnkit
from attnkit import optim
from attnkit.decoding import DecodingOptions, Packed, decode
from attnkit.models import TransformerConfig, build_model
from attnkit.text import BatchIterator, ParallelCorpus, Vocabulary, WordTokenizer

PAIRS = [
    ("good morning", "buongiorno"),
    ("good night", "buona notte"),
    ("the cat", "il gatto"),
    ("the dog", "il cane"),
    ("the cat sleeps", "il gatto dorme"),
    ("the dog eats", "il cane mangia"),
    ("I see the cat", "vedo il gatto"),
    ("I see the dog", "vedo il cane"),
    ("thank you", "grazie"),
    ("see you tomorrow", "a domani"),
]
STEPS = 120


def main() -> None:
    attnkit.manual_seed(1)
    english, italian = (
        WordTokenizer(Vocabulary.build(" ".join(side).split(), 100)) for side in zip(*PAIRS, strict=True)
    )
    corpus = ParallelCorpus.from_pairs(PAIRS).encode(english.encode, italian.encode)

    config = TransformerConfig(
        d_model=32, ffn=64, heads=4, encoder_layers=1, decoder_layers=1, dropout=0.1, tie_embeddings="decoder"
    )
    model = build_model(config, english.vocab_size, italian.vocab_size)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    batches = BatchIterator(corpus, max_tokens=100, bos=model.bos_id, eos=model.eos_id)

    step = 0
    while step < STEPS:
        for batch in batches:  # one epoch
            loss, _, tokens = model.loss(batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if step % 20 == 0:
                print(f"step {step:3}  loss {loss.item():.3f}  ({tokens} tokens)")

    model.eval()
    print()
    for source, target in PAIRS:
        ids = [*english.encode(source), model.eos_id]
        ((best,),) = decode(model, Packed.of([ids]), DecodingOptions(beam=2))
        translation = italian.decode(best.tokens.tolist())
        print(f"{source:18} → {translation:18} {'' if translation == target else f'(expected {target})'}".rstrip())


if __name__ == "__main__":
    main()

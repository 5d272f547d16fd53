"""The built-in corpus: correct Italian, one translation for each sentence, exact links, fixed splits."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnkit.text import en_it
from attnkit.text.alignment import AlignedPair, parse_pharaoh
from attnkit.text.en_it import grammar, inflection, lexicon
from attnkit.text.en_it.sampler import Sampler

ARTICLES = [
    # noun, "the", plural "the", "a", "on the", "of the" (plural), "that", plural "that"
    ("cat", "il gatto", "i gatti", "un gatto", "sul gatto", "dei gatti", "quel gatto", "quei gatti"),
    ("friend", "l'amico", "gli amici", "un amico", "sull'amico", "degli amici", "quell'amico", "quegli amici"),
    ("student", "lo studente", "gli studenti", "uno studente", "sullo studente", "degli studenti", "quello studente",
     "quegli studenti"),
    ("backpack", "lo zaino", "gli zaini", "uno zaino", "sullo zaino", "degli zaini", "quello zaino", "quegli zaini"),
    ("psychologist", "lo psicologo", "gli psicologi", "uno psicologo", "sullo psicologo", "degli psicologi",
     "quello psicologo", "quegli psicologi"),
    ("house", "la casa", "le case", "una casa", "sulla casa", "delle case", "quella casa", "quelle case"),
    ("actress", "l'attrice", "le attrici", "un'attrice", "sull'attrice", "delle attrici", "quell'attrice",
     "quelle attrici"),
    ("egg", "l'uovo", "le uova", "un uovo", "sull'uovo", "delle uova", "quell'uovo", "quelle uova"),
    ("man", "l'uomo", "gli uomini", "un uomo", "sull'uomo", "degli uomini", "quell'uomo", "quegli uomini"),
    ("hotel", "l'albergo", "gli alberghi", "un albergo", "sull'albergo", "degli alberghi", "quell'albergo",
     "quegli alberghi"),
    ("zoo", "lo zoo", "gli zoo", "uno zoo", "sullo zoo", "degli zoo", "quello zoo", "quegli zoo"),
]  # fmt: skip


@pytest.fixture(scope="module")
def many_pairs() -> list[AlignedPair]:
    """Made by the tests that ask for them: every process of a test run collects this file."""
    return list(itertools.islice(en_it.generate(seed=3), 60_000))


def italian(determiner: str, noun: str, plural: bool = False, adjective: str | None = None, prep: str = "") -> str:
    built = grammar.noun_phrase(
        determiner,
        lexicon.NOUNS[noun],
        plural,
        lexicon.ADJECTIVES[adjective] if adjective else None,
        lexicon.PREPOSITIONS[prep] if prep else None,
    )
    return grammar.sentence(built).target


@pytest.mark.parametrize("row", ARTICLES, ids=lambda row: row[0])
def test_articles_follow_gender_number_and_the_next_sound(row: tuple[str, ...]) -> None:
    noun, *expected = row
    assert [
        italian("the", noun),
        italian("the", noun, plural=True),
        italian("a", noun),
        italian("the", noun, prep="on"),
        italian("the", noun, plural=True, prep="of"),
        italian("that", noun),
        italian("that", noun, plural=True),
    ] == expected


@pytest.mark.parametrize(
    ("preposition", "forms"),
    {
        "on": "sul sullo sull' sulla sui sugli sulle",
        "in": "nel nello nell' nella nei negli nelle",
        "of": "del dello dell' della dei degli delle",
        "to": "al allo all' alla ai agli alle",
        "from": "dal dallo dall' dalla dai dagli dalle",
    }.items(),
)
def test_contractions(preposition: str, forms: str) -> None:
    particle = lexicon.PREPOSITIONS[preposition].particle
    articles = ("il", "lo", "l'", "la", "i", "gli", "le")
    assert [inflection.contracted(particle, article) for article in articles] == forms.split()


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        (("a", "book", False, "beautiful"), "un bel libro"),
        (("the", "mirror", False, "beautiful"), "il bello specchio"),
        (("the", "mirror", True, "beautiful"), "i begli specchi"),
        (("a", "umbrella", False, "beautiful"), "un bell'ombrello"),
        (("that", "key", True, "beautiful"), "quelle belle chiavi"),
        (("that", "bird", True, "beautiful"), "quei begli uccelli"),
        (("some", "sugar", False, "good"), "del buono zucchero"),
        (("the", "wine", False, "good"), "il buon vino"),
        (("the", "book", True, "white"), "i libri bianchi"),
        (("the", "egg", True, "fresh"), "le uova fresche"),
        (("the", "egg", False, "fresh"), "l'uovo fresco"),
        (("my", "sister", False, None), "mia sorella"),
        (("my", "sister", True, None), "le mie sorelle"),
        (("their", "sister", False, None), "la loro sorella"),
        (("my", "friend", False, None), "il mio amico"),
        (("my", "house", False, None, "in"), "nella mia casa"),
        (("my", "aunt", False, None, "to"), "a mia zia"),
        (("this", "friend", False, None), "quest'amico"),
        (("two", "nurse", True, "tired"), "due infermiere stanche"),
        (("the", "hotel", False, None, "in front of"), "davanti all'albergo"),
        (("the", "cup", False, None, "near"), "vicino alla tazza"),
    ],
)
def test_noun_phrases(phrase: tuple[Any, ...], expected: str) -> None:
    assert italian(*phrase) == expected


@pytest.mark.parametrize(
    ("infinitive", "forms"),
    [
        ("mangiare", "mangio mangi mangia mangiamo mangiate mangiano"),
        ("giocare", "gioco giochi gioca giochiamo giocate giocano"),
        ("spiegare", "spiego spieghi spiega spieghiamo spiegate spiegano"),
        ("leggere", "leggo leggi legge leggiamo leggete leggono"),
        ("dormire", "dormo dormi dorme dormiamo dormite dormono"),
    ],
)
def test_regular_verbs(infinitive: str, forms: str) -> None:
    assert inflection.present(infinitive) == tuple(forms.split())


def test_inchoative_verb() -> None:
    forms = "capisco capisci capisce capiamo capite capiscono"
    assert lexicon.TRANSITIVE["understand"].present == tuple(forms.split())


def test_participle_with_essere_agrees_with_the_subject() -> None:
    subject = grammar.noun_phrase("the", lexicon.NOUNS["girl"], plural=True)
    built = grammar.clause(subject, grammar.perfect(lexicon.MOTION["go"], subject))
    assert grammar.sentence(built) == AlignedPair(
        "the girls have gone", "le ragazze sono andate", ((0, 0), (1, 1), (2, 2), (3, 3))
    )


def test_clauses() -> None:
    read, cat = lexicon.TRANSITIVE["read"], grammar.noun_phrase("the", lexicon.NOUNS["cat"])
    book = grammar.noun_phrase("a", lexicon.NOUNS["book"])
    you = grammar.pronoun("you")
    asked = grammar.question(grammar.clause(you, grammar.simple(read, book), inverted=True))
    assert grammar.sentence(asked) == AlignedPair(
        "do you read a book ?", "leggi un libro ?", ((0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 3))
    )
    denied = grammar.clause(you, grammar.simple(read, book), negated=True)
    assert grammar.sentence(denied).target == "non leggi un libro"
    never = grammar.simple(read, book)
    never.frequency = "never"
    assert grammar.sentence(grammar.clause(you, never)).target == "non leggi mai un libro"
    assert grammar.sentence(grammar.where(cat)) == AlignedPair(
        "where is the cat ?", "dov'è il gatto ?", ((0, 0), (1, 0), (2, 1), (3, 2), (4, 3))
    )
    both = grammar.coordination(grammar.name("anna"), grammar.name("elena"))
    tired = grammar.adjective_complement(lexicon.ADJECTIVES["tired"], both)
    assert grammar.sentence(grammar.clause(both, grammar.copula(tired))).target == "anna ed elena sono stanche"
    to_anna = grammar.simple(lexicon.GIVE, book, grammar.name("anna", lexicon.PREPOSITIONS["to"]))
    assert grammar.sentence(grammar.clause(you, to_anna)).target == "dai un libro ad anna"


def test_sixty_thousand_distinct_pairs_have_one_translation_each(many_pairs: list[AlignedPair]) -> None:
    assert len({pair.source for pair in many_pairs}) == 60_000
    sampler_pairs: dict[str, AlignedPair] = {}
    for seed in (1, 2):
        sampler = Sampler(random.Random(seed))
        for pair in (sampler.sentence() for _ in range(30_000)):
            assert sampler_pairs.setdefault(pair.source, pair) == pair


def test_links_cover_both_sides_and_stay_inside(many_pairs: list[AlignedPair]) -> None:
    for pair in many_pairs:
        sources, targets = pair.source.split(), pair.target.split()
        assert {source for source, _ in pair.alignment} == set(range(len(sources))), pair
        assert {target for _, target in pair.alignment} == set(range(len(targets))), pair
        assert len(set(pair.alignment)) == len(pair.alignment)


def test_text_is_tokenized_lower_case_without_final_stops(many_pairs: list[AlignedPair]) -> None:
    for pair in many_pairs:
        for text in (pair.source, pair.target):
            assert text == text.lower() == " ".join(text.split())
            assert text.replace("?", "").replace("'", "").replace(" ", "").isalpha()
        assert pair.source.endswith(" ?") == pair.target.endswith(" ?")


def test_elision_over_the_whole_corpus(many_pairs: list[AlignedPair]) -> None:
    """No article that should have been elided or changed stands before a word, and none elided before a consonant."""
    for pair in many_pairs:
        tokens = pair.target.split()
        for token, following in itertools.pairwise(tokens):
            kind = inflection.sound(following)
            if token in {"il", "i", "del", "nel", "sul", "al", "dal", "quel", "quei", "bel", "bei"}:
                assert kind == "plain", pair
            if token in {"gli", "degli", "negli", "sugli", "agli", "dagli", "quegli", "begli"}:
                assert kind != "plain", pair
            if token in {"uno", "dello", "nello", "sullo", "allo", "dallo", "quello"}:
                assert kind == "impure", pair
            if token in {"una", "della", "nella", "sulla", "alla", "dalla", "quella", "questa", "questo"}:
                assert kind != "vowel", pair
        for token in tokens:
            if "'" in token:
                assert inflection.sound(token.partition("'")[2]) == "vowel", pair


def test_same_seed_same_corpus_and_another_seed_another() -> None:
    first, again, other = (en_it.corpus(train=200, validation=20, test=20, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_training_and_held_out_never_meet_whatever_the_seeds(one: int, two: int) -> None:
    train = {pair.source for pair in en_it.corpus(train=50, validation=0, test=0, seed=one)["train"]}
    held_out = en_it.corpus(train=0, validation=10, test=20, seed=two)
    validation, test = ({pair.source for pair in held_out[split]} for split in ("validation", "test"))
    assert len(train) == 50
    assert len(validation) == 10
    assert len(test) == 20
    assert not train & (validation | test)
    assert not validation & test


def test_showcase_is_right_and_held_out() -> None:
    assert {pair.source: pair.target for pair in en_it.SHOWCASE} == {
        "the cat is on the table": "il gatto è sul tavolo",
        "the houses are white": "le case sono bianche",
        "the student buys a red backpack": "lo studente compra uno zaino rosso",
        "my friend does not read a beautiful book": "il mio amico non legge un bel libro",
        "the girls have arrived from the airport": "le ragazze sono arrivate dall'aeroporto",
        "do you see me ?": "mi vedi ?",
        "her sister is eating the ice cream": "sua sorella sta mangiando il gelato",
        "where are the keys ?": "dove sono le chiavi ?",
    }
    assert en_it.SHOWCASE[0].alignment == ((0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4))
    assert {en_it.split_of(pair.source) for pair in en_it.SHOWCASE} == {"test"}
    splits = en_it.corpus(train=30_000, validation=100, test=100)
    assert splits["test"][: len(en_it.SHOWCASE)] == list(en_it.SHOWCASE)
    for split in ("train", "validation"):
        assert not {pair.source for pair in en_it.SHOWCASE} & {pair.source for pair in splits[split]}


def test_the_sampler_reaches_the_showcase(many_pairs: list[AlignedPair]) -> None:
    """The stream itself contains sentences of the showcase: they are ordinary ones that were set aside."""
    shown = {pair.source: pair for pair in en_it.SHOWCASE}
    met = {pair.source: pair for pair in many_pairs if pair.source in shown}
    assert met
    assert all(shown[source] == pair for source, pair in met.items())


def test_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[corpus\] expected sizes of at least 0"):
        en_it.corpus(train=-1)


def test_written_files_agree_with_the_corpus(tmp_path: Path) -> None:
    written = en_it.write(tmp_path, train=30, validation=5, test=10)
    assert sorted(path.name for path in written) == sorted(
        f"{split}.{suffix}" for split in ("train", "validation", "test") for suffix in ("en", "it", "align")
    )
    pairs = en_it.corpus(train=30, validation=5, test=10)["test"]
    columns = [(tmp_path / f"test.{suffix}").read_text("utf-8").splitlines() for suffix in ("en", "it", "align")]
    read = [AlignedPair(en, it, parse_pharaoh(links)) for en, it, links in zip(*columns, strict=True)]
    assert read == pairs

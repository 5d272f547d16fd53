"""The grammar of the built-in corpus: phrases and clauses built in English and Italian at once, with their links.

Nothing here is random: the functions build exactly what their arguments say. An Italian token holds the English words
that it translates, so that word order can differ freely and the alignment is exact by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from attnkit.text.alignment import AlignedPair
from attnkit.text.en_it import inflection, lexicon
from attnkit.text.en_it.inflection import Gender
from attnkit.text.en_it.lexicon import Adjective, Noun, Preposition, Verb


class Word:
    """One English token. Its identity, not its text, is what Italian tokens point to."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Token(NamedTuple):
    """One Italian token and the English words it translates."""

    text: str
    words: tuple[Word, ...]


@dataclass
class Phrase:
    """English words and Italian tokens, each in its own order."""

    source: list[Word]
    target: list[Token]


@dataclass
class Nominal(Phrase):
    """A phrase that a verb agrees with. A dropped pronoun has no target: the verb translates it."""

    person: int = 3
    plural: bool = False
    gender: Gender = "m"

    @property
    def form(self) -> int:
        """Index into the six forms of a verb."""
        return self.person - 1 + 3 * self.plural


@dataclass
class Predicate:
    """What is said of a subject: an auxiliary or copula, a lexical verb, and what follows.

    `finite` holds the six English and six Italian forms of the verb that agrees. `verb` is the other verb (eating,
    mangiando) after an auxiliary, and None for the copula. Without an auxiliary `base` is the English infinitive, which
    negation and questions use with "do".
    """

    finite: tuple[Sequence[str], Sequence[str]]
    base: str | None = None
    verb: Phrase | None = None
    complements: list[Phrase] = field(default_factory=list)
    clitic: Phrase | None = None
    frequency: str | None = None


def phrase(english: str, italian: str) -> Phrase:
    """Words without inflection; every Italian token translates all the English ones."""
    words = [Word(text) for text in english.split()]
    return Phrase(words, [Token(text, tuple(words)) for text in italian.split()])


# ----- Nominal phrases


def noun_phrase(
    determiner: str,
    noun: Noun,
    plural: bool = False,
    adjective: Adjective | None = None,
    preposition: Preposition | None = None,
) -> Nominal:
    """A noun with its determiner: the, a, this, that, some, many, every, a possessive or a number."""
    gender = noun.plural_gender if plural else noun.gender
    noun_words = [Word(text) for text in (noun.english_plural if plural else noun.english).split()]
    source = list(noun_words)
    target = [Token(noun.italian_plural if plural else noun.italian, tuple(noun_words))]
    if adjective is not None:
        word = Word(adjective.english)
        source.insert(0, word)
        if adjective.before is None:
            target.append(Token(adjective.form(gender, plural), (word,)))
        else:
            target.insert(0, Token(_before_noun(adjective, gender, plural, target[0].text), (word,)))
    determiner_word = Word(_english_determiner(determiner, plural, source[0].text))
    bare_kin = "kin" in noun.classes and not plural and adjective is None and determiner != "their"
    article, others = _determiner(determiner, gender, plural, target[0].text, bare_kin)
    preposition_words = [Word(text) for text in preposition.english] if preposition else []
    before = _preposition(preposition, preposition_words, article, determiner_word)
    before += [Token(text, (determiner_word,)) for text in others]
    return Nominal([*preposition_words, determiner_word, *source], before + target, 3, plural, gender)


def _english_determiner(determiner: str, plural: bool, following: str) -> str:
    if determiner == "a":
        return inflection.a_or_an(following)
    if plural:
        return {"this": "these", "that": "those"}.get(determiner, determiner)
    return determiner


def _before_noun(adjective: Adjective, gender: Gender, plural: bool, following: str) -> str:
    if adjective.before == "bello":
        return inflection.like_article("be", gender, plural, following)
    return inflection.good(gender, plural, following)


def _determiner(
    determiner: str, gender: Gender, plural: bool, following: str, bare_kin: bool
) -> tuple[str | None, list[str]]:
    """The definite article, which can join a preposition, and the other words of a determiner."""
    if determiner == "the":
        return inflection.definite(gender, plural, following), []
    if determiner == "a":
        return None, [inflection.indefinite(gender, following)]
    if determiner == "this":
        return None, [inflection.this(gender, plural, following)]
    if determiner == "that":
        return None, [inflection.like_article("que", gender, plural, following)]
    if determiner == "some":
        return None, [inflection.contracted("di", inflection.definite(gender, plural, following))]
    if determiner == "every":
        return None, ["ogni"]
    if determiner == "many":
        return None, ["molt" + inflection.ending(gender, plural)]
    if determiner in lexicon.NUMBERS:
        return None, [lexicon.NUMBERS[determiner]]
    owner = inflection.possessive(determiner, gender, plural)
    return (None if bare_kin else inflection.definite(gender, plural, owner)), [owner]


def _preposition(
    preposition: Preposition | None, words: list[Word], article: str | None, determiner: Word
) -> list[Token]:
    """The tokens of a preposition and an article: "on the" is one token, "in front of the" is "davanti al"."""
    if preposition is None:
        return [Token(article, (determiner,))] if article else []
    lead = words[:-1] if preposition.particle and len(words) > 1 else words
    tokens = [Token(text, tuple(lead)) for text in preposition.lead]
    if not preposition.particle:
        return tokens + ([Token(article, (determiner,))] if article else [])
    if article is None:
        return [*tokens, Token(preposition.particle, (words[-1],))]
    return [*tokens, Token(inflection.contracted(preposition.particle, article), (words[-1], determiner))]


def name(english: str, preposition: Preposition | None = None) -> Nominal:
    """A proper name, the same in both languages."""
    words = [Word(text) for text in preposition.english] if preposition else []
    word = Word(english)
    before = _preposition(preposition, words, None, word)
    return Nominal([*words, word], [*before, Token(english, (word,))], gender=lexicon.NAMES[english].gender)


def pronoun(english: str) -> Nominal:
    """A subject pronoun. Italian keeps lui, lei and loro here, and drops those that the ending of the verb tells."""
    italian, person, plural, gender = lexicon.PRONOUNS[english]
    word = Word(english)
    return Nominal([word], [Token(italian, (word,))] if italian else [], person, plural, gender)


def coordination(first: Nominal, second: Nominal, conjunction: str = "and") -> Nominal:
    """Two subjects: plural; feminine only when both are; the second person wins over the third."""
    joint = phrase(conjunction, "e")
    return Nominal(
        first.source + joint.source + second.source,
        first.target + joint.target + second.target,
        min(first.person, second.person),
        True,
        "f" if first.gender == second.gender == "f" else "m",
    )


def you_and(other: Nominal) -> Nominal:
    """ "you and anna": the pronoun stays ("tu e anna"), and the verb is in the second person plural."""
    word = Word("you")
    return coordination(Nominal([word], [Token("tu", (word,))], 2), other)


def with_complement(head: Nominal, complement: Phrase) -> Nominal:
    """ "the door of the house": the head decides the agreement."""
    return Nominal(
        head.source + complement.source, head.target + complement.target, head.person, head.plural, head.gender
    )


def relative(head: Nominal, predicate: Predicate) -> Nominal:
    """ "the boy who reads the book"."""
    who = phrase("who", "che")
    subject = Nominal(who.source, who.target, 3, head.plural, head.gender)
    return with_complement(head, clause(subject, predicate))


# ----- Predicates

_BE = (("am", "are", "is", "are", "are", "are"), lexicon.irregular_present("essere"))
_BE_PROGRESSIVE = (_BE[0], lexicon.irregular_present("stare"))
_HAVE = (("have", "have", "has", "have", "have", "have"), lexicon.irregular_present("avere"))
_HAVE_ESSERE = (_HAVE[0], _BE[1])
_DO = ("do", "do", "does", "do", "do", "do")
_MODALS = {
    "can": (("can",) * 6, lexicon.irregular_present("potere")),
    "must": (("must",) * 6, lexicon.irregular_present("dovere")),
}


def simple(verb: Verb, *complements: Phrase, clitic: str | None = None) -> Predicate:
    """The simple present."""
    third = inflection.third_person(verb.english)
    english = (verb.english, verb.english, third, verb.english, verb.english, verb.english)
    moved = phrase(clitic, lexicon.CLITICS[clitic]) if clitic else None
    return Predicate((english, verb.present), verb.english, None, list(complements), moved)


def progressive(verb: Verb, *complements: Phrase) -> Predicate:
    """ "is eating", "sta mangiando"."""
    return Predicate(_BE_PROGRESSIVE, verb=phrase(verb.english_gerund, verb.gerund), complements=list(complements))


def perfect(verb: Verb, subject: Nominal, *complements: Phrase) -> Predicate:
    """ "has eaten", "ha mangiato"; with essere the participle agrees with the subject: "sono arrivate"."""
    if not verb.with_essere:
        return Predicate(_HAVE, verb=phrase(verb.english_participle, verb.participle), complements=list(complements))
    agreed = verb.participle[:-1] + inflection.ending(subject.gender, subject.plural)
    return Predicate(_HAVE_ESSERE, verb=phrase(verb.english_participle, agreed), complements=list(complements))


def modal(english: str, verb: Verb, *complements: Phrase) -> Predicate:
    """ "can eat", "può mangiare"."""
    return Predicate(_MODALS[english], verb=phrase(verb.english, verb.infinitive), complements=list(complements))


def copula(*complements: Phrase) -> Predicate:
    """ "is" with an adjective, a place or a noun."""
    return Predicate(_BE, complements=list(complements))


def adjective_complement(adjective: Adjective, subject: Nominal, degree: str | None = None) -> Phrase:
    """ "(very) tired", agreeing with the subject."""
    complement = phrase(adjective.english, adjective.form(subject.gender, subject.plural))
    if degree is None:
        return complement
    intensity = phrase(degree, {"very": "molto", "too": "troppo"}[degree])
    return Phrase(intensity.source + complement.source, intensity.target + complement.target)


# ----- Clauses


def clause(subject: Nominal, predicate: Predicate, negated: bool = False, inverted: bool = False) -> Phrase:
    """A statement, or with `inverted` the order of an English question, which Italian leaves as it is."""
    english, italian = predicate.finite[0][subject.form], predicate.finite[1][subject.form]
    negation = phrase("not", "non") if negated else Phrase([], [])
    adverb = _frequency(predicate.frequency)
    if predicate.base is None:
        finite = [Word(english)]
        helper, lexical = finite, predicate.verb or Phrase([], [])
    elif negated or inverted:
        helper, lexical = [Word(_DO[subject.form])], phrase(predicate.base, "")
        finite = helper + lexical.source
    else:
        finite = [Word(english)]
        helper, lexical = [], Phrase(finite, [])
    # In "am not eating" the adverb and "not" follow the auxiliary; without one the adverb precedes the verb.
    start = helper + subject.source if inverted else subject.source + helper
    source = start + negation.source + adverb.source + lexical.source
    clitic = predicate.clitic or Phrase([], [])
    verb_words = tuple(finite) if subject.target else (*subject.source, *finite)
    never = [Token("non", tuple(adverb.source))] if predicate.frequency == "never" else []
    target = subject.target + negation.target + never + clitic.target
    target = [*target, Token(italian, verb_words), *adverb.target, *lexical.target]
    source = source + clitic.source
    for complement in predicate.complements:
        source = source + complement.source
        target = target + complement.target
    return Phrase(source, target)


def _frequency(adverb: str | None) -> Phrase:
    if adverb is None:
        return Phrase([], [])
    return phrase(adverb, "mai" if adverb == "never" else lexicon.FREQUENCY[adverb])


def question(asked: Phrase) -> Phrase:
    """Adds the question mark, a token of its own."""
    mark = phrase("?", "?")
    return Phrase(asked.source + mark.source, asked.target + mark.target)


def where(subject: Nominal) -> Phrase:
    """ "where is the cat ?", "dov'è il gatto ?"."""
    words = [Word("where"), Word(_BE[0][subject.form])]
    verb = _BE[1][subject.form]
    pronoun_words = () if subject.target else tuple(subject.source)
    tokens = (
        [Token("dov'" + verb, (*words, *pronoun_words))]
        if verb.startswith("è")
        else [Token("dove", (words[0],)), Token(verb, (words[1], *pronoun_words))]
    )
    return question(Phrase(words + subject.source, tokens + subject.target))


def object_question(asked: Phrase, subject: Nominal, verb: Verb) -> Phrase:
    """ "what does the boy eat ?", "che cosa mangia il ragazzo ?": in Italian the subject follows the verb."""
    verb_words = [Word(_DO[subject.form]), Word(verb.english)]
    dropped = () if subject.target else tuple(subject.source)
    source = [*asked.source, verb_words[0], *subject.source, verb_words[1]]
    target = [*asked.target, Token(verb.present[subject.form], (*verb_words, *dropped)), *subject.target]
    return question(Phrase(source, target))


def how_many(noun: Noun) -> Phrase:
    """ "how many books", "quanti libri"."""
    words = [Word("how"), Word("many")]
    things = phrase(noun.english_plural, noun.italian_plural)
    quantity = Token("quant" + inflection.ending(noun.plural_gender, True), tuple(words))
    return Phrase(words + things.source, [quantity, *things.target])


def who(predicate: Predicate) -> Phrase:
    """ "who eats the apple ?", "chi mangia la mela ?"."""
    asked = phrase("who", "chi")
    return question(clause(Nominal(asked.source, asked.target), predicate))


def there_is(thing: Nominal, place: Phrase) -> Phrase:
    """ "there is a cat on the table", "c'è un gatto sul tavolo"."""
    words = [Word("there"), Word(_BE[0][thing.form])]
    tokens = [Token("ci", (words[0],)), Token("sono", (words[1],))] if thing.plural else [Token("c'è", tuple(words))]
    return Phrase(words + thing.source + place.source, tokens + thing.target + place.target)


def joined(first: Phrase, second: Phrase, english: str, italian: str) -> Phrase:
    """Two clauses with a conjunction."""
    link = phrase(english, italian)
    return Phrase(first.source + link.source + second.source, first.target + link.target + second.target)


# ----- Sentences


def sentence(built: Phrase) -> AlignedPair:
    """Writes a phrase out: joins elided tokens ("l'" + "amico"), adds the euphonic d, numbers the links."""
    texts: list[str] = []
    words: list[tuple[Word, ...]] = []
    for token in built.target:
        if texts and texts[-1].endswith("'"):
            texts[-1] += token.text
            words[-1] += token.words
        else:
            texts.append(token.text)
            words.append(token.words)
    for index, text in enumerate(texts[:-1]):
        if text in ("a", "e") and texts[index + 1][0] == text:
            texts[index] = text + "d"
    position = {word: index for index, word in enumerate(built.source)}
    links = sorted({(position[word], target) for target, aligned in enumerate(words) for word in aligned})
    return AlignedPair(" ".join(word.text for word in built.source), " ".join(texts), tuple(links))

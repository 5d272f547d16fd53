"""Random sentences: chooses what the grammar builds, with words that make sense together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from attnkit.text.alignment import AlignedPair
from attnkit.text.en_it import grammar, lexicon
from attnkit.text.en_it.grammar import Nominal, Phrase, Predicate
from attnkit.text.en_it.lexicon import Adjective, Noun, Verb

_ANIMATE = ("person", "kin", "animal")
_PEOPLE = ("person", "kin")
_POSSESSIVES = ("my", "your", "his", "her", "our", "their")
_PRONOUNS = tuple(lexicon.PRONOUNS)
_NOUNS = tuple(lexicon.NOUNS.values())
_SUPPORTED = ("object", "food", "readable")


def _nouns(classes: Iterable[str]) -> tuple[Noun, ...]:
    wanted = frozenset(classes)
    return tuple(noun for noun in _NOUNS if noun.classes & wanted)


def _adjectives(noun: Noun) -> tuple[Adjective, ...]:
    return tuple(adjective for adjective in lexicon.ADJECTIVES.values() if adjective.describes & noun.classes)


_ADJECTIVES_OF = {noun.english: _adjectives(noun) for noun in _NOUNS}
_GENDERLESS = tuple(
    adjective for adjective in lexicon.ADJECTIVES.values() if adjective.genderless and "person" in adjective.describes
)
_OF_PEOPLE = tuple(adjective for adjective in lexicon.ADJECTIVES.values() if "person" in adjective.describes)
_PLACE_PREPOSITIONS = ("behind", "near", "in front of")


def _tells_gender(subject: Nominal) -> bool:
    """Whether English shows the gender: "they have arrived" could be "sono arrivati" or "sono arrivate"."""
    return subject.person == 3 and subject.source[0].text != "they"


class Sampler:
    """Draws sentences. The same state of `rng` gives the same sentence on every platform."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._pools: dict[tuple[str, ...], tuple[Noun, ...]] = {}

    def sentence(self) -> AlignedPair:
        """One sentence of a random kind."""
        return grammar.sentence(self._rng.choices(_KINDS, cum_weights=_CUMULATIVE)[0](self))

    # ----- Nominal phrases

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _noun(self, *classes: str) -> Noun:
        pool = self._pools.get(classes)
        if pool is None:
            pool = self._pools[classes] = _nouns(classes)
        return self._rng.choice(pool)

    def _determiner(self, noun: Noun, free: bool) -> tuple[str, bool]:
        """A determiner and the number. Only a `free` phrase, outside negation and prepositions, takes "some"."""
        draw = self._rng.random()
        if "kin" in noun.classes and draw < 0.8:
            return self._rng.choice(_POSSESSIVES), self._chance(0.3)
        if not noun.countable:
            determiners = ("the", "the", "this", "that", "my", "his", "our") + (("some",) * 3 if free else ())
            return self._rng.choice(determiners), False
        if draw < 0.45:
            return "the", self._chance(0.4)
        if draw < 0.65:
            return "a", False
        if draw < 0.75:
            return self._rng.choice(("this", "that")), self._chance(0.4)
        if draw < 0.85:
            return self._rng.choice(_POSSESSIVES), self._chance(0.4)
        if draw < 0.92 or not free:
            return self._rng.choice(tuple(lexicon.NUMBERS)), True
        return (self._rng.choice(("some", "many")), True) if self._chance(0.8) else ("every", False)

    def _phrase(
        self, *classes: str, preposition: str | None = None, adjective: float = 0.2, free: bool = True
    ) -> Nominal:
        noun = self._noun(*classes)
        determiner, plural = self._determiner(noun, free and preposition is None)
        chosen = None
        if "kin" not in noun.classes and _ADJECTIVES_OF[noun.english] and self._chance(adjective):
            chosen = self._rng.choice(_ADJECTIVES_OF[noun.english])
        return grammar.noun_phrase(
            determiner, noun, plural, chosen, lexicon.PREPOSITIONS[preposition] if preposition else None
        )

    def _definite(self, *classes: str, preposition: str) -> Nominal:
        """ "the ...", mostly, after a preposition of place."""
        noun = self._noun(*classes)
        determiner = "the" if self._chance(0.75) else self._rng.choice(("a", "this", "that", *_POSSESSIVES))
        plural = determiner != "a" and self._chance(0.15)
        return grammar.noun_phrase(determiner, noun, plural, preposition=lexicon.PREPOSITIONS[preposition])

    def _name(self, preposition: str | None = None) -> Nominal:
        chosen = self._rng.choice(tuple(lexicon.NAMES))
        return grammar.name(chosen, lexicon.PREPOSITIONS[preposition] if preposition else None)

    def _someone(self, preposition: str) -> Nominal:
        if self._chance(0.3):
            return self._name(preposition)
        return self._phrase(*_PEOPLE, preposition=preposition, adjective=0.05)

    def _subject(self, classes: Iterable[str] = _ANIMATE, simple: bool = False) -> Nominal:
        """A subject; a `simple` one is a noun phrase, a name or a pronoun."""
        draw = self._rng.random()
        if draw < 0.28:
            return grammar.pronoun(self._rng.choice(_PRONOUNS))
        if draw < 0.36:
            return self._name()
        if simple or draw < 0.86:
            return self._phrase(*sorted(classes))
        if draw < 0.90:
            return grammar.you_and(self._name())
        if draw < 0.95:
            return grammar.coordination(
                self._phrase(*sorted(classes), adjective=0.0), self._phrase(*sorted(classes), adjective=0.0)
            )
        return grammar.relative(self._phrase(*_PEOPLE), self._transitive(free=True, adjective=0.1))

    # ----- Predicates

    def _place(self) -> Phrase:
        """Where something lies or somebody is."""
        draw = self._rng.random()
        if draw < 0.4:
            return self._definite("support", preposition="on" if draw < 0.32 else "under")
        return self._scene()

    def _scene(self) -> Phrase:
        """Where something happens."""
        if self._chance(0.5):
            return self._definite("place", preposition="in")
        return self._definite("support", "place", preposition=self._rng.choice(_PLACE_PREPOSITIONS))

    def _object(self, verb: Verb, free: bool, adjective: float = 0.25) -> Phrase:
        if "person" in verb.objects and self._chance(0.12):
            return self._name()
        return self._phrase(*sorted(verb.objects), adjective=adjective, free=free)

    def _transitive(self, free: bool, adjective: float = 0.25) -> Predicate:
        verb = self._rng.choice(tuple(lexicon.TRANSITIVE.values()))
        return grammar.simple(verb, self._object(verb, free, adjective))

    def _adverbs(self, predicate: Predicate, negated: bool) -> Predicate:
        draw = self._rng.random()
        if not negated and draw < 0.12:
            predicate.frequency = self._rng.choice(("always", "often", "never"))
        elif draw > 0.92:
            predicate.complements.append(grammar.phrase(*self._rng.choice(tuple(lexicon.TIME.items()))))
        return predicate

    def _in_some_tense(self, verb: Verb, subject: Nominal, *complements: Phrase) -> Predicate:
        """The present, the progressive, the present perfect, or with a modal verb."""
        draw = self._rng.random()
        if draw < 0.5:
            return grammar.simple(verb, *complements)
        if draw < 0.65 and verb.english not in lexicon.STATIVE:
            return grammar.progressive(verb, *complements)
        if draw < 0.8 and (_tells_gender(subject) or not verb.with_essere):
            return grammar.perfect(verb, subject, *complements)
        if draw < 0.9:
            return grammar.modal(self._rng.choice(("can", "must")), verb, *complements)
        return grammar.simple(verb, *complements)

    # ----- Kinds of sentences

    def _finish(self, subject: Nominal, predicate: Predicate, may_ask: bool = True) -> Phrase:
        """A statement, a negation, or a question."""
        draw = self._rng.random()
        if draw < 0.62 or not may_ask:
            return grammar.clause(subject, self._adverbs(predicate, False))
        if draw < 0.82:
            return grammar.clause(subject, self._adverbs(predicate, True), negated=True)
        return grammar.question(grammar.clause(subject, predicate, inverted=True))

    def _action(self) -> Phrase:
        verb = self._rng.choice(tuple(lexicon.TRANSITIVE.values()))
        subject = self._subject(verb.subjects)
        thing = self._object(verb, free=True)
        complements = [thing]
        if self._chance(0.2):
            complements.append(self._definite("place", preposition="in"))
        plain = not any(word.text in ("some", "many", "every", "never") for word in thing.source)
        return self._finish(subject, self._in_some_tense(verb, subject, *complements), may_ask=plain)

    def _intransitive(self) -> Phrase:
        verb = self._rng.choice(tuple(lexicon.INTRANSITIVE.values()))
        subject = self._subject(verb.subjects)
        complements: list[Phrase] = []
        if self._chance(0.5):
            complements.append(self._someone("with") if self._chance(0.35) else self._scene())
        return self._finish(subject, self._in_some_tense(verb, subject, *complements))

    def _motion(self) -> Phrase:
        verb = self._rng.choice(tuple(lexicon.MOTION.values()))
        subject = self._subject(verb.subjects)
        way = "from" if verb.english in ("come", "arrive") else "to"
        complements: list[Phrase] = [self._definite("goal", preposition=way)]
        if self._chance(0.3):
            complements.append(self._someone("with"))
        if _tells_gender(subject) and self._chance(0.3):  # the only place where a participle agrees: show it often
            return self._finish(subject, grammar.perfect(verb, subject, *complements))
        return self._finish(subject, self._in_some_tense(verb, subject, *complements))

    def _giving(self) -> Phrase:
        verb = lexicon.GIVE
        subject = self._subject(_PEOPLE, simple=True)
        thing = self._phrase("object", "food", adjective=0.15, free=False)
        recipient = self._someone("for" if self._chance(0.2) else "to")
        if recipient.source[0].text == "for":
            verb = lexicon.TRANSITIVE["buy"]
        return self._finish(subject, self._in_some_tense(verb, subject, thing, recipient))

    def _clitic(self) -> Phrase:
        verb = lexicon.TRANSITIVE[self._rng.choice(lexicon.TAKES_CLITIC)]
        subject = self._subject(verb.subjects, simple=True)
        # "I see me" would be reflexive.
        own = {1: ("me", "us"), 2: ("you",), 3: ()}[subject.person]
        choices = [word for word in lexicon.CLITICS if word not in own]
        return self._finish(subject, grammar.simple(verb, clitic=self._rng.choice(choices)))

    def _described(self) -> Phrase:
        degree = self._rng.choice(("very", "very", "too")) if self._chance(0.3) else None
        if self._chance(0.3):
            subject = grammar.pronoun(self._rng.choice(_PRONOUNS)) if self._chance(0.6) else self._name()
            adjective = self._rng.choice(_OF_PEOPLE if _tells_gender(subject) else _GENDERLESS)
        else:
            noun = self._rng.choice([noun for noun in _NOUNS if _ADJECTIVES_OF[noun.english]])
            determiner, plural = self._determiner(noun, free=False)
            subject = grammar.noun_phrase(determiner, noun, plural)
            adjective = self._rng.choice(_ADJECTIVES_OF[noun.english])
            if "place" in noun.classes and self._chance(0.1):
                subject = grammar.with_complement(subject, self._someone("of"))
        return self._finish(subject, grammar.copula(grammar.adjective_complement(adjective, subject, degree)))

    def _located(self) -> Phrase:
        if self._chance(0.4):
            subject = self._subject(_ANIMATE, simple=True)
        else:
            subject = self._phrase(*_SUPPORTED, "animal", adjective=0.15, free=False)
            if self._chance(0.12):
                subject = grammar.with_complement(subject, self._someone("of"))
        return self._finish(subject, grammar.copula(self._place()))

    def _existence(self) -> Phrase:
        noun = self._noun(*_SUPPORTED, "animal")
        draw = self._rng.random()
        number = self._rng.choice(tuple(lexicon.NUMBERS)) if draw < 0.8 else self._rng.choice(("some", "many"))
        determiner = "some" if not noun.countable else "a" if draw < 0.5 else number
        adjective = self._rng.choice(_ADJECTIVES_OF[noun.english]) if self._chance(0.25) else None
        plural = noun.countable and determiner != "a"
        return grammar.there_is(grammar.noun_phrase(determiner, noun, plural, adjective), self._place())

    def _belonging(self) -> Phrase:
        """ "the door of the house is open"."""
        noun = self._noun("object", "opens")
        adjective = self._rng.choice(_ADJECTIVES_OF[noun.english])
        head = grammar.noun_phrase("the", noun, self._chance(0.4))
        owner = self._definite("place", preposition="of") if "opens" in noun.classes else self._someone("of")
        subject = grammar.with_complement(head, owner)
        return self._finish(subject, grammar.copula(grammar.adjective_complement(adjective, subject)))

    def _wh_question(self) -> Phrase:
        draw = self._rng.random()
        if draw < 0.3:
            if self._chance(0.3):
                return grammar.where(self._subject(_ANIMATE, simple=True))
            return grammar.where(self._phrase("object", "animal", "place", "goal", free=False))
        if draw < 0.6:
            return grammar.who(self._transitive(free=False))
        verb = self._rng.choice([verb for verb in lexicon.TRANSITIVE.values() if "person" not in verb.objects])
        subject = self._subject(verb.subjects, simple=True)
        if draw < 0.8:
            return grammar.object_question(grammar.phrase("what", "che cosa"), subject, verb)
        noun = self._noun(*sorted(verb.objects - {"drink"} or {"object"}))
        if not noun.countable or verb.english == "drink":
            return grammar.object_question(grammar.phrase("what", "che cosa"), subject, verb)
        return grammar.object_question(grammar.how_many(noun), subject, verb)

    def _compound(self) -> Phrase:
        parts = []
        for _ in range(2):
            subject = self._subject(_PEOPLE, simple=True)
            if self._chance(0.5):
                verb = self._rng.choice(tuple(lexicon.INTRANSITIVE.values()))
                parts.append(grammar.clause(subject, grammar.simple(verb), negated=self._chance(0.2)))
            else:
                parts.append(grammar.clause(subject, self._transitive(free=True, adjective=0.0)))
        english, italian = self._rng.choice((("and", "e"), ("but", "ma"), ("because", "perché")))
        return grammar.joined(parts[0], parts[1], english, italian)


_WEIGHTS: tuple[tuple[Callable[[Sampler], Phrase], int], ...] = (
    (Sampler._action, 24),
    (Sampler._intransitive, 10),
    (Sampler._motion, 10),
    (Sampler._giving, 6),
    (Sampler._clitic, 5),
    (Sampler._described, 15),
    (Sampler._located, 12),
    (Sampler._existence, 5),
    (Sampler._belonging, 3),
    (Sampler._wh_question, 7),
    (Sampler._compound, 3),
)
_KINDS = [kind for kind, _ in _WEIGHTS]
_CUMULATIVE = [sum(weight for _, weight in _WEIGHTS[: index + 1]) for index in range(len(_WEIGHTS))]

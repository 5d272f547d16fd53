"""Inflection: Italian articles, nouns, adjectives and verbs, and the little that English needs.

Forms that depend on the sound of the next word (il/lo/l', un/uno, quel/quello, bel/bello) take it as an argument. A
form that ends in an apostrophe is written together with the next word.
"""

from __future__ import annotations

from typing import Literal

Gender = Literal["m", "f"]
Sound = Literal["vowel", "impure", "plain"]

_ITALIAN_VOWELS = "aeiouàèéìòùh"
_IMPURE = ("z", "gn", "ps", "pn", "x", "y")


def sound(word: str) -> Sound:
    """The kind of beginning that chooses between il, lo and l'; "impure" is z, s + consonant, gn, ps and the like."""
    if word.startswith(_IMPURE) or (word[0] == "s" and word[1] not in _ITALIAN_VOWELS):
        return "impure"
    return "vowel" if word[0] in _ITALIAN_VOWELS else "plain"


def definite(gender: Gender, plural: bool, following: str) -> str:
    """il, lo, l', la, i, gli, le."""
    kind = sound(following)
    if gender == "f":
        return "le" if plural else "l'" if kind == "vowel" else "la"
    if plural:
        return "i" if kind == "plain" else "gli"
    return {"plain": "il", "impure": "lo", "vowel": "l'"}[kind]


def indefinite(gender: Gender, following: str) -> str:
    """un, uno, una, un'."""
    kind = sound(following)
    if gender == "f":
        return "un'" if kind == "vowel" else "una"
    return "uno" if kind == "impure" else "un"


def this(gender: Gender, plural: bool, following: str) -> str:
    """questo, questa, quest', questi, queste."""
    if not plural and sound(following) == "vowel":
        return "quest'"
    return "quest" + ending(gender, plural)


def like_article(stem: str, gender: Gender, plural: bool, following: str) -> str:
    """quello and bello before their noun: quel, quello, quell', quella, quei, quegli, quelle."""
    article = definite(gender, plural, following)
    if stem == "be" and article == "l'" and gender == "f":
        return "bella"  # "bella attrice" is as good as "bell'attrice", and every translation here is the only one
    return contract(stem, article)


def good(gender: Gender, plural: bool, following: str) -> str:
    """buono before its noun: buon, buono, buona, buoni, buone."""
    if gender == "m" and not plural and sound(following) != "impure":
        return "buon"
    return "buon" + ending(gender, plural)


def ending(gender: Gender, plural: bool) -> str:
    """-o, -a, -i, -e."""
    return {("m", False): "o", ("f", False): "a", ("m", True): "i", ("f", True): "e"}[gender, plural]


_STEMS = {"di": "de", "a": "a", "da": "da", "in": "ne", "su": "su"}


def contracted(preposition: str, article: str) -> str:
    """A preposition joined with a definite article: del, allo, dall', nella, sui, sugli, sulle."""
    return contract(_STEMS[preposition], article)


def contract(stem: str, article: str) -> str:
    """Joins a stem with a definite article, doubling its l: ne + la = nella, de + il = del, su + i = sui."""
    if article == "il":
        return stem + "l"
    return stem + ("l" if article.startswith("l") else "") + article


_POSSESSIVES = {
    "my": ("mio", "mia", "miei", "mie"),
    "your": ("tuo", "tua", "tuoi", "tue"),
    "his": ("suo", "sua", "suoi", "sue"),
    "her": ("suo", "sua", "suoi", "sue"),
    "our": ("nostro", "nostra", "nostri", "nostre"),
    "their": ("loro", "loro", "loro", "loro"),
}


def possessive(english: str, gender: Gender, plural: bool) -> str:
    """mio, mia, miei, mie and so on; it agrees with the thing owned."""
    return _POSSESSIVES[english][2 * plural + (gender == "f")]


def noun_plural(singular: str, gender: Gender) -> str:
    """The regular plural: gatto gatti, casa case, chiave chiavi, mucca mucche, orologio orologi, città città."""
    if singular[-1] in "àèéìòù":
        return singular
    if singular.endswith("io"):
        return singular[:-1]
    if singular.endswith("a") and gender == "f":
        return singular[:-1] + ("he" if singular[-2] in "cg" else "e")
    return singular[:-1] + "i"


def adjective_forms(masculine: str) -> tuple[str, str, str, str]:
    """Masculine and feminine singular, masculine and feminine plural, of a regular adjective in -o or -e."""
    stem = masculine[:-1]
    if masculine.endswith("e"):
        return masculine, masculine, stem + "i", stem + "i"
    if masculine.endswith("io"):
        return masculine, stem + "a", stem, stem + "e"
    hard = "h" if stem[-1] in "cg" else ""
    return masculine, stem + "a", stem + hard + "i", stem + hard + "e"


def present(infinitive: str, inchoative: bool = False) -> tuple[str, ...]:
    """The present of a regular verb: io, tu, lui/lei, noi, voi, loro. `inchoative` verbs go as capire, capisco."""
    stem, theme = infinitive[:-3], infinitive[-3]
    if theme == "a":
        soft = stem[:-1] if stem.endswith("i") else stem + "h" if stem[-1] in "cg" else stem
        return stem + "o", soft + "i", stem + "a", soft + "iamo", stem + "ate", stem + "ano"
    if inchoative:
        return stem + "isco", stem + "isci", stem + "isce", stem + "iamo", stem + "ite", stem + "iscono"
    return stem + "o", stem + "i", stem + "e", stem + "iamo", stem + theme + "te", stem + "ono"


def gerund(infinitive: str) -> str:
    """mangiando, leggendo, dormendo."""
    return infinitive[:-3] + ("ando" if infinitive.endswith("are") else "endo")


def participle(infinitive: str) -> str:
    """The regular past participle: mangiato, venduto, dormito."""
    return infinitive[:-3] + {"a": "ato", "e": "uto", "i": "ito"}[infinitive[-3]]


# ----- English


def english_plural(singular: str) -> str:
    """cats, boxes, cities, knives."""
    if singular.endswith(("s", "x", "ch", "sh", "tomato")):
        return singular + "es"
    if singular.endswith("y") and singular[-2] not in "aeiou":
        return singular[:-1] + "ies"
    if singular.endswith("fe"):
        return singular[:-2] + "ves"
    return singular + "s"


def third_person(base: str) -> str:
    """eats, washes, goes, studies, has."""
    if base == "have":
        return "has"
    if base.endswith(("s", "x", "ch", "sh", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


def english_gerund(base: str) -> str:
    """eating, writing, running."""
    if base in ("run", "swim", "cut"):
        return base + base[-1] + "ing"
    return (base[:-1] if base.endswith("e") and not base.endswith("ee") else base) + "ing"


def english_past_participle(base: str) -> str:
    """The regular form: washed, loved, studied."""
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ied"
    return base + ("d" if base.endswith("e") else "ed")


def a_or_an(following: str) -> str:
    """The English indefinite article before a word."""
    return "an" if following[0] in "aeiou" and not following.startswith("uni") else "a"

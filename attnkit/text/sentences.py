"""Where sentences end: rules for running text in many languages, and none of them learnt.

A mark such as `.` ends a sentence before white space unless something speaks against it: an abbreviation, an initial or
a number in front of it, a lower-case word or a comma behind it. Ideographic and Indic marks need no space. In doubt a
text is left whole: half a sentence is harder to understand than two.
"""

from __future__ import annotations

import re

Span = tuple[int, int]

# ----- Marks

# Sentence ends of Latin, Greek (a semicolon asks there), Cyrillic, Arabic, Urdu, Armenian and Ethiopic writing. Marks
# begin where no other stands in front: a long row of them is looked at once.
_MARKS = r"(?<![.!?…])[.!?…؟۔։።‼⁇⁈⁉\u037e]+|(?<=[\u0370-\u03ff\u1f00-\u1fff]);"
# What closes behind a mark; a French » has a space before it, a German one opens a quotation there.
_CLOSING = r"(?:[\"'”’“‘«»›)\]}*_]|[ \u00a0\u202f]»(?=\s|$|[.,;:!?]))*"
_DENSE = r"[。！？｡।॥။]+[」』”’）】》\"')]*"
_LINE_ENDS = r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+"
_END = re.compile(rf"(?P<mark>{_MARKS})(?P<closing>{_CLOSING})(?=\s|\Z)|(?P<dense>{_DENSE})|(?P<line>{_LINE_ENDS})")
_NEXT = re.compile(r"\S")
# The next word, behind quotes, brackets and dashes that open.
_NEXT_WORD = re.compile(r"[\"'“‘«‹„»(\[{¿¡—–\-*_\s]*(\w*)(\.?)")
_GOES_ON = ",;:)]}，、؛،"

# ----- Words


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Before a name, a number or an explanation: no sentence ends there.
_NEVER = _words(
    # English, and what is the same elsewhere
    "mr mrs ms messrs dr prof st mt ft gen col maj capt cpt lt cmdr sgt cpl sen rep gov rev hon pres supt "
    "vs e.g i.e cf viz approx ca al "
    # German, Dutch, Scandinavian
    "hr fr frl dipl ing bzw z.b d.h u.a u.ä o.ä v.a ggf vgl evtl inkl exkl zzgl bspw sog geb bl.a f.eks t.ex dvs "
    "bijv d.w.z o.a dhr mevr "
    # French, Spanish, Portuguese, Italian, Romanian
    "mme mlle mgr sr sra srta sres dña dª exmo exma dott sig sigg dra dr.a sr.a avv p.ex p.ej "
    # Polish, Czech, Russian
    "np tzn tj tzv tzw ul mjr płk проф акад доц им ул т.е т.к т.н напр тов"
)
# Before a number; otherwise they are words, or end a sentence.
_BEFORE_NUMBERS = _words(
    "no nos nr nrs vol vols fig figs p pp ch sec sect art eq ed par abs bd kap s str tel núm num pág págs pag pagg cap "
    "č str рис стр гл табл jan feb mar apr jun jul aug sep sept oct okt nov dec dez"
)
# They may stand at the end of a sentence, which the next word then says.
_PERHAPS = _words("inc ltd co corp bros jr sr ph.d m.d b.a m.a esq dept univ assn usw u.s u.k e.v")
_STARTERS = _words(
    "The A An He She It We They I You This That These Those There Here But And Or So In On At By As If When While "
    "After Before For From With Then Now What Who Why How His Her Its Their Our My Your No Not "
    "Der Die Das Ein Eine Er Sie Es Wir Ich Und Aber Im Am Le Les Un Une Il Elle Ils Nous On El Los Las Una Ella Pero "
    "Os As Ele Ela Um Uma Mas Lo Gli Ma"
)
# Behind the number of a day or of an ordinal: "am 3. Oktober", "3. kolo".
_COUNTED = re.compile(
    r"(?:Jän|Jan|Feb|Mär|Mar|Apr|Mai|Maj|Jun|Jul|Aug|Sep|Okt|Oct|Nov|Dez|Dec)\w*|Jahrhundert\w*|Jh|Weltkrieg\w*|Platz|"
    r"Auflage|Bundesliga|Liga|Klasse|Stock|Etage|Tag\w*|Mal|Kapitel|Absatz|Runde|Spieltag\w*|Minute"
)
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")  # u.s, z.b, p.m
_LONGEST_WORD = 16  # that is looked up


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, none empty, without white space at their ends."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[Span]:
    """Where each sentence begins and ends. Between them, and around them, there is nothing but white space."""
    spans: list[Span] = []
    # Text that is written in lower case alone says nothing by its case.
    cased = any(character.isupper() for character in text)
    start = _next(text, 0)
    for match in _END.finditer(text):
        if match.end() <= start:
            continue  # an end of a line that lies behind us
        following = _next(text, match.end())
        if following == len(text):
            break
        if match["mark"] is None or not _goes_on(text, start, match, following, cased):
            spans.append((start, match.start() if match["line"] else match.end()))
            start = following
    spans.append((start, len(text)))
    trimmed = ((begin, begin + len(text[begin:end].rstrip())) for begin, end in spans)
    return [(begin, end) for begin, end in trimmed if begin < end]


def _next(text: str, position: int) -> int:
    """Of the next character that is no white space."""
    found = _NEXT.search(text, position)
    return len(text) if found is None else found.start()


def _goes_on(text: str, start: int, match: re.Match[str], following: int, cased: bool) -> bool:
    """Whether the sentence that began at `start` goes on behind a mark, with what stands at `following`."""
    if text[following] in _GOES_ON:
        return True
    found = _NEXT_WORD.match(text, following)
    word, stop = found.groups() if found else ("", "")
    if cased and word[:1].islower():
        return True
    dotted = len(word) == 1 and bool(stop)
    return match["mark"] == "." and not match["closing"] and _abbreviates(text, start, match.start(), word, dotted)


def _abbreviates(text: str, start: int, stop: int, following: str, dotted: bool) -> bool:
    """Whether the full stop at `stop` belongs to the word before it. following: the next word; dotted: that is a letter
    with a full stop of its own."""
    words = text[max(start, stop - _LONGEST_WORD - 1) : stop].split()
    if not words or text[stop - 1].isspace():
        return False
    word = words[-1].lstrip("\"'“‘«‹„»([{¿¡—–-")
    first = len(words) == 1 and stop - start <= _LONGEST_WORD  # of the sentence
    if word.isdecimal():
        return (first and len(word) <= 3) or (len(word) <= 2 and _COUNTED.fullmatch(following) is not None)
    if len(word) == 1:  # an initial, the letter of a list, the z. of z. B.
        return word.isupper() or dotted or following[:1].isdecimal() or (first and following[:1].isupper())
    known = word.lower()
    if known in _NEVER or (known in _BEFORE_NUMBERS and following[:1].isdecimal()):
        return True
    if known in ("a.m", "p.m"):
        return False
    return (known in _PERHAPS or _DOTTED.fullmatch(word) is not None) and following not in _STARTERS

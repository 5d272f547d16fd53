"""Languages by the names that people type, where a model has names of its own: `de` for `deu_Latn`."""

from __future__ import annotations

from collections.abc import Sequence

from attnkit.printable import quoted

# ISO 639-1, and the ISO 639-3 code that the public models of many languages have for it: where two letters mean several
# languages, as `ar` does, that of the standard one. Those without a standard one (`no`) are not here.
_CODES = """
af:afr ak:aka am:amh ar:arb as:asm ay:ayr az:azj ba:bak be:bel bg:bul bm:bam bn:ben bo:bod bs:bos ca:cat cs:ces
cy:cym da:dan de:deu dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus fa:pes ff:fuv fi:fin fj:fij fo:fao
fr:fra ga:gle gd:gla gl:glg gn:grn gu:guj ha:hau he:heb hi:hin hr:hrv ht:hat hu:hun hy:hye id:ind ig:ibo is:isl
it:ita ja:jpn jv:jav ka:kat kg:kon ki:kik kk:kaz km:khm kn:kan ko:kor ks:kas ku:kmr ky:kir lb:ltz lg:lug li:lim
ln:lin lo:lao lt:lit lv:lvs mg:plt mi:mri mk:mkd ml:mal mn:khk mr:mar ms:zsm mt:mlt my:mya nb:nob ne:npi nl:nld
nn:nno ny:nya oc:oci om:gaz or:ory pa:pan pl:pol ps:pbt pt:por qu:quy rn:run ro:ron ru:rus rw:kin sa:san sc:srd
sd:snd sg:sag si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:als sr:srp ss:ssw st:sot su:sun sv:swe sw:swh ta:tam
te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn tr:tur ts:tso tt:tat tw:twi ug:uig uk:ukr ur:urd uz:uzn vi:vie
wo:wol xh:xho yi:ydd yo:yor zh:zho zu:zul
"""
_THREE_LETTERS = dict(pair.split(":") for pair in _CODES.split())
_FEW = 12  # languages that a message can list
_NEAR = 5


def find_language(name: str, languages: Sequence[str]) -> str | None:
    """The one of `languages` that is meant: by its name there, whatever the case, by its ISO code of two or three
    letters, or by such a code and a script (`zh-Hans`). None where there is none, or several (`zh` in two scripts)."""
    if name in languages:
        return name
    for meant in (_same_name, _same_code):
        found = [language for language in languages if meant(name, language)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def expected_language(languages: Sequence[str], name: str | None = None) -> str:
    """What an error says was expected: all the languages, or of very many those nearest to the name."""
    if len(languages) <= _FEW:
        return f"a language among {', '.join(languages)}"
    near = [] if name is None else _near(name, languages)
    listed = near or [*languages[:_NEAR], "..."]
    return f"one of {len(languages)} languages{', perhaps' if near else ', such as'} {', '.join(listed)}"


def check_language(name: str, languages: Sequence[str]) -> str:
    """`find_language`. Raises ValueError where there is none."""
    found = find_language(name, languages)
    if found is None:
        raise ValueError(f"[translate] expected {expected_language(languages, name)}, got {quoted(name)}")
    return found


def _same_name(name: str, language: str) -> bool:
    return name.replace("-", "_").casefold() == language.replace("-", "_").casefold()


def _same_code(name: str, language: str) -> bool:
    """By the codes alone where one of both has no script."""
    code, _, script = name.replace("-", "_").casefold().partition("_")
    own, _, of_own = language.replace("-", "_").casefold().partition("_")
    return _code(code) == _code(own) and (not script or not of_own or script == of_own)


def _code(code: str) -> str:
    return _THREE_LETTERS.get(code, code)


def _near(name: str, languages: Sequence[str]) -> list[str]:
    """Those of the same code in whatever script, those that are spelt alike, those that begin alike."""
    import difflib  # takes a while, and mistakes are rare

    code = _code(name.replace("-", "_").casefold().partition("_")[0])
    same = [language for language in languages if _same_code(code, language)]
    alike = difflib.get_close_matches(name, languages, n=_NEAR, cutoff=0.6)
    begin = [language for language in languages if code and language.casefold().startswith(code[:2])]
    return list(dict.fromkeys([*same, *alike, *begin]))[:_NEAR]

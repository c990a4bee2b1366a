"""Markdown in a line -> words that sound right: markup is left out, links and symbols are named. Pure.

English words; a voice of another language says them its own way.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_IMAGE: Final = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK: Final = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])")
_FOOTNOTE: Final = re.compile(r"\[\^[^\]]*\]")
_URL: Final = re.compile(r"<?\b(?:https?://|www\.)([^\s/<>\")\]]+)[^\s<>\")\]]*>?")
_TAG: Final = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|<!--.*?-->")
_STARS: Final = re.compile(r"(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)|\*{2,3}|~~")
_MONEY: Final = re.compile(r"([$€£])\s?(\d[\d,]*(?:\.\d+)?)(?:\s?(k|m|bn|million|billion)\b)?", re.IGNORECASE)
_CURRENCIES: Final = {"$": "dollars", "€": "euros", "£": "pounds"}
_AMOUNTS: Final = {"k": "thousand", "m": "million", "bn": "billion"}
_THOUSANDS: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_SWAPS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"(?<![\d.,-])(\d+(?:\.\d+)?)\s?[–-]\s?(?=\d+(?:\.\d+)?(?![\d-]))", r"\1 to "),
        (r"\s[—–-]{1,2}\s|—", ", "),
        (r"\s*(?:→|⇒|->|=>)\s*", " to "),
        (r"\s*(?:≤|<=)\s*", " at most "),
        (r"\s*(?:≥|>=)\s*", " at least "),
        (r"(?:≈|(?<!\w)~)\s?(?=\d)", "about "),
        (r"\s*≠\s*|\s*!=\s*", " is not "),
        (r"(?<=\s)<(?=\s)", "less than"),
        (r"(?<=\s)>(?=\s)", "more than"),
        (r"(?<=\d)\s?[x×](?=\s?\d)", " times "),
        (r"(?<=\d)[x×](?!\w)", " times"),
        (r"(?<=\d)\s?ms\b", " milliseconds"),
        (r"(?<=\d)\s?([KMGT])i?B\b", r" \1B"),
        (r"\s&\s", " and "),
        (r"(?<=\w)_(?=\w)", " "),
        (r"…", "..."),
        (r"(?<!\w)#(?=\d)", "number "),
    )
)
_UNSPOKEN: Final = frozenset({"So", "Sk", "Co", "Cn", "Cs", "Cf", "Cc"})


def speakable(text: str) -> str:
    """One line to say; "" when nothing of it can be said."""
    text = _IMAGE.sub(lambda found: f"image: {found[1]}" if found[1] else "image", text)
    text = _FOOTNOTE.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _URL.sub(lambda found: _link(found[1]), text)
    text = _TAG.sub(" ", text).replace("`", "")
    text = _STARS.sub("", text)
    text = _MONEY.sub(_money, text)
    text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    for pattern, words in _SWAPS:
        text = pattern.sub(words, text)
    text = text.replace("\\", " ")
    text = "".join(" " if unicodedata.category(char) in _UNSPOKEN else char for char in text)
    text = re.sub(r"\s+([,.;:!?])", r"\1", " ".join(text.split()))
    return text if any(char.isalnum() for char in text) else ""


def _link(host: str) -> str:
    dot = host[-1] if host[-1:] in ".,;:!?" else ""
    return f"a link to {host.rstrip('.,;:!?').removeprefix('www.')}{dot}"


def _money(found: re.Match[str]) -> str:
    amount = _AMOUNTS.get((found[3] or "").lower(), found[3] or "")
    return " ".join(filter(None, (found[2], amount, _CURRENCIES[found[1]])))

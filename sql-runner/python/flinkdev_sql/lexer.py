"""Cuts a script into tokens as Flink's parser sees them, comments and blanks left out."""

import re
import unicodedata
from enum import Enum
from typing import NamedTuple


class Type(Enum):
    WORD = 1
    """ASCII letters, digits, ``_`` and ``$``, and all characters beyond ASCII that are no blanks."""
    STRING = 2
    """``'...'``, with the quotes."""
    NAME = 3
    """``"..."`` or backticks, with the quotes."""
    SEMICOLON = 4
    """One that ends a statement."""
    SYMBOL = 5
    """Any other character, and the two marks of a hint."""


class Token(NamedTuple):
    """The characters from ``start`` up to but without ``end``."""

    type: Type
    start: int
    end: int


# as Java has them: no NEL, and the separators of files, groups, records and units
_BLANKS = frozenset("\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \ufeff")
_WORD = re.compile(r"[0-9A-Za-z_$]+")
_LINE_END = re.compile(r"[\n\r]|\Z")
_UNCLOSED = {
    "'": (Type.STRING, "string not closed"),
    '"': (Type.NAME, "double quotes not closed"),
    "`": (Type.NAME, "name in backticks not closed"),
}


def is_blank(c):
    """Byte order marks are left where files were put together."""
    return c in _BLANKS or (c > "\x7f" and unicodedata.category(c) in ("Zs", "Zl", "Zp"))


def tokens(script):
    """The tokens of a script; ``SplitError`` where a quote, a comment or a hint is not closed."""
    text, found, at, hint = script.text, [], 0, -1
    while at < len(text):
        start, c = at, text[at]
        if is_blank(c):
            at += 1
        elif text.startswith(("--", "//"), at):
            at = _LINE_END.search(text, at).start()
        elif text.startswith("/*+", at):
            hint = at if hint < 0 else hint
            at += 3
            found.append(Token(Type.SYMBOL, start, at))
        elif text.startswith("/*", at):
            end = text.find("*/", at + 2)
            if end < 0:
                raise script.error(start, "comment not closed")
            at = end + 2
        elif hint >= 0 and text.startswith("*/", at):
            hint, at = -1, at + 2
            found.append(Token(Type.SYMBOL, start, at))
        elif c in _UNCLOSED:
            kind, unclosed = _UNCLOSED[c]
            at = _closed(script, at, False, start, unclosed)
            found.append(Token(kind, start, at))
        elif c == ";" and hint < 0:
            at += 1
            found.append(Token(Type.SEMICOLON, start, at))
        elif _in_word(c):
            while at < len(text) and _in_word(text[at]):
                ascii_part = _WORD.match(text, at)
                at = ascii_part.end() if ascii_part else at + 1
            # E'...': the one string in which a backslash escapes what follows it
            if at - start == 1 and c in "eE" and text.startswith("'", at):
                at = _closed(script, at, True, start, "string not closed")
                found.append(Token(Type.STRING, start, at))
            else:
                found.append(Token(Type.WORD, start, at))
        else:
            at += 1
            found.append(Token(Type.SYMBOL, start, at))
    if hint >= 0:
        raise script.error(hint, "hint not closed")
    return found


def _in_word(c):
    """Which characters beyond ASCII are letters is Flink's business: no rule here hangs on it."""
    return _WORD.match(c) is not None or (c > "\x7f" and not is_blank(c))


def _closed(script, opening, escapes, start, unclosed):
    """Behind the closing quote; a doubled quote stands for itself."""
    text, quote, i = script.text, script.text[opening], opening + 1
    while i < len(text):
        if escapes and text[i] == "\\":
            i += 1
        elif text[i] == quote:
            if not text.startswith(quote, i + 1):
                return i + 1
            i += 1
        i += 1
    raise script.error(start, unclosed)

"""Puts variables into a script: ``${NAME}``, and ``${NAME:-default}`` for one that may be unset or empty.

In a string or a quoted name the quotes of a value are doubled, so that a value stays within it; anywhere else the value
is read like the script itself. A default is the script's own text and is taken as it stands. Nothing is put into
comments, and ``$${`` stands for ``${``.
"""

import re

from .lexer import Type, tokens
from .text import Builder, Lines, Script

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLAIN = "; write $${ for a plain ${"
_END = re.compile(r"[}\n\r]|\Z")


def put(source, value):
    """The script with all that is asked for put in; ``value(name)`` is None for a variable that is not known.

    ``SplitError`` at the place of a variable that is not known and has no default, of a placeholder that is not well
    formed, or of a quote or comment that is not closed.
    """
    script = Script(source)
    if "${" not in source:
        return script
    lines, built, kept = Lines(source), Builder(source), 0
    # placeholders stand in tokens only: between them are blanks and comments
    for token in tokens(script):
        at = max(kept, token.start)
        while at < token.end:
            if source.startswith("$${", at):
                built.keep(kept, at)
                kept = at + 1
                at += 3
            elif source.startswith("${", at):
                built.keep(kept, at)
                kept = at = _placeholder(source, lines, built, at, token, value)
            else:
                at += 1
    built.keep(kept, len(source))
    return built.build()


def _placeholder(source, lines, built, at, token, value):
    """Puts in what the placeholder asks for; where the text goes on."""
    end = _END.search(source, at).start()
    if not source.startswith("}", end):
        raise lines.error(at, "${ not closed by } on its line" + _PLAIN)
    inside = source[at + 2 : end]
    name = _NAME.match(inside)
    rest = inside[name.end() :] if name else ""
    if not name or not (rest == "" or rest.startswith(":-")):
        raise lines.error(at, f"${{{inside}}} is not a variable: ${{NAME}} and ${{NAME:-default}} are{_PLAIN}")
    name = name.group()
    known = value(name)
    if rest:
        built.put(at, _quoted(source, known, token) if known else rest[2:])
    elif known is None:
        raise lines.error(at, f"variable {name} is not set, and ${{{name}}} has no default")
    else:
        built.put(at, _quoted(source, known, token))
    return end + 1


def _quoted(source, text, token):
    if token.type not in (Type.STRING, Type.NAME):
        return text
    quote = source[token.end - 1]
    if source[token.start].isalpha():
        text = text.replace("\\", "\\\\")
    return text.replace(quote, quote + quote)

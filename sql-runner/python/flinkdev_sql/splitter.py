"""Splits a script into statements. What is meant to come out is written down in the corpus of scripts."""

from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from .lexer import Type, tokens
from .text import Script

_HEAD = 60
_QUERIES = ("SELECT", "WITH", "VALUES", "TABLE")
_SIMPLE = {
    "SET": "set",
    "RESET": "reset",
    "INSERT": "insert",
    "DROP": "drop",
    "ALTER": "alter",
    "USE": "use",
    "LOAD": "load",
    "UNLOAD": "load",
    "SHOW": "show",
    "DESCRIBE": "describe",
    "DESC": "describe",
    "EXPLAIN": "explain",
    "SELECT": "select",
    "WITH": "select",
    "VALUES": "select",
    "TABLE": "select",
    "DELETE": "delete",
    "UPDATE": "update",
    "TRUNCATE": "truncate",
    "CALL": "call",
    "ANALYZE": "analyze",
}
# of ASCII only: Flink knows no keyword with the Turkish dotless i or the long s
_UPPER = {c: c - 0x20 for c in range(ord("a"), ord("z") + 1)}


class Setting(NamedTuple):
    """A key, and the value that SET gives it (RESET has none)."""

    key: str
    value: Optional[str]


class Connector(NamedTuple):
    """The value of a table's option ``connector``, and where it stands in the script's text."""

    name: str
    start: int


@dataclass(frozen=True)
class Statement:
    """One statement of a script."""

    kind: str
    """What it is, by its first words; the names are those of the corpus."""
    script: Script
    start: int
    """Where its first character stands in the script's text."""
    text: str
    """The very characters of the script, without the semicolon."""
    inner: list = field(default_factory=list)
    """The statements between BEGIN and END of a statement set, else none."""
    setting: Optional[Setting] = None
    """Of SET and RESET, where they name a key."""
    connector: Optional[Connector] = None
    """Of a table that is created, where it names one."""

    @property
    def position(self):
        """Where its first character stands in the user's script."""
        return self.script.position(self.start)

    @property
    def head(self):
        """The user's first characters of it, on one line."""
        line = " ".join(self.script.written(self.start, self.start + len(self.text)).split())
        return line if len(line) <= _HEAD else line[:_HEAD].rstrip() + " ..."

    def in_script(self, line, column):
        """Where a place in the statement, as Flink's parser counts it, stands in the user's script."""
        begin = 0
        for _ in range(1, line):
            end = self._line_end(begin)
            if end == len(self.text):
                break
            begin = end + (2 if self.text.startswith("\r\n", end) else 1)
        # the parser counts UTF-16 units; what lies beyond the line's end is counted on
        at, units, end = begin, column - 1, self._line_end(begin)
        while units > 0 and at < end:
            units -= 2 if self.text[at] > "\uffff" else 1
            at += 1
        found = self.script.position(self.start + at)
        return found._replace(column=found.column + max(0, units))

    def _line_end(self, begin):
        ends = [i for i in (self.text.find("\n", begin), self.text.find("\r", begin)) if i >= 0]
        return min(ends, default=len(self.text))


def split(script):
    """The statements of a script, in order; ``SplitError`` if a quote, a comment or a statement set is not closed."""
    return _Splitter(script if isinstance(script, Script) else Script(script)).statements()


class _Splitter:
    def __init__(self, script):
        self.script = script
        self.text = script.text
        self.tokens = tokens(script)
        self.words = [
            self.text[t.start : t.end].translate(_UPPER) if t.type is Type.WORD else "" for t in self.tokens
        ]

    def statements(self):
        found, at = [], 0
        while at < len(self.tokens):
            if self.type_is(at, Type.SEMICOLON):
                at += 1
                continue
            inner = []
            end = self.end(at, inner)
            found.append(self.statement(at, end, inner))
            at = end
        return found

    def end(self, first, inner):
        """The token behind the statement's last one; what stands in a statement set is added to ``inner``."""
        # at the script's end too: it lacks its END, and would take in what is put behind it
        body = first + 3
        if self.are(first, "BEGIN", "STATEMENT", "SET"):
            if self.type_is(body, Type.SEMICOLON) or body == len(self.tokens):
                return self.end_of_set(first, body, inner)
        at = first
        while at < len(self.tokens) and not self.type_is(at, Type.SEMICOLON):
            if self.are(at, "STATEMENT", "SET", "BEGIN"):
                return self.end_of_set(first, at + 3, inner)
            at += 1
        return at

    def end_of_set(self, first, body, inner):
        at = body
        while at < len(self.tokens):
            if self.type_is(at, Type.SEMICOLON):
                at += 1
            elif self.word(at) == "END":
                if at + 1 < len(self.tokens) and not self.type_is(at + 1, Type.SEMICOLON):
                    raise self.script.error(self.tokens[at + 1].start, "semicolon expected after END")
                return at + 1
            else:
                start = at
                while at < len(self.tokens) and not self.type_is(at, Type.SEMICOLON):
                    at += 1
                inner.append(self.statement(start, at, []))
        raise self.script.error(self.tokens[first].start, "statement set not closed by END")

    def statement(self, first, end, inner):
        kind = self.kind(first, end)
        setting = self.setting(kind, first + 1, end) if kind in ("set", "reset") else None
        table = kind in ("create_as", "create_materialized") or (
            kind == "create" and self.word(self.created(first + 1, end)) == "TABLE"
        )
        connector = self.connector(first, end) if table else None
        return Statement(
            kind, self.script, self.tokens[first].start, self.between(first, end), inner, setting, connector
        )

    def kind(self, first, end):
        at = first
        while at < end and self.symbol(at, "("):
            at += 1
        if at > first:
            return "select" if self.word(at) in _QUERIES else "other"
        word, second = self.word(at), self.word(at + 1) if at + 1 < end else ""
        if word in _SIMPLE:
            return _SIMPLE[word]
        if word in ("CREATE", "REPLACE"):
            return self.create(self.created(at + 1, end), end)
        if word in ("ADD", "REMOVE"):
            return "jar" if second == "JAR" else "other"
        if word == "COMPILE":
            return "execute_plan" if second == "AND" else "compile"
        if word == "BEGIN":
            return "statement_set" if self.are(at, "BEGIN", "STATEMENT", "SET") else "other"
        if word == "EXECUTE":
            known = {"STATEMENT": "statement_set", "INSERT": "insert", "PLAN": "execute_plan"}
            return known.get(second, "select" if second in _QUERIES else "other")
        return "other"

    def created(self, first, end):
        """The word that tells what is created; none other than these can stand before it."""
        at = first
        while at < end and self.word(at) in ("OR", "REPLACE", "ALTER", "TEMPORARY"):
            at += 1
        return at

    def create(self, at, end):
        """CREATE, or what it is if it fills the table: by an AS outside of all parentheses."""
        if at < end and self.word(at) == "MATERIALIZED":
            return "create_materialized"
        if at >= end or self.word(at) != "TABLE":
            return "create"
        depth = 0
        for i in range(at, end):
            if self.symbol(i, "("):
                depth += 1
            elif self.symbol(i, ")"):
                depth -= 1
            elif depth == 0 and self.word(i) == "AS":
                return "create_as"
        return "create"

    def connector(self, first, end):
        """The first ``'connector' = '...'`` directly within the parentheses of a WITH."""
        depth = inside = 0
        for at in range(first, end):
            if self.symbol(at, "("):
                depth += 1
                if inside == 0 and self.word(at - 1) == "WITH":
                    inside = depth
            elif self.symbol(at, ")"):
                if depth == inside:
                    inside = 0
                depth -= 1
            elif (
                inside > 0
                and depth == inside
                and at + 2 < end
                and self.type_is(at, Type.STRING)
                and self.symbol(at + 1, "=")
                and self.type_is(at + 2, Type.STRING)
                and self.value(at, at + 1) == "connector"
            ):
                return Connector(self.value(at + 2, at + 3), self.tokens[at + 2].start)
        return None

    def setting(self, kind, first, end):
        """The key and value of SET and RESET, quoted or not."""
        if first == end:
            return None
        if kind == "reset":
            return Setting(self.value(first, end), None)
        equals = next((at for at in range(first, end) if self.symbol(at, "=")), end)
        if equals in (end, first) or equals + 1 == end:
            raise self.script.error(self.tokens[first - 1].start, "SET wants a key, = and a value")
        return Setting(self.value(first, equals), self.value(equals + 1, end))

    def value(self, first, end):
        text = self.between(first, end)
        if end - first > 1 or self.type_is(first, Type.WORD) or self.type_is(first, Type.SYMBOL) or len(text) < 2:
            return text
        quote = text[-1]
        return text[text.index(quote) + 1 : -1].replace(quote + quote, quote)

    def between(self, first, end):
        return self.text[self.tokens[first].start : self.tokens[end - 1].end]

    def type_is(self, at, kind):
        return at < len(self.tokens) and self.tokens[at].type is kind

    def word(self, at):
        """The word at the token in upper case; nothing where there is none."""
        return self.words[at] if 0 <= at < len(self.words) else ""

    def are(self, at, *expected):
        return all(self.word(at + i) == word for i, word in enumerate(expected))

    def symbol(self, at, expected):
        token = self.tokens[at]
        return token.type is Type.SYMBOL and self.text[token.start : token.end] == expected

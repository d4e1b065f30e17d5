"""A script as Flink is to read it, and the way back from each of its characters to the user's text."""

from bisect import bisect_right
from typing import NamedTuple

from .errors import SplitError


class Position(NamedTuple):
    """A place in a script: line and column from 1; a column counts characters (code points)."""

    line: int
    column: int

    def __str__(self):
        return f"{self.line}:{self.column}"


class Lines:
    """Turns places in a text into lines and columns. Lines end with LF, CRLF or a lone CR."""

    def __init__(self, text):
        # a byte order mark takes no column
        self._starts = [1 if text.startswith("\ufeff") else 0]
        for i, c in enumerate(text):
            if c == "\n" or (c == "\r" and not text.startswith("\n", i + 1)):
                self._starts.append(i + 1)

    def position(self, index):
        line = max(0, bisect_right(self._starts, index) - 1)
        return Position(line + 1, max(0, index - self._starts[line]) + 1)

    def error(self, index, reason):
        return SplitError(self.position(index), reason)


class _Piece(NamedTuple):
    """From ``start`` in the text on; ``source`` is where that stands in the user's text, or the placeholder it was put in for."""

    start: int
    source: int
    put: bool


class Script:
    """The text, and where each of its characters stands in the user's."""

    def __init__(self, source, text=None, pieces=None):
        self.source = source
        self.text = source if text is None else text
        self._lines = Lines(source)
        self._pieces = pieces or [_Piece(0, 0, False)]
        self._starts = [piece.start for piece in self._pieces]

    def position(self, index):
        """Where a character of the text stands in the user's; what was put in stands where its placeholder begins."""
        piece = self._pieces[self._piece(index)]
        return self._lines.position(piece.source if piece.put else piece.source + index - piece.start)

    def written(self, start, end):
        """What the user wrote for some of the text, which is not empty: with placeholders, not with what they stand for."""
        first = self._pieces[self._piece(start)]
        number = self._piece(end - 1)
        last = self._pieces[number]
        # what is put in is always followed by something kept, and be it nothing
        begin = first.source if first.put else first.source + start - first.start
        stop = self._pieces[number + 1].source if last.put else last.source + end - last.start
        return self.source[begin:stop]

    def error(self, index, reason):
        return SplitError(self.position(index), reason)

    def _piece(self, index):
        return max(0, bisect_right(self._starts, index) - 1)


class Builder:
    """Puts a script together from what is kept of the user's text and what is put in."""

    def __init__(self, source):
        self._source = source
        self._parts = []
        self._length = 0
        self._pieces = []

    def keep(self, begin, end):
        """Takes over the user's text between two places."""
        self._pieces.append(_Piece(self._length, begin, False))
        self._add(self._source[begin:end])

    def put(self, placeholder, value):
        """Puts a value in, whose placeholder begins at a place."""
        if value:
            self._pieces.append(_Piece(self._length, placeholder, True))
            self._add(value)

    def build(self):
        return Script(self._source, "".join(self._parts), self._pieces)

    def _add(self, text):
        self._parts.append(text)
        self._length += len(text)

"""What an exception of Flink comes down to."""

import re
from typing import NamedTuple

_LONGEST = 700
_MOST_CAUSES = 50
_RANGE = re.compile(r"From line (\d+), column (\d+)(?: to line \d+, column \d+)?:? *")
_PLACE = re.compile(r"(?:, | )?[Aa]t line (\d+), column (\d+)(?:: *|\. *$)?")
_ANY_PLACE = re.compile(r"line (\d+), column (\d+)")
# what the parser would have taken in place of what it found: hundreds of words
_EXPECTED = re.compile(r"\s*Was expecting(?: one of)?:(.*)$")
_STAGE = re.compile(r"^SQL (?:parse|validation) failed\. ?")
_FRAMES = re.compile(r"\n\t(?:at |\.\.\. )")
_BLANK = re.compile(r"\s")
_PARSE_EXCEPTION = "org.apache.calcite.sql.parser.SqlParseException"


class Failure(NamedTuple):
    """The deepest message that says something, on one line; and where in the statement, 0 if it does not say."""

    whole: str
    line: int = 0
    column: int = 0

    @property
    def message(self):
        return _shortened(self.whole)

    def message_in(self, statement):
        """The message with the places that it still has in it told as places of the script."""
        told = _ANY_PLACE.sub(lambda m: str(statement.in_script(int(m[1]), int(m[2]))), self.whole)
        return _shortened(told)


class Cause(NamedTuple):
    """One exception of a chain: its class, its message, and the place that it has outside of the message."""

    type: str
    message: str
    place: tuple = (0, 0)


def causes_of_java(thrown):
    """The chain of causes of a Java exception."""
    causes = []
    while thrown is not None and len(causes) < _MOST_CAUSES:
        name, place = thrown.getClass().getName(), (0, 0)
        if name == _PARSE_EXCEPTION and thrown.getPos() is not None:
            place = (thrown.getPos().getLineNum(), thrown.getPos().getColumnNum())
        causes.append(Cause(name, thrown.getMessage() or "", place))
        thrown = thrown.getCause()
    return causes


def causes_of_text(trace):
    """The chain of causes in the text of a Java stack trace."""
    causes = []
    for part in trace.split("\nCaused by: "):
        told = _FRAMES.split(part, 1)[0]
        name, _, message = told.partition(": ")
        plain = "." in name and not _BLANK.search(name)
        causes.append(Cause(name if plain else "", message if plain else told))
    return causes


def of(causes):
    """From a chain of causes, outermost first."""
    message, line, column = "", 0, 0
    for number, cause in enumerate(causes):
        own = " ".join(cause.message.split())
        if not own and number + 1 < len(causes):
            continue
        expected = _EXPECTED.search(own)
        if expected and len(expected[1]) > 100:
            own = own[: expected.start()]
        for pattern in (_RANGE, _PLACE):
            place = pattern.search(own)
            if place:
                line, column = int(place[1]), int(place[2])
                between = " " if place.end() < len(own) and place.start() > 0 else ""
                own = own[: place.start()] + between + own[place.end() :]
                break
        own = _STAGE.sub("", own)
        if not cause.type.startswith("org.apache.") or not own:
            simple = cause.type.rsplit(".", 1)[-1].rsplit("$", 1)[-1]
            own = simple + (": " if simple and own else "") + own
        message = own.strip()
        if line == 0 and cause.type == _PARSE_EXCEPTION:
            line, column = cause.place
    return Failure(message, line, column)


def _shortened(text):
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."

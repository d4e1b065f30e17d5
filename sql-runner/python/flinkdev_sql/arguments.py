"""What the command line says."""

import base64
import binascii
import os
from dataclasses import dataclass, field
from typing import Optional

from .errors import SqlScriptError

USAGE = (
    "arguments: --script-base64 TEXT | --script TEXT | --file PATH | --resource NAME"
    "  [--name NAME] [--var NAME=VALUE]... [--dry-run]"
)


@dataclass
class Arguments:
    """The script as the user wrote it, the job's name unless the script sets one, and variables."""

    script: str
    name: Optional[str] = None
    variables: dict = field(default_factory=dict)
    dry_run: bool = False

    def variable(self, name):
        """The value of a variable: the command line's, else the environment's."""
        return self.variables.get(name, os.environ.get(name))


def parse(args):
    """``SqlScriptError`` if something is wrong with an argument, or the script cannot be read."""
    found, script, rest = Arguments(""), None, list(args)
    while rest:
        option = rest.pop(0)
        if option == "--dry-run":
            found.dry_run = True
            continue
        if not rest:
            raise SqlScriptError(f"{option} wants a value; {USAGE}")
        value = rest.pop(0)
        if option == "--name":
            found.name = value
        elif option == "--var":
            name, equals, text = value.partition("=")
            if not name or not equals:
                raise SqlScriptError(f"--var wants NAME=VALUE, not {value}; {USAGE}")
            found.variables[name] = text
        elif script is not None:
            raise SqlScriptError(f"more than one script; {USAGE}")
        else:
            script = _script(option, value)
    if script is None:
        raise SqlScriptError(f"no script; {USAGE}")
    found.script = script
    return found


def _script(option, value):
    if option == "--script-base64":
        try:
            return _text(base64.b64decode(value, validate=True), option)
        except binascii.Error as error:
            raise SqlScriptError(f"--script-base64 is not base64: {error}") from None
    if option == "--script":
        return value
    if option == "--file":
        return _text(_read(value, value), value)
    if option == "--resource":
        return _text(_read(_resource(value), f"the resource {value}"), value)
    raise SqlScriptError(f"unknown argument {option}; {USAGE}")


def _resource(name):
    """A file beside the job's own modules: what Python looks for them in is its classpath."""
    import sys

    for folder in sys.path:
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path):
            return path
    raise SqlScriptError(f"no resource {name} on Python's path")


def _read(path, shown):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SqlScriptError(f"cannot read {shown}: {error.strerror}") from None


def _text(data, source):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise SqlScriptError(f"{source} is not UTF-8") from None

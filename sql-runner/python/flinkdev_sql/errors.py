"""What can be wrong with a script. Each message is one line that says all of it: which statement, where, and why."""


class SqlScriptError(Exception):
    """A script that cannot be run."""


class SplitError(SqlScriptError):
    """A script that does not fall into statements."""

    def __init__(self, position, reason):
        super().__init__(f"script at {position}: {reason}")
        self.position = position
        self.reason = reason

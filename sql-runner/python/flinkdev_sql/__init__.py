"""Runs a SQL script as one job, from Python: the rules are those of the SQL runner in Java, and so is the corpus of
scripts that both are tested with (``sql-runner/src/test/resources/corpus``).

``python -m flinkdev_sql --file job.sql`` runs a script; ``run_script(environment, text)`` runs one from a job of your
own, after it has registered functions and tables.
"""

from .errors import SplitError, SqlScriptError
from .runner import run_script
from .splitter import Statement, split
from .text import Position, Script
from .variables import put

__all__ = ["Position", "Script", "SplitError", "SqlScriptError", "Statement", "put", "run_script", "split"]

"""Runs a script: what stands before the INSERTs is executed one by one, all INSERTs become one job, which is started at
the end and not waited for. A session job of the Flink operator is one Flink job; a script that started two would be half
deployed. ``CREATE TABLE ... AS`` and ``REPLACE TABLE ... AS`` make their table and are INSERTs too.
"""

import logging

from . import rules
from .errors import SqlScriptError
from .splitter import split
from .text import Script

LOG = logging.getLogger("flinkdev_sql")
_SYNC = "table.dml-sync"
_NAME = "pipeline.name"


def run_script(script, *, name=None, environment=None, told=LOG.info, dry_run=False):
    """Runs a script (its text, or a ``Script`` with variables put in) and returns what was done, for people.

    ``name`` is the job's, unless the script sets one. ``environment`` is a ``TableEnvironment`` with tables and functions
    of yours; without one it is made with what the script sets before its first other statement. ``told`` takes what
    SHOW, DESCRIBE and EXPLAIN give. A dry run plans the job, tells the plans and starts nothing.

    ``SqlScriptError`` if the script cannot be run; then no job has been started.
    """
    script = script if isinstance(script, Script) else Script(script)
    statements = split(script)
    rules.check(statements)
    run = _Run(name, told, dry_run)
    first = 0
    # what is set before the first other statement is there when the environment is made: some options have an effect
    # only then
    while first < len(statements) and statements[first].kind in ("set", "reset"):
        run.set(first + 1, statements[first])
        first += 1
    run.open(environment)
    for number, statement in enumerate(statements[first:], first + 1):
        run.execute(number, statement)
    run.finish()
    inserts = len(run.inserts)
    if not dry_run:
        return f"{_counted(inserts, 'INSERT')} in one job, which was started"
    return (
        f"dry run: the script can run: {_counted(len(statements), 'statement')}, "
        f"{_counted(inserts, 'INSERT')} in one job; nothing was started"
    )


def _counted(number, what):
    return f"{number} {what}{'' if number == 1 else 's'}"


class _Run:
    def __init__(self, name, told, dry):
        self.name = name
        self.told = told
        self.dry = dry
        self.settings = rules.Settings()
        self.inserts = []
        self.flink = None

    def open(self, environment):
        # here, so that what needs no Flink can be used without PyFlink
        from .flink import Flink

        self.flink = Flink(environment, self.settings)

    def set(self, number, statement):
        self.settings.apply(statement)
        if statement.kind == "set" and statement.setting is None:
            self.told(rules.prefix(number, statement) + "\n" + self.settings.listed())
        warning = rules.warning(statement)
        if warning:
            LOG.warning("%s%s", rules.prefix(number, statement), warning)

    def execute(self, number, statement):
        kind = statement.kind
        self.check_connector(number, statement)
        if kind in ("set", "reset"):
            self.set(number, statement)
            self.flink.set(statement)
        elif kind in ("show", "describe", "explain"):
            rows = self.attempt(number, statement, lambda: self.flink.rows(statement.text))
            self.told(rules.prefix(number, statement) + "\n" + rows)
        elif kind in ("create", "drop", "alter"):
            self.attempt(number, statement, lambda: self.change(number, statement))
        elif kind in ("use", "load", "jar"):
            self.attempt(number, statement, lambda: self.flink.execute(statement.text))
            if kind == "jar":
                self.flink.jars_added = True
        elif kind == "statement_set":
            for insert in statement.inner:
                self.add(number, insert)
        else:
            # read and validated against the tables as they are at this point of the script
            self.add(number, statement)

    def add(self, number, statement):
        operation = self.attempt(number, statement, lambda: self.flink.insert(statement.text, self.dry))
        self.inserts.append((number, statement, operation))

    def change(self, number, statement):
        if not self.dry or self.flink.may_change(statement.text):
            self.flink.execute(statement.text)
        else:
            self.told(
                rules.prefix(number, statement)
                + "not executed in a dry run as it stands: the catalog is not in memory"
            )

    def check_connector(self, number, statement):
        if statement.connector is None:
            return
        reason = self.flink.no_connector(statement.connector.name)
        if reason:
            place = statement.script.position(statement.connector.start)
            raise SqlScriptError(f"{rules.prefix(number, statement)}error at {place}: {reason}")

    def finish(self):
        # the name is the script's if it gives one; and a wait for the end of the job would never end here
        name = self.settings.get(_NAME, self.name)
        if name:
            self.flink.put(_NAME, name)
        self.flink.put(_SYNC, "false")
        try:
            if self.dry:
                self.explain()
            else:
                self.flink.start([operation for _, _, operation in self.inserts])
        except SqlScriptError:
            raise
        except Exception as error:
            raise self.failed(error) from error

    def explain(self):
        """Tells the plan of each INSERT, and of all together where there are several: they share what they can."""
        for number, statement, operation in self.inserts:
            plan = self.attempt(number, statement, lambda operation=operation: self.flink.plan([operation]))
            self.told(rules.prefix(number, statement) + "\n" + plan)
        if len(self.inserts) > 1:
            self.told("the job as a whole:\n" + self.flink.plan([o for _, _, o in self.inserts]))

    def failed(self, error):
        """What is wrong with one INSERT only shows when all are planned: then it is looked for."""
        for number, statement, operation in self.inserts:
            self.attempt(number, statement, lambda operation=operation: self.flink.plan([operation]))
        return SqlScriptError("job not started: " + self.flink.failure(error).message)

    def attempt(self, number, statement, action):
        try:
            return action()
        except SqlScriptError:
            raise
        except Exception as error:
            failure = self.flink.failure(error)
            where = f"error at {statement.in_script(failure.line, failure.column)}: " if failure.line else ""
            message = rules.prefix(number, statement) + where + failure.message_in(statement)
            LOG.error("%s", message, exc_info=error)
            raise SqlScriptError(message) from error

"""``python -m flinkdev_sql``: the arguments are those of the SQL runner in Java."""

import logging
import os
import sys

from . import arguments
from .errors import SqlScriptError
from .runner import run_script
from .variables import put


def main(args):
    # a logger of its own: what PyFlink imports changes the root's level
    log, handler = logging.getLogger("flinkdev_sql"), logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    given = arguments.parse(args)
    # as the user wrote it: the values of variables may be secrets
    log.info("SQL script:\n%s", given.script)
    script = put(given.script, given.variable)
    summary = run_script(script, name=given.name, dry_run=given.dry_run)
    log.info(summary)
    if given.dry_run and "PYFLINK_GATEWAY_PORT" in os.environ:
        # Flink takes a main method that starts no job for a failure, and would not say that all is well
        raise SqlScriptError(summary)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SqlScriptError as error:
        # in a session cluster it is told by what runs this module
        if "PYFLINK_GATEWAY_PORT" in os.environ:
            raise
        sys.exit(str(error))

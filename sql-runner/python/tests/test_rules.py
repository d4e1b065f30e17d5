"""What needs no Flink: refusals, settings, arguments, and what an exception comes down to."""

import unittest

from flinkdev_sql import Script, arguments, failure, put, run_script, split
from flinkdev_sql.errors import SqlScriptError

REFUSED = {
    "": "the script is empty",
    "-- nothing": "the script is empty",
    "CREATE TABLE a (x INT)": "the script has no INSERT: there is no job to start",
    "BEGIN STATEMENT SET; END;": "the script has no INSERT: there is no job to start",
    "USE x; SELECT 1;": "statement 2 at 1:8 (SELECT 1): refused: a session job cannot show rows; "
    "write them to a table with INSERT INTO",
    "CREATE MATERIALIZED TABLE a AS SELECT 1": "statement 1 at 1:1 (CREATE MATERIALIZED TABLE a AS SELECT 1): "
    "refused: it starts a job of its own; write CREATE TABLE and INSERT INTO",
    "EXECUTE PLAN '/p'": "statement 1 at 1:1 (EXECUTE PLAN '/p'): refused: it starts a job of its own; "
    "write the plan's statements",
    "DELETE FROM a": "statement 1 at 1:1 (DELETE FROM a): refused: a script can have only INSERTs in its job, no DELETE",
    "HELP": "statement 1 at 1:1 (HELP): refused: not a statement of a script",
    "BEGIN STATEMENT SET; USE x; END;": "statement 1 at 1:22 (USE x): refused: only INSERT can stand in a statement set",
    "SET 'table.dml-sync' = 'true'; INSERT INTO a SELECT 1": "statement 1 at 1:1 (SET 'table.dml-sync' = 'true'): "
    "refused: the script runs in the JobManager and must not wait for its job",
    "INSERT INTO a VALUES ('x": "script at 1:23: string not closed",
}


class RulesTest(unittest.TestCase):
    def test_refused_before_anything_is_executed(self):
        for script, message in REFUSED.items():
            with self.subTest(script), self.assertRaises(SqlScriptError) as refused:
                run_script(script)
            self.assertEqual(message, str(refused.exception))

    def test_places_lead_back_to_the_users_script(self):
        source = "USE ${a}; USE é$${x}${b:-y}${c:-};\nUSE z"
        script = put(source, {"a": "long\nvalue"}.get)
        self.assertEqual("USE long\nvalue; USE é${x}y;\nUSE z", script.text)
        places = [str(script.position(script.text.index(t))) for t in ("long", "value", "; USE é", "x}", "y;", "z")]
        self.assertEqual(["1:5", "1:5", "1:9", "1:19", "1:21", "2:5"], places)
        self.assertEqual(["USE ${a}", "USE é$${x}${b:-y}", "USE z"], [s.head for s in split(script)])

    def test_the_parsers_columns_are_utf_16_units(self):
        statement = split(Script("  SELECT '😀', x\n, y"))[0]
        self.assertEqual("1:15", str(statement.in_script(1, 14)))
        self.assertEqual("2:3", str(statement.in_script(2, 3)))
        self.assertEqual("2:9", str(statement.in_script(2, 9)))

    def test_an_exception_comes_down_to_one_line(self):
        trace = (
            "org.apache.flink.table.api.ValidationException: SQL validation failed. From line 2, column 5 to line 2, "
            "column 9: Column 'amout' not found\n\tat x.Y.z(Y.java:1)\nCaused by: java.lang.IllegalStateException\n\t... 3"
        )
        found = failure.of(failure.causes_of_text(trace))
        self.assertEqual(("IllegalStateException", 2, 5), tuple(found))
        found = failure.of(failure.causes_of_text(trace.split("\nCaused by")[0]))
        self.assertEqual(("Column 'amout' not found", 2, 5), tuple(found))


class ArgumentsTest(unittest.TestCase):
    def test_good(self):
        self.assertEqual("SET 'ä';", arguments.parse(["--script-base64", "U0VUICfDpCc7"]).script)
        full = arguments.parse(["--var", "a=b=c", "--dry-run", "--script", "USE x", "--var", "d=", "--name", "n"])
        self.assertTrue(full.dry_run)
        self.assertEqual(("b=c", "", None, "n"), (full.variable("a"), full.variable("d"), full.variable("x y"), full.name))

    def test_wrong(self):
        for wrong in (
            [],
            ["--script"],
            ["--name", "x"],
            ["--script", "a", "--file", "b"],
            ["--file", "/no/such/file"],
            ["--resource", "no/such/resource"],
            ["--script", "x", "--var", "novalue"],
            ["--script", "x", "--var", "=v"],
            ["--dry-run"],
            ["--script-base64", "%"],
            ["--script-base64", "/w=="],
            ["--else", "x"],
        ):
            with self.subTest(wrong), self.assertRaises(SqlScriptError):
                arguments.parse(wrong)


if __name__ == "__main__":
    unittest.main()

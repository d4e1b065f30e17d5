"""With Flink's own planner, where PyFlink is: scripts are planned, nothing is started."""

import importlib.util
import unittest

from flinkdev_sql import SqlScriptError, put, run_script

TABLES = (
    "CREATE TABLE orders (id STRING, amount INT) WITH ('connector' = 'datagen');\n"
    "CREATE TABLE totals (id STRING, amount INT) WITH ('connector' = 'blackhole');\n"
)
FAULTS = {
    "INSERT INTO totals SELEC * FROM orders;": "statement 3 at 3:1 (INSERT INTO totals SELEC * FROM orders): error at 3:20: "
    "Non-query expression",
    "INSERT INTO totals SELECT * FROM;": 'statement 3 at 3:1 (INSERT INTO totals SELECT * FROM): error at 3:32: Encountered "<EOF>"',
    "INSERT INTO total SELECT * FROM orders;": "statement 3 at 3:1 (INSERT INTO total SELECT * FROM orders): Cannot find table",
    "INSERT INTO totals SELECT id FROM orders;": "statement 3 at 3:1 (INSERT INTO totals SELECT id FROM orders): "
    "Column types of query result and sink",
    "INSERT INTO totals SELECT id, f(amount) FROM orders;": "statement 3 at 3:1 "
    "(INSERT INTO totals SELECT id, f(amount) FROM orders): error at 3:31: No match found for function signature",
    "CREATE TABLE x (a STRING, b INT) WITH ('connector'='kafkaa'); INSERT INTO totals SELECT * FROM x;": "statement 3 at 3:1 "
    "(CREATE TABLE x (a STRING, b INT) WITH ('connector'='kafkaa')): error at 3:52: Could not find any factory for identifier "
    "'kafkaa'; connectors that are there: blackhole, datagen",
    "REPLACE TABLE x WITH ('connector'='blackhole') AS SELECT * FROM orders;": "statement 3 at 3:1 "
    "(REPLACE TABLE x WITH ('connector'='blackhole') AS SELECT * F ...): "
    "The table default_catalog.default_database.x to be replaced does not exist",
    "DESCRIBE nothing; INSERT INTO totals SELECT * FROM orders;": "statement 3 at 3:1 (DESCRIBE nothing):",
    "CREATE TABLE x (a STRING, b INT) WITH ('connector'='blackhole', 'k'='v'); INSERT INTO totals SELECT * FROM orders; "
    "INSERT INTO x SELECT * FROM orders;": "statement 5 at 3:116 (INSERT INTO x SELECT * FROM orders): "
    "Unsupported options found for 'blackhole'",
}


@unittest.skipUnless(importlib.util.find_spec("pyflink"), "needs PyFlink")
class RunnerTest(unittest.TestCase):
    maxDiff = None

    def planned(self, script):
        told = []
        return run_script(script, name="given", told=told.append, dry_run=True), told

    def test_all_inserts_are_one_job(self):
        summary, told = self.planned(
            TABLES + "SET a = b; INSERT INTO totals SELECT * FROM orders;\n"
            "CREATE TABLE big WITH ('connector' = 'blackhole') AS SELECT * FROM orders WHERE amount > 5;\n"
            "INSERT INTO big SELECT id, 1 FROM orders; DESCRIBE big; SHOW TABLES;\n"
            "EXECUTE STATEMENT SET BEGIN INSERT INTO totals SELECT id, 1 FROM orders; END;"
        )
        self.assertEqual(
            "dry run: the script can run: 9 statements, 4 INSERTs in one job; nothing was started", summary
        )
        self.assertTrue(told[0].startswith("statement 7 at 5:43 (DESCRIBE big): \nname | type"), told[0])
        self.assertTrue(told[1].endswith("(SHOW TABLES): \ntable name\nbig\norders\ntotals"), told[1])
        self.assertIn("Optimized Execution Plan", told[-1])

    def test_faults_are_found_before_the_job_starts(self):
        for script, message in FAULTS.items():
            with self.subTest(script), self.assertRaises(SqlScriptError) as found:
                self.planned(TABLES + script)
            text = str(found.exception)
            self.assertTrue(text.startswith(message), text)
            self.assertTrue(len(text) < 1000 and "\n" not in text, text)

    def test_variables_keep_their_places(self):
        script = put(
            TABLES + "INSERT INTO ${sink:-totals} SELECT id, '${text}', amout FROM orders;", {"text": "it's\n"}.get
        )
        with self.assertRaises(SqlScriptError) as found:
            self.planned(script)
        self.assertIn("error at 3:51: Column 'amout' not found in any table", str(found.exception))

    def test_an_environment_of_ones_own_has_functions(self):
        from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
        from pyflink.table.udf import udf

        environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        twice = udf(lambda n: 2 * n, result_type=DataTypes.INT())
        environment.create_temporary_function("twice", twice)
        told = []
        script = TABLES + "INSERT INTO totals SELECT id, twice(amount) FROM orders;"
        run_script(script, environment=environment, told=told.append, dry_run=True)
        self.assertIn("PythonCalc", told[-1])


if __name__ == "__main__":
    unittest.main()

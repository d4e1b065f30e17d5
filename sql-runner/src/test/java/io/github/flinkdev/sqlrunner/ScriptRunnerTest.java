package io.github.flinkdev.sqlrunner;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.PipelineExecutor;
import org.apache.flink.core.execution.PipelineExecutorFactory;
import org.apache.flink.core.execution.PipelineExecutorServiceLoader;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironmentFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Runs scripts with Flink's planner, up to but without the start of the job. */
class ScriptRunnerTest {
    private static final String TABLES =
            "CREATE TABLE orders (id STRING, amount INT) WITH ('connector' = 'datagen');\n"
                    + "CREATE TABLE totals (id STRING, total INT) WITH ('connector' = 'blackhole');\n";

    /** What would have been started: the options and the name of every job. */
    @SuppressWarnings("try") // its close() throws
    private static final class Cluster extends StreamExecutionEnvironment {
        static final List<Configuration> JOBS = new ArrayList<>();
        static final List<String> TOLD = new ArrayList<>();

        private static Optional<String> run(String script, String name) {
            return run(runner -> runner.run(Script.of(script)), name);
        }

        private static Optional<String> run(Consumer<ScriptRunner> action, String name) {
            JOBS.clear();
            TOLD.clear();
            StreamExecutionEnvironmentFactory factory = configuration -> new Cluster(configuration);
            initializeContextEnvironment(factory);
            try {
                action.accept(new ScriptRunner(Optional.ofNullable(name), TOLD::add));
                return Optional.empty();
            } catch (SqlScriptException e) {
                assertNull(e.getCause());
                return Optional.of(e.getMessage());
            } finally {
                resetContextEnvironment();
            }
        }

        Cluster(Configuration configuration) {
            super(new Loader(), withDefaults(configuration), null);
        }

        private static Configuration withDefaults(Configuration configuration) {
            Configuration all = new Configuration(configuration);
            all.setString("execution.target", "recorder");
            all.setString("execution.attached", "false");
            return all;
        }
    }

    /** In place of a cluster: takes every job and runs none. */
    private static final class Loader implements PipelineExecutorServiceLoader {
        @Override
        public PipelineExecutorFactory getExecutorFactory(Configuration configuration) {
            return new PipelineExecutorFactory() {
                @Override
                public String getName() {
                    return "recorder";
                }

                @Override
                public boolean isCompatibleWith(Configuration any) {
                    return true;
                }

                @Override
                public PipelineExecutor getExecutor(Configuration any) {
                    return (pipeline, options, loader) -> {
                        Cluster.JOBS.add(new Configuration(options));
                        return java.util.concurrent.CompletableFuture.completedFuture(new NoJob());
                    };
                }
            };
        }

        @Override
        public java.util.stream.Stream<String> getExecutorNames() {
            return java.util.stream.Stream.of("recorder");
        }
    }

    private static final class NoJob implements JobClient {
        @Override
        public org.apache.flink.api.common.JobID getJobID() {
            return new org.apache.flink.api.common.JobID();
        }

        @Override
        public java.util.concurrent.CompletableFuture<org.apache.flink.api.common.JobStatus> getJobStatus() {
            throw new AssertionError("the runner asks for the job's state");
        }

        @Override
        public java.util.concurrent.CompletableFuture<Void> cancel() {
            throw new AssertionError("the runner cancels the job");
        }

        @Override
        public java.util.concurrent.CompletableFuture<String> stopWithSavepoint(
                boolean end, String folder, org.apache.flink.core.execution.SavepointFormatType type) {
            throw new AssertionError("the runner stops the job");
        }

        @Override
        public java.util.concurrent.CompletableFuture<String> triggerSavepoint(
                String folder, org.apache.flink.core.execution.SavepointFormatType type) {
            throw new AssertionError("the runner makes a savepoint");
        }

        @Override
        public java.util.concurrent.CompletableFuture<java.util.Map<String, Object>> getAccumulators() {
            throw new AssertionError("the runner asks for accumulators");
        }

        @Override
        public java.util.concurrent.CompletableFuture<org.apache.flink.api.common.JobExecutionResult>
                getJobExecutionResult() {
            throw new AssertionError("the runner waits for the job");
        }
    }

    private static void runs(String script) {
        assertEquals(Optional.empty(), Cluster.run(script, "given"));
        assertEquals(1, Cluster.JOBS.size());
    }

    private static String fails(String script) {
        String message = Cluster.run(script, "given").orElseThrow(() -> new AssertionError("it runs"));
        assertEquals(List.of(), Cluster.JOBS);
        return message;
    }

    private static String name() {
        return Cluster.JOBS.get(0).get(PipelineOptions.NAME);
    }

    @Test
    void allInsertsAreOneJob() {
        runs("SET 'parallelism.default' = '3';\n" + TABLES
                + "INSERT INTO totals SELECT * FROM orders; INSERT INTO totals SELECT id, -amount FROM orders;\n"
                + "SHOW TABLES; EXECUTE STATEMENT SET BEGIN INSERT INTO totals SELECT id, 1 FROM orders; END;\n"
                + "BEGIN STATEMENT SET; INSERT INTO totals VALUES ('a;b', 1); END");
        assertEquals("3", Cluster.JOBS.get(0).toMap().get("parallelism.default"));
        assertEquals("given", name());
    }

    @Test
    void scriptsOwnNameWins() {
        runs(TABLES + "set pipeline.name=mine; INSERT INTO totals SELECT * FROM orders;");
        assertEquals("mine", name());
        runs("SET 'pipeline.name' = 'first';" + TABLES + "RESET pipeline.name; INSERT INTO totals SELECT * FROM orders;");
        assertEquals("given", name());
        runs("SET 'pipeline.name' = 'first'; RESET;" + TABLES + "INSERT INTO totals SELECT * FROM orders;");
        assertEquals("given", name());
    }

    @Test
    void optionsOfTheEnvironment() {
        String batch = TABLES.replace("datagen'", "datagen', 'number-of-rows' = '5'")
                + "INSERT INTO totals SELECT id, SUM(amount) FROM orders GROUP BY id;";
        runs("SET 'execution.runtime-mode' = 'batch';" + batch);
        assertEquals("BATCH", Cluster.JOBS.get(0).toMap().get("execution.runtime-mode").toUpperCase());
    }

    @Test
    void hintsAndCommentsReachThePlanner() {
        runs(TABLES + "-- all; of them\nINSERT INTO totals /* c; */ SELECT * FROM orders"
                + " /*+ OPTIONS('fields.amount.kind' = 'sequence', 'fields.amount.start' = '1', 'fields.amount.end' = '9') */;");
    }

    @Test
    void tablesThatAreFilledArePartsOfTheJob() {
        runs(TABLES + "CREATE TABLE big WITH ('connector' = 'blackhole') AS SELECT * FROM orders WHERE amount > 5;\n"
                + "INSERT INTO big SELECT id, 1 FROM orders;\n"
                + "CREATE OR REPLACE TABLE big WITH ('connector' = 'blackhole') AS SELECT id FROM orders;\n"
                + "REPLACE TABLE big WITH ('connector' = 'print') AS SELECT id, amount, 1 AS n FROM orders;\n"
                + "DESCRIBE big;");
        assertTrue(Cluster.TOLD.get(0).startsWith("statement 7 at 7:1 (DESCRIBE big): \nname | type"), Cluster.TOLD.toString());
        assertTrue(Cluster.TOLD.get(0).contains("\nn | INT"), Cluster.TOLD.toString());
    }

    @Test
    void whatIsAskedForIsTold() {
        runs("SET 'a.password' = 'secret'; SET b = c; SET;" + TABLES
                + "SHOW TABLES; SHOW CREATE TABLE orders; EXPLAIN SELECT id FROM orders; SHOW VIEWS;"
                + "INSERT INTO totals SELECT * FROM orders;");
        assertEquals("statement 3 at 1:41 (SET): \n'a.password' = '******'\n'b' = 'c'", Cluster.TOLD.get(0));
        assertEquals("statement 6 at 3:1 (SHOW TABLES): \ntable name\norders\ntotals", Cluster.TOLD.get(1));
        assertTrue(Cluster.TOLD.get(2).contains("): \nCREATE TABLE "), Cluster.TOLD.get(2));
        assertTrue(Cluster.TOLD.get(3).contains("== Optimized Execution Plan =="), Cluster.TOLD.get(3));
        assertTrue(Cluster.TOLD.get(4).endsWith("(none)"), Cluster.TOLD.get(4));
        assertEquals(5, Cluster.TOLD.size());
    }

    @Test
    void variablesKeepTheirPlaces() {
        Script script = Variables.put(
                TABLES + "INSERT INTO ${sink:-totals} SELECT id, '${text}', amout FROM orders;",
                name -> Optional.of("it's\n").filter(value -> name.equals("text")));
        assertEquals(
                "statement 3 at 3:1 (INSERT INTO ${sink:-totals} SELECT id, '${text}', amout FROM ...): "
                        + "error at 3:51: Column 'amout' not found in any table",
                Cluster.run(runner -> runner.run(script), null).orElseThrow());
    }

    @Test
    void dryRunPlansAndStartsNothing() {
        Script script = Script.of(TABLES + "CREATE TABLE big WITH ('connector' = 'blackhole') AS SELECT id FROM orders;\n"
                + "INSERT INTO totals SELECT id, SUM(amount) FROM orders GROUP BY id;");
        assertEquals(Optional.empty(), Cluster.run(
                runner -> assertEquals(
                        new ScriptRunner.Checked(
                                "dry run: the script can run: 4 statements, 2 INSERTs in one job; nothing was started", true),
                        runner.check(script)),
                "given"));
        assertEquals(List.of(), Cluster.JOBS);
        assertEquals(3, Cluster.TOLD.size());
        assertTrue(Cluster.TOLD.get(1).startsWith("statement 4 at 4:1 (INSERT INTO totals "), Cluster.TOLD.get(1));
        assertTrue(Cluster.TOLD.get(1).contains("GroupAggregate"), Cluster.TOLD.get(1));
        assertTrue(Cluster.TOLD.get(2).startsWith("the job as a whole:\n"), Cluster.TOLD.get(2));
        Script wrong = Script.of(TABLES + "INSERT INTO totals SELECT id FROM orders;");
        assertTrue(Cluster.run(runner -> runner.check(wrong), "given").orElseThrow().startsWith("statement 3 at 3:1"));
    }

    @Test
    void dryRunChangesNoCatalogThatOutlivesIt() {
        Script script = Script.of("CREATE CATALOG kept WITH ('type' = 'kept'); USE CATALOG kept;\n" + TABLES
                + "CREATE VIEW v AS SELECT * FROM orders; DROP TABLE IF EXISTS gone; CREATE DATABASE d;\n"
                + "CREATE TABLE big WITH ('connector' = 'blackhole') AS SELECT id FROM v;\n"
                + "INSERT INTO totals SELECT * FROM v;");
        KeptCatalog.CHANGES.clear();
        assertEquals(Optional.empty(), Cluster.run(runner -> runner.check(script), "given"));
        assertEquals(List.of(), KeptCatalog.CHANGES);
        assertEquals(Optional.empty(), Cluster.run(runner -> runner.run(script), "given"));
        assertEquals(List.of("table orders", "table totals", "table v", "database d", "table big"), KeptCatalog.CHANGES);
    }

    @Test
    void misspeltColumn() {
        assertEquals(
                "statement 3 at 3:1 (INSERT INTO totals SELECT id, amout FROM orders): "
                        + "error at 4:12: Column 'amout' not found in any table",
                fails(TABLES + "INSERT INTO totals\nSELECT id, amout FROM orders;"));
    }

    @Test
    void misspeltColumnInAStatementSet() {
        assertEquals(
                "statement 3 at 4:3 (INSERT INTO totals SELECT `😀`, amout FROM (SELECT id AS `😀`, ...): "
                        + "error at 4:34: Column 'amout' not found in any table",
                fails(TABLES + "EXECUTE STATEMENT SET BEGIN\n"
                        + "  INSERT INTO totals SELECT `😀`, amout FROM (SELECT id AS `😀`, 1 AS n FROM orders);\nEND;"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            INSERT INTO totals SELEC * FROM orders;             | statement 3 at 3:1 (INSERT INTO totals SELEC * FROM orders): error at 3:20: Non-query expression
            INSERT INTO totals SELECT * FROM;                   | statement 3 at 3:1 (INSERT INTO totals SELECT * FROM): error at 3:32: Encountered "<EOF>"
            INSERT INTO total SELECT * FROM orders;             | statement 3 at 3:1 (INSERT INTO total SELECT * FROM orders): Cannot find table
            INSERT INTO totals SELECT id FROM orders;           | statement 3 at 3:1 (INSERT INTO totals SELECT id FROM orders): Column types of query result and sink
            INSERT INTO totals SELECT id, f(amount) FROM orders; | statement 3 at 3:1 (INSERT INTO totals SELECT id, f(amount) FROM orders): error at 3:31: No match found for function signature
            CREATE TABLE x (a INTT) WITH ('connector'='datagen'); INSERT INTO totals SELECT * FROM orders; | statement 3 at 3:1 (CREATE TABLE x (a INTT) WITH ('connector'='datagen')): error at 3:
            CREATE TABLE x (a STRING, b INT) WITH ('connector'='kafkaa'); INSERT INTO totals SELECT * FROM x; | statement 3 at 3:1 (CREATE TABLE x (a STRING, b INT) WITH ('connector'='kafkaa')): error at 3:52: Could not find any factory for identifier 'kafkaa'; connectors that are there: blackhole, datagen
            INSERT INTO totals SELECT * FROM orders; CREATE TABLE x WITH ('connector'='kafkaa') AS SELECT * FROM orders; | statement 4 at 3:42 (CREATE TABLE x WITH ('connector'='kafkaa') AS SELECT * FROM ...): error at 3:75: Could not find any factory for identifier 'kafkaa'; connectors that are there:
            CREATE TABLE x (a STRING, b INT) WITH ('connector'='datagen', 'rows-per-secon' = '5'); INSERT INTO totals SELECT * FROM x; | statement 4 at 3:88 (INSERT INTO totals SELECT * FROM x): Unsupported options found for 'datagen'
            REPLACE TABLE x WITH ('connector'='blackhole') AS SELECT * FROM orders; | statement 3 at 3:1 (REPLACE TABLE x WITH ('connector'='blackhole') AS SELECT * F ...): The table default_catalog.default_database.x to be replaced does not exist
            DESCRIBE nothing; INSERT INTO totals SELECT * FROM orders; | statement 3 at 3:1 (DESCRIBE nothing):
            CREATE TABLE x (a STRING, b INT) WITH ('connector'='blackhole', 'k'='v'); INSERT INTO totals SELECT * FROM orders; INSERT INTO x SELECT * FROM orders; | statement 5 at 3:116 (INSERT INTO x SELECT * FROM orders): Unsupported options found for 'blackhole'
            """)
    void faultsAreFoundBeforeTheJobStarts(String script, String message) {
        String found = fails(TABLES + script);
        assertTrue(found.startsWith(message), found);
        assertTrue(found.length() < 1000 && !found.contains("\n"), found);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            ~~                                               | the script is empty
            -- nothing                                       | the script is empty
            CREATE TABLE a (x INT)                           | the script has no INSERT: there is no job to start
            BEGIN STATEMENT SET; END;                        | the script has no INSERT: there is no job to start
            USE x; SELECT 1;                                 | statement 2 at 1:8 (SELECT 1): refused: a session job cannot show rows; write them to a table with INSERT INTO
            CREATE MATERIALIZED TABLE a AS SELECT 1          | statement 1 at 1:1 (CREATE MATERIALIZED TABLE a AS SELECT 1): refused: it starts a job of its own; write CREATE TABLE and INSERT INTO
            BEGIN STATEMENT SET; CREATE TABLE a AS SELECT 1; END; | statement 1 at 1:22 (CREATE TABLE a AS SELECT 1): refused: only INSERT can stand in a statement set
            EXECUTE PLAN '/p'                                | statement 1 at 1:1 (EXECUTE PLAN '/p'): refused: it starts a job of its own; write the plan's statements
            DELETE FROM a                                    | statement 1 at 1:1 (DELETE FROM a): refused: a script can have only INSERTs in its job, no DELETE
            HELP                                             | statement 1 at 1:1 (HELP): refused: not a statement of a script
            BEGIN STATEMENT SET; USE x; END;                 | statement 1 at 1:22 (USE x): refused: only INSERT can stand in a statement set
            SET 'table.dml-sync' = 'true'; INSERT INTO a SELECT 1 | statement 1 at 1:1 (SET 'table.dml-sync' = 'true'): refused: the script runs in the JobManager and must not wait for its job
            INSERT INTO a VALUES ('x                         | script at 1:23: string not closed
            """)
    void refusedBeforeAnythingIsExecuted(String script, String message) {
        assertEquals(message, fails(script));
    }

    @Test
    void arguments() {
        assertEquals("SET 'ä';", Arguments.of("--script-base64", "U0VUICfDpCc7").script());
        assertEquals(
                new Arguments("USE x", Optional.of("n"), Map.of(), false),
                Arguments.of("--name", "n", "--script", "USE x"));
        assertTrue(Arguments.of("--file", "pom.xml").script().startsWith("<?xml"));
        assertTrue(Arguments.of("--resource", "corpus/README.md").script().startsWith("# Corpus"));
        Arguments full = Arguments.of("--var", "a=b=c", "--dry-run", "--script", "USE x", "--var", "d=");
        assertTrue(full.dryRun());
        assertEquals(Optional.of("b=c"), full.variable("a", Map.of("a", "no")));
        assertEquals(Optional.of(""), full.variable("d", Map.of()));
        assertEquals(Optional.of("yes"), full.variable("e", Map.of("e", "yes")));
        assertEquals(Optional.empty(), full.variable("f", Map.of("e", "yes")));
        for (String[] wrong : List.<String[]>of(
                new String[] {},
                new String[] {"--script"},
                new String[] {"--name", "x"},
                new String[] {"--script", "a", "--file", "b"},
                new String[] {"--file", "/no/such/file"},
                new String[] {"--resource", "no/such/resource"},
                new String[] {"--script", "x", "--var", "novalue"},
                new String[] {"--script", "x", "--var", "=v"},
                new String[] {"--dry-run"},
                new String[] {"--script-base64", "%"},
                new String[] {"--script-base64", "/w=="},
                new String[] {"--else", "x"})) {
            assertThrows(SqlScriptException.class, () -> Arguments.of(wrong), String.join(" ", wrong));
        }
    }
}

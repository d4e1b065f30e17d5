package io.github.flinkdev.sqlrunner;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.config.TableConfigOptions;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a script: what stands before the INSERTs is executed one by one, all INSERTs become one job, which is started at
 * the end and not waited for. A session job of the Flink operator is one Flink job; a script that started two would
 * be half deployed.
 */
final class ScriptRunner {
    private static final Logger LOG = LoggerFactory.getLogger(ScriptRunner.class);

    /** Executed where they stand. */
    private static final Set<Kind> EXECUTED =
            EnumSet.of(Kind.CREATE, Kind.DROP, Kind.ALTER, Kind.USE, Kind.LOAD, Kind.JAR);
    /** Without effect on the job, and with a result that nobody would see: passed over. */
    private static final Set<Kind> PASSED_OVER = EnumSet.of(Kind.SHOW, Kind.DESCRIBE, Kind.EXPLAIN);

    private final Optional<String> name;

    /** @param name the job's name, unless the script sets one */
    ScriptRunner(Optional<String> name) {
        this.name = name;
    }

    /** @throws SqlScriptException if the script cannot be run; then no job has been started */
    void run(String script) {
        List<Statement> statements;
        try {
            statements = Splitter.split(script);
        } catch (SplitException e) {
            throw new SqlScriptException(e.getMessage());
        }
        check(statements);

        // what is set before the first other statement is there when the environment is made: some options have an
        // effect only then
        int first = 0;
        Settings settings = new Settings();
        while (first < statements.size() && settings.takes(statements.get(first))) {
            settings.apply(statements.get(first++));
        }
        Configuration initial = settings.configuration(Optional.empty());
        TableEnvironment environment =
                TableEnvironment.create(EnvironmentSettings.newInstance().withConfiguration(initial).build());

        StatementSet job = environment.createStatementSet();
        List<Insert> inserts = new ArrayList<>();
        for (int i = first; i < statements.size(); i++) {
            Statement statement = statements.get(i);
            int number = i + 1;
            if (settings.takes(statement)) {
                settings.apply(statement);
                settings.toEnvironment(environment, statement);
            } else if (PASSED_OVER.contains(statement.kind())) {
                LOG.info("statement {} at {} is passed over: {}", number, statement.position(), statement.head());
            } else if (EXECUTED.contains(statement.kind())) {
                attempt(number, statement, () -> environment.executeSql(statement.text()));
            } else {
                for (Statement insert : statement.kind() == Kind.INSERT ? List.of(statement) : statement.inner()) {
                    // reads and validates the statement, against the tables as they are at this point of the script
                    attempt(number, insert, () -> job.addInsertSql(insert.text()));
                    inserts.add(new Insert(number, insert));
                }
            }
        }
        // the name is the script's if it gives one; and a wait for the end of the job would never end here
        settings.configuration(name).getOptional(PipelineOptions.NAME)
                .ifPresent(value -> environment.getConfig().set(PipelineOptions.NAME, value));
        environment.getConfig().set(TableConfigOptions.TABLE_DML_SYNC, false);
        start(environment, job, inserts);
    }

    /** An INSERT with the number of the statement that it stands in. */
    private record Insert(int number, Statement statement) {}

    private interface Action {
        void run() throws Exception;
    }

    private static void attempt(int number, Statement statement, Action action) {
        try {
            action.run();
        } catch (Exception | LinkageError e) {
            throw failed(number, statement, e);
        }
    }

    /** Starts the job. What is wrong with one INSERT only shows when all are planned: then it is looked for. */
    private static void start(TableEnvironment environment, StatementSet job, List<Insert> inserts) {
        try {
            job.execute();
        } catch (Exception | LinkageError e) {
            for (Insert insert : inserts) {
                attempt(insert.number(), insert.statement(), () -> environment.explainSql(insert.statement().text()));
            }
            LOG.error("The job cannot be started", e);
            throw new SqlScriptException("job not started: " + Failure.of(e).message());
        }
    }

    private static SqlScriptException failed(int number, Statement statement, Throwable cause) {
        Failure failure = Failure.of(cause);
        String where = failure.line() > 0
                ? "error at " + statement.inScript(failure.line(), failure.column()) + ": "
                : "";
        SqlScriptException exception = new SqlScriptException(
                prefix(number, statement) + where + failure.messageIn(statement));
        LOG.error(exception.getMessage(), cause);
        return exception;
    }

    private static String prefix(int number, Statement statement) {
        return "statement " + number + " at " + statement.position() + " (" + statement.head() + "): ";
    }

    /** Refuses what cannot be run, before anything is. */
    private static void check(List<Statement> statements) {
        if (statements.isEmpty()) {
            throw new SqlScriptException("the script is empty");
        }
        boolean inserts = false;
        for (int i = 0; i < statements.size(); i++) {
            Statement statement = statements.get(i);
            refusal(statement).ifPresent(refuse(i + 1, statement));
            inserts |= statement.kind() == Kind.INSERT;
            if (statement.kind() == Kind.STATEMENT_SET) {
                for (Statement inner : statement.inner()) {
                    if (inner.kind() != Kind.INSERT) {
                        refuse(i + 1, inner).accept("only INSERT can stand in a statement set");
                    }
                    inserts = true;
                }
            }
        }
        if (!inserts) {
            throw new SqlScriptException("the script has no INSERT: there is no job to start");
        }
    }

    private static java.util.function.Consumer<String> refuse(int number, Statement statement) {
        return reason -> {
            throw new SqlScriptException(prefix(number, statement) + "refused: " + reason);
        };
    }

    private static Optional<String> refusal(Statement statement) {
        return Optional.ofNullable(switch (statement.kind()) {
            case SELECT -> "a session job cannot show rows; write them to a table with INSERT INTO";
            case CREATE_AS -> "it starts a job of its own; write CREATE TABLE and INSERT INTO";
            case EXECUTE_PLAN -> "it starts a job of its own; write the plan's statements";
            case DELETE, UPDATE, TRUNCATE, CALL, ANALYZE, COMPILE ->
                    "a script can have only INSERTs in its job, no " + statement.kind();
            case OTHER -> "not a statement of a script";
            case SET -> Settings.refusal(statement);
            default -> null;
        });
    }
}

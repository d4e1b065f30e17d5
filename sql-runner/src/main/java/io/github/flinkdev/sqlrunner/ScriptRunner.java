package io.github.flinkdev.sqlrunner;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.DeploymentOptions;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.config.TableConfigOptions;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a script: what stands before the INSERTs is executed one by one, all INSERTs become one job, which is started at
 * the end and not waited for. A session job of the Flink operator is one Flink job; a script that started two would
 * be half deployed. {@code CREATE TABLE ... AS} and {@code REPLACE TABLE ... AS} make their table and are INSERTs too.
 */
final class ScriptRunner {
    private static final Logger LOG = LoggerFactory.getLogger(ScriptRunner.class);

    private final Optional<String> name;
    private final Consumer<String> told;
    private final Settings settings = new Settings();
    private final Connectors connectors = new Connectors();

    /**
     * @param name the job's name, unless the script sets one
     * @param told takes what SHOW, DESCRIBE and EXPLAIN give, and warnings
     */
    ScriptRunner(Optional<String> name, Consumer<String> told) {
        this.name = name;
        this.told = told;
    }

    /**
     * What a dry run has found.
     *
     * @param inCluster whether it ran inside of a Flink cluster
     */
    record Checked(String summary, boolean inCluster) {}

    /** @throws SqlScriptException if the script cannot be run; then no job has been started */
    void run(Script script) {
        Plan plan = plan(script, false);
        plan.job.start();
    }

    /**
     * Plans the job and tells the plan of each INSERT, and of all of them together; starts nothing, and changes no catalog
     * that outlives the run.
     *
     * @throws SqlScriptException as {@link #run}
     */
    Checked check(Script script) {
        Plan plan = plan(script, true);
        plan.job.explain(told);
        int inserts = plan.job.size();
        String summary = "dry run: the script can run: " + counted(plan.statements, "statement") + ", "
                + counted(inserts, "INSERT") + " in one job; nothing was started";
        return new Checked(summary, plan.environment.getConfig().getOptional(DeploymentOptions.TARGET).isPresent());
    }

    private static String counted(int number, String what) {
        return number + " " + what + (number == 1 ? "" : "s");
    }

    private record Plan(TableEnvironment environment, Job job, int statements) {}

    /** Everything up to the start of the job. */
    private Plan plan(Script script, boolean dry) {
        List<Statement> statements;
        try {
            statements = Splitter.split(script);
        } catch (SplitException e) {
            throw new SqlScriptException(e.getMessage());
        }
        Refusals.check(statements);

        // what is set before the first other statement is there when the environment is made: some options have an
        // effect only then
        int first = 0;
        while (first < statements.size() && settings.takes(statements.get(first))) {
            set(first + 1, statements.get(first++));
        }
        Configuration initial = settings.configuration(Optional.empty());
        TableEnvironment environment =
                TableEnvironment.create(EnvironmentSettings.newInstance().withConfiguration(initial).build());
        Job job = new Job(environment, dry);
        for (int i = first; i < statements.size(); i++) {
            execute(i + 1, statements.get(i), environment, job, dry);
        }
        // the name is the script's if it gives one; and a wait for the end of the job would never end here
        settings.configuration(name).getOptional(PipelineOptions.NAME)
                .ifPresent(value -> environment.getConfig().set(PipelineOptions.NAME, value));
        environment.getConfig().set(TableConfigOptions.TABLE_DML_SYNC, false);
        return new Plan(environment, job, statements.size());
    }

    private void execute(int number, Statement statement, TableEnvironment environment, Job job, boolean dry) {
        String prefix = Refusals.prefix(number, statement);
        statement.connector().flatMap(connector -> connectors.refusal(connector, environment).map(reason ->
                        prefix + "error at " + statement.script().position(connector.start()) + ": " + reason))
                .ifPresent(message -> {
                    throw new SqlScriptException(message);
                });
        switch (statement.kind()) {
            case SET, RESET -> {
                set(number, statement);
                settings.toEnvironment(environment, statement);
            }
            case SHOW, DESCRIBE, EXPLAIN -> attempt(number, statement, () ->
                    told.accept(prefix + "\n" + Results.text(environment.executeSql(statement.text()))));
            case CREATE, DROP, ALTER -> attempt(number, statement, () -> {
                if (!dry || DryRun.execute(environment, statement)) {
                    environment.executeSql(statement.text());
                } else {
                    told.accept(prefix + "not executed in a dry run as it stands: the catalog is not in memory");
                }
            });
            case USE, LOAD, JAR -> {
                attempt(number, statement, () -> environment.executeSql(statement.text()));
                if (statement.kind() == Kind.JAR) {
                    connectors.jarAdded();
                }
            }
            // read and validated against the tables as they are at this point of the script
            case INSERT, CREATE_AS -> attempt(number, statement, () -> job.add(number, statement));
            case STATEMENT_SET -> statement.inner().forEach(insert -> attempt(number, insert, () -> job.add(number, insert)));
            default -> throw new IllegalStateException(prefix + "not refused");
        }
    }

    private void set(int number, Statement statement) {
        settings.apply(statement);
        if (statement.kind() == Kind.SET && statement.setting().isEmpty()) {
            told.accept(Refusals.prefix(number, statement) + "\n" + settings.listed());
        }
        Settings.warning(statement).ifPresent(text -> LOG.warn("{}{}", Refusals.prefix(number, statement), text));
    }

    /** What can fail on behalf of a statement. */
    interface Action {
        void run() throws Exception;
    }

    static void attempt(int number, Statement statement, Action action) {
        try {
            action.run();
        } catch (Exception | LinkageError e) {
            throw failed(number, statement, e);
        }
    }

    private static SqlScriptException failed(int number, Statement statement, Throwable cause) {
        Failure failure = Failure.of(cause);
        String where = failure.line() > 0
                ? "error at " + statement.inScript(failure.line(), failure.column()) + ": "
                : "";
        SqlScriptException exception = new SqlScriptException(
                Refusals.prefix(number, statement) + where + failure.messageIn(statement));
        LOG.error(exception.getMessage(), cause);
        return exception;
    }
}

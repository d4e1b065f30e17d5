package io.github.flinkdev.sqlrunner;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a SQL script as one job of a Flink session cluster. It is the {@code entryClass} of a FlinkSessionJob without a
 * jar of its own: this class lies in the image's {@code lib} folder, and the script comes with the arguments.
 *
 * <pre>
 * --script-base64 TEXT   the script, UTF-8 in base64
 * --script TEXT          the script itself
 * --file PATH            a file with the script, in the JobManager's container: a mounted ConfigMap, say
 * --resource NAME        a script on the classpath: in the job's jar, or in a jar in lib
 * --name NAME            the job's name, unless the script sets pipeline.name
 * --var NAME=VALUE       for ${NAME} in the script; else the environment's variable of that name is taken
 * --dry-run              plans the job, logs the plan of every statement, and starts nothing
 * </pre>
 *
 * It runs inside the JobManager, so it never waits for the job and never ends the process.
 */
public final class SqlRunner {
    private static final Logger LOG = LoggerFactory.getLogger(SqlRunner.class);

    private SqlRunner() {}

    public static void main(String[] args) {
        Arguments arguments = Arguments.of(args);
        // as the user wrote it: the values of variables may be secrets
        LOG.info("SQL script:\n{}", arguments.script());
        Script script;
        try {
            script = Variables.put(arguments.script(), name -> arguments.variable(name, System.getenv()));
        } catch (SplitException e) {
            throw new SqlScriptException(e.getMessage());
        }
        ScriptRunner runner = new ScriptRunner(arguments.name(), LOG::info);
        if (arguments.dryRun()) {
            ScriptRunner.Checked checked = runner.check(script);
            LOG.info(checked.summary());
            if (checked.inCluster()) {
                // Flink takes a main method that starts no job for a failure, and would not say that all is well
                throw new SqlScriptException(checked.summary());
            }
        } else {
            runner.run(script);
        }
    }
}

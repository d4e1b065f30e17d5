package io.github.flinkdev.sqlrunner;

/**
 * A script that cannot be run. The message says all of it, in one line: which statement, where, and why.
 *
 * <p>Flink's REST answer and the status of a FlinkSessionJob show it as the last of a chain of causes, and the status
 * is cut: so it has neither cause nor stack trace (both are in the JobManager's log). It is an Error, as Flink wraps
 * an exception of a main method three times more, with the stack traces, before the message is reached.
 */
public class SqlScriptException extends Error {
    private static final long serialVersionUID = 1L;

    SqlScriptException(String message) {
        super(message, null, false, false);
    }
}

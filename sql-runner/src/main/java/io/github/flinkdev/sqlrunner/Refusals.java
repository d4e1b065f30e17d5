package io.github.flinkdev.sqlrunner;

import java.util.List;
import java.util.Optional;

/** What cannot be a statement of a session job, told before anything is executed. */
final class Refusals {
    private Refusals() {}

    /** @throws SqlScriptException for the first statement that cannot be run */
    static void check(List<Statement> statements) {
        if (statements.isEmpty()) {
            throw new SqlScriptException("the script is empty");
        }
        boolean inserts = false;
        for (int i = 0; i < statements.size(); i++) {
            Statement statement = statements.get(i);
            refusal(statement).ifPresent(refuse(i + 1, statement));
            inserts |= statement.kind() == Kind.INSERT || statement.kind() == Kind.CREATE_AS;
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

    /** How a message about a statement begins. */
    static String prefix(int number, Statement statement) {
        return "statement " + number + " at " + statement.position() + " (" + statement.head() + "): ";
    }

    private static java.util.function.Consumer<String> refuse(int number, Statement statement) {
        return reason -> {
            throw new SqlScriptException(prefix(number, statement) + "refused: " + reason);
        };
    }

    private static Optional<String> refusal(Statement statement) {
        return Optional.ofNullable(switch (statement.kind()) {
            case SELECT -> "a session job cannot show rows; write them to a table with INSERT INTO";
            case CREATE_MATERIALIZED -> "it starts a job of its own; write CREATE TABLE and INSERT INTO";
            case EXECUTE_PLAN -> "it starts a job of its own; write the plan's statements";
            case DELETE, UPDATE, TRUNCATE, CALL, ANALYZE, COMPILE ->
                    "a script can have only INSERTs in its job, no " + statement.kind();
            case OTHER -> "not a statement of a script";
            case SET -> Settings.refusal(statement);
            default -> null;
        });
    }
}

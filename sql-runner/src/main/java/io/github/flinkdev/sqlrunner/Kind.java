package io.github.flinkdev.sqlrunner;

import java.util.Locale;

/** What a statement is, by its first words. The names in lower case are those of the corpus of scripts. */
enum Kind {
    SET,
    RESET,
    INSERT,
    STATEMENT_SET,
    CREATE,
    /** CREATE TABLE ... AS and REPLACE TABLE ... AS, which are an INSERT too. */
    CREATE_AS,
    /** CREATE MATERIALIZED TABLE, which starts a job of its own. */
    CREATE_MATERIALIZED,
    DROP,
    ALTER,
    USE,
    /** LOAD MODULE and UNLOAD MODULE. */
    LOAD,
    JAR,
    SHOW,
    DESCRIBE,
    EXPLAIN,
    /** Any query. */
    SELECT,
    DELETE,
    UPDATE,
    TRUNCATE,
    CALL,
    ANALYZE,
    COMPILE,
    EXECUTE_PLAN,
    OTHER;

    /** As the corpus has it. */
    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}

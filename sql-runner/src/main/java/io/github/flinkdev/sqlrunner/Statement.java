package io.github.flinkdev.sqlrunner;

import java.util.List;
import java.util.Optional;

/**
 * One statement of a script.
 *
 * @param kind what it is
 * @param script what it stands in
 * @param start where its first character stands in the script's text
 * @param text the very characters of the script, without the semicolon
 * @param inner the statements between BEGIN and END of a statement set, else empty
 * @param setting of SET and RESET, where they name a key
 * @param connector of a table that is created, where it names one
 */
record Statement(
        Kind kind,
        Script script,
        int start,
        String text,
        List<Statement> inner,
        Optional<Setting> setting,
        Optional<Connector> connector) {

    /** A key, and the value that SET gives it (RESET has none). */
    record Setting(String key, Optional<String> value) {}

    /** The value of a table's option {@code connector}, and where it stands in the script's text. */
    record Connector(String name, int start) {}

    private static final int HEAD = 60;

    /** Where its first character stands in the user's script. */
    Position position() {
        return script.position(start);
    }

    /** The user's first characters of it, on one line. */
    String head() {
        String line = script.source(start, start + text.length()).replaceAll("\\s+", " ");
        int length = line.codePointCount(0, line.length());
        return length <= HEAD ? line : line.substring(0, line.offsetByCodePoints(0, HEAD)).stripTrailing() + " ...";
    }

    /** Where a place in the statement, as Flink's parser counts it, stands in the user's script. */
    Position inScript(int line, int column) {
        int from = 0;
        for (int passed = 1; passed < line && lineEnd(from) < text.length(); passed++) {
            int end = lineEnd(from);
            from = end + (text.startsWith("\r\n", end) ? 2 : 1);
        }
        // the parser counts UTF-16 units; what lies beyond the line's end is counted on
        int units = Math.min(column - 1, lineEnd(from) - from);
        Position found = script.position(start + from + units);
        return new Position(found.line(), found.column() + column - 1 - units);
    }

    private int lineEnd(int from) {
        int end = from;
        while (end < text.length() && text.charAt(end) != '\n' && text.charAt(end) != '\r') {
            end++;
        }
        return end;
    }
}

package io.github.flinkdev.sqlrunner;

import java.util.List;
import java.util.Optional;

/**
 * One statement of a script.
 *
 * @param kind what it is
 * @param position where its first character stands in the script
 * @param text the very characters of the script, without the semicolon
 * @param inner the statements between BEGIN and END of a statement set, else empty
 * @param setting of SET and RESET, where they name a key
 */
record Statement(Kind kind, Position position, String text, List<Statement> inner, Optional<Setting> setting) {

    /** A key, and the value that SET gives it (RESET has none). */
    record Setting(String key, Optional<String> value) {}

    private static final int HEAD = 60;

    /** Its first characters, on one line. */
    String head() {
        String line = text.replaceAll("\\s+", " ");
        int length = line.codePointCount(0, line.length());
        return length <= HEAD ? line : line.substring(0, line.offsetByCodePoints(0, HEAD)).stripTrailing() + " ...";
    }

    /** Where a place in the statement, as Flink's parser counts it, stands in the script. */
    Position inScript(int line, int column) {
        String[] lines = text.split("\r\n|\r|\n", -1);
        String before = line <= lines.length ? lines[line - 1] : "";
        // the parser counts UTF-16 units; what lies beyond the line's end is counted on
        int units = Math.min(column - 1, before.length());
        int characters = before.codePointCount(0, units) + (column - 1 - units);
        return line == 1
                ? new Position(position.line(), position.column() + characters)
                : new Position(position.line() + line - 1, characters + 1);
    }
}

package io.github.flinkdev.sqlrunner;

import java.util.Arrays;

/** Turns places in a text into lines and columns. Lines end with LF, CRLF or a lone CR. */
final class Lines {
    private final String text;
    private final int[] starts;

    Lines(String text) {
        this.text = text;
        int[] found = new int[16];
        int number = 1;
        // a byte order mark takes no column
        found[0] = text.startsWith("\ufeff") ? 1 : 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean ends = c == '\n' || (c == '\r' && (i + 1 == text.length() || text.charAt(i + 1) != '\n'));
            if (ends) {
                if (number == found.length) {
                    found = Arrays.copyOf(found, 2 * number);
                }
                found[number++] = i + 1;
            }
        }
        this.starts = Arrays.copyOf(found, number);
    }

    Position position(int index) {
        int found = Arrays.binarySearch(starts, index);
        int line = found >= 0 ? found : Math.max(0, -found - 2);
        return new Position(line + 1, text.codePointCount(starts[line], Math.max(index, starts[line])) + 1);
    }

    SplitException error(int index, String message) {
        return new SplitException(position(index), message);
    }
}

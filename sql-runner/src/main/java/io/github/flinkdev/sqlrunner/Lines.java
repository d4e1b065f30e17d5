package io.github.flinkdev.sqlrunner;

import java.util.Arrays;

/** Turns places in a text into lines and columns, however long the lines are. Lines end with LF, CRLF or a lone CR. */
final class Lines {
    /** How many UTF-16 units lie between two places whose number of characters is remembered. */
    private static final int STEP = 1024;

    private final String text;
    private final int[] starts;
    private final int[] characters;

    Lines(String text) {
        this.text = text;
        this.characters = new int[text.length() / STEP + 1];
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
        for (int i = 1; i < characters.length; i++) {
            characters[i] = characters[i - 1] + count((i - 1) * STEP, i * STEP);
        }
    }

    Position position(int index) {
        int found = Arrays.binarySearch(starts, index);
        int line = found >= 0 ? found : Math.max(0, -found - 2);
        return new Position(line + 1, Math.max(0, before(index) - before(starts[line])) + 1);
    }

    SplitException error(int index, String message) {
        return new SplitException(position(index), message);
    }

    /** How many characters begin before a place. */
    private int before(int index) {
        return characters[index / STEP] + count(index / STEP * STEP, index);
    }

    /** How many characters begin between two places: the second half of a pair begins none. */
    private int count(int from, int to) {
        int count = 0;
        for (int i = from; i < to; i++) {
            if (!Character.isLowSurrogate(text.charAt(i))) {
                count++;
            }
        }
        return count;
    }
}

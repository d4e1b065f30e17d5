package io.github.flinkdev.sqlrunner;

import java.util.ArrayList;
import java.util.List;

/** A script as Flink is to read it, and the way back from each of its characters to the user's text. */
final class Script {
    private final String source;
    private final String text;
    private final Lines lines;
    private final List<Piece> pieces;

    /** From {@code start} in the text on; {@code source} is where that stands in the user's text, {@code put} if it does not. */
    private record Piece(int start, int source, boolean put) {}

    private Script(String source, String text, List<Piece> pieces) {
        this.source = source;
        this.text = text;
        this.lines = new Lines(source);
        this.pieces = pieces;
    }

    /** A script into which nothing is put. */
    static Script of(String source) {
        return new Script(source, source, List.of(new Piece(0, 0, false)));
    }

    String text() {
        return text;
    }

    /** Where a character of {@link #text} stands in the user's text; what was put in stands where its placeholder begins. */
    Position position(int index) {
        Piece piece = pieces.get(piece(index));
        return lines.position(piece.put() ? piece.source() : piece.source() + index - piece.start());
    }

    /** What the user wrote for some of the text, which is not empty: with placeholders, not with what they stand for. */
    String source(int start, int end) {
        Piece first = pieces.get(piece(start));
        int number = piece(end - 1);
        Piece last = pieces.get(number);
        // what is put in is always followed by something kept, and be it nothing
        return source.substring(
                first.put() ? first.source() : first.source() + start - first.start(),
                last.put() ? pieces.get(number + 1).source() : last.source() + end - last.start());
    }

    /** The last piece that begins at the place or before it. */
    private int piece(int index) {
        int low = 0;
        int high = pieces.size() - 1;
        while (low < high) {
            int middle = (low + high + 1) >>> 1;
            if (pieces.get(middle).start() <= index) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        return low;
    }

    SplitException error(int index, String message) {
        return new SplitException(position(index), message);
    }

    /** Puts a script together from what is kept of the user's text and what is put in. */
    static final class Builder {
        private final String source;
        private final StringBuilder text = new StringBuilder();
        private final List<Piece> pieces = new ArrayList<>();

        Builder(String source) {
            this.source = source;
        }

        /** Takes over the user's text between two places. */
        Builder keep(int from, int to) {
            pieces.add(new Piece(text.length(), from, false));
            text.append(source, from, to);
            return this;
        }

        /** Puts a value in, whose placeholder begins at a place. */
        Builder put(int placeholder, String value) {
            if (!value.isEmpty()) {
                pieces.add(new Piece(text.length(), placeholder, true));
                text.append(value);
            }
            return this;
        }

        Script build() {
            return new Script(source, text.toString(), List.copyOf(pieces));
        }
    }
}

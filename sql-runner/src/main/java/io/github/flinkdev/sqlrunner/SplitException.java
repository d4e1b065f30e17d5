package io.github.flinkdev.sqlrunner;

/** A script that does not fall into statements. */
final class SplitException extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final transient Position position;
    private final String reason;

    SplitException(Position position, String reason) {
        super("script at " + position + ": " + reason);
        this.position = position;
        this.reason = reason;
    }

    Position position() {
        return position;
    }

    /** The message without the position. */
    String reason() {
        return reason;
    }
}

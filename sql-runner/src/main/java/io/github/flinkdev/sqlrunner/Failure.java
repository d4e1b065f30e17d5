package io.github.flinkdev.sqlrunner;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What an exception of Flink comes down to.
 *
 * @param message the deepest message that says something, on one line
 * @param line where in the statement, counted by Flink's parser; 0 if it does not say
 * @param column as {@code line}
 */
record Failure(String message, int line, int column) {
    private static final int LONGEST = 700;
    private static final Pattern RANGE =
            Pattern.compile("From line (\\d+), column (\\d+)(?: to line \\d+, column \\d+)?:? *");
    private static final Pattern PLACE = Pattern.compile("(?:, | )?[Aa]t line (\\d+), column (\\d+)(?:: *|\\. *$)?");
    private static final Pattern ANY_PLACE = Pattern.compile("line (\\d+), column (\\d+)");
    /** What the parser would have taken in place of what it found: hundreds of words. */
    private static final Pattern EXPECTED = Pattern.compile("\\s*Was expecting(?: one of)?:(.*)$");

    private static final String PARSE_EXCEPTION = "org.apache.calcite.sql.parser.SqlParseException";

    static Failure of(Throwable thrown) {
        String message = "";
        int line = 0;
        int column = 0;
        Throwable previous = null;
        for (Throwable t = thrown; t != null && t != previous; previous = t, t = t.getCause()) {
            String own = t.getMessage() == null ? "" : t.getMessage().replaceAll("\\s+", " ").strip();
            if (own.isEmpty() && t.getCause() != null) {
                continue;
            }
            Matcher expected = EXPECTED.matcher(own);
            if (expected.find() && expected.group(1).length() > 100) {
                own = own.substring(0, expected.start());
            }
            for (Pattern pattern : new Pattern[] {RANGE, PLACE}) {
                Matcher place = pattern.matcher(own);
                if (place.find()) {
                    line = Integer.parseInt(place.group(1));
                    column = Integer.parseInt(place.group(2));
                    own = own.substring(0, place.start()) + (place.end() < own.length() && place.start() > 0 ? " " : "")
                            + own.substring(place.end());
                    break;
                }
            }
            own = own.replaceFirst("^SQL (?:parse|validation) failed\\. ?", "");
            boolean speaks = t.getClass().getName().startsWith("org.apache.") || t instanceof SqlScriptException;
            if (!speaks || own.isEmpty()) {
                own = t.getClass().getSimpleName() + (own.isEmpty() ? "" : ": " + own);
            }
            message = own;
            if (line == 0 && t.getClass().getName().equals(PARSE_EXCEPTION)) {
                int[] place = place(t);
                line = place[0];
                column = place[1];
            }
        }
        return new Failure(message, line, column);
    }

    /** Some of the parser's exceptions have their place outside of the message. The class is in Flink's own class loader. */
    private static int[] place(Throwable thrown) {
        try {
            Object place = thrown.getClass().getMethod("getPos").invoke(thrown);
            if (place != null) {
                return new int[] {
                    (int) place.getClass().getMethod("getLineNum").invoke(place),
                    (int) place.getClass().getMethod("getColumnNum").invoke(place)
                };
            }
        } catch (ReflectiveOperationException e) {
            // then it is not known
        }
        return new int[] {0, 0};
    }

    /** The message with the places that it still has in it told as places of the script. */
    String messageIn(Statement statement) {
        Matcher place = ANY_PLACE.matcher(message);
        String told = place.replaceAll(found -> statement
                .inScript(Integer.parseInt(found.group(1)), Integer.parseInt(found.group(2)))
                .toString());
        return shortened(told);
    }

    @Override
    public String message() {
        return shortened(message);
    }

    private static String shortened(String text) {
        return text.length() <= LONGEST ? text : text.substring(0, LONGEST) + " ...";
    }
}

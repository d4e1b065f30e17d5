package io.github.flinkdev.sqlrunner;

import io.github.flinkdev.sqlrunner.Lexer.Token;
import io.github.flinkdev.sqlrunner.Lexer.Type;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Splits a script into statements. What is meant to come out is written down in the corpus of scripts
 * ({@code src/test/resources/corpus}).
 */
final class Splitter {
    private final Script whole;
    private final String script;
    private final List<Token> tokens;

    private Splitter(Script script) {
        this.whole = script;
        this.script = script.text();
        this.tokens = Lexer.tokens(script);
    }

    /**
     * The statements of the script, in order.
     *
     * @throws SplitException if a quote, a comment or a statement set is not closed
     */
    static List<Statement> split(Script script) {
        return new Splitter(script).statements();
    }

    private List<Statement> statements() {
        List<Statement> statements = new ArrayList<>();
        for (int at = 0; at < tokens.size(); ) {
            if (is(at, Type.SEMICOLON)) {
                at++;
                continue;
            }
            List<Statement> inner = new ArrayList<>();
            int end = end(at, inner);
            statements.add(statement(at, end, inner));
            at = end;
        }
        return statements;
    }

    /** The token behind the statement's last one; what stands in a statement set is added to {@code inner}. */
    private int end(int first, List<Statement> inner) {
        // at the script's end too: it lacks its END, and would take in what is put behind it
        int body = first + 3;
        if (words(first, "BEGIN", "STATEMENT", "SET") && (is(body, Type.SEMICOLON) || body == tokens.size())) {
            return endOfSet(first, body, inner);
        }
        int at = first;
        while (at < tokens.size() && !is(at, Type.SEMICOLON)) {
            if (words(at, "STATEMENT", "SET", "BEGIN")) {
                return endOfSet(first, at + 3, inner);
            }
            at++;
        }
        return at;
    }

    private int endOfSet(int first, int body, List<Statement> inner) {
        int at = body;
        while (at < tokens.size()) {
            if (is(at, Type.SEMICOLON)) {
                at++;
            } else if (words(at, "END")) {
                if (at + 1 < tokens.size() && !is(at + 1, Type.SEMICOLON)) {
                    throw whole.error(tokens.get(at + 1).start(), "semicolon expected after END");
                }
                return at + 1;
            } else {
                int start = at;
                while (at < tokens.size() && !is(at, Type.SEMICOLON)) {
                    at++;
                }
                inner.add(statement(start, at, List.of()));
            }
        }
        throw whole.error(tokens.get(first).start(), "statement set not closed by END");
    }

    private Statement statement(int first, int end, List<Statement> inner) {
        Kind kind = kind(first, end);
        int start = tokens.get(first).start();
        Optional<Statement.Setting> setting =
                kind == Kind.SET || kind == Kind.RESET ? setting(kind, first + 1, end) : Optional.empty();
        boolean table = kind == Kind.CREATE_AS || kind == Kind.CREATE_MATERIALIZED
                || kind == Kind.CREATE && word(created(first + 1, end)).equals("TABLE");
        Optional<Statement.Connector> connector = table ? connector(first, end) : Optional.empty();
        return new Statement(kind, whole, start, text(first, end), List.copyOf(inner), setting, connector);
    }

    private Kind kind(int first, int end) {
        int at = first;
        while (at < end && symbol(at, "(")) {
            at++;
        }
        if (at > first) {
            return query(word(at)) ? Kind.SELECT : Kind.OTHER;
        }
        String second = at + 1 < end ? word(at + 1) : "";
        return switch (word(at)) {
            case "SET" -> Kind.SET;
            case "RESET" -> Kind.RESET;
            case "INSERT" -> Kind.INSERT;
            case "CREATE", "REPLACE" -> create(created(at + 1, end), end);
            case "DROP" -> Kind.DROP;
            case "ALTER" -> Kind.ALTER;
            case "USE" -> Kind.USE;
            case "LOAD", "UNLOAD" -> Kind.LOAD;
            case "ADD", "REMOVE" -> second.equals("JAR") ? Kind.JAR : Kind.OTHER;
            case "SHOW" -> Kind.SHOW;
            case "DESCRIBE", "DESC" -> Kind.DESCRIBE;
            case "EXPLAIN" -> Kind.EXPLAIN;
            case "SELECT", "WITH", "VALUES", "TABLE" -> Kind.SELECT;
            case "DELETE" -> Kind.DELETE;
            case "UPDATE" -> Kind.UPDATE;
            case "TRUNCATE" -> Kind.TRUNCATE;
            case "CALL" -> Kind.CALL;
            case "ANALYZE" -> Kind.ANALYZE;
            case "COMPILE" -> second.equals("AND") ? Kind.EXECUTE_PLAN : Kind.COMPILE;
            case "BEGIN" -> words(at, "BEGIN", "STATEMENT", "SET") ? Kind.STATEMENT_SET : Kind.OTHER;
            case "EXECUTE" -> switch (second) {
                case "STATEMENT" -> Kind.STATEMENT_SET;
                case "INSERT" -> Kind.INSERT;
                case "PLAN" -> Kind.EXECUTE_PLAN;
                default -> query(second) ? Kind.SELECT : Kind.OTHER;
            };
            default -> Kind.OTHER;
        };
    }

    private static boolean query(String word) {
        return List.of("SELECT", "WITH", "VALUES", "TABLE").contains(word);
    }

    /** The word that tells what is created; none other than these can stand before it. */
    private int created(int first, int end) {
        int at = first;
        while (at < end && List.of("OR", "REPLACE", "ALTER", "TEMPORARY").contains(word(at))) {
            at++;
        }
        return at;
    }

    /** CREATE, or what it is if it fills the table: by an AS outside of all parentheses. */
    private Kind create(int at, int end) {
        if (at < end && word(at).equals("MATERIALIZED")) {
            return Kind.CREATE_MATERIALIZED;
        }
        if (at >= end || !word(at).equals("TABLE")) {
            return Kind.CREATE;
        }
        int depth = 0;
        for (; at < end; at++) {
            if (symbol(at, "(")) {
                depth++;
            } else if (symbol(at, ")")) {
                depth--;
            } else if (depth == 0 && word(at).equals("AS")) {
                return Kind.CREATE_AS;
            }
        }
        return Kind.CREATE;
    }

    /** The first {@code 'connector' = '...'} directly within the parentheses of a WITH. */
    private Optional<Statement.Connector> connector(int first, int end) {
        int depth = 0;
        int with = 0;
        for (int at = first; at < end; at++) {
            if (symbol(at, "(")) {
                depth++;
                if (with == 0 && word(at - 1).equals("WITH")) {
                    with = depth;
                }
            } else if (symbol(at, ")")) {
                if (depth == with) {
                    with = 0;
                }
                depth--;
            } else if (with > 0 && depth == with && at + 2 < end && is(at, Type.STRING) && symbol(at + 1, "=")
                    && is(at + 2, Type.STRING) && value(at, at + 1).equals("connector")) {
                return Optional.of(new Statement.Connector(value(at + 2, at + 3), tokens.get(at + 2).start()));
            }
        }
        return Optional.empty();
    }

    /** The key and value of SET and RESET, quoted or not. */
    private Optional<Statement.Setting> setting(Kind kind, int first, int end) {
        if (first == end) {
            return Optional.empty();
        }
        if (kind == Kind.RESET) {
            return Optional.of(new Statement.Setting(value(first, end), Optional.empty()));
        }
        int equals = first;
        while (equals < end && !symbol(equals, "=")) {
            equals++;
        }
        if (equals == end || equals == first || equals + 1 == end) {
            throw whole.error(tokens.get(first - 1).start(), "SET wants a key, = and a value");
        }
        return Optional.of(new Statement.Setting(value(first, equals), Optional.of(value(equals + 1, end))));
    }

    private String value(int first, int end) {
        String text = text(first, end);
        if (end - first > 1 || is(first, Type.WORD) || is(first, Type.SYMBOL) || text.length() < 2) {
            return text;
        }
        String quote = text.substring(text.length() - 1);
        return text.substring(text.indexOf(quote) + 1, text.length() - 1).replace(quote + quote, quote);
    }

    private String text(int first, int end) {
        return script.substring(tokens.get(first).start(), tokens.get(end - 1).end());
    }

    private boolean is(int at, Type type) {
        return at < tokens.size() && tokens.get(at).type() == type;
    }

    /** The word at the token in upper case; nothing where there is none. */
    private String word(int at) {
        if (!is(at, Type.WORD)) {
            return "";
        }
        Token token = tokens.get(at);
        return upper(script.substring(token.start(), token.end()));
    }

    /** Of ASCII only: Flink knows no keyword with the Turkish dotless i or the long s. */
    private static String upper(String word) {
        StringBuilder upper = new StringBuilder(word);
        for (int i = 0; i < upper.length(); i++) {
            char c = upper.charAt(i);
            if (c >= 'a' && c <= 'z') {
                upper.setCharAt(i, (char) (c - 0x20));
            }
        }
        return upper.toString();
    }

    private boolean words(int at, String... expected) {
        for (int i = 0; i < expected.length; i++) {
            if (!word(at + i).equals(expected[i])) {
                return false;
            }
        }
        return true;
    }

    private boolean symbol(int at, String expected) {
        Token token = tokens.get(at);
        return token.type() == Type.SYMBOL && script.startsWith(expected, token.start())
                && token.end() - token.start() == expected.length();
    }
}

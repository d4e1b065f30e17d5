package io.github.flinkdev.sqlrunner;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts a script into tokens as Flink's parser sees them, comments and blanks left out. What a token means is not its
 * business: see {@link Splitter}.
 */
final class Lexer {

    enum Type {
        /** ASCII letters, digits, {@code _} and {@code $}, and all characters beyond ASCII that are no blanks. */
        WORD,
        /** {@code '...'}, with the quotes. */
        STRING,
        /** {@code "..."} or {@code `...`}, with the quotes. */
        NAME,
        /** A semicolon that ends a statement. */
        SEMICOLON,
        /** Any other character, and the two marks of a hint. */
        SYMBOL
    }

    /** The characters from {@code start} up to but without {@code end}. */
    record Token(Type type, int start, int end) {}

    private final Script whole;
    private final String script;
    private final List<Token> tokens = new ArrayList<>();
    private int at;
    private int hint = -1;

    private Lexer(Script script) {
        this.whole = script;
        this.script = script.text();
    }

    static List<Token> tokens(Script script) {
        return new Lexer(script).read();
    }

    private List<Token> read() {
        while (at < script.length()) {
            int start = at;
            int c = script.codePointAt(at);
            if (isBlank(c)) {
                at += Character.charCount(c);
            } else if (looking("--") || looking("//")) {
                skipLine();
            } else if (looking("/*+")) {
                if (hint < 0) {
                    hint = at;
                }
                symbol(3);
            } else if (looking("/*")) {
                int end = script.indexOf("*/", at + 2);
                if (end < 0) {
                    throw whole.error(start, "comment not closed");
                }
                at = end + 2;
            } else if (looking("*/") && hint >= 0) {
                hint = -1;
                symbol(2);
            } else if (c == '\'') {
                quoted(start, Type.STRING, false, "string not closed");
            } else if (c == '"') {
                quoted(start, Type.NAME, false, "double quotes not closed");
            } else if (c == '`') {
                quoted(start, Type.NAME, false, "name in backticks not closed");
            } else if (c == ';' && hint < 0) {
                at++;
                tokens.add(new Token(Type.SEMICOLON, start, at));
            } else if (inWord(c)) {
                word(start);
            } else {
                symbol(Character.charCount(c));
            }
        }
        if (hint >= 0) {
            throw whole.error(hint, "hint not closed");
        }
        return tokens;
    }

    private boolean looking(String text) {
        return script.startsWith(text, at);
    }

    private void skipLine() {
        while (at < script.length() && script.charAt(at) != '\n' && script.charAt(at) != '\r') {
            at++;
        }
    }

    private void symbol(int length) {
        tokens.add(new Token(Type.SYMBOL, at, at + length));
        at += length;
    }

    /** Which characters beyond ASCII are letters is Flink's business: no rule here hangs on it. */
    private static boolean inWord(int c) {
        return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '$'
                || c > 127 && !isBlank(c);
    }

    /** Byte order marks are left where files were put together. */
    private static boolean isBlank(int c) {
        return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\ufeff';
    }

    private void word(int start) {
        while (at < script.length() && inWord(script.codePointAt(at))) {
            at += Character.charCount(script.codePointAt(at));
        }
        // E'...': the one string in which a backslash escapes what follows it
        if (at - start == 1 && looking("'") && (script.charAt(start) | 0x20) == 'e') {
            quoted(start, Type.STRING, true, "string not closed");
        } else {
            tokens.add(new Token(Type.WORD, start, at));
        }
    }

    /** From the opening quote at {@link #at} to the closing one; a doubled quote stands for itself. */
    private void quoted(int start, Type type, boolean escapes, String unclosed) {
        char quote = script.charAt(at);
        for (int i = at + 1; i < script.length(); i++) {
            char c = script.charAt(i);
            if (escapes && c == '\\') {
                i++;
            } else if (c == quote) {
                if (i + 1 < script.length() && script.charAt(i + 1) == quote) {
                    i++;
                } else {
                    at = i + 1;
                    tokens.add(new Token(type, start, at));
                    return;
                }
            }
        }
        throw whole.error(start, unclosed);
    }
}

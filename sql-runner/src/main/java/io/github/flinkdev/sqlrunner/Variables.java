package io.github.flinkdev.sqlrunner;

import io.github.flinkdev.sqlrunner.Lexer.Token;
import io.github.flinkdev.sqlrunner.Lexer.Type;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Puts variables into a script: <code>${NAME}</code>, and <code>${NAME:-default}</code> for one that may be unset or
 * empty. What is meant to come out is written down in the corpus ({@code variables/*.json}).
 *
 * <p>In a string or a quoted name the quotes of a value are doubled, so that a value stays within it; anywhere else
 * the value is read like the script itself. A default is the script's own text and is taken as it stands. Nothing is
 * put into comments, and <code>$${</code> stands for <code>${</code>.
 */
final class Variables {
    private static final Pattern NAME = Pattern.compile("[A-Za-z_][A-Za-z0-9_.-]*");

    private static final String PLAIN = "; write $${ for a plain ${";

    private final String source;
    private final Lines lines;
    private final Function<String, Optional<String>> value;
    private final Script.Builder script;

    private Variables(String source, Function<String, Optional<String>> value) {
        this.source = source;
        this.lines = new Lines(source);
        this.value = value;
        this.script = new Script.Builder(source);
    }

    /**
     * The script with all that is asked for put in.
     *
     * @param value of a variable; empty for one that is not known
     * @throws SplitException at the place of a variable that is not known and has no default, of a placeholder that is
     *     not well formed, or of a quote or comment that is not closed
     */
    static Script put(String source, Function<String, Optional<String>> value) {
        return source.contains("${") ? new Variables(source, value).put() : Script.of(source);
    }

    private Script put() {
        int kept = 0;
        // placeholders stand in tokens only: between them are blanks and comments
        for (Token token : Lexer.tokens(Script.of(source))) {
            for (int at = Math.max(kept, token.start()); at < token.end(); at++) {
                if (source.startsWith("$${", at)) {
                    script.keep(kept, at);
                    kept = at + 1;
                    at += 2;
                } else if (source.startsWith("${", at)) {
                    script.keep(kept, at);
                    kept = placeholder(at, token);
                    at = kept - 1;
                }
            }
        }
        return script.keep(kept, source.length()).build();
    }

    /** Puts in what the placeholder asks for; where the text goes on. */
    private int placeholder(int at, Token token) {
        int end = at;
        while (end < source.length() && "}\n\r".indexOf(source.charAt(end)) < 0) {
            end++;
        }
        if (!source.startsWith("}", end)) {
            throw lines.error(at, "${ not closed by } on its line" + PLAIN);
        }
        String inside = source.substring(at + 2, end);
        Matcher name = NAME.matcher(inside);
        boolean named = name.lookingAt();
        String rest = named ? inside.substring(name.end()) : "";
        if (!named || !(rest.isEmpty() || rest.startsWith(":-"))) {
            throw lines.error(at, "${" + inside + "} is not a variable: ${NAME} and ${NAME:-default} are" + PLAIN);
        }
        Optional<String> found = value.apply(name.group());
        if (rest.isEmpty()) {
            String known = found.orElseThrow(() -> lines.error(
                    at, "variable " + name.group() + " is not set, and ${" + name.group() + "} has no default"));
            script.put(at, quoted(known, token));
        } else {
            script.put(at, found.filter(text -> !text.isEmpty()).map(text -> quoted(text, token)).orElse(rest.substring(2)));
        }
        return end + 1;
    }

    private String quoted(String text, Token token) {
        if (token.type() != Type.STRING && token.type() != Type.NAME) {
            return text;
        }
        String quote = source.substring(token.end() - 1, token.end());
        boolean escapes = Character.isLetter(source.charAt(token.start()));
        return (escapes ? text.replace("\\", "\\\\") : text).replace(quote, quote + quote);
    }
}

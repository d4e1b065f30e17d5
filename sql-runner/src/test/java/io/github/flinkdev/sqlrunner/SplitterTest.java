package io.github.flinkdev.sqlrunner;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SplitterTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    static List<Corpus.Case> cases() {
        return Corpus.cases();
    }

    @Test
    void corpusIsFound() {
        assertTrue(cases().size() > 100);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void corpus(Corpus.Case each) {
        if (each.fails()) {
            SplitException e = assertThrows(SplitException.class, () -> Splitter.split(Script.of(each.script())));
            ObjectNode error = JSON.createObjectNode();
            error.put("line", e.position().line()).put("column", e.position().column()).put("message", e.reason());
            assertEquals(each.expected().get("error").toPrettyString(), error.toPrettyString());
        } else {
            assertEquals(
                    each.expected().get("statements").toPrettyString(),
                    json(Splitter.split(Script.of(each.script()))).toPrettyString());
        }
    }

    /** Scripts one after another give the statements of each, in order, whatever stands between them. */
    @Test
    void concatenations() {
        List<Corpus.Case> whole = cases().stream().filter(each -> !each.fails()).toList();
        List<String> between = List.of("", " ", "\n", "\r\n", "\r", ";", "\t;\n;", "-- it's; \"x\n", "/* `;' */", "//;\r\n");
        Random random = new Random(20261123);
        for (int round = 0; round < 3000; round++) {
            StringBuilder script = new StringBuilder();
            List<String> expected = new ArrayList<>();
            for (int i = random.nextInt(6); i >= 0; i--) {
                Corpus.Case each = whole.get(random.nextInt(whole.size()));
                // the line end closes a comment at a script's end
                script.append(each.script().replaceFirst("^\ufeff", "")).append("\n;");
                script.append(between.get(random.nextInt(between.size())));
                Splitter.split(Script.of(each.script())).forEach(statement -> expected.add(statement.text()));
            }
            List<Statement> found = Splitter.split(Script.of(script.toString()));
            assertEquals(expected, found.stream().map(Statement::text).toList(), script.toString());
            placed(script.toString(), found);
        }
    }

    /** Any characters at all are split or refused, and never read past their end. */
    @Test
    void anything() {
        String[] pieces = {
            "'", "\"", "`", ";", "--", "//", "/*", "*/", "/*+", "\n", "\r", "\r\n", " ", "E", "e'", "\\", "(", ")", "=",
            "SET", "RESET", "BEGIN", "END", "STATEMENT", "EXECUTE", "INSERT", "CREATE TABLE", "AS", "x", "😀", "\ufeff", "\t"
        };
        Random random = new Random(42);
        for (int round = 0; round < 50_000; round++) {
            StringBuilder script = new StringBuilder();
            for (int i = random.nextInt(20); i > 0; i--) {
                script.append(pieces[random.nextInt(pieces.length)]).append(random.nextBoolean() ? " " : "");
            }
            try {
                placed(script.toString(), Splitter.split(Script.of(script.toString())));
            } catch (SplitException e) {
                assertTrue(e.position().line() >= 1 && e.position().column() >= 1);
            }
        }
    }

    /** Every statement's text stands in the script at its line and column, one after another. */
    private static void placed(String script, List<Statement> statements) {
        Lines lines = new Lines(script);
        int at = 0;
        for (Statement statement : statements) {
            at = script.indexOf(statement.text(), at);
            while (!lines.position(at).equals(statement.position())) {
                at = script.indexOf(statement.text(), at + 1);
                assertTrue(at >= 0, () -> statement + " in " + script);
            }
            placed(statement.text(), statement.position(), statement.inner());
            at += statement.text().length();
        }
    }

    private static void placed(String outer, Position base, List<Statement> inner) {
        int at = 0;
        for (Statement statement : inner) {
            at = outer.indexOf(statement.text(), at);
            assertTrue(at >= 0 && statement.position().line() >= base.line(), () -> statement + " in " + outer);
            at += statement.text().length();
        }
    }

    private static ArrayNode json(List<Statement> statements) {
        ArrayNode list = JSON.createArrayNode();
        for (Statement statement : statements) {
            ObjectNode node = list.addObject();
            node.put("kind", statement.kind().label());
            node.put("line", statement.position().line());
            node.put("column", statement.position().column());
            node.put("text", statement.text());
            if (statement.kind() == Kind.STATEMENT_SET || !statement.inner().isEmpty()) {
                node.set("inner", json(statement.inner()));
            }
            statement.connector().ifPresent(connector -> node.put("connector", connector.name()));
            statement.setting().ifPresent(setting -> {
                node.put("key", setting.key());
                setting.value().ifPresent(value -> node.put("value", value));
            });
        }
        return list;
    }
}

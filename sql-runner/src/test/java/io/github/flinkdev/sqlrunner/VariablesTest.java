package io.github.flinkdev.sqlrunner;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class VariablesTest {
    static List<Corpus.Case> cases() {
        return Corpus.cases("src/test/resources/corpus/variables");
    }

    @Test
    void corpusIsFound() {
        assertTrue(cases().size() > 30);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void corpus(Corpus.Case each) {
        JsonNode variables = each.expected().get("variables");
        if (each.fails()) {
            SplitException e = assertThrows(SplitException.class, () -> put(each.script(), variables));
            JsonNode error = each.expected().get("error");
            assertEquals(
                    error.get("line") + ":" + error.get("column") + " " + error.get("message").asText(),
                    e.position() + " " + e.reason().replaceFirst("; write \\$\\$\\{ for a plain \\$\\{$", ""));
        } else {
            assertEquals(each.expected().get("result").asText(), put(each.script(), variables).text());
        }
    }

    private static Script put(String script, JsonNode variables) {
        return Variables.put(script, name -> Optional.ofNullable(variables.get(name)).map(JsonNode::asText));
    }

    @Test
    void placesLeadBackToTheUsersScript() {
        String source = "USE ${a}; USE é$${x}${b:-y}${c:-};\nUSE z";
        Script script = Variables.put(source, name -> Optional.of("long\nvalue").filter(value -> name.equals("a")));
        assertEquals("USE long\nvalue; USE é${x}y;\nUSE z", script.text());
        String text = script.text();
        assertEquals(new Position(1, 5), script.position(text.indexOf("long")));
        assertEquals(new Position(1, 5), script.position(text.indexOf("value")));
        assertEquals(new Position(1, 9), script.position(text.indexOf("; USE é")));
        assertEquals(new Position(1, 19), script.position(text.indexOf("x}")));
        assertEquals(new Position(1, 21), script.position(text.indexOf("y;")));
        assertEquals(new Position(2, 5), script.position(text.indexOf("z")));
        assertEquals(
                List.of("USE ${a}", "USE é$${x}${b:-y}", "USE z"),
                Splitter.split(script).stream().map(Statement::head).toList());
    }
}

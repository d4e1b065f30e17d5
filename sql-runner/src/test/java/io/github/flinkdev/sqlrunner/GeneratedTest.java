package io.github.flinkdev.sqlrunner;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/**
 * Very many scripts that nobody wrote: the Rust splitter makes the same ones, by the same rule, and both must come to
 * the same digests (see the corpus' README).
 */
class GeneratedTest {
    private static final Path FILE = Path.of("src/test/resources/corpus/generated/scripts.json");

    private final List<String> pieces = new ArrayList<>();
    private long state;
    private long digest;

    @Test
    void digests() throws IOException {
        JsonNode file = new ObjectMapper().readTree(FILE.toFile());
        file.get("pieces").forEach(piece -> pieces.add(piece.asText()));
        state = file.get("seed").asLong();
        List<String> expected = new ArrayList<>();
        List<String> found = new ArrayList<>();
        for (JsonNode block : file.get("digests")) {
            expected.add(block.asText());
            digest = 0xcbf29ce484222325L;
            for (int i = 0; i < file.get("block").asInt(); i++) {
                take(script());
            }
            found.add(String.format("%016x", digest));
        }
        assertEquals(expected, found);
    }

    private int next(int bound) {
        state = state * 6364136223846793005L + 1442695040888963407L;
        return (int) Long.remainderUnsigned(state >>> 33, bound);
    }

    private String script() {
        StringBuilder script = new StringBuilder();
        for (int left = 1 + next(24); left > 0; left--) {
            script.append(pieces.get(next(pieces.size())));
            if (next(2) == 1) {
                script.append(' ');
            }
        }
        return script.toString();
    }

    private void take(String script) {
        try {
            take(Splitter.split(Script.of(script)));
        } catch (SplitException e) {
            put("!" + e.position() + " " + e.reason());
        }
        try {
            put("=" + Variables.put(script, name -> Optional.of("it's; \"" + name + "\"").filter(value -> name.length() == 1)).text());
        } catch (SplitException e) {
            put("!" + e.position());
        }
    }

    private void take(List<Statement> statements) {
        for (Statement statement : statements) {
            put(statement.kind().label() + " " + statement.position() + " " + statement.text());
            statement.setting().ifPresent(setting -> put(setting.key() + "=" + setting.value().orElse("")));
            statement.connector().ifPresent(connector -> put(connector.name()));
            put("[");
            take(statement.inner());
            put("]");
        }
    }

    /** FNV-1a of 64 bits. */
    private void put(String text) {
        for (byte each : (text + "\n").getBytes(StandardCharsets.UTF_8)) {
            digest = (digest ^ (each & 0xff)) * 0x100000001b3L;
        }
    }
}

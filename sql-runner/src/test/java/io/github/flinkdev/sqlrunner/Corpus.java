package io.github.flinkdev.sqlrunner;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The scripts of {@code src/test/resources/corpus}, whose form its README tells. */
final class Corpus {
    /** A script, and what it is to give. */
    record Case(String name, String script, JsonNode expected) {
        boolean fails() {
            return expected.has("error");
        }

        @Override
        public String toString() {
            return name;
        }
    }

    private Corpus() {}

    static List<Case> cases() {
        return cases("src/test/resources/corpus");
    }

    static List<Case> cases(String folder) {
        List<Case> cases = new ArrayList<>();
        try (Stream<Path> files = Files.list(Path.of(folder))) {
            for (Path file : files.filter(path -> path.toString().endsWith(".json")).sorted().toList()) {
                for (JsonNode node : new ObjectMapper().readTree(file.toFile())) {
                    String name = file.getFileName() + ": " + node.get("name").asText();
                    cases.add(new Case(name, node.get("script").asText(), node));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return cases;
    }
}

package io.github.flinkdev.sqlrunner;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What the command line says.
 *
 * @param script the script's text, as the user wrote it
 * @param name for the job, unless the script sets one
 * @param variables for the script's placeholders
 * @param dryRun whether the job is planned and not started
 */
record Arguments(String script, Optional<String> name, Map<String, String> variables, boolean dryRun) {
    static final String USAGE =
            "arguments: --script-base64 TEXT | --script TEXT | --file PATH | --resource NAME  [--name NAME] [--var NAME=VALUE]... [--dry-run]";

    /** @throws SqlScriptException if something is wrong with an argument, or the script cannot be read */
    static Arguments of(String... args) {
        String script = null;
        String name = null;
        Map<String, String> variables = new LinkedHashMap<>();
        boolean dryRun = false;
        for (int i = 0; i < args.length; i++) {
            if (args[i].equals("--dry-run")) {
                dryRun = true;
                continue;
            }
            String option = args[i++];
            if (i == args.length) {
                throw new SqlScriptException(option + " wants a value; " + USAGE);
            }
            String value = args[i];
            switch (option) {
                case "--name" -> name = value;
                case "--var" -> {
                    int equals = value.indexOf('=');
                    if (equals < 1) {
                        throw new SqlScriptException("--var wants NAME=VALUE, not " + value + "; " + USAGE);
                    }
                    variables.put(value.substring(0, equals), value.substring(equals + 1));
                }
                default -> {
                    if (script != null) {
                        throw new SqlScriptException("more than one script; " + USAGE);
                    }
                    script = script(option, value);
                }
            }
        }
        if (script == null) {
            throw new SqlScriptException("no script; " + USAGE);
        }
        return new Arguments(script, Optional.ofNullable(name), Map.copyOf(variables), dryRun);
    }

    /** The value of a variable: the command line's, else the environment's. */
    Optional<String> variable(String name, Map<String, String> environment) {
        return Optional.ofNullable(variables.get(name)).or(() -> Optional.ofNullable(environment.get(name)));
    }

    private static String script(String option, String value) {
        return switch (option) {
            case "--script-base64" -> decoded(value);
            case "--script" -> value;
            case "--file" -> file(value);
            case "--resource" -> resource(value);
            default -> throw new SqlScriptException("unknown argument " + option + "; " + USAGE);
        };
    }

    private static String decoded(String base64) {
        try {
            return text(Base64.getDecoder().decode(base64), "--script-base64");
        } catch (IllegalArgumentException e) {
            throw new SqlScriptException("--script-base64 is not base64: " + e.getMessage());
        }
    }

    private static String file(String path) {
        try {
            return text(Files.readAllBytes(Path.of(path)), path);
        } catch (IOException e) {
            throw new SqlScriptException("cannot read " + path + ": " + e);
        }
    }

    /** From the job's own jar, or a jar in the image's {@code lib}. */
    private static String resource(String name) {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        try (InputStream stream = loader.getResourceAsStream(name)) {
            if (stream == null) {
                throw new SqlScriptException("no resource " + name + " on the classpath");
            }
            return text(stream.readAllBytes(), name);
        } catch (IOException e) {
            throw new SqlScriptException("cannot read the resource " + name + ": " + e);
        }
    }

    private static String text(byte[] bytes, String source) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
        } catch (CharacterCodingException e) {
            throw new SqlScriptException(source + " is not UTF-8");
        }
    }
}

package io.github.flinkdev.sqlrunner;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a SQL script as one job of a Flink session cluster. It is the {@code entryClass} of a FlinkSessionJob without a
 * jar of its own: this class lies in the image's {@code lib} folder, and the script comes with the arguments.
 *
 * <pre>
 * --script-base64 TEXT   the script, UTF-8 in base64
 * --script TEXT          the script itself
 * --file PATH            a file with the script, in the JobManager's container
 * --name NAME            the job's name, unless the script sets pipeline.name
 * </pre>
 *
 * It runs inside the JobManager, so it never waits for the job and never ends the process.
 */
public final class SqlRunner {
    private static final Logger LOG = LoggerFactory.getLogger(SqlRunner.class);
    private static final String USAGE = "arguments: --script-base64 TEXT | --script TEXT | --file PATH  [--name NAME]";

    private SqlRunner() {}

    public static void main(String[] args) {
        Arguments arguments = arguments(args);
        LOG.info("SQL script:\n{}", arguments.script());
        new ScriptRunner(arguments.name()).run(arguments.script());
    }

    /** What the arguments say: the script's text, and a name for the job. */
    record Arguments(String script, Optional<String> name) {}

    static Arguments arguments(String... args) {
        String script = null;
        String name = null;
        for (int i = 0; i < args.length; i += 2) {
            if (i + 1 == args.length) {
                throw new SqlScriptException(args[i] + " wants a value; " + USAGE);
            }
            String value = args[i + 1];
            if (args[i].equals("--name")) {
                name = value;
                continue;
            }
            if (script != null) {
                throw new SqlScriptException("more than one script; " + USAGE);
            }
            script = switch (args[i]) {
                case "--script-base64" -> decoded(value);
                case "--script" -> value;
                case "--file" -> read(value);
                default -> throw new SqlScriptException("unknown argument " + args[i] + "; " + USAGE);
            };
        }
        if (script == null) {
            throw new SqlScriptException("no script; " + USAGE);
        }
        return new Arguments(script, Optional.ofNullable(name));
    }

    private static String decoded(String base64) {
        try {
            return text(Base64.getDecoder().decode(base64), "--script-base64");
        } catch (IllegalArgumentException e) {
            throw new SqlScriptException("--script-base64 is not base64: " + e.getMessage());
        }
    }

    private static String read(String path) {
        try {
            return text(Files.readAllBytes(Path.of(path)), path);
        } catch (IOException e) {
            throw new SqlScriptException("cannot read " + path + ": " + e);
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

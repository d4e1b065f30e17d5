package io.github.flinkdev.python;

import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.apache.flink.client.python.PythonDriver;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * Runs a Python script in a Flink session cluster: the {@code entryClass} of a FlinkSessionJob without a jar of its own.
 * The script comes with the arguments, and Flink's own PythonDriver runs it.
 *
 * <pre>
 * --file NAME=BASE64     a file of the job: a script or a module, below a folder that Python's path begins with
 * --script NAME          which of them is run
 * --module NAME          or a module of the image, e.g. flinkdev_sql
 * -- ARGUMENT...         the script's own arguments
 * </pre>
 *
 * <p>PythonDriver alone has three gaps in a session cluster. It tells that "Python process exits with code: 1", and not
 * why: here the script's error is, in one line with its place. It keeps its gateway in a static field: here one script
 * is run after the other. And the environment that runs a job in the cluster is known to the thread that Flink calls
 * only, or to a static field that any other submission changes: the thread that serves Python gets it here, see
 * {@link #enter}, or the job would run in a little cluster of its own inside of the JobManager.
 */
public final class PythonScript {
    /** What {@link PythonDriver} is given to run: it runs the script, and writes down what it fails with. */
    private static final String RUNNER = "/opt/flink/python/job.py";

    private static Object factory;
    private static ClassLoader loader;

    private PythonScript() {}

    /** A script that cannot be run. An Error, as Flink wraps an exception of a main method before its message is reached. */
    public static final class PythonScriptException extends Error {
        private static final long serialVersionUID = 1L;

        PythonScriptException(String message) {
            super(message, null, false, false);
        }
    }

    public static synchronized void main(String[] args) throws Throwable {
        Path folder = Files.createTempDirectory("python-job");
        try {
            run(folder, args);
        } finally {
            try (Stream<Path> all = Files.walk(folder)) {
                all.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
            }
        }
    }

    private static void run(Path folder, String[] args) throws Throwable {
        String kind = null;
        String name = null;
        List<String> rest = new ArrayList<>();
        for (int i = 0; i < args.length; i++) {
            String option = args[i];
            if (option.equals("--")) {
                rest.addAll(List.of(args).subList(i + 1, args.length));
                break;
            }
            if (++i == args.length) {
                throw new PythonScriptException(option + " wants a value");
            }
            switch (option) {
                case "--file" -> write(folder, args[i]);
                case "--script", "--module" -> {
                    kind = option.substring(2);
                    name = args[i];
                }
                default -> throw new PythonScriptException("unknown argument " + option);
            }
        }
        if (name == null) {
            throw new PythonScriptException("no script: --script NAME or --module NAME");
        }
        factory = threadLocal().get();
        loader = Thread.currentThread().getContextClassLoader();
        Path error = folder.resolve(".error");
        List<String> command = new ArrayList<>(List.of("-py", RUNNER, folder.toString(), kind, name));
        command.addAll(rest);
        try {
            PythonDriver.main(command.toArray(String[]::new));
        } catch (Throwable e) {
            if (Files.exists(error)) {
                throw new PythonScriptException(Files.readString(error, StandardCharsets.UTF_8).strip());
            }
            throw e;
        } finally {
            factory = null;
            loader = null;
        }
    }

    /** Called by the script's process, by the thread that serves it, before it runs the script. */
    public static void enter() {
        if (factory != null) {
            threadLocal().set(factory);
        }
        if (loader != null) {
            Thread.currentThread().setContextClassLoader(loader);
        }
    }

    private static void write(Path folder, String file) throws IOException {
        int equals = file.indexOf('=');
        Path path = folder.resolve(file.substring(0, Math.max(0, equals))).normalize();
        if (equals < 1 || !path.startsWith(folder)) {
            throw new PythonScriptException("--file wants NAME=BASE64, a name below the job's folder");
        }
        Files.createDirectories(path.getParent());
        Files.write(path, Base64.getDecoder().decode(file.substring(equals + 1)));
    }

    @SuppressWarnings("unchecked")
    private static ThreadLocal<Object> threadLocal() {
        try {
            Field field = StreamExecutionEnvironment.class.getDeclaredField("threadLocalContextEnvironmentFactory");
            field.setAccessible(true);
            return (ThreadLocal<Object>) field.get(null);
        } catch (ReflectiveOperationException e) {
            throw new PythonScriptException("this Flink keeps its environments elsewhere: " + e);
        }
    }
}

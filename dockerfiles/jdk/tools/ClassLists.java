import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Adds to the lists of classes that a JVM writes ({@code -XX:DumpLoadedClassList}) what they leave out: the classes that
 * Flink's own loader takes from a jar within flink-dist, which are a quarter of what a JobManager or a TaskManager loads:
 * {@code ClassLists FLINK_DIST FOLDER}. In the folder lie the lists ({@code *.lst}) and, of the same runs, logs of
 * {@code -Xlog:class+load=debug:file=NAME.classes:none}. The jar is put beside them, and standard output gets one list.
 *
 * <p>Such a class stands in a list with a number, those of its superclass and interfaces, and the jar that the archive takes
 * it from; a JVM uses it where a loader defines a class of this name with the same bytes (JEP 310, and {@code classListParser.cpp}
 * of JDK 17).
 */
public class ClassLists {
    private static final String NESTED = "flink-rpc-akka.jar";
    private static final Pattern CLASS = Pattern.compile("(\\S+) source: (.*)");
    private static final Pattern DETAILS =
            Pattern.compile("klass: (0x\\w+) super: (0x\\w+)(?: interfaces:((?: 0x\\w+)+))? loader: \\[loader data: \\S+ (.*?)[\\]{]");

    private final Path nested;
    private final Map<String, Integer> numbers = new HashMap<>();
    private final Set<String> listed = new LinkedHashSet<>();

    private ClassLists(Path nested) {
        this.nested = nested;
    }

    public static void main(String[] args) throws IOException {
        Path folder = Path.of(args[1]);
        ClassLists lists = new ClassLists(folder.resolve(NESTED));
        try (JarFile dist = new JarFile(args[0]); InputStream jar = dist.getInputStream(dist.getJarEntry(NESTED))) {
            Files.copy(jar, lists.nested, StandardCopyOption.REPLACE_EXISTING);
        }
        for (Path log : files(folder, ".classes")) {
            lists.addLog(Files.readAllLines(log));
        }
        for (Path list : files(folder, ".lst")) {
            for (String line : Files.readAllLines(list)) {
                if (!line.startsWith("#") && !lists.numbers.containsKey(line)) {
                    lists.listed.add(line);
                }
            }
        }
        if (lists.listed.stream().noneMatch(line -> line.contains(" source: "))) {
            throw new IllegalStateException("the logs in " + folder + " name no class of " + NESTED);
        }
        lists.listed.forEach(System.out::println);
    }

    private static List<Path> files(Path folder, String suffix) throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(path -> path.toString().endsWith(suffix)).sorted().toList();
        }
    }

    /** Numbers a run's classes in the order in which they were loaded: superclasses and interfaces come first. */
    private void addLog(List<String> lines) {
        Map<String, Integer> loaded = new HashMap<>();
        for (int i = 0; i + 1 < lines.size(); i++) {
            Matcher named = CLASS.matcher(lines.get(i));
            Matcher details = DETAILS.matcher(lines.get(i + 1));
            if (!named.lookingAt() || !details.find()) {
                continue;
            }
            String name = named.group(1).replace('.', '/');
            boolean ofNested = details.group(4).contains("SubmoduleClassLoader") && named.group(2).startsWith("file:");
            boolean builtIn = details.group(4).matches("of '(bootstrap|platform|app)'|.*ClassLoaders\\$(App|Platform)ClassLoader'.*");
            boolean hidden = name.contains("/0x") || name.contains("+0x");
            boolean generated = !named.group(2).matches("shared objects file.*|jrt:.*|file:.*");
            if (hidden || generated || !ofNested && !builtIn) {
                continue;
            }
            List<Integer> above = new ArrayList<>();
            above.add(loaded.get(details.group(2)));
            if (details.group(3) != null) {
                for (String each : details.group(3).trim().split(" ")) {
                    above.add(loaded.get(each));
                }
            }
            if (ofNested && above.contains(null)) {
                continue; // of a class that no list can name
            }
            String key = ofNested ? NESTED + " " + name : name;
            Integer number = numbers.get(key);
            if (number == null) {
                number = numbers.size();
                numbers.put(key, number);
                listed.add(name + " id: " + number + (ofNested ? above(above) + " source: " + nested : ""));
            }
            loaded.put(details.group(1), number);
        }
    }

    private static String above(List<Integer> numbers) {
        StringBuilder text = new StringBuilder(" super: " + numbers.get(0));
        for (int i = 1; i < numbers.size(); i++) {
            text.append(i == 1 ? " interfaces: " : " ").append(numbers.get(i));
        }
        return text.toString();
    }
}

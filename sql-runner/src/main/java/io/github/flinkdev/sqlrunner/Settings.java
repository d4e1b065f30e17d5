package io.github.flinkdev.sqlrunner;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.StringJoiner;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ConfigurationUtils;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.config.TableConfigOptions;

/** What the script has set so far by SET and not taken back by RESET. */
final class Settings {
    private final Map<String, String> values = new LinkedHashMap<>();

    /** What the options of a running cluster begin with: a job cannot change them. */
    private static final List<String> OF_THE_CLUSTER = List.of(
            "blob.", "cluster.", "env.", "fs.", "high-availability", "jobmanager.", "kubernetes.", "metrics.", "pekko.",
            "process.", "resourcemanager.", "rest.", "security.", "slotmanager.", "taskmanager.", "web.");

    boolean takes(Statement statement) {
        return statement.kind() == Kind.SET || statement.kind() == Kind.RESET;
    }

    void apply(Statement statement) {
        if (statement.setting().isEmpty()) {
            if (statement.kind() == Kind.RESET) {
                values.clear();
            }
            return;
        }
        Statement.Setting setting = statement.setting().get();
        setting.value().ifPresentOrElse(value -> values.put(setting.key(), value), () -> values.remove(setting.key()));
    }

    /** Brings an environment that is there already to where {@link #apply} has brought this. */
    void toEnvironment(TableEnvironment environment, Statement statement) {
        Configuration live = environment.getConfig().getConfiguration();
        statement.setting().ifPresentOrElse(
                setting -> {
                    live.removeKey(setting.key());
                    setting.value().ifPresent(value -> live.setString(setting.key(), value));
                },
                () -> {
                    if (statement.kind() == Kind.RESET) {
                        live.keySet().forEach(live::removeKey);
                    }
                });
    }

    /** All that is set; and the job's name, if nothing else sets it. */
    Configuration configuration(Optional<String> name) {
        Configuration configuration = new Configuration();
        name.ifPresent(value -> configuration.set(PipelineOptions.NAME, value));
        values.forEach(configuration::setString);
        return configuration;
    }

    /** What is set, one line each; the values of passwords and keys are hidden. */
    String listed() {
        if (values.isEmpty()) {
            return "nothing is set";
        }
        StringJoiner lines = new StringJoiner("\n");
        ConfigurationUtils.hideSensitiveValues(values).forEach((key, value) -> lines.add("'" + key + "' = '" + value + "'"));
        return lines.toString();
    }

    /** What is most likely not meant by a SET, but can be done. */
    static Optional<String> warning(Statement statement) {
        return statement.setting()
                .filter(setting -> setting.value().isPresent())
                .filter(setting -> OF_THE_CLUSTER.stream().anyMatch(setting.key()::startsWith))
                .map(setting -> setting.key() + " is an option of the cluster: a job cannot change it");
    }

    /** Why a SET cannot be accepted, or null. */
    static String refusal(Statement statement) {
        return statement.setting()
                .filter(s -> s.key().equals(TableConfigOptions.TABLE_DML_SYNC.key()))
                .filter(s -> s.value().map(value -> !value.equalsIgnoreCase("false")).orElse(false))
                .map(s -> "the script runs in the JobManager and must not wait for its job")
                .orElse(null);
    }
}

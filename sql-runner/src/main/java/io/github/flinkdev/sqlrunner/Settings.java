package io.github.flinkdev.sqlrunner;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.config.TableConfigOptions;

/** What the script has set so far by SET and not taken back by RESET. */
final class Settings {
    private final Map<String, String> values = new LinkedHashMap<>();

    boolean takes(Statement statement) {
        return statement.kind() == Kind.SET || statement.kind() == Kind.RESET;
    }

    void apply(Statement statement) {
        if (statement.setting().isEmpty()) {
            // SET alone would list the settings: there is nobody to show them to
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

    /** Why a SET cannot be accepted, or null. */
    static String refusal(Statement statement) {
        return statement.setting()
                .filter(s -> s.key().equals(TableConfigOptions.TABLE_DML_SYNC.key()))
                .filter(s -> s.value().map(value -> !value.equalsIgnoreCase("false")).orElse(false))
                .map(s -> "the script runs in the JobManager and must not wait for its job")
                .orElse(null);
    }
}

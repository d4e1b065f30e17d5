package com.example.clicks;

import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Counts made-up clicks per user, and prints each new count to the log of the TaskManager. */
public final class ClicksPerUser {
    private ClicksPerUser() {}

    public static void main(String[] args) {
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        tables.getConfig().set("pipeline.name", "clicks per user");
        tables.executeSql(
                "CREATE TABLE clicks (id BIGINT, user_id INT) WITH ("
                        + "'connector' = 'datagen', 'rows-per-second' = '5',"
                        + "'fields.user_id.min' = '1', 'fields.user_id.max' = '3')");
        tables.executeSql("CREATE TABLE counts (user_id INT, clicks BIGINT) WITH ('connector' = 'print')");
        // the job goes on by itself: nobody waits for it here
        tables.executeSql("INSERT INTO counts SELECT user_id, COUNT(*) FROM clicks GROUP BY user_id");
    }
}

package com.example.programs;

import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Measurements above a limit: BROKERS INPUT OUTPUT LIMIT. */
public final class Alerts {
    private Alerts() {}

    public static void main(String[] args) {
        if (args.length != 4) {
            throw new IllegalArgumentException("expected BROKERS INPUT OUTPUT LIMIT, got " + args.length + " arguments");
        }
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        tables.executeSql(table("measurements", args[0], args[1]));
        tables.executeSql(table("alerts", args[0], args[2]));
        // the job goes on by itself: nobody waits for it here
        tables.executeSql("INSERT INTO alerts SELECT * FROM measurements WHERE celsius > " + Double.parseDouble(args[3]));
    }

    private static String table(String name, String brokers, String topic) {
        return "CREATE TABLE " + name + " (sensor STRING, celsius DOUBLE) WITH ('connector' = 'kafka', 'topic' = '" + topic
                + "', 'properties.bootstrap.servers' = '" + brokers
                + "', 'scan.startup.mode' = 'earliest-offset', 'format' = 'json')";
    }
}

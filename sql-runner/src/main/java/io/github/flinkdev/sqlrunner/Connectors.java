package io.github.flinkdev.sqlrunner;

import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.SortedSet;
import java.util.TreeSet;
import org.apache.flink.table.catalog.Catalog;
import org.apache.flink.table.catalog.GenericInMemoryCatalog;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.Factory;

/**
 * The connectors that Flink finds in its lib folder and in the job's jar. Flink itself looks for a table's connector
 * when an INSERT uses the table, and a script's CREATE TABLE has long passed then.
 */
final class Connectors {
    private static final int MOST_FAILURES = 100;

    private SortedSet<String> known;
    /** What a script adds is in a class loader that only Flink has. */
    private boolean jarsAdded;

    void jarAdded() {
        jarsAdded = true;
    }

    /** Why the table that a statement creates cannot be used, in Flink's own words, which one can search for; or nothing. */
    Optional<String> refusal(Statement.Connector connector, TableEnvironment environment) {
        Optional<Catalog> catalog = environment.getCatalog(environment.getCurrentCatalog());
        // other catalogs may have connectors of their own
        if (jarsAdded || catalog.filter(GenericInMemoryCatalog.class::isInstance).isEmpty()) {
            return Optional.empty();
        }
        if (known == null) {
            known = discovered();
        }
        return known.contains(connector.name())
                ? Optional.empty()
                : Optional.of("Could not find any factory for identifier '" + connector.name() + "'; connectors that are there: "
                        + String.join(", ", known));
    }

    private static SortedSet<String> discovered() {
        SortedSet<String> found = new TreeSet<>();
        var factories = ServiceLoader.load(Factory.class, Thread.currentThread().getContextClassLoader()).iterator();
        // a factory whose classes are not there is passed over, as Flink does; but not for ever the same one
        for (int failed = 0; failed < MOST_FAILURES; ) {
            try {
                if (!factories.hasNext()) {
                    break;
                }
                if (factories.next() instanceof DynamicTableFactory factory) {
                    found.add(factory.factoryIdentifier());
                }
            } catch (ServiceConfigurationError | LinkageError e) {
                failed++;
            }
        }
        return found;
    }
}

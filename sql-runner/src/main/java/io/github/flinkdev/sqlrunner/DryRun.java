package io.github.flinkdev.sqlrunner;

import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.internal.TableEnvironmentInternal;
import org.apache.flink.table.catalog.GenericInMemoryCatalog;
import org.apache.flink.table.catalog.ObjectIdentifier;
import org.apache.flink.table.operations.Operation;
import org.apache.flink.table.operations.ddl.CreateCatalogOperation;
import org.apache.flink.table.operations.ddl.CreateTableOperation;
import org.apache.flink.table.operations.ddl.CreateViewOperation;

/** Keeps a dry run from changing catalogs that outlive it: tables and views are temporary in them, all else is left out. */
final class DryRun {
    private DryRun() {}

    /** Whether a CREATE, DROP or ALTER may be executed as it stands; if not, what could be done in its place is done. */
    static boolean execute(TableEnvironment environment, Statement statement) {
        boolean allInMemory = true;
        for (String catalog : environment.listCatalogs()) {
            allInMemory &= inMemory(environment, catalog);
        }
        if (allInMemory) {
            return true;
        }
        TableEnvironmentInternal internal = (TableEnvironmentInternal) environment;
        Operation operation = internal.getParser().parse(statement.text()).get(0);
        if (operation instanceof CreateTableOperation table) {
            return executeTable(internal, table);
        }
        if (operation instanceof CreateViewOperation view) {
            if (view.isTemporary() || view.isIgnoreIfExists() && exists(internal, view.getViewIdentifier())
                    || inMemory(internal, view.getViewIdentifier())) {
                return true;
            }
            internal.getCatalogManager()
                    .createTemporaryTable(view.getCatalogView(), view.getViewIdentifier(), view.isIgnoreIfExists());
            return false;
        }
        return operation instanceof CreateCatalogOperation;
    }

    static boolean executeTable(TableEnvironmentInternal environment, CreateTableOperation table) {
        if (table.isTemporary() || table.isIgnoreIfExists() && exists(environment, table.getTableIdentifier())
                || inMemory(environment, table.getTableIdentifier())) {
            return true;
        }
        environment.getCatalogManager()
                .createTemporaryTable(table.getCatalogTable(), table.getTableIdentifier(), table.isIgnoreIfExists());
        return false;
    }

    private static boolean exists(TableEnvironmentInternal environment, ObjectIdentifier table) {
        return environment.getCatalogManager().getTable(table).isPresent();
    }

    static boolean inMemory(TableEnvironment environment, ObjectIdentifier table) {
        return inMemory(environment, table.getCatalogName());
    }

    private static boolean inMemory(TableEnvironment environment, String catalog) {
        return environment.getCatalog(catalog).filter(GenericInMemoryCatalog.class::isInstance).isPresent();
    }
}

package io.github.flinkdev.sqlrunner;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.catalog.Catalog;
import org.apache.flink.table.catalog.CatalogBaseTable;
import org.apache.flink.table.catalog.CatalogDatabase;
import org.apache.flink.table.catalog.GenericInMemoryCatalog;
import org.apache.flink.table.catalog.ObjectPath;
import org.apache.flink.table.factories.CatalogFactory;

/** Stands in for a catalog that outlives a run: a catalog of its own kind that notes what is changed. */
public final class KeptCatalog implements CatalogFactory {
    static final List<String> CHANGES = new ArrayList<>();

    @Override
    public String factoryIdentifier() {
        return "kept";
    }

    @Override
    public java.util.Set<org.apache.flink.configuration.ConfigOption<?>> requiredOptions() {
        return java.util.Set.of();
    }

    @Override
    public java.util.Set<org.apache.flink.configuration.ConfigOption<?>> optionalOptions() {
        return java.util.Set.of();
    }

    @Override
    public Catalog createCatalog(Context context) {
        GenericInMemoryCatalog store = new GenericInMemoryCatalog(context.getName(), "default");
        // a proxy, so that it is not an instance of the catalog in memory
        return (Catalog) java.lang.reflect.Proxy.newProxyInstance(
                KeptCatalog.class.getClassLoader(), new Class<?>[] {Catalog.class}, (proxy, method, arguments) -> {
                    if (method.getName().matches("(create|drop|alter).*")) {
                        String what = arguments[0] instanceof ObjectPath path ? path.getObjectName() : arguments[0].toString();
                        boolean table = List.of(method.getParameterTypes()).contains(CatalogBaseTable.class);
                        boolean database = List.of(method.getParameterTypes()).contains(CatalogDatabase.class);
                        if (table || database || !method.getName().startsWith("create")) {
                            CHANGES.add((database ? "database " : "table ") + what);
                        }
                    }
                    try {
                        return method.invoke(store, arguments);
                    } catch (java.lang.reflect.InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }
}

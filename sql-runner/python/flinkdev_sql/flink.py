"""What the runner asks of Flink, through PyFlink and, where that offers nothing, through the Java objects behind it."""

from py4j.protocol import Py4JJavaError
from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment
from pyflink.util.java_utils import to_j_explain_detail_arr

from . import failure

_MOST_ROWS = 1000
_MOST_FAILURES = 100
_OPERATIONS = "org.apache.flink.table.operations."
_ATOMIC = "table.rtas-ctas.atomicity-enabled"


class Flink:
    """A table environment; what it raises is turned into words by ``failure``."""

    def __init__(self, environment, settings):
        if environment is None:
            configuration = Configuration()
            for key, value in settings.items():
                configuration.set_string(key, value)
            made = EnvironmentSettings.new_instance().with_configuration(configuration).build()
            environment = TableEnvironment.create(made)
        else:
            for key, value in settings.items():
                environment.get_config().set(key, value)
        self.environment = environment
        self.java = environment._j_tenv
        self.jars_added = False
        self._connectors = None

    def execute(self, text):
        return self.environment.execute_sql(text)

    def rows(self, text):
        """One line a row, below the names of the columns; a single value as it is."""
        result = self.execute(text)
        columns = list(result.get_table_schema().get_field_names())
        rows = []
        with result.collect() as found:
            for row in found:
                if len(rows) == _MOST_ROWS:
                    rows.append("... and more")
                    break
                rows.append([_shown(value) for value in row])
        if len(rows) == 1 and len(columns) == 1:
            return rows[0][0].rstrip()
        lines = [row if isinstance(row, str) else " | ".join(row) for row in rows]
        return "\n".join([" | ".join(columns), *(lines or ["(none)"])])

    def set(self, statement):
        """Brings the environment to where a SET or RESET has brought the script's settings."""
        live, setting = self.java.getConfig().getConfiguration(), statement.setting
        if setting:
            live.removeKey(setting.key)
            if setting.value is not None:
                live.setString(setting.key, setting.value)
        elif statement.kind == "reset":
            for key in list(live.keySet()):
                live.removeKey(key)

    def put(self, key, value):
        self.java.getConfig().getConfiguration().setString(key, value)

    def insert(self, text, dry):
        """Reads and validates an INSERT; makes its table first if it is to be made."""
        operations = self.java.getParser().parse(text)
        if operations.size() != 1 or not self._is(operations.get(0), "ModifyOperation"):
            raise ValueError("Only INSERT can be a part of the job")
        modify, catalogs = operations.get(0), self.java.getCatalogManager()
        # an atomic one is staged by Flink, when the job starts
        atomic = not dry and self.environment.get_config().get(_ATOMIC, "false").lower() == "true"
        if self._is(modify, "CreateTableASOperation") and not atomic:
            self._create(modify.getCreateTableOperation(), dry)
            return modify.toSinkModifyOperation(catalogs)
        if self._is(modify, "ReplaceTableAsOperation") and not atomic:
            table = modify.getCreateTableOperation()
            name = table.getTableIdentifier()
            exists = catalogs.getTable(name).isPresent()
            if not exists and not modify.isCreateOrReplace():
                summary = name.asSummaryString()
                raise ValueError(
                    f"The table {summary} to be replaced does not exist; write CREATE OR REPLACE TABLE"
                )
            if exists and (not dry or self._in_memory(name.getCatalogName())):
                catalogs.dropTable(name, True)
            self._create(table, dry)
            return modify.toSinkModifyOperation(catalogs)
        return modify

    def _create(self, table, dry):
        if not dry or self._table_in_dry_run(table):
            self.java.executeInternal(table)

    def start(self, operations):
        """Starts the job, and does not wait for it."""
        self.environment._before_execute()
        self.java.executeInternal(self._list(operations))

    def plan(self, operations):
        return self.java.explainInternal(self._list(operations), to_j_explain_detail_arr(()))

    def may_change(self, text):
        """Keeps a dry run from changing catalogs that outlive it: tables and views are temporary in them, all else is left
        out. Whether a CREATE, DROP or ALTER may be executed as it stands."""
        if all(self._in_memory(name) for name in self.environment.list_catalogs()):
            return True
        operation = self.java.getParser().parse(text).get(0)
        if self._is(operation, "ddl.CreateTableOperation"):
            return self._table_in_dry_run(operation)
        if self._is(operation, "ddl.CreateViewOperation"):
            name, if_not_exists = operation.getViewIdentifier(), operation.isIgnoreIfExists()
            if operation.isTemporary() or self._passes(name, if_not_exists):
                return True
            self.java.getCatalogManager().createTemporaryTable(operation.getCatalogView(), name, if_not_exists)
            return False
        return self._is(operation, "ddl.CreateCatalogOperation")

    def _table_in_dry_run(self, table):
        name, if_not_exists = table.getTableIdentifier(), table.isIgnoreIfExists()
        if table.isTemporary() or self._passes(name, if_not_exists):
            return True
        self.java.getCatalogManager().createTemporaryTable(table.getCatalogTable(), name, if_not_exists)
        return False

    def _passes(self, name, if_not_exists):
        there = if_not_exists and self.java.getCatalogManager().getTable(name).isPresent()
        return there or self._in_memory(name.getCatalogName())

    def _in_memory(self, catalog):
        found = self.java.getCatalog(catalog)
        return found.isPresent() and _instance(found.get(), "org.apache.flink.table.catalog.GenericInMemoryCatalog")

    def no_connector(self, name):
        """Why a table with this connector cannot be used, in Flink's own words, which one can search for; or None."""
        # what a script adds is in a class loader that only Flink has; other catalogs may have connectors of their own
        if self.jars_added or not self._in_memory(self.environment.get_current_catalog()):
            return None
        if self._connectors is None:
            self._connectors = _discovered()
        if name in self._connectors:
            return None
        there = ", ".join(sorted(self._connectors))
        return f"Could not find any factory for identifier '{name}'; connectors that are there: {there}"

    def failure(self, error):
        """What an exception comes down to."""
        if isinstance(error, Py4JJavaError):
            return failure.of(failure.causes_of_java(error.java_exception))
        if type(error).__module__.startswith("pyflink.util"):
            # PyFlink makes some exceptions of Java its own, of which only the text is left
            return failure.of(failure.causes_of_text(str(error)))
        if isinstance(error, ValueError):
            return failure.Failure(str(error))
        return failure.Failure(f"{type(error).__name__}: {error}")

    @staticmethod
    def _is(operation, name):
        return _instance(operation, _OPERATIONS + name)

    @staticmethod
    def _list(items):
        found = get_gateway().jvm.java.util.ArrayList()
        for item in items:
            found.add(item)
        return found


def _shown(value):
    """As Java writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _instance(thing, name):
    """Whether a Java object is one of the class; PyFlink's own Py4J is shaded and has no such question."""
    return thing.getClass().getClassLoader().loadClass(name).isInstance(thing)


def _discovered():
    """The connectors that Flink finds in its lib folder and in the job's jars."""
    jvm, found, failed = get_gateway().jvm, set(), 0
    loader = jvm.Thread.currentThread().getContextClassLoader()
    wanted = loader.loadClass("org.apache.flink.table.factories.Factory")
    factories = jvm.java.util.ServiceLoader.load(wanted, loader).iterator()
    # a factory whose classes are not there is passed over, as Flink does; but not for ever the same one
    while failed < _MOST_FAILURES:
        try:
            if not factories.hasNext():
                break
            factory = factories.next()
            if _instance(factory, "org.apache.flink.table.factories.DynamicTableFactory"):
                found.add(factory.factoryIdentifier())
        except Py4JJavaError:
            failed += 1
    return found


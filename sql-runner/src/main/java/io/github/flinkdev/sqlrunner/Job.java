package io.github.flinkdev.sqlrunner;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableException;
import org.apache.flink.table.api.config.TableConfigOptions;
import org.apache.flink.table.api.internal.TableEnvironmentInternal;
import org.apache.flink.table.catalog.CatalogManager;
import org.apache.flink.table.operations.CreateTableASOperation;
import org.apache.flink.table.operations.ModifyOperation;
import org.apache.flink.table.operations.Operation;
import org.apache.flink.table.operations.ReplaceTableAsOperation;
import org.apache.flink.table.operations.ddl.CreateTableOperation;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * All INSERTs of a script: what Flink's StatementSet is, which cannot make the table of a {@code CREATE TABLE ... AS}
 * before the statements that follow it are read. So it uses what StatementSet itself is made of.
 */
final class Job {
    private static final Logger LOG = LoggerFactory.getLogger(Job.class);

    private final TableEnvironmentInternal environment;
    private final boolean dry;
    private final List<Insert> inserts = new ArrayList<>();

    /** An INSERT with the number of the statement that it stands in. */
    private record Insert(int number, Statement statement, ModifyOperation operation) {}

    Job(TableEnvironment environment, boolean dry) {
        this.environment = (TableEnvironmentInternal) environment;
        this.dry = dry;
    }

    int size() {
        return inserts.size();
    }

    /** Reads and validates an INSERT; makes its table first if it is to be made. */
    void add(int number, Statement statement) {
        List<Operation> operations = environment.getParser().parse(statement.text());
        if (operations.size() != 1 || !(operations.get(0) instanceof ModifyOperation modify)) {
            throw new TableException("Only INSERT can be a part of the job");
        }
        CatalogManager catalogs = environment.getCatalogManager();
        // an atomic one is staged by Flink, when the job starts
        boolean atomic = !dry && environment.getConfig().get(TableConfigOptions.TABLE_RTAS_CTAS_ATOMICITY_ENABLED);
        if (modify instanceof CreateTableASOperation as && !atomic) {
            create(as.getCreateTableOperation());
            modify = as.toSinkModifyOperation(catalogs);
        } else if (modify instanceof ReplaceTableAsOperation as && !atomic) {
            CreateTableOperation table = as.getCreateTableOperation();
            boolean exists = catalogs.getTable(table.getTableIdentifier()).isPresent();
            if (!exists && !as.isCreateOrReplace()) {
                throw new TableException("The table " + table.getTableIdentifier().asSummaryString()
                        + " to be replaced does not exist; write CREATE OR REPLACE TABLE");
            }
            if (exists && (!dry || DryRun.inMemory(environment, table.getTableIdentifier()))) {
                catalogs.dropTable(table.getTableIdentifier(), true);
            }
            create(table);
            modify = as.toSinkModifyOperation(catalogs);
        }
        inserts.add(new Insert(number, statement, modify));
    }

    private void create(CreateTableOperation table) {
        if (!dry || DryRun.executeTable(environment, table)) {
            environment.executeInternal(table);
        }
    }

    /** Starts the job, and does not wait for it. */
    void start() {
        List<ModifyOperation> all = inserts.stream().map(Insert::operation).toList();
        try {
            environment.executeInternal(all);
        } catch (Exception | LinkageError e) {
            throw failed(e);
        }
    }

    /** Tells the plan of each INSERT, and of all together where there are several: they share what they can. */
    void explain(Consumer<String> told) {
        for (Insert insert : inserts) {
            ScriptRunner.attempt(insert.number(), insert.statement(), () -> told.accept(
                    Refusals.prefix(insert.number(), insert.statement()) + "\n" + plan(List.of(insert))));
        }
        if (inserts.size() > 1) {
            try {
                told.accept("the job as a whole:\n" + plan(inserts));
            } catch (Exception | LinkageError e) {
                throw failed(e);
            }
        }
    }

    private String plan(List<Insert> some) {
        List<Operation> operations = some.stream().map(insert -> (Operation) insert.operation()).toList();
        return environment.explainInternal(operations);
    }

    /** What is wrong with one INSERT only shows when all are planned: then it is looked for. */
    private SqlScriptException failed(Throwable cause) {
        for (Insert insert : inserts) {
            ScriptRunner.attempt(insert.number(), insert.statement(), () -> plan(List.of(insert)));
        }
        LOG.error("The job cannot be started", cause);
        return new SqlScriptException("job not started: " + Failure.of(cause).message());
    }
}

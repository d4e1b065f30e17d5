package io.github.flinkdev.sqlrunner;

import java.util.List;
import java.util.StringJoiner;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/** What a statement like SHOW, DESCRIBE or EXPLAIN gives, as text. */
final class Results {
    private static final int MOST_ROWS = 1000;

    private Results() {}

    /** One line a row, below the names of the columns; a single value as it is. */
    @SuppressWarnings("try") // its close() throws
    static String text(TableResult result) throws Exception {
        List<String> columns = result.getResolvedSchema().getColumnNames();
        StringJoiner rows = new StringJoiner("\n");
        int number = 0;
        String only = "";
        try (CloseableIterator<Row> found = result.collect()) {
            for (; found.hasNext(); number++) {
                if (number == MOST_ROWS) {
                    rows.add("... and more");
                    break;
                }
                Row row = found.next();
                StringJoiner line = new StringJoiner(" | ");
                for (int i = 0; i < row.getArity(); i++) {
                    only = String.valueOf(row.getField(i));
                    line.add(only);
                }
                rows.add(line.toString());
            }
        }
        boolean value = number == 1 && columns.size() == 1;
        return value ? only.stripTrailing() : String.join(" | ", columns) + "\n" + (number == 0 ? "(none)" : rows);
    }
}

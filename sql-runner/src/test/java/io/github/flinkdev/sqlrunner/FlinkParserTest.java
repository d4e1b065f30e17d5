package io.github.flinkdev.sqlrunner;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.calcite.avatica.util.Casing;
import org.apache.calcite.config.Lex;
import org.apache.calcite.sql.SqlNode;
import org.apache.calcite.sql.parser.SqlParseException;
import org.apache.calcite.sql.parser.SqlParser;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.sql.parser.dml.SqlExecute;
import org.apache.flink.sql.parser.dml.SqlStatementSet;
import org.apache.flink.sql.parser.impl.FlinkSqlParserImpl;
import org.apache.flink.sql.parser.validate.FlinkSqlConformance;
import org.apache.flink.table.planner.parse.ExtendedParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Flink's own parser is the judge of the corpus: each statement that was split off is one to Flink, of the same kind. */
class FlinkParserTest {
    /** By the names of the classes of Flink's syntax tree, longest first where one begins another. */
    private static final List<Map.Entry<String, Kind>> KINDS = List.of(
            Map.entry("SqlCreateMaterializedTable", Kind.CREATE_MATERIALIZED),
            Map.entry("SqlCreateOrAlterMaterializedTable", Kind.CREATE_MATERIALIZED),
            Map.entry("SqlCreateTableAs", Kind.CREATE_AS),
            Map.entry("SqlReplaceTableAs", Kind.CREATE_AS),
            Map.entry("SqlCreate", Kind.CREATE),
            Map.entry("SqlDropPartitions", Kind.ALTER),
            Map.entry("SqlDrop", Kind.DROP),
            Map.entry("SqlAlter", Kind.ALTER),
            Map.entry("SqlAddPartitions", Kind.ALTER),
            Map.entry("SqlAddJar", Kind.JAR),
            Map.entry("SqlRemoveJar", Kind.JAR),
            Map.entry("SqlUse", Kind.USE),
            Map.entry("SqlLoadModule", Kind.LOAD),
            Map.entry("SqlUnloadModule", Kind.LOAD),
            Map.entry("SqlShow", Kind.SHOW),
            Map.entry("SqlRichDescribe", Kind.DESCRIBE),
            Map.entry("SqlDescribe", Kind.DESCRIBE),
            Map.entry("SqlRichExplain", Kind.EXPLAIN),
            Map.entry("SqlSet", Kind.SET),
            Map.entry("SqlReset", Kind.RESET),
            Map.entry("RichSqlInsert", Kind.INSERT),
            Map.entry("SqlStatementSet", Kind.STATEMENT_SET),
            Map.entry("SqlBeginStatementSet", Kind.STATEMENT_SET),
            Map.entry("SqlCompileAndExecutePlan", Kind.EXECUTE_PLAN),
            Map.entry("SqlExecutePlan", Kind.EXECUTE_PLAN),
            Map.entry("SqlCompilePlan", Kind.COMPILE),
            Map.entry("SqlTruncateTable", Kind.TRUNCATE),
            Map.entry("SqlAnalyzeTable", Kind.ANALYZE),
            Map.entry("SqlStopJob", Kind.OTHER),
            Map.entry("SqlDelete", Kind.DELETE),
            Map.entry("SqlUpdate", Kind.UPDATE),
            Map.entry("SqlSelect", Kind.SELECT),
            Map.entry("SqlOrderBy", Kind.SELECT),
            Map.entry("SqlWith", Kind.SELECT));

    static List<Corpus.Case> parsed() {
        return Corpus.cases().stream().filter(each -> !each.fails() && judgement(each).equals("parses")).toList();
    }

    static List<Corpus.Case> refused() {
        return Corpus.cases().stream().filter(each -> !each.fails() && judgement(each).equals("refuses")).toList();
    }

    private static String judgement(Corpus.Case each) {
        return each.expected().path("flink").asText("parses");
    }

    @Test
    void mostCasesAreJudged() {
        assertTrue(parsed().size() > 120, () -> parsed().size() + " are");
    }

    @ParameterizedTest
    @MethodSource("parsed")
    void eachStatementIsOneToFlinkOfTheSameKind(Corpus.Case each) throws SqlParseException {
        assumeTrue(isThere(each), "newer than this Flink");
        judge(Splitter.split(Script.of(each.script())));
    }

    private static void judge(List<Statement> statements) throws SqlParseException {
        for (Statement statement : statements) {
            if (statement.kind() == Kind.STATEMENT_SET && statement.text().matches("(?is)BEGIN\\b.*")) {
                // several statements to Flink's parser: the SQL client puts them together
                judge(statement.inner());
                assertEquals(Kind.STATEMENT_SET, kind("BEGIN STATEMENT SET"));
                continue;
            }
            assertEquals(statement.kind(), kind(statement.text()), statement.text());
            if (statement.kind() == Kind.STATEMENT_SET && !statement.inner().isEmpty()) {
                SqlExecute execute = (SqlExecute) parse(statement.text());
                assertEquals(statement.inner().size(), ((SqlStatementSet) execute.getStatement()).getInserts().size());
                judge(statement.inner());
            }
        }
    }

    /** At least one statement of the case: else nothing would keep the mark from being left on a case without reason. */
    @ParameterizedTest
    @MethodSource("refused")
    void whatIsMarkedSoIsRefused(Corpus.Case each) {
        List<String> kinds = new ArrayList<>();
        for (Statement statement : Splitter.split(Script.of(each.script()))) {
            try {
                kinds.add(kind(statement.text()).label());
            } catch (SqlParseException | IllegalArgumentException e) {
                return;
            }
        }
        throw new AssertionError("Flink takes all of it: " + kinds);
    }

    private static boolean isThere(Corpus.Case each) {
        String since = each.expected().path("since").asText("0.0");
        String[] asked = since.split("\\.");
        String[] here = EnvironmentInformation.getVersion().split("\\.");
        int major = Integer.compare(Integer.parseInt(here[0]), Integer.parseInt(asked[0]));
        return major > 0 || major == 0 && Integer.parseInt(here[1]) >= Integer.parseInt(asked[1]);
    }

    private static SqlNode parse(String sql) throws SqlParseException {
        return SqlParser.create(
                        sql,
                        SqlParser.config()
                                .withParserFactory(FlinkSqlParserImpl.FACTORY)
                                .withConformance(FlinkSqlConformance.DEFAULT)
                                .withLex(Lex.JAVA)
                                .withUnquotedCasing(Casing.UNCHANGED)
                                .withIdentifierMaxLength(256))
                .parseStmt();
    }

    /** What Flink makes of a statement; without a semicolon, as the runner hands it over. */
    private static Kind kind(String sql) throws SqlParseException {
        // the planner asks this parser first: it knows SET and RESET without quotes
        var extended = ExtendedParser.INSTANCE.parse(sql);
        if (extended.isPresent()) {
            return switch (extended.get().getClass().getSimpleName()) {
                case "SetOperation" -> Kind.SET;
                case "ResetOperation" -> Kind.RESET;
                // QUIT, HELP and CLEAR of the SQL client
                default -> Kind.OTHER;
            };
        }
        return kind(parse(sql));
    }

    private static Kind kind(SqlNode node) {
        if (node instanceof SqlExecute execute) {
            return kind(execute.getStatement());
        }
        String name = node.getClass().getSimpleName();
        for (Map.Entry<String, Kind> each : KINDS) {
            if (name.startsWith(each.getKey())) {
                return each.getValue();
            }
        }
        return switch (node.getKind()) {
            case VALUES, UNION, INTERSECT, EXCEPT, EXPLICIT_TABLE -> Kind.SELECT;
            case PROCEDURE_CALL -> Kind.CALL;
            default -> throw new IllegalArgumentException("no kind for " + name + " " + node.getKind() + ": " + node);
        };
    }
}

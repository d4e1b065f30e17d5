package io.github.flinkdev.sqlrunner;

/** A place in a script: line and column from 1; a column counts characters (code points). */
record Position(int line, int column) {
    @Override
    public String toString() {
        return line + ":" + column;
    }
}

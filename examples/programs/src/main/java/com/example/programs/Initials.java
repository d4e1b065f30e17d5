package com.example.programs;

import java.util.Arrays;
import java.util.stream.Collectors;
import org.apache.flink.table.functions.ScalarFunction;

/** The first letters of a name's words: {@code "Ada Lovelace"} is {@code "A.L."}. */
public final class Initials extends ScalarFunction {
    public String eval(String name) {
        if (name == null || name.isBlank()) {
            return null;
        }
        return Arrays.stream(name.trim().split("\\s+"))
                .map(word -> word.substring(0, 1).toUpperCase() + ".")
                .collect(Collectors.joining());
    }
}

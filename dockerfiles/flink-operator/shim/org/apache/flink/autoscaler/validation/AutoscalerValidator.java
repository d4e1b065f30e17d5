package org.apache.flink.autoscaler.validation;

import java.util.Optional;
import org.apache.flink.configuration.Configuration;

/** Accepts every option: there is no autoscaler in this image. */
public class AutoscalerValidator {
    public Optional<String> validateAutoscalerOptions(Configuration configuration) {
        return Optional.empty();
    }
}

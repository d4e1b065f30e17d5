package org.apache.flink.autoscaler;

/** Scales nothing. */
public class NoopJobAutoscaler<KEY, Context extends JobAutoScalerContext<KEY>>
        implements JobAutoScaler<KEY, Context> {
    @Override
    public void scale(Context context) {}

    @Override
    public void cleanup(Context context) {}
}

package org.apache.flink.autoscaler;

/** The interface as operator 1.16 calls it; the older jar's has other parameters. */
public interface JobAutoScaler<KEY, Context extends JobAutoScalerContext<KEY>> {
    void scale(Context context) throws Exception;

    void cleanup(Context context);
}

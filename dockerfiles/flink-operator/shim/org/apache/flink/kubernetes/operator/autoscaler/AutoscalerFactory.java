package org.apache.flink.kubernetes.operator.autoscaler;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import org.apache.flink.autoscaler.JobAutoScaler;
import org.apache.flink.autoscaler.NoopJobAutoscaler;
import org.apache.flink.core.plugin.PluginManager;
import org.apache.flink.kubernetes.operator.resources.ClusterResourceManager;
import org.apache.flink.kubernetes.operator.utils.EventRecorder;

/** Makes the autoscaler of this image: one that scales nothing. */
public class AutoscalerFactory {
    public static JobAutoScaler<ResourceID, KubernetesJobAutoScalerContext> create(
            KubernetesClient client,
            EventRecorder eventRecorder,
            ClusterResourceManager clusterResourceManager,
            PluginManager pluginManager) {
        return new NoopJobAutoscaler<>();
    }
}

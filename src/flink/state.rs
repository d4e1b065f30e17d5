//! Where Flink keeps the state of jobs: the settings and the volume that a profile's `flink.state` comes to, for a
//! session cluster and for an application alike. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::{State, StateBackend, StateVolume};

/// Where the volume is in each Flink container.
pub const STATE_DIR: &str = "/flink-data";
/// The folder of the node that [`StateVolume::Node`] is. `/var` of a node outlives its restarts.
pub const NODE_DIR: &str = "/var/lib/flink-dev/state";
/// Its mode: Flink's containers run as uid 9999, and each Flink cluster makes a folder of its own name in it.
pub const NODE_DIR_MODE: &str = "1777";

/// User and group of Flink's containers.
const FLINK_USER: u32 = 9999;
/// The name of the volume in pods.
const VOLUME: &str = "flink-state";
/// What a claim asks for; those who serve it by folders do not enforce it.
const CLAIM_SIZE: &str = "2Gi";

/// The settings of a Flink cluster of this name, for `spec.flinkConfiguration`. All jobs of it share them. The interval
/// of checkpoints is a job's, see [`of_jobs`].
pub fn of_cluster(state: &State, cluster: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: &str| {
        settings.insert(key.to_owned(), value.to_owned());
    };
    match state.backend {
        StateBackend::Hashmap => set("state.backend.type", "hashmap"),
        StateBackend::Rocksdb => {
            set("state.backend.type", "rocksdb");
            set("execution.checkpointing.incremental", "true");
        }
    }
    set("execution.checkpointing.num-retained", &state.retained.to_string());
    if state.volume != StateVolume::None {
        let folder = |name: &str| format!("file://{STATE_DIR}/{cluster}/{name}");
        set("execution.checkpointing.dir", &folder("checkpoints"));
        set("execution.checkpointing.savepoint-dir", &folder("savepoints"));
        // a job that is stopped to be changed goes on from them
        set(
            "execution.checkpointing.externalized-checkpoint-retention",
            "RETAIN_ON_CANCELLATION",
        );
        if state.high_availability {
            set("high-availability.type", "kubernetes");
            set("high-availability.storageDir", &folder("ha"));
        }
    }
    settings
}

/// The settings of a job that is meant to stay: over those of its session cluster, or beside those of its application.
pub fn of_jobs(state: &State) -> BTreeMap<String, String> {
    let interval = state.checkpoints_ms.map(|ms| format!("{ms} ms"));
    interval
        .map(|interval| ("execution.checkpointing.interval".to_owned(), interval))
        .into_iter()
        .collect()
}

/// Objects beside a `FlinkDeployment` in its namespace: the claim, if the volume is one.
pub fn objects(state: &State, namespace: &str) -> Vec<Value> {
    let Some(name) = claim(state) else { return Vec::new() };
    let mut claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            // clusters have one node, on which all pods may mount it
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": CLAIM_SIZE}},
        },
    });
    if let StateVolume::Class(class) = &state.volume {
        claim["spec"]["storageClassName"] = json!(class);
    }
    vec![claim]
}

/// Has every pod of a `FlinkDeployment` mount the volume; its image has to be set already. What its pod template has
/// of its own stays.
pub fn mount(state: &State, deployment: &mut Value) {
    let volume = match (&state.volume, claim(state)) {
        (StateVolume::None, _) => return,
        // one that is not there is an event of the pod, not a folder that only root may write
        (_, None) => json!({"name": VOLUME, "hostPath": {"path": NODE_DIR, "type": "Directory"}}),
        (_, Some(claim)) => json!({"name": VOLUME, "persistentVolumeClaim": {"claimName": claim}}),
    };
    let mount = json!({"name": VOLUME, "mountPath": STATE_DIR});
    let image = deployment["spec"]["image"].clone();
    let pod = &mut deployment["spec"]["podTemplate"]["spec"];
    push(&mut pod["volumes"], volume);
    let main = main_container(pod);
    push(&mut main["volumeMounts"], mount.clone());
    if claim(state).is_some() {
        // whoever serves a claim by a folder leaves it to root; TaskManagers come after the JobManager's pod
        let command = format!("chown {FLINK_USER}:{FLINK_USER} {STATE_DIR}");
        let owner = json!({
            "name": "flink-state-owner",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", command],
            "securityContext": {"runAsUser": 0},
            "volumeMounts": [mount],
        });
        let pod = &mut deployment["spec"]["jobManager"]["podTemplate"]["spec"];
        push(&mut pod["initContainers"], owner);
        main_container(pod);
    }
}

/// The name of the claim that the volume is; one of another class is another claim, as a claim cannot change its own.
fn claim(state: &State) -> Option<String> {
    match &state.volume {
        StateVolume::Node | StateVolume::None => None,
        StateVolume::DefaultClass => Some(VOLUME.to_owned()),
        StateVolume::Class(class) => Some(format!("{VOLUME}-{class}")),
    }
}

/// The container that Flink puts its process into; made if the template has none.
fn main_container(pod: &mut Value) -> &mut Value {
    const NAME: &str = "flink-main-container";
    let containers = &mut pod["containers"];
    let found = containers
        .as_array()
        .and_then(|all| all.iter().position(|c| c["name"] == NAME));
    let at = found.unwrap_or_else(|| push(containers, json!({"name": NAME})));
    &mut containers[at]
}

/// Adds an item to a list that may not be there yet; tells where it is.
fn push(list: &mut Value, item: Value) -> usize {
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(items) = list.as_array_mut() else { return 0 };
    items.push(item);
    items.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Value {
        json!({"spec": {
            "image": "flink:1",
            "podTemplate": {"spec": {"containers": [{"name": "flink-main-container", "env": []}]}},
            "jobManager": {"replicas": 1},
        }})
    }

    #[test]
    fn the_usual_state_is_in_a_folder_of_the_node() {
        let state = State::usual();
        let settings = of_cluster(&state, "session");
        assert_eq!(
            settings["execution.checkpointing.savepoint-dir"],
            "file:///flink-data/session/savepoints"
        );
        assert_eq!(settings["state.backend.type"], "hashmap");
        assert!(!settings.contains_key("high-availability.type"));
        assert_eq!(
            of_jobs(&state).into_iter().collect::<Vec<_>>(),
            [("execution.checkpointing.interval".to_owned(), "10000 ms".to_owned())]
        );
        assert_eq!(objects(&state, "flink"), Vec::<Value>::new());
        let mut object = deployment();
        mount(&state, &mut object);
        let pod = &object["spec"]["podTemplate"]["spec"];
        assert_eq!(
            pod["volumes"],
            json!([{"name": "flink-state", "hostPath": {"path": NODE_DIR, "type": "Directory"}}])
        );
        assert_eq!(
            pod["containers"],
            json!([{"name": "flink-main-container", "env": [],
                "volumeMounts": [{"name": "flink-state", "mountPath": "/flink-data"}]}])
        );
        assert_eq!(object["spec"]["jobManager"], json!({"replicas": 1}));
    }

    #[test]
    fn a_claim_is_made_over_to_flink() {
        let state = State {
            volume: StateVolume::Class("fast".into()),
            backend: StateBackend::Rocksdb,
            high_availability: true,
            ..State::usual()
        };
        let claim = &objects(&state, "jobs")[0];
        assert_eq!(
            claim["metadata"],
            json!({"name": "flink-state-fast", "namespace": "jobs"})
        );
        assert_eq!(claim["spec"]["storageClassName"], "fast");
        let mut object = deployment();
        mount(&state, &mut object);
        assert_eq!(
            object["spec"]["podTemplate"]["spec"]["volumes"][0]["persistentVolumeClaim"],
            json!({"claimName": "flink-state-fast"})
        );
        let pod = &object["spec"]["jobManager"]["podTemplate"]["spec"];
        assert_eq!(pod["initContainers"][0]["image"], "flink:1");
        assert_eq!(pod["containers"], json!([{"name": "flink-main-container"}]));
        let settings = of_cluster(&state, "app");
        assert_eq!(settings["high-availability.storageDir"], "file:///flink-data/app/ha");
        assert_eq!(settings["execution.checkpointing.incremental"], "true");
        let default = State {
            volume: StateVolume::DefaultClass,
            ..state
        };
        let claim = &objects(&default, "jobs")[0];
        assert_eq!(claim["metadata"]["name"], "flink-state");
        assert!(claim["spec"].get("storageClassName").is_none());
    }

    #[test]
    fn without_a_volume_nothing_is_mounted_and_no_folder_named() {
        let state = State {
            volume: StateVolume::None,
            checkpoints_ms: None,
            ..State::usual()
        };
        let mut object = deployment();
        mount(&state, &mut object);
        assert_eq!(object, deployment());
        assert!(!of_cluster(&state, "s").values().any(|v| v.contains("file:")));
        assert!(of_jobs(&state).is_empty());
    }
}

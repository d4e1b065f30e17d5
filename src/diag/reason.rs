//! The catalogue of reasons. Exit codes are grouped by layer, in tens; ids and codes are part of the interface and
//! never change their meaning.

use serde::{Serialize, Serializer};

/// One row of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Stable name, for scripts and searches.
    pub id: &'static str,
    /// The process's exit code.
    pub exit_code: u8,
    /// What it means.
    pub what: &'static str,
    /// What to do where the failure itself has no better advice.
    pub next: &'static str,
}

macro_rules! reasons {
    ($($name:ident, $id:literal, $code:literal, $what:literal, $next:literal;)*) => {
        /// Why something failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $what] $name,)*
        }

        impl Reason {
            /// The row of the catalogue.
            pub const fn entry(self) -> Entry {
                match self {
                    $(Self::$name => Entry { id: $id, exit_code: $code, what: $what, next: $next },)*
                }
            }
        }

        /// Every reason, in the order of the exit codes.
        pub const fn catalogue() -> &'static [Reason] {
            &[$(Reason::$name,)*]
        }
    };
}

reasons! {
    TestFailed, "TEST_FAILED", 1, "A test case did not give the expected records", "read the diff above, then run the case again";
    Usage, "USAGE", 2, "The command line is wrong", "dev --help";
    VerifyFailed, "VERIFY_FAILED", 3, "What was to be verified does not hold", "read the facts above";
    Internal, "INTERNAL", 10, "A defect of dev itself", "run again with -v and report what it prints";
    TimedOut, "TIMED_OUT", 11, "A step took longer than its bound", "dev status";
    FileUnreadable, "FILE_UNREADABLE", 20, "A file is missing or cannot be read", "check the path";
    ConfigInvalid, "CONFIG_INVALID", 21, "A profile is not valid", "dev schema profile";
    CaseInvalid, "CASE_INVALID", 22, "A test case is not valid", "dev schema case";
    SqlInvalid, "SQL_INVALID", 23, "A SQL script cannot be run as one job", "correct the script";
    RecordInvalid, "RECORD_INVALID", 24, "A record is not valid JSON", "correct the record";
    VersionUnknown, "VERSION_UNKNOWN", 25, "A version that dev does not know", "dev schema profile";
    JarInvalid, "JAR_INVALID", 26, "A jar cannot run on its image", "build the jar again, for the image's Java";
    ConnectorInvalid, "CONNECTOR_INVALID", 27, "A connector does not go with the image's Flink, or with another one", "dev image build --help";
    ProjectInvalid, "PROJECT_INVALID", 28, "A folder is no project that dev can build, or its jar cannot be told", "dev image build --jar FILE";
    MemoryShort, "MEMORY_SHORT", 30, "The machine has less memory than the profile needs", "dev up minimal";
    DiskShort, "DISK_SHORT", 31, "Too little free space", "docker system prune";
    PortInUse, "PORT_IN_USE", 32, "A local port is taken", "choose another port in the profile, or `auto`";
    ToolMissing, "TOOL_MISSING", 33, "A program is missing", "dev doctor --fix";
    ToolTooOld, "TOOL_TOO_OLD", 34, "A program is too old", "dev doctor --fix";
    ToolFailed, "TOOL_FAILED", 35, "A program ended with an error", "read its output above";
    CureFailed, "CURE_FAILED", 36, "A cure of the doctor did not work", "dev doctor";
    NotReady, "MACHINE_NOT_READY", 37, "The machine lacks something that dev needs", "dev doctor --fix";
    EngineUnreachable, "ENGINE_UNREACHABLE", 40, "No Docker engine answers", "dev doctor --fix";
    EnginePermission, "ENGINE_PERMISSION", 41, "The Docker engine's socket may not be opened", "add yourself to the group `docker`, or use a rootless engine";
    EngineError, "ENGINE_ERROR", 42, "The Docker engine answered with an error", "dev doctor";
    ImageBuildFailed, "IMAGE_BUILD_FAILED", 50, "An image could not be built", "read the build's log above";
    ImagePullFailed, "IMAGE_PULL_FAILED", 51, "An image could not be pulled", "set `images.source: packages` in the profile";
    ImageLoadFailed, "IMAGE_LOAD_FAILED", 52, "An image could not be brought into the node", "dev up";
    ImageUnavailable, "IMAGE_UNAVAILABLE", 53, "An image cannot be had from the chosen source", "set `images.source: auto` in the profile";
    ProjectBuildFailed, "PROJECT_BUILD_FAILED", 54, "A Maven or Gradle project does not build", "correct what the build's output says";
    ConnectorUnavailable, "CONNECTOR_UNAVAILABLE", 55, "A connector cannot be had from the Maven repository", "give its file with --lib";
    ImageInUse, "IMAGE_IN_USE", 59, "An image that is to be removed is in use", "delete what uses it, or give --force";
    ClusterCreateFailed, "CLUSTER_CREATE_FAILED", 60, "The cluster could not be created", "dev doctor";
    ClusterNotFound, "CLUSTER_NOT_FOUND", 61, "There is no such cluster", "dev up";
    ClusterUnreachable, "CLUSTER_UNREACHABLE", 62, "The cluster's API server does not answer", "dev status";
    ClusterForeign, "CLUSTER_FOREIGN", 63, "A cluster of that name was not made by dev", "choose another `name` in the profile";
    ClusterDeleteFailed, "CLUSTER_DELETE_FAILED", 64, "The cluster could not be deleted", "dev down";
    ApplyFailed, "APPLY_FAILED", 70, "The API server refused an object", "dev status";
    ComponentNotReady, "COMPONENT_NOT_READY", 71, "A component did not become ready", "dev status";
    JobSubmitFailed, "JOB_SUBMIT_FAILED", 80, "Flink refused the job", "correct the script";
    JobFailed, "JOB_FAILED", 81, "The job failed while running", "dev status";
    FlinkUnreachable, "FLINK_UNREACHABLE", 82, "Flink's REST interface does not answer", "dev status";
    SessionNotFound, "SESSION_NOT_FOUND", 83, "There is no such session cluster", "dev status";
    JobUnknown, "JOB_UNKNOWN", 84, "There is no such job", "dev job ls";
    JobExists, "JOB_EXISTS", 85, "A job of that name is there already", "dev job ls";
    SlotsShort, "SLOTS_SHORT", 86, "There is no room for the job's tasks", "dev job ls";
    ConnectorMissing, "CONNECTOR_MISSING", 87, "The session image lacks a connector that the script uses", "use another connector";
    StatePathMissing, "STATE_PATH_MISSING", 88, "Flink has no place for its state", "set `session.config` in the profile";
    DeploymentUnknown, "DEPLOYMENT_UNKNOWN", 89, "There is no such FlinkDeployment", "kubectl get flinkdeployments -A";
    KafkaUnreachable, "KAFKA_UNREACHABLE", 90, "The Kafka broker does not answer", "dev status";
    KafkaError, "KAFKA_ERROR", 91, "The Kafka broker answered with an error", "dev status";
    TopicUnknown, "TOPIC_UNKNOWN", 92, "There is no such topic", "dev topic ls";
    TopicExists, "TOPIC_EXISTS", 93, "A topic of that name is there already", "dev topic ls";
    RegistryUnreachable, "REGISTRY_UNREACHABLE", 94, "The schema registry does not answer", "dev status";
    RegistryError, "REGISTRY_ERROR", 95, "The schema registry answered with an error", "read its words above";
    Interrupted, "INTERRUPTED", 130, "Interrupted by the user", "dev up";
    Terminated, "TERMINATED", 143, "Ended by a signal", "dev up";
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.entry().id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_exit_codes_are_unique() {
        let mut ids: Vec<_> = catalogue().iter().map(|r| r.entry().id).collect();
        let mut codes: Vec<_> = catalogue().iter().map(|r| r.entry().exit_code).collect();
        ids.sort_unstable();
        codes.sort_unstable();
        let (all_ids, all_codes) = (ids.len(), codes.len());
        ids.dedup();
        codes.dedup();
        assert_eq!((ids.len(), codes.len()), (all_ids, all_codes));
        assert!(!codes.contains(&0), "a failure never ends with success");
    }
}

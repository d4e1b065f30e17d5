//! What users write: profiles (what an environment holds) and test cases. Parsed with positions, layered, checked as
//! a whole before anything is created.

mod addresses;
mod avro_draft;
mod case;
mod check;
pub(crate) mod csv;
mod decode;
mod find;
mod flow;
mod hook;
mod json;
mod layer;
mod load;
mod load_case;
mod mismatch;
mod pack;
mod profile;
mod program;
mod raw_case;
mod raw_profile;
mod raw_steps;
mod records;
mod schema;
mod skeleton;
mod source;
mod steps;
mod template;
#[cfg(test)]
mod tests;
mod topic;
mod units;
mod update;
mod words;
mod yaml;

pub use addresses::{Addresses, REGISTRY_URL, lacking};
pub use case::{Case, Expectation, Fields, Forbidden, Given, Match, Record, RecordFormat};
pub use check::{FLINK, KAFKA, KUBERNETES, OPERATOR, SCHEMA_REGISTRY};
pub use find::{CASE_SUFFIX, find_cases};
pub use hook::{Collect, Hook, HookAction};
pub use json::{Json, Number};
pub(crate) use json::{quoted, write_list, write_map};
pub use load::{PROFILE_FILE, ProfileSource, SHIPPED};
pub use pack::Records;
pub use profile::{
    CertManager, ClusterSpec, FlinkSpec, ImageSource, Images, Kafka, Operator, Port, Profile, Resources,
    SchemaRegistry, Session, State, StateBackend, StateVolume, Webhook,
};
pub use program::{CaseProgram, JarFrom};
pub(crate) use records::{FORMS, bytes, text_of};
pub use schema::{case_schema, profile_schema};
pub(crate) use source::{Place, Source};
pub use steps::{Action, Fact, Feed, JobExpectation, JobState, Need, Part, Restart, Step};
pub use topic::TopicTable;
pub use units::parse_duration;
pub use update::{Rewrite, rewritten};
pub use words::nearest;

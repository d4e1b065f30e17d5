//! Flink jobs: a SQL script as a `FlinkSessionJob`, followed to RUNNING and watched for failures, and Flink's own
//! REST interface, through the API server's proxy.

mod deployment;
#[cfg(test)]
pub(crate) mod fake;
mod job;
mod observe;
mod refusal;
mod remove;
mod rest;
pub mod state;

pub use deployment::Deployment;
pub use job::{JobSpec, SessionJob, UpgradeMode};
pub use observe::{JobDetails, Phase, root_cause};
pub use refusal::{Refusal, refusal};
pub(crate) use remove::ENDED;
pub use remove::list_jobs;
pub use rest::Rest;

#[cfg(test)]
mod tests;

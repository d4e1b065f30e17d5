//! Flink jobs: a program as a `FlinkSessionJob` or as an application of its own, followed to RUNNING and watched for
//! failures, and Flink's own REST interface, through the API server's proxy.

mod application;
mod deployment;
#[cfg(test)]
pub(crate) mod fake;
mod follow;
mod job;
mod observe;
mod program;
mod refusal;
mod remove;
mod rest;
mod settings;
pub mod state;

pub use application::Application;
pub use deployment::Deployment;
pub use follow::Followed;
pub use job::{JobSpec, SessionJob, UpgradeMode};
pub use observe::{JobDetails, Phase, root_cause};
pub use program::{Program, SQL_RUNNER, runner_args};
pub use refusal::{Refusal, refusal};
pub(crate) use remove::ENDED;
pub use remove::list_jobs;
pub use rest::{Rest, percent_encoded};
pub use settings::{CHECKPOINTS, SAVEPOINTS, Settings};

#[cfg(test)]
mod tests;

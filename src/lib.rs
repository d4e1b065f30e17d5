//! `dev` takes a machine from nothing to a verdict: a local Kubernetes cluster with the Flink operator and Kafka,
//! SQL jobs on it, and tests of those jobs with records in and records out.
//!
//! Data flows one way: arguments -> [`config`] -> observation -> [`plan`] (pure) -> [`engine`] -> [`event`]s ->
//! renderers -> exit code. The library never prints and never reads the process's environment: [`cli`] prints, and
//! [`env::Env`] holds what was read. `docs/architecture.md` is the map of the code.

pub mod avro;
pub mod cli;
pub mod cluster;
pub mod component;
pub mod config;
pub mod container;
pub mod diag;
pub mod doctor;
pub mod e2e;
pub mod engine;
pub mod env;
pub mod environment;
pub mod event;
pub mod flink;
pub mod image;
pub mod job;
pub mod kafka;
pub mod kube;
pub mod plan;
pub mod process;
pub mod schema_registry;
pub mod sql;
pub mod sqlsession;
pub mod watch;

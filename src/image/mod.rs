//! The images of an environment: where they come from, how they are made, and how they get into a node.

pub mod app;
mod base;
pub mod connector;
mod decide;
mod embedded;
mod host;
pub mod inputs;
pub mod jar;
mod kind_tool;
mod load;
mod make;
mod manifests;
mod maven;
pub mod project;
#[cfg(test)]
mod real_tests;
mod recipe;
mod resolve;
mod store;
#[cfg(test)]
mod testing;

pub use decide::Action;
pub use kind_tool::kind_tool;
pub use load::{LoadReport, MOUNTED_BLOBS, blobs_dir, load, missing_in_node};
pub use make::steps;
pub use manifests::{cert_manager_images, cert_manager_manifests, operator_crds};
pub use recipe::{INPUTS_LABEL, Names, Recipe, Recipes, is_own};
pub use resolve::{CrdSource, PlannedImage, Resolved, resolve};

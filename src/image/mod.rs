//! The images of an environment: where they come from, how they are made, and how they get into a node.

pub mod app;
mod base;
mod bounds;
mod bring;
pub mod connector;
mod containerd;
mod decide;
mod dockerfile;
mod embedded;
mod host;
pub mod inputs;
mod inventory;
pub mod jar;
mod kind_tool;
mod load;
mod make;
mod manifests;
mod maven;
pub mod project;
mod push;
#[cfg(test)]
mod real_tests;
mod recipe;
mod resolve;
mod store;
#[cfg(test)]
mod testing;

pub use app::APP_LABEL;
pub use bring::{Brought, bring};
pub use decide::Action;
pub use dockerfile::{BuiltImage, Dockerfile, build};
pub use inventory::{
    Inventory, Item, Place, Plan as PrunePlan, Removed, Row, Thing, cache_cap, carry_out, remove, rows,
};
pub use kind_tool::kind_tool;
pub use load::{LoadReport, MOUNTED_BLOBS, blobs_dir, load, missing_in_node};
pub use make::steps;
pub use manifests::{cert_manager_images, cert_manager_manifests, operator_crds};
pub use recipe::{INPUTS_LABEL, Names, Recipe, Recipes, is_own};
pub use resolve::{CrdSource, PlannedImage, Resolved, resolve};
pub(crate) use store::{lock_in, locks_dir};

/// Whether a tag is one that was taken from an image's content.
fn is_content_tag(tag: &str) -> bool {
    tag.len() == 12 && tag.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

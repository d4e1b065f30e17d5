//! On a real Docker engine and a real cluster: `cargo test --release --test it real:: -- --ignored --test-threads=1`.
//! Each scenario sees to what it needs, so they run in any order. A cluster takes half a minute: those that take it down
//! are in `from_nothing`, whose last one, in the order of their names, leaves one that all after it use.

mod applications;
mod authoring;
mod examples;
mod faults;
mod from_nothing;
mod images;
mod jobs;
mod lifecycle;
mod machine;
mod mutants;
mod python;
mod registry;
mod state;
mod steps;
mod topics;
mod user_images;
mod verify;
mod watching;

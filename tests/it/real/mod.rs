//! On a real Docker engine and a real cluster: `cargo test --release --test it real:: -- --ignored --test-threads=1`.
//! Each scenario sees to what it needs (`dev up` is quick where everything is up), so they run in any order.

mod applications;
mod cases;
mod examples;
mod images;
mod jobs;
mod kill;
mod lifecycle;
mod machine;
mod python;
mod state;
mod steps;
mod topics;
mod user_images;

//! A node's containerd, spoken to at its own socket instead of by programs in the node: a look costs a millisecond, not
//! the start of a program in a container. It can be had only where this machine is the node's, and by a user who may
//! look into its processes; everyone else goes by `ctr` in the node. Both ways hold the same lock and leave the same.

mod blob;
mod check;
mod client;
#[cfg(all(test, target_os = "linux"))]
pub(in crate::image) mod fake;
mod lay;
mod lock;
mod look;
mod node;
#[cfg_attr(not(target_os = "linux"), path = "reach_not.rs")]
mod reach;
mod settings;
mod unpack;
mod wire;
mod work;

pub(in crate::image) use self::blob::Bytes;
pub(in crate::image) use self::check::Expected;
pub(in crate::image) use self::client::Refused;
pub(in crate::image) use self::node::{Node, open};
pub(in crate::image) use self::settings::SETTINGS;
pub(in crate::image) use self::work::{Manifest, Work};

//! Messages of containerd's API and of the kubelet's image service, by hand: no more fields than are used here. Numbers
//! never change within a version of such an API; what is left out is passed over when it is read.

pub(super) mod containers;
pub(super) mod content;
pub(super) mod cri;
pub(super) mod diff;
pub(super) mod images;
pub(super) mod leases;
pub(super) mod snapshots;
pub(super) mod types;
pub(super) mod version;

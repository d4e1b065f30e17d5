//! Local ports.

use crate::config::Port;
use crate::diag::{Failure, Reason, Result};

/// A local port for the cluster: the profile's, or one that is free now.
///
/// # Errors
/// [`Reason::PortInUse`] if the profile's port is taken.
pub fn free_port(port: Port) -> Result<u16> {
    let wanted = match port {
        Port::Auto => 0,
        Port::Fixed(number) => number,
    };
    let listener = std::net::TcpListener::bind(("127.0.0.1", wanted))
        .map_err(|e| Failure::new(Reason::PortInUse, format!("port {wanted} of 127.0.0.1 is in use")).cause(&e))?;
    listener
        .local_addr()
        .map(|a| a.port())
        .map_err(|e| Failure::new(Reason::PortInUse, "no free port").cause(&e))
}

//! Whether local ports are free, and who holds one that is not.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// A local port that the profile asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortFact {
    /// What it is for.
    pub(super) purpose: &'static str,
    /// Its number.
    pub(super) port: u16,
    /// Why it cannot be had; `None` if it is free.
    pub(super) taken: Option<String>,
}

/// Tries a port on the loopback address.
pub(super) fn probe(purpose: &'static str, port: u16) -> PortFact {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .err()
        .map(|e| match e.kind() {
            std::io::ErrorKind::AddrInUse => holder(Path::new("/proc"), port).map_or_else(
                || "another process listens there".to_owned(),
                |who| format!("{who} listens there"),
            ),
            _ => e.to_string(),
        });
    PortFact { purpose, port, taken }
}

/// The process that listens at a port: `NAME (pid N)`; `None` where `/proc` is absent or closed to this user.
fn holder(proc: &Path, port: u16) -> Option<String> {
    let inodes: Vec<String> = ["net/tcp", "net/tcp6"]
        .iter()
        .filter_map(|table| fs_err::read_to_string(proc.join(table)).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    fs_err::read_dir(proc).ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = fs_err::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|f| {
            std::fs::read_link(f.path()).is_ok_and(|to| inodes.iter().any(|i| to.as_os_str() == i.as_str()))
        })?;
        let name = fs_err::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("{} (pid {pid})", name.trim()))
    })
}

/// Inodes of the sockets that listen at a port, from the kernel's table (`proc_net_tcp`).
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == LISTEN;
            listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_found_with_its_holder() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = probe("Kafka", port).taken.unwrap();
        if cfg!(target_os = "linux") {
            assert!(taken.contains(&format!("(pid {})", std::process::id())), "{taken}");
        }
        drop(listener);
        assert_eq!(probe("Kafka", port).taken, None);
    }

    #[test]
    fn only_listening_sockets_of_that_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:756C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n   \
            1: 0100007F:756C 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n   \
            2: 0100007F:756D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0\n";
        assert_eq!(listening(table, 30060), ["4711"]);
        assert!(listening(table, 9092).is_empty());
    }
}

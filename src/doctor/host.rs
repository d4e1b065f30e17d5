//! What the kernel and the system tell about this machine. Read from `/proc` and `/etc`; where those are missing
//! (macOS) a fact is `None`, and the engine's own numbers count: there it runs in a virtual machine anyway.

use std::path::{Path, PathBuf};

/// The capabilities of Linux by number, as in `linux/capability.h`.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Facts about this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// The kernel's release, as `uname -r` shows it.
    pub(super) kernel: Option<String>,
    /// Whether packages come by `apt-get` from Debian or one of its descendants.
    pub(super) debian: bool,
    /// Whether this process is root.
    pub(super) root: bool,
    /// Whether systemd manages the services (`sd_booted(3)`).
    pub(super) systemd: bool,
    /// Whether this is macOS.
    pub(super) macos: bool,
    /// Whether AppArmor is on, so that dockerd needs its parser.
    pub(super) apparmor: bool,
    /// Capabilities that processes of this machine cannot have.
    pub(super) denied: Vec<String>,
    /// `MemTotal` in MiB.
    pub(super) memory_mib: Option<u64>,
    /// `MemAvailable` in MiB.
    pub(super) available_mib: Option<u64>,
    /// CPUs that this process may use.
    pub(super) cpus: Option<u64>,
    /// `fs.inotify.max_user_instances`.
    pub(super) inotify_instances: Option<u64>,
    /// `fs.inotify.max_user_watches`.
    pub(super) inotify_watches: Option<u64>,
    /// Hard limit of open files of this process.
    pub(super) open_files: Option<u64>,
}

impl Host {
    /// Reads the facts below `root` (`/`, or a recorded tree in tests).
    pub(super) fn read(root: &Path) -> Self {
        let text = |path: &str| fs_err::read_to_string(root.join(path)).ok();
        let number = |path: &str| text(path)?.trim().parse().ok();
        let memory = text("proc/meminfo").unwrap_or_default();
        Self {
            kernel: text("proc/sys/kernel/osrelease").map(|t| t.trim().to_owned()),
            debian: text("etc/os-release").is_some_and(|t| is_debian(&t)),
            root: nix::unistd::geteuid().is_root(),
            systemd: root.join("run/systemd/system").is_dir(),
            macos: cfg!(target_os = "macos"),
            apparmor: text("sys/module/apparmor/parameters/enabled").is_some_and(|t| t.trim() == "Y"),
            denied: denied_of(root, "self").unwrap_or_default(),
            memory_mib: meminfo_mib(&memory, "MemTotal"),
            available_mib: meminfo_mib(&memory, "MemAvailable"),
            cpus: std::thread::available_parallelism().ok().map(|n| n.get() as u64),
            inotify_instances: number("proc/sys/fs/inotify/max_user_instances"),
            inotify_watches: number("proc/sys/fs/inotify/max_user_watches"),
            open_files: open_files_of(root, "self"),
        }
    }

    /// Whether programs of this machine can be installed and services started by us.
    pub(super) fn curable(&self) -> bool {
        self.root && self.debian
    }

    /// What to put before a command for root.
    pub(super) fn sudo(&self) -> &'static str {
        if self.root { "" } else { "sudo " }
    }
}

/// The capabilities that a process cannot have and the kernel knows; `None` if its `/proc` entry cannot be read.
/// `process` is a pid or `self`.
pub(super) fn denied_of(root: &Path, process: &str) -> Option<Vec<String>> {
    let status = fs_err::read_to_string(root.join("proc").join(process).join("status")).ok()?;
    let last = fs_err::read_to_string(root.join("proc/sys/kernel/cap_last_cap")).ok()?;
    denied(&status, last.trim().parse().ok()?)
}

/// Hard limit of open files of a process; `None` if unknown, the largest number if there is none.
pub(super) fn open_files_of(root: &Path, process: &str) -> Option<u64> {
    hard_open_files(&fs_err::read_to_string(root.join("proc").join(process).join("limits")).ok()?)
}

/// Path of the system's CA bundle: the one named by `SSL_CERT_FILE`, else where distributions keep it.
pub(super) fn ca_bundle(named: Option<&str>) -> Option<PathBuf> {
    const PLACES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    named.map_or_else(
        || PLACES.iter().map(PathBuf::from).find(|p| p.is_file()),
        |path| Some(PathBuf::from(path)),
    )
}

fn is_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|l| l.strip_prefix("ID=").or_else(|| l.strip_prefix("ID_LIKE=")))
        .flat_map(|v| v.trim_matches('"').split_whitespace())
        .any(|id| id == "debian" || id == "ubuntu")
}

fn denied(status: &str, last: usize) -> Option<Vec<String>> {
    let mask = status.lines().find_map(|l| l.strip_prefix("CapBnd:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    let name = |n: usize| {
        CAPABILITIES
            .get(n)
            .map_or_else(|| format!("CAP_{n}"), |name| format!("CAP_{name}"))
    };
    Some((0..=last.min(63)).filter(|n| mask >> n & 1 == 0).map(name).collect())
}

fn meminfo_mib(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib / 1024)
}

fn hard_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|l| l.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_one_capability() {
        let status = "Name:\tdev\nCapEff:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\nCapAmb:\t0000000000000000\n";
        assert_eq!(denied(status, 40).unwrap(), ["CAP_SYS_RESOURCE"]);
        let full = status.replace("1fffeffffff", "1ffffffffff");
        assert!(denied(&full, 40).unwrap().is_empty());
        assert_eq!(
            denied(&full, 41).unwrap(),
            ["CAP_41"],
            "a capability newer than our table is still counted"
        );
        assert_eq!(denied("Name:\tdev\n", 40), None);
    }

    #[test]
    fn memory_and_limits() {
        let meminfo = "MemTotal:       24684084 kB\nMemFree:        21978112 kB\nMemAvailable:   23609344 kB\n";
        assert_eq!(meminfo_mib(meminfo, "MemTotal"), Some(24105));
        assert_eq!(meminfo_mib(meminfo, "MemAvailable"), Some(23056));
        assert_eq!(meminfo_mib(meminfo, "Mem"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 20000                files     \n";
        assert_eq!(hard_open_files(limits), Some(20000));
        assert_eq!(hard_open_files(&limits.replace("20000", "unlimited")), Some(u64::MAX));
    }

    #[test]
    fn descendants_of_debian_are_known() {
        assert!(is_debian("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID=pop\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nPRETTY_NAME=\"not debian\"\n"));
    }

    #[test]
    fn a_recorded_machine() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write("proc/sys/kernel/osrelease", "6.18.44\n");
        write("proc/sys/kernel/cap_last_cap", "40\n");
        write("proc/self/status", "CapBnd:\t000001ffffffffff\n");
        write("proc/sys/fs/inotify/max_user_instances", "128\n");
        write("etc/os-release", "ID=debian\n");
        let host = Host::read(dir.path());
        assert_eq!(host.kernel.as_deref(), Some("6.18.44"));
        assert_eq!((host.inotify_instances, host.inotify_watches), (Some(128), None));
        assert!(host.debian && !host.systemd && !host.apparmor && host.denied.is_empty());
    }

    #[test]
    fn a_named_bundle_wins() {
        assert_eq!(ca_bundle(Some("/tmp/mine.pem")), Some(PathBuf::from("/tmp/mine.pem")));
    }
}

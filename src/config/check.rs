//! Checks a profile as a whole and makes the resolved model of it. What is found here is found before anything is
//! created.

use std::collections::BTreeMap;

use super::profile::{
    CertManager, ClusterSpec, FlinkSpec, ImageSource, Images, Kafka, Operator, Profile, Resources, SchemaRegistry,
    Session, State, StateVolume, Webhook,
};
use super::raw_profile::{RawProfile, RawResources, RawState};
use super::source::Place;
use super::topic::{TopicTable, topics};
use super::units::Setting;
use super::words::{listed, nearest};
use super::yaml::Node;
use crate::diag::{Failure, Reason, Result};

/// Versions of Kubernetes for which a node can be built from packages.
pub const KUBERNETES: [&str; 1] = ["1.34.4"];
/// Versions of Flink that `dev` knows.
pub const FLINK: [&str; 1] = ["2.2.1"];
/// Versions of Kafka that `dev` knows.
pub const KAFKA: [&str; 1] = ["4.1.1"];
/// Versions of the schema registry that `dev` knows.
pub const SCHEMA_REGISTRY: [&str; 1] = ["3.0.9"];
/// Versions of the Flink Kubernetes operator that `dev` knows.
pub const OPERATOR: [&str; 1] = ["1.16.1"];

/// The longest name of a cluster: kind's node is `NAME-control-plane`, and a host name has 63 characters at most.
const LONGEST_NAME: usize = 30;
/// The longest name of a Flink cluster that Flink's Kubernetes integration takes.
const LONGEST_SESSION: usize = 45;
/// The longest DNS label (RFC 1123).
const LONGEST_LABEL: usize = 63;

/// Below that a JobManager has no heap left: 256 MiB of metaspace, 192 of overhead and 128 of off-heap memory are
/// Flink's defaults, and it warns below 128 of heap.
const LEAST_JOB_MANAGER: u64 = 704;
/// Below that a TaskManager does not start: metaspace 256, overhead 192, framework heap and off-heap 128 each,
/// network 64, all in MiB.
const LEAST_TASK_MANAGER: u64 = 768;
/// Below that the broker's heap is too small to start.
const LEAST_KAFKA: u64 = 384;
/// Below that the schema registry's classes and threads leave no heap.
const LEAST_SCHEMA_REGISTRY: u64 = 384;

/// The shortest interval of checkpoints in ms that Flink takes.
const LEAST_INTERVAL: u128 = 10;

struct Checker<'a> {
    tree: &'a Node,
}

/// The resolved profile.
pub(super) fn profile(raw: RawProfile, tree: &Node) -> Result<Profile> {
    let checker = Checker { tree };
    checker.names(&raw)?;
    checker.versions(&raw)?;
    checker.images(&raw)?;
    checker.webhook(&raw)?;
    checker.numbers(&raw)?;
    checker.state(&raw)?;
    let mut raw = raw;
    let topics = topics(std::mem::take(&mut raw.topics), tree)?;
    Ok(resolved(raw, topics))
}

impl Checker<'_> {
    fn wrong(&self, path: &str, message: impl Into<String>) -> Failure {
        self.place(path).failure(Reason::ConfigInvalid, message)
    }

    fn place(&self, path: &str) -> &Place {
        self.tree.locate(path)
    }

    fn names(&self, raw: &RawProfile) -> Result<()> {
        self.label("name", &raw.name, LONGEST_NAME)?;
        self.label("operator.namespace", &raw.operator.namespace, LONGEST_LABEL)?;
        self.label("kafka.namespace", &raw.kafka.namespace, LONGEST_LABEL)?;
        self.label("session.namespace", &raw.session.namespace, LONGEST_LABEL)?;
        self.label("session.name", &raw.session.name, LONGEST_SESSION)
    }

    fn label(&self, path: &str, value: &str, longest: usize) -> Result<()> {
        if is_label(value) && value.len() <= longest {
            return Ok(());
        }
        let length = value.chars().count();
        let message = if length > longest {
            format!("`{value}` is too long for `{path}`: {length} characters, at most {longest}")
        } else {
            format!("`{value}` is no name for `{path}`: small letters, digits and `-`, a letter first and no `-` last")
        };
        let like: String = value
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect::<String>()
            .trim_start_matches(|c: char| !c.is_ascii_alphabetic())
            .chars()
            .take(longest)
            .collect();
        let like = like.trim_end_matches('-');
        let failure = self.wrong(path, message);
        Err(if like.is_empty() {
            failure
        } else {
            failure.next(format!("for example `{like}`"))
        })
    }

    fn versions(&self, raw: &RawProfile) -> Result<()> {
        self.known("flink.version", "Flink", &raw.flink.version, &FLINK)?;
        self.known("kafka.version", "Kafka", &raw.kafka.version, &KAFKA)?;
        self.known(
            "schema_registry.version",
            "the schema registry (Apicurio Registry)",
            &raw.schema_registry.version,
            &SCHEMA_REGISTRY,
        )?;
        self.known(
            "operator.version",
            "the Flink Kubernetes operator",
            &raw.operator.version,
            &OPERATOR,
        )?;
        // a registry has node images of every version, packages were tried with some only
        if raw.images.source != ImageSource::Registry || !is_version(&raw.cluster.kubernetes) {
            self.known("cluster.kubernetes", "Kubernetes", &raw.cluster.kubernetes, &KUBERNETES)?;
        }
        let cert_manager = plain(&raw.cert_manager.version);
        if cert_manager == "newest" || is_version(cert_manager) {
            return Ok(());
        }
        Err(self
            .place("cert_manager.version")
            .failure(
                Reason::VersionUnknown,
                format!("`{cert_manager}` is no version of cert-manager"),
            )
            .next("write `newest`, or a version like `1.18.2`"))
    }

    fn known(&self, path: &str, what: &str, version: &str, known: &[&str]) -> Result<()> {
        if known.contains(&plain(version)) {
            return Ok(());
        }
        let hint = nearest(plain(version), known.iter().copied()).unwrap_or(known[0]);
        Err(self
            .place(path)
            .failure(
                Reason::VersionUnknown,
                format!(
                    "dev does not know version `{version}` of {what}, only {}",
                    listed(known.iter().copied())
                ),
            )
            .next(format!("set `{path}: {hint}`")))
    }

    fn images(&self, raw: &RawProfile) -> Result<()> {
        let Some(mirror) = &raw.images.mirror else {
            return Ok(());
        };
        if raw.images.source == ImageSource::Packages {
            return Err(self
                .wrong(
                    "images.mirror",
                    "`images.mirror` is of no use with `images.source: packages`",
                )
                .next("remove `images.mirror`, or set `images.source: auto`"));
        }
        if let Some((scheme, rest)) = mirror.split_once("://") {
            return Err(self
                .wrong(
                    "images.mirror",
                    format!("`images.mirror` is a registry's name, without `{scheme}://`"),
                )
                .next(format!("set `images.mirror: {}`", rest.trim_end_matches('/'))));
        }
        let good = |c: char| c.is_ascii_alphanumeric() || ".-_:/".contains(c);
        if mirror.is_empty() || !mirror.chars().all(good) || mirror.starts_with('/') || mirror.ends_with('/') {
            return Err(self.wrong(
                "images.mirror",
                format!("`{mirror}` is not of the form `HOST[:PORT][/PREFIX]`"),
            ));
        }
        Ok(())
    }

    fn webhook(&self, raw: &RawProfile) -> Result<()> {
        if raw.operator.webhook == Webhook::On && !raw.cert_manager.enabled {
            return Err(self
                .wrong(
                    "operator.webhook",
                    "`operator.webhook: on` needs cert-manager, and `cert_manager.enabled` is false",
                )
                .evidence(self.place("cert_manager.enabled").named_excerpt())
                .next("set `cert_manager.enabled: true`, or `operator.webhook: auto`"));
        }
        Ok(())
    }

    fn numbers(&self, raw: &RawProfile) -> Result<()> {
        let session = &raw.session;
        self.memory(
            "session.job_manager.memory",
            session.job_manager.memory.0,
            LEAST_JOB_MANAGER,
        )?;
        self.memory(
            "session.task_manager.memory",
            session.task_manager.memory.0,
            LEAST_TASK_MANAGER,
        )?;
        self.memory("kafka.memory", raw.kafka.memory.0, LEAST_KAFKA)?;
        self.memory(
            "schema_registry.memory",
            raw.schema_registry.memory.0,
            LEAST_SCHEMA_REGISTRY,
        )?;
        self.cpu("session.job_manager.cpu", session.job_manager.cpu)?;
        self.cpu("session.task_manager.cpu", session.task_manager.cpu)?;
        self.count("session.slots", session.slots, 1, 128)?;
        self.count("session.task_managers", session.task_managers, 1, 64)
    }

    fn state(&self, raw: &RawProfile) -> Result<()> {
        let state = &raw.flink.state;
        self.count("flink.state.retained", state.retained, 1, 1000)?;
        // Flink refuses an interval below that
        if state
            .checkpoints
            .0
            .is_some_and(|every| every.as_millis() < LEAST_INTERVAL)
        {
            return Err(self
                .wrong(
                    "flink.state.checkpoints",
                    format!("Flink takes no checkpoints more often than each {LEAST_INTERVAL}ms"),
                )
                .next("set `flink.state.checkpoints: 10s`, or `off`"));
        }
        if state.high_availability && state.volume.0 == StateVolume::None {
            return Err(self
                .wrong(
                    "flink.state.high_availability",
                    "`flink.state.high_availability` needs a volume, and `flink.state.volume` is none",
                )
                .evidence(self.place("flink.state.volume").named_excerpt())
                .next("set `flink.state.volume: node`"));
        }
        Ok(())
    }

    fn memory(&self, path: &str, mib: u64, least: u64) -> Result<()> {
        if mib >= least {
            return Ok(());
        }
        let message = format!("`{path}` is {mib}m, and what it is for does not run with less than {least}m");
        Err(self
            .wrong(path, message)
            .next(format!("set `{path}: {least}m` or more")))
    }

    fn cpu(&self, path: &str, cpu: f64) -> Result<()> {
        if (0.01..=64.0).contains(&cpu) {
            return Ok(());
        }
        Err(self.wrong(path, format!("`{path}` is {cpu}, expected a number from 0.01 to 64")))
    }

    fn count(&self, path: &str, number: u32, least: u32, most: u32) -> Result<()> {
        if (least..=most).contains(&number) {
            return Ok(());
        }
        Err(self.wrong(
            path,
            format!("`{path}` is {number}, expected a whole number from {least} to {most}"),
        ))
    }
}

/// Whether it is a DNS label of RFC 1035, which every object of Kubernetes and Docker takes as its name.
pub(super) fn is_label(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.len() <= LONGEST_LABEL
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A version without the `v` that some write before it.
fn plain(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = plain(text).split('.').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
}

fn settings(raw: BTreeMap<String, Setting>) -> BTreeMap<String, String> {
    raw.into_iter().map(|(key, Setting(value))| (key, value)).collect()
}

fn resources(raw: &RawResources) -> Resources {
    Resources {
        memory_mib: raw.memory.0,
        cpu: raw.cpu,
    }
}

fn state(raw: RawState) -> State {
    let every = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    State {
        backend: raw.backend,
        checkpoints_ms: raw.checkpoints.0.map(every),
        retained: raw.retained,
        high_availability: raw.high_availability,
        volume: raw.volume.0,
    }
}

fn resolved(raw: RawProfile, topics: Vec<TopicTable>) -> Profile {
    let RawProfile {
        name,
        cluster,
        images,
        cert_manager,
        operator,
        kafka,
        schema_registry,
        flink,
        session,
        ..
    } = raw;
    let newest = plain(&cert_manager.version) == "newest";
    Profile {
        name,
        cluster: ClusterSpec {
            kubernetes: plain(&cluster.kubernetes).to_owned(),
            timeout_s: cluster.timeout.0.as_secs().max(1),
        },
        images: Images {
            source: images.source,
            mirror: images.mirror,
        },
        cert_manager: CertManager {
            enabled: cert_manager.enabled,
            version: if newest {
                String::new()
            } else {
                plain(&cert_manager.version).to_owned()
            },
        },
        operator: Operator {
            version: plain(&operator.version).to_owned(),
            webhook: operator.webhook,
            namespace: operator.namespace,
            config: settings(operator.config),
        },
        kafka: Kafka {
            enabled: kafka.enabled,
            version: plain(&kafka.version).to_owned(),
            namespace: kafka.namespace,
            port: kafka.port.0,
            memory_mib: kafka.memory.0,
        },
        schema_registry: SchemaRegistry {
            enabled: schema_registry.enabled,
            version: plain(&schema_registry.version).to_owned(),
            memory_mib: schema_registry.memory.0,
        },
        flink: FlinkSpec {
            version: plain(&flink.version).to_owned(),
            state: state(flink.state),
        },
        session: Session {
            enabled: session.enabled,
            name: session.name,
            namespace: session.namespace,
            task_managers: session.task_managers,
            slots: session.slots,
            python: session.python,
            job_manager: resources(&session.job_manager),
            task_manager: resources(&session.task_manager),
            config: settings(session.config),
        },
        topics,
    }
}

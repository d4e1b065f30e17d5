//! From a profile and what was observed to a plan: pure, so that `--dry-run` shows exactly what would be done, and
//! snapshots can hold it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::config::Profile;

/// What is there before anything is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The cluster's node.
    pub cluster: ClusterState,
    /// Images that have to be pulled or built: step id, title, why, needs.
    pub images: Vec<ImageWork>,
    /// Images that the node lacks; `None`: not known, e.g. because the node does not run.
    pub missing_in_node: Option<Vec<String>>,
    /// State of each component of the profile, by id; what is not in here is absent.
    pub components: BTreeMap<String, ComponentState>,
    /// Why images come from where they come from, one line each.
    pub reasons: Vec<String>,
}

/// State of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ClusterState {
    /// There is none.
    #[default]
    Absent,
    /// Its node is stopped, e.g. because the engine was restarted.
    Stopped,
    /// An earlier run was interrupted while it was made.
    HalfMade,
    /// It runs and answers.
    Usable {
        /// Whether it was made from the node image that would be taken now.
        current_image: bool,
    },
}

/// State of a component, as its probe tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentState {
    /// Nothing of it is there.
    Absent,
    /// Some object differs from what would be applied.
    Drifted(String),
    /// Applied, and not working yet.
    NotReady(String),
    /// Works; with what was seen.
    Ready(String),
}

/// An image that has to be made available in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageWork {
    /// Step id, e.g. `image/kafka`.
    pub id: String,
    /// E.g. `build apache/kafka:4.1.1`.
    pub title: String,
    /// Why it cannot be kept.
    pub why: String,
    /// Ids of the image steps that come before.
    pub needs: Vec<String>,
}

/// What is done with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Made anew.
    Create,
    /// Removed and made anew.
    Replace,
    /// Started again.
    Start,
    /// Brought to what the profile says.
    Update,
    /// Waited for.
    Await,
    /// Left as it is.
    Keep,
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Id of the step, unique in the plan.
    pub id: String,
    /// What it is, for people.
    pub title: String,
    /// What is done.
    pub action: Action,
    /// Why.
    pub why: String,
    /// Ids that come before.
    pub needs: Vec<String>,
}

/// What `dev up` would do, in an order that respects the needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The lines.
    pub steps: Vec<Planned>,
    /// What a person should know beside them.
    pub notes: Vec<String>,
}

/// Ids of the steps that are not images or components.
pub mod ids {
    /// kind itself.
    pub const KIND: &str = "kind";
    /// Removal of a half-made cluster.
    pub const CLEAN: &str = "cluster/clean";
    /// kind's run, and the mark of a finished cluster after it.
    pub const CREATE: &str = "cluster/create";
    /// The cluster: usable, though kind may still be at work.
    pub const CLUSTER: &str = "cluster";
    /// The node's Ready condition.
    pub const NODE_READY: &str = "cluster/ready";
    /// Images of the components into the node.
    pub const LOAD: &str = "load";
    /// The session image into the node.
    pub const LOAD_SESSION: &str = "load/session";
    /// cert-manager.
    pub const CERT_MANAGER: &str = "cert-manager";
    /// The Flink operator.
    pub const OPERATOR: &str = "flink-operator";
    /// Kafka.
    pub const KAFKA: &str = "kafka";
    /// The schema registry.
    pub const SCHEMA_REGISTRY: &str = "schema-registry";
    /// The session cluster.
    pub const SESSION: &str = "session";
}

/// A component of the profile as the plan sees it.
struct Part {
    id: &'static str,
    title: String,
    needs: Vec<&'static str>,
    /// Step that makes its images available.
    image: &'static str,
}

fn parts(profile: &Profile, webhook: bool) -> Vec<Part> {
    let mut all = Vec::new();
    if profile.cert_manager.enabled {
        let (id, title) = (ids::CERT_MANAGER, "cert-manager".to_owned());
        all.push(Part {
            id,
            title,
            needs: vec![ids::CLUSTER, ids::LOAD],
            image: "image/cert-manager",
        });
    }
    let mut needs = vec![ids::CLUSTER, ids::LOAD];
    if webhook {
        needs.push(ids::CERT_MANAGER);
    }
    all.push(Part {
        id: ids::OPERATOR,
        title: format!("Flink operator {}", profile.operator.version),
        needs,
        image: "image/operator",
    });
    if profile.kafka.enabled {
        let title = format!("Kafka {}", profile.kafka.version);
        all.push(Part {
            id: ids::KAFKA,
            title,
            needs: vec![ids::CLUSTER, ids::LOAD],
            image: "image/kafka",
        });
    }
    if profile.schema_registry.enabled {
        all.push(Part {
            id: ids::SCHEMA_REGISTRY,
            title: format!("schema registry {}", profile.schema_registry.version),
            needs: vec![ids::CLUSTER, ids::LOAD],
            image: "image/schema-registry",
        });
    }
    if profile.session.enabled {
        let title = format!(
            "session cluster `{}` (Flink {})",
            profile.session.name, profile.flink.version
        );
        all.push(Part {
            id: ids::SESSION,
            title,
            // applied as soon as its kind is served: the operator, which starts meanwhile, finds it there
            needs: vec![ids::CLUSTER, ids::LOAD_SESSION],
            image: match (profile.schema_registry.enabled, profile.session.python) {
                (true, _) => "image/session-registry",
                (false, true) => "image/pyflink",
                (false, false) => "image/session",
            },
        });
    }
    all
}

/// The plan that brings what was observed to what the profile says.
pub fn build(profile: &Profile, observed: &Observed, webhook: bool) -> Plan {
    let mut steps = Vec::new();
    let mut notes = observed.reasons.clone();
    for image in &observed.images {
        steps.push(Planned {
            id: image.id.clone(),
            title: image.title.clone(),
            action: Action::Create,
            why: image.why.clone(),
            needs: image.needs.clone(),
        });
    }
    let image_steps: Vec<String> = observed.images.iter().map(|i| i.id.clone()).collect();
    let fresh = !matches!(observed.cluster, ClusterState::Usable { .. } | ClusterState::Stopped);
    cluster_steps(profile, observed, &image_steps, &mut steps, &mut notes);

    let load = |id: &str, title: &str, needs: Vec<String>| {
        let (action, why) = match observed.missing_in_node.as_deref() {
            _ if fresh => (Action::Create, "the node is new".to_owned()),
            _ if !observed.images.is_empty() => (Action::Update, "images are made available first".to_owned()),
            // not known is not the same as none
            None => (Action::Await, "what the node lacks is seen once it runs".to_owned()),
            Some([]) => (Action::Keep, "the node has them".to_owned()),
            Some(missing) => (Action::Update, format!("the node lacks {}", missing.join(", "))),
        };
        Planned {
            id: id.to_owned(),
            title: title.to_owned(),
            action,
            why,
            needs,
        }
    };
    let mut needs = image_steps;
    if fresh {
        needs.push(ids::CLEAN.to_owned());
    } else {
        needs.push(ids::CLUSTER.to_owned());
    }
    steps.push(load(ids::LOAD, "images into the node", needs));
    if profile.session.enabled {
        steps.push(load(
            ids::LOAD_SESSION,
            "Flink session image into the node",
            // nothing runs from it before the cluster is there, which boots later for each load beside it
            vec![ids::LOAD.to_owned(), ids::CLUSTER.to_owned()],
        ));
    }

    for part in parts(profile, webhook) {
        let state = observed.components.get(part.id).unwrap_or(&ComponentState::Absent);
        let (action, why) = match state {
            _ if fresh => (Action::Create, "the cluster is new".to_owned()),
            ComponentState::Absent => (Action::Create, "not there".to_owned()),
            ComponentState::Drifted(why) => (Action::Update, why.clone()),
            ComponentState::NotReady(why) => (Action::Await, why.clone()),
            ComponentState::Ready(_) if observed.images.iter().any(|i| i.id == part.image) => {
                (Action::Update, "its image is made available first".to_owned())
            }
            ComponentState::Ready(evidence) => (Action::Keep, evidence.clone()),
        };
        steps.push(Planned {
            id: part.id.to_owned(),
            title: part.title,
            action,
            why,
            needs: part.needs.iter().map(|n| (*n).to_owned()).collect(),
        });
    }
    Plan { steps, notes }
}

fn cluster_steps(
    profile: &Profile,
    observed: &Observed,
    image_steps: &[String],
    steps: &mut Vec<Planned>,
    notes: &mut Vec<String>,
) {
    let title = format!("cluster `{}` (Kubernetes {})", profile.name, profile.cluster.kubernetes);
    let mut push = |id: &str, title: &str, action, why: &str, needs: Vec<String>| {
        steps.push(Planned {
            id: id.to_owned(),
            title: title.to_owned(),
            action,
            why: why.to_owned(),
            needs,
        });
    };
    match &observed.cluster {
        ClusterState::Usable { current_image } => {
            push(ids::CLUSTER, &title, Action::Keep, "runs", vec![]);
            if !current_image {
                notes.push("the cluster was made from another node image; `dev down && dev up` renews it".to_owned());
            }
        }
        ClusterState::Stopped => push(ids::CLUSTER, &title, Action::Start, "its node is stopped", vec![]),
        state => {
            // only the node's image and kind are needed before the cluster; the others are loaded while it boots
            let wanted = |id: &&String| id.ends_with("/node") || id.ends_with("/kind");
            let mut needs: Vec<String> = image_steps.iter().filter(wanted).cloned().collect();
            push(ids::KIND, "kind", Action::Await, "creates the cluster", needs.clone());
            needs.push(ids::KIND.to_owned());
            if *state == ClusterState::HalfMade {
                let why = "an earlier run was interrupted";
                push(ids::CLEAN, "half-made cluster removed", Action::Replace, why, vec![]);
                needs.push(ids::CLEAN.to_owned());
            }
            let why = "creates the node";
            push(ids::CREATE, "kind create cluster", Action::Create, why, needs.clone());
            // beside it: the API server answers some seconds before kind ends
            push(ids::CLUSTER, &title, Action::Create, "there is none", needs);
        }
    }
    push(
        ids::NODE_READY,
        "node Ready",
        Action::Await,
        "post-condition of the cluster",
        vec![ids::CLUSTER.to_owned()],
    );
}

impl Plan {
    /// Whether everything would be left as it is.
    pub fn is_noop(&self) -> bool {
        self.steps
            .iter()
            .all(|s| s.action == Action::Keep || s.id == ids::NODE_READY)
    }

    /// The line of an id.
    pub fn step(&self, id: &str) -> Option<&Planned> {
        self.steps.iter().find(|s| s.id == id)
    }

    /// The plan as text, one line a step.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for step in &self.steps {
            let mark = match step.action {
                Action::Create => "+ create ",
                Action::Replace => "! replace",
                Action::Start => "~ start  ",
                Action::Update => "~ update ",
                Action::Await => "  await  ",
                Action::Keep => "= keep   ",
            };
            let _ = writeln!(out, "{mark} {}  ({})", step.title, step.why);
        }
        for note in &self.notes {
            let _ = writeln!(out, "note      {note}");
        }
        out.pop();
        out
    }
}

#[cfg(test)]
mod tests;

//! A job that is there, by its name: a `FlinkSessionJob`, or a `FlinkDeployment` with a job of its own. Both have the
//! same `spec.job`, and the operator and Flink tell the same of both.

use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde::Serialize;
use serde_json::Value;

use super::Place;
use super::session::deployments;
use crate::config::nearest;
use crate::diag::{Failure, Reason, Result};
use crate::flink::{JobDetails, Rest};
use crate::kube::{MANAGER, bounded, failure, get, list, text};

/// What a job's object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A `FlinkSessionJob`: one of the jobs of a session cluster.
    Session,
    /// A `FlinkDeployment` with a job: a cluster of its own.
    Application,
}

impl Kind {
    /// The kind in Kubernetes.
    pub fn object(self) -> &'static str {
        match self {
            Self::Session => "FlinkSessionJob",
            Self::Application => "FlinkDeployment",
        }
    }
}

/// A job that is there.
#[derive(Clone)]
pub struct Managed {
    /// Its name.
    pub name: String,
    /// What its object is.
    pub kind: Kind,
    /// The Flink cluster that it runs in.
    pub cluster: String,
    pub(super) namespace: String,
    pub(super) client: Client,
    pub(super) rest: Rest,
    /// Its object as it was when it was looked up.
    pub(super) object: Value,
}

impl std::fmt::Debug for Managed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Managed")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// The job's state as the operator and Flink have it at one moment.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) object: Value,
    pub(super) flink: Option<Value>,
    /// Why Flink does not answer, if so: the cluster of an application goes and comes with each change.
    pub(super) silent: Option<String>,
}

impl Look {
    /// Flink's id of the job; empty if there is none yet.
    pub(super) fn id(&self) -> &str {
        text(&self.object, "/status/jobStatus/jobId")
    }

    pub(super) fn lifecycle(&self) -> &str {
        text(&self.object, "/status/lifecycleState")
    }

    /// What Flink says of its state; empty if Flink does not know it, or does not answer.
    pub(super) fn flink_state(&self) -> &str {
        self.flink.as_ref().map_or("", |f| text(f, "/state"))
    }

    /// When Flink started it, in milliseconds since the epoch.
    pub(super) fn started(&self) -> i64 {
        self.flink
            .as_ref()
            .and_then(|f| f["start-time"].as_i64())
            .unwrap_or_default()
    }

    /// Whether the operator has seen the last change.
    pub(super) fn seen(&self) -> bool {
        let generation = &self.object["metadata"]["generation"];
        !generation.is_null() && *generation == self.object["status"]["observedGeneration"]
    }

    pub(super) fn details(&self) -> Option<JobDetails> {
        self.flink.as_ref().map(JobDetails::from_answer)
    }

    /// The highest parallelism of its tasks.
    pub(super) fn parallelism(&self) -> u64 {
        let vertices = self.flink.as_ref().and_then(|f| f["vertices"].as_array());
        let each = vertices.into_iter().flatten().filter_map(|v| v["parallelism"].as_u64());
        each.max().unwrap_or_default()
    }
}

impl Managed {
    fn of(place: &Place, kind: Kind, object: Value) -> Self {
        let name = text(&object, "/metadata/name").to_owned();
        let cluster = match kind {
            Kind::Session => text(&object, "/spec/deploymentName").to_owned(),
            Kind::Application => name.clone(),
        };
        Self {
            rest: Rest::new(place.client.clone(), &place.namespace, &cluster),
            client: place.client.clone(),
            namespace: place.namespace.clone(),
            name,
            kind,
            cluster,
            object,
        }
    }

    /// All jobs of a namespace, by name.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn all(place: &Place) -> Result<Vec<Self>> {
        let (jobs, applications) = (collection(place, Kind::Session), collection(place, Kind::Application));
        let (jobs, applications) = tokio::try_join!(list(&place.client, &jobs), list(&place.client, &applications))?;
        let applications = applications.into_iter().filter(|o| o["spec"]["job"].is_object());
        let mut all: Vec<Self> = jobs
            .into_iter()
            .map(|o| Self::of(place, Kind::Session, o))
            .chain(applications.map(|o| Self::of(place, Kind::Application, o)))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The job of this name.
    ///
    /// # Errors
    /// [`Reason::JobUnknown`] with the nearest name.
    pub async fn find(place: &Place, name: &str) -> Result<Self> {
        let all = Self::all(place).await?;
        if let Some(found) = all.iter().find(|job| job.name == name) {
            return Ok(found.clone());
        }
        let names: Vec<&str> = all.iter().map(|job| job.name.as_str()).collect();
        let message = format!("there is no job `{name}` in namespace {}", place.namespace);
        let failure = Failure::new(Reason::JobUnknown, message);
        Err(match (nearest(name, names.iter().copied()), &names[..]) {
            (Some(near), _) => failure.next(format!("did you mean `{near}`?")),
            (None, []) => failure.evidence("there is no job at all").next("dev job run FILE.sql"),
            (None, _) => failure.evidence(format!("jobs: {}", names.join(", "))),
        })
    }

    /// The job of this name, if there is one.
    ///
    /// # Errors
    /// What the API server answers.
    pub(super) async fn found(place: &Place, name: &str) -> Result<Option<Self>> {
        for kind in [Kind::Session, Kind::Application] {
            let path = format!("{}/{name}", collection(place, kind));
            let found = get(&place.client, &path).await?;
            if let Some(object) = found.filter(|o| kind == Kind::Session || o["spec"]["job"].is_object()) {
                return Ok(Some(Self::of(place, kind, object)));
            }
        }
        Ok(None)
    }

    /// Where its object is.
    pub(super) fn path(&self) -> String {
        let place = &self.namespace;
        let plural = match self.kind {
            Kind::Session => "flinksessionjobs",
            Kind::Application => "flinkdeployments",
        };
        format!(
            "/apis/flink.apache.org/v1beta1/namespaces/{place}/{plural}/{}",
            self.name
        )
    }

    /// Looks at it now.
    ///
    /// # Errors
    /// [`Reason::JobUnknown`] if it is gone. A Flink that does not answer is told in the answer.
    pub(super) async fn look(&self) -> Result<Look> {
        let Some(object) = get(&self.client, &self.path()).await? else {
            return Err(Failure::new(
                Reason::JobUnknown,
                format!("the job `{}` is gone", self.name),
            ));
        };
        let id = text(&object, "/status/jobStatus/jobId").to_owned();
        let (flink, silent) = self.ask(&id).await?;
        Ok(Look { object, flink, silent })
    }

    /// What Flink knows of a job of this id, and why it does not answer, if so.
    pub(super) async fn ask(&self, id: &str) -> Result<(Option<Value>, Option<String>)> {
        if id.is_empty() {
            return Ok((None, None));
        }
        match self.rest.get(&format!("/jobs/{id}")).await {
            Ok(answer) => Ok((answer, None)),
            Err(failure) if failure.id() == Reason::FlinkUnreachable => {
                Ok((None, Some(failure.detail().evidence.join(" "))))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Changes its object, by a JSON merge patch.
    ///
    /// # Errors
    /// [`Reason::ApplyFailed`] with the API server's words.
    pub(super) async fn change(&self, patch: Value) -> Result<()> {
        let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", self.kind.object());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &ApiResource::from_gvk(&kind));
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patched = bounded(api.patch(&self.name, &parameters, &Patch::Merge(patch))).await;
        patched.map(|_| ()).map_err(|e| {
            failure(
                Reason::ApplyFailed,
                format!("the job {} cannot be changed", self.name),
                &e,
            )
        })
    }

    /// What becomes of its state when it is changed.
    pub fn upgrade_mode(&self) -> &str {
        match text(&self.object, "/spec/job/upgradeMode") {
            "" => "stateless",
            mode => mode,
        }
    }
}

fn collection(place: &Place, kind: Kind) -> String {
    match kind {
        Kind::Session => format!(
            "/apis/flink.apache.org/v1beta1/namespaces/{}/flinksessionjobs",
            place.namespace
        ),
        Kind::Application => deployments(&place.namespace),
    }
}

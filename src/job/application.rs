//! An application's cluster and image: a `FlinkDeployment` as the profile's session cluster is, with its own image, and
//! what the user's file becomes in there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kube::Client;
use serde_json::{Value, json};

use super::code::{Code, RUNNER_JAR};
use super::run::Workshop;
use crate::component::{Component as _, SessionCluster};
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::flink::{Program, state};
use crate::image::app::{self, Base, MAIN_LABEL, Targets};
use crate::image::inputs::{self, Gathered, Inputs};
use crate::image::{Names, app::Into as Folder};
use crate::kube::{MANAGED_BY, MANAGER, PART_OF, apply, delete};

/// What an application's image has besides its program.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// The image below; `None`: the usual one.
    pub base: Option<String>,
    /// Connectors, as a user writes them.
    pub connectors: Vec<String>,
    /// Jars; absolute.
    pub libraries: Vec<PathBuf>,
}

/// An image that can be made: all of it was checked.
pub(super) struct Draft {
    base: Base,
    gathered: Gathered,
    /// The class of its jar.
    main: Option<String>,
}

/// Environment variables that mean something to the image's shell, Java or Flink: a value of such a name is handed
/// over as an argument.
const MEANT: [&str; 8] = ["PATH", "HOME", "HOSTNAME", "JAVA", "FLINK", "LD_", "KUBERNETES", "JVM"];

/// Gathers and checks what the image of `name` is made of.
///
/// # Errors
/// What [`Inputs::gather`] finds; [`Reason::ImageUnavailable`] for a base without the SQL runner;
/// [`Reason::ConnectorMissing`]; [`Reason::JarInvalid`] for a jar without a class to start.
pub(super) async fn draft(workshop: &Workshop, code: &Code, name: &str, extras: &Extras, cx: &StepCx) -> Result<Draft> {
    let Workshop {
        engine, env, profile, ..
    } = workshop;
    let names = Names::of(profile);
    let usual = match code {
        Code::Sql(_) => names.session,
        Code::Python(_) if profile.session.python => names.session,
        Code::Jar(_) | Code::Python(_) => names.flink,
    };
    let base = Base::find(engine, extras.base.as_deref().unwrap_or(&usual)).await?;
    let main = match code {
        Code::Jar(jar) => jar.main.clone(),
        Code::Sql(_) | Code::Python(_) => None,
    };
    let inputs = Inputs {
        origin: code.origin(name),
        main,
        libraries: extras.libraries.clone(),
        connectors: extras.connectors.clone(),
        into: Folder::Usrlib,
        name: Some(name.to_owned()),
    };
    inputs.check(&env.cwd)?;
    let gathered = inputs.gather(engine, env, &base, cx).await?;
    if let Some(script) = code.script() {
        let mut lib = inputs::lib_of(engine, env, &base).await?;
        if !lib.iter().any(|jar| jar == RUNNER_JAR) {
            let message = format!("{} has no SQL runner ({RUNNER_JAR}) in its lib folder", base.name);
            return Err(
                Failure::new(Reason::ImageUnavailable, message).next(format!("--base {}", Names::of(profile).session))
            );
        }
        let added = gathered.spec.groups.iter().flat_map(|group| &group.files);
        lib.extend(added.filter_map(|file| Some(file.target.rsplit('/').next()?.to_owned())));
        script.check_connectors(&lib)?;
    }
    let main = gathered.spec.labels.get(MAIN_LABEL).cloned();
    if let (Code::Jar(jar), None) = (code, &main) {
        return Err(no_class(&jar.shown));
    }
    Ok(Draft { base, gathered, main })
}

/// A jar that says nothing of what is to be started.
fn no_class(jar: &std::path::Path) -> Failure {
    let message = format!("{} names no class to start in its manifest", jar.display());
    Failure::new(Reason::JarInvalid, message).next("add --main CLASS")
}

impl Draft {
    /// What a user should know.
    pub(super) fn notes(&self) -> &[String] {
        &self.gathered.notes
    }

    /// The class of its jar.
    pub(super) fn main(&self) -> Option<&str> {
        self.main.as_deref()
    }

    /// Makes the image and brings it into the nodes; returns its name.
    ///
    /// # Errors
    /// Those of [`app::assemble`] and [`app::deliver`].
    pub(super) async fn make(&self, workshop: &Workshop, cx: &StepCx) -> Result<String> {
        let Workshop { engine, env, nodes, .. } = workshop;
        let image = app::assemble(engine, env, &self.base, &self.gathered.spec).await?;
        let targets = Targets {
            nodes: nodes.clone(),
            engine: false,
        };
        app::deliver(engine, env, &image, &targets, cx).await?;
        Ok(image.name)
    }

    /// What the application starts.
    pub(super) fn program(&self, code: &Code, name: &str, flink_version: &str) -> Program {
        let (clear, _) = values(code);
        code.in_application(name, self.main.clone(), &clear, flink_version)
    }
}

/// The `FlinkDeployment` that an application runs in, without its job.
pub(super) fn cluster(workshop: &Workshop, code: &Code, name: &str, image: &str) -> Value {
    let objects = SessionCluster::new(&workshop.profile, image).objects();
    let session = objects.into_iter().find(|object| object["kind"] == "FlinkDeployment");
    let mut cluster = json!({ "spec": session.unwrap_or_default()["spec"] });
    // the image is in the node or nowhere: a registry that is asked for it answers late, and wrongly
    cluster["spec"]["imagePullPolicy"] = json!("Never");
    if let Some(settings) = cluster["spec"]["flinkConfiguration"].as_object_mut() {
        // TaskManagers of the session are there before a job and after it; here they come and go with it
        settings.remove("slotmanager.number-of-slots.min");
        settings.remove("resourcemanager.taskmanager-timeout");
        // its state is kept in folders of its own
        let own = state::of_cluster(&workshop.profile.flink.state, name);
        settings.extend(own.into_iter().map(|(key, value)| (key, json!(value))));
    }
    if !values(code).1.is_empty() {
        let pod = &mut cluster["spec"]["jobManager"]["podTemplate"]["spec"];
        if !pod["containers"].is_array() {
            pod["containers"] = json!([{ "name": "flink-main-container" }]);
        }
        pod["containers"][0]["envFrom"] = json!([{ "secretRef": { "name": secret_name(name) } }]);
    }
    cluster
}

/// The values of a script's variables: those that may stand in the object, which Flink logs, and those that are handed
/// over as variables of the JobManager's environment, from a Secret. The latter are what a user gave with `--var`.
fn values(code: &Code) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let all = code.script().map(|script| script.vars.clone()).unwrap_or_default();
    all.into_iter().partition(|(name, _)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.chars().all(plain) || MEANT.iter().any(|meant| name.to_uppercase().starts_with(meant))
    })
}

fn secret_name(name: &str) -> String {
    format!("{name}-vars")
}

fn secret_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{}", secret_name(name))
}

/// Puts the Secret of an application's values there, or takes it away where it has none. `owner` is the application's
/// object: the Secret goes with it, however it goes.
///
/// # Errors
/// What the API server answers.
pub(super) async fn put_values(
    client: &Client,
    namespace: &str,
    name: &str,
    code: &Code,
    owner: Option<&Value>,
) -> Result<()> {
    let (_, secret) = values(code);
    if secret.is_empty() {
        return remove_values(client, namespace, name).await;
    }
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": secret_name(name), "namespace": namespace,
            "labels": { MANAGED_BY: MANAGER, PART_OF: name } },
        "stringData": secret,
    });
    if let Some(owner) = owner {
        object["metadata"]["ownerReferences"] = json!([{ "apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "name": name, "uid": owner["metadata"]["uid"] }]);
    }
    apply(client, &[object]).await.map(|_| ())
}

/// Takes the Secret of an application's values away.
///
/// # Errors
/// What the API server answers.
pub(super) async fn remove_values(client: &Client, namespace: &str, name: &str) -> Result<()> {
    delete(client, &secret_path(namespace, name)).await
}

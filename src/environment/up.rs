//! Brings an environment up: observe, plan, and the steps that carry the plan out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::Context;
use crate::cluster::{NodeState, free_port};
use crate::component::{CertManager, Component, FlinkOperator, Kafka, Probe, SchemaRegistry, SessionCluster};
use crate::config::StateVolume;
use crate::diag::{Failure, Reason, Result};
use crate::engine::{Bounds, Done, Step, StepCx};
use crate::image::{self, Resolved};
use crate::kafka::TopicClient;
use crate::plan::{self, Action, ClusterState, ComponentState, ImageWork, Observed, Plan, ids};

/// Where the finished cluster is marked as such.
const MARKER: (&str, &str) = ("kube-system", "flink-dev");

/// A plan and the steps that carry it out.
pub struct Prepared {
    /// What will be done.
    pub plan: Plan,
    /// How.
    pub steps: Vec<Step>,
}

/// Facts that steps hand on to later steps.
struct Shared {
    context: Context,
    resolved: Resolved,
    kind_program: Mutex<Option<PathBuf>>,
    kafka_port: Mutex<Option<u16>>,
}

/// Observes what is there and plans. Changes nothing.
///
/// # Errors
/// What the engine answers; [`Reason::ClusterForeign`]; [`Reason::PortInUse`].
pub async fn prepare(context: &Context) -> Result<Prepared> {
    let (resolved, node) = tokio::try_join!(
        image::resolve(&context.profile, &context.engine, &context.env),
        context.kind.observe(&context.engine)
    )?;
    let shared = Arc::new(Shared {
        context: context.clone(),
        resolved,
        kind_program: Mutex::default(),
        kafka_port: Mutex::default(),
    });
    let observed = shared.observe(&node).await?;
    if !matches!(node, NodeState::Running { .. })
        && context.profile.kafka.enabled
        && observed.cluster != ClusterState::Stopped
    {
        *lock(&shared.kafka_port) = Some(free_port(context.profile.kafka.port)?);
    }
    let plan = plan::build(&context.profile, &observed, shared.resolved.operator_webhook);
    let mut steps = image::steps(&shared.resolved, &context.engine, &context.env);
    for planned in &plan.steps {
        if !planned.id.starts_with("image/") {
            steps.push(shared.step(planned));
        }
    }
    Ok(Prepared { plan, steps })
}

/// Every object and every image of an environment, by component: for the validation of manifests and for benchmarks.
///
/// # Errors
/// What the engine answers; images that are not there yet fail with [`Reason::ImageUnavailable`].
pub async fn contents(context: &Context) -> Result<Value> {
    let resolved = image::resolve(&context.profile, &context.engine, &context.env).await?;
    let port = match context.profile.kafka.port {
        crate::config::Port::Fixed(port) => port,
        crate::config::Port::Auto => crate::component::EXTERNAL_NODE_PORT,
    };
    let shared = Shared {
        context: context.clone(),
        resolved,
        kind_program: Mutex::default(),
        kafka_port: Mutex::new(Some(port)),
    };
    let mut objects = serde_json::Map::new();
    for (id, _) in shared.wanted().into_iter().filter(|(_, on)| *on) {
        objects.insert(id.to_owned(), json!(shared.component(id).await?.objects()));
    }
    Ok(json!({"node": shared.resolved.node, "images": shared.component_images().await?, "objects": objects}))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    async fn observe(self: &Arc<Self>, node: &NodeState) -> Result<Observed> {
        let context = &self.context;
        let images = self
            .resolved
            .work()
            .map(|i| ImageWork {
                id: i.step_id(),
                title: i.title(),
                why: i.why.clone(),
                needs: i.step_needs(),
            })
            .collect();
        let mut observed = Observed {
            images,
            reasons: self.resolved.reasons.clone(),
            ..Observed::default()
        };
        match node {
            NodeState::Foreign => {
                return Err(Failure::new(
                    Reason::ClusterForeign,
                    format!(
                        "there is a container `{}` that was not made by dev",
                        context.kind.node()
                    ),
                ));
            }
            NodeState::Absent => observed.cluster = ClusterState::Absent,
            NodeState::Stopped if context.kind.kubeconfig().exists() => observed.cluster = ClusterState::Stopped,
            NodeState::Stopped => observed.cluster = ClusterState::HalfMade,
            NodeState::Running {
                image_id, kafka_port, ..
            } => {
                *lock(&self.kafka_port) = *kafka_port;
                observed.cluster = self.running_cluster(image_id).await?;
            }
        }
        if matches!(observed.cluster, ClusterState::Usable { .. }) {
            let node_name = context.kind.node();
            let missing = async {
                // names that are only known once an image is there: then what is missing is not known either
                let Ok(images) = self.component_images().await else {
                    return Ok(None);
                };
                image::missing_in_node(&context.engine, &node_name, &images)
                    .await
                    .map(Some)
            };
            let (missing, components) = tokio::join!(missing, self.probe_all());
            observed.missing_in_node = missing?;
            observed.components = components;
        }
        Ok(observed)
    }

    async fn running_cluster(&self, image_id: &str) -> Result<ClusterState> {
        let context = &self.context;
        if !context.kind.kubeconfig().exists() {
            return Ok(ClusterState::HalfMade);
        }
        let client = context.client().await?;
        let (namespace, name) = MARKER;
        let marker = async {
            let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> = kube::Api::namespaced(client, namespace);
            maps.get_opt(name).await
        };
        match tokio::time::timeout(Duration::from_secs(3), marker).await {
            Ok(Ok(None)) => Ok(ClusterState::HalfMade),
            Ok(Ok(Some(map))) => {
                let made_from = map.data.unwrap_or_default().remove("node-image");
                let wanted = context.engine.image(&self.resolved.node).await?.map(|i| i.id);
                let current_image = made_from.as_deref() == Some(image_id) && wanted.as_deref() == Some(image_id);
                Ok(ClusterState::Usable { current_image })
            }
            // the node was just restarted, or is too busy: it gets the time of a start
            Ok(Err(_)) | Err(_) => Ok(ClusterState::Stopped),
        }
    }

    /// Names of the images that the components run, the session image last.
    async fn component_images(&self) -> Result<Vec<String>> {
        let mut all = self.base_images().await?;
        if self.context.profile.session.enabled {
            all.push(self.resolved.session.clone());
        }
        Ok(all)
    }

    async fn base_images(&self) -> Result<Vec<String>> {
        let profile = &self.context.profile;
        let mut all = vec![self.resolved.operator.clone()];
        if profile.kafka.enabled {
            all.push(self.resolved.kafka.clone());
        }
        if profile.schema_registry.enabled {
            all.push(self.resolved.schema_registry.clone());
        }
        if profile.cert_manager.enabled {
            all.extend(image::cert_manager_images(&self.resolved, &self.context.engine, &self.context.env).await?);
        }
        Ok(all)
    }

    async fn component(&self, id: &str) -> Result<Box<dyn Component>> {
        let Context {
            profile, engine, env, ..
        } = &self.context;
        let mut component: Box<dyn Component> = match id {
            ids::CERT_MANAGER => Box::new(CertManager::new(
                image::cert_manager_manifests(&self.resolved, engine, env).await?,
            )),
            ids::OPERATOR => {
                let crds = image::operator_crds(&self.resolved, engine, env).await?;
                Box::new(FlinkOperator::new(
                    profile,
                    &self.resolved.operator,
                    self.resolved.operator_webhook,
                    crds,
                ))
            }
            ids::KAFKA => {
                let port = (*lock(&self.kafka_port))
                    .ok_or_else(|| Failure::new(Reason::Internal, "the cluster has no port for Kafka"))?;
                Box::new(Kafka::new(profile, &self.resolved.kafka, port))
            }
            ids::SCHEMA_REGISTRY => Box::new(SchemaRegistry::new(profile, &self.resolved.schema_registry)),
            ids::SESSION => Box::new(SessionCluster::new(profile, &self.resolved.session)),
            other => return Err(Failure::new(Reason::Internal, format!("no component `{other}`"))),
        };
        component.run_builds(&self.image_ids(id).await?);
        Ok(component)
    }

    /// Ids of the images that a component runs, by name; without those that the engine does not have.
    async fn image_ids(&self, id: &str) -> Result<BTreeMap<String, String>> {
        let Context { engine, env, .. } = &self.context;
        let names = match id {
            ids::CERT_MANAGER => image::cert_manager_images(&self.resolved, engine, env).await?,
            ids::OPERATOR => vec![self.resolved.operator.clone()],
            ids::KAFKA => vec![self.resolved.kafka.clone()],
            ids::SCHEMA_REGISTRY => vec![self.resolved.schema_registry.clone()],
            _ => vec![self.resolved.session.clone()],
        };
        let looks = names.into_iter().map(|name| async move {
            let found = engine.image(&name).await?;
            Ok::<_, Failure>(found.map(|image| (name, image.id)))
        });
        Ok(futures::future::try_join_all(looks)
            .await?
            .into_iter()
            .flatten()
            .collect())
    }

    /// Ids of the components, and whether the profile has them.
    fn wanted(&self) -> [(&'static str, bool); 5] {
        let profile = &self.context.profile;
        [
            (ids::CERT_MANAGER, profile.cert_manager.enabled),
            (ids::OPERATOR, true),
            (ids::KAFKA, profile.kafka.enabled),
            (ids::SCHEMA_REGISTRY, profile.schema_registry.enabled),
            (ids::SESSION, profile.session.enabled),
        ]
    }

    async fn probe_all(self: &Arc<Self>) -> BTreeMap<String, ComponentState> {
        let probes = self
            .wanted()
            .into_iter()
            .filter(|(_, on)| *on)
            .map(|(id, _)| async move {
                let state = match self.probe(id).await {
                    Ok(Probe::Absent) => ComponentState::Absent,
                    Ok(Probe::Drifted(why)) => ComponentState::Drifted(why),
                    Ok(Probe::NotReady(why)) => ComponentState::NotReady(why),
                    Ok(Probe::Ready(evidence)) => ComponentState::Ready(evidence),
                    // what cannot be probed is installed again, which tells what is wrong
                    Err(failure) => ComponentState::NotReady(failure.to_string()),
                };
                (id.to_owned(), state)
            });
        futures::future::join_all(probes).await.into_iter().collect()
    }

    async fn probe(&self, id: &str) -> Result<Probe> {
        let (component, client) = tokio::try_join!(self.component(id), self.context.client())?;
        let probe = component.probe(&client).await?;
        match (id, &probe) {
            (ids::KAFKA, Probe::Ready(evidence)) => match self.kafka_answers().await {
                Ok(seen) => Ok(Probe::Ready(format!("{evidence}; {seen}"))),
                Err(failure) => Ok(Probe::NotReady(failure.to_string())),
            },
            _ => Ok(probe),
        }
    }

    async fn kafka_answers(&self) -> Result<String> {
        let port = lock(&self.kafka_port).unwrap_or_default();
        let address = format!("127.0.0.1:{port}");
        let client = TopicClient::connect(&address).await?;
        let brokers = client.brokers().await?;
        Ok(format!("{} broker answers at {address}", brokers.len()))
    }

    fn step(self: &Arc<Self>, planned: &plan::Planned) -> Step {
        let shared = self.clone();
        let needs: Vec<&str> = planned.needs.iter().map(String::as_str).collect();
        let (id, action, why) = (planned.id.clone(), planned.action, planned.why.clone());
        let bounds = bounds_of(&id, &self.context);
        Step::new(
            planned.id.clone(),
            planned.title.clone(),
            &needs,
            bounds,
            move |cx| async move {
                if action == Action::Keep {
                    return Ok(Done::Unchanged(why));
                }
                shared.execute(&id, action, &cx).await
            },
        )
    }

    async fn execute(&self, id: &str, action: Action, cx: &StepCx) -> Result<Done> {
        let Context {
            profile,
            engine,
            env,
            kind,
            ..
        } = &self.context;
        match (id, action) {
            (ids::KIND, _) => {
                let program = image::kind_tool(engine, env, cx).await?;
                let evidence = program.display().to_string();
                *lock(&self.kind_program) = Some(program);
                Ok(Done::Unchanged(evidence))
            }
            (ids::CLEAN, _) => Ok(Done::Changed(kind.delete(engine).await?.join(", "))),
            (ids::CLUSTER, Action::Start) => {
                engine.start_container(&kind.node()).await?;
                let NodeState::Running { kafka_port, .. } = kind.observe(engine).await? else {
                    return Err(Failure::new(Reason::ClusterUnreachable, "the node stopped again"));
                };
                *lock(&self.kafka_port) = kafka_port;
                crate::kube::wait_api(&self.context.client().await?, cx).await?;
                kind.wait_services(engine, cx).await?;
                Ok(Done::Changed("the API server answers".to_owned()))
            }
            (ids::CREATE, _) => self.create_cluster(cx).await,
            (ids::CLUSTER, _) => self.cluster_usable(cx).await,
            (ids::NODE_READY, _) => {
                let evidence = crate::kube::wait_node_ready(&self.context.client().await?, cx).await?;
                Ok(Done::Unchanged(evidence))
            }
            (ids::LOAD, _) => self.load(self.base_images().await?, cx).await,
            (ids::LOAD_SESSION, _) => self.load(vec![self.resolved.session.clone()], cx).await,
            (ids::KAFKA, _) => {
                let done = self
                    .component(id)
                    .await?
                    .install(&self.context.client().await?, cx)
                    .await?;
                let seen = loop {
                    match self.kafka_answers().await {
                        Ok(seen) => break seen,
                        Err(failure) => cx.waiting(failure.to_string()),
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                };
                Ok(match done {
                    Done::Changed(_) => Done::Changed(seen),
                    Done::Unchanged(_) => Done::Unchanged(seen),
                })
            }
            (component, _) => {
                if component == ids::SESSION && profile.flink.state.volume == StateVolume::Node {
                    // beside the load's: a cluster of an earlier dev may have nothing to load
                    kind.make_state_folder(engine).await?;
                }
                self.component(component)
                    .await?
                    .install(&self.context.client().await?, cx)
                    .await
            }
        }
    }

    /// Waits until the cluster that is being created can be used: its API server answers, and the addresses of its
    /// services lead somewhere. kind ends some seconds later; if it fails, its own step ends the run.
    async fn cluster_usable(&self, cx: &StepCx) -> Result<Done> {
        let Context { engine, kind, .. } = &self.context;
        let kubeconfig = kind.first_kubeconfig(engine, cx).await?;
        let client = crate::kube::client_of_text(&kubeconfig, "in the node").await?;
        crate::kube::wait_api(&client, cx).await?;
        kind.wait_services(engine, cx).await?;
        self.context.use_client(client).await;
        Ok(Done::Changed(
            "the API server answers, services have addresses".to_owned(),
        ))
    }

    /// Has kind create the cluster, and marks it as finished.
    async fn create_cluster(&self, cx: &StepCx) -> Result<Done> {
        let Context {
            env,
            profile,
            engine,
            kind,
            ..
        } = &self.context;
        let program = lock(&self.kind_program)
            .clone()
            .ok_or_else(|| Failure::new(Reason::Internal, "the cluster's step ran before kind was there"))?;
        let chosen = *lock(&self.kafka_port);
        let port = match chosen {
            Some(port) => port,
            None => free_port(profile.kafka.port)?,
        };
        *lock(&self.kafka_port) = Some(port);
        kind.create(engine, env, &program, profile, port, cx).await?;
        let NodeState::Running { image_id, .. } = kind.observe(engine).await? else {
            return Err(Failure::new(
                Reason::ClusterCreateFailed,
                "kind says that the cluster is made, and its node does not run",
            ));
        };
        let client = kind.unpublished_client().await?;
        kind.wait_services(engine, cx).await?;
        // last: what is marked as finished is not looked at again by the run after a kill
        crate::kube::apply(&client, &[marker(&image_id)]).await?;
        kind.publish_kubeconfig()?;
        Ok(Done::Changed(format!("kubeconfig {}", kind.kubeconfig().display())))
    }

    async fn load(&self, images: Vec<String>, cx: &StepCx) -> Result<Done> {
        let Context { engine, env, kind, .. } = &self.context;
        // the cluster's step makes the node at the same time
        loop {
            match kind.observe(engine).await? {
                NodeState::Running { .. } => break,
                _ => cx.waiting("the node is not there yet"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        kind.make_state_folder(engine).await?;
        let report = image::load(engine, env, &kind.node(), &images, cx).await?;
        Ok(if report.moved_anything() {
            Done::Changed(report.to_string())
        } else {
            Done::Unchanged(report.to_string())
        })
    }
}

fn marker(image_id: &str) -> Value {
    let (namespace, name) = MARKER;
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"node-image": image_id, "made-by": concat!("flink-dev ", env!("CARGO_PKG_VERSION"))},
    })
}

fn bounds_of(id: &str, context: &Context) -> Bounds {
    match id {
        ids::KIND => Bounds::secs(60, 900),
        ids::CLEAN => Bounds::secs(20, 120),
        ids::CLUSTER | ids::CREATE => Bounds {
            soft: Duration::from_secs(60),
            hard: Duration::from_secs(context.profile.cluster.timeout_s),
        },
        ids::NODE_READY => Bounds::secs(45, 180),
        ids::LOAD | ids::LOAD_SESSION => Bounds::secs(90, 600),
        _ => Bounds::secs(90, 300),
    }
}

//! kind makes a cluster.

use std::path::Path;

use super::{Kind, LOOK_EVERY, NETWORK, NodeState};
use crate::cluster::sysctl;
use crate::component::EXTERNAL_NODE_PORT;
use crate::config::Profile;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::flink::state::{NODE_DIR, NODE_DIR_MODE};
use crate::image;
use crate::process::{Program, tail};

impl Kind {
    /// The administrator's kubeconfig for use on this machine, as soon as kubeadm has written it in the node that kind
    /// is making; kind itself hands it out at its end. Waits as long as it takes: kind's own step ends the run if it
    /// fails.
    ///
    /// # Errors
    /// What the engine answers.
    pub async fn first_kubeconfig(&self, engine: &Engine, cx: &StepCx) -> Result<String> {
        // one program in the node instead of one a look
        const LOOK: &str =
            r"until [ -s /etc/kubernetes/admin.conf ]; do sleep 0.1; done; cat /etc/kubernetes/admin.conf";
        cx.waiting("there is no node yet");
        let port = loop {
            if let NodeState::Running {
                api_port: Some(port), ..
            } = self.observe(engine).await?
            {
                break port;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        cx.waiting("the node boots");
        loop {
            // a container that has only just started may refuse, and the file may be half written
            if let Ok(output) = engine.exec(&self.node(), &["sh", "-c", LOOK], None, false).await
                && let Some(kubeconfig) = reachable(&output.stdout, port)
            {
                return Ok(kubeconfig);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Creates the cluster with kind and returns when kind says that it is made; the node may not be Ready yet.
    ///
    /// # Errors
    /// [`Reason::ClusterCreateFailed`] with kind's output and the node's own log; what was made is removed then.
    pub async fn create(
        &self,
        engine: &Engine,
        env: &Env,
        kind: &Path,
        profile: &Profile,
        port: u16,
        cx: &StepCx,
    ) -> Result<()> {
        fs_err::create_dir_all(&self.dir)
            .map_err(|e| Failure::new(Reason::Internal, "no place for the kubeconfig").cause(&e))?;
        // of a cluster that somebody removed by other means
        for stale in [self.kubeconfig(), self.unpublished()] {
            match fs_err::remove_file(&stale) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::new(Reason::Internal, "an old kubeconfig cannot be removed").cause(&e));
                }
                _ => {}
            }
        }
        {
            let _settings = self.lock_settings().await?;
            // what a cluster that runs has found is older than what it has made of it
            let other = self.neighbour(engine).await?;
            sysctl::remember(&self.kernel, &self.dir, other.as_ref().map(|other| other.dir.as_path()))?;
        }
        let own_image = engine
            .image(&profile.node_image())
            .await?
            .is_some_and(|i| image::is_own(&i));
        // an engine on this machine can give the node this machine's layers to read; one in a virtual machine cannot
        let blobs = if cfg!(target_os = "linux") && engine.is_local() {
            Some(image::blobs_dir(env)?)
        } else {
            None
        };
        let config = self.dir.join("kind.yaml");
        fs_err::write(&config, self.config(port, own_image, blobs.as_deref()))
            .map_err(|e| Failure::new(Reason::Internal, "cannot write kind's configuration").cause(&e))?;
        let program = Program::new(kind)
            .args([
                "create",
                "cluster",
                "--retain",
                "--name",
                &self.name,
                "--image",
                &profile.node_image(),
            ])
            .arg("--config")
            .arg(&config)
            .arg("--kubeconfig")
            .arg(self.unpublished())
            .env("KIND_EXPERIMENTAL_DOCKER_NETWORK", NETWORK)
            .env("KIND_EXPERIMENTAL_PROVIDER", "docker")
            .tethered();
        cx.waiting("kind is starting");
        let output = program
            .run(cx.cancel(), |line| {
                // kind's own phases: " ✓ Preparing nodes 📦" and " • Starting control-plane 🕹️  ..."
                if let Some(phase) = line.trim_start().strip_prefix(['✓', '•', '✗']) {
                    cx.waiting(phase.trim().trim_end_matches('.').trim_end());
                }
                cx.output(line);
            })
            .await?;
        if output.status.success() {
            return Ok(());
        }
        let node_log = self.node_log(engine).await;
        let mut failure = Failure::new(
            Reason::ClusterCreateFailed,
            format!("kind could not create the cluster `{}`", self.name),
        )
        .evidence(tail(&output.stderr, 25))
        .evidence(node_log);
        if output.stderr.contains("port is already allocated") || output.stderr.contains("address already in use") {
            failure = failure.next("choose another `kafka.port` in the profile, or `auto`");
        }
        // a half-made node is of no use to anyone, and its evidence has just been taken
        if let Err(also) = self.remove_containers(engine).await {
            failure = failure.evidence(also.to_string());
        }
        Err(failure)
    }

    /// Waits until the addresses of services lead somewhere. Pods that start before kube-proxy has its rules reach
    /// something else at the API server's address, or nothing: the Flink operator was seen to hang for good then.
    ///
    /// # Errors
    /// [`Reason::ClusterCreateFailed`] after two minutes, with what kube-proxy's chain holds.
    pub async fn wait_services(&self, engine: &Engine, cx: &StepCx) -> Result<()> {
        // one program in the node instead of one a look; the chain is that of kube-proxy's mode iptables, kind's default
        const LOOK: &str = r"i=0
until iptables -w -t nat -S KUBE-SERVICES 2>/dev/null | grep -q -- '-d '; do
  i=$((i + 1)); [ $i -lt 1200 ] || exit 1
  sleep 0.1
done";
        cx.waiting("kube-proxy has not set up the services yet");
        let output = engine.exec(&self.node(), &["sh", "-c", LOOK], None, true).await?;
        if output.code == 0 {
            return Ok(());
        }
        let message = "kube-proxy did not set up the addresses of services within two minutes";
        Err(Failure::new(Reason::ClusterCreateFailed, message).evidence(output.stderr))
    }

    /// Makes the folder of the node that Flink's state lies in, which Flink's user may write; harmless where it is there.
    ///
    /// # Errors
    /// [`Reason::ComponentNotReady`] with what the node said.
    pub async fn make_state_folder(&self, engine: &Engine) -> Result<()> {
        let cmd = ["install", "-d", "-m", NODE_DIR_MODE, NODE_DIR];
        let output = engine.exec(&self.node(), &cmd, None, true).await?;
        if output.code == 0 {
            return Ok(());
        }
        let message = format!("the node has no folder {NODE_DIR} for the state of Flink's jobs");
        Err(Failure::new(Reason::ComponentNotReady, message).evidence(output.stderr))
    }

    async fn node_log(&self, engine: &Engine) -> String {
        let journal = [
            "journalctl",
            "--no-pager",
            "-n",
            "15",
            "-u",
            "kubelet",
            "-u",
            "containerd",
        ];
        match engine.exec(&self.node(), &journal, None, false).await {
            Ok(output) => output.stdout,
            Err(_) => String::new(),
        }
    }

    fn config(&self, kafka_port: u16, own_image: bool, blobs: Option<&Path>) -> String {
        // What one node of a development cluster can do without: leader election, waiting for the disk (the cluster is
        // made anew rather than recovered), RSA keys (3.8 s of CPU here), a restart of the kubelet at the end.
        // The controller manager's own rate limit makes its controllers start one after another. /kind/patches, in
        // our node image, holds smaller CPU requests; kubeadm passes over a folder that is empty.
        let mut kubeadm = vec![serde_json::json!({
            "kind": "ClusterConfiguration",
            "featureGates": {"PublicKeysECDSA": true},
            "etcd": {"local": {"extraArgs": {"unsafe-no-fsync": "true"}}},
            "controllerManager": {"extraArgs": {
                "leader-elect": "false", "kube-api-qps": "500", "kube-api-burst": "1000",
            }},
            "scheduler": {"extraArgs": {"leader-elect": "false"}},
        })];
        let mut init =
            serde_json::json!({"kind": "InitConfiguration", "skipPhases": ["preflight", "kubelet-finalize"]});
        if own_image {
            init["patches"] = serde_json::json!({"directory": "/kind/patches"});
        }
        kubeadm.push(init);
        let mounts: Vec<_> = blobs
            .map(|dir| serde_json::json!({"hostPath": dir, "containerPath": image::MOUNTED_BLOBS, "readOnly": true}))
            .into_iter()
            .collect();
        // JSON is YAML: nothing has to be quoted by hand
        serde_json::json!({
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            // the pod network of our node image is a part of the node; another's is in its default manifest
            "networking": {"disableDefaultCNI": own_image},
            "kubeadmConfigPatches": kubeadm.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "nodes": [{
                "role": "control-plane",
                "extraMounts": mounts,
                "extraPortMappings": [
                    {"containerPort": EXTERNAL_NODE_PORT, "hostPort": kafka_port, "listenAddress": "127.0.0.1", "protocol": "TCP"},
                ],
            }],
        })
        .to_string()
    }
}

/// A kubeconfig of the node as it can be used on this machine, where the API server listens at `port`; nothing if it is
/// not complete. kind's certificates are valid for this address.
fn reachable(kubeconfig: &str, port: u16) -> Option<String> {
    let mut config: serde_json::Value = serde_saphyr::from_str(kubeconfig).ok()?;
    let has_key = |user: &serde_json::Value| user["user"]["client-key-data"].is_string();
    if !config["users"].as_array()?.iter().any(has_key) {
        return None;
    }
    for cluster in config.get_mut("clusters")?.as_array_mut()? {
        cluster["cluster"]["server"] = format!("https://127.0.0.1:{port}").into();
    }
    Some(config.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: &str = "apiVersion: v1
kind: Config
current-context: kubernetes-admin@test
clusters:
- name: test
  cluster: {certificate-authority-data: QUJD, server: 'https://test-control-plane:6443'}
contexts:
- name: kubernetes-admin@test
  context: {cluster: test, user: kubernetes-admin}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: QUJD
    client-key-data: QUJD
";

    #[test]
    fn the_nodes_kubeconfig_is_used_at_the_published_port_once_it_is_complete() {
        let text = reachable(ADMIN, 40123).unwrap();
        let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        let cluster = config.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:40123"));
        assert_eq!(cluster.certificate_authority_data.as_deref(), Some("QUJD"));
        // as it may be read while kubeadm writes it
        for end in 0..ADMIN.len() - " QUJD\n".len() {
            assert_eq!(reachable(&ADMIN[..end], 40123), None, "{}", &ADMIN[..end]);
        }
    }
}

//! A cluster goes, and with it what it changed on this machine.

use super::{CLUSTER_LABEL, Kind, NETWORK, NodeState};
use crate::cluster::sysctl;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};

impl Kind {
    /// Removes the cluster's containers and volumes, its network if no other cluster uses it, its kubeconfig, and puts
    /// kernel settings back. Returns what was removed, one line each; nothing to remove is fine.
    ///
    /// # Errors
    /// [`Reason::ClusterForeign`] if the cluster is not ours, [`Reason::ClusterDeleteFailed`] if something stayed.
    pub async fn delete(&self, engine: &Engine) -> Result<Vec<String>> {
        let mut done = Vec::new();
        if self.observe(engine).await? == NodeState::Foreign {
            return Err(Failure::new(
                Reason::ClusterForeign,
                format!("the cluster `{}` was not made by dev", self.name),
            )
            .next(format!("kind delete cluster --name {}", self.name)));
        }
        // two that went at once would each leave the settings to the other
        let _settings = self.lock_settings().await?;
        match self.neighbour(engine).await? {
            // under a kubelet that runs they stay as it wants them; the last cluster puts them back
            Some(other) => {
                if sysctl::hand_over(&self.kernel, &self.dir, &other.dir)? {
                    done.push(format!("kernel settings stay: the cluster `{}` uses them", other.name));
                }
            }
            None => self.restore_sysctls(engine, &mut done).await,
        }
        done.extend(self.remove_containers(engine).await?);
        let left = engine.containers_with_label(CLUSTER_LABEL).await?;
        if !left.iter().any(|c| c.networks.contains_key(NETWORK)) && engine.remove_network(NETWORK).await? {
            done.push(format!("network {NETWORK}"));
        }
        if self.dir.exists() {
            fs_err::remove_dir_all(&self.dir).map_err(|e| {
                Failure::new(Reason::ClusterDeleteFailed, "the kubeconfig could not be removed").cause(&e)
            })?;
            done.push(format!("{}", self.kubeconfig().display()));
        }
        Ok(done)
    }

    pub(super) async fn remove_containers(&self, engine: &Engine) -> Result<Vec<String>> {
        let mut done = Vec::new();
        let label = format!("{CLUSTER_LABEL}={}", self.name);
        for container in engine.containers_with_label(&label).await? {
            engine.remove_container(&container.name).await?;
            done.push(format!("container {} and its volume", container.name));
        }
        let left = engine.containers_with_label(&label).await?;
        if left.is_empty() {
            Ok(done)
        } else {
            let names: Vec<_> = left.into_iter().map(|c| c.name).collect();
            Err(Failure::new(
                Reason::ClusterDeleteFailed,
                format!("still there: {}", names.join(", ")),
            ))
        }
    }

    /// Puts back what the kubelet changed, through the node: it is privileged even where the user is not root, and it
    /// is on the engine's machine even where the user is not.
    async fn restore_sysctls(&self, engine: &Engine, done: &mut Vec<String>) {
        let restore = sysctl::to_restore(&self.kernel, &self.dir);
        if restore.is_empty() {
            return;
        }
        let script: Vec<String> = restore
            .iter()
            .map(|(name, value)| format!("echo {value} > /proc/sys/{name}"))
            .collect();
        let through_node = match engine.container(&self.node()).await {
            Ok(Some(info)) if info.running => {
                let command = script.join(" && ");
                matches!(engine.exec(&self.node(), &["sh", "-c", &command], None, true).await, Ok(out) if out.code == 0)
            }
            _ => false,
        };
        if !through_node {
            for (name, value) in &restore {
                // without the rights for it they stay as they are; the check below tells
                let _ = fs_err::write(self.kernel.join(name), value);
            }
        }
        let still = sysctl::to_restore(&self.kernel, &self.dir);
        for name in restore.keys() {
            let shown = name.replace('/', ".");
            if still.contains_key(name) {
                done.push(format!(
                    "NOT restored: kernel setting {shown} (needs root: sysctl -w {shown}={})",
                    restore[name]
                ));
            } else {
                done.push(format!("kernel setting {shown} back to {}", restore[name]));
            }
        }
    }
}

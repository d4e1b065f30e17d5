//! What every operation on an environment needs: the profile, the engine, the cluster's handle.

use std::sync::Arc;

use kube::Client;
use tokio::sync::Mutex;

use crate::cluster::Kind;
use crate::config::Profile;
use crate::container::Engine;
use crate::diag::Result;
use crate::env::Env;

/// A profile with the engine it lives in.
#[derive(Clone)]
pub struct Context {
    /// The process's surroundings.
    pub env: Env,
    /// The profile.
    pub profile: Profile,
    /// The Docker engine.
    pub engine: Engine,
    /// The cluster.
    pub kind: Kind,
    client: Arc<Mutex<Option<Client>>>,
}

impl Context {
    /// Connects to the engine.
    ///
    /// # Errors
    /// What [`Engine::connect`] says.
    pub async fn open(env: &Env, profile: Profile) -> Result<Self> {
        let engine = Engine::connect(env).await?;
        let kind = Kind::new(env, &profile);
        Ok(Self {
            env: env.clone(),
            profile,
            engine,
            kind,
            client: Arc::default(),
        })
    }

    /// A client of the cluster's API server, made once from the cluster's own kubeconfig.
    ///
    /// # Errors
    /// What [`crate::kube::client`] says.
    pub async fn client(&self) -> Result<Client> {
        let mut kept = self.client.lock().await;
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let client = crate::kube::client(&self.kind.kubeconfig()).await?;
        *kept = Some(client.clone());
        Ok(client)
    }

    /// Takes this client from now on: a cluster that is made anew has another port and other certificates than the
    /// one before, which this process may have looked at.
    pub(super) async fn use_client(&self, client: Client) {
        *self.client.lock().await = Some(client);
    }
}

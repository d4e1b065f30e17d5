//! An application's image that follows its jar or its project, in a `FlinkDeployment`.

use std::future::pending;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Subject;
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::env::Env;
use crate::flink::Deployment;
use crate::image::app::{self, Base, Targets};
use crate::image::inputs::{Inputs, Origin};

/// How long a deployment may take to run its new image.
const RUNS: Duration = Duration::from_secs(300);

/// An application whose image is made, loaded and set on each change.
#[derive(Debug)]
pub struct ImageOf {
    /// What it is made from.
    pub inputs: Inputs,
    /// The image below.
    pub base: Base,
    /// Where the image goes.
    pub targets: Targets,
    /// What runs it.
    pub deployment: Deployment,
    /// The engine.
    pub engine: Engine,
    /// The process's surroundings.
    pub env: Env,
}

impl ImageOf {
    fn origin(&self) -> &Path {
        match &self.inputs.origin {
            Origin::Jar(path) | Origin::Project(path) => path,
            Origin::Sql(files) | Origin::Python(files) => files.first().map_or(Path::new("."), |path| path),
            Origin::Files(_) => Path::new("."),
        }
    }
}

#[async_trait::async_trait]
impl Subject for ImageOf {
    fn title(&self) -> String {
        super::shown(self.origin(), &self.env.cwd)
    }

    async fn round(&mut self, cx: &StepCx) -> Result<String> {
        let start = Instant::now();
        let gathered = self.inputs.gather(&self.engine, &self.env, &self.base, cx).await?;
        let built = start.elapsed();
        for note in &gathered.notes {
            cx.output(note.clone());
        }
        let image = app::assemble(&self.engine, &self.env, &self.base, &gathered.spec).await?;
        app::deliver(&self.engine, &self.env, &image, &self.targets, cx).await?;
        let loaded = start.elapsed();
        let changed = self.deployment.set_image(&image.name).await?;
        let runs = tokio::time::timeout(RUNS, self.deployment.runs(&image.name, cx)).await;
        let state = runs.map_err(|_| {
            Failure::new(
                Reason::TimedOut,
                format!("{} does not run after {} s", image.name, RUNS.as_secs()),
            )
            .evidence(format!("last seen: {}", cx.last_reason()))
        })??;
        let seconds = |d: Duration| d.as_secs_f64();
        Ok(if changed {
            format!(
                "{} {state} (built and checked {:.2} s, in the cluster {:.2} s, {state} {:.1} s later)",
                image.name,
                seconds(built),
                seconds(loaded - built),
                seconds(start.elapsed() - loaded)
            )
        } else {
            format!("{} {state}: the image is the same", image.name)
        })
    }

    async fn failed(&mut self) -> Failure {
        // the operator looks after the job; `dev status` tells
        pending().await
    }

    async fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

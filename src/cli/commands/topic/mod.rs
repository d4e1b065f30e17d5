//! `dev topic`.

pub(in crate::cli) mod args;
mod consume;
mod manage;
mod produce;

use std::process::ExitCode;

use args::{Broker, TopicCommand};

use crate::cli::session::Session;
use crate::config::Profile;
use crate::diag::{Failure, Reason, Result};
use crate::environment::{self, Context};
use crate::kafka::TopicClient;

pub(super) async fn run(session: &Session, command: TopicCommand) -> Result<ExitCode> {
    match command {
        TopicCommand::Create {
            names,
            partitions,
            set,
            if_not_exists,
            broker,
        } => {
            let client = connect(session, &broker).await?;
            let settings = set.into_iter().collect();
            manage::create(session, &client, &names, partitions, &settings, if_not_exists).await
        }
        TopicCommand::Ls { names, broker } => manage::list(session, &connect(session, &broker).await?, &names).await,
        TopicCommand::Rm {
            names,
            if_exists,
            broker,
        } => manage::remove(session, &connect(session, &broker).await?, names, if_exists).await,
        TopicCommand::Produce(produce) => produce::run(session, &produce).await,
        TopicCommand::Consume(consume) => consume::run(session, &consume).await,
    }
}

/// A client of the profile's broker, or of the one that was named.
async fn connect(session: &Session, broker: &Broker) -> Result<TopicClient> {
    let address = match &broker.bootstrap {
        Some(address) => address.clone(),
        None => {
            let profile = Profile::load(&session.env, broker.profile.as_deref())?;
            let context = Context::open(&session.env, profile).await?;
            kafka_address(&context).await?
        }
    };
    tokio::select! {
        connected = TopicClient::connect(&address) => connected,
        () = session.cancel.cancelled() => Err(Failure::new(Reason::Interrupted, "interrupted")),
    }
}

/// Where Kafka listens on this machine.
pub(super) async fn kafka_address(context: &Context) -> Result<String> {
    let endpoints = environment::listening(context).await?;
    let name = &context.profile.name;
    if endpoints.is_empty() {
        return Err(Failure::new(
            Reason::ClusterNotFound,
            format!("the cluster `{name}` does not run"),
        ));
    }
    let kafka = endpoints.iter().find(|e| e.name == "Kafka" && e.from == "this machine");
    kafka.map(|e| e.address.clone()).ok_or_else(|| {
        let message = format!("the profile `{name}` has no Kafka");
        Failure::new(Reason::ConfigInvalid, message)
            .next("write `kafka: {enabled: true}` in the profile, then `dev up`")
    })
}

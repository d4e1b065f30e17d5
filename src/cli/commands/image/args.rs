//! The arguments of `dev image`, one file for each of its commands.

use clap::Subcommand;

pub(in crate::cli) use super::build::BuildArgs;
pub(in crate::cli) use super::load::LoadArgs;

/// What is done with images.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Make an image of an application and bring it into the cluster
    #[command(
        after_help = "The same files give the same image; its tag is taken from its content. Without a cluster it goes into\nthe engine only.\n\nExamples:\n  dev image build --jar target/orders-1.0.jar --main com.example.Orders\n  dev image build --jar app.jar --lib deps.jar --lib connector.jar --into lib\n  dev image build --project examples/clicks\n  dev image build --jar app.jar --connector kafka --connector avro-confluent\n  dev image build --sql orders.sql totals.sql\n  dev image build --jar app.jar --base flink:2.2.1-java17 --name team/orders --no-engine\n  dev image build --jar app.jar -o json | jq -r 'select(.event == \"image_built\").name'"
    )]
    Build(Box<BuildArgs>),
    /// Bring images of the engine into the cluster, what is missing only
    #[command(
        after_help = "Examples:\n  dev image load orders:1.0\n  dev image load orders:1.0 billing:1.0 --node kind-control-plane"
    )]
    Load(LoadArgs),
}

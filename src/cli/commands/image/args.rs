//! The arguments of `dev image`, one file for each of its commands.

use clap::Subcommand;

pub(in crate::cli) use super::build::BuildArgs;
pub(in crate::cli) use super::load::LoadArgs;
pub(in crate::cli) use super::ls::LsArgs;
pub(in crate::cli) use super::prune::PruneArgs;
pub(in crate::cli) use super::rm::RmArgs;

/// What is done with images.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Make an image of an application and bring it into the cluster
    #[command(
        after_help = "The same files give the same image; its tag is taken from its content. Without a cluster it goes into\nthe engine only.\n\nExamples:\n  dev image build --jar target/orders-1.0.jar --main com.example.Orders\n  dev image build --jar app.jar --lib deps.jar --lib connector.jar --into lib\n  dev image build --project examples/clicks\n  dev image build --jar app.jar --connector kafka --connector avro-confluent\n  dev image build --file Dockerfile --name orders --build-arg VERSION=2\n  dev image build --sql orders.sql totals.sql\n  dev image build --jar app.jar --base flink:2.2.1-java17 --name team/orders --no-engine\n  dev image build --jar app.jar -o json | jq -r 'select(.event == \"image_built\").name'"
    )]
    Build(Box<BuildArgs>),
    /// Bring images of the engine into the cluster, what is missing only
    #[command(
        after_help = "Examples:\n  dev image load orders:1.0\n  dev image load orders:1.0 billing:1.0 --node kind-control-plane"
    )]
    Load(LoadArgs),
    /// List images: in the engine, in the nodes, as layers in the cache; what is stale
    #[command(
        after_help = "Examples:\n  dev image ls\n  dev image ls --all\n  dev image ls -o json | jq '.images[] | select(.stale)'"
    )]
    Ls(LsArgs),
    /// Remove images by their names from engine, nodes and cache
    #[command(
        after_help = "What a pod or a container uses is refused.\n\nExamples:\n  dev image rm orders:0123456789ab\n  dev image rm --force orders:1.0"
    )]
    Rm(RmArgs),
    /// Remove what is stale and was made by dev: older builds that nothing uses, layers that no image needs
    #[command(
        after_help = "The cache of layers is kept below FLINK_DEV_CACHE_MAX (20GB) by every load, too.\n\nExamples:\n  dev image prune --dry-run\n  dev image prune orders\n  dev image prune"
    )]
    Prune(PruneArgs),
}

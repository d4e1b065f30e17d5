//! An application image into a node: what is missing only, seen to be there, and what it replaces gone.

use std::collections::BTreeSet;
use std::time::Duration;

use super::archive::{Archive, Contents, Inside};
use super::session::{Answer, Session};
use super::{APP_LABEL, AppImage, deliver::By, deliver::Way, name};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::engine::StepCx;
use crate::image::bounds::{TAKING, told, within};
use crate::image::load::{ID_LABEL, Layer, chain_ids};

/// More than this is not handed to `ctr`, which reads, writes and hashes it several times.
const SMALL: u64 = 4 << 20;

/// What a node keeps free beside what it is given: its database grows, too.
pub(super) const SPARE: u64 = 32 << 20;

/// How long the kubelet's view of the images may be behind.
const CRI: Duration = Duration::from_secs(10);

/// An image with what a node has to know of it.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) image: &'a AppImage,
    /// Its full name.
    pub(super) reference: String,
    /// Its full name without the tag.
    pub(super) repository: String,
    /// All its layers, lowest first.
    pub(super) layers: Vec<Layer>,
    pub(super) chains: Vec<String>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(image: &'a AppImage, reference: String, layers: Vec<Layer>) -> Self {
        let repository = reference
            .rsplit_once(':')
            .map_or(reference.as_str(), |(repository, _)| repository)
            .to_owned();
        let chains = chain_ids(&layers);
        Self {
            image,
            reference,
            repository,
            layers,
            chains,
        }
    }

    /// Its own layers with their bytes, lowest first.
    pub(super) fn own(&self) -> Vec<Inside> {
        let own = self.image.layers.iter().map(|layer| Inside {
            layer: Layer {
                digest: layer.digest.clone(),
                size: layer.size,
            },
            content: layer.content.clone(),
        });
        own.collect()
    }

    pub(super) fn top(&self) -> &str {
        self.chains.last().map(String::as_str).unwrap_or_default()
    }

    /// Whether the node has it: under its name, with its id as the kubelet sees it, unpacked.
    pub(super) fn is_in(&self, answer: &Answer) -> bool {
        let digest = answer.images.get(&self.reference);
        digest.is_some() && digest == answer.images.get(&self.image.id) && answer.chains.contains(self.top())
    }

    /// Whether it has our label: a build that has it has left nothing behind.
    pub(super) fn is_labelled(&self, answer: &Answer) -> bool {
        let label = format!("{APP_LABEL}={}", self.image.app);
        let labels = answer.labels.get(&self.reference);
        labels.is_some_and(|labels| labels.split(',').any(|other| other == label))
    }

    /// Its labels in a node.
    pub(super) fn labels(&self) -> [(&str, &str); 2] {
        [(ID_LABEL, self.image.id.as_str()), (APP_LABEL, self.image.app.as_str())]
    }

    /// The same after a load: both names, and unpacked.
    fn is_seen_in(&self, answer: &Answer) -> bool {
        let digest = answer.unpacked.get(&self.reference);
        digest.is_some() && digest == answer.unpacked.get(&self.image.id)
    }

    /// Its own layers that the node lacks; `None` if it lacks some of the base's.
    pub(super) fn missing(&self, answer: &Answer) -> Option<usize> {
        let present = self
            .chains
            .iter()
            .rposition(|chain| answer.chains.contains(chain))
            .map_or(0, |at| at + 1);
        let base = self.layers.len() - self.image.layers.len();
        (present >= base).then(|| self.layers.len() - present)
    }

    /// Names that look like other builds of this application and are not labelled as such.
    pub(super) fn unlabelled<'b>(&self, answer: &'b Answer) -> Vec<&'b str> {
        let all = answer.names.iter().filter(|name| !answer.ours.contains(*name));
        all.filter(|name| self.tag_of(name).is_some())
            .map(String::as_str)
            .collect()
    }

    /// The tag of another build's name.
    fn tag_of<'b>(&self, name: &'b str) -> Option<&'b str> {
        let tag = name.strip_prefix(&self.repository)?.strip_prefix(':')?;
        (name::is_content_tag(tag) && *name != self.reference).then_some(tag)
    }

    /// Names of older builds that nothing uses, those that the kubelet gave them included. What somebody else loaded
    /// under such a name is none.
    pub(super) fn outdated(&self, answer: &Answer) -> Vec<String> {
        let mut all = Vec::new();
        for name in &answer.names {
            let Some(tag) = self.tag_of(name) else { continue };
            if answer.used.contains(name) || !answer.ours.contains(name) {
                continue;
            }
            // one of another name with the same id would lose it
            let ids: Vec<&String> = answer
                .names
                .iter()
                .filter(|id| id.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(tag)))
                .collect();
            if ids.iter().any(|id| answer.used.contains(*id)) {
                continue;
            }
            all.push(name.clone());
            all.extend(ids.into_iter().cloned());
        }
        all
    }
}

/// What became of a try.
pub(super) enum Outcome {
    /// The image is there.
    Done(Done),
    /// It is not, and it cannot be brought this way.
    No(Failure),
    /// More is missing than is handed to `ctr`.
    Large {
        /// Whether some of that are layers of the base.
        cold: bool,
    },
}

/// How the image came to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) way: Way,
    pub(super) by: By,
    pub(super) layers: usize,
    pub(super) bytes: u64,
    /// Names of older builds that are gone.
    pub(super) removed: Vec<String>,
}

/// One talk with the node: looks, hands over what is missing if it is little, sees that it is there, tidies up.
///
/// # Errors
/// [`Reason::DiskShort`], [`Reason::ImageUnavailable`] for another architecture: no other way would help. What the
/// engine answers.
pub(super) async fn bring(
    engine: &Engine,
    node: &str,
    wanted: &Wanted<'_>,
    small_only: bool,
    cx: &StepCx,
) -> Result<Outcome> {
    let mut session = Session::open(engine, node).await?;
    let outcome = talk(&mut session, node, wanted, small_only, cx).await;
    match (outcome, session.close().await) {
        (Ok(outcome), Ok(())) => Ok(outcome),
        (Err(failure), _) | (Ok(_), Err(failure)) => Err(failure),
    }
}

async fn talk(
    session: &mut Session,
    node: &str,
    wanted: &Wanted<'_>,
    small_only: bool,
    cx: &StepCx,
) -> Result<Outcome> {
    let (reference, id) = (&wanted.reference, &wanted.image.id);
    let question = format!("state {reference} {id}");
    let busy = || format!("{node} does not answer yet: another load may run there");
    let state = told(cx, busy, session.ask(&question)).await?;
    if state.code != 0 {
        return Ok(Outcome::No(
            Failure::new(
                Reason::ImageLoadFailed,
                format!("{node} does not tell what images it has"),
            )
            .evidence(state.log),
        ));
    }
    let architecture = &wanted.image.base.info.architecture;
    if *architecture != state.architecture {
        return Err(Failure::new(
            Reason::ImageUnavailable,
            format!(
                "{} is for {architecture}, and {node} is {}",
                wanted.image.base.name, state.architecture
            ),
        )
        .next(format!("--base with an image for {}", state.architecture)));
    }
    if wanted.is_in(&state) && wanted.is_labelled(&state) {
        return Ok(Outcome::Done(Done {
            way: Way::Unchanged,
            by: By::Exec,
            layers: 0,
            bytes: 0,
            removed: Vec::new(),
        }));
    }
    let Some(missing) = wanted.missing(&state) else {
        return Ok(Outcome::Large { cold: true });
    };
    let mut inside = wanted.own();
    inside.drain(..inside.len() - missing);
    let archive = Archive::new(&Contents {
        image: wanted.image,
        reference,
        layers: &wanted.layers,
        inside: &inside,
    })
    .map_err(|e| Failure::new(Reason::Internal, "the image could not be packed").cause(&e))?;
    if small_only && archive.size() > SMALL {
        return Ok(Outcome::Large { cold: false });
    }
    // the archive, its blobs, and what is unpacked from them
    let needed = 3 * archive.size() + SPARE;
    if let Some(free) = state.free.filter(|free| *free < needed) {
        return Err(disk_short(node).evidence(format!("{} MB are free, {} MB are needed", free >> 20, needed >> 20)));
    }
    let imported = session
        .import(archive.read(), archive.size(), &wanted.image.app)
        .await?;
    if imported.code != 0 {
        // containerd 1 leaves a name behind: the kubelet must not see it
        if !state.images.contains_key(reference) {
            session.ask(&format!("remove {reference}\nsettle")).await?;
        }
        if imported.log.contains("no space left") {
            return Err(disk_short(node).evidence(imported.log));
        }
        return Ok(Outcome::No(
            Failure::new(
                Reason::ImageLoadFailed,
                format!("{node} did not take {}", wanted.image.name),
            )
            .evidence(imported.log),
        ));
    }
    if !seen(session, wanted).await? {
        return Ok(Outcome::No(Failure::new(
            Reason::ImageLoadFailed,
            format!("{node} took {} and does not have it", wanted.image.name),
        )));
    }
    let removed = tidy(session, node, wanted, imported).await?;
    Ok(Outcome::Done(Done {
        way: Way::Layers,
        by: By::Exec,
        layers: missing,
        bytes: inside.iter().map(|inside| inside.layer.size).sum(),
        removed,
    }))
}

/// Waits until the node has the image as the kubelet sees it.
async fn seen(session: &mut Session, wanted: &Wanted<'_>) -> Result<bool> {
    let question = format!("seen {} {}", wanted.reference, wanted.image.id);
    let start = tokio::time::Instant::now();
    loop {
        let answer = session.ask(&question).await?;
        if answer.code == 0 && wanted.is_seen_in(&answer) {
            return Ok(true);
        }
        // the kubelet's interface gives an image its second name when it has heard of the first
        if !answer.unpacked.contains_key(&wanted.reference) || start.elapsed() > CRI {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Labels the new build and removes older ones that nothing uses, both begun by one message: a build that has its label
/// has left nothing behind.
async fn tidy(session: &mut Session, node: &str, wanted: &Wanted<'_>, mut others: Answer) -> Result<Vec<String>> {
    // a load that was killed before it gave the label has left its mark in the manifest
    let unlabelled = wanted.unlabelled(&others);
    if !unlabelled.is_empty() {
        let marked = session.ask(&format!("marked {}", unlabelled.join(" "))).await?;
        others.ours.extend(marked.ours);
    }
    let outdated = wanted.outdated(&others);
    let [id, app] = wanted.labels().map(|(key, value)| format!("{key}={value}"));
    let mut lines = format!("label {} {id} {app}\n", wanted.reference);
    if !outdated.is_empty() {
        lines.push_str(&format!("remove {}\n", outdated.join(" ")));
    }
    let answer = session.ask(&format!("{lines}settle")).await?;
    if answer.code != 0 {
        return Err(Failure::new(
            Reason::ImageLoadFailed,
            format!(
                "{node} has {}, but it could not be labelled, or older builds removed",
                wanted.image.name
            ),
        )
        .evidence(answer.log));
    }
    let names: BTreeSet<String> = outdated.into_iter().filter(|n| !n.starts_with("sha256:")).collect();
    Ok(names.into_iter().collect())
}

/// After a load by other means: sees that the image is there, and tidies up.
///
/// # Errors
/// [`Reason::ImageLoadFailed`] if it is not.
pub(super) async fn confirm(engine: &Engine, node: &str, wanted: &Wanted<'_>) -> Result<Vec<String>> {
    let mut session = Session::open(engine, node).await?;
    let removed = match seen(&mut session, wanted).await {
        Ok(true) => {
            let others = session.ask(&format!("others {}", wanted.image.app)).await?;
            tidy(&mut session, node, wanted, others).await
        }
        Ok(false) => Err(Failure::new(
            Reason::ImageLoadFailed,
            format!("{node} does not have {} after the load", wanted.image.name),
        )),
        Err(failure) => Err(failure),
    };
    session.close().await?;
    removed
}

/// A whole archive, as any tool would load it.
const IMPORT: &str = r#"
read -r snapshotter </run/flink-dev-containerd
ctr -n k8s.io images import --snapshotter "${snapshotter:-overlayfs}" - && exit 0
code=$?
# containerd 1 leaves a name behind: the kubelet must not see it
ctr -n k8s.io images rm "$1" >/dev/null 2>&1
exit $code
"#;

/// Hands over an archive with all layers.
///
/// # Errors
/// [`Reason::ImageLoadFailed`] with the node's words.
pub(super) async fn import(engine: &Engine, node: &str, wanted: &Wanted<'_>, archive: &Archive) -> Result<()> {
    let command = ["sh", "-c", IMPORT, "sh", &wanted.reference];
    let handed = engine.exec(node, &command, Some(Box::pin(archive.read())), true);
    let output = within(TAKING, node, "take an archive", handed).await?;
    if output.code == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Reason::ImageLoadFailed,
        format!("{node} did not take the whole of {}", wanted.image.name),
    )
    .evidence(crate::process::tail(&output.stderr, 15)))
}

/// The failure of a node that is full.
pub(super) fn disk_short(node: &str) -> Failure {
    Failure::new(Reason::DiskShort, format!("{node} has too little space for the image"))
        .next("docker system df")
        .next("docker system prune")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::app::base::sample;
    use crate::image::app::layer::{self, Content};

    fn image() -> AppImage {
        AppImage {
            name: "orders:0123456789ab".to_owned(),
            app: "orders".to_owned(),
            id: "sha256:0123456789abcdef".to_owned(),
            base: sample("b", &["aa", "bb"], serde_json::Value::Null),
            layers: ["cc", "dd"]
                .map(|digest| layer::Layer {
                    title: "x".to_owned(),
                    files: 1,
                    size: 10,
                    digest: digest.to_owned(),
                    reused: false,
                    content: Content::Memory(bytes::Bytes::new()),
                })
                .to_vec(),
            config: Vec::new(),
        }
    }

    fn wanted(image: &AppImage) -> Wanted<'_> {
        let layers = image.digests().into_iter().map(|digest| Layer { digest, size: 0 });
        Wanted::new(image, "h/library/orders:0123456789ab".to_owned(), layers.collect())
    }

    #[test]
    fn an_image_counts_only_when_the_kubelet_sees_it_unpacked() {
        let image = image();
        let wanted = wanted(&image);
        let mut answer = Answer::default();
        answer.images.insert(wanted.reference.clone(), "sha256:m".to_owned());
        answer.chains.insert(wanted.top().to_owned());
        assert!(!wanted.is_in(&answer), "the kubelet does not know it");
        answer.images.insert(image.id.clone(), "sha256:other".to_owned());
        assert!(!wanted.is_in(&answer), "the name leads elsewhere");
        answer.images.insert(image.id.clone(), "sha256:m".to_owned());
        assert!(wanted.is_in(&answer));
        answer.chains.clear();
        assert!(!wanted.is_in(&answer), "it is not unpacked");
        assert!(!wanted.is_seen_in(&answer));
        answer.unpacked.insert(wanted.reference.clone(), "sha256:m".to_owned());
        assert!(!wanted.is_seen_in(&answer), "the kubelet does not know it");
        answer.unpacked.insert(image.id.clone(), "sha256:m".to_owned());
        assert!(wanted.is_seen_in(&answer));
    }

    #[test]
    fn what_is_missing_is_counted_from_the_top() {
        let image = image();
        let wanted = wanted(&image);
        let mut answer = Answer::default();
        for (present, missing) in [(0, None), (1, None), (2, Some(2)), (3, Some(1)), (4, Some(0))] {
            answer.chains = wanted.chains[..present].iter().cloned().collect();
            assert_eq!(wanted.missing(&answer), missing, "{present}");
        }
    }

    #[test]
    fn only_older_builds_that_nothing_uses_are_outdated() {
        let image = image();
        let wanted = wanted(&image);
        let answer = Answer {
            names: [
                "h/library/orders:0123456789ab",
                "sha256:0123456789abcdef",
                "h/library/orders:aaaaaaaaaaaa",
                "sha256:aaaaaaaaaaaa0000",
                "h/library/orders:bbbbbbbbbbbb",
                "sha256:bbbbbbbbbbbb0000",
                "h/library/orders:stable",
                "h/library/orders2:cccccccccccc",
                "sha256:cccccccccccc0000",
                "h/library/orders:dddddddddddd",
                "h/library/orders:eeeeeeeeeeee",
            ]
            .map(str::to_owned)
            .into(),
            ours: ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "dddddddddddd"]
                .map(|tag| format!("h/library/orders:{tag}"))
                .into(),
            used: ["h/library/orders:bbbbbbbbbbbb".to_owned()].into(),
            ..Answer::default()
        };
        assert_eq!(
            wanted.unlabelled(&answer),
            ["h/library/orders:eeeeeeeeeeee"],
            "the name alone makes no build of it"
        );
        assert_eq!(
            wanted.outdated(&answer),
            [
                "h/library/orders:aaaaaaaaaaaa",
                "sha256:aaaaaaaaaaaa0000",
                "h/library/orders:dddddddddddd"
            ]
        );
    }
}

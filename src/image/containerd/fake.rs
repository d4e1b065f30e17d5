//! A containerd for tests: its services at a socket, with a folder as the node's root, and with faults to order.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use futures::StreamExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::body::Body;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::node::Node;
use super::wire::containers::{Container, ListContainersRequest, ListContainersResponse};
use super::wire::content::{
    DeleteContentRequest, Info, InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse, UpdateRequest,
    UpdateResponse, WriteAction, WriteContentRequest, WriteContentResponse,
};
use super::wire::cri::{self, ImageStatusRequest, ImageStatusResponse};
use super::wire::diff::{ApplyRequest, ApplyResponse};
use super::wire::images::{
    CreateImageRequest, DeleteImageRequest, Image, ImageResponse, ListImagesRequest, ListImagesResponse,
    UpdateImageRequest,
};
use super::wire::leases::{CreateRequest, CreateResponse, DeleteRequest, Lease, ListRequest, ListResponse};
use super::wire::snapshots::{
    self, CommitSnapshotRequest, Kind, PrepareSnapshotRequest, PrepareSnapshotResponse, RemoveSnapshotRequest,
    StatSnapshotRequest, StatSnapshotResponse,
};
use super::wire::types::{Descriptor, Mount};
use super::wire::version::VersionResponse;
use crate::image::load::sha256;

/// Where the snapshots' files are in the node.
const SNAPSHOTS: &str = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";

/// What goes wrong with a method.
#[derive(Debug, Clone)]
pub(in crate::image) enum Fault {
    Hang,
    Refuse(Code, &'static str),
}

/// A snapshot: its files' folder in the node, its parent, whether it is committed.
#[derive(Debug, Clone)]
pub(in crate::image) struct Snapshot {
    pub(in crate::image) folder: String,
    pub(in crate::image) parent: String,
    pub(in crate::image) committed: bool,
}

/// What the fake has.
#[derive(Debug, Default)]
pub(in crate::image) struct State {
    root: PathBuf,
    pub(in crate::image) images: BTreeMap<String, (String, BTreeMap<String, String>)>,
    /// Size and labels by digest.
    pub(in crate::image) blobs: BTreeMap<String, (i64, BTreeMap<String, String>)>,
    pub(in crate::image) snapshots: BTreeMap<String, Snapshot>,
    pub(in crate::image) leases: BTreeSet<String>,
    /// Names of images that containers were made from.
    pub(in crate::image) containers: Vec<String>,
    /// By the end of a method's path.
    pub(in crate::image) faults: BTreeMap<&'static str, Fault>,
    /// The ends of all methods' paths that were called.
    pub(in crate::image) calls: Vec<String>,
    number: usize,
}

/// A containerd that listens.
#[derive(Debug, Clone)]
pub(in crate::image) struct Fake {
    state: Arc<Mutex<State>>,
    root: Arc<tempfile::TempDir>,
}

impl Fake {
    pub(in crate::image) fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = "var/lib/containerd/io.containerd.content.v1.content/blobs/sha256";
        for folder in ["run", store, &SNAPSHOTS[1..]] {
            fs_err::create_dir_all(root.path().join(folder)).unwrap();
        }
        let listener = tokio::net::UnixListener::bind(root.path().join("run/socket")).unwrap();
        let fake = Self {
            state: Arc::new(Mutex::new(State {
                root: root.path().to_owned(),
                ..State::default()
            })),
            root: Arc::new(root),
        };
        let state = Arc::clone(&fake.state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                let service = hyper::service::service_fn(move |request| {
                    let state = Arc::clone(&state);
                    async move { Ok::<_, Infallible>(answer(state, request).await) }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        fake
    }

    /// A connection to it.
    pub(in crate::image) async fn node(&self) -> Arc<Node> {
        Arc::new(Node::at("node", &self.root.path().join("run/socket"), self.root.path()).await)
    }

    pub(in crate::image) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A path in the node, from here.
    pub(in crate::image) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Names of files in a committed snapshot.
    pub(in crate::image) fn files(&self, chain: &str) -> Vec<String> {
        let folder = self.state().snapshots[chain].folder.clone();
        let names = fs_err::read_dir(self.path(&folder)).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

type Answer<T> = Result<T, Status>;

async fn answer(state: Arc<Mutex<State>>, request: http::Request<Incoming>) -> http::Response<Body> {
    let path = request.uri().path().to_owned();
    let method = path.rsplit(['.', '/']).take(2).collect::<Vec<_>>();
    let method = format!("{}/{}", method[1], method[0]);
    let fault = {
        let mut state = state.lock().unwrap();
        state.calls.push(method.clone());
        state.faults.get(method.as_str()).cloned()
    };
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Refuse(code, message)) => return Status::new(code, message).into_http(),
        None => {}
    }
    match method.as_str() {
        "Version/Version" => one(state, request, |_, (): ()| {
            Ok(VersionResponse {
                version: "v2.1.0".to_owned(),
                revision: String::new(),
            })
        }),
        "Images/List" => one(state, request, |state, _: ListImagesRequest| {
            let images = state.images.iter().map(|(name, (digest, labels))| Image {
                name: name.clone(),
                labels: labels.clone(),
                target: Some(descriptor(digest)),
            });
            Ok(ListImagesResponse {
                images: images.collect(),
            })
        }),
        "Images/Create" => one(state, request, |state, request: CreateImageRequest| {
            let image = request.image.unwrap();
            if state.images.contains_key(&image.name) {
                return Err(Status::already_exists(image.name));
            }
            Ok(state.set(image))
        }),
        "Images/Update" => one(state, request, |state, request: UpdateImageRequest| {
            Ok(state.set(request.image.unwrap()))
        }),
        "Images/Delete" => one(state, request, |state, request: DeleteImageRequest| {
            state
                .images
                .remove(&request.name)
                .map(drop)
                .ok_or_else(|| Status::not_found(request.name))
        }),
        "Containers/List" => one(state, request, |state, request: ListContainersRequest| {
            let asked = |image: &&String| request.filters.contains(&format!("image==\"{image}\""));
            let containers = state.containers.iter().filter(asked).map(|image| Container {
                id: "c".to_owned(),
                image: image.clone(),
            });
            Ok(ListContainersResponse {
                containers: containers.collect(),
            })
        }),
        "Leases/List" => one(state, request, |state, _: ListRequest| {
            let leases = state.leases.iter().map(|id| Lease {
                id: id.clone(),
                ..Lease::default()
            });
            Ok(ListResponse {
                leases: leases.collect(),
            })
        }),
        "Leases/Create" => one(state, request, |state, request: CreateRequest| {
            state.leases.insert(request.id);
            Ok(CreateResponse::default())
        }),
        "Leases/Delete" => one(state, request, |state, request: DeleteRequest| {
            match state.leases.remove(&request.id) {
                true => Ok(()),
                false => Err(Status::not_found(request.id)),
            }
        }),
        "Content/Info" => one(state, request, |state, request: InfoRequest| {
            let (size, labels) = state
                .blobs
                .get(&request.digest)
                .ok_or_else(|| Status::not_found("no blob"))?;
            let info = Info {
                digest: request.digest,
                size: *size,
                labels: labels.clone(),
            };
            Ok(InfoResponse { info: Some(info) })
        }),
        "Content/Update" => one(state, request, |state, request: UpdateRequest| {
            let info = request.info.unwrap();
            state.blobs.get_mut(&info.digest).unwrap().1.extend(info.labels);
            Ok(UpdateResponse::default())
        }),
        "Content/Delete" => one(state, request, |state, request: DeleteContentRequest| {
            let _ = fs_err::remove_file(state.file(&request.digest));
            state
                .blobs
                .remove(&request.digest)
                .map(drop)
                .ok_or_else(|| Status::not_found("no blob"))
        }),
        // an answer in one part is the same on the wire as one in many
        "Content/Read" => one(state, request, |state, request: ReadContentRequest| {
            let data = fs_err::read(state.file(&request.digest)).map_err(|e| Status::not_found(e.to_string()))?;
            Ok(ReadContentResponse { data: data.into() })
        }),
        "Content/Write" => return write(state, request).await,
        "Snapshots/Stat" => one(state, request, |state, request: StatSnapshotRequest| {
            let found = state
                .snapshots
                .get(&request.key)
                .ok_or_else(|| Status::not_found("no snapshot"))?;
            let info = snapshots::Info {
                name: request.key,
                parent: found.parent.clone(),
                kind: if found.committed { Kind::Committed } else { Kind::Active } as i32,
            };
            Ok(StatSnapshotResponse { info: Some(info) })
        }),
        "Snapshots/Prepare" => one(state, request, |state, request: PrepareSnapshotRequest| {
            state.prepare(request)
        }),
        "Snapshots/Commit" => one(state, request, |state, request: CommitSnapshotRequest| {
            if state.snapshots.contains_key(&request.name) {
                return Err(Status::already_exists(request.name));
            }
            let mut snapshot = state
                .snapshots
                .remove(&request.key)
                .ok_or_else(|| Status::not_found("no key"))?;
            snapshot.committed = true;
            state.snapshots.insert(request.name, snapshot);
            Ok(())
        }),
        "Snapshots/Remove" => one(state, request, |state, request: RemoveSnapshotRequest| {
            state
                .snapshots
                .remove(&request.key)
                .map(drop)
                .ok_or_else(|| Status::not_found("no key"))
        }),
        "Diff/Apply" => one(state, request, |state, request: ApplyRequest| state.apply(&request)),
        "ImageService/ImageStatus" => one(state, request, |state, request: ImageStatusRequest| {
            let Some((digest, _)) = state.images.get(&request.image.unwrap_or_default().image) else {
                return Ok(ImageStatusResponse { image: None });
            };
            let manifest = fs_err::read(state.file(digest)).unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            let image = cri::Image {
                id: manifest["config"]["digest"].as_str().unwrap().to_owned(),
                repo_tags: Vec::new(),
            };
            Ok(ImageStatusResponse { image: Some(image) })
        }),
        other => panic!("the fake has no {other}"),
    }
    .await
}

impl State {
    fn set(&mut self, image: Image) -> ImageResponse {
        let digest = image.target.unwrap().digest;
        self.images.insert(image.name, (digest, image.labels));
        ImageResponse::default()
    }

    /// The file of a blob.
    fn file(&self, digest: &str) -> PathBuf {
        let store = "var/lib/containerd/io.containerd.content.v1.content/blobs/sha256";
        self.root.join(store).join(digest.trim_start_matches("sha256:"))
    }

    fn prepare(&mut self, request: PrepareSnapshotRequest) -> Answer<PrepareSnapshotResponse> {
        if let Some(target) = request.labels.get("containerd.io/snapshot.ref")
            && self.snapshots.contains_key(target)
        {
            return Err(Status::already_exists(target.clone()));
        }
        let parent = self
            .snapshots
            .get(&request.parent)
            .is_some_and(|parent| parent.committed);
        if !request.parent.is_empty() && !parent {
            return Err(Status::not_found(format!("parent {}", request.parent)));
        }
        self.number += 1;
        let folder = format!("{SNAPSHOTS}/{}/fs", self.number);
        fs_err::create_dir_all(self.root.join(&folder[1..])).unwrap();
        let mount = if request.parent.is_empty() {
            Mount {
                kind: "bind".to_owned(),
                source: folder.clone(),
                ..Mount::default()
            }
        } else {
            Mount {
                kind: "overlay".to_owned(),
                options: vec!["index=off".to_owned(), format!("upperdir={folder}")],
                ..Mount::default()
            }
        };
        let snapshot = Snapshot {
            folder,
            parent: request.parent,
            committed: false,
        };
        self.snapshots.insert(request.key, snapshot);
        Ok(PrepareSnapshotResponse { mounts: vec![mount] })
    }

    /// "Unpacks" a layer: a file with its digest as name.
    fn apply(&mut self, request: &ApplyRequest) -> Answer<ApplyResponse> {
        let digest = &request.diff.as_ref().unwrap().digest;
        if !self.blobs.contains_key(digest) {
            return Err(Status::not_found(format!("content digest {digest}: not found")));
        }
        let [mount] = request.mounts.as_slice() else {
            return Err(Status::invalid_argument("mounts"));
        };
        let upper = mount.options.iter().find_map(|option| option.strip_prefix("upperdir="));
        let folder = upper.unwrap_or(&mount.source);
        let bytes = fs_err::read(self.file(digest)).unwrap();
        let folder = self.root.join(folder.trim_start_matches('/'));
        fs_err::write(folder.join(digest.trim_start_matches("sha256:")), "").unwrap();
        Ok(ApplyResponse {
            applied: Some(descriptor(&format!("sha256:{}", sha256(&bytes)))),
        })
    }

    fn write(&mut self, messages: &[WriteContentRequest]) -> Answer<WriteContentResponse> {
        let (first, last) = (&messages[0], &messages[messages.len() - 1]);
        let file = self.file(&first.expected);
        if self.blobs.contains_key(&first.expected) {
            return Err(Status::already_exists(first.expected.clone()));
        }
        if last.action != WriteAction::Commit as i32 {
            return Ok(WriteContentResponse {
                action: last.action,
                ..WriteContentResponse::default()
            });
        }
        let laid = fs_err::metadata(&file).is_ok_and(|found| found.len() == last.total as u64);
        if last.offset > 0 && last.data.is_empty() {
            if !laid {
                return Err(Status::out_of_range("write must occur at current offset 0"));
            }
        } else {
            let bytes: Vec<u8> = messages.iter().flat_map(|message| message.data.to_vec()).collect();
            let found = format!("sha256:{}", sha256(&bytes));
            if found != last.expected {
                return Err(Status::failed_precondition(format!("unexpected commit digest {found}")));
            }
            fs_err::write(file, bytes).unwrap();
        }
        self.blobs
            .insert(last.expected.clone(), (last.total, last.labels.clone()));
        Ok(WriteContentResponse {
            action: WriteAction::Commit as i32,
            offset: last.total,
            ..WriteContentResponse::default()
        })
    }
}

fn descriptor(digest: &str) -> Descriptor {
    Descriptor {
        digest: digest.to_owned(),
        ..Descriptor::default()
    }
}

fn one<Q, R>(
    state: Arc<Mutex<State>>,
    request: http::Request<Incoming>,
    work: impl Fn(&mut State, Q) -> Answer<R> + Clone + Send + 'static,
) -> std::pin::Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>
where
    Q: prost::Message + Default + 'static,
    R: prost::Message + Default + 'static,
{
    assert_eq!(request.headers()["containerd-namespace"], "k8s.io");
    let service = tower::service_fn(move |request: Request<Q>| {
        let answer = work(&mut state.lock().unwrap(), request.into_inner());
        async move { answer.map(Response::new) }
    });
    Box::pin(async move {
        tonic::server::Grpc::new(ProstCodec::<R, Q>::default())
            .unary(service, request)
            .await
    })
}

async fn write(state: Arc<Mutex<State>>, request: http::Request<Incoming>) -> http::Response<Body> {
    assert!(
        request.headers().contains_key("containerd-lease"),
        "a blob without a lease"
    );
    let service = tower::service_fn(move |request: Request<Streaming<WriteContentRequest>>| {
        let state = Arc::clone(&state);
        async move {
            let mut stream = request.into_inner();
            let mut messages = Vec::new();
            while let Some(message) = stream.next().await {
                messages.push(message?);
            }
            let last = state.lock().unwrap().write(&messages)?;
            Ok::<_, Status>(Response::new(futures::stream::iter([Ok::<_, Status>(last)])))
        }
    });
    let codec = ProstCodec::<WriteContentResponse, WriteContentRequest>::default();
    tonic::server::Grpc::new(codec).streaming(service, request).await
}

/// A layer's tar with one file, and its digest in hex.
pub(in crate::image) fn layer(folder: &Path, name: &str) -> crate::image::load::Layer {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    header.set_cksum();
    tar.append_data(&mut header, name, &b"abc"[..]).unwrap();
    let bytes = tar.into_inner().unwrap();
    let digest = sha256(&bytes);
    fs_err::create_dir_all(folder).unwrap();
    fs_err::write(folder.join(&digest), &bytes).unwrap();
    crate::image::load::Layer {
        digest,
        size: bytes.len() as u64,
    }
}

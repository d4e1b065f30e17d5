//! Blobs into a node's store.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::stream;
use tokio::io::AsyncReadExt;

use super::client::{Client, Method, Refused};
use super::wire::content::{
    DeleteContentRequest, Info, UpdateRequest, UpdateResponse, WriteAction, WriteContentRequest, WriteContentResponse,
};
use super::wire::types::FieldMask;

const WRITE: Method = Method::new("/containerd.services.content.v1.Content/Write", "take a blob", 1800);
const UPDATE: Method = Method::new("/containerd.services.content.v1.Content/Update", "label a blob", 60);
const DELETE: Method = Method::new("/containerd.services.content.v1.Content/Delete", "forget a blob", 60);

/// Bytes of a message; gRPC's usual limit for one is 4 MiB.
const CHUNK: usize = 1 << 20;

/// Where the bytes of a blob are.
#[derive(Debug, Clone)]
pub(in crate::image) enum Bytes {
    /// At hand.
    Here(bytes::Bytes),
    /// In a file.
    File(PathBuf),
    /// Laid into the node's store as a file, under the digest: containerd takes it over as it is.
    Laid,
}

/// A blob that a node gets.
#[derive(Debug, Clone)]
pub(super) struct Blob<'a> {
    /// `sha256:…`
    pub(super) digest: &'a str,
    pub(super) size: u64,
    pub(super) bytes: Bytes,
    pub(super) labels: BTreeMap<String, String>,
}

impl Client {
    /// Has containerd keep a blob. One that it has already is only labelled. `name` is that of the unfinished blob.
    pub(super) async fn keep(&self, name: &str, blob: Blob<'_>) -> Result<(), Refused> {
        let request = WriteContentRequest {
            r#ref: name.to_owned(),
            total: i64::try_from(blob.size).unwrap_or(i64::MAX),
            expected: blob.digest.to_owned(),
            labels: blob.labels.clone(),
            ..WriteContentRequest::default()
        };
        let written: Result<WriteContentResponse, Refused> = match blob.bytes {
            Bytes::Here(bytes) => self.converse(WRITE, stream::iter(parts(&request, &bytes))).await,
            Bytes::File(path) => self.converse(WRITE, stream_of(request, path)).await,
            Bytes::Laid => {
                let offset = request.total;
                let commit = WriteContentRequest {
                    action: WriteAction::Commit as i32,
                    offset,
                    ..request
                };
                self.converse(WRITE, stream::iter([commit])).await
            }
        };
        match written {
            Ok(last) if last.action == WriteAction::Commit as i32 => Ok(()),
            Ok(last) => Err(self.refused(WRITE, format!("its bytes ended after {} of {}", last.offset, blob.size))),
            Err(refused) if refused.is_there() => self.label(blob.digest, blob.labels).await,
            Err(refused) => Err(refused),
        }
    }

    /// Sets labels of a blob, and leaves its others.
    async fn label(&self, digest: &str, labels: BTreeMap<String, String>) -> Result<(), Refused> {
        if labels.is_empty() {
            return Ok(());
        }
        let request = UpdateRequest {
            update_mask: Some(FieldMask {
                paths: labels.keys().map(|key| format!("labels.{key}")).collect(),
            }),
            info: Some(Info {
                digest: digest.to_owned(),
                size: 0,
                labels,
            }),
        };
        self.call::<_, UpdateResponse>(UPDATE, request).await.map(drop)
    }

    /// Has containerd forget a blob; one that it does not know is fine.
    pub(super) async fn forget(&self, digest: &str) -> Result<(), Refused> {
        let request = DeleteContentRequest {
            digest: digest.to_owned(),
        };
        match self.call::<_, ()>(DELETE, request).await {
            Err(refused) if !refused.is_absent() => Err(refused),
            _ => Ok(()),
        }
    }
}

/// The messages of a blob at hand: one if it is small.
fn parts(request: &WriteContentRequest, bytes: &bytes::Bytes) -> Vec<WriteContentRequest> {
    let ends = (1..).map(|n| n * CHUNK).take_while(|end| *end < bytes.len());
    let ends = ends.chain([bytes.len()]);
    let mut from = 0;
    ends.map(|end| {
        let part = message(request, from as u64, bytes.slice(from..end));
        from = end;
        part
    })
    .collect()
}

/// A part of a blob; the last one ends it. The digest is told at the end only, unless it is all: containerd would look
/// for it with each one.
fn message(request: &WriteContentRequest, offset: u64, data: bytes::Bytes) -> WriteContentRequest {
    let end = offset + data.len() as u64;
    let last = end == u64::try_from(request.total).unwrap_or_default();
    let mut part = WriteContentRequest {
        action: if last { WriteAction::Commit } else { WriteAction::Write } as i32,
        offset: i64::try_from(offset).unwrap_or(i64::MAX),
        data,
        ..request.clone()
    };
    if !last {
        part.labels.clear();
        if offset > 0 {
            part.expected.clear();
        }
    }
    part
}

/// The messages of a file, read as they are asked for. One that cannot be read, or is shorter than it was, ends them
/// before the last.
fn stream_of(request: WriteContentRequest, path: PathBuf) -> impl futures::Stream<Item = WriteContentRequest> + Send {
    let total = u64::try_from(request.total).unwrap_or_default();
    stream::unfold(
        (request, path, None, 0_u64),
        move |(request, path, file, offset)| async move {
            if offset >= total {
                return None;
            }
            let mut file = match file {
                Some(file) => file,
                None => tokio::fs::File::open(&path).await.ok()?,
            };
            let length = usize::try_from(total - offset).unwrap_or(CHUNK).min(CHUNK);
            let mut data = vec![0; length];
            file.read_exact(&mut data).await.ok()?;
            let part = message(&request, offset, data.into());
            Some((part, (request, path, Some(file), offset + length as u64)))
        },
    )
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    fn request(total: usize) -> WriteContentRequest {
        WriteContentRequest {
            r#ref: "r".to_owned(),
            total: total as i64,
            expected: "sha256:x".to_owned(),
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..WriteContentRequest::default()
        }
    }

    fn shapes(parts: &[WriteContentRequest]) -> Vec<(i32, i64, usize, bool, usize)> {
        let shape = |p: &WriteContentRequest| (p.action, p.offset, p.data.len(), p.expected.is_empty(), p.labels.len());
        parts.iter().map(shape).collect()
    }

    #[tokio::test]
    async fn a_small_blob_is_one_message_and_the_last_of_a_large_one_ends_it() {
        assert_eq!(shapes(&parts(&request(5), &"12345".into())), [(2, 0, 5, false, 1)]);
        let large = bytes::Bytes::from(vec![7; 2 * CHUNK + 1]);
        let expected = [
            (1, 0, CHUNK, false, 0),
            (1, CHUNK as i64, CHUNK, true, 0),
            (2, 2 * CHUNK as i64, 1, false, 1),
        ];
        assert_eq!(shapes(&parts(&request(large.len()), &large)), expected);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blob");
        fs_err::write(&path, &large).unwrap();
        let read: Vec<_> = stream_of(request(large.len()), path.clone()).collect().await;
        assert_eq!(shapes(&read), expected);
        // it is shorter than it was
        fs_err::write(&path, &large[..CHUNK + 5]).unwrap();
        let read: Vec<_> = stream_of(request(large.len()), path).collect().await;
        assert_eq!(shapes(&read), expected[..1]);
        assert_eq!(shapes(&parts(&request(CHUNK), &vec![0; CHUNK].into())).len(), 1);
    }
}

//! One upload: its parts, as they come, into the cache.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc::Receiver;

use crate::image::load::{Blob, Cache};

/// A part of an upload.
#[derive(Debug)]
pub(super) enum Part {
    /// Some of its bytes.
    Bytes(Bytes),
    /// That was all. An upload that stops without it was given up.
    End,
}

/// Takes an upload to its end.
///
/// # Errors
/// If it was given up, or what [`Cache::land`] says.
pub(super) fn receive(cache: &Cache, parts: Receiver<Part>) -> io::Result<Blob> {
    cache.land(&mut Parts {
        parts,
        rest: Bytes::new(),
        ended: false,
    })
}

struct Parts {
    parts: Receiver<Part>,
    rest: Bytes,
    ended: bool,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Part::Bytes(bytes)) => self.rest = bytes,
                Some(Part::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an upload was given up")),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

//! What errors of the API server mean: which pass by themselves, and how they are told.

use ::kube::Error;

use crate::diag::{Failure, Reason};

/// Why an error may pass by itself, in words for a waiting line; `None` if trying again is useless.
///
/// Passing are: a server that boots (connection refused, 429, 5xx), a kind or namespace that is not there yet (404),
/// an admission webhook whose pod does not answer or whose certificate is not known yet, a write that lost a race
/// (409), and the first moments of the server's own access rules (403 that names RBAC roles which are missing).
pub fn transient(error: &Error) -> Option<String> {
    match error {
        Error::Api(status) => {
            let text = status.message.as_str();
            let passing = match status.code {
                404 | 409 | 429 | 502..=504 => true,
                500 => [
                    "failed calling webhook",
                    "etcdserver",
                    "connection refused",
                    "timeout",
                    "timed out",
                    "x509",
                ]
                .iter()
                .any(|t| text.contains(t)),
                // bootstrap roles are made after the server listens; namespaces get their quota caches later too
                403 => {
                    text.contains("not found") || text.contains("not yet ready") || text.contains("being terminated")
                }
                _ => false,
            };
            // the server's own words for a kind whose definition it does not serve (yet)
            let unserved =
                status.code == 404 && (text.contains("page not found") || text.contains("requested resource"));
            passing.then(|| {
                if unserved {
                    "its kind is not served yet".to_owned()
                } else {
                    short(text)
                }
            })
        }
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => Some(short(&chain(error))),
        _ => None,
    }
}

/// A failure that tells what was tried and what the API server answered.
///
/// An unreachable server is always told as [`Reason::ClusterUnreachable`], whatever was tried.
pub fn failure(reason: Reason, tried: impl Into<String>, error: &Error) -> Failure {
    match error {
        Error::Api(status) => {
            let mut failure = Failure::new(reason, tried).evidence(format!("{}: {}", status.code, status.message));
            for cause in status.details.iter().flat_map(|d| &d.causes) {
                // the message of a 422 repeats them all; only what it lacks is added
                if !status.message.contains(&cause.message) {
                    failure = failure.evidence(format!("{}: {}", cause.field, cause.message));
                }
            }
            failure
        }
        Error::HyperError(_) | Error::Service(_) => {
            let message = format!("{}: the API server does not answer", tried.into());
            Failure::new(Reason::ClusterUnreachable, message).evidence(chain(error))
        }
        _ => Failure::new(reason, tried).cause(error),
    }
}

/// An error with its sources, without the library's own prefixes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The first line, cut to what fits one line of a terminal.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

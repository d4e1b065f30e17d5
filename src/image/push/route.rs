//! Paths of the distribution API. Pure.

/// What a request is about. Digests are in hex, without `sha256:`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Whether there is a registry.
    Root,
    /// A layer or a configuration.
    Blob { digest: String },
    /// Beginning of an upload: `mount` asks for a blob of another repository, `digest` sends all of it at once.
    Start {
        repository: String,
        mount: Option<String>,
        digest: Option<String>,
    },
    /// An upload that goes on.
    Upload { repository: String, id: String },
    /// The last request of an upload.
    Finish {
        repository: String,
        id: String,
        digest: String,
    },
    /// A manifest or an index by tag or `sha256:…`.
    Manifest { repository: String, reference: String },
}

/// What a path with its query asks for; `None` if it is none of this API.
pub(super) fn route(path: &str, query: &str) -> Option<Route> {
    let rest = path.strip_prefix("/v2")?;
    if rest.is_empty() || rest == "/" {
        return Some(Route::Root);
    }
    let rest = rest.strip_prefix('/')?;
    if let Some((repository, reference)) = rest.rsplit_once("/manifests/") {
        return Some(Route::Manifest {
            repository: repository.to_owned(),
            reference: reference.to_owned(),
        });
    }
    let (repository, rest) = rest.rsplit_once("/blobs/")?;
    let repository = repository.to_owned();
    let argument = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(key, _)| *key == name)?.1;
        hex_of(&value.replace("%3A", ":").replace("%3a", ":"))
    };
    Some(match rest.strip_prefix("uploads") {
        Some("" | "/") => Route::Start {
            repository,
            mount: argument("mount"),
            digest: argument("digest"),
        },
        Some(id) => {
            let id = id.strip_prefix('/')?.to_owned();
            match argument("digest") {
                Some(digest) => Route::Finish { repository, id, digest },
                None => Route::Upload { repository, id },
            }
        }
        None => Route::Blob { digest: hex_of(rest)? },
    })
}

fn hex_of(digest: &str) -> Option<String> {
    let hex = digest.strip_prefix("sha256:")?;
    let right = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    right.then(|| hex.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_ask_is_understood() {
        let hex = "0f".repeat(32);
        let repository = || "flink-dev/images".to_owned();
        assert_eq!(route("/v2/", ""), Some(Route::Root));
        assert_eq!(
            route(&format!("/v2/flink-dev/images/blobs/sha256:{hex}"), ""),
            Some(Route::Blob { digest: hex.clone() })
        );
        let start = Route::Start {
            repository: repository(),
            mount: Some(hex.clone()),
            digest: None,
        };
        let query = format!("from=other%2Fimages&mount=sha256%3A{hex}");
        assert_eq!(route("/v2/flink-dev/images/blobs/uploads/", &query), Some(start));
        let finish = Route::Finish {
            repository: repository(),
            id: "upload-1".to_owned(),
            digest: hex.clone(),
        };
        let query = format!("digest=sha256:{hex}");
        assert_eq!(
            route("/v2/flink-dev/images/blobs/uploads/upload-1", &query),
            Some(finish)
        );
        let manifest = Route::Manifest {
            repository: repository(),
            reference: "x".to_owned(),
        };
        assert_eq!(route("/v2/flink-dev/images/manifests/x", ""), Some(manifest));
    }

    #[test]
    fn what_is_no_digest_leads_nowhere() {
        for path in [
            "/",
            "/v2/a/blobs/sha256:..",
            "/v2/a/blobs/../../x",
            "/v1/x",
            "/v2/a/tags/list",
            "/v2x",
        ] {
            assert_eq!(route(path, ""), None, "{path}");
        }
    }
}

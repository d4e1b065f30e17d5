//! Names of images as containerd and the kubelet write them.

/// The full form of a name: registry, repository and tag. Names without a registry belong to the engine's default
/// one, and those without a tag mean `latest` (the rule of the distribution project's `reference` package).
pub(in crate::image) fn normalize(name: &str, default: &str) -> String {
    let (registry, rest) = match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest.to_owned()),
        Some(_) => (default, name.to_owned()),
        None => (default, format!("library/{name}")),
    };
    let last = rest.rsplit('/').next().unwrap_or(&rest);
    let tag = if last.contains([':', '@']) { "" } else { ":latest" };
    format!("{registry}/{rest}{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_all_their_parts() {
        assert_eq!(
            normalize("flink:2.2.1-java17", "hub.example"),
            "hub.example/library/flink:2.2.1-java17"
        );
        assert_eq!(
            normalize("apache/kafka:4.1.1", "hub.example"),
            "hub.example/apache/kafka:4.1.1"
        );
        assert_eq!(
            normalize("flink-dev/x", "hub.example"),
            "hub.example/flink-dev/x:latest"
        );
        assert_eq!(
            normalize("registry.example/a/b:1", "hub.example"),
            "registry.example/a/b:1"
        );
        assert_eq!(normalize("localhost:5000/b", "hub.example"), "localhost:5000/b:latest");
        assert_eq!(
            normalize("localhost/b@sha256:00", "hub.example"),
            "localhost/b@sha256:00"
        );
    }
}

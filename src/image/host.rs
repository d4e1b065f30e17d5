//! What a build takes from the machine it runs on: the CA bundle and the proxies.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::env::Env;

/// Where systems keep all certificates of authorities in one file.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
];

/// The host's CA bundle (`SSL_CERT_FILE`, else where systems keep it); empty if there is none.
pub(super) fn ca_bundle(env: &Env) -> Vec<u8> {
    let named = env.var("SSL_CERT_FILE").map(PathBuf::from);
    named
        .into_iter()
        .chain(BUNDLES.iter().map(PathBuf::from))
        .find_map(|path| fs_err::read(env.absolute(&path)).ok().filter(|bytes| !bytes.is_empty()))
        .unwrap_or_default()
}

/// The user's proxies for a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Proxies {
    /// Build arguments that every build knows without declaring them.
    pub(super) args: BTreeMap<String, String>,
    /// Whether one of them is at the host's loopback address, which a build sees only in the host's network.
    pub(super) host_network: bool,
}

impl Proxies {
    /// Those of the environment. At a loopback address they are of use only if the engine is on this machine.
    pub(super) fn of(env: &Env, local_engine: bool) -> Self {
        let mut all = Self::default();
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY"] {
            let Some(value) = env.proxy(name) else { continue };
            if is_loopback(value) {
                if !local_engine || cfg!(target_os = "macos") {
                    continue;
                }
                all.host_network = true;
            }
            all.set(name, value);
        }
        if !all.args.is_empty()
            && let Some(value) = env.proxy("NO_PROXY")
        {
            all.set("NO_PROXY", value);
        }
        all
    }

    fn set(&mut self, name: &str, value: &str) {
        // some programs read one spelling, some the other
        self.args.insert(name.to_owned(), value.to_owned());
        self.args.insert(name.to_lowercase(), value.to_owned());
    }
}

fn is_loopback(proxy: &str) -> bool {
    let rest = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        Env {
            cwd: "/".into(),
            home: "/".into(),
            vars: vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        }
    }

    #[test]
    fn a_proxy_elsewhere_goes_in_under_both_spellings() {
        let found = Proxies::of(
            &env(&[("https_proxy", "http://u:p@proxy.example:3128"), ("no_proxy", "a")]),
            false,
        );
        assert!(!found.host_network);
        let names: Vec<_> = found.args.keys().map(String::as_str).collect();
        assert_eq!(names, ["HTTPS_PROXY", "NO_PROXY", "https_proxy", "no_proxy"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_proxy_at_loopback_needs_the_hosts_network() {
        let env = env(&[("HTTP_PROXY", "http://localhost:3128"), ("NO_PROXY", "a")]);
        assert!(Proxies::of(&env, true).host_network);
        assert_eq!(Proxies::of(&env, false), Proxies::default());
    }

    #[test]
    fn the_named_bundle_comes_first() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "mine").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(ca_bundle(&env(&[("SSL_CERT_FILE", path)])), b"mine");
    }
}

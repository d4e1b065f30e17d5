//! Proxy and certificates.

use std::net::IpAddr;

use crate::doctor::finding::{Cure, Finding};
use crate::doctor::fix::Action;
use crate::doctor::network::bypasses;
use crate::doctor::probe::Facts;
use crate::env::Env;

/// What must not go through a proxy: this machine, the cluster's names, pods and services (kind's defaults).
const INSIDE: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    ".svc",
    ".cluster.local",
    "10.96.0.0/16",
    "10.244.0.0/16",
];

pub(super) fn proxy(env: &Env) -> Finding {
    const TITLE: &str = "Proxy";
    let set: Vec<String> = ["HTTP_PROXY", "HTTPS_PROXY"]
        .iter()
        .filter_map(|name| {
            env.proxy(name)
                .map(|value| format!("{name}={}", without_password(value)))
        })
        .collect();
    if set.is_empty() {
        return Finding::ok("proxy", TITLE, "none");
    }
    let lacking: Vec<&str> = INSIDE.into_iter().filter(|entry| !spared(env, entry)).collect();
    let seen = set.join(", ");
    if lacking.is_empty() {
        return Finding::ok("proxy", TITLE, format!("{seen}; NO_PROXY covers the cluster"));
    }
    let list: Vec<&str> = env
        .proxy("NO_PROXY")
        .into_iter()
        .chain(lacking.iter().copied())
        .collect();
    let command = format!("export NO_PROXY={0} no_proxy={0}", list.join(","));
    Finding::warn(
        "proxy",
        TITLE,
        format!("{seen}; NO_PROXY does not cover {}", lacking.join(", ")),
    )
    .with(Cure::by_hand(
        "keeps what is inside the cluster from the proxy",
        command,
    ))
}

pub(super) fn ca(facts: &Facts) -> Finding {
    const TITLE: &str = "CA certificates";
    let cure = || {
        let host = &facts.host;
        let command = format!("{}apt-get install --no-install-recommends ca-certificates", host.sudo());
        Cure::by_action(
            host.curable(),
            "installs the system's bundle",
            command,
            vec![Action::Install("ca-certificates")],
        )
    };
    match &facts.ca {
        Some((path, Ok(count))) if *count > 0 => {
            let evidence = format!(
                "{count} in {}; handed to image builds, never into an image",
                path.display()
            );
            Finding::ok("ca", TITLE, evidence)
        }
        Some((path, Ok(_))) => Finding::warn("ca", TITLE, format!("{} holds no certificate", path.display())),
        Some((path, Err(why))) => Finding::warn("ca", TITLE, format!("{}: {why}", path.display())).with(cure()),
        None => Finding::warn(
            "ca",
            TITLE,
            "no bundle of certificates found: TLS from image builds relies on theirs",
        )
        .with(cure()),
    }
}

/// Whether `NO_PROXY` keeps an address, a name, a domain (`.svc`) or a range from the proxy.
fn spared(env: &Env, entry: &str) -> bool {
    let list = env.proxy("NO_PROXY").unwrap_or_default();
    let mut entries = list.split(',').map(str::trim);
    if let Some(domain) = entry.strip_prefix('.') {
        return bypasses(env, &format!("any.{domain}"));
    }
    let (address, bits) = entry
        .split_once('/')
        .map_or((entry, None), |(a, b)| (a, b.parse().ok()));
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => entries.any(|e| e == "*" || covers(e, ip.to_bits(), bits.unwrap_or(32))),
        _ => bypasses(env, entry),
    }
}

/// Whether a range or address in `NO_PROXY` covers the range of `bits` bits at `ip`.
fn covers(entry: &str, ip: u32, bits: u32) -> bool {
    let (address, width) = entry
        .split_once('/')
        .map_or((entry, Some(32)), |(a, b)| (a, b.parse().ok()));
    let (Ok(IpAddr::V4(base)), Some(width @ 0..=32)) = (address.parse(), width) else {
        return false;
    };
    let mask = u32::MAX.checked_shl(32 - width).unwrap_or(0);
    width <= bits && ip & mask == base.to_bits() & mask
}

fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        (None, Some((_, host))) => format!("***@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::doctor::finding::Status;
    use crate::doctor::testing::{env, facts};

    #[test]
    fn no_proxy_must_cover_the_cluster() {
        let mut env = env(Path::new("/nowhere"));
        assert_eq!(proxy(&env).status, Status::Ok);
        env.vars
            .insert("https_proxy".into(), "http://me:secret@proxy.example:3128".into());
        env.vars
            .insert("no_proxy".into(), "localhost,127.0.0.0/8,.cluster.local".into());
        let finding = proxy(&env);
        assert_eq!(finding.status, Status::Warn);
        assert!(
            finding
                .evidence
                .ends_with("does not cover .svc, 10.96.0.0/16, 10.244.0.0/16"),
            "{}",
            finding.evidence
        );
        assert!(!finding.evidence.contains("secret"));
        let command = finding.cure.unwrap().command;
        env.vars
            .insert("no_proxy".into(), command.split("no_proxy=").nth(1).unwrap().to_owned());
        assert_eq!(proxy(&env).status, Status::Ok, "what the cure says is enough");
    }

    #[test]
    fn ranges_cover_ranges() {
        let ten = u32::from_be_bytes([10, 96, 0, 0]);
        assert!(covers("10.0.0.0/8", ten, 16) && covers("10.96.0.0/16", ten, 16) && covers("0.0.0.0/0", ten, 16));
        assert!(
            !covers("10.96.0.0/24", ten, 16) && !covers("10.97.0.0/16", ten, 16) && !covers("example.com", ten, 16)
        );
    }

    #[test]
    fn certificates_are_told_with_what_becomes_of_them() {
        let mut facts = facts();
        facts.ca = Some(("/etc/ssl/ca.pem".into(), Ok(146)));
        let finding = ca(&facts);
        assert_eq!(finding.status, Status::Ok);
        assert!(
            finding
                .evidence
                .starts_with("146 in /etc/ssl/ca.pem; handed to image builds")
        );
        facts.ca = None;
        let finding = ca(&facts);
        assert!(finding.status == Status::Warn && finding.cure.unwrap().automatic);
        facts.ca = Some(("/etc/ssl/ca.pem".into(), Ok(0)));
        assert_eq!(ca(&facts).status, Status::Warn);
    }
}

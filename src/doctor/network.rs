//! Whether package registries answer. Their addresses come from the clients' own settings, never from here.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tools::answer;
use crate::env::Env;
use crate::process::{Program, find};

/// How long a name may take to resolve and a connection to come about.
const ANSWER: Duration = Duration::from_secs(2);

/// Whether something far away answers; the text is what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// It answered.
    Reached(String),
    /// It did not.
    Unreached(String),
    /// There was nothing to go by.
    NotChecked(String),
}

/// The registries of one kind of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packages {
    /// The client: `apt`, `go`, ...
    pub(super) client: &'static str,
    /// Whether one of them answers.
    pub(super) reach: Reach,
}

/// Host and port of a URL.
type Address = (String, u16);

/// Tries the registries of every client whose settings can be read.
pub(super) async fn packages(env: &Env, root: &Path) -> Vec<Packages> {
    let home = |path: &str| fs_err::read_to_string(env.home.join(path)).unwrap_or_default();
    let apt = apt_sources(root);
    let go = match (env.var("GOPROXY"), find(env, "go")) {
        (Some(proxy), _) => urls(proxy),
        (None, Some(go)) => urls(
            &answer(Program::new(go).args(["env", "GOPROXY"]))
                .await
                .unwrap_or_default(),
        ),
        (None, None) => Vec::new(),
    };
    let pip = match env.var("PIP_INDEX_URL") {
        Some(index) => urls(index),
        None => {
            let system = fs_err::read_to_string(root.join("etc/pip.conf")).unwrap_or_default();
            [system, home(".config/pip/pip.conf"), home(".pip/pip.conf")]
                .iter()
                .flat_map(|t| pip_index(t))
                .collect()
        }
    };
    let maven = urls(&home(".m2/settings.xml").replace(['<', '>'], " "));
    let clients = [("apt", apt), ("go", go), ("pip", pip), ("maven", maven)];
    join_all(clients.map(|(client, sources)| async move {
        Packages {
            client,
            reach: reach(env, sources).await,
        }
    }))
    .await
}

/// Whether one of some addresses accepts a connection; through the proxy, where one is set.
async fn reach(env: &Env, mut sources: Vec<(bool, Address)>) -> Reach {
    sources.sort();
    sources.dedup();
    if sources.is_empty() {
        return Reach::NotChecked("its settings name no registry".to_owned());
    }
    let tries = sources.into_iter().take(6).map(|(secure, (host, port))| async move {
        let proxy = env
            .proxy(if secure { "HTTPS_PROXY" } else { "HTTP_PROXY" })
            .filter(|_| !bypasses(env, &host));
        let (via, target) = match proxy.and_then(|p| urls(&with_scheme(p)).into_iter().next()) {
            Some((_, proxy)) => (format!(" through the proxy {}", proxy.0), proxy),
            None => (String::new(), (host.clone(), port)),
        };
        match timeout(ANSWER, TcpStream::connect(target)).await {
            Ok(Ok(_)) => Ok(format!("{host}{via}")),
            Ok(Err(e)) => Err(format!("{host}{via}: {e}")),
            Err(_) => Err(format!("{host}{via}: no connection within {ANSWER:?}")),
        }
    });
    let (reached, unreached): (Vec<_>, Vec<_>) = join_all(tries).await.into_iter().partition(Result::is_ok);
    let text = |results: Vec<Result<String, String>>| {
        results
            .into_iter()
            .map(|r| r.unwrap_or_else(|e| e))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if reached.is_empty() {
        Reach::Unreached(text(unreached))
    } else {
        Reach::Reached(text(reached))
    }
}

/// Whether `NO_PROXY` keeps a host from the proxy.
pub(super) fn bypasses(env: &Env, host: &str) -> bool {
    let list = env.proxy("NO_PROXY").unwrap_or_default();
    list.split(',')
        .map(|e| e.trim().trim_start_matches('*').trim_start_matches('.'))
        .any(|entry| {
            entry == host || (!entry.is_empty() && host.strip_suffix(entry).is_some_and(|front| front.ends_with('.')))
        })
}

/// The addresses of apt's sources, in both of its formats.
fn apt_sources(root: &Path) -> Vec<(bool, Address)> {
    let mut texts = vec![fs_err::read_to_string(root.join("etc/apt/sources.list")).unwrap_or_default()];
    if let Ok(entries) = fs_err::read_dir(root.join("etc/apt/sources.list.d")) {
        texts.extend(entries.flatten().filter_map(|e| fs_err::read_to_string(e.path()).ok()));
    }
    texts
        .iter()
        .flat_map(|t| t.lines())
        .filter(|l| !l.trim_start().starts_with('#'))
        .flat_map(urls)
        .collect()
}

fn pip_index(conf: &str) -> Vec<(bool, Address)> {
    let is_index = |line: &&str| line.split('=').next().is_some_and(|key| key.trim() == "index-url");
    conf.lines().filter(is_index).flat_map(urls).collect()
}

fn with_scheme(proxy: &str) -> String {
    if proxy.contains("://") {
        proxy.to_owned()
    } else {
        format!("http://{proxy}")
    }
}

/// The HTTP addresses in a text, each with whether it is reached by TLS. `localhost` and the like are kept: a mirror
/// may be there.
fn urls(text: &str) -> Vec<(bool, Address)> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '|' | '"' | '\''));
    words
        .filter_map(|word| {
            let at = word.find("http://").or_else(|| word.find("https://"))?;
            let (scheme, rest) = word[at..].split_once("://")?;
            let authority = rest.split(['/', '?', '#']).next()?;
            let authority = authority.rsplit('@').next()?;
            let secure = scheme == "https";
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
                _ => (authority, if secure { 443 } else { 80 }),
            };
            let host = host.trim_matches(['[', ']']);
            (!host.is_empty() && !host.contains('$')).then(|| (secure, (host.to_owned(), port)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::env;

    fn address(secure: bool, host: &str, port: u16) -> (bool, Address) {
        (secure, (host.to_owned(), port))
    }

    #[test]
    fn addresses_are_found_in_the_settings_of_clients() {
        assert_eq!(
            urls("https://proxy.example,https://user:pw@b.example:8443/go|direct"),
            [address(true, "proxy.example", 443), address(true, "b.example", 8443)]
        );
        assert_eq!(
            urls("deb [signed-by=/k.gpg] http://deb.example/debian trixie main"),
            [address(false, "deb.example", 80)]
        );
        assert_eq!(
            urls("URIs: mirror+http://[::1]:3142/debian"),
            [address(false, "::1", 3142)]
        );
        assert!(urls("off").is_empty() && urls("URIs: file:/srv/mirror").is_empty());
        assert_eq!(
            pip_index("[global]\nindex-url = https://py.example/simple\nextra = https://no.example\n"),
            [address(true, "py.example", 443)]
        );
    }

    #[test]
    fn sources_of_apt_in_both_formats() {
        let root = tempfile::tempdir().unwrap();
        let parts = root.path().join("etc/apt/sources.list.d");
        fs_err::create_dir_all(&parts).unwrap();
        fs_err::write(
            root.path().join("etc/apt/sources.list"),
            "# http://no.example\ndeb http://one.example/ x main\n",
        )
        .unwrap();
        fs_err::write(
            parts.join("two.sources"),
            "Types: deb\n# http://no.example\nURIs: https://two.example/debian\n",
        )
        .unwrap();
        assert_eq!(
            apt_sources(root.path()),
            [address(false, "one.example", 80), address(true, "two.example", 443)]
        );
    }

    #[tokio::test]
    async fn one_registry_that_answers_is_enough() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = address(false, "127.0.0.1", listener.local_addr().unwrap().port());
        let closed = {
            let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            address(true, "127.0.0.1", gone.local_addr().unwrap().port())
        };
        let env = env(Path::new("/nowhere"));
        assert_eq!(
            reach(&env, vec![closed.clone(), open]).await,
            Reach::Reached("127.0.0.1".to_owned())
        );
        assert!(matches!(reach(&env, vec![closed]).await, Reach::Unreached(why) if why.contains("refused")));
        assert!(matches!(reach(&env, vec![]).await, Reach::NotChecked(_)));
    }

    #[tokio::test]
    async fn a_proxy_stands_in_for_what_is_behind_it() {
        let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut env = env(Path::new("/nowhere"));
        env.vars
            .insert("http_proxy".into(), proxy.local_addr().unwrap().to_string());
        env.vars.insert("no_proxy".into(), "localhost,.inside.invalid".into());
        let outside = reach(&env, vec![address(false, "deb.invalid", 80)]).await;
        assert_eq!(
            outside,
            Reach::Reached("deb.invalid through the proxy 127.0.0.1".to_owned())
        );
        assert!(bypasses(&env, "deb.inside.invalid") && !bypasses(&env, "outside.invalid"));
        assert!(matches!(
            reach(&env, vec![address(false, "deb.inside.invalid", 80)]).await,
            Reach::Unreached(_)
        ));
    }
}

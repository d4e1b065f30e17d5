//! Two settings of a node's containerd: the snapshotter of the kubelet's images, and its root folder.

use std::path::Path;

use super::reach::Reach;

/// Finds them out in the node, keeps them where both ways find them again, and leaves them in `$snapshotter` and
/// `$root`. Asking containerd costs more than a whole load.
pub(in crate::image) const SETTINGS: &str = r#"
f=/run/flink-dev-containerd
if [ ! -s $f ] || [ /etc/containerd/config.toml -nt $f ]; then
  d=$(containerd config dump 2>/dev/null)
  s=$(printf '%s\n' "$d" | sed -n "s/^ *snapshotter = [\"']\(.*\)[\"'].*/\1/p" | head -n 1)
  r=$(printf '%s\n' "$d" | sed -n "s/^root = [\"']\(.*\)[\"'].*/\1/p" | head -n 1)
  printf '%s\n%s\n' "${s:-overlayfs}" "${r:-/var/lib/containerd}" >$f.new && mv $f.new $f
fi
{ read -r snapshotter; read -r root; } <$f
"#;

/// What [`SETTINGS`] keeps.
const KEPT: &str = "/run/flink-dev-containerd";

/// What it was made from.
const CONFIG: &str = "/etc/containerd/config.toml";

/// What is read of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) snapshotter: String,
    pub(super) root: String,
}

/// What [`SETTINGS`] kept, unless the node's configuration was changed since.
pub(super) fn kept(reach: &Reach) -> Option<Settings> {
    let (text, at) = reach.read(Path::new(KEPT)).ok()?;
    if reach.read(Path::new(CONFIG)).is_ok_and(|(_, changed)| changed > at) {
        return None;
    }
    parse(&text)
}

/// Two lines: snapshotter, root folder.
pub(super) fn parse(text: &str) -> Option<Settings> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (snapshotter, root) = (lines.next()?.to_owned(), lines.next()?.to_owned());
    root.starts_with('/').then_some(Settings { snapshotter, root })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn settings_are_asked_for_again_when_the_configuration_changed() {
        let dir = tempfile::tempdir().unwrap();
        let reach = Reach::at(dir.path());
        assert_eq!(kept(&reach), None);
        for folder in ["run", "etc/containerd"] {
            fs_err::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs_err::write(dir.path().join("run/flink-dev-containerd"), "native\n/data\n").unwrap();
        let expected = Settings {
            snapshotter: "native".to_owned(),
            root: "/data".to_owned(),
        };
        assert_eq!(kept(&reach), Some(expected));
        let config = fs_err::File::create(dir.path().join("etc/containerd/config.toml")).unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        config.file().set_modified(later).unwrap();
        assert_eq!(kept(&reach), None);
        assert_eq!(parse("overlayfs\n"), None);
    }
}

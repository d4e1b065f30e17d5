//! The files that images are built from, as the repository has them (`build.rs` collects them).

/// Path in the repository, permission bits, content.
type File = (&'static str, u32, &'static [u8]);

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The files below a folder of the repository; paths are relative to it.
pub(super) fn below(folder: &str) -> impl Iterator<Item = File> + '_ {
    FILES.iter().filter_map(move |(path, mode, bytes)| {
        let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
        Some((rest, *mode, *bytes))
    })
}

//! The registry of names without one. Asking an engine for it makes it start programs, so the answer is noted.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// Where it is noted for an engine of a version at an address.
pub(super) fn note(env: &Env, endpoint: &str, server: &str) -> PathBuf {
    let key = hex::encode(Sha256::digest(format!("{endpoint}\n{server}")));
    env.cache_dir().join("engines").join(key)
}

fn read(note: &Path) -> Option<String> {
    let name = fs_err::read_to_string(note).ok()?;
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// Notes it, whole or not at all; without a note the engine is asked again.
fn write(note: &Path, name: &str) {
    let whole = || -> std::io::Result<()> {
        let folder = note.parent().unwrap_or(note);
        fs_err::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(name.as_bytes())?;
        file.persist(note)?;
        Ok(())
    };
    let _ = whole();
}

impl Engine {
    /// Host of the registry that names without one belong to, as the engine has it; an engine of a version is asked once.
    ///
    /// # Errors
    /// [`Reason::EngineError`] if the engine does not tell.
    pub async fn default_registry(&self) -> Result<&str> {
        let ask = || async {
            if let Some(noted) = self.note.as_deref().and_then(read) {
                return Ok(noted);
            }
            let info = self
                .docker
                .info()
                .await
                .map_err(|e| self.failed("describe itself", &e))?;
            let indexes = info.registry_config.and_then(|r| r.index_configs).unwrap_or_default();
            let name = indexes
                .into_values()
                .find(|index| index.official == Some(true))
                .and_then(|index| index.name)
                .ok_or_else(|| Failure::new(Reason::EngineError, "the engine does not tell its default registry"))?;
            if let Some(note) = &self.note {
                write(note, &name);
            }
            Ok(name)
        };
        self.registry.get_or_try_init(ask).await.map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_nonsense_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let note = dir.path().join("engines/x");
        assert_eq!(read(&note), None);
        write(&note, "hub.example");
        assert_eq!(read(&note).as_deref(), Some("hub.example"));
        for text in ["", "two\nlines"] {
            fs_err::write(&note, text).unwrap();
            assert_eq!(read(&note), None, "{text:?}");
        }
    }
}

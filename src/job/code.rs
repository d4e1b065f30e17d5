//! What a user runs, by its file: SQL, a jar or Python. All that depends on which of them it is, is asked here: what goes
//! into an application's image, and what the operator is told to start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use bytes::Bytes;

use super::modules;
use super::script::Script;
use super::vars::masked;
use crate::diag::{Failure, Result};
use crate::flink::{Program, SQL_RUNNER, percent_encoded, runner_args};
use crate::image::app::{File, Source};
use crate::image::inputs::Origin;

/// Where an application's script lies in its image.
const SCRIPTS: &str = "/opt/flink/usrlib/sql";
/// The SQL runner's jar in the session image. An application has to name a jar, even one of `lib`.
pub(super) const RUNNER_JAR: &str = "sql-runner.jar";
/// The class that starts a Python program of an image; it lies in Flink's own jar for Python.
const PYTHON_DRIVER: &str = "org.apache.flink.client.python.PythonDriver";
/// The class that starts one in a session cluster, with the program in its arguments.
const PYTHON_SCRIPT: &str = "io.github.flinkdev.python.PythonScript";
/// The jar that it lies in: a session image with Python has it.
pub(super) const PYTHON_JAR: &str = "python-script.jar";

/// What is run.
#[derive(Debug, Clone)]
pub enum Code {
    /// A SQL script.
    Sql(Box<Script>),
    /// A jar with a `main` method.
    Jar(JarCode),
    /// A Python program.
    Python(PythonCode),
}

/// A jar to be run.
#[derive(Debug, Clone)]
pub struct JarCode {
    /// The jar; absolute.
    pub path: PathBuf,
    /// How it is called in messages.
    pub shown: PathBuf,
    /// The class; `None`: the one that the manifest names.
    pub main: Option<String>,
    /// What `main` is given.
    pub args: Vec<String>,
}

/// A Python program to be run.
#[derive(Debug, Clone)]
pub struct PythonCode {
    /// Its file; absolute.
    pub path: PathBuf,
    /// How it is called in messages.
    pub shown: PathBuf,
    /// What it is given.
    pub args: Vec<String>,
}

impl PythonCode {
    /// What a session cluster starts: the program travels in the arguments, as a SQL script does, and with it the modules
    /// beside it that it imports.
    ///
    /// # Errors
    /// [`crate::diag::Reason::FileUnreadable`]; [`crate::diag::Reason::Usage`] if they are more than a job's object takes.
    pub fn in_session(&self) -> Result<Program> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut args = Vec::new();
        for (path, text) in modules::files(&self.path, &self.shown)? {
            let text = base64::engine::general_purpose::STANDARD.encode(text);
            args.extend(["--file".to_owned(), format!("{path}={text}")]);
        }
        args.extend(["--script".to_owned(), name.into_owned(), "--".to_owned()]);
        args.extend(self.args.iter().cloned());
        Ok(Program::Class {
            jar: None,
            class: Some(PYTHON_SCRIPT.to_owned()),
            args,
        })
    }
}

impl Code {
    /// The user's file, as it is called in messages.
    pub fn file(&self) -> &Path {
        match self {
            Self::Sql(script) => &script.file,
            Self::Jar(jar) => &jar.shown,
            Self::Python(python) => &python.shown,
        }
    }

    /// The parallelism that it sets itself, as far as that can be told.
    pub fn parallelism(&self) -> Option<u32> {
        match self {
            Self::Sql(script) => script.parallelism(),
            Self::Jar(_) | Self::Python(_) => None,
        }
    }

    /// The script, if it is one.
    pub(super) fn script(&self) -> Option<&Script> {
        match self {
            Self::Sql(script) => Some(script),
            Self::Jar(_) | Self::Python(_) => None,
        }
    }

    /// Does `work`; its failure comes without what must not be repeated.
    pub(super) async fn masking<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        work.await.map_err(|failure| self.masked(failure))
    }

    /// A failure without what must not be repeated.
    pub(super) fn masked(&self, failure: Failure) -> Failure {
        match self.script() {
            Some(script) => masked(failure, &script.vars),
            None => failure,
        }
    }

    /// What the image of an application `name` is made from.
    pub(super) fn origin(&self, name: &str) -> Origin {
        match self {
            // it was checked with its values: what the image has is the user's text
            Self::Sql(script) => Origin::Files(vec![File {
                target: script_path(name),
                source: Source::Bytes(Bytes::from(script.text().to_owned())),
                mode: 0o644,
            }]),
            Self::Jar(jar) => Origin::Jar(jar.path.clone()),
            Self::Python(python) => Origin::Python(vec![python.path.clone()]),
        }
    }

    /// What an application `name` starts. `main` is the class of its jar; `clear` are the values that may stand in the
    /// object, where Flink logs them.
    pub(super) fn in_application(
        &self,
        name: &str,
        main: Option<String>,
        clear: &BTreeMap<String, String>,
        flink_version: &str,
    ) -> Program {
        match self {
            Self::Sql(_) => {
                let mut args = vec!["--file".to_owned(), script_path(name)];
                args.extend(runner_args(name, clear));
                Program::Class {
                    jar: Some(format!("local:///opt/flink/lib/{RUNNER_JAR}")),
                    class: Some(SQL_RUNNER.to_owned()),
                    args,
                }
            }
            Self::Jar(jar) => Program::Class {
                jar: Some(format!("local:///opt/flink/usrlib/{}", encoded(&jar.path))),
                class: main,
                args: jar.args.clone(),
            },
            Self::Python(python) => {
                let file = python.path.file_name().unwrap_or_default().to_string_lossy();
                let mut args = vec!["-py".to_owned(), format!("/opt/flink/usrlib/python/{file}")];
                args.extend(python.args.clone());
                Program::Class {
                    jar: Some(format!("local:///opt/flink/opt/flink-python-{flink_version}.jar")),
                    class: Some(PYTHON_DRIVER.to_owned()),
                    args,
                }
            }
        }
    }
}

fn script_path(name: &str) -> String {
    format!("{SCRIPTS}/{name}.sql")
}

/// A file's name as a part of a URI.
pub(super) fn encoded(path: &Path) -> String {
    percent_encoded(&path.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_starts_the_class_of_its_jar() {
        let jar = Code::Jar(JarCode {
            path: "/x/My Job.jar".into(),
            shown: "My Job.jar".into(),
            main: None,
            args: vec!["--n".to_owned(), "1".to_owned()],
        });
        let program = jar.in_application("a", Some("a.B".to_owned()), &BTreeMap::new(), "2.2.1");
        let spec = program.spec("a");
        assert_eq!(spec["jarURI"], "local:///opt/flink/usrlib/My%20Job.jar");
        assert_eq!(spec["entryClass"], "a.B");
        assert_eq!(spec["args"], serde_json::json!(["--n", "1"]));
    }
}

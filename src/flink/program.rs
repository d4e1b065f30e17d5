//! What a job runs, and how `spec.job` of its object says so. It is the same for a `FlinkSessionJob` and an application.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value, json};

/// The SQL runner's main class, in the session image's `lib` folder.
pub const SQL_RUNNER: &str = "io.github.flinkdev.sqlrunner.SqlRunner";

/// What a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A SQL script, run by the SQL runner of the image.
    Sql {
        /// The script as the user wrote it.
        script: String,
        /// What the runner puts in for `${NAME}`. It logs the script, never these.
        vars: BTreeMap<String, String>,
        /// Where the operator finds a jar with classes that the script needs. It takes the place of the empty jar that the
        /// operator uploads otherwise: the runner is in the image's `lib`, whose classes every jar sees.
        jar: Option<String>,
    },
    /// A class with a `main` method.
    Class {
        /// Where the operator (session) or Flink (application: `local://`) finds the jar; `None`: the class is in the
        /// image's `lib` folder, and the operator uploads an empty jar of its own.
        jar: Option<String>,
        /// The class; `None`: the one that the jar's manifest names.
        class: Option<String>,
        /// What `main` is given.
        args: Vec<String>,
    },
}

impl Default for Program {
    fn default() -> Self {
        Self::from(String::new())
    }
}

impl From<String> for Program {
    /// A script without variables.
    fn from(script: String) -> Self {
        Self::Sql {
            script,
            vars: BTreeMap::new(),
            jar: None,
        }
    }
}

impl Program {
    /// The part of `spec.job` that says what is run; `name` is how the job is called in Flink, unless its program says
    /// otherwise. What is not set is null, so that the same text as a merge patch takes away what stood there before.
    pub fn spec(&self, name: &str) -> Value {
        match self {
            Self::Sql { script, vars, jar } => {
                let script = base64::engine::general_purpose::STANDARD.encode(script);
                let mut args = vec!["--script-base64".to_owned(), script];
                args.extend(runner_args(name, vars));
                json!({ "jarURI": jar, "entryClass": SQL_RUNNER, "args": args })
            }
            Self::Class { jar, class, args } => json!({ "jarURI": jar, "entryClass": class, "args": args }),
        }
    }
}

/// What the SQL runner is told besides the script.
pub fn runner_args(name: &str, vars: &BTreeMap<String, String>) -> Vec<String> {
    let mut args = vec!["--name".to_owned(), name.to_owned()];
    for (variable, value) in vars {
        args.extend(["--var".to_owned(), format!("{variable}={value}")]);
    }
    args
}

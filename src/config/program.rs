//! What a case runs.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// What a case runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseProgram {
    /// A SQL script.
    Sql {
        /// Its file.
        file: PathBuf,
        /// Its text as written; `${topic.NAME}`, `${kafka.bootstrap}` and `${registry.url}` are put in when the case runs.
        text: String,
        /// A jar with classes that it needs, of its functions say.
        jar: Option<JarFrom>,
    },
    /// A class with a `main` method.
    Jar {
        /// The jar.
        jar: JarFrom,
        /// The class; that which the manifest names if there is none here.
        class: Option<String>,
        /// What `main` is given, with placeholders as in a script.
        args: Vec<String>,
    },
    /// A Python program.
    Python {
        /// Its file.
        file: PathBuf,
        /// What it is given, with placeholders as in a script.
        args: Vec<String>,
    },
}

/// Where a jar comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JarFrom {
    /// It is there.
    File(PathBuf),
    /// A Maven or Gradle project in this folder makes it.
    Project(PathBuf),
}

impl JarFrom {
    /// The jar, or the folder of its project.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Project(path) => path,
        }
    }
}

impl Default for CaseProgram {
    fn default() -> Self {
        Self::sql("", "")
    }
}

impl CaseProgram {
    /// A script that needs no jar.
    pub fn sql(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self::Sql {
            file: file.into(),
            text: text.into(),
            jar: None,
        }
    }

    /// The user's file, or the folder of the program's project.
    pub fn file(&self) -> &Path {
        match self {
            Self::Sql { file, .. } | Self::Python { file, .. } => file,
            Self::Jar { jar, .. } => jar.path(),
        }
    }

    /// The text of a script; nothing for what is none.
    pub fn script(&self) -> &str {
        match self {
            Self::Sql { text, .. } => text,
            Self::Jar { .. } | Self::Python { .. } => "",
        }
    }

    /// What a program is given; a script is given nothing.
    pub fn args(&self) -> &[String] {
        match self {
            Self::Sql { .. } => &[],
            Self::Jar { args, .. } | Self::Python { args, .. } => args,
        }
    }

    /// The jar that the operator has to find.
    pub fn jar(&self) -> Option<&JarFrom> {
        match self {
            Self::Sql { jar, .. } => jar.as_ref(),
            Self::Jar { jar, .. } => Some(jar),
            Self::Python { .. } => None,
        }
    }

    /// The folder of the project that has to be built first, and the class that starts the job, if it is said.
    pub fn project(&self) -> Option<(&Path, Option<&str>)> {
        let class = match self {
            Self::Jar { class, .. } => class.as_deref(),
            Self::Sql { .. } | Self::Python { .. } => None,
        };
        match self.jar() {
            Some(JarFrom::Project(folder)) => Some((folder, class)),
            _ => None,
        }
    }

    /// The same with the jar that its project has made; `main` is the class that the jar names.
    #[must_use]
    pub fn built(self, made: PathBuf, main: Option<String>) -> Self {
        let made = JarFrom::File(made);
        match self {
            Self::Sql { file, text, .. } => Self::Sql {
                file,
                text,
                jar: Some(made),
            },
            Self::Jar { class, args, .. } => Self::Jar {
                jar: made,
                class: class.or(main),
                args,
            },
            python @ Self::Python { .. } => python,
        }
    }
}

//! What a case runs: a SQL script, a class of a jar, or a Python program.

use std::path::PathBuf;
use std::sync::Arc;

use super::Reader;
use crate::config::program::{CaseProgram, JarFrom};
use crate::config::raw_case::RawCase;
use crate::config::source::{Place, Source};
use crate::config::yaml::Node;
use crate::diag::{Failure, Reason, Result};
use crate::image::{jar, project};

impl Reader<'_> {
    /// What the case runs; a script is added to `scripts`.
    pub(super) fn program(&self, raw: &RawCase, scripts: &mut Vec<Arc<Source>>) -> Result<CaseProgram> {
        let wrong = |key: &str, message: &str| Err(self.tree.locate(key).failure(Reason::CaseInvalid, message));
        let jar = match (&raw.jar, &raw.project) {
            (Some(_), Some(_)) => return wrong("project", "a jar is there or is built: `jar` or `project`, not both"),
            (Some(name), None) => Some(self.jar(name)?),
            (None, Some(name)) => Some(self.project(name)?),
            (None, None) => None,
        };
        if raw.class.is_some() && (raw.sql.is_some() || jar.is_none()) {
            return wrong("class", "`class` names what starts a jar that stands alone");
        }
        if raw.sql.is_some() && !raw.args.is_empty() {
            return wrong("args", "`args` is for programs: a script has `${var.NAME}`");
        }
        let args = raw.args.clone();
        match (&raw.sql, jar, &raw.python) {
            (None, None, None) => {
                let message = "a case needs one of `sql: FILE`, `jar: FILE`, `project: FOLDER`, `python: FILE`";
                Err(self.tree.place.failure(Reason::CaseInvalid, message))
            }
            (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                wrong("python", "a Python program is run alone, without a script or a jar")
            }
            (Some(name), jar, None) => {
                let source = self.script(name, self.tree.locate("sql"))?;
                scripts.push(source.clone());
                Ok(CaseProgram::Sql {
                    file: source.file.clone(),
                    text: source.text.clone(),
                    jar: jar.map(|(jar, _)| jar),
                })
            }
            (None, Some((jar, looked)), None) => {
                let class = match looked {
                    Some(looked) => Some(self.class(looked, raw.class.as_deref())?),
                    // known when it is built
                    None => raw.class.clone(),
                };
                Ok(CaseProgram::Jar { jar, class, args })
            }
            (None, None, Some(name)) => {
                let source = self.read(name, self.tree.locate("python"))?;
                Ok(CaseProgram::Python {
                    file: source.file.clone(),
                    args,
                })
            }
        }
    }

    fn jar(&self, name: &str) -> Result<(JarFrom, Option<jar::Jar>)> {
        let path = self.folder.join(name);
        let looked = jar::read(&path).map_err(|failure| at(&failure, self.tree.locate("jar")))?;
        self.files.borrow_mut().push(path.clone());
        Ok((JarFrom::File(path), Some(looked)))
    }

    fn project(&self, name: &str) -> Result<(JarFrom, Option<jar::Jar>)> {
        // without the `.` of `project: .`
        let folder: PathBuf = self.folder.join(name).components().collect();
        project::tool_of(&folder).map_err(|failure| at(&failure, self.tree.locate("project")))?;
        Ok((JarFrom::Project(folder), None))
    }

    /// The class of a jar that starts its job.
    fn class(&self, jar: jar::Jar, asked: Option<&str>) -> Result<String> {
        let place = self.tree.locate(if asked.is_some() { "class" } else { "jar" });
        let class = jar::main_class(&[jar], asked).map_err(|failure| at(&failure, place))?;
        class.ok_or_else(|| {
            place.failure(
                Reason::CaseInvalid,
                "the jar's manifest names no class: say `class: CLASS`",
            )
        })
    }

    /// Names of `${…}` in what a program is given, with their places.
    pub(super) fn names_in_args(&self) -> Vec<(&Place, &str)> {
        let texts = self.tree.get("args").map(Node::items).unwrap_or_default();
        let texts = texts.iter().filter_map(|node| Some((&node.place, node.spelling()?)));
        texts
            .flat_map(|(place, text)| {
                let parts = text.split("${").skip(1);
                parts.filter_map(move |part| Some((place, part.split_once('}')?.0)))
            })
            .collect()
    }
}

/// A jar's failure at the place where the case names it; the words for the command line become those of a case.
fn at(failure: &Failure, place: &Place) -> Failure {
    let detail = failure.detail();
    let told = place.failure(detail.id, detail.message.clone());
    let seen = detail.evidence.iter().map(|seen| seen.replace("--main", "class"));
    let told = seen.fold(told, Failure::evidence);
    let next = failure.next_steps().into_iter();
    next.map(|step| {
        step.replace("--main ", "class: ")
            .replace("--project ", "project: ")
            .replace("--jar ", "jar: ")
    })
    .fold(told, Failure::next)
}

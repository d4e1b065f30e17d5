//! What cases need of the environment, looked at before anything of them is created.

use super::Target;
use crate::config::{Case, CaseProgram, Need};
use crate::diag::{Failure, Reason, Result};
use crate::flink::{CHECKPOINTS, SAVEPOINTS, Settings};
use crate::job::has_python;

/// What a session cluster has, by Flink's own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Has {
    ha: bool,
    savepoints: bool,
    python: bool,
    registry: bool,
}

/// What keeps a case from being run.
#[derive(Debug)]
pub(super) enum Lack {
    /// It says itself that it needs it: it is skipped, for this reason.
    Said(String),
    /// It does not: that is an error.
    Unsaid(Failure),
}

/// What the session cluster has; asked only if a case needs anything.
///
/// # Errors
/// [`Reason::FlinkUnreachable`].
pub(super) async fn look(target: &Target, cases: &[Case]) -> Result<Has> {
    let python = |case: &Case| matches!(case.program, CaseProgram::Python { .. });
    let needs = |case: &Case| {
        !case.needs.is_empty() || python(case) || case.steps.iter().any(|step| step.action.need().is_some())
    };
    if !cases.iter().any(|case| case.skip.is_none() && needs(case)) {
        return Ok(Has {
            registry: target.registry.is_some(),
            ..Has::default()
        });
    }
    let rest = target.rest();
    Ok(Has {
        registry: target.registry.is_some(),
        python: has_python(&rest).await?,
        ..has(&Settings::of(&rest).await?)
    })
}

fn has(settings: &Settings) -> Has {
    Has {
        ha: settings.is_highly_available(),
        // the operator takes no savepoint of a job without a folder for its checkpoints
        savepoints: settings.any_of(SAVEPOINTS).is_some() && settings.any_of(CHECKPOINTS).is_some(),
        python: false,
        registry: false,
    }
}

impl Has {
    fn is_there(self, need: Need) -> bool {
        match need {
            Need::Ha => self.ha,
            Need::Savepoints => self.savepoints,
            Need::Python => self.python,
            Need::Registry => self.registry,
        }
    }

    /// What a case lacks; `None` if nothing.
    pub(super) fn lack(self, case: &Case) -> Option<Lack> {
        if let Some(need) = case.needs.iter().copied().find(|need| !self.is_there(*need)) {
            return Some(Lack::Said(format!("needs {}: {}", need.word(), missing(need))));
        }
        let whole = [
            (Need::Python, matches!(case.program, CaseProgram::Python { .. })),
            (Need::Registry, case.uses_registry()),
        ];
        let lacking = whole.iter().find(|(need, asked)| *asked && !self.is_there(*need));
        if let Some((need, _)) = lacking {
            let what = match need {
                Need::Python => case.program.file().display().to_string(),
                _ => "the case".to_owned(),
            };
            let message = format!("{what} cannot be run: {}", missing(*need));
            return Some(Lack::Unsaid(unsaid(*need, message).at(case.file.clone(), 0, 0)));
        }
        let step = case.steps.iter().enumerate().find_map(|(index, step)| {
            let need = step.action.need().filter(|need| !self.is_there(*need))?;
            Some((index + 1, step, need))
        });
        let (number, step, need) = step?;
        let message = format!("step {number} ({}) cannot be done: {}", step.action, missing(need));
        let failure = unsaid(need, message).at(case.file.clone(), step.line, step.column);
        Some(Lack::Unsaid(failure))
    }
}

fn unsaid(need: Need, message: String) -> Failure {
    Failure::new(reason(need), message)
        .next(format!("set `{}` in the profile, then `dev up`", cure(need)))
        .next(format!(
            "or write `needs: [{}]` into the case: then it is skipped where there is none",
            need.word()
        ))
}

fn reason(need: Need) -> Reason {
    match need {
        Need::Ha | Need::Registry => Reason::ConfigInvalid,
        Need::Savepoints => Reason::StatePathMissing,
        Need::Python => Reason::ImageUnavailable,
    }
}

/// What a profile says that gives it.
fn cure(need: Need) -> &'static str {
    match need {
        Need::Ha => "flink: {state: {high_availability: true}}",
        Need::Savepoints => "flink: {state: {volume: node}}",
        Need::Python => "session: {python: true}",
        Need::Registry => "schema_registry: {enabled: true}",
    }
}

fn missing(need: Need) -> &'static str {
    match need {
        Need::Ha => {
            "a JobManager that dies takes its jobs along, the session cluster does not set `high-availability.type`"
        }
        Need::Savepoints => {
            "there is no place for state, the session cluster does not set `execution.checkpointing.savepoint-dir` and \
             `execution.checkpointing.dir`"
        }
        Need::Python => "the image of the session cluster has no Python",
        Need::Registry => {
            "there is no schema registry, which its `format: avro-confluent` or `${registry.url}` asks for"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Action, Expectation, Part, RecordFormat, Step};
    use crate::e2e::tests::plain_case;

    fn killing(needs: Vec<Need>) -> Case {
        let step = Step {
            action: Action::Kill(Part::JobManager),
            within: std::time::Duration::from_secs(1),
            line: 4,
            column: 5,
        };
        Case {
            steps: vec![step],
            needs,
            ..plain_case()
        }
    }

    #[test]
    fn a_case_that_uses_a_registry_needs_one() {
        let format = RecordFormat::AvroConfluent(None);
        let of_format = |needs| {
            let expect = vec![Expectation {
                format: format.clone(),
                ..Expectation::default()
            }];
            Case {
                needs,
                expect,
                ..plain_case()
            }
        };
        let Some(Lack::Unsaid(failure)) = Has::default().lack(&of_format(Vec::new())) else {
            panic!("it is an error");
        };
        assert!(
            failure.next_steps()[0].contains("schema_registry: {enabled: true}"),
            "{failure:?}"
        );
        let said = Has::default().lack(&of_format(vec![Need::Registry]));
        assert!(
            matches!(said, Some(Lack::Said(why)) if why.starts_with("needs registry: there is no schema registry"))
        );
        let there = Has {
            registry: true,
            ..Has::default()
        };
        assert!(there.lack(&of_format(vec![Need::Registry])).is_none());
        let by_name = Case {
            program: CaseProgram::sql("a.sql", "-- ${registry.url}\nSELECT '${registry.url}'"),
            ..plain_case()
        };
        assert!(by_name.uses_registry() && !plain_case().uses_registry());
    }

    #[test]
    fn what_is_lacking_is_an_error_at_its_step_or_a_skip_if_the_case_says_so() {
        let none = has(&Settings::from_iter([("high-availability.type", "NONE")]));
        let Some(Lack::Unsaid(failure)) = none.lack(&killing(Vec::new())) else {
            panic!("it is an error");
        };
        assert_eq!(
            failure.to_string(),
            "plain.test.yaml:4:5: step 1 (kill jobmanager) cannot be done: a JobManager that dies takes its jobs along, \
             the session cluster does not set `high-availability.type`"
        );
        assert!(matches!(none.lack(&killing(vec![Need::Ha])), Some(Lack::Said(_))));
        let ha = has(&Settings::from_iter([("high-availability.type", "kubernetes")]));
        assert!(ha.lack(&killing(Vec::new())).is_none() && none.lack(&plain_case()).is_none());
        assert!(
            matches!(ha.lack(&killing(vec![Need::Savepoints])), Some(Lack::Said(why)) if why.contains("savepoint-dir"))
        );
    }
}

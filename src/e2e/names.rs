//! Names that are one run's alone, so that cases never see each other's records and nothing shared is ever emptied.

use std::hash::{BuildHasher as _, Hasher as _};

/// What every name of a case's objects begins with.
pub(super) const PREFIX: &str = "dev";
/// Length of a run's id.
const RUN: usize = 8;
/// The operator takes names of session jobs of up to 45 characters.
const JOB: usize = 45;

/// The id of a run: random, lower-case letters and digits. It begins and ends with a digit, as no word does: a topic is
/// told to be ours by its name, and one that is called `dev-payments-1-events` is somebody's.
pub(crate) fn run_id() -> String {
    // the standard library seeds each of these from the system's random source
    let mut random = std::hash::RandomState::new().build_hasher().finish();
    let mut id = String::with_capacity(RUN);
    for at in 0..RUN {
        let base = if at == 0 || at + 1 == RUN { 10 } else { 36 };
        id.push(char::from_digit((random % u64::from(base)) as u32, base).unwrap_or('0'));
        random /= u64::from(base);
    }
    id
}

/// Names of the objects of one case of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// Of the job, its object, and the prefix of its topics.
    pub(crate) job: String,
}

impl Names {
    /// `dev-RUN-NUMBER-SLUG`; the number keeps cases of one name apart.
    pub(crate) fn new(run: &str, number: usize, case: &str) -> Self {
        let mut job = format!("{PREFIX}-{run}-{number}-{}", slug(case));
        job.truncate(JOB);
        Self {
            job: job.trim_end_matches('-').to_owned(),
        }
    }

    /// The name of another job of the case, `dev-RUN-NUMBER-0WHAT`.
    pub(super) fn beside(&self, what: &str) -> String {
        let own: Vec<&str> = self.job.splitn(4, '-').take(3).collect();
        format!("{}-0{what}", own.join("-"))
    }

    /// The name that a topic of the case has in Kafka.
    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.job)
    }

    /// The name that a topic has in the case.
    pub(super) fn short<'a>(&self, topic: &'a str) -> &'a str {
        let rest = topic.strip_prefix(self.job.as_str());
        rest.and_then(|rest| rest.strip_prefix('-')).unwrap_or(topic)
    }
}

/// The run that a topic of ours belongs to; `None` if it is somebody else's.
pub(super) fn run_of_topic(topic: &str) -> Option<&str> {
    let mut parts = topic.split('-');
    let (prefix, run, number) = (parts.next()?, parts.next()?, parts.next()?);
    let lower = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    let ours = prefix == PREFIX
        && run.len() == RUN
        && run.chars().all(lower)
        && run.starts_with(|c: char| c.is_ascii_digit())
        && run.ends_with(|c: char| c.is_ascii_digit())
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
        && parts.next().is_some();
    ours.then_some(run)
}

fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "case".to_owned()
    } else {
        slug.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_ids_of_their_own() {
        let (a, b) = (run_id(), run_id());
        assert_ne!(a, b);
        assert_eq!(a.len(), 8);
        assert_eq!(
            run_of_topic(&Names::new(&a, 3, "orders").topic("totals")),
            Some(a.as_str())
        );
    }

    #[test]
    fn names_suit_the_operator_and_kafka() {
        let names = Names::new(
            "ab12cd34",
            12,
            "Orders, per région & hour: the very long story of a test case",
        );
        assert_eq!(names.job, "dev-ab12cd34-12-orders-per-r-gion-hour-the-ve");
        assert!(names.job.len() <= 45);
        assert_eq!(names.topic("big_orders"), format!("{}-big_orders", names.job));
        assert_eq!(names.short(&names.topic("big_orders")), "big_orders");
        assert_eq!(Names::new("ab12cd34", 1, "日本").job, "dev-ab12cd34-1-case");
    }

    #[test]
    fn other_topics_are_not_ours() {
        for topic in [
            "orders",
            "dev-orders",
            "dev-ab12cd34",
            "dev-1b12cd34-x-orders",
            "dev-payments-1-events",
            "dev-4payment-1-events",
            "dev-AB12CD34-1-x-y",
            "dev-ab12cd3-1-x",
        ] {
            assert_eq!(run_of_topic(topic), None, "{topic}");
        }
    }
}

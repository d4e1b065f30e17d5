//! Names of jobs.

use crate::diag::{Failure, Reason, Result};

/// The operator takes names of session jobs of up to 45 characters.
const LONGEST_NAME: usize = 45;

/// Checks a name, or makes one of a script's file name.
///
/// # Errors
/// [`Reason::Usage`] if it is no DNS label of up to 45 characters that begins with a letter.
pub fn job_name(given: Option<&str>, script: &std::path::Path) -> Result<String> {
    let made = || {
        let stem = script.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let dashes: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        dashes.trim_matches(|c: char| c == '-' || c.is_ascii_digit()).to_owned()
    };
    let name = given.map_or_else(made, str::to_owned);
    let letter = |c: char| c.is_ascii_lowercase();
    let good = name.starts_with(letter)
        && name.len() <= LONGEST_NAME
        && !name.ends_with('-')
        && name.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '-');
    if good {
        return Ok(name);
    }
    let length = name.chars().count();
    let why = if length > LONGEST_NAME {
        format!("it has {length} characters, the operator takes {LONGEST_NAME}")
    } else {
        "a name has small letters, digits and `-`, begins with a letter and does not end with `-`".to_owned()
    };
    let advice = if given.is_some() {
        "choose another --name"
    } else {
        "add --name NAME"
    };
    Err(
        Failure::new(Reason::Usage, format!("`{name}` cannot be the name of a job"))
            .evidence(why)
            .next(advice),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_made_and_checked() {
        let name = |given: Option<&str>, file: &str| job_name(given, Path::new(file)).map_err(|f| f.id());
        assert_eq!(name(None, "jobs/Big_Orders.v2.sql").as_deref(), Ok("big-orders-v"));
        assert_eq!(name(None, "01-orders.sql").as_deref(), Ok("orders"));
        assert_eq!(name(None, "日本.sql"), Err(Reason::Usage));
        assert_eq!(name(Some("ok-1"), "x.sql").as_deref(), Ok("ok-1"));
        for bad in ["Upper", "-a", "a-", "1a", "a_b", ""] {
            assert_eq!(name(Some(bad), "x.sql"), Err(Reason::Usage), "{bad}");
        }
        let failure = job_name(Some(&"a".repeat(46)), Path::new("x.sql")).unwrap_err();
        assert!(failure.detail().evidence[0].contains("46 characters"), "{failure:?}");
    }
}

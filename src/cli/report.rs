//! How a failure is shown: id and sentence, place, evidence, next command.

use crate::cli::output::Style;
use crate::diag::Failure;

/// The block that ends a failed command.
pub(super) fn failure(failure: &Failure, style: Style) -> String {
    let detail = failure.detail();
    let mut out = format!(
        "{}[{}]: {}",
        style.bad("error"),
        failure.id().entry().id,
        detail.message
    );
    if let Some(location) = &detail.location {
        out.push_str(&format!(
            "\n  {} {}",
            style.dim("-->"),
            style.code(&location.to_string())
        ));
    }
    for evidence in &detail.evidence {
        for line in evidence.lines() {
            out.push_str(&format!("\n  {} {line}", style.dim("|")));
        }
    }
    for (index, next) in failure.next_steps().into_iter().enumerate() {
        let lead = if index == 0 { "next:" } else { "  or:" };
        out.push_str(&format!("\n{} {}", style.good(lead), style.code(next)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Reason;

    #[test]
    fn a_failure_has_what_where_why_and_next() {
        let style = Style {
            color: false,
            live: false,
        };
        let shown = failure(
            &Failure::new(Reason::ConfigInvalid, "unknown key `operater`")
                .at("dev.yaml", 3, 1)
                .evidence("3 | operater:\n  | ^^^^^^^^")
                .next("write `operator`"),
            style,
        );
        insta::assert_snapshot!(shown, @r"
        error[CONFIG_INVALID]: unknown key `operater`
          --> dev.yaml:3:1
          | 3 | operater:
          |   | ^^^^^^^^
        next: write `operator`
        ");
    }
}

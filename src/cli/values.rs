//! Values of arguments.

use std::time::Duration;

use crate::config::parse_duration;

/// A duration like `90s` or `1m30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

/// `KEY=VALUE`; the value may hold more `=`.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

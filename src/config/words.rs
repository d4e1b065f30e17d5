//! Words in messages.

/// The word of `known` that `word` was most likely meant to be; case, `-` and `_` do not count.
pub fn nearest<'a, S: AsRef<str> + ?Sized + 'a>(word: &str, known: impl IntoIterator<Item = &'a S>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '.', ' '], "");
    let (word, mut best) = (plain(word), None);
    for candidate in known.into_iter().map(AsRef::as_ref) {
        let other = plain(candidate);
        let close = strsim::normalized_damerau_levenshtein(&word, &other);
        // a word cut short or drawn out is meant more often than the letters in common say
        let starts = word.len() >= 3 && (other.starts_with(&word) || word.starts_with(&other));
        let close = if starts { close.max(0.6) } else { close };
        if close >= 0.5 && best.is_none_or(|(score, _)| close > score) {
            best = Some((close, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, as words in backticks.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words
        .into_iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_one_that_is_meant() {
        let known = ["kafka", "session", "task_managers", "cert_manager", "last-per-key"];
        for (word, expected) in [
            ("kafak", Some("kafka")),
            ("taskManagers", Some("task_managers")),
            ("certmanager", Some("cert_manager")),
            ("sess", Some("session")),
            ("last_per_key", Some("last-per-key")),
            ("zookeeper", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}

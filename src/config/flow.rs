//! JSON values as YAML in flow style, as a person would write them: `{id: o1, total: 3}`.

use super::json::{Json, quoted};

/// A value as YAML on one line. What is read from it is the value again, numbers with all of their digits.
pub(super) fn flow(value: &Json) -> String {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::Text(text) => scalar(text),
        Json::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Map(fields) => {
            let field = |(name, value): &(String, Json)| format!("{}: {}", scalar(name), flow(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text, in quotes where it could be taken for something else.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./$".contains(c);
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    let words = ["null", "true", "false"];
    if text.starts_with(first) && text.chars().all(plain) && !words.contains(&text.to_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in quoted(text).chars() {
        // JSON lets more characters stand as they are than YAML does, which takes some for the end of a line
        match c {
            ' '..='~' => out.push(c),
            _ if c.is_alphanumeric() => out.push(c),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config::source::Source;
    use crate::config::yaml::parse;
    use crate::diag::Reason;

    #[test]
    fn values_are_written_as_people_write_them() {
        let value = json!({"id": "o1", "n": 1.5, "t": "2026-01-01 00:00", "l": [true, null, "yes", "1", "True"], "m": {"$any": true}});
        assert_eq!(
            flow(&value.into()),
            r#"{id: o1, n: 1.5, t: "2026-01-01 00:00", l: [true, null, yes, "1", "True"], m: {$any: true}}"#
        );
    }

    fn read(text: &str) -> Json {
        parse(&Source::new("x", &format!("v: {text}\n")), Reason::CaseInvalid)
            .unwrap()
            .get("v")
            .unwrap()
            .json()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            text in any::<String>(), word in "[a-zA-Z0-9:#,{}'&*!|>%@` -]{0,8}", n in "-?[1-9][0-9]{0,40}(\\.[0-9]{1,30})?",
        ) {
            let number = Json::parse(&n).unwrap();
            let value = Json::Map(vec![(word.clone(), Json::List(vec![Json::Text(text), number])), ("another key".to_owned(), Json::Text(word))]);
            prop_assert_eq!(read(&flow(&value)), value);
        }
    }
}

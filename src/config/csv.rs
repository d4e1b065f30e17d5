//! Comma-separated values (RFC 4180): a file of records, or the value of one record.

use super::json::Json;

/// A row, and the line it begins on.
type Row = (usize, Vec<String>);

/// A text as rows with the line each begins on; empty lines are passed over.
///
/// # Errors
/// The line on which a quote begins that is never closed, or behind which something stands that is no comma.
pub(crate) fn rows(text: &str) -> Result<Vec<Row>, (usize, &'static str)> {
    let mut rows = Vec::new();
    let (mut row, mut field, mut line) = (Vec::new(), String::new(), 1);
    let (mut began, mut quoted) = (1, false);
    let mut chars = text.chars().peekable();
    loop {
        let c = chars.next();
        match c {
            Some('"') if field.is_empty() && !quoted => {
                let opened = line;
                quoted = true;
                loop {
                    match chars.next() {
                        Some('"') if chars.peek() == Some(&'"') => {
                            field.push('"');
                            chars.next();
                        }
                        Some('"') => break,
                        Some(c) => {
                            line += usize::from(c == '\n');
                            field.push(c);
                        }
                        None => return Err((opened, "the quote is never closed")),
                    }
                }
                if !matches!(chars.peek(), None | Some(',' | '\n' | '\r')) {
                    return Err((line, "behind a quoted field comes a comma or the line's end"));
                }
            }
            Some('\r') if chars.peek() == Some(&'\n') => {}
            Some(',') => {
                row.push(std::mem::take(&mut field));
                quoted = false;
            }
            Some('\n') | None => {
                if !row.is_empty() || !field.is_empty() || quoted {
                    row.push(std::mem::take(&mut field));
                    rows.push((began, std::mem::take(&mut row)));
                }
                line += 1;
                (began, quoted) = (line, false);
                if c.is_none() {
                    return Ok(rows);
                }
            }
            Some(c) => field.push(c),
        }
    }
}

/// A field as the value that it spells: a number, `true`, `false`, nothing (`null`), else the text.
pub(crate) fn scalar(field: &str) -> Json {
    if field.is_empty() {
        return Json::Null;
    }
    match Json::parse(field) {
        Ok(value @ (Json::Number(_) | Json::Bool(_))) => value,
        _ => Json::from(field),
    }
}

/// Values as one line, without its end.
pub(crate) fn line<'a>(values: impl IntoIterator<Item = &'a Json>) -> String {
    let field = |value: &Json| {
        let text = match value {
            Json::Null => String::new(),
            Json::Text(text) => text.clone(),
            other => other.to_string(),
        };
        if text.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    };
    values.into_iter().map(field).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_read_as_rfc_4180_says() {
        let read = |text: &str| rows(text).unwrap().into_iter().map(|(_, row)| row).collect::<Vec<_>>();
        assert_eq!(read("a,b\r\nc,\n\n,d"), [["a", "b"], ["c", ""], ["", "d"]]);
        assert_eq!(read("\"a\"\"b\nc\",\"\"\n"), [["a\"b\nc", ""]]);
        assert_eq!(
            rows("a\n\n\"b\nc\"\nd")
                .unwrap()
                .iter()
                .map(|r| r.0)
                .collect::<Vec<_>>(),
            [1, 3, 5]
        );
        assert_eq!(rows("a\n\"b").unwrap_err().0, 2);
        assert_eq!(rows("\"b\"c").unwrap_err().0, 1);
    }

    #[test]
    fn fields_are_the_values_they_spell() {
        assert_eq!(
            ["", "1.50", "true", "007", "x", "\"q\""].map(scalar),
            [
                json!(null),
                json!(1.5),
                json!(true),
                json!("007"),
                json!("x"),
                json!("\"q\"")
            ]
        );
        assert_eq!(
            line(&[json!("a,b"), json!(null), json!(1), json!("q\"")].map(Json::from)),
            "\"a,b\",,1,\"q\"\"\""
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(fields in proptest::collection::vec("[a-z,\"\n ]{1,6}", 1..5)) {
            let values: Vec<Json> = fields.iter().map(|f| Json::from(f.as_str())).collect();
            let read = rows(&line(&values)).unwrap();
            prop_assert_eq!(&read[0].1, &fields);
        }
    }
}

//! `${i}` in records that are repeated: the count, and what can be reckoned from it.

use super::json::Json;

/// A value with its templates filled in for the `i`th time, counted from 0.
///
/// # Errors
/// What is wrong with a template.
pub(super) fn fill(value: &Json, i: i64) -> Result<Json, String> {
    Ok(match value {
        Json::Text(text) => text_of(text, i)?,
        Json::List(items) => Json::List(items.iter().map(|item| fill(item, i)).collect::<Result<_, _>>()?),
        Json::Map(fields) => Json::Map(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), fill(value, i)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

/// A text that is one template and nothing else becomes a number, unless it asks for zeros.
fn text_of(text: &str, i: i64) -> Result<Json, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 2..];
        let Some(end) = behind.find('}') else {
            return Err(format!("`${{` without `}}` in `{text}`"));
        };
        let (sum, width) = match behind[..end].split_once(':') {
            Some((sum, width)) => {
                let width = width.trim();
                let digits = width.parse::<usize>().ok().filter(|w| (1..=20).contains(w));
                (
                    sum,
                    Some(digits.ok_or_else(|| format!("`{width}` is no width from 1 to 20"))?),
                )
            }
            None => (&behind[..end], None),
        };
        let number = Sum { rest: sum, i }.whole()?;
        rest = &behind[end + 1..];
        match width {
            None if out.is_empty() && rest.is_empty() => return Ok(Json::from(number)),
            None => out.push_str(&number.to_string()),
            Some(width) => out.push_str(&format!("{number:0width$}")),
        }
    }
    out.push_str(rest);
    Ok(Json::from(out))
}

/// Reckons with whole numbers, `i`, `+ - * / %` and parentheses.
struct Sum<'a> {
    rest: &'a str,
    i: i64,
}

impl Sum<'_> {
    fn whole(mut self) -> Result<i64, String> {
        let text = self.rest.to_owned();
        let number = self.sum().ok_or_else(|| {
            format!(
                "`{}` cannot be reckoned: there are `i`, whole numbers, + - * / % and parentheses",
                text.trim()
            )
        })?;
        if self.next().is_some() {
            return Err(format!(
                "`{}` cannot be reckoned from `{}` on",
                text.trim(),
                self.rest.trim()
            ));
        }
        Ok(number)
    }

    fn next(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let c = self.next().filter(|c| wanted.contains(c))?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn sum(&mut self) -> Option<i64> {
        let mut left = self.product()?;
        while let Some(c) = self.take(&['+', '-']) {
            let right = self.product()?;
            left = if c == '+' {
                left.checked_add(right)?
            } else {
                left.checked_sub(right)?
            };
        }
        Some(left)
    }

    fn product(&mut self) -> Option<i64> {
        let mut left = self.factor()?;
        while let Some(c) = self.take(&['*', '/', '%']) {
            let right = self.factor()?;
            left = match c {
                '*' => left.checked_mul(right)?,
                '/' => left.checked_div_euclid(right)?,
                _ => left.checked_rem_euclid(right)?,
            };
        }
        Some(left)
    }

    fn factor(&mut self) -> Option<i64> {
        if self.take(&['(']).is_some() {
            let inner = self.sum()?;
            return self.take(&[')']).map(|_| inner);
        }
        if self.take(&['-']).is_some() {
            return self.factor()?.checked_neg();
        }
        if self.take(&['i']).is_some() {
            return Some(self.i);
        }
        self.next();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_filled_in_everywhere() {
        let value = json!({"id": "o${i}", "n": "${i * 10 + 5}", "a": ["${i % 3}", "${i:04}", "x${(i+1)*2:3}", 1]});
        assert_eq!(
            fill(&value.into(), 7).unwrap(),
            json!({"id": "o7", "n": 75, "a": [1, "0007", "x016", 1]})
        );
        assert_eq!(fill(&json!("${-i - 1}").into(), 2).unwrap(), json!(-3));
        assert_eq!(fill(&json!("a $ {b}").into(), 2).unwrap(), json!("a $ {b}"));
    }

    #[test]
    fn what_cannot_be_reckoned_is_told() {
        for text in [
            "${j}",
            "${i +}",
            "${i",
            "${i 2}",
            "${i / 0}",
            "${i:x}",
            "${9223372036854775807 + i}",
            "${}",
        ] {
            assert!(fill(&json!(text).into(), 1).is_err(), "{text}");
        }
    }
}

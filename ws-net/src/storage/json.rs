use std::fmt::Write;

use crate::{Storage, StorageError, StorageValue};

/// The whole store.
impl dyn Storage + '_ {
    /// The store as the text of a JSON object (RFC 8259) for people and logs: strings and
    /// counters as strings, lists and sets as arrays, hashes as objects, all but lists sorted.
    /// Bytes that are not UTF-8 show as U+FFFD, and expiry does not show.
    ///
    /// Asks for one key after the other, so what other tasks change meanwhile may show or not.
    pub async fn to_json(&self) -> Result<String, StorageError> {
        let mut keys = self.keys("*").await?;
        keys.sort_unstable();
        let mut members = Vec::with_capacity(keys.len());
        for key in keys {
            match self.json_value(&key).await {
                Ok(Some(value)) => members.push(format!("{}:{value}", quoted(&key))),
                // Deleted or replaced since the keys were listed.
                Ok(None) | Err(StorageError::WrongType) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(format!("{{{}}}", members.join(",")))
    }

    async fn json_value(&self, key: &str) -> Result<Option<String>, StorageError> {
        Ok(match self.r#type(key).await?.as_str() {
            Some("string") => self.get(key).await?.map(|value| text(&value)),
            Some("list") => Some(array(&self.lrange(key, 0, -1).await?)),
            Some("hash") => {
                let mut pairs = self.hgetall(key).await?;
                pairs.sort_unstable();
                let members: Vec<_> =
                    pairs.iter().map(|(f, v)| format!("{}:{}", text(f), text(v))).collect();
                Some(format!("{{{}}}", members.join(",")))
            }
            Some("set") => {
                let mut members = self.smembers(key).await?;
                members.sort_unstable();
                Some(array(&members))
            }
            _ => None,
        })
    }
}

fn array(values: &[StorageValue]) -> String {
    let values: Vec<_> = values.iter().map(text).collect();
    format!("[{}]", values.join(","))
}

fn text(value: &StorageValue) -> String {
    quoted(&value.to_string())
}

/// A JSON string (RFC 8259 section 7).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\0'..='\x1F' => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(
            quoted("\0\n\t\x1f\x7f ü\u{2028}"),
            "\"\\u0000\\n\\u0009\\u001f\x7f ü\u{2028}\""
        );
    }
}

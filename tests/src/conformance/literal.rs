//! Bytes written as text, as the cases have them.

/// What stands for itself in a case: the server's address, and the page that a browser would be on.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host` or `host:port`, for `Host`.
    pub host: String,
    /// The path to ask for.
    pub path: String,
}

impl Target {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "host" => Some(self.host.clone()),
            "origin" => Some(format!("http://{}", self.host)),
            "path" => Some(self.path.clone()),
            _ => None,
        }
    }
}

/// Reads text with `\r`, `\n`, `\t`, `\0`, `\xNN` and a backslash before any other sign that is to
/// stand for itself; `{host}`, `{origin}` and `{path}`; and `{TEXT*N}` for TEXT N times.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn literal(text: &str, target: &Target) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => {
                escape(&mut rest, &mut bytes).ok_or_else(|| format!("bad escape in {text:?}"))?;
            }
            '{' => {
                let inside = braces(&mut rest).ok_or_else(|| format!("no }} in {text:?}"))?;
                bytes.extend(expanded(&inside, target)?);
            }
            letter => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Ok(bytes)
}

/// What stands up to the brace that closes, escapes untouched.
fn braces(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut inside = String::new();
    loop {
        match rest.next()? {
            '}' => return Some(inside),
            '\\' => inside.extend(['\\', rest.next()?]),
            letter => inside.push(letter),
        }
    }
}

fn expanded(inside: &str, target: &Target) -> Result<Vec<u8>, String> {
    if let Some(value) = target.value(inside) {
        return Ok(value.into_bytes());
    }
    let repeated = inside.rsplit_once('*');
    let repeated = repeated.and_then(|(text, times)| Some((text, times.parse::<usize>().ok()?)));
    let (text, times) = repeated.ok_or_else(|| format!("what is {{{inside}}}?"))?;
    Ok(literal(text, target)?.repeat(times))
}

fn escape(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.push(match rest.next()? {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '0' => 0,
        'x' => {
            let digits: String = rest.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2)?
        }
        sign if sign.is_ascii_punctuation() || sign == ' ' => sign as u8,
        _ => return None,
    });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u8>, String> {
        literal(text, &Target { host: "a:1".into(), path: "/x".into() })
    }

    #[test]
    fn literals_are_bytes() {
        assert_eq!(read(r"é\r\n\0\xFF\{").unwrap(), b"\xC3\xA9\r\n\0\xFF{");
        assert_eq!(read("{host}{path} {origin}").unwrap(), b"a:1/x http://a:1");
        assert_eq!(read(r"<{ab\x00*2}{\}*1}>").unwrap(), b"<ab\0ab\0}>");
    }

    #[test]
    fn mistakes_are_named() {
        for text in [r"\q", r"\x1", r"\xZZ", "\\", "{host", "{port}", "{a*b}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}

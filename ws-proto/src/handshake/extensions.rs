//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::HandshakeError;
use crate::http::grammar::{excerpt, is_token};

/// The name of the header.
pub(crate) const HEADER: &str = "Sec-WebSocket-Extensions";

/// Checks the values of the header, one for each field. Members without anything in them do not
/// count, and a list of nothing else, which the grammar does not have, says nothing: libwebsockets
/// sent one for years when it offered no extension.
pub(super) fn check<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<(), HandshakeError> {
    match values.flat_map(elements).find(|element| !element.is_good()) {
        Some(element) => Err(HandshakeError::InvalidExtensions(excerpt(element.text))),
        None => Ok(()),
    }
}

/// One element of the header: an extension with its parameters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Element<'a> {
    /// As it stands in the header.
    pub(crate) text: &'a [u8],
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'a [u8],
    /// What it says, without quotes.
    pub(crate) value: Option<Cow<'a, [u8]>>,
}

impl<'a> Element<'a> {
    pub(crate) fn name(&self) -> &'a [u8] {
        split(self.text, b';').next().unwrap_or_default()
    }

    /// The parameters in order.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        split(self.text, b';').skip(1).map(parameter)
    }

    /// Whether name and parameters are `token *( ";" token [ "=" ( token | quoted-string ) ] )`,
    /// where what the quoted string says is a token, too.
    fn is_good(&self) -> bool {
        let are_tokens = |parameter: Parameter<'_>| {
            is_token(parameter.name) && parameter.value.is_none_or(|value| is_token(&value))
        };
        is_token(self.name()) && self.parameters().all(are_tokens)
    }
}

/// The elements of one header value, in order.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = Element<'_>> {
    split(value, b',').filter(|text| !text.is_empty()).map(|text| Element { text })
}

fn parameter(text: &[u8]) -> Parameter<'_> {
    let equals = text.iter().position(|byte| *byte == b'=');
    match equals.and_then(|at| text.split_at_checked(at)) {
        None => Parameter { name: text, value: None },
        Some((name, value)) => {
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            Parameter { name: name.trim_ascii_end(), value: Some(unquoted(value)) }
        }
    }
}

/// What a quoted string says (RFC 9110 section 5.6.4). What is none stays as it is: with its quote
/// it is no token.
fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let inside = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inside) = inside else { return value.into() };
    if !inside.contains(&b'\\') {
        return inside.into();
    }
    let mut escaped = false;
    let mut said = Vec::with_capacity(inside.len());
    for byte in inside {
        escaped = *byte == b'\\' && !escaped;
        if !escaped {
            said.push(*byte);
        }
    }
    // Otherwise the quote at the end is one that it says.
    if escaped { value.into() } else { said.into() }
}

/// Splits at a separator that is not in quotes, and trims. A quote that is never closed goes on to
/// the end.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let has_quotes = text.contains(&b'"');
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |byte| {
        if !has_quotes {
            return *byte == separator;
        }
        let was_escaped = escaped;
        escaped = quoted && !was_escaped && *byte == b'\\';
        quoted ^= *byte == b'"' && !was_escaped;
        !quoted && *byte == separator
    })
    .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;

    /// Name and parameters of each element, and whether it follows the grammar.
    fn show(value: &str) -> Vec<(String, bool)> {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let shown = |element: Element<'_>| {
            let mut shown = text(element.name());
            for Parameter { name, value } in element.parameters() {
                shown.extend([";", &text(name)]);
                shown.extend(value.map(|value| ["=", &text(&value)].concat()));
            }
            (shown, element.is_good())
        };
        elements(value.as_bytes()).map(shown).collect()
    }

    fn good(shown: &str) -> (String, bool) {
        (shown.into(), true)
    }

    #[test]
    fn elements_and_parameters_are_taken_apart() {
        assert_eq!(show(""), []);
        assert_eq!(show(" , ,"), []);
        assert_eq!(show("a, b;c ; d = e;f=\"g\",h"), [good("a"), good("b;c;d=e;f=g"), good("h")]);
    }

    #[test]
    fn quoted_strings_say_what_they_say_without_escapes() {
        for (quoted, said) in [(r#""1\0""#, "10"), (r#""\1\0""#, "10"), (r#""10""#, "10")] {
            let value = ["a; b=", quoted].concat();
            assert_eq!(show(&value), [good(&["a;b=", said].concat())], "{value}");
        }
        for wrong in
            [r#""1\""#, r#""\"""#, r#""1\\0""#, r#""1\ 0""#, r#""1"0""#, r#""1\"0"#, r"1\0"]
        {
            let value = ["a; b=", wrong].concat();
            assert!(show(&value).iter().all(|(_, good)| !good), "{value}");
        }
    }

    #[test]
    fn commas_in_quotes_end_no_element() {
        for hidden in [r#"x; a=", permessage-deflate""#, r#"x; a="\", permessage-deflate""#] {
            let shown = show(&[hidden, ", y"].concat());
            assert_eq!((shown.len(), shown[0].1, &shown[1]), (2, false, &good("y")), "{hidden}");
        }
        let open = show("x; a=\"1, permessage-deflate");
        assert_eq!((open.len(), open[0].1), (1, false));
    }

    #[test]
    fn lists_with_a_wrong_element_are_refused() {
        let checked = |values: &[&str]| check(values.iter().map(|value| value.as_bytes()));
        for value in [
            "a;",
            "a;;b",
            "a; =1",
            "a; b=",
            "a; b=\"\"",
            "a b",
            "a; b c",
            "a; b=\"c",
            ";",
            "a=\"",
            "a=b",
            "a; b=\"c d\"",
            "a/b",
        ] {
            let error = HandshakeError::InvalidExtensions(value.into());
            assert_eq!(checked(&[value]), Err(error.clone()), "{value}");
            assert_eq!(checked(&["good", &["x, ", value].concat()]), Err(error), "{value}");
        }
        for good in
            [&["", "a"][..], &[",a,,b,"], &["a; b; c=d; e=\"f\"", "a"], &["", ","], &[", ,"], &[]]
        {
            assert_eq!(checked(good), Ok(()), "{good:?}");
        }
    }
}

//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

use alloc::vec::Vec;

use crate::http::grammar::is_token;

/// The name of the extension (RFC 7692 section 7).
pub(crate) const NAME: &str = "permessage-deflate";

/// One element of the header: an extension with its parameters, as far as they follow the grammar.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Element<'a> {
    /// As it stands in the header.
    pub(crate) text: &'a [u8],
    pub(crate) name: &'a [u8],
    /// `None` when they do not follow the grammar.
    pub(crate) parameters: Option<Vec<Parameter<'a>>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'a [u8],
    /// Without its quotes.
    pub(crate) value: Option<&'a [u8]>,
}

impl Element<'_> {
    pub(crate) fn is_deflate(&self) -> bool {
        self.name.eq_ignore_ascii_case(NAME.as_bytes())
    }
}

/// The elements of one header value, in order. Each byte is looked at once.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = Element<'_>> {
    split(value, b',').filter(|text| !text.is_empty()).map(|text| {
        let mut parts = split(text, b';');
        let name = parts.next().unwrap_or_default();
        let parameters = is_token(name).then(|| parts.map(parameter).collect()).flatten();
        Element { text, name, parameters }
    })
}

/// `token [ "=" ( token | quoted-string ) ]`, where the text in the quotes is a token too.
fn parameter(text: &[u8]) -> Option<Parameter<'_>> {
    let equals = text.iter().position(|byte| *byte == b'=');
    let (name, value) = match equals.and_then(|at| text.split_at_checked(at)) {
        None => (text, None),
        Some((name, value)) => {
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            (name.trim_ascii_end(), Some(unquoted.unwrap_or(value)))
        }
    };
    (is_token(name) && value.is_none_or(is_token)).then_some(Parameter { name, value })
}

/// Splits at a separator that is not in quotes, and trims. A quote that is never closed goes on to
/// the end.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |byte| {
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
    use alloc::vec;

    use super::*;

    fn show(value: &str) -> Vec<(String, Option<Vec<String>>)> {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let parameter = |parameter: Parameter| {
            let value = parameter.value.map_or(String::new(), |value| ["=", &text(value)].concat());
            text(parameter.name) + &value
        };
        elements(value.as_bytes())
            .map(|element| {
                let parameters = element.parameters;
                let shown =
                    parameters.map(|parameters| parameters.into_iter().map(parameter).collect());
                (text(element.name), shown)
            })
            .collect()
    }

    fn good(name: &str, parameters: &[&str]) -> (String, Option<Vec<String>>) {
        (name.into(), Some(parameters.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn elements_and_parameters_are_taken_apart() {
        assert_eq!(show(""), vec![]);
        assert_eq!(show(" , ,"), vec![]);
        assert_eq!(
            show("a, b;c ; d = e;f=\"g\",h"),
            [good("a", &[]), good("b", &["c", "d=e", "f=g"]), good("h", &[])]
        );
    }

    #[test]
    fn commas_in_quotes_end_no_element() {
        let hidden = show("x; a=\", permessage-deflate\", y");
        assert_eq!(hidden, [("x".into(), None), good("y", &[])]);
        let escaped = show(r#"x; a="\", permessage-deflate""#);
        assert_eq!(escaped, [("x".into(), None)]);
        let open = show("x; a=\"1, permessage-deflate");
        assert_eq!(open, [("x".into(), None)]);
    }

    #[test]
    fn wrong_elements_have_no_parameters() {
        for value in ["a;", "a;;b", "a; =1", "a; b=", "a; b=\"\"", "a b", "a; b c", "a; b=\"c", ";"]
        {
            let shown = show(value);
            assert_eq!(shown.len(), 1, "{value}");
            assert_eq!(shown[0].1, None, "{value}");
        }
    }
}

use crate::StorageError;

/// An integer in plain decimal: no spaces, no `+`, no leading zeros, no `-0`.
pub(super) fn parse(text: &[u8]) -> Result<i64, StorageError> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = text == b"0" || matches!(digits, [b'1'..=b'9', ..]);
    let text = std::str::from_utf8(text).map_err(|_| StorageError::NotInteger)?;
    let number = text.parse().map_err(|_| StorageError::NotInteger)?;
    if is_plain { Ok(number) } else { Err(StorageError::NotInteger) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_plain_decimal_is_an_integer() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(parse(number.to_string().as_bytes()).unwrap(), number);
        }
        let others = [
            "",
            "-",
            "-0",
            "+1",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "--1",
            "-+1",
            "9223372036854775808",
            "-9223372036854775809",
            "١",
        ];
        for text in others {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(b"1\xFF").is_err());
    }
}

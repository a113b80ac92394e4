use alloc::string::String;

/// Whether the byte may be in a token, such as a method or a header name (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)) == Some(&true)
}

/// Which bytes are: the names of a head are looked at byte by byte, and a table is faster there.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &mut [bool] = &mut table;
    let mut byte = 0_u8;
    while let [first, tail @ ..] = rest {
        *first = belongs_to_token(byte);
        byte = byte.wrapping_add(1);
        rest = tail;
    }
    table
};

const fn belongs_to_token(byte: u8) -> bool {
    matches!(
        byte,
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+'
            | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
    )
}

/// Whether the bytes are a token, which is never empty.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_len(bytes) == bytes.len()
}

/// How many bytes in front may be in a token.
pub(crate) fn token_len(bytes: &[u8]) -> usize {
    // Four at a time up to those that have another one among them.
    let (words, _) = bytes.as_chunks::<4>();
    let is_other =
        |word: &[u8; 4]| !word.iter().fold(true, |good, byte| good & is_token_byte(*byte));
    let start = 4 * words.iter().position(is_other).unwrap_or(words.len());
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(rest.len())
}

/// Whether the bytes may be the value of a field: no control byte but the tab (RFC 9110 section
/// 5.5). Carriage return, line feed and NUL are control bytes, so nothing can be smuggled in.
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    value_len(bytes) == bytes.len()
}

/// How many bytes in front may be in the value of a field.
pub(crate) fn value_len(bytes: &[u8]) -> usize {
    // Eight bytes at a time, since most values are short, up to the first control byte.
    let (words, rest) = bytes.as_chunks();
    let mut start = bytes.len() - rest.len();
    for (number, word) in words.iter().enumerate() {
        let marks = controls(u64::from_le_bytes(*word));
        if marks != 0 {
            start = 8 * number + marks.trailing_zeros() as usize / 8;
            break;
        }
    }
    let rest = bytes.get(start..).unwrap_or_default();
    let is_wrong = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    start + rest.iter().position(is_wrong).unwrap_or(rest.len())
}

/// Marks the control bytes among eight with their highest bit: the lowest one exactly, of those
/// above it some more.
const fn controls(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    // The lowest byte that borrows, and has no high bit itself, is below the blank; or it is the
    // delete, which is zero then.
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7F);
    let delete = delete.wrapping_sub(ONES) & !delete;
    (below | delete) & (ONES * 0x80)
}

/// Whether the bytes are printable ASCII: the draft's range for what is compared and echoed.
pub(crate) fn is_printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The members of a list with commas, trimmed; empty ones are passed over (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// What a peer sent, cut short for an error text. Show it with `{:?}`, which escapes it.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const MAX_CHARS: usize = 64;
    // No character takes more than 4 bytes, so the cut never reaches the part that is shown.
    let start = bytes.get(..4 * (MAX_CHARS + 1)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    match text.char_indices().nth(MAX_CHARS) {
        None => text.into_owned(),
        Some(_) => text.chars().take(MAX_CHARS).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn tokens_are_those_of_the_grammar() {
        let separators = b"\"(),/:;<=>?@[\\]{} \t";
        for byte in 0..=u8::MAX {
            let token = (b'!'..=b'~').contains(&byte) && !separators.contains(&byte);
            assert_eq!(is_token(&[byte]), token, "{byte:#04x}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn values_have_no_control_bytes() {
        for byte in 0..=u8::MAX {
            let control = byte.is_ascii_control() && byte != b'\t';
            assert_eq!(is_value(&[b'a', byte, b'b']), !control, "{byte:#04x}");
            for at in 0..17 {
                let mut value = *b"words and a \trest";
                value[at] = byte;
                assert_eq!(is_value(&value), !control, "{byte:#04x} at {at}");
                value[16 - at] = 0xFF;
                assert_eq!(is_value(&value), !control || at == 8, "{byte:#04x} at {at}");
            }
        }
    }

    #[test]
    fn lists_pass_over_empty_members() {
        let members: Vec<_> = list(b" ,keep-alive,\t, Upgrade ,").collect();
        assert_eq!(members, [b"keep-alive".as_slice(), b"Upgrade"]);
        assert_eq!(list(b"").count(), 0);
    }

    #[test]
    fn excerpts_are_short() {
        assert_eq!(excerpt(b"short\xFF"), "short\u{FFFD}");
        for long in [[b'a'; 5000].as_slice(), "é".repeat(900).as_bytes(), &[0xFF; 700]] {
            assert_eq!(excerpt(long).chars().count(), 65);
        }
    }
}

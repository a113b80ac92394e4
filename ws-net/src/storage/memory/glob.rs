/// Whether a glob pattern of Redis matches all of `text`, in time of at most their product.
pub(super) fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    // What follows the last star, and what is left for it when the star takes one byte more.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([], []) => return true,
            ([b'*', rest @ ..], _) => {
                retry = text.get(1..).map(|shorter| (rest, shorter));
                pattern = rest;
                continue;
            }
            (_, [byte, tail @ ..]) => {
                if let Some(rest) = step(pattern, *byte) {
                    (pattern, text) = (rest, tail);
                    continue;
                }
            }
            (_, []) => return false,
        }
        let Some((rest, shorter)) = retry else { return false };
        (pattern, text) = (rest, shorter);
        retry = shorter.get(1..).map(|shorter| (rest, shorter));
    }
}

/// The pattern after its first item, if that item matches `byte`. It is not a star.
fn step(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', class @ ..] => {
            let (negated, class) = match class {
                [b'^', class @ ..] => (true, class),
                _ => (false, class),
            };
            let (hit, rest) = in_class(class, byte);
            (hit != negated).then_some(rest)
        }
        [b'\\', item, rest @ ..] | [item, rest @ ..] => (*item == byte).then_some(rest),
    }
}

/// Whether `byte` is in the class, and the pattern after it. A class without `]` ends with the
/// pattern.
fn in_class(mut class: &[u8], byte: u8) -> (bool, &[u8]) {
    let mut hit = false;
    loop {
        let (first, last, rest) = match class {
            [] => return (hit, class),
            [b']', rest @ ..] => return (hit, rest),
            [b'\\', item, rest @ ..] => (item, item, rest),
            [first, b'-', last, rest @ ..] => (first.min(last), first.max(last), rest),
            [item, rest @ ..] => (item, item, rest),
        };
        hit |= (first..=last).contains(&&byte);
        class = rest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for text in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_match_as_in_redis() {
        check("", &[""], &["a"]);
        check("*", &["", "a", "user:1"], &[]);
        check("user:*", &["user:", "user:1"], &["user", "auser:1"]);
        check("*a*b", &["ab", "xaxbb", "abab"], &["aba", "b"]);
        check("h?llo", &["hello", "h?llo"], &["hllo", "heello"]);
        check("h[ae]llo", &["hello", "hallo"], &["hillo", "hllo"]);
        check("h[^e]llo", &["hallo", "hbllo"], &["hello"]);
        check("h[a-c]llo", &["hallo", "hcllo"], &["hdllo"]);
        check("h[c-a]llo", &["hbllo"], &["hdllo"]);
        check("[\\]x]", &["]", "x"], &["\\"]);
        check("[abc", &["a", "c"], &["d", ""]);
        check("a\\*", &["a*"], &["a", "ab"]);
        check("a\\", &["a\\"], &["a"]);
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "*a".repeat(200) + "b";
        check(&pattern, &[], &[&"a".repeat(10_000)]);
    }

    /// The same for patterns of letters, `?` and `*`, in the plainest way.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            ([b'?', rest @ ..], [_, tail @ ..]) => naive(rest, tail),
            ([a, rest @ ..], [b, tail @ ..]) => a == b && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn stars_match_as_their_naive_twin(pattern in "[ab?*]{0,8}", text in "[ab]{0,10}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), naive(pattern, text));
        }
    }
}

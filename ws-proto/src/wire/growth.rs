use alloc::vec::Vec;

use crate::buffer::TRUST;

/// From this much received and still to come on, the rest of a message is read straight into it.
/// Below it the payload passes through the receive buffer, so that a claimed length alone reserves
/// nothing.
pub(crate) const DIRECT_MIN: usize = 16 << 10;

/// Whether the rest of a message is read straight into it.
pub(crate) fn is_direct(received: usize, remaining: usize) -> bool {
    received >= DIRECT_MIN && remaining >= DIRECT_MIN
}

/// Makes room for `n` more bytes, where `most` may come in all: at most double of what has
/// arrived, so that memory follows the bytes and neither a claim nor a limit is reserved ahead.
pub(crate) fn reserve(out: &mut Vec<u8>, n: usize, most: usize) {
    let trusted = out.capacity().saturating_mul(2);
    reserve_trusted(out, n, trusted.min(most));
}

/// The same for what will be read into directly, which is trusted with more: it grows once, and
/// what is there is not copied by that.
pub(crate) fn reserve_direct(out: &mut Vec<u8>, n: usize, most: usize) {
    let trusted = (out.len() + n).saturating_mul(TRUST);
    reserve_trusted(out, n, trusted.min(most));
}

#[inline]
fn reserve_trusted(out: &mut Vec<u8>, n: usize, trusted: usize) {
    let needed = out.len() + n;
    if needed > out.capacity() {
        out.reserve_exact(needed.max(trusted) - out.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_doubles_and_stops_at_the_most() {
        let mut out = Vec::new();
        let capacities: Vec<_> = [10, 1, 10, 30, 49]
            .into_iter()
            .map(|n| {
                reserve(&mut out, n, 100);
                out.resize(out.len() + n, 0);
                out.capacity()
            })
            .collect();
        assert_eq!(capacities, [10, 20, 40, 80, 100]);
    }

    #[test]
    fn what_is_read_into_directly_grows_at_once_as_far_as_it_is_trusted() {
        let capacity = |n, most| {
            let mut out = Vec::new();
            reserve_direct(&mut out, n, most);
            out.capacity()
        };
        assert_eq!(capacity(10, 100), 100);
        assert_eq!(capacity(10, 10_000), 10 * TRUST);
    }
}

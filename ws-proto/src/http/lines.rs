use alloc::vec::Vec;

/// How many lines most heads have at the most.
const FEW: usize = 24;

/// Where the lines of a head start, as it is kept with them: in 4 bytes each, little-endian. Those
/// of most heads take no memory beside this.
#[derive(Debug)]
pub(super) struct Starts {
    few: [[u8; 4]; FEW],
    len: usize,
    more: Vec<[u8; 4]>,
}

impl Starts {
    pub(super) fn push(&mut self, start: usize) {
        let start = (start as u32).to_le_bytes();
        match self.few.get_mut(self.len) {
            Some(place) => *place = start,
            None => self.more.push(start),
        }
        self.len += 1;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All of them in order, in two parts.
    pub(super) fn parts(&self) -> [&[[u8; 4]]; 2] {
        [self.few.get(..self.len).unwrap_or(&self.few), &self.more]
    }
}

impl Default for Starts {
    fn default() -> Self {
        Self { few: [[0; 4]; FEW], len: 0, more: Vec::new() }
    }
}

/// How many groups names are put into.
const GROUPS: usize = 64;

/// Which field has which name, as far as a hash tells: nearly every name that is looked for is at
/// one place if it is there at all.
#[derive(Debug)]
pub(super) struct Index {
    /// For each group the number of its first field, counted from one.
    first: [u8; GROUPS],
    /// Groups that have more than one.
    shared: u64,
}

/// Where a name may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Nowhere.
    Nowhere,
    /// In no field but this one, counted from zero.
    At(usize),
    /// In several, or in one that has a high number.
    Anywhere,
}

impl Index {
    /// Adds the name of the field with this number, counted from zero.
    pub(super) fn add(&mut self, name: &[u8], number: usize) {
        let group = group(name);
        let Some(first) = self.first.get_mut(group) else { return };
        match u8::try_from(number + 1) {
            Ok(number) if *first == 0 => *first = number,
            _ => self.shared |= 1 << group,
        }
    }

    /// Where the name is, in any case of its letters.
    pub(super) fn find(&self, name: &str) -> Place {
        let group = group(name.as_bytes());
        if self.shared & (1 << group) != 0 {
            return Place::Anywhere;
        }
        match self.first.get(group) {
            None | Some(0) => Place::Nowhere,
            Some(number) => Place::At(usize::from(*number) - 1),
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { first: [0; GROUPS], shared: 0 }
    }
}

/// By the length and the first letter.
fn group(name: &[u8]) -> usize {
    let first = name.first().map_or(0, u8::to_ascii_lowercase);
    (name.len() + usize::from(first) * 8) % GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_stay_in_order_however_many_there_are() {
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 3 * FEW] {
            let mut starts = Starts::default();
            (0..count).for_each(|line| starts.push(line * 259));
            assert_eq!(starts.len(), count);
            let all: Vec<_> = starts.parts().concat();
            let expected: Vec<_> =
                (0..count).map(|line| (line as u32 * 259).to_le_bytes()).collect();
            assert_eq!(all, expected);
        }
    }

    #[test]
    fn a_name_is_where_it_was_added() {
        let mut index = Index::default();
        assert_eq!(index.find("Host"), Place::Nowhere);
        index.add(b"HOST", 0);
        index.add(b"accept-language", 1);
        assert_eq!(index.find("Host"), Place::At(0));
        assert_eq!(index.find("Accept-Language"), Place::At(1));
        // They are in one group, so that none is told apart by it.
        assert_eq!(index.find("Accept-Encoding"), Place::At(1));
        index.add(b"Accept-Encoding", 2);
        index.add(b"host", 3);
        for name in ["Host", "Accept-Language", "Accept-Encoding"] {
            assert_eq!(index.find(name), Place::Anywhere, "{name}");
        }
    }

    #[test]
    fn high_numbers_are_looked_for() {
        let mut index = Index::default();
        index.add(b"Host", 254);
        assert_eq!(index.find("Host"), Place::At(254));
        index.add(b"Origin", 255);
        assert_eq!(index.find("Origin"), Place::Anywhere);
    }

    #[test]
    fn names_that_are_looked_for_share_no_group() {
        let names = [
            "Host",
            "Upgrade",
            "Connection",
            "Origin",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Content-Length",
            "Transfer-Encoding",
            "User-Agent",
            "Cookie",
            "Pragma",
            "Cache-Control",
            "Accept-Encoding",
        ];
        for (at, name) in names.iter().enumerate() {
            for other in names.iter().skip(at + 1) {
                assert_ne!(group(name.as_bytes()), group(other.as_bytes()), "{name} {other}");
            }
        }
    }
}

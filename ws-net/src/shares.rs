use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU64;

/// How much of a limit one address may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    max: usize,
    /// Whether addresses of private networks have it, too.
    everywhere: bool,
}

impl Share {
    /// What the user set, which holds for every address; otherwise half of `whole`, so that no
    /// address alone takes every place. Addresses of this machine and of private networks are left
    /// out then: they are those of proxies, and of people who can be found.
    pub(crate) fn new(set: Option<usize>, whole: usize) -> Self {
        Self { max: set.unwrap_or(whole.div_ceil(2)), everywhere: set.is_some() }
    }
}

/// Where connections come from: an IPv4 address, or the first 64 bits of an IPv6 address, which
/// are one network and so one customer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Source(NonZeroU64);

/// Stands in front of IPv4 addresses. As the beginning of an IPv6 address it is not given out.
const V4: NonZeroU64 = NonZeroU64::MIN.saturating_add(u32::MAX as u64);

impl Source {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(V4 | u64::from(ip.to_bits())),
            // The addresses that begin with 64 zeros have one entry.
            IpAddr::V6(ip) => Self(NonZeroU64::new((ip.to_bits() >> 64) as u64).unwrap_or(V4)),
        }
    }
}

/// What each source has taken, for as long as it has taken something.
#[derive(Default)]
pub(crate) struct Takings(HashMap<Source, Taken>);

#[derive(Clone, Copy, Default)]
struct Taken {
    connections: usize,
    handshakes: usize,
}

/// The shares of one address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    pub(crate) connections: Share,
    pub(crate) handshakes: Share,
}

/// An address that is counted, and how much it may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) source: Source,
    connections: usize,
    handshakes: usize,
}

impl Shares {
    /// The default shares of these limits.
    pub(crate) fn of_whole(connections: usize, handshakes: usize) -> Self {
        Self {
            connections: Share::new(None, connections),
            handshakes: Share::new(None, handshakes),
        }
    }

    /// Whether one address may have less than all may together.
    #[cfg(feature = "http")]
    pub(crate) fn are_less_than(&self, connections: usize, handshakes: usize) -> bool {
        self.connections.max < connections || self.handshakes.max < handshakes
    }

    /// What `ip` may have; `None` when it is not counted.
    pub(crate) fn of(&self, ip: IpAddr) -> Option<Allowance> {
        let private = is_private(ip.to_canonical());
        let max = |share: Share| (share.everywhere || !private).then_some(share.max);
        let (connections, handshakes) = (max(self.connections), max(self.handshakes));
        connections.or(handshakes)?;
        let unlimited = usize::MAX;
        Some(Allowance {
            source: Source::of(ip),
            connections: connections.unwrap_or(unlimited),
            handshakes: handshakes.unwrap_or(unlimited),
        })
    }
}

impl Takings {
    /// Counts one more connection in its handshake.
    pub(crate) fn take(&mut self, source: Source) {
        let taken = self.0.entry(source).or_default();
        taken.connections += 1;
        taken.handshakes += 1;
    }

    /// One of them has shaken hands.
    pub(crate) fn settle(&mut self, source: Source) {
        if let Some(taken) = self.0.get_mut(&source) {
            taken.handshakes -= 1;
        }
    }

    /// One of them is gone. Memory follows the number of entries.
    pub(crate) fn give_back(&mut self, source: Source, in_handshake: bool) {
        let Entry::Occupied(mut entry) = self.0.entry(source) else { return };
        let taken = entry.get_mut();
        taken.connections -= 1;
        taken.handshakes -= usize::from(in_handshake);
        if taken.connections > 0 {
            return;
        }
        entry.remove();
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one more is too many.
    pub(crate) fn is_used_up(&self, allowance: &Allowance) -> bool {
        self.0.get(&allowance.source).is_some_and(|taken| {
            taken.connections >= allowance.connections || taken.handshakes >= allowance.handshakes
        })
    }
}

/// Whether an address means nothing beyond its own machine, network or provider.
fn is_private(ip: IpAddr) -> bool {
    fn v4(ip: Ipv4Addr) -> bool {
        // RFC 6598: between a provider and its customers, and inside of clouds.
        let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64;
        ip.is_loopback() || ip.is_private() || ip.is_link_local() || shared
    }
    fn v6(ip: Ipv6Addr) -> bool {
        ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
    }
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => v6(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn sources_are_addresses_or_networks() {
        let same = |a, b| Source::of(ip(a)) == Source::of(ip(b));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("::1", "127.0.0.1"));
        assert_eq!(size_of::<Option<Source>>(), 8);
    }

    #[test]
    fn shares_by_default_leave_private_networks_out() {
        let by_default =
            Shares { connections: Share::new(None, 9), handshakes: Share::new(None, 5) };
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(by_default.of(ip(private)).is_none(), "{private}");
        }
        for public in ["192.0.2.1", "100.128.0.1", "100.63.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            let allowance = by_default.of(ip(public)).unwrap();
            assert_eq!((allowance.connections, allowance.handshakes), (5, 3), "{public}");
        }
        let set = Shares { connections: Share::new(Some(2), 9), ..by_default };
        let allowance = set.of(ip("::1")).unwrap();
        assert_eq!((allowance.connections, allowance.handshakes), (2, usize::MAX));
    }

    #[test]
    fn memory_follows_the_sources_that_have_something() {
        let mut takings = Takings::default();
        let sources: Vec<_> =
            (0..10_000).map(|n| Source::of(IpAddr::V4(Ipv4Addr::from_bits(n)))).collect();
        for source in &sources {
            takings.take(*source);
            takings.take(*source);
            takings.settle(*source);
            takings.give_back(*source, true);
        }
        assert_eq!(takings.0.len(), 10_000);
        for source in &sources {
            takings.give_back(*source, false);
        }
        assert_eq!(takings.0.len(), 0);
        assert!(takings.0.capacity() < 100, "{}", takings.0.capacity());
    }
}

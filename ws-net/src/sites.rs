use std::sync::Mutex;

use crate::local::LocalAddress;
use crate::waiters::lock;

/// Where a server has listened so far. Those that it has left stay, for the connections that came
/// in there.
#[derive(Default)]
pub(crate) struct Sites(Mutex<Vec<LocalAddress>>);

/// One of them, by its number: a connection has two bytes to spare, and no pointer. Zero is none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Site(u16);

impl Sites {
    /// The site with this address; none when a server has listened in more places than there are
    /// numbers.
    pub(crate) fn at(&self, address: &LocalAddress) -> Site {
        let mut sites = lock(&self.0);
        let index = sites.iter().position(|known| known == address).unwrap_or(sites.len());
        let Ok(number) = u16::try_from(index + 1) else { return Site::default() };
        if index == sites.len() {
            sites.push(address.clone());
        }
        Site(number)
    }

    /// The address of a site.
    pub(crate) fn address(&self, site: Site) -> Option<LocalAddress> {
        let index = usize::from(site.0).checked_sub(1)?;
        lock(&self.0).get(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_keeps_its_number_and_numbers_run_out() {
        let sites = Sites::default();
        assert_eq!(sites.address(Site::default()), None);
        let at = |port: u32| {
            let ip = std::net::Ipv4Addr::from(port >> 16);
            LocalAddress::Tcp((ip, port as u16).into())
        };
        let [first, second] = [1, 2].map(|port| sites.at(&at(port)));
        assert_eq!(sites.at(&at(1)), first);
        assert_eq!(sites.address(first), Some(at(1)));
        assert_eq!(sites.address(second), Some(at(2)));
        *lock(&sites.0) = (0..u16::MAX.into()).map(at).collect();
        assert_eq!(sites.at(&at(7)), Site(8));
        assert_eq!(sites.at(&at(u16::MAX.into())), Site::default());
        assert_eq!(lock(&sites.0).len(), usize::from(u16::MAX));
    }
}

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chancery_journal::peer_of;

/// Joins, or sign-ins that failed, of one address in a minute: of IPv6, one network of 64 bits.
const MOST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered.
const ADDRESSES: usize = 4_096;

/// How often each address asked to join, or failed to sign in.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Attempts {
    /// Counts one more; `false` where it is one too many. Where too many addresses ask at once, those
    /// that are not remembered are refused.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> bool {
        let address = peer_of(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES {
            counts.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        if counts.len() >= ADDRESSES && !counts.contains_key(&address) {
            return false;
        }
        let (since, count) = counts.entry(address).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_heard_so_often_and_again_later() {
        let attempts = Attempts::default();
        let begun = Instant::now();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let heard = (0..100).filter(|_| attempts.take(one, begun)).count();
        assert_eq!(heard, MOST as usize);
        assert!(attempts.take("192.0.2.2".parse().unwrap(), begun));
        assert!(attempts.take(one, begun + WINDOW));
    }

    #[test]
    fn many_addresses_do_not_make_it_grow() {
        let attempts = Attempts::default();
        let begun = Instant::now();
        let heard = (0..5_000_u32).filter(|number| {
            let address = std::net::Ipv4Addr::from(*number + (1 << 24));
            attempts.take(address.into(), begun)
        });
        assert_eq!(heard.count(), ADDRESSES);
        assert!(attempts.take("192.0.2.1".parse().unwrap(), begun + WINDOW));
    }
}

//! How often strangers may make us do something, by address and in all. Counted in memory, by this replica.

use model::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Counts by address within the running minute.
#[derive(Default)]
pub(crate) struct Rate(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    number: i64,
    /// Of all addresses, by what is counted.
    sums: HashMap<Box<str>, u32>,
    counts: HashMap<(IpAddr, Box<str>), u32>,
}

impl Rate {
    /// Whether `address` has had `most` of `what` in this minute.
    pub(crate) fn is_spent(&self, address: IpAddr, what: &str, most: u32, now: Timestamp) -> bool {
        let minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (network(address), what.into());
        // Where no more of it is counted, nobody can be told from whoever has had all.
        minute.number == now.0.div_euclid(60_000)
            && (minute.sums.get(what).is_some_and(|sum| *sum >= most.saturating_mul(SHARES))
                || minute.counts.get(&key).is_some_and(|count| *count >= most))
    }

    /// Counts one more from `address`; `false` when it has had `most` in this minute, or all together have had
    /// [`SHARES`] times as many.
    pub(crate) fn admits(&self, address: IpAddr, most: u32, now: Timestamp) -> bool {
        self.admits_one(address, "", most, now)
    }

    /// The same of `what`, which is counted for itself.
    pub(crate) fn admits_one(&self, address: IpAddr, what: &str, most: u32, now: Timestamp) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0.div_euclid(60_000);
        if minute.number != number {
            *minute = Minute { number, ..Minute::default() };
        }
        // The sums bound the table, too.
        let Minute { sums, counts, .. } = &mut *minute;
        let sum = sums.entry(what.into()).or_default();
        if *sum >= most.saturating_mul(SHARES) {
            return false;
        }
        let count = counts.entry((network(address), what.into())).or_default();
        if *count >= most {
            return false;
        }
        *sum += 1;
        *count += 1;
        true
    }
}

/// One subscriber has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or_else(
            || {
                let bits = six.to_bits() >> 64 << 64;
                IpAddr::V6(bits.into())
            },
            IpAddr::V4,
        ),
    }
}

/// How many addresses may have all that one may have.
const SHARES: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_all_have_theirs() {
        let rate = Rate::default();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let now = Timestamp(0);
        assert!(rate.admits(at("2001:db8::1"), 2, now) && rate.admits(at("2001:db8::2"), 2, now));
        assert!(!rate.admits(at("2001:db8::3"), 2, now), "one network");
        assert!(rate.admits(at("2001:db8:0:1::3"), 2, now), "another network");
        assert!(rate.admits(at("2001:db8::3"), 2, Timestamp(60_000)), "another minute");
        assert!(rate.admits(at("2001:db8::4"), 2, Timestamp(60_000)));
        let (full, empty) = (at("2001:db8::3"), at("2001:db8::3"));
        assert!(
            rate.is_spent(full, "", 2, Timestamp(60_000)) && !rate.is_spent(empty, "x", 2, Timestamp(60_000))
        );
        assert!(rate.admits_one(full, "x", 2, Timestamp(60_000)), "something else");
        let others =
            (0..=255).filter(|last| rate.admits(at(&format!("10.0.0.{last}")), 1, Timestamp(120_000)));
        assert_eq!(others.count(), 20);
        // What has been had in all is spent for everybody, and nothing else is.
        assert!(rate.is_spent(at("198.51.100.1"), "", 1, Timestamp(120_000)));
        assert!(!rate.is_spent(at("198.51.100.1"), "x", 1, Timestamp(120_000)));
    }
}

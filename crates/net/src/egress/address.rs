//! Which addresses a destination may resolve to (IANA special-purpose address registries).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses a configured destination may have. Public ones always; the rest by explicit consent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// 127.0.0.0/8 and ::1.
    pub allow_loopback: bool,
    /// 10/8, 172.16/12, 192.168/16, fc00::/7 and the shared space 100.64/10.
    pub allow_private: bool,
}

impl Rule {
    /// Public addresses only.
    pub const PUBLIC: Self = Self { allow_loopback: false, allow_private: false };
    /// Public and loopback addresses.
    pub const LOOPBACK: Self = Self { allow_loopback: true, allow_private: false };

    /// Whether an address of this scope may be dialled.
    pub const fn allows(self, scope: Scope) -> bool {
        match scope {
            Scope::Public => true,
            Scope::Loopback => self.allow_loopback,
            Scope::Private => self.allow_private,
            Scope::Forbidden => false,
        }
    }
}

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Globally reachable unicast.
    Public,
    /// This machine.
    Loopback,
    /// An organisation's own network.
    Private,
    /// Link-local, metadata services, multicast, documentation, tunnels, reserved: never dialled.
    Forbidden,
}

impl Scope {
    /// The scope of an address. An IPv6 address that stands for an IPv4 one is judged as that one.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Scope {
    if METADATA_V4.contains(&address) {
        return Scope::Forbidden;
    }
    match address.octets() {
        [127, ..] => Scope::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Scope::Private,
        // This network, link-local, IETF assignments, documentation, 6to4 relays, benchmarks,
        // multicast, reserved and broadcast.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Scope::Forbidden,
        _ => Scope::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Scope {
    if METADATA_V6.contains(&address) {
        return Scope::Forbidden;
    }
    if address == Ipv6Addr::LOCALHOST {
        return Scope::Loopback;
    }
    let octets = address.octets();
    match address.segments() {
        // IPv4-mapped (::ffff:0:0/96) and NAT64 (64:ff9b::/96): the last four octets are the address.
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            let [.., a, b, c, d] = octets;
            of_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0xfc00..=0xfdff, ..] => Scope::Private,
        // IETF assignments with Teredo, documentation, 6to4, documentation again.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => {
            Scope::Forbidden
        }
        [0x2000..=0x3fff, ..] => Scope::Public,
        _ => Scope::Forbidden,
    }
}

/// Clouds' metadata and platform services outside the link-local range: Alibaba, Azure.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// AWS' and Google's metadata services over IPv6.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_scope_of_their_registry() {
        for (text, scope) in [
            ("8.8.8.8", Scope::Public),
            ("1.1.1.1", Scope::Public),
            ("172.15.0.1", Scope::Public),
            ("172.32.0.1", Scope::Public),
            ("100.63.255.255", Scope::Public),
            ("223.255.255.255", Scope::Public),
            ("127.0.0.1", Scope::Loopback),
            ("127.255.255.254", Scope::Loopback),
            ("10.0.0.1", Scope::Private),
            ("172.16.0.1", Scope::Private),
            ("172.31.255.255", Scope::Private),
            ("192.168.1.1", Scope::Private),
            ("100.64.0.1", Scope::Private),
            ("100.127.255.255", Scope::Private),
            ("0.0.0.0", Scope::Forbidden),
            ("0.1.2.3", Scope::Forbidden),
            ("169.254.169.254", Scope::Forbidden),
            ("169.254.0.1", Scope::Forbidden),
            ("100.100.100.200", Scope::Forbidden),
            ("168.63.129.16", Scope::Forbidden),
            ("192.0.0.192", Scope::Forbidden),
            ("192.0.2.1", Scope::Forbidden),
            ("192.88.99.1", Scope::Forbidden),
            ("198.18.0.1", Scope::Forbidden),
            ("198.19.255.255", Scope::Forbidden),
            ("198.51.100.1", Scope::Forbidden),
            ("203.0.113.1", Scope::Forbidden),
            ("224.0.0.1", Scope::Forbidden),
            ("240.0.0.1", Scope::Forbidden),
            ("255.255.255.255", Scope::Forbidden),
            ("2606:4700:4700::1111", Scope::Public),
            ("2001:4860:4860::8888", Scope::Public),
            ("::1", Scope::Loopback),
            ("fc00::1", Scope::Private),
            ("fd12:3456::1", Scope::Private),
            ("::", Scope::Forbidden),
            ("::7f00:1", Scope::Forbidden),
            ("fe80::1", Scope::Forbidden),
            ("fec0::1", Scope::Forbidden),
            ("ff02::1", Scope::Forbidden),
            ("fd00:ec2::254", Scope::Forbidden),
            ("fd20:ce::254", Scope::Forbidden),
            ("2001::1", Scope::Forbidden),
            ("2001:db8::1", Scope::Forbidden),
            ("2002:7f00:1::", Scope::Forbidden),
            ("3fff::1", Scope::Forbidden),
            ("64:ff9b:1::7f00:1", Scope::Forbidden),
            ("5f00::1", Scope::Forbidden),
            ("100::1", Scope::Forbidden),
            ("::ffff:8.8.8.8", Scope::Public),
            ("::ffff:127.0.0.1", Scope::Loopback),
            ("::ffff:10.0.0.1", Scope::Private),
            ("::ffff:169.254.169.254", Scope::Forbidden),
            ("64:ff9b::8.8.8.8", Scope::Public),
            ("64:ff9b::169.254.169.254", Scope::Forbidden),
            ("64:ff9b::127.0.0.1", Scope::Loopback),
        ] {
            assert_eq!(Scope::of(text.parse().unwrap()), scope, "{text}");
        }
    }

    #[test]
    fn a_rule_never_allows_the_forbidden() {
        let most = Rule { allow_loopback: true, allow_private: true };
        assert!(!most.allows(Scope::Forbidden));
        assert!(!Rule::PUBLIC.allows(Scope::Loopback) && !Rule::PUBLIC.allows(Scope::Private));
        assert!(Rule::LOOPBACK.allows(Scope::Loopback) && !Rule::LOOPBACK.allows(Scope::Private));
    }
}

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 or IPv6 network in its one spelling: address, `/`, prefix length, no bit set beyond the
/// prefix. Never an IPv6 spelling of an IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a network: expected an address, a slash and a prefix length with no bit beyond it")]
pub struct NetworkError;

/// Where a value lies with respect to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Inside,
    Outside,
    Unclear,
}

impl Network {
    /// Whether `other` is this network or a part of it.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix
            && family(self.address) == family(other.address)
            && bits(other.address) & self.mask() == bits(self.address)
    }

    /// Whether the address lies in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.covers(&Self::of_address(address))
    }

    /// Where a value that somebody wrote lies: an address or a network. Names, ports, zones and
    /// IPv6 spellings of IPv4 addresses are unclear, and so is a network that only overlaps.
    pub(crate) fn position_of(&self, text: &str) -> Position {
        let other = match text.parse::<IpAddr>() {
            Ok(address) => Self::of_address(address),
            Err(_) => match text.parse() {
                Ok(network) => network,
                Err(NetworkError) => return Position::Unclear,
            },
        };
        if self.covers(&other) {
            Position::Inside
        } else if other.covers(self) || other.carries_ipv4() {
            Position::Unclear
        } else {
            Position::Outside
        }
    }

    fn of_address(address: IpAddr) -> Self {
        Self {
            address,
            prefix: family(address),
        }
    }

    fn mask(&self) -> u128 {
        let width = family(self.address);
        let host_bits = u32::from(width.saturating_sub(self.prefix));
        let all = u128::MAX >> (128 - u32::from(width));
        all & u128::MAX.checked_shl(host_bits).unwrap_or(0)
    }

    /// Whether some address of this IPv6 network stands for an IPv4 address: compatible, mapped,
    /// translated (RFC 6052) or 6to4.
    fn carries_ipv4(&self) -> bool {
        const CARRIERS: [(Ipv6Addr, u8); 4] = [
            (Ipv6Addr::UNSPECIFIED, 96),
            (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
            (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
            (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
        ];
        CARRIERS.into_iter().any(|(address, prefix)| {
            let carrier = Self {
                address: address.into(),
                prefix,
            };
            carrier.covers(self) || self.covers(&carrier)
        })
    }

    fn is_mapped(&self) -> bool {
        matches!(self.address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').ok_or(NetworkError)?;
        let network = Self {
            address: address.parse().map_err(|_| NetworkError)?,
            prefix: prefix.parse().map_err(|_| NetworkError)?,
        };
        let canonical = network.prefix <= family(network.address)
            && bits(network.address) & !network.mask() == 0
            && network.to_string() == text;
        if canonical && !network.is_mapped() {
            Ok(network)
        } else {
            Err(NetworkError)
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn has_one_spelling() {
        for good in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.2.3/32",
            "::/0",
            "2001:db8::/32",
        ] {
            assert_eq!(network(good).to_string(), good);
        }
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "010.0.0.0/8",
            "10.0.0/8",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
            "2001:DB8::/32",
            "2001:db8:0::/32",
            "2001:db8::1/32",
            "::/129",
            "::ffff:10.0.0.0/104",
            "fe80::%eth0/64",
            "10.0.0.0/-1",
            "10.0.0.0/256",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad:?}");
        }
    }

    #[test]
    fn covers_parts_of_its_own_family() {
        assert!(network("10.0.0.0/8").covers(&network("10.1.0.0/16")));
        assert!(network("0.0.0.0/0").covers(&network("10.0.0.0/8")));
        assert!(network("::/0").covers(&network("2001:db8::/32")));
        for (outer, inner) in [
            ("10.0.0.0/8", "0.0.0.0/0"),
            ("10.0.0.0/8", "11.0.0.0/8"),
            ("10.0.0.0/16", "10.0.0.0/8"),
            ("::/0", "10.0.0.0/8"),
            ("0.0.0.0/0", "2001:db8::/32"),
        ] {
            assert!(!network(outer).covers(&network(inner)), "{outer} {inner}");
        }
    }

    #[test]
    fn says_when_a_value_is_unclear() {
        let private = network("10.0.0.0/8");
        for (value, position) in [
            ("10.1.2.3", Position::Inside),
            ("10.1.0.0/16", Position::Inside),
            ("192.0.2.1", Position::Outside),
            ("2001:db8::1", Position::Outside),
            ("0.0.0.0/0", Position::Unclear),
            ("::ffff:10.1.2.3", Position::Unclear),
            ("::10.1.2.3", Position::Unclear),
            ("64:ff9b::a01:203", Position::Unclear),
            ("2002:a01:203::", Position::Unclear),
            ("::/0", Position::Unclear),
            ("10.1.2.3:80", Position::Unclear),
            ("010.1.2.3", Position::Unclear),
            ("0xa010203", Position::Unclear),
            ("localhost", Position::Unclear),
            ("", Position::Unclear),
        ] {
            assert_eq!(private.position_of(value), position, "{value:?}");
        }
    }
}

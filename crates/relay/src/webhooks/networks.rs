//! Where webhooks may lead. Any agent can set one, and the relay's own machine and network trust
//! the relay more than they trust agents.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 that is not on the open internet (IANA's registry of special-purpose addresses).
const SPECIAL_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),       // this network
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // shared by carriers
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local, where clouds have their metadata
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 31, 196, 0, 24), // AS112
    v4(192, 88, 99, 0, 24),  // relays of 6to4
    v4(192, 168, 0, 0, 16),  // private
    v4(192, 175, 48, 0, 24), // AS112
    v4(198, 18, 0, 0, 15),   // benchmarks
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 3),     // multicast, reserved, broadcast
];

/// All IPv6 on the open internet lies here, apart from `SPECIAL_V6`.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const SPECIAL_V6: [Ipv6Net; 6] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments, Teredo
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4, which holds any IPv4
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16), // returned
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// IPv4 as networks with IPv6 only write it (RFC 6052).
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// Networks that webhooks may lead to although they are not on the open internet.
///
/// Written as addresses with the length of their prefix, separated by commas, such as
/// `10.1.0.0/16,::1/128`, or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Only the open internet.
    pub const NONE: Self = Self(Vec::new());

    /// This machine.
    #[must_use]
    pub fn loopback() -> Self {
        let v4 = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);
        let v6 = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
        Self(vec![v4.into(), v6.into()])
    }

    /// Whether a webhook may be posted to `address`.
    pub(crate) fn permit(&self, address: IpAddr) -> bool {
        // What carries an IPv4 address leads to that.
        let address = match address {
            IpAddr::V6(v6) if NAT64.contains(&v6) => {
                let [.., a, b, c, d] = v6.octets();
                IpAddr::from([a, b, c, d])
            }
            other => other.to_canonical(),
        };
        let on_the_internet = match address {
            IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|special| special.contains(&v4)),
            IpAddr::V6(v6) => {
                GLOBAL_V6.contains(&v6) && !SPECIAL_V6.iter().any(|special| special.contains(&v6))
            }
        };
        on_the_internet || self.0.iter().any(|network| network.contains(&address))
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("none");
        }
        for (at, network) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(formatter, "{comma}{network}")?;
        }
        Ok(())
    }
}

impl FromStr for Networks {
    type Err = InvalidNetworks;

    fn from_str(text: &str) -> Result<Self, InvalidNetworks> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        let networks = text.split(',').map(|network| network.trim().parse());
        let networks: Result<_, _> = networks.collect();
        networks.map(Self).map_err(|_| InvalidNetworks)
    }
}

/// The text is no list of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("networks are ADDRESS/LENGTH, separated by commas, for example 10.1.0.0/16, or none")]
pub struct InvalidNetworks;

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(networks: &Networks, address: &str) -> bool {
        networks.permit(address.parse().unwrap())
    }

    #[test]
    fn only_the_open_internet_is_permitted() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(&Networks::NONE, address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(permits(&Networks::NONE, address), "{address}");
        }
    }

    #[test]
    fn networks_that_are_named_are_permitted_in_any_form_of_their_addresses() {
        let networks: Networks = "10.1.0.0/16, ::1/128".parse().unwrap();
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "::1"] {
            assert!(permits(&networks, address), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.1", "::2", "169.254.169.254"] {
            assert!(!permits(&networks, address), "{address}");
        }
        assert!(permits(&Networks::loopback(), "127.3.2.1"));
        assert!(permits(&Networks::loopback(), "::1"));
    }

    #[test]
    fn networks_are_read_and_written() {
        for text in ["none", "10.1.0.0/16", "10.1.0.0/16,::1/128"] {
            assert_eq!(text.parse::<Networks>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "10.1.0.0",
            "10.1.0.0/33",
            "10.1.0.0/16,",
            "localhost",
            "none,none",
        ] {
            assert_eq!(text.parse::<Networks>(), Err(InvalidNetworks), "{text:?}");
        }
    }
}

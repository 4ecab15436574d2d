//! Where a request comes from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use crate::api_error::ApiError;
use crate::http::App;

/// The header in which a proxy in front of the relay names its peer, such as `X-Forwarded-For`.
///
/// Of several addresses the last counts, the one that the proxy itself has put there: what stands
/// before it is the word of whoever sent the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressHeader(HeaderName);

impl AddressHeader {
    fn address(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let value = headers.get_all(&self.0).iter().next_back()?.to_str().ok()?;
        let last = value.rsplit(',').next()?.trim();
        let without_port = last
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(last);
        let with_port = || last.parse::<SocketAddr>().map(|socket| socket.ip());
        without_port.parse().or_else(|_| with_port()).ok()
    }
}

impl fmt::Display for AddressHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str())
    }
}

impl FromStr for AddressHeader {
    type Err = InvalidAddressHeader;

    fn from_str(text: &str) -> Result<Self, InvalidAddressHeader> {
        text.parse().map(Self).map_err(|_| InvalidAddressHeader)
    }
}

/// The text is no header's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header's name is letters, digits and hyphens, for example X-Forwarded-For")]
pub struct InvalidAddressHeader;

/// The other end of a request's connection.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The network that a request comes from: an IPv4 address, or the 64 bits of an IPv6 address that
/// one customer has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address => address,
        })
    }
}

impl FromRequestParts<Arc<App>> for Network {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let named = app.address_header.as_ref();
        let named = named.and_then(|header| header.address(&parts.headers));
        let peer = || parts.extensions.get().map(|Peer(address)| *address);
        let address = named.or_else(peer).ok_or_else(ApiError::internal)?;
        Ok(address.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_half_of_an_ipv6_address() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn the_last_address_of_the_header_counts_however_it_is_written() {
        let header: AddressHeader = "X-Forwarded-For".parse().unwrap();
        let read = |values: &[&str]| {
            let values = values.iter().map(|value| value.parse().unwrap());
            let name = HeaderName::from_static("x-forwarded-for");
            let headers = values.map(|value| (name.clone(), value)).collect();
            let address = header.address(&headers);
            address.map(|address| address.to_string())
        };
        for (values, address) in [
            (&["192.0.2.1"][..], Some("192.0.2.1")),
            (&["198.51.100.9, 192.0.2.1"], Some("192.0.2.1")),
            (&["198.51.100.9", "192.0.2.1:4711"], Some("192.0.2.1")),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["[2001:db8::1]"], Some("2001:db8::1")),
            (&["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (&["192.0.2.1, unknown"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(read(values).as_deref(), address, "{values:?}");
        }
        assert_eq!("a b".parse::<AddressHeader>(), Err(InvalidAddressHeader));
    }
}

//! Which addresses a webhook may reach: the public internet's, and no other.
//!
//! A tenant chooses the URL, so without this a webhook would be a way into the network the fleet runs in. The check is
//! on addresses, not names, and sits in the resolver (`resolve.rs`): the address checked is the address connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Why a webhook's URL can't be delivered to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Neither http nor https.
    #[error("a webhook's url starts with http:// or https://, not {0}:")]
    Scheme(String),
    /// No host in it.
    #[error("a webhook's url names a host")]
    NoHost,
    /// User and password in the URL would end up in logs.
    #[error("a webhook's url carries no user or password: check the signature instead")]
    Credentials,
    /// Loopback, private, link-local or otherwise no address of the public internet.
    #[error("{0} is not an address of the public internet")]
    Private(IpAddr),
    /// All addresses of the name are of that kind.
    #[error("{0} has no address of the public internet")]
    PrivateName(String),
}

/// Checks what can be known without asking DNS: for the answer to a submission. Delivery checks again, with DNS.
pub fn url_check(url: &Url, allow_private: bool) -> Result<(), Refused> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    let address = match url.host().ok_or(Refused::NoHost)? {
        Host::Ipv4(v4) => IpAddr::V4(v4),
        Host::Ipv6(v6) => IpAddr::V6(v6),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if !allow_private && (name == "localhost" || name.ends_with(".localhost")) {
                return Err(Refused::PrivateName(name));
            }
            return Ok(());
        }
    };
    if allow_private || is_public(address) {
        Ok(())
    } else {
        Err(Refused::Private(address))
    }
}

/// Whether the address is one of the public internet's (IANA's registries of special-purpose addresses).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [([u8; 4], u32); 16] = [
        ([0, 0, 0, 0], 8),       // "this network"; 0.0.0.0 is this host
        ([10, 0, 0, 0], 8),      // private
        ([100, 64, 0, 0], 10),   // carrier-grade NAT
        ([127, 0, 0, 0], 8),     // loopback
        ([169, 254, 0, 0], 16),  // link-local; clouds' metadata
        ([172, 16, 0, 0], 12),   // private
        ([192, 0, 0, 0], 24),    // protocol assignments
        ([192, 0, 2, 0], 24),    // documentation
        ([192, 31, 196, 0], 24), // AS112
        ([192, 52, 193, 0], 24), // AMT
        ([192, 88, 99, 0], 24),  // 6to4 relays
        ([192, 168, 0, 0], 16),  // private
        ([198, 18, 0, 0], 15),   // benchmarks
        ([198, 51, 100, 0], 24), // documentation
        ([203, 0, 113, 0], 24),  // documentation
        ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
    ];
    let bits = u32::from(address);
    !SPECIAL
        .iter()
        .any(|(prefix, length)| (bits ^ u32::from(Ipv4Addr::from(*prefix))) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // Mapped, and translated by NAT64: reaches the IPv4 address inside.
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            let [.., a, b, c, d] = address.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Global unicast is 2000::/3; everything else (loopback, fc00::/7, fe80::/10, ff00::/8, 64:ff9b:1::/48) is not.
        [first, ..] if first & 0xe000 != 0x2000 => false,
        [0x2001, second, ..] if second < 0x200 => false, // protocol assignments: Teredo, ORCHID, benchmarks
        [0x2001, 0xdb8, ..] => false,                    // documentation
        [0x2002, ..] => false,                           // 6to4: carries an IPv4 address
        [0x3fff, second, ..] if second < 0x1000 => false, // documentation
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn neighbours_of_special_addresses_are_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2003::1",
            "3fff:1000::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn urls_are_checked_as_far_as_they_tell() {
        let check = |url: &str| url_check(&url.parse().unwrap(), false);
        for fine in [
            "https://example.com/hook",
            "http://example.com:8080/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        // Every spelling that the URL standard reads as an address is one.
        for private in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://169.254.169.254/latest",
        ] {
            assert!(
                matches!(check(private), Err(Refused::Private(_))),
                "{private}"
            );
            assert_eq!(
                url_check(&private.parse().unwrap(), true),
                Ok(()),
                "{private}"
            );
        }
        for local in [
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
        ] {
            assert!(
                matches!(check(local), Err(Refused::PrivateName(_))),
                "{local}"
            );
        }
        assert_eq!(
            check("ftp://example.com/"),
            Err(Refused::Scheme("ftp".to_owned()))
        );
        assert_eq!(
            check("file:///etc/passwd"),
            Err(Refused::Scheme("file".to_owned()))
        );
        assert_eq!(
            check("https://me:secret@example.com/"),
            Err(Refused::Credentials)
        );
    }
}

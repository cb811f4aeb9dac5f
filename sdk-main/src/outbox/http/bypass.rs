//! Which hosts are reached without a proxy.

use std::net::IpAddr;

use super::address::Address;

/// The hosts of a `NO_PROXY` list.
#[derive(Clone, Debug, Default)]
pub(super) struct Bypass {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    host: Host,
    /// Only this port, if one is named.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Host {
    Any,
    /// This name and all below it.
    Name(String),
    /// All addresses whose first bits are these.
    Range(IpAddr, u8),
}

impl Bypass {
    /// Reads a list. What is in it and cannot be understood is taken as a name that nobody has.
    pub(super) fn parse(list: &str) -> Self {
        let words = list.split(|c: char| c == ',' || c.is_whitespace());
        Self { entries: words.filter(|word| !word.is_empty()).map(Entry::parse).collect() }
    }

    pub(super) fn covers(&self, address: &Address) -> bool {
        self.entries.iter().any(|entry| entry.covers(address))
    }
}

impl Entry {
    fn parse(word: &str) -> Self {
        if let Some(range) = range(word) {
            return Self { host: range, port: None };
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.parse().ok()),
            _ => (word, None),
        };
        let host = match host {
            "*" => Host::Any,
            _ => range(host).unwrap_or_else(|| {
                Host::Name(host.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase())
            }),
        };
        Self { host, port }
    }

    fn covers(&self, address: &Address) -> bool {
        if self.port.is_some_and(|port| port != address.port) {
            return false;
        }
        match &self.host {
            Host::Any => true,
            Host::Name(name) => {
                let host = address.host.trim_end_matches('.').to_ascii_lowercase();
                host.strip_suffix(name.as_str()).is_some_and(|below| {
                    !name.is_empty() && (below.is_empty() || below.ends_with('.'))
                })
            }
            Host::Range(first, bits) => {
                address.host.parse().is_ok_and(|ip: IpAddr| share_bits(*first, ip, *bits))
            }
        }
    }
}

/// An address, with or without brackets, or a range of them.
fn range(text: &str) -> Option<Host> {
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let ip: IpAddr = ip.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let all = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some(Host::Range(ip, bits))
}

fn share_bits(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let shared = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    shared >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(list: &str, host: &str, port: u16) -> bool {
        Bypass::parse(list).covers(&Address { host: host.to_owned(), port })
    }

    #[test]
    fn a_name_covers_itself_and_what_is_below() {
        for list in ["example.com", ".example.com", "*.example.com", "x, EXAMPLE.com  y"] {
            assert!(covers(list, "example.com", 443), "{list}");
            assert!(covers(list, "o1.Example.com", 443), "{list}");
            assert!(!covers(list, "notexample.com", 443), "{list}");
            assert!(!covers(list, "example.com.evil", 443), "{list}");
        }
    }

    #[test]
    fn a_port_narrows_an_entry() {
        assert!(covers("example.com:8443", "example.com", 8443));
        assert!(!covers("example.com:8443", "example.com", 443));
        assert!(covers("[::1]:9000", "::1", 9000) && !covers("[::1]:9000", "::1", 80));
        assert!(covers("10.0.0.1:80", "10.0.0.1", 80) && !covers("10.0.0.1:80", "10.0.0.1", 81));
    }

    #[test]
    fn a_range_covers_its_addresses() {
        assert!(covers("10.0.0.0/8", "10.200.3.4", 80) && !covers("10.0.0.0/8", "11.0.0.1", 80));
        assert!(covers("192.168.1.64/26", "192.168.1.127", 80));
        assert!(!covers("192.168.1.64/26", "192.168.1.128", 80));
        assert!(covers("fe80::/10", "febf::1", 80) && !covers("fe80::/10", "fec0::1", 80));
        assert!(covers("0.0.0.0/0", "8.8.8.8", 80) && !covers("0.0.0.0/0", "::1", 80));
        assert!(covers("::1", "::1", 80) && covers("1.2.3.4", "1.2.3.4", 80));
        assert!(!covers("10.0.0.0/33", "10.0.0.1", 80));
    }

    #[test]
    fn a_star_covers_everything_and_nothing_covers_nothing() {
        assert!(covers("*", "anything", 1));
        for nothing in ["", " , ,", ".", "*."] {
            assert!(!covers(nothing, "anything", 1), "{nothing}");
        }
    }
}

//! Where connections may go: a strict reading of URLs and hosts.
//!
//! Two parsers that disagree about one URL are how a request reaches a host that nobody
//! registered (`http://127.0.0.1@example.net`, `https://0x7f.1`). This one accepts a small
//! language in which there is nothing to disagree about, and everything else is refused.

use super::name::Malformed;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest host name in bytes, RFC 1035 section 2.3.4.
const HOST_BYTES: usize = 253;

/// Longest base path in bytes. Known model servers use fewer than 100.
const PATH_BYTES: usize = 512;

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// Syslog over TLS, RFC 5425 section 4.1.
const SYSLOG_PORT: u16 = 6514;

/// Whether an address lies in the loopback range or in a range that the internet does not route:
/// RFC 1918 and RFC 4193. Link-local addresses are not in it, because cloud machines answer there
/// with credentials.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// A host: a name in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A name that must be resolved.
    Name(Box<str>),
    /// An address, written as such.
    Address(IpAddr),
}

impl Host {
    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => &**name == "localhost",
            Self::Address(address) => address.to_canonical().is_loopback(),
        }
    }
}

impl FromStr for Host {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const FORM: Malformed = Malformed::new(
            "a host is a lower-case name (\"api.vendor.example\"), an IPv4 address or an IPv6 address in brackets",
        );
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(FORM)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| FORM)?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if text.len() > HOST_BYTES || !text.split('.').all(label) {
            return Err(FORM);
        }
        // A last label that begins with a digit is a number to some resolvers (127.1, 0x7f.1,
        // 2130706433), so it must be an address in the one form that all read alike. No top-level
        // domain begins with a digit.
        let last = text.rsplit('.').next().unwrap_or(text);
        if last.starts_with(|c: char| c.is_ascii_digit()) {
            let address: Ipv4Addr = text.parse().map_err(|_| FORM)?;
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        Ok(Self::Name(text.into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A host and a port. Without a port, 443.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Authority {
    host: Host,
    port: u16,
}

impl Authority {
    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn parse(text: &str, default_port: u16) -> Result<Self, Malformed> {
        // The colon of a port stands behind the bracket of an IPv6 address.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, parse_port(port)?),
            _ => (text, default_port),
        };
        Ok(Self { host: host.parse()?, port })
    }
}

fn parse_port(text: &str) -> Result<u16, Malformed> {
    const FORM: Malformed = Malformed::new("a port is a number from 1 to 65535");
    // `u16::from_str` alone would read "+80" and "080".
    if text.starts_with(['0', '+']) {
        return Err(FORM);
    }
    text.parse().map_err(|_| FORM)
}

impl FromStr for Authority {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text, HTTPS_PORT)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The base address of a model server: `https`, or `http` on this machine only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    secure: bool,
    authority: Authority,
    path: Box<str>,
    inside: bool,
}

impl Endpoint {
    /// Host and port.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether connections use TLS. Without it the host is this machine.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host as a request's `host` header has it: without the port that the scheme has by itself.
    #[must_use]
    pub fn host_header(&self) -> String {
        let usual = if self.secure { HTTPS_PORT } else { HTTP_PORT };
        if self.authority.port == usual {
            self.authority.host.to_string()
        } else {
            self.authority.to_string()
        }
    }

    /// The base path without a slash at its end: empty, or `/v1`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the host is a name that must resolve to private addresses only ([`is_private`]),
    /// each time that a connection is made.
    ///
    /// That is so for every name inside the boundary and for `localhost`; the name's owner could
    /// otherwise move it outside after the file was read.
    #[must_use]
    pub fn must_resolve_private(&self) -> bool {
        matches!(self.authority.host, Host::Name(_))
            && (self.inside || self.authority.host.is_loopback())
    }

    /// The endpoint of a hop inside the boundary.
    pub(crate) fn inside(self) -> Result<Self, Malformed> {
        match self.authority.host {
            Host::Address(address) if !is_private(address) => Err(Malformed::new(
                "an address inside the boundary is a loopback or private one; this one is public",
            )),
            Host::Address(_) | Host::Name(_) => Ok(Self { inside: true, ..self }),
        }
    }
}

impl Endpoint {
    /// Reads the address of a party that gets hashes only and signs what it says: plain `http` will do.
    pub(crate) fn of_hashes(text: &str) -> Result<Self, Malformed> {
        Self::parse(text, true)
    }

    /// Reads the address of a syslog receiver over TLS (RFC 5425): `tls://host:6514`.
    pub(crate) fn of_syslog(text: &str) -> Result<Self, Malformed> {
        let authority = text.strip_prefix("tls://").ok_or(Malformed::new(
            "a syslog receiver is written tls://host or tls://host:port; without a port, 6514",
        ))?;
        let authority = Authority::parse(authority, SYSLOG_PORT)?;
        Ok(Self { secure: true, authority, path: "".into(), inside: false })
    }

    fn parse(text: &str, plain: bool) -> Result<Self, Malformed> {
        let (secure, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(Malformed::new("an address begins with https://"));
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let authority = Authority::parse(authority, if secure { HTTPS_PORT } else { HTTP_PORT })?;
        if !secure && !plain && !authority.host.is_loopback() {
            return Err(Malformed::new(
                "plain http is for this machine only (127.0.0.1, [::1] or localhost); use https",
            ));
        }
        Ok(Self { secure, authority, path: parse_path(path)?, inside: false })
    }
}

impl FromStr for Endpoint {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text, false)
    }
}

fn parse_path(text: &str) -> Result<Box<str>, Malformed> {
    const FORM: Malformed = Malformed::new(
        "a base path is made of letters, digits and . _ ~ - between slashes; no user, query, fragment or dot segment",
    );
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() {
        return Ok("".into());
    }
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
    };
    if text.len() > PATH_BYTES || !text.split('/').all(segment) {
        return Err(FORM);
    }
    Ok(format!("/{text}").into())
}

impl fmt::Display for Endpoint {
    /// The address as one URL, always with its port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::{Authority, Endpoint, is_private};

    fn check(text: &str, reading: &str) {
        let read = text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
        assert_eq!(read.as_deref().unwrap_or("refused"), reading, "{text}");
    }

    #[test]
    fn plain_addresses_are_read() {
        check("https://api.vendor.example/v1", "https://api.vendor.example:443/v1");
        check("https://api.vendor.example", "https://api.vendor.example:443");
        check("https://api.vendor.example/v1/", "https://api.vendor.example:443/v1");
        check("https://10.1.2.3:8000/a/b", "https://10.1.2.3:8000/a/b");
        check("https://[fd00::1]:8443/v1", "https://[fd00::1]:8443/v1");
        check("http://127.0.0.1:8089/v1", "http://127.0.0.1:8089/v1");
        check("http://[::1]", "http://[::1]:80");
        check("http://localhost:8089", "http://localhost:8089");
    }

    #[test]
    fn whatever_two_readers_could_read_differently_is_refused() {
        for text in [
            "",
            "api.vendor.example",
            "HTTPS://api.vendor.example",
            "ftp://api.vendor.example",
            "https:/api.vendor.example",
            "https://",
            "https:///v1",
            "https://user@api.vendor.example",
            "https://user:secret@api.vendor.example",
            "http://127.0.0.1@evil.example",
            "http://127.0.0.1:80@evil.example",
            "http://127.0.0.1#@evil.example",
            "http://127.0.0.1\\@evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "http://vendor.example",
            "https://api.vendor.example?x=1",
            "https://api.vendor.example/v1?x=1",
            "https://api.vendor.example/v1#x",
            "https://api.vendor.example/../v1",
            "https://api.vendor.example/./v1",
            "https://api.vendor.example//v1",
            "https://api.vendor.example/v1%2f",
            "https://api.vendor.example/v 1",
            "https://api.vendor.example./v1",
            "https://Api.vendor.example",
            "https://-api.vendor.example",
            "https://api..example",
            "https://127.1",
            "https://0x7f.1",
            "https://2130706433",
            "https://0177.0.0.1",
            "https://1.2.3.4.5",
            "https://vendor.0x7f",
            "https://api.vendor.example:0",
            "https://api.vendor.example:080",
            "https://api.vendor.example:+80",
            "https://api.vendor.example:65536",
            "https://api.vendor.example:",
            "https://[::1",
            "https://::1",
            "https://[::1]x",
            "https://[127.0.0.1]",
            "https://vendor.example\n",
            " https://vendor.example",
            "https://vendör.example",
        ] {
            check(text, "refused");
        }
        check(&format!("https://{}example", "a.".repeat(124)), "refused");
        check(&format!("https://vendor.example/{}", "a".repeat(513)), "refused");
    }

    #[test]
    fn a_syslog_receiver_is_a_host_behind_tls() {
        let read = |text: &str| {
            let endpoint = Endpoint::of_syslog(text).ok()?;
            assert!(endpoint.is_secure() && endpoint.path().is_empty());
            Some(endpoint.authority().to_string())
        };
        assert_eq!(read("tls://siem.clinic.example").unwrap(), "siem.clinic.example:6514");
        assert_eq!(read("tls://10.0.0.7:7514").unwrap(), "10.0.0.7:7514");
        for text in [
            "tls://",
            "tls://siem/",
            "tls://siem/x",
            "tcp://siem",
            "udp://siem",
            "https://siem",
            "siem:6514",
            "tls://user@siem",
            "tls://siem?x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_alone_means_the_port_of_https() {
        let read = |text: &str| text.parse::<Authority>().unwrap().to_string();
        assert_eq!(read("vendor.example"), "vendor.example:443");
        assert_eq!(read("127.0.0.1:8089"), "127.0.0.1:8089");
        assert_eq!(read("[::1]"), "[::1]:443");
    }

    #[test]
    fn only_loopback_and_unrouted_addresses_are_private() {
        let ours = ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "::1"];
        for text in ours.into_iter().chain(["fd00::1", "::ffff:10.0.0.1"]) {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        let public = ["8.8.8.8", "172.32.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"];
        for text in public.into_iter().chain(["::", "2001:db8::1", "fe80::1", "::ffff:8.8.8.8"]) {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_endpoint_inside_is_private_or_must_prove_it_when_it_connects() {
        let check = |text: &str, inside: Option<bool>| {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.inside().ok().map(|e| e.must_resolve_private()), inside, "{text}");
        };
        check("http://127.0.0.1:8089", Some(false));
        check("https://192.168.1.1", Some(false));
        check("https://model.clinic.example", Some(true));
        check("http://localhost", Some(true));
        check("https://8.8.8.8", None);
        check("https://169.254.169.254", None);
    }

    #[test]
    fn a_name_outside_resolves_anywhere_but_localhost_never_does() {
        let must = |text: &str| text.parse::<Endpoint>().unwrap().must_resolve_private();
        assert!(!must("https://api.vendor.example"));
        assert!(must("http://localhost:1"));
        assert!(must("https://localhost"));
    }
}

//! URL helpers of all network code: the loopback check and redaction.

use url::Url;

/// Returns whether the host is this machine. Plain `http` is allowed to no other host.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Returns whether the host is in the user's own network by its address: this machine, a private or link-local address, or
/// a name in `.local` or `.home.arpa`.
pub(crate) fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => is_private_v4(address),
        Some(url::Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => is_private_v4(mapped),
            None => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
        },
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost"
                || [".localhost", ".local", ".home.arpa"]
                    .iter()
                    .any(|end| name.ends_with(end))
        }
        None => false,
    }
}

fn is_private_v4(address: std::net::Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_link_local()
}

/// Redacts a URL for errors, events and files: removes the query, where signatures are, and the credentials.
pub(crate) fn redact_url(address: &str) -> String {
    let bare = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("://") else {
        return bare.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_address_is_told_from_a_public_one() {
        for (address, private) in [
            ("http://127.0.0.1:1", true),
            ("http://localhost", true),
            ("http://10.0.0.2", true),
            ("http://172.31.255.1", true),
            ("http://172.32.0.1", false),
            ("http://192.168.1.5:11434", true),
            ("http://169.254.1.1", true),
            ("http://[fd00::1]", true),
            ("http://[fe80::1]", true),
            ("http://[::ffff:192.168.1.5]", true),
            ("http://[::ffff:203.0.113.5]", false),
            ("http://[2001:db8::1]", false),
            ("http://Tower.Local:8080", true),
            ("http://local", false),
            ("http://notlocal", false),
            ("https://llm.example.org", false),
            ("http://203.0.113.5", false),
        ] {
            assert_eq!(is_private(&Url::parse(address).expect(address)), private, "{address}");
        }
    }
}

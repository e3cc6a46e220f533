//! URL helpers of all network code: whose host it is by its address, and redaction.

use std::net::Ipv4Addr;

use url::Url;

/// Returns whether the host is this machine. Plain `http` is allowed to no other host.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.is_loopback(),
            None => address.is_loopback(),
        },
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost") && name.len() > ".localhost".len()
        }
        None => false,
    }
}

/// Returns whether the host is another device in the local network, by its address alone.
pub(crate) fn is_in_local_network(url: &Url) -> bool {
    is_private(url) && !is_loopback(url)
}

/// Returns whether the host is this machine or one in a private network, by its address alone: loopback, link-local
/// (RFC 3927, RFC 4291), private ranges (RFC 1918, RFC 4193), a name under `.local` (RFC 6762), `.home.arpa` (RFC 8375)
/// or `.localhost` (RFC 6761). Other names count as public, also those without a dot: where they lead depends on the
/// network's resolver.
pub(crate) fn is_private(url: &Url) -> bool {
    let private_v4 = |address: Ipv4Addr| address.is_loopback() || address.is_private() || address.is_link_local();
    match url.host() {
        Some(url::Host::Ipv4(address)) => private_v4(address),
        Some(url::Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => private_v4(mapped),
            None => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
        },
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let under = [".local", ".home.arpa", ".localhost"];
            name == "localhost"
                || under
                    .into_iter()
                    .any(|parent| name.ends_with(parent) && name.len() > parent.len())
        }
        None => false,
    }
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
    fn a_private_network_is_known_by_its_address() {
        for (host, private) in [
            ("127.0.0.1", true),
            ("[::1]", true),
            ("localhost", true),
            ("app.localhost", true),
            ("LocalHost.", true),
            ("[::ffff:127.0.0.1]", true),
            ("10.1.2.3", true),
            ("172.16.0.9", true),
            ("172.32.0.9", false),
            ("192.168.1.9", true),
            ("169.254.7.7", true),
            ("[fd00::9]", true),
            ("[fe80::9]", true),
            ("[::ffff:192.168.1.9]", true),
            ("[::ffff:203.0.113.5]", false),
            ("[2001:db8::1]", false),
            ("desk.local", true),
            ("Desk.LOCAL.", true),
            ("nas.home.arpa", true),
            ("local", false),
            (".local", false),
            ("desk.local.example.org", false),
            ("notlocal", false),
            ("nas", false),
            ("203.0.113.5", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("localhost.example.org", false),
        ] {
            let Ok(url) = Url::parse(&format!("https://{host}:8080/v1")) else {
                assert!(!private, "{host}");
                continue;
            };
            assert_eq!(is_private(&url), private, "{host}");
            let own = ["127", "[::1]", "localhost", "LocalHost", "app.localhost", "[::ffff:127"];
            let is_own = own.iter().any(|start| host.starts_with(start)) && !host.contains("example");
            assert_eq!(is_loopback(&url), is_own, "{host}");
            assert_eq!(is_in_local_network(&url), private && !is_own, "{host}");
        }
    }
}

//! The host of a request, made comparable: without port, without trailing dot, in lower case.
//!
//! Runs for each request and allocates nothing: what is already plain is borrowed, the rest is lowered in a buffer
//! of the caller. It does not judge: a host that is no host at all is simply not found in the index.

/// The longest name that DNS knows. A longer host matches only routes for any host.
pub(super) const HOST_MAX: usize = 255;

/// `Shop.Example.:8080` becomes `shop.example`, `[::1]:80` becomes `[::1]`; empty if longer than [`HOST_MAX`].
pub(super) fn plain<'a>(host: &'a str, buffer: &'a mut [u8; HOST_MAX]) -> &'a [u8] {
    let bare = without_port(host.as_bytes());
    let bare = bare.strip_suffix(b".").unwrap_or(bare);
    if bare.len() > HOST_MAX {
        return b"";
    }
    if !bare.iter().any(u8::is_ascii_uppercase) {
        return bare;
    }
    let lowered = &mut buffer[..bare.len()];
    lowered.copy_from_slice(bare);
    lowered.make_ascii_lowercase();
    lowered
}

/// The colons of an IPv6 literal stand in brackets; any other colon begins the port.
fn without_port(host: &[u8]) -> &[u8] {
    let end = if host.first() == Some(&b'[') {
        host.iter().position(|byte| *byte == b']').map(|at| at + 1)
    } else {
        host.iter().position(|byte| *byte == b':')
    };
    &host[..end.unwrap_or(host.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_port_and_trailing_dot_do_not_matter() {
        for (sent, expected) in [
            ("shop.example", "shop.example"),
            ("Shop.EXAMPLE", "shop.example"),
            ("shop.example:8080", "shop.example"),
            ("shop.example.:8080", "shop.example"),
            ("shop.example:", "shop.example"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
            ("[::1", "[::1"),
            ("", ""),
            (":80", ""),
            (".", ""),
        ] {
            assert_eq!(plain(sent, &mut [0; HOST_MAX]), expected.as_bytes(), "{sent}");
        }
    }

    #[test]
    fn a_host_longer_than_dns_allows_is_no_host() {
        let longest = "A".repeat(HOST_MAX);
        assert_eq!(plain(&longest, &mut [0; HOST_MAX]).len(), HOST_MAX);
        assert_eq!(plain(&format!("{longest}:80"), &mut [0; HOST_MAX]).len(), HOST_MAX);
        assert_eq!(plain(&format!("{longest}a"), &mut [0; HOST_MAX]), b"");
    }
}

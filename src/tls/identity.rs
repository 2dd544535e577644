//! Who a client is, as a header says it: `Subject="CN=ann,O=Shop";DNS="ann.shop.example";URI="spiffe://shop/ann"`.
//!
//! The keys are those of Envoy's `X-Forwarded-Client-Cert`, and every value stands in quotes. What is in a
//! certificate was chosen by others, so quotes and backslashes in it are escaped and whatever cannot stand in a
//! header is written as `%xx`: no value can end early and begin another.

use std::fmt::Write;
use std::net::IpAddr;

use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Of one header. What does not fit is left out whole.
const BYTES_MAX: usize = 4_096;

/// Whose the certificate is: the names in its alternative name, or where it has none of them, the subject's common
/// name. None of a certificate that cannot be read.
pub fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(alternatives) = certificate.subject_alternative_name() else { return Vec::new() };
    let named: Vec<String> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
                Some((*name).to_owned())
            }
            _ => None,
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    common.map(str::to_owned).collect()
}

/// `None`: the certificate has nothing that names anybody, or cannot be read.
pub fn header_value(certificate: &CertificateDer<'_>) -> Option<HeaderValue> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut text = String::new();
    let subject = certificate.subject().to_string();
    if !subject.is_empty() {
        add(&mut text, "Subject", &subject);
    }
    let alternatives = certificate.subject_alternative_name().ok()?;
    for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => add(&mut text, "DNS", name),
            GeneralName::URI(uri) => add(&mut text, "URI", uri),
            GeneralName::RFC822Name(address) => add(&mut text, "Email", address),
            GeneralName::IPAddress(bytes) => {
                let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                if let Ok(address) = four.or(<[u8; 16]>::try_from(*bytes).map(IpAddr::from)) {
                    add(&mut text, "IP", &address.to_string());
                }
            }
            _ => {}
        }
    }
    if text.is_empty() { None } else { HeaderValue::from_str(&text).ok() }
}

fn add(text: &mut String, key: &str, value: &str) {
    let mut part = format!("{}{key}=\"", if text.is_empty() { "" } else { ";" });
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => part.extend(['\\', char::from(byte)]),
            b' '..=b'~' if byte != b'%' => part.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(part, "%{byte:02X}")),
        }
    }
    part.push('"');
    if text.len() + part.len() <= BYTES_MAX {
        text.push_str(&part);
    }
}

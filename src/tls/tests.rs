//! Certificates made on the spot, in files, and handshakes in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair as Key, KeyUsagePurpose,
};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection, SupportedProtocolVersion,
};

use super::certificates::{Names, read_chain, read_pair};
use super::*;
use crate::config::tls::{ClientAuth, ClientNeed, KeyPair, ListenerTls, NamedFile, TlsVersion};
use crate::config::{Config, Findings};

/// 2026-11-23
const NOW_S: i64 = 1_795_400_000;

struct Authority {
    issuer: CertifiedIssuer<'static, Key>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Self { issuer: CertifiedIssuer::self_signed(params, Key::generate().unwrap()).unwrap() }
    }

    /// Certificate and key as PEM.
    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = Default::default();
        change(&mut params);
        let key = Key::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> NamedFile {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        named(&path)
    }

    /// `NAME.pem` and `NAME.key`.
    fn pair(&self, name: &str, (cert, key): &(String, String)) -> KeyPair {
        let cert = self.write(&format!("{name}.pem"), cert);
        KeyPair { cert, key: self.write(&format!("{name}.key"), key) }
    }
}

fn named(path: &Path) -> NamedFile {
    NamedFile { path: PathBuf::from(path), place: 3..5 }
}

fn listener(certificates: Vec<KeyPair>, clients: Option<ClientAuth>) -> ListenerTls {
    let handshake_timeout = ListenerTls::HANDSHAKE_TIMEOUT_DEFAULT;
    ListenerTls { certificates, clients, min_version: TlsVersion::Tls12, handshake_timeout }
}

fn demanding(ca: NamedFile, need: ClientNeed) -> Option<ClientAuth> {
    Some(ClientAuth { ca, need, identity_header: None })
}

fn trusting(authority: &Authority) -> ClientConfig {
    let versions: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// The handshake, and one read on either side, which takes tickets to the client.
fn shake(
    server: &Server,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<(ServerConnection, ClientConnection), rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(&server.config)).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        let mut read = &*wire;
        while !read.is_empty() {
            server.read_tls(&mut read).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        let mut read = &*wire;
        while !read.is_empty() {
            client.read_tls(&mut read).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok((server, client))
}

#[track_caller]
fn shown(server: &Server, client: &Arc<ClientConfig>, name: &str) -> Vec<u8> {
    let (_, client) = shake(server, client, name).unwrap();
    client.peer_certificates().unwrap()[0].to_vec()
}

fn leaf(pair: &KeyPair) -> Vec<u8> {
    read_chain(&pair.cert, "cert", "").unwrap()[0].to_vec()
}

#[test]
fn a_pair_that_is_none_is_told_with_its_place() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let (one, other) = (authority.sign(&["a.example"], |_| ()), authority.sign(&["b.example"], |_| ()));
    let told = |cert: &str, key: &str| {
        let pair = folder.pair("site", &(cert.to_owned(), key.to_owned()));
        let problem = read_pair(&pair).unwrap_err();
        assert_eq!(problem.span, 3..5);
        problem.message.replace(&format!("{}/", folder.0.path().display()), "")
    };
    assert_eq!(
        told(&one.0, &other.1),
        "key site.key does not belong to the certificate of \"a.example\" in site.pem"
    );
    assert_eq!(told(&one.1, &one.1), "cert site.pem holds no certificate");
    assert_eq!(told(&one.0, &one.0), "key site.key holds no private key");
    assert_eq!(told("", &one.1), "cert site.pem holds no certificate");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(told(garbage, &one.1), "cert site.pem holds a certificate that cannot be read");
    let nowhere = KeyPair { cert: named(Path::new("/nowhere.pem")), key: named(Path::new("/nowhere.key")) };
    let message = read_pair(&nowhere).unwrap_err().message;
    assert!(message.starts_with("cert /nowhere.pem cannot be read: No such file"), "{message}");
}

#[test]
fn the_name_picks_the_certificate() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let first = folder.pair("first", &authority.sign(&["a.example", "nobody.example"], |_| ()));
    let wild = folder.pair("wild", &authority.sign(&["*.b.example"], |_| ()));
    let exact = folder.pair("exact", &authority.sign(&["x.b.example"], |_| ()));
    let tls = listener(vec![first.clone(), wild.clone(), exact.clone()], None);
    let server = Server::load(&tls, None).unwrap();
    // The test looks at what is shown, whoever it is made for.
    let mut client = trusting(&authority);
    client.dangerous().set_certificate_verifier(Arc::new(Anything(provider())));
    let client = Arc::new(client);
    for (name, pair) in [
        ("a.example", &first),
        ("Y.B.example", &wild),
        ("x.b.example", &exact),
        ("x.y.b.example", &first),
        ("b.example", &first),
        ("unknown.example", &first),
        ("127.0.0.1", &first),
    ] {
        assert!(shown(&server, &client, name) == leaf(pair), "{name}");
    }
}

#[test]
fn of_two_kinds_of_key_the_client_gets_one_that_it_knows() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let names = vec!["a.example".to_owned()];
    let ed25519 = Key::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&ed25519, &authority.issuer).unwrap();
    let odd = folder.pair("odd", &(certificate.pem(), ed25519.serialize_pem()));
    let plain = folder.pair("plain", &authority.sign(&["a.example"], |_| ()));
    let server = Server::load(&listener(vec![odd, plain.clone()], None), None).unwrap();
    let mut client = trusting(&authority);
    let only_ecdsa = Anything(provider());
    client.dangerous().set_certificate_verifier(Arc::new(only_ecdsa));
    assert!(shown(&server, &Arc::new(client), "a.example") == leaf(&plain));
}

#[test]
fn a_session_is_resumed_over_a_reload_unless_clients_must_prove_something_else() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let pair = folder.pair("site", &authority.sign(&["a.example"], |_| ()));
    let open = listener(vec![pair.clone()], None);
    let first = Server::load(&open, None).unwrap();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let builder =
            ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.issuer.der().clone()).unwrap();
        let client = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        let kind = |server: &Server| shake(server, &client, "a.example").unwrap().0.handshake_kind();
        assert_eq!(kind(&first), Some(HandshakeKind::Full));
        assert_eq!(kind(&first), Some(HandshakeKind::Resumed));
        let second = Server::load(&open, Some(&first)).unwrap();
        assert_eq!(kind(&second), Some(HandshakeKind::Resumed));
        let ca = folder.write("ca.pem", &authority.issuer.pem());
        let asking = listener(vec![pair.clone()], demanding(ca, ClientNeed::Optional));
        let third = Server::load(&asking, Some(&second)).unwrap();
        assert_eq!(kind(&third), Some(HandshakeKind::Full), "an old ticket proves nothing");
    }
}

#[test]
fn a_client_without_a_certificate_is_let_in_only_where_it_is_optional() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let pair = folder.pair("site", &authority.sign(&["a.example"], |_| ()));
    let ca = folder.write("ca.pem", &authority.issuer.pem());
    let client = Arc::new(trusting(&authority));
    let let_in = |need| {
        let tls = listener(vec![pair.clone()], demanding(ca.clone(), need));
        shake(&Server::load(&tls, None).unwrap(), &client, "a.example").is_ok()
    };
    assert!(let_in(ClientNeed::Optional));
    assert!(!let_in(ClientNeed::Required));
}

#[test]
fn hosts_that_the_certificate_shown_does_not_have_are_misdirected_where_clients_prove_themselves() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let one = folder.pair("one", &authority.sign(&["a.example", "*.a.example"], |_| ()));
    let other = folder.pair("other", &authority.sign(&["b.example", "10.0.0.1"], |_| ()));
    let ca = folder.write("ca.pem", &authority.issuer.pem());
    let proving = listener(vec![one.clone(), other.clone()], demanding(ca, ClientNeed::Required));
    let proving = Server::load(&proving, None).unwrap();
    assert!(proving.may_ask(Some("a.example"), "A.example"));
    assert!(proving.may_ask(Some("a.example"), "x.a.example"));
    assert!(!proving.may_ask(Some("a.example"), "b.example"));
    assert!(!proving.may_ask(None, "b.example"), "the first certificate was shown");
    assert!(proving.may_ask(Some("b.example"), "10.0.0.1"));
    let open = Server::load(&listener(vec![one, other], None), None).unwrap();
    assert!(open.may_ask(Some("a.example"), "b.example"));
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let names = Names { dns: vec!["*.a.example".into()], ..Names::default() };
    let covered =
        ["x.a.example", "a.example", "x.y.a.example", ".a.example", ""].map(|host| names.cover(host));
    assert_eq!(covered, [true, false, false, true, false]);
}

#[test]
fn changed_files_are_taken_up_and_a_wrong_pair_is_not() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let pair = folder.pair("site", &authority.sign(&["a.example"], |_| ()));
    let config = config_with(listener(vec![pair.clone()], None));
    let (loaded, Findings { problems, warnings }) = load(&config, None, NOW_S);
    assert_eq!((problems, warnings), (Vec::new(), Vec::new()));
    let loaded = loaded.unwrap();
    assert!(loaded.refreshed().is_none(), "nothing has changed");
    let fresh = |loaded: &Loaded| loaded.gauges().listeners[0].1;
    let mut client = trusting(&authority);
    client.resumption = rustls::client::Resumption::disabled();
    let client = Arc::new(client);
    let shown = |loaded: &Loaded| shown(loaded.material().server("public").unwrap(), &client, "a.example");
    let before = leaf(&pair);
    let (cert, key) = authority.sign(&["a.example"], |_| ());
    folder.write("site.pem", &cert);
    let half = loaded.refreshed().unwrap();
    assert!(!fresh(&half) && shown(&half) == before, "the key is not there yet");
    assert!(half.refreshed().is_none(), "the same wrong pair is told once");
    folder.write("site.key", &key);
    let whole = half.refreshed().unwrap();
    assert!(fresh(&whole) && shown(&whole) == leaf(&pair) && shown(&whole) != before);
    fs::remove_file(&pair.cert.path).unwrap();
    assert!(whole.refreshed().is_none(), "a file that is gone for a moment is being replaced");
}

#[test]
fn a_swapped_link_on_the_way_is_a_change() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    for version in ["1", "2"] {
        let (cert, key) = authority.sign(&["a.example"], |_| ());
        fs::create_dir(folder.0.path().join(version)).unwrap();
        folder.write(&format!("{version}/tls.crt"), &cert);
        folder.write(&format!("{version}/tls.key"), &key);
    }
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, folder.0.path().join("draft")).unwrap();
        fs::rename(folder.0.path().join("draft"), folder.0.path().join("data")).unwrap();
    };
    link("1");
    let file = |name: &str| named(&folder.0.path().join("data").join(name));
    let pair = KeyPair { cert: file("tls.crt"), key: file("tls.key") };
    let loaded = load(&config_with(listener(vec![pair], None)), None, NOW_S).0.unwrap();
    link("2");
    assert!(loaded.refreshed().unwrap().gauges().listeners[0].1);
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let old = authority.sign(&["a.example"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let config = config_with(listener(vec![folder.pair("old", &old)], None));
    let (loaded, findings) = load(&config, None, NOW_S);
    assert!(loaded.is_some());
    let message = &findings.warnings[0].message;
    assert!(message.starts_with("listener \"public\": tls.certificates item 1: cert "), "{message}");
    assert!(message.ends_with("old.pem of \"a.example\" has expired"), "{message}");
    assert_eq!(loaded.unwrap().gauges().certificates[0].not_after_s, 1_577_836_800);
}

#[test]
fn no_name_in_a_certificate_ends_early_and_begins_another() {
    let authority = Authority::new("ca");
    let (cert, _) = authority.sign(&["ann.example"], |params| {
        params.distinguished_name.push(DnType::CommonName, "ann\";DNS=\"root\\é%\r\n");
    });
    let folder = Folder::new();
    let chain = read_chain(&folder.write("ann.pem", &cert), "cert", "").unwrap();
    assert_eq!(
        identity(&chain[0]).unwrap(),
        r#"Subject="CN=ann\";DNS=\"root\\%C3%A9%25%0D%0A";DNS="ann.example""#
    );
}

fn config_with(tls: ListenerTls) -> Config {
    let text =
        "[[listener]]\nname = \"public\"\naddress = \"127.0.0.1:1\"\n[[route]]\nname = \"r\"\ndeny = true\n";
    let mut config = crate::config::parse("f", text, Path::new("")).unwrap();
    config.listeners[0].tls = Some(tls);
    config
}

/// Takes any certificate with an ECDSA signature.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

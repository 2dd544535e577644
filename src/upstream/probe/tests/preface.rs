//! What comes before the question: an introduction, and TLS.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A client, and a server that it trusts as `shop.test`; the server agrees to these protocols alone.
fn both_ends(alpn: &[&[u8]]) -> (Client, TlsAcceptor) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["shop.test".to_owned()]).unwrap();
    let shown = params.signed_by(&key, &issuer).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut server = server.with_single_cert(vec![shown], key).unwrap();
    server.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();

    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let with = |name: &[u8]| {
        let mut client = client.clone();
        client.alpn_protocols = vec![name.to_vec()];
        Arc::new(client)
    };
    (Client { http1: with(b"http/1.1"), http2: with(b"h2") }, TlsAcceptor::from(Arc::new(server)))
}

/// Checks a server that expects these bytes before TLS, and answers inside: in HTTP/1 or, if that was agreed, gRPC.
async fn greeted(
    health: &Health,
    protocol: UpstreamProtocol,
    alpn: &[&[u8]],
    proxy_protocol: Option<ProxyProtocol>,
    expected: &'static [u8],
) -> Found {
    let (client, acceptor) = both_ends(alpn);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut introduction = vec![0; expected.len()];
        socket.read_exact(&mut introduction).await.unwrap();
        assert_eq!(introduction, expected);
        // It fails where the check is to fail.
        let Ok(mut stream) = acceptor.accept(socket).await else { return };
        if stream.get_ref().1.alpn_protocol() == Some(ALPN_H2) {
            let answer = service_fn(|request: Request<Incoming>| {
                assert_eq!(request.uri().scheme(), Some(&Scheme::HTTPS));
                std::future::ready(Ok::<_, Infallible>(Response::new(Answer::new(
                    "0",
                    &[0, 0, 0, 0, 2, 0x08, 1],
                ))))
            });
            let _ = Builder::new(LocalExecutor).serve_connection(TokioIo::new(stream), answer).await;
        } else {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1_024]).await;
        }
    });
    let name = ServerName::try_from("shop.test").unwrap();
    let tls = Some(Greeting::new(&client, name, &health.probe, protocol));
    check(address, health, Preface { proxy_protocol, tls }).await
}

#[test]
fn each_kind_of_check_agrees_to_what_it_speaks() {
    use UpstreamProtocol::{Http1, Http2};
    let (http, grpc, tcp) = (http(200..=399), grpc(""), health(Probe::Tcp));
    let (h1, h2): (&[u8], &[u8]) = (b"http/1.1", b"h2");
    run(async {
        for (health, protocol, alpn, expected) in [
            (&http, Http1, &[h1, h2][..], Found::Passed),
            (&http, Http2, &[h1, h2], Found::Passed),
            (&http, Http1, &[], Found::Passed),
            (&grpc, Http2, &[h1, h2], Found::Passed),
            (&grpc, Http2, &[h1], Found::Failed),
            (&grpc, Http2, &[], Found::Failed),
            (&tcp, Http1, &[h1], Found::Passed),
            (&tcp, Http2, &[h2], Found::Passed),
            (&tcp, Http2, &[], Found::Failed),
        ] {
            let found = greeted(health, protocol, alpn, None, b"").await;
            assert_eq!(found, expected, "{:?} {protocol:?} {alpn:?}", health.probe);
        }
    });
}

#[test]
fn an_introduction_names_nobody_and_comes_first() {
    run(async {
        for (version, bytes) in [
            (ProxyProtocol::V1, &b"PROXY UNKNOWN\r\n"[..]),
            (ProxyProtocol::V2, b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"),
        ] {
            let found =
                greeted(&http(200..=399), UpstreamProtocol::Http1, &[b"http/1.1"], Some(version), bytes)
                    .await;
            assert_eq!(found, Found::Passed, "{version:?}");
        }
    });
}

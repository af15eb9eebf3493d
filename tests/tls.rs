//! TLS: `StreamServer::start_tls` and `http::Server::tls`, with rustls' own client.

mod support;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use support::{must_end, scaled};
use sylvan::http;
use sylvan::http::server::{Body, Request, StatusCode, header, response};
use sylvan::net::{SocketAddr, TcpStream};
use sylvan::server::StreamServer;
use sylvan::thread;

const CERTIFICATE: &[u8] = include_bytes!("support/tls/certificate.pem");
const KEY: &[u8] = include_bytes!("support/tls/key.pem");

type Client = StreamOwned<ClientConnection, TcpStream>;

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(CERTIFICATE).unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn server_config() -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], key)
        .unwrap();
    Arc::new(config)
}

fn connect(address: SocketAddr) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(session, TcpStream::connect(address).unwrap())
}

/// The rest of what the server sends, which must end in order.
fn rest(client: &mut Client) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn a_stream_server_speaks_tls() {
    must_end(|| {
        sylvan::run(|| {
            let serving = StreamServer::bind("127.0.0.1:0")
                .unwrap()
                .start_tls(server_config(), |mut stream, peer| {
                    assert_eq!(stream.get_ref().peer_addr()?, peer);
                    assert_eq!(stream.session().server_name(), Some("localhost"));
                    let mut word = [0; 5];
                    stream.read_exact(&mut word)?;
                    stream.write_all(&word.to_ascii_uppercase())?;
                    stream.close()
                })
                .unwrap();
            // Who does not speak it harms nobody.
            let mut plain = TcpStream::connect(serving.local_addr()).unwrap();
            plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let _ = plain.read_to_end(&mut Vec::new());

            thread::scope(|scope| {
                for _ in 0..scaled(20) {
                    scope.spawn(|| {
                        let mut client = connect(serving.local_addr());
                        client.write_all(b"hello").unwrap();
                        assert_eq!(rest(&mut client), "HELLO");
                    });
                }
            });
            serving.stop();
            let stats = serving.stats();
            assert_eq!((stats.failed, stats.panicked), (1, 0));
        });
    });
}

#[test]
fn an_http_server_speaks_tls() {
    must_end(|| {
        sylvan::run(|| {
            let serving = http::Server::bind("127.0.0.1:0")
                .unwrap()
                .tls(server_config())
                .start(|request: Request| {
                    if request.uri().path() == "/sleep" {
                        thread::sleep(Duration::from_millis(10));
                    }
                    request.into_body().bytes()
                })
                .unwrap();
            thread::scope(|scope| {
                for path in ["/", "/sleep"] {
                    let address = serving.local_addr();
                    scope.spawn(move || {
                        let mut client = connect(address);
                        // More than one record, and than any buffer: both sides must go on meanwhile.
                        let long = "x".repeat(1 << 20);
                        let length = long.len();
                        for _ in 0..3 {
                            let host = "host: localhost\r\ncontent-length:";
                            write!(
                                client,
                                "POST {path} HTTP/1.1\r\n{host} {length}\r\n\r\n{long}"
                            )
                            .unwrap();
                            client.flush().unwrap();
                            let mut head = Vec::new();
                            while !head.ends_with(b"\r\n\r\n") {
                                let mut byte = [0];
                                client.read_exact(&mut byte).unwrap();
                                head.extend(byte);
                            }
                            assert!(head.starts_with(b"HTTP/1.1 200 OK"));
                            let mut body = vec![0; length];
                            client.read_exact(&mut body).unwrap();
                            assert!(body == long.as_bytes());
                        }
                        let close = "host: localhost\r\nconnection: close";
                        write!(client, "GET {path} HTTP/1.1\r\n{close}\r\n\r\n").unwrap();
                        // The end comes with a goodbye.
                        assert!(rest(&mut client).starts_with("HTTP/1.1 200 OK"));
                    });
                }
            });
            // Who does not speak it harms nobody.
            let mut plain = TcpStream::connect(serving.local_addr()).unwrap();
            plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let _ = plain.read_to_end(&mut Vec::new());
            serving.stop();
            assert_eq!(serving.stats().panicked, 0);
        });
    });
}

#[test]
fn an_upgraded_connection_still_speaks_tls() {
    must_end(|| {
        sylvan::run(|| {
            let serving = http::Server::bind("127.0.0.1:0")
                .unwrap()
                .tls(server_config())
                .start(|_: Request| {
                    let echo = Body::upgrade(|mut connection| {
                        assert!(connection.is_tls());
                        let mut word = [0; 5];
                        connection.read_exact(&mut word).unwrap();
                        connection.write_all(&word.to_ascii_uppercase()).unwrap();
                        connection.flush().unwrap();
                    });
                    response()
                        .status(StatusCode::SWITCHING_PROTOCOLS)
                        .header(header::CONNECTION, "upgrade")
                        .header(header::UPGRADE, "shout")
                        .body(echo)
                })
                .unwrap();
            let mut client = connect(serving.local_addr());
            let upgrade = "host: localhost\r\nconnection: upgrade\r\nupgrade: shout";
            write!(client, "GET / HTTP/1.1\r\n{upgrade}\r\n\r\nhello").unwrap();
            let mut answer = Vec::new();
            // It is dropped without a goodbye, which TLS takes for an attack.
            let end: io::Result<usize> = client.read_to_end(&mut answer);
            assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
            assert!(answer.ends_with("\r\n\r\nHELLO"), "{answer}");
            serving.stop();
        });
    });
}

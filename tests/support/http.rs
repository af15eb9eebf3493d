//! A small HTTP/1.1 server on OS threads that does what a test tells it, the improper things too.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code, missing_docs)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

pub const ROOT: &[u8] = include_bytes!("tls/ca.pem");
pub const CLIENT: &[u8] = include_bytes!("tls/client.pem");
pub const CLIENT_KEY: &[u8] = include_bytes!("tls/client.key");

/// What came from a client.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// As the client sent it.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Was the body sent in chunks?
    pub chunked: bool,
    /// The connection's number, from 0.
    pub connection: usize,
    /// The request's number on its connection, from 0.
    pub nth: usize,
}

impl Request {
    /// Empty if there is no such header.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Answers a request; false closes the connection.
pub trait Handler:
    Fn(&Request, &mut dyn Stream) -> io::Result<bool> + Send + Sync + 'static
{
}
impl<F: Fn(&Request, &mut dyn Stream) -> io::Result<bool> + Send + Sync + 'static> Handler for F {}

/// A running server. Its threads end when their clients have gone.
pub struct Server {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    open: Mutex<usize>,
    changed: Condvar,
    requests: Mutex<Vec<Request>>,
    is_over: AtomicUsize,
}

impl Server {
    pub fn start(handler: impl Handler) -> Server {
        Server::with(handler, None)
    }

    /// Over TLS, with the certificate of tests/support/tls; if asked to, for clients with one only.
    pub fn start_tls(wants_certificate: bool, handler: impl Handler) -> Server {
        Server::with(handler, Some(Arc::new(tls(wants_certificate))))
    }

    fn with(handler: impl Handler, tls: Option<Arc<ServerConfig>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = state.clone();
        let handler = Arc::new(handler);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if shared.is_over.load(SeqCst) > 0 {
                    return;
                }
                let number = shared.connections.fetch_add(1, SeqCst);
                *shared.open.lock().unwrap() += 1;
                let (shared, handler, tls) = (shared.clone(), handler.clone(), tls.clone());
                thread::spawn(move || {
                    let serve = || -> io::Result<()> {
                        stream.set_nodelay(true)?;
                        match tls {
                            None => serve(&mut &stream, number, &shared, &*handler),
                            Some(config) => {
                                let tls = ServerConnection::new(config).unwrap();
                                let mut stream = StreamOwned::new(tls, &stream);
                                let result = serve(&mut stream, number, &shared, &*handler);
                                stream.conn.send_close_notify();
                                let _ = stream.flush();
                                result
                            }
                        }
                    };
                    // A client that goes away is nothing to report.
                    let _ = serve();
                    let _ = stream.shutdown(Shutdown::Both);
                    drop(stream);
                    *shared.open.lock().unwrap() -= 1;
                    shared.changed.notify_all();
                });
            }
        });
        Server { address, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// All that came so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    pub fn last(&self) -> Request {
        self.requests().pop().expect("a request came")
    }

    /// Waits until so many connections are open, as far as the server knows.
    pub fn wait_for_open(&self, count: usize) {
        let mut open = self.state.open.lock().unwrap();
        while *open != count {
            open = self.state.changed.wait(open).unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.is_over.store(1, SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: &mut dyn Stream,
    connection: usize,
    state: &State,
    handler: &dyn Handler,
) -> io::Result<()> {
    for nth in 0.. {
        let Some(mut request) = read_request(stream)? else {
            return Ok(());
        };
        (request.connection, request.nth) = (connection, nth);
        state.requests.lock().unwrap().push(request.clone());
        state.changed.notify_all();
        if !handler(&request, stream)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Byte by byte, so that nothing of the next one is taken.
fn read_line(stream: &mut dyn Stream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn read_request(stream: &mut dyn Stream) -> io::Result<Option<Request>> {
    let first = read_line(stream)?;
    if first.is_empty() {
        return Ok(None);
    }
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        ..Request::default()
    };
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        let header = (name.trim().to_owned(), value.trim().to_owned());
        request.headers.push(header);
    }
    // Who is asked first reads the body, or does not.
    if request.header("expect").is_empty() {
        read_body(&mut request, stream)?;
    }
    Ok(Some(request))
}

pub fn read_body(request: &mut Request, stream: &mut dyn Stream) -> io::Result<()> {
    request.chunked = request.header("transfer-encoding") == "chunked";
    if !request.chunked {
        let length = request.header("content-length").parse().unwrap_or(0);
        request.body.resize(length, 0);
        return stream.read_exact(&mut request.body);
    }
    loop {
        let size = usize::from_str_radix(&read_line(stream)?, 16).unwrap_or(0);
        let start = request.body.len();
        request.body.resize(start + size, 0);
        stream.read_exact(&mut request.body[start..])?;
        read_line(stream)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// A whole response; false if the connection is to be closed.
pub fn reply(
    stream: &mut dyn Stream,
    status: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> io::Result<bool> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        write!(bytes, "{name}: {value}\r\n")?;
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)?;
    stream.flush()?;
    let closes = headers.contains(&("Connection", "close"));
    Ok(!closes)
}

pub fn ok(stream: &mut dyn Stream, body: impl AsRef<[u8]>) -> io::Result<bool> {
    reply(stream, "200 OK", &[], body)
}

/// The request itself, in a text: its line, its headers in lower case and in order, its body.
pub fn echo(request: &Request, stream: &mut dyn Stream) -> io::Result<bool> {
    let mut text = format!("{} {}\n", request.method, request.target);
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| format!("{}: {value}\n", name.to_lowercase()))
        .collect();
    headers.sort();
    text.extend(headers);
    text.push('\n');
    text.push_str(&request.text());
    if request.method == "HEAD" {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.write_all(head.as_bytes())?;
        return Ok(true);
    }
    ok(stream, text)
}

pub fn tls(wants_certificate: bool) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("tls/server.pem"));
    let chain: Vec<_> = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if wants_certificate {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ROOT).unwrap())
            .unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    builder.with_single_cert(chain, key).unwrap()
}

/// An address whose host does not answer: its queue is full, so the kernel drops what comes. As long as the value
/// lives.
pub struct Silence {
    pub address: SocketAddr,
    _listener: TcpListener,
    _clients: Vec<TcpStream>,
}

impl Silence {
    pub fn new() -> Silence {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        let brief = std::time::Duration::from_millis(100);
        while let Ok(client) = TcpStream::connect_timeout(&address, brief) {
            clients.push(client);
        }
        Silence {
            address,
            _listener: listener,
            _clients: clients,
        }
    }
}

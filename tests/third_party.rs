//! Other people's blocking crates over our streams: they wait in our `read` and `write`, and others run meanwhile.
//!
//! In all of these both sides are green threads of one hub. A client that blocked it would wait for ever.

mod support {
    pub mod imap;
    #[path = "mod.rs"]
    pub mod usual;
}
#[path = "../examples/support/redis.rs"]
mod redis_connection;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use redis::{Commands, Value};
use redis_connection::Connection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use support::imap;
use support::usual::must_end;
use sylvan::net::{TcpListener, TcpStream};
use sylvan::os::unix::net::UnixStream;
use sylvan::thread;
use tungstenite::Message;

/// A client and a server on one hub, over TCP.
fn both<C, S: Send + 'static>(
    client: impl FnOnce(TcpStream) -> C,
    server: impl FnOnce(TcpStream) -> S + Send + 'static,
) -> (C, S) {
    must_end(|| {
        sylvan::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || server(listener.accept().unwrap().0));
            let client = client(TcpStream::connect(address).unwrap());
            (client, server.join().unwrap())
        })
    })
}

#[test]
fn rustls() {
    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("support/tls/certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("support/tls/key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server_config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client_config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let (answer, question) = both(
        |stream| {
            let name = ServerName::try_from("localhost").unwrap();
            let session = ClientConnection::new(Arc::new(client_config), name).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            stream.write_all(b"a question\n").unwrap();
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).unwrap();
            answer
        },
        |stream| {
            let session = ServerConnection::new(Arc::new(server_config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(session, stream));
            let mut question = String::new();
            stream.read_line(&mut question).unwrap();
            stream.get_mut().write_all(b"an answer\n").unwrap();
            stream.get_mut().flush().unwrap();
            question
        },
    );
    assert_eq!((&*answer, &*question), ("an answer\n", "a question\n"));
}

#[test]
fn tungstenite() {
    let big = "x".repeat(300_000);
    let said = big.clone();
    let (heard, ()) = both(
        |stream| {
            let (mut socket, response) =
                tungstenite::client("ws://localhost/chat", stream).unwrap();
            assert_eq!(response.status(), 101);
            socket.send(Message::text(said)).unwrap();
            let heard = socket.read().unwrap().into_text().unwrap().to_string();
            socket.close(None).unwrap();
            while socket.read().is_ok() {}
            heard
        },
        |stream| {
            let mut socket = tungstenite::accept(stream).unwrap();
            // What is said comes back, until the other has said good-bye.
            while let Ok(message) = socket.read() {
                if message.is_text() {
                    socket.send(message).unwrap();
                }
            }
        },
    );
    assert!(heard == big);
}

/// What little of a Redis server the test needs. Returns how many commands came.
fn serve_redis<S: Read + Write>(stream: S) -> usize {
    let mut stream = BufReader::new(stream);
    let mut parser = redis::Parser::new();
    let mut values = HashMap::<Vec<u8>, i64>::new();
    let mut count = 0;
    // A command is an array of strings, as answers may be.
    while let Ok(command) = parser.parse_value(&mut stream) {
        count += 1;
        let words: Vec<Vec<u8>> = redis::from_redis_value(command).unwrap();
        let answer = match (words[0].as_slice(), &words[1..]) {
            (b"PING", []) => "+PONG\r\n".to_owned(),
            (b"INCRBY", [key, by]) => {
                let value = values.entry(key.clone()).or_default();
                *value += String::from_utf8_lossy(by).parse::<i64>().unwrap();
                format!(":{value}\r\n")
            }
            (b"GET", [key]) => match values.get(key) {
                Some(value) => format!("${}\r\n{value}\r\n", value.to_string().len()),
                None => "$-1\r\n".to_owned(),
            },
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }
    count
}

#[test]
fn redis_over_tcp() {
    let (total, count) = both(
        |stream| {
            let mut connection = Connection::new(stream);
            assert_eq!(
                redis::cmd("PING").query::<String>(&mut connection),
                Ok("PONG".into())
            );
            let total: i64 = connection.incr("n", 40).unwrap();
            assert_eq!(total, 40);
            // Several in one go.
            let both: (i64, i64) = redis::pipe()
                .incr("n", 1)
                .incr("n", 1)
                .query(&mut connection)
                .unwrap();
            assert_eq!(both, (41, 42));
            let unknown = redis::cmd("FLUSHALL").query::<Value>(&mut connection);
            assert!(unknown.unwrap_err().to_string().contains("unknown command"));
            connection.get::<_, i64>("n").unwrap()
        },
        serve_redis,
    );
    assert_eq!((total, count), (42, 6));
}

#[test]
fn redis_of_many_clients() {
    must_end(|| {
        sylvan::run(|| {
            let clients: Vec<_> = (0..100)
                .map(|_| {
                    let (near, far) = UnixStream::pair().unwrap();
                    thread::spawn(move || serve_redis(far));
                    thread::spawn(move || {
                        let mut connection = Connection::new(near);
                        (0..10).fold(0, |_, _| connection.incr("n", 1).unwrap())
                    })
                })
                .collect();
            let sum: i64 = clients
                .into_iter()
                .map(|client| client.join().unwrap())
                .sum();
            assert_eq!(sum, 1000);
        });
    });
}

#[test]
fn a_redis_connection_that_is_left_in_the_midst_is_used_no_more() {
    sylvan::run(|| {
        let (near, _far) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(near);
        let late = sylvan::time::timeout(std::time::Duration::from_millis(5), || {
            connection.get::<_, i64>("n")
        });
        assert!(late.is_err());
        assert!(connection.get::<_, i64>("n").unwrap_err().is_io_error());
    });
}

#[test]
fn imap_over_tcp() {
    let (names, asked) = both(
        |stream| {
            let mut client = ::imap::Client::new(stream);
            client.read_greeting().unwrap();
            let mut session = client
                .login("ann", "secret")
                .map_err(|(error, _)| error)
                .unwrap();
            let names = session.list(None, Some("*")).unwrap();
            let names: Vec<_> = names.iter().map(|name| name.name().to_owned()).collect();
            session.logout().unwrap();
            names
        },
        |stream| imap::serve(stream).unwrap(),
    );
    assert_eq!(names, ["INBOX", "Sent mail"]);
    let commands = [r#"LOGIN "ann" "secret""#, r#"LIST "" *"#, "LOGOUT"];
    assert_eq!(asked, commands);
}

#[test]
fn serde_json() {
    let (answer, ()) = both(
        |mut stream| {
            serde_json::to_writer(&mut stream, &[1, 2, 3]).unwrap();
            let mut values = serde_json::Deserializer::from_reader(stream).into_iter::<i32>();
            values.next().unwrap().unwrap()
        },
        |mut stream| {
            // Answers as soon as the value is whole, without an end of the stream.
            let mut values = serde_json::Deserializer::from_reader(&stream).into_iter::<Vec<i32>>();
            let sum: i32 = values.next().unwrap().unwrap().iter().sum();
            writeln!(stream, "{sum}").unwrap();
        },
    );
    assert_eq!(answer, 6);
}

//! Servers and clients.

use std::io::{Read, Write};
use std::sync::Arc;
use sylvan::http::server::{Body, Request, Response, header};
use sylvan::http::{self, Session};
use sylvan::net::{SocketAddr, TcpListener, TcpStream};
use sylvan::thread;
use sylvan_benches::arguments::Arguments;
use sylvan_benches::fetch::{fetch, serve_hello};
use sylvan_benches::outcome::{Meter, Outcome};
use sylvan_benches::pages::{Order, Pages};
use sylvan_benches::{BUFFER, HELLO_BODY, program};

pub fn echo(arguments: &Arguments) -> Outcome {
    serve(arguments, |mut stream| {
        let mut buffer = [0; BUFFER];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    })
}

pub fn hello(arguments: &Arguments) -> Outcome {
    if arguments.word("server", "hand") == "http" {
        return super::run(arguments, || {
            let server = http::Server::bind(program::listen_address(arguments)).unwrap();
            program::announce(server.local_addr().unwrap());
            server.serve_forever(answer).unwrap();
            unreachable!("its listener does not fail")
        });
    }
    serve(arguments, |mut stream| {
        let _ = serve_hello(&mut stream);
    })
}

fn answer(_: Request) -> Response {
    let mut response = Response::new(Body::from(HELLO_BODY));
    let text = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

fn serve(arguments: &Arguments, handler: fn(TcpStream)) -> Outcome {
    super::run(arguments, || {
        let listener = TcpListener::bind(program::listen_address(arguments)).unwrap();
        program::announce(listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || handler(stream));
        }
    })
}

pub fn crawl(arguments: &Arguments) -> Outcome {
    let order = Order::of(arguments);
    let server = program::server_address(arguments);
    let pages = Arc::new(Pages::of(&order));
    let by_hand = arguments.word("client", "session") == "hand";
    super::run(arguments, || {
        let session = session(&order);
        let meter = Meter::start();
        let tasks: Vec<_> = (0..order.at_once)
            .map(|_| {
                let (pages, session) = (pages.clone(), session.clone());
                thread::spawn(move || {
                    if by_hand {
                        fetch_by_hand(&pages, &order, server);
                    } else {
                        fetch_by_session(&pages, &order, server, &session);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        pages.check(&order);
        meter.stop_rate(order.pages)
    })
}

/// As reqwest's clients are unless told otherwise: no cookies, no limit that is reached here.
fn session(order: &Order) -> Session {
    let at_once = order.at_once as usize;
    let builder = Session::builder().cookies(false);
    let builder = builder.connections(at_once).connections_per_host(at_once);
    builder.build().unwrap()
}

fn fetch_by_session(pages: &Pages, order: &Order, server: SocketAddr, session: &Session) {
    let url = format!("http://{server}/page");
    while pages.take() {
        let mut request = session.get(&url);
        if order.fresh {
            request = request.header("connection", "close");
        }
        let body = request.send().unwrap().bytes().unwrap();
        pages.fetched(body.len());
    }
}

fn fetch_by_hand(pages: &Pages, order: &Order, server: SocketAddr) {
    let mut buffer = Vec::new();
    let mut connection: Option<TcpStream> = None;
    while pages.take() {
        if order.fresh || connection.is_none() {
            let stream = TcpStream::connect(server).unwrap();
            stream.set_nodelay(true).unwrap();
            connection = Some(stream);
        }
        let stream = connection.as_mut().expect("there is one now");
        pages.fetched(fetch(stream, order.fresh, &mut buffer).unwrap());
    }
}

/// Reads of one byte from a socket that has many: no wait, and no system call less or more than that.
pub fn ready_read(arguments: &Arguments) -> Outcome {
    /// What fits into a socket's buffers for certain.
    const BATCH: usize = 16 << 10;
    let batches = arguments.number("count", 1_000_000_u64) / BATCH as u64;
    super::run(arguments, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut from = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut to, _) = listener.accept().unwrap();
        let meter = Meter::start();
        let mut byte = [0];
        for _ in 0..batches {
            from.write_all(&[1; BATCH]).unwrap();
            for _ in 0..BATCH {
                to.read_exact(&mut byte).unwrap();
            }
        }
        meter.stop(batches * BATCH as u64)
    })
}

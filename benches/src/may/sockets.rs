//! Servers and clients.

use may::go;
use may::net::{TcpListener, TcpStream};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use sylvan_benches::arguments::Arguments;
use sylvan_benches::fetch::{fetch, serve_hello};
use sylvan_benches::outcome::{Meter, Outcome};
use sylvan_benches::pages::{Order, Pages};
use sylvan_benches::{BUFFER, program};

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
    serve(arguments, |mut stream| {
        let _ = serve_hello(&mut stream);
    })
}

fn serve(arguments: &Arguments, handler: fn(TcpStream)) -> Outcome {
    let address = program::listen_address(arguments);
    super::run(arguments, move || {
        let listener = TcpListener::bind(address).unwrap();
        program::announce(listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            go!(move || handler(stream));
        }
    })
}

pub fn crawl(arguments: &Arguments) -> Outcome {
    let order = Order::of(arguments);
    let server = program::server_address(arguments);
    let pages = Arc::new(Pages::of(&order));
    super::run(arguments, move || {
        let meter = Meter::start();
        let tasks: Vec<_> = (0..order.at_once)
            .map(|_| {
                let pages = pages.clone();
                go!(move || fetch_by_hand(&pages, &order, server))
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        pages.check(&order);
        meter.stop_rate(order.pages)
    })
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

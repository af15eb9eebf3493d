//! Servers and clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
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
    let listener = TcpListener::bind(program::listen_address(arguments)).unwrap();
    program::announce(listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        thread::spawn(move || handler(stream));
    }
}

pub fn crawl(arguments: &Arguments) -> Outcome {
    let order = Order::of(arguments);
    let server = program::server_address(arguments);
    let pages = Arc::new(Pages::of(&order));
    let by_hand = arguments.word("client", "agent") == "hand";
    let agent = agent(&order);
    let meter = Meter::start();
    let tasks: Vec<_> = (0..order.at_once)
        .map(|_| {
            let (pages, agent) = (pages.clone(), agent.clone());
            thread::spawn(move || {
                if by_hand {
                    fetch_by_hand(&pages, &order, server);
                } else {
                    fetch_by_agent(&pages, &order, server, &agent);
                }
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    pages.check(&order);
    meter.stop_rate(order.pages)
}

fn agent(order: &Order) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .max_idle_connections(order.at_once as usize)
        .max_idle_connections_per_host(order.at_once as usize);
    ureq::Agent::new_with_config(config.build())
}

fn fetch_by_agent(pages: &Pages, order: &Order, server: SocketAddr, agent: &ureq::Agent) {
    let url = format!("http://{server}/page");
    while pages.take() {
        let mut request = agent.get(&url);
        if order.fresh {
            request = request.header("connection", "close");
        }
        let body = request.call().unwrap().body_mut().read_to_vec().unwrap();
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

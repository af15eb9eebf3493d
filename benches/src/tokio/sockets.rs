//! Servers and clients.

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use sylvan_benches::arguments::{Arguments, refuse};
use sylvan_benches::outcome::{Meter, Outcome};
use sylvan_benches::pages::{Order, Pages};
use sylvan_benches::{BUFFER, HELLO_BODY, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub fn echo(arguments: &Arguments) -> Outcome {
    serve(arguments, |mut stream| async move {
        let mut buffer = [0; BUFFER];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    })
}

pub fn hello(arguments: &Arguments) -> Outcome {
    serve(arguments, |stream| async move {
        let server = hyper::server::conn::http1::Builder::new();
        let connection = server.serve_connection(TokioIo::new(stream), service_fn(answer));
        // The client leaves when it wants.
        let _ = connection.await;
    })
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(HELLO_BODY)));
    let text = hyper::header::HeaderValue::from_static("text/plain");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, text);
    Ok(response)
}

fn serve<F>(arguments: &Arguments, handler: fn(TcpStream) -> F) -> Outcome
where
    F: Future<Output = ()> + Send + 'static,
{
    let address = program::listen_address(arguments);
    super::run(arguments, async move {
        let listener = TcpListener::bind(address).await.unwrap();
        program::announce(listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(handler(stream));
        }
    })
}

pub fn crawl(arguments: &Arguments) -> Outcome {
    let order = Order::of(arguments);
    let server = program::server_address(arguments);
    match arguments.word("client", "reqwest") {
        "reqwest" => super::run(arguments, by_reqwest(order, server)),
        "hyper" => super::run(arguments, by_hyper(order, server)),
        _ => refuse("--client is reqwest or hyper"),
    }
}

async fn by_reqwest(order: Order, server: SocketAddr) -> Outcome {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(order.at_once as usize);
    let client = builder.build().unwrap();
    at_once(order, |pages| {
        let client = client.clone();
        async move {
            let url = format!("http://{server}/page");
            while pages.take() {
                let mut request = client.get(&url);
                if order.fresh {
                    request = request.header("connection", "close");
                }
                let body = request.send().await.unwrap().bytes().await.unwrap();
                pages.fetched(body.len());
            }
        }
    })
    .await
}

/// A connection for each task, and no pool.
async fn by_hyper(order: Order, server: SocketAddr) -> Outcome {
    at_once(order, |pages| async move {
        let mut connection = None;
        while pages.take() {
            if order.fresh || connection.is_none() {
                connection = Some(connect(server).await);
            }
            let connection = connection.as_mut().expect("there is one now");
            connection.ready().await.unwrap();
            let mut request = Request::get("/page").header("host", "localhost");
            if order.fresh {
                request = request.header("connection", "close");
            }
            let request = request.body(Empty::new()).unwrap();
            let response = connection.send_request(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            pages.fetched(body.len());
        }
    })
    .await
}

async fn connect(server: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.unwrap();
    tokio::spawn(connection);
    sender
}

async fn at_once<F>(order: Order, fetch_some: impl Fn(Arc<Pages>) -> F) -> Outcome
where
    F: Future<Output = ()> + Send + 'static,
{
    let pages = Arc::new(Pages::of(&order));
    let meter = Meter::start();
    let tasks: Vec<_> = (0..order.at_once)
        .map(|_| tokio::spawn(fetch_some(pages.clone())))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    pages.check(&order);
    meter.stop_rate(order.pages)
}

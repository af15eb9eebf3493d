//! A chat over WebSocket, both sides: what one says all others hear. The protocol is tungstenite's, over sylvan's streams.
//!
//! Run it: `cargo run --release --example websocket_chat --features http serve [ADDRESS]`, then, elsewhere,
//! `websocket_chat join ADDRESS NAME LINE...`, which says its lines and prints all that is said until it has heard
//! `bye`.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use sylvan::http;
use sylvan::http::server::{
    Body, Request, Respond, Response, StatusCode, Upgraded, header, response,
};
use sylvan::net::TcpStream;
use sylvan::sync::mpsc::{self, Receiver, SyncSender};
use sylvan::sync::{Arc, Mutex};
use sylvan::thread;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let ended = sylvan::run(|| match &words[..] {
        ["serve"] => serve("127.0.0.1:8080"),
        ["serve", address] => serve(address),
        ["join", address, name, lines @ ..] => join(address, name, lines),
        _ => Err("usage: websocket_chat serve [ADDRESS] | join ADDRESS NAME LINE...".into()),
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket_chat: {error}");
            ExitCode::FAILURE
        }
    }
}

// ---- the server

/// Who is here, and how to reach them.
#[derive(Default)]
struct Room {
    last: u64,
    members: HashMap<u64, SyncSender<String>>,
}

/// So many lines may wait for a member who is slow to take them.
const PATIENCE: usize = 100;

fn serve(address: &str) -> Result<()> {
    let room = Arc::new(Mutex::new(Room::default()));
    let server = http::Server::bind(address)?;
    println!("listening on {}", server.local_addr()?);
    Ok(server.serve_forever(move |request| enter(&request, &room))?)
}

/// The handshake: the answer to it, and what becomes of the connection.
fn enter(request: &Request, room: &Arc<Mutex<Room>>) -> Response {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return (StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n").respond();
    };
    let accept = derive_accept_key(key.as_bytes());
    let room = room.clone();
    let converse = Body::upgrade(move |connection| {
        if let Err(error) = converse(connection, &room) {
            eprintln!("a member was lost: {error}");
        }
    });
    response()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(converse)
        .respond()
}

/// One member, as long as he stays: this green thread hears what he says, another tells him what the others say.
fn converse(connection: Upgraded, room: &Mutex<Room>) -> Result<()> {
    let output = Output(Arc::new(Mutex::new(connection.get_ref().try_clone()?)));
    let (sender, lines) = mpsc::sync_channel(PATIENCE);
    let number = {
        let mut room = room.lock().unwrap();
        room.last += 1;
        let number = room.last;
        room.members.insert(number, sender);
        number
    };
    let telling = {
        let output = output.clone();
        thread::spawn(move || tell(output, &lines))
    };
    let heard = hear(Halves(connection, output), room);
    // Without its sender the other thread ends.
    room.lock().unwrap().members.remove(&number);
    let _ = telling.join();
    heard
}

fn hear(connection: Halves<Upgraded>, room: &Mutex<Room>) -> Result<()> {
    let mut socket = WebSocket::from_raw_socket(connection, Role::Server, None);
    loop {
        match socket.read() {
            Ok(Message::Text(line)) => {
                let mut room = room.lock().unwrap();
                // Who does not listen is a member no longer.
                let reaches =
                    |member: &SyncSender<String>| member.try_send(line.to_string()).is_ok();
                room.members.retain(|_, member| reaches(member));
            }
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn tell(output: Output, lines: &Receiver<String>) {
    let mut socket = WebSocket::from_raw_socket(Halves(io::empty(), output), Role::Server, None);
    while let Ok(line) = lines.recv() {
        // An error: he has left, and the one who hears him notices.
        if socket.send(Message::text(line)).is_err() {
            return;
        }
    }
}

/// What two green threads write to, each of them whole frames: the one who hears has pings to answer.
#[derive(Clone)]
struct Output(Arc<Mutex<TcpStream>>);

/// One side of a conversation.
struct Halves<R>(R, Output);

impl<R: Read> Read for Halves<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R> Write for Halves<R> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let Output(stream) = &self.1;
        stream.lock().unwrap().write_all(data)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// ---- the client

fn join(address: &str, name: &str, lines: &[&str]) -> Result<()> {
    let stream = TcpStream::connect(address)?;
    let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream)
        .map_err(|error| error.to_string())?;
    for line in lines {
        socket.send(Message::text(format!("{name}: {line}")))?;
    }
    loop {
        if let Message::Text(line) = socket.read()? {
            println!("{line}");
            if line.ends_with(": bye") {
                break;
            }
        }
    }
    socket.close(None)?;
    // The other side closes, too: that is the end in order.
    while socket.read().is_ok() {}
    Ok(())
}

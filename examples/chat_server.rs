//! A chat room, one thread for each connection: what anyone writes, all others read.
//!
//! Run it: `cargo run --example chat_server [ADDRESS]`, then `nc 127.0.0.1 7001` in several terminals.
//! `chat_server_std.rs` is the same program on OS threads; the two differ in their `use` lines only.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};

use sylvan::net::{SocketAddr, TcpListener, TcpStream};
use sylvan::sync::{Arc, Mutex, mpsc};
use sylvan::thread;

/// Everyone in the room, and the way to each.
type Room = Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<Arc<str>>>>>;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:7001"))?;
    println!("chatting on {}", listener.local_addr()?);
    let room = Room::default();
    loop {
        let (stream, guest) = listener.accept()?;
        let room = Arc::clone(&room);
        thread::spawn(move || {
            if let Err(error) = welcome(stream, guest, &room) {
                eprintln!("{guest}: {error}");
            }
            room.lock().unwrap().remove(&guest);
            tell_all(&room, guest, "* has left");
        });
    }
}

/// Serves one guest until it leaves: this thread reads, another one writes.
fn welcome(stream: TcpStream, guest: SocketAddr, room: &Room) -> io::Result<()> {
    let (sender, inbox) = mpsc::channel::<Arc<str>>();
    let mut output = stream.try_clone()?;
    thread::spawn(move || {
        for line in inbox {
            if writeln!(output, "{line}").is_err() {
                // The guest has gone; its reader notices, too.
                return;
            }
        }
    });
    room.lock().unwrap().insert(guest, sender);
    tell_all(room, guest, "* has come");
    for line in BufReader::new(stream).lines() {
        tell_all(room, guest, &line?);
    }
    Ok(())
}

/// Sends a line to everyone but its author.
fn tell_all(room: &Room, author: SocketAddr, words: &str) {
    let line: Arc<str> = format!("{author}: {words}").into();
    let room = room.lock().unwrap();
    for (_, sender) in room.iter().filter(|(guest, _)| **guest != author) {
        // A guest that is just leaving does not read it, and need not.
        let _ = sender.send(Arc::clone(&line));
    }
}

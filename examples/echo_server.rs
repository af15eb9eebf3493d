//! An echo server: a green thread for each connection, written as one would with std.
//!
//! Run it: `cargo run --release --example echo_server [ADDRESS]`, then `nc 127.0.0.1 7000`.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use sylvan::net::{TcpListener, TcpStream};
use sylvan::thread;

fn main() -> ExitCode {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:7000");
    match sylvan::run(|| serve(address)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("echoing on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                thread::spawn(move || {
                    if let Err(error) = echo(stream) {
                        eprintln!("a connection failed: {error}");
                    }
                });
            }
            // Too many open files, for example: those who are connected go on, and will free some.
            Err(error) => {
                eprintln!("cannot accept: {error}");
                thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

//! A line goes out, and a line comes back, through TLS: rustls over a connection of sylvan's.
//!
//! Run it: `cargo run --example tls_client HOST:PORT ROOTS.pem`, and type. On Debian the usual roots are in
//! `/etc/ssl/certs/ca-certificates.crt`.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

#[path = "support/tls.rs"]
mod tls;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, roots] = &arguments[..] else {
        eprintln!("usage: tls_client HOST:PORT ROOTS.pem");
        return ExitCode::FAILURE;
    };
    match sylvan::run(|| converse(address, Path::new(roots))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tls_client: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn converse(address: &str, roots: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut stream = BufReader::new(tls::connect(address, roots)?);
    for line in sylvan::io::stdin().lines() {
        writeln!(stream.get_mut(), "{}", line?)?;
        stream.get_mut().flush()?;
        let mut answer = String::new();
        if stream.read_line(&mut answer)? == 0 {
            return Err("the server has said good-bye".into());
        }
        sylvan::print!("{answer}");
    }
    stream.get_mut().conn.send_close_notify();
    stream.get_mut().flush()?;
    Ok(())
}

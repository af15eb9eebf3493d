//! The folders of a mailbox: the `imap` crate over TLS by rustls, and that over a connection of sylvan's.
//!
//! Run it: `IMAP_PASSWORD=... cargo run --example imap_folders HOST:993 USER ROOTS.pem`. On Debian the usual roots are in
//! `/etc/ssl/certs/ca-certificates.crt`.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

#[path = "support/tls.rs"]
mod tls;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let password = std::env::var("IMAP_PASSWORD");
    let ([address, user, roots], Ok(password)) = (&arguments[..], password) else {
        eprintln!("usage: IMAP_PASSWORD=... imap_folders HOST:PORT USER ROOTS.pem");
        return ExitCode::FAILURE;
    };
    match sylvan::run(|| folders(address, user, &password, Path::new(roots))) {
        Ok(names) => {
            names.iter().for_each(|name| println!("{name}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("imap_folders: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn folders(
    address: &str,
    user: &str,
    password: &str,
    roots: &Path,
) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
    let mut client = imap::Client::new(tls::connect(address, roots)?);
    client.read_greeting()?;
    let mut session = client.login(user, password).map_err(|(error, _)| error)?;
    let names = session.list(None, Some("*"))?;
    let names = names.iter().map(|name| name.name().to_owned()).collect();
    session.logout()?;
    Ok(names)
}

//! The client's side of TLS, by rustls, over a connection of ours.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sylvan::net::TcpStream;

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects to `HOST:PORT`, whose certificate one of these roots has signed.
pub fn connect(address: &str, roots: &Path) -> Result<TlsStream, Box<dyn Error + Send + Sync>> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(roots)? {
        store.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    let (host, _port) = address.rsplit_once(':').ok_or("an address is HOST:PORT")?;
    let name = ServerName::try_from(host.to_owned())?;
    let session = ClientConnection::new(Arc::new(config), name)?;
    let mut stream = StreamOwned::new(session, TcpStream::connect(address)?);
    // Here, and not with the first byte: so that what is wrong with a certificate is told at once.
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

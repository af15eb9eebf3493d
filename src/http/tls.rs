//! Whom a session trusts, and what it shows of itself.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::Error;

/// What was asked of the builder.
#[derive(Default)]
pub(super) struct TlsOptions {
    /// Made elsewhere; the rest does not count then.
    pub(super) config: Option<Arc<ClientConfig>>,
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) only_those_roots: bool,
    /// A chain of certificates, and the key of the first.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

pub(super) fn config(options: TlsOptions) -> Result<Arc<ClientConfig>, Error> {
    if let Some(config) = options.config {
        return Ok(config);
    }
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(ring::default_provider()));
    let roots = Arc::new(roots(&options)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| Error::Tls(io::Error::other(error)))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .with_webpki_verifier(verifier);
    let mut config = match options.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = certificates(&chain)?;
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(pem_error)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(tls_error)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(options: &TlsOptions) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if !options.only_those_roots {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for pem in &options.roots {
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(tls_error)?;
        }
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(pem_error)?;
    if certificates.is_empty() {
        return Err(Error::Tls(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is no certificate in the PEM",
        )));
    }
    Ok(certificates)
}

fn pem_error(error: rustls::pki_types::pem::Error) -> Error {
    Error::Tls(io::Error::new(io::ErrorKind::InvalidInput, error))
}

pub(super) fn tls_error(error: rustls::Error) -> Error {
    Error::Tls(io::Error::other(error))
}

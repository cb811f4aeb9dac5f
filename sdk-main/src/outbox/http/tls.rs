//! Encryption: whom to trust, found out when it is first needed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;

use super::HttpError;

/// What the application trusts besides what the computer trusts.
#[derive(Clone, Default)]
pub(super) struct Trust {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// A file of more of them. It is read when it is needed.
    pub(super) file: Option<PathBuf>,
    /// Whether to trust everybody.
    pub(super) everybody: bool,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("authorities", &self.authorities.len())
            .field("file", &self.file)
            .field("everybody", &self.everybody)
            .finish()
    }
}

/// The certificates of a PEM file; at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(HttpError::Authorities),
    }
}

/// The one configuration for all connections, and so also one memory of sessions to resume.
#[derive(Debug)]
pub(super) struct Tls {
    trust: Trust,
    config: Option<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust, config: None }
    }

    /// What makes connections secure. The first call reads the computer's authorities, which takes
    /// milliseconds; an error is tried again at the next call.
    pub(super) fn connector(&mut self) -> Result<TlsConnector, String> {
        let config = match &self.config {
            Some(config) => config.clone(),
            None => self.config.insert(Arc::new(build(&self.trust)?)).clone(),
        };
        Ok(config.into())
    }
}

fn build(trust: &Trust) -> Result<ClientConfig, String> {
    // Named here, since the process-wide default is the application's to choose.
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if trust.everybody {
        Arc::new(Everybody(provider.clone()))
    } else {
        let mut authorities = trust.authorities.clone();
        if let Some(file) = &trust.file {
            let pem = std::fs::read(file)
                .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
            let more = certificates(&pem)
                .map_err(|_| format!("{} holds no certificates in PEM", file.display()))?;
            authorities.extend(more);
        }
        let verifier = Verifier::new_with_extra_roots(authorities, provider.clone());
        Arc::new(verifier.map_err(|error| {
            format!("this computer's certificate authorities cannot be used: {error}")
        })?)
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Trusts every certificate, because the application asked for it.
#[derive(Debug)]
struct Everybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Everybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

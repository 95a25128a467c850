//! Whom the agent takes for its hub, and how it shows who it is: authorities, a pinned certificate, a certificate of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::probes::tls::{Trust, TrustError};

/// Settings of the connection to the hub.
#[derive(Clone, Debug, Default)]
pub struct HubTls {
    /// Authorities (PEM) to trust instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// The one certificate that the hub may show. Without `ca_file` it needs no authority.
    pub pin: Option<Pin>,
    pub identity: Option<Identity>,
}

/// The agent's own certificate.
#[derive(Clone, Debug)]
pub struct Identity {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// TLS to the hub cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum HubTlsError {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("cannot read the certificate `{path}`: {cause}")]
    Certificate { path: PathBuf, cause: String },
    #[error("cannot read the private key `{path}`: {cause}")]
    Key { path: PathBuf, cause: String },
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
    #[error(
        "`{0}` is no SHA-256 of a certificate: 64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` prints"
    )]
    Pin(String),
}

/// SHA-256 of a certificate in DER.
#[derive(Copy, Clone, Eq, PartialEq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// # Errors
    /// It is not 64 hexadecimal digits, with colons or without.
    pub fn parse(text: &str) -> Result<Pin, HubTlsError> {
        let wrong = || HubTlsError::Pin(text.to_owned());
        let digits: Option<Vec<u8>> = text
            .trim()
            .trim_start_matches("sha256:")
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.ok_or_else(wrong)?;
        let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
        match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) if digits.len() == 64 => Ok(Pin(bytes)),
            Ok(_) | Err(_) => Err(wrong()),
        }
    }

    fn of(certificate: &[u8]) -> Pin {
        Pin(Sha256::digest(certificate).into())
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            write!(text, "{byte:02x}")?;
        }
        f.write_str(&text)
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pin({self})")
    }
}

impl HubTls {
    /// What a hub without TLS needs: a machine without authorities must not stop its agent for that. It trusts nobody.
    ///
    /// # Errors
    /// The library has no protocol version.
    pub fn unused() -> Result<ClientConfig, HubTlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(HubTlsError::Setup)?;
        Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
    }

    /// # Errors
    /// A file cannot be read, or the certificate and key do not fit each other.
    pub fn client(&self) -> Result<ClientConfig, HubTlsError> {
        let trust = match (&self.ca_file, &self.pin) {
            (Some(file), _) => Trust::file(file)?,
            (None, Some(_)) => Trust::everything(),
            (None, None) => Trust::system()?,
        };
        let verifier = PinnedVerifier { inner: trust.verifier(), pin: self.pin };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(HubTlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some(own) => {
                let (chain, key) = own.read()?;
                builder.with_client_auth_cert(chain, key).map_err(HubTlsError::Setup)
            }
        }
    }
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), HubTlsError> {
        let bad = |cause: String| HubTlsError::Certificate { path: self.cert_file.clone(), cause };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&self.cert_file).and_then(Iterator::collect);
        let chain = chain.map_err(|error| bad(error.to_string()))?;
        if chain.is_empty() {
            return Err(bad("no certificate in it".to_owned()));
        }
        let key = read_key(&self.key_file)?;
        Ok((chain, key))
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, HubTlsError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| HubTlsError::Key { path: path.to_owned(), cause: error.to_string() })
}

/// Whatever else must hold, the certificate is the pinned one.
#[derive(Debug)]
struct PinnedVerifier {
    inner: Arc<dyn ServerCertVerifier>,
    pin: Option<Pin>,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pin.is_some_and(|pin| pin != Pin::of(end_entity)) {
            tracing::debug!(shown = %Pin::of(end_entity), "the hub shows another certificate than the pinned one");
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_openssl_prints_it_and_nothing_else() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        for text in [plain.clone(), colons, format!("sha256:{plain}\n")] {
            assert_eq!(Pin::parse(&text).expect("a pin").to_string(), plain, "{text}");
        }
        for text in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65), &"a".repeat(66)] {
            assert!(Pin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn missing_files_are_named() {
        let missing = |tls: HubTls| tls.client().expect_err("refused").to_string();
        let none = PathBuf::from("/nonexistent/file.pem");
        let ca = HubTls { ca_file: Some(none.clone()), ..HubTls::default() };
        assert!(missing(ca).contains("/nonexistent/file.pem"));
        let identity = Some(Identity { cert_file: none.clone(), key_file: none });
        let own = HubTls { pin: Some(Pin([0; 32])), identity, ..HubTls::default() };
        assert!(missing(own).contains("certificate `/nonexistent/file.pem`"));
    }
}

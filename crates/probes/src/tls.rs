//! TLS for probes: whatever the verdict on the peer's certificate, the certificate itself is kept to be looked at.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use stentor_core::Timestamp;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// How peers' certificates are judged.
#[derive(Clone, Debug)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    /// `None` = everything is accepted.
    roots: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that were named one by one: each is trusted as that of a peer, too.
    named: Arc<Vec<CertificateDer<'static>>>,
    /// SHA-256 of the only certificate that is believed, whatever it says of itself.
    pin: Option<[u8; 32]>,
    /// What we show to peers that ask who we are.
    identity: Option<Arc<Identity>>,
}

/// A client certificate with its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity([redacted])")
    }
}

/// Trust cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot read certificates from `{path}`: {cause}")]
    File { path: String, cause: String },
    #[error("`{0}` is not the SHA-256 fingerprint of a certificate: 64 hexadecimal digits")]
    Fingerprint(String),
    #[error("no trusted root certificates: {0}")]
    NoRoots(String),
}

impl Trust {
    /// Accepts every certificate.
    pub fn everything() -> Trust {
        Trust {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            roots: None,
            named: Arc::default(),
            pin: None,
            identity: None,
        }
    }

    /// The one certificate with this fingerprint (SHA-256 in hexadecimal, colons allowed): controllers sign their own, for
    /// names that nobody calls them by.
    ///
    /// # Errors
    /// It is no such fingerprint.
    pub fn pinned(fingerprint: &str) -> Result<Trust, TrustError> {
        let text = fingerprint.trim();
        let text = text.strip_prefix("sha256:").unwrap_or(text);
        let digits: Option<Vec<u32>> = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect();
        let bytes = digits.map(|digits| {
            digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, d| sum * 16 + d) as u8).collect::<Vec<u8>>()
        });
        let is_even = text.chars().filter(|c| *c != ':').count() == 64;
        let pin = bytes.filter(|_| is_even).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let pin = pin.ok_or_else(|| TrustError::Fingerprint(fingerprint.to_owned()))?;
        Ok(Trust { pin: Some(pin), ..Trust::everything() })
    }

    /// The same, showing a client certificate (PEM files) to peers that want one.
    ///
    /// # Errors
    /// A file cannot be read, holds no certificate or no key.
    pub fn with_identity(self, cert_file: &Path, key_file: &Path) -> Result<Trust, TrustError> {
        let bad = |path: &Path, cause: String| TrustError::File { path: path.display().to_string(), cause };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert_file).and_then(Iterator::collect);
        let chain = chain.map_err(|e| bad(cert_file, e.to_string()))?;
        if chain.is_empty() {
            return Err(bad(cert_file, "no certificate in it".into()));
        }
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|e| bad(key_file, e.to_string()))?;
        Ok(Trust { identity: Some(Arc::new(Identity { chain, key })), ..self })
    }

    /// The machine's root certificates; read once in the life of the process.
    ///
    /// # Errors
    /// The machine has none.
    pub fn system() -> Result<Trust, TrustError> {
        static ROOTS: OnceLock<(Arc<RootCertStore>, String)> = OnceLock::new();
        let (roots, errors) = ROOTS.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found.certs);
            let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            (Arc::new(roots), errors.join("; "))
        });
        if roots.is_empty() {
            return Err(TrustError::NoRoots(format!("this machine has none ({errors}); set ca_file or insecure")));
        }
        Trust::roots(Arc::clone(roots))
    }

    /// The certificates of one PEM file.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn file(path: &Path) -> Result<Trust, TrustError> {
        let bad = |cause: String| TrustError::File { path: path.display().to_string(), cause };
        let mut roots = RootCertStore::empty();
        let mut named = Vec::new();
        for cert in CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))? {
            let cert = cert.map_err(|e| bad(e.to_string()))?;
            roots.add(cert.clone()).map_err(|e| bad(e.to_string()))?;
            named.push(cert);
        }
        if roots.is_empty() {
            return Err(bad("no certificate in it".into()));
        }
        Ok(Trust { named: Arc::new(named), ..Trust::roots(Arc::new(roots))? })
    }

    fn roots(roots: Arc<RootCertStore>) -> Result<Trust, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|e| TrustError::NoRoots(e.to_string()))?;
        Ok(Trust { provider, roots: Some(verifier), named: Arc::default(), pin: None, identity: None })
    }

    /// A verifier that judges like this.
    pub fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::new(Keeper { trust: self.clone(), leaf: OnceLock::new() })
    }

    /// A client for one connection, and where it leaves the peer's certificate.
    ///
    /// # Errors
    /// The cipher suites and protocol versions of this build do not fit each other.
    pub fn client(&self) -> Result<(Arc<ClientConfig>, Arc<Keeper>), rustls::Error> {
        let keeper = Arc::new(Keeper { trust: self.clone(), leaf: OnceLock::new() });
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&keeper) as Arc<dyn ServerCertVerifier>);
        let config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(own) => config.with_client_auth_cert(own.chain.clone(), own.key.clone_key())?,
        };
        Ok((Arc::new(config), keeper))
    }
}

/// Verifies like its [`Trust`] and keeps the leaf certificate.
#[derive(Debug)]
pub struct Keeper {
    trust: Trust,
    leaf: OnceLock<CertificateDer<'static>>,
}

impl Keeper {
    /// When the peer's certificate ends; `None` if none was sent or it cannot be read.
    pub fn not_after(&self) -> Option<Timestamp> {
        not_after(self.leaf.get()?)
    }

    /// SHA-256 of the peer's certificate in hexadecimal; `None` if none was sent.
    pub fn fingerprint(&self) -> Option<String> {
        self.leaf.get().map(|leaf| fingerprint(leaf))
    }
}

/// SHA-256 in hexadecimal.
fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `notAfter` of a certificate in DER.
pub fn not_after(der: &[u8]) -> Option<Timestamp> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let since_1970 = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Some(Timestamp::from_secs(i64::try_from(since_1970.as_secs()).ok()?))
}

/// Who a certificate in DER says that it belongs to: its DNS names, then its common name; empty if it cannot be read.
pub fn names(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = x509_cert::Certificate::from_der(der) else { return Vec::new() };
    let subject = certificate.tbs_certificate();
    let mut names = Vec::new();
    if let Ok(Some((_, alternatives))) = subject.get_extension::<SubjectAltName>() {
        names.extend(alternatives.0.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
            _ => None,
        }));
    }
    if let Ok(Some(name)) = subject.subject().common_name() {
        names.push(name.value().into_owned());
    }
    names.retain(|name| !name.is_empty());
    names
}

impl Keeper {
    /// A self-signed certificate as `openssl req -x509` makes it says that it is an authority, which WebPKI takes from no
    /// server. One that was named itself needs no authority: who shows it has its key.
    fn named_or(
        &self,
        error: rustls::Error,
        shown: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // `CaUsedAsEndEntity` of WebPKI, for which rustls has no word; a wrong name or time has one.
        let is_authority = matches!(error, rustls::Error::InvalidCertificate(rustls::CertificateError::Other(_)));
        let now = i64::try_from(now.as_secs()).map(Timestamp::from_secs);
        let is_valid = now.is_ok_and(|now| not_after(shown).is_some_and(|end| now <= end));
        if is_authority && is_valid && self.trust.named.iter().any(|named| named == shown) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(error)
    }
}

impl ServerCertVerifier for Keeper {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let _ = self.leaf.set(end_entity.clone().into_owned());
        if let Some(pin) = self.trust.pin {
            let shown: [u8; 32] = Sha256::digest(end_entity).into();
            let refusal = || {
                rustls::Error::General(format!("the certificate's fingerprint is sha256:{}", fingerprint(end_entity)))
            };
            return if shown == pin { Ok(ServerCertVerified::assertion()) } else { Err(refusal()) };
        }
        match &self.trust.roots {
            None => Ok(ServerCertVerified::assertion()),
            Some(roots) => {
                let judged = roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
                judged.or_else(|error| self.named_or(error, end_entity, now))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.trust.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.trust.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_whom_it_belongs_to() {
        let mut params = rcgen::CertificateParams::new(vec!["nc1.example".into(), "nc1".into()]).expect("parameters");
        params.distinguished_name.push(rcgen::DnType::CommonName, "node one");
        let key = rcgen::KeyPair::generate().expect("key");
        let cert = params.self_signed(&key).expect("certificate");
        let found = names(cert.der());
        assert_eq!(found.get(..2).unwrap_or_default(), ["nc1.example", "nc1"]);
        assert_eq!(found.last().map(String::as_str), Some("node one"));
        for cut in 0..cert.der().len() {
            assert!(names(cert.der().get(..cut).unwrap_or_default()).is_empty(), "truncated at {cut}");
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_read_and_garbage_is_not() {
        let mut params = rcgen::CertificateParams::new(vec!["x.example".into()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(2027, 1, 2);
        let key = rcgen::KeyPair::generate().expect("key");
        let cert = params.self_signed(&key).expect("certificate");
        assert_eq!(not_after(cert.der()).map(Timestamp::to_rfc3339).as_deref(), Some("2027-01-02T00:00:00.000Z"));
        for cut in 0..cert.der().len() {
            assert_eq!(not_after(cert.der().get(..cut).unwrap_or_default()), None, "truncated at {cut}");
        }
    }
}

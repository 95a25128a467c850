//! `tls`: the whole chain of certificates that a server shows: who signed what how, until when, for which names, and who trusts it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde::Deserialize;
use stentor_core::Timestamp;
use stentor_core::model::{Observation, Value};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::look::ahead_of;
use super::reach::{closed, millis, reach};
use super::talk::{days_left, shown, trust};
use super::tls::{Keeper, Trust};
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct TlsChain {
    env: ProbeEnv,
    config: Config,
    trust: Trust,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default = "https")]
    pub port: u16,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    /// PEM file to trust instead of the machine's root certificates.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Protocol that is offered (ALPN): `h2`, `imap`.
    #[serde(default)]
    pub alpn: Vec<String>,
}

fn https() -> u16 {
    443
}

/// Certificates of a chain that are read; real ones have up to five.
const CHAIN_MAX: usize = 16;
/// Names of the server's certificate that are told; some have hundreds.
const NAMES_MAX: usize = 50;

/// Signatures by their object identifiers: name, and whether they can be forged or soon will be (RFC 9155).
const SIGNATURES: [(&str, &str, bool); 14] = [
    ("1.2.840.113549.1.1.2", "RSA with MD2", true),
    ("1.2.840.113549.1.1.4", "RSA with MD5", true),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1", true),
    ("1.2.840.10040.4.3", "DSA with SHA-1", true),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1", true),
    ("1.2.840.113549.1.1.10", "RSA-PSS", false),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256", false),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384", false),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512", false),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256", false),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384", false),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512", false),
    ("1.3.101.112", "Ed25519", false),
    ("1.3.101.113", "Ed448", false),
];

/// Lets every certificate pass, and keeps what was shown and what its [`Trust`] would have said.
#[derive(Debug)]
struct Witness {
    judge: Arc<Keeper>,
    seen: OnceLock<Shown>,
}

#[derive(Debug)]
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    has_staple: bool,
    verdict: Result<(), rustls::Error>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let all = std::iter::once(end_entity).chain(intermediates).take(CHAIN_MAX);
        let chain = all.map(|cert| cert.clone().into_owned()).collect();
        let _ = self.seen.set(Shown { chain, has_staple: !ocsp_response.is_empty(), verdict: verdict.map(|_| ()) });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

impl Probe for TlsChain {
    const KIND: &'static str = "tls";
    const DOC: &'static str = include_str!("../../../docs/probes/tls.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.port == 0 {
            return Err(BuildError { message: "probe `tls`: there is no port 0".into() });
        }
        if config.alpn.iter().any(|name| name.is_empty() || name.len() > 255) {
            return Err(BuildError { message: "probe `tls`: a protocol has 1 to 255 letters".into() });
        }
        let trust = trust(Self::KIND, false, config.ca_file.as_deref())?;
        Ok(TlsChain { env: env.clone(), config, trust })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let mut attempt = reach(&self.env.net, target, self.config.port, deadline).await?;
        let Some(stream) = attempt.stream.take() else { return Ok(closed(&attempt)) };
        let name = self.config.host.as_deref().unwrap_or(&target.address);
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| ProbeError::Failed(format!("`{name}` cannot be the name in a certificate")))?;
        let (config, witness) = self.client().map_err(|e| ProbeError::Failed(format!("TLS cannot be set up: {e}")))?;
        let begun = Instant::now();
        let shaken = timeout_at(deadline, TlsConnector::from(Arc::new(config)).connect(server, stream)).await;
        let took = begun.elapsed();
        let mut seen = Observation::observed(attempt.addr.to_string()).fact("port", "open");
        seen = seen.fact("connect_ms", millis(attempt.connect)).measure("connect", attempt.connect.as_secs_f64(), "s");
        let problem = match shaken {
            Err(_) => Some(("timeout", "no TLS handshake in time".to_owned())),
            Ok(Err(error)) => Some(of_handshake(&error)),
            Ok(Ok(stream)) => {
                let (_, session) = stream.get_ref();
                let version = session.protocol_version().and_then(|version| version.as_str().map(plain_version));
                let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
                let alpn = session.alpn_protocol().map(|name| shown(&String::from_utf8_lossy(name)));
                for (fact, word) in [("tls_version", version), ("cipher", suite.map(str::to_owned)), ("alpn", alpn)] {
                    if let Some(word) = word {
                        seen = seen.fact(fact, word);
                    }
                }
                None
            }
        };
        seen = seen.fact("handshake_ms", millis(took)).measure("tls", took.as_secs_f64(), "s");
        if let Some(shown) = witness.seen.get() {
            seen = observe(seen, shown, self.env.clock.now());
        }
        Ok(match problem {
            None => seen.fact("tls", "ok"),
            Some((word, why)) => {
                let text = format!("{}: no TLS: {}", seen.text, shown(&why));
                Observation { text: text.into(), ..seen }.fact("tls", word)
            }
        })
    }
}

/// `TLSv1_3` as people write it.
fn plain_version(name: &str) -> String {
    name.replace("TLSv", "TLS ").replace('_', ".")
}

fn of_handshake(error: &std::io::Error) -> (&'static str, String) {
    use rustls::AlertDescription::{HandshakeFailure, ProtocolVersion};
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let word = match cause {
        Some(rustls::Error::AlertReceived(ProtocolVersion)) => "old_protocol",
        Some(rustls::Error::PeerIncompatible(_)) => "old_protocol",
        Some(rustls::Error::AlertReceived(HandshakeFailure)) => "no_common_cipher",
        Some(_) => "invalid",
        None => "closed",
    };
    (word, error.to_string())
}

impl TlsChain {
    fn client(&self) -> Result<(ClientConfig, Arc<Witness>), rustls::Error> {
        let (_, judge) = self.trust.client()?;
        let witness = Arc::new(Witness { judge, seen: OnceLock::new() });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        config.alpn_protocols = self.config.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        Ok((config, witness))
    }
}

/// One certificate as facts tell it.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    subject: String,
    issuer: String,
    not_before: Timestamp,
    not_after: Timestamp,
    signature: &'static str,
    is_weak: bool,
    names: Vec<String>,
}

fn read(der: &[u8]) -> Option<Read> {
    let certificate = Certificate::from_der(der).ok()?;
    let body = certificate.tbs_certificate();
    let at = |time: x509_cert::time::Time| {
        Some(Timestamp::from_secs(i64::try_from(time.to_unix_duration().as_secs()).ok()?))
    };
    let oid = certificate.signature_algorithm().oid.to_string();
    let (signature, is_weak) = SIGNATURES
        .into_iter()
        .find(|(own, ..)| *own == oid)
        .map_or(("another signature", false), |(_, name, is_weak)| (name, is_weak));
    let alternative = body.get_extension::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0);
    let names = alternative.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(shown(name.as_str())),
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()),
        _ => None,
    });
    Some(Read {
        subject: shown(&body.subject().to_string()),
        issuer: shown(&body.issuer().to_string()),
        not_before: at(body.validity().not_before)?,
        not_after: at(body.validity().not_after)?,
        signature,
        is_weak,
        names: names.take(NAMES_MAX).collect(),
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    four.ok().or_else(|| Some(std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()))
}

fn observe(seen: Observation, witnessed: &Shown, now: Timestamp) -> Observation {
    let read: Vec<Option<Read>> = witnessed.chain.iter().map(|der| read(der)).collect();
    let unreadable = read.iter().filter(|read| read.is_none()).count();
    let chain: Vec<&Read> = read.iter().flatten().collect();
    let mut parts = vec![seen.text.to_string()];
    let mut seen = seen.fact("chain", chain.len()).fact("unreadable", unreadable);
    seen = seen.fact("ocsp_stapled", witnessed.has_staple);
    if let Some(leaf) = read.first().and_then(Option::as_ref) {
        let days = days_left(leaf.not_after, now);
        seen = seen.fact("subject", leaf.subject.as_str()).fact("issuer", leaf.issuer.as_str());
        seen = seen.fact("names", leaf.names.clone()).fact("self_signed", leaf.subject == leaf.issuer);
        seen = seen.fact("tls_days_left", days).fact("tls_not_after", leaf.not_after.to_rfc3339());
        seen = seen.measure("tls_days_left", days as f64, "");
        parts.push(format!("{} by {}, {days} days left", leaf.subject, leaf.issuer));
    }
    let first_end = chain.iter().min_by_key(|read| read.not_after);
    if let Some(first) = first_end {
        let days = days_left(first.not_after, now);
        seen = seen.fact("chain_days_left", days).fact("chain_first", first.subject.as_str());
        seen = seen.measure("chain_days_left", days as f64, "");
    }
    let early = chain.iter().filter(|read| read.not_before > now);
    seen = seen.fact("not_yet_valid", early.map(|read| read.subject.clone()).collect::<Vec<_>>());
    // The signature of a root is never looked at: who trusts it has it.
    let weak = chain.iter().filter(|read| read.is_weak && read.subject != read.issuer);
    let weak: Vec<String> = weak.map(|read| format!("{}: {}", read.subject, read.signature)).collect();
    if !weak.is_empty() {
        parts.push(format!("weak: {}", weak.join(", ")));
    }
    seen = seen.fact("weak", weak).fact("trusted", witnessed.verdict.is_ok());
    if let Err(error) = &witnessed.verdict {
        let (word, why) = distrust(error);
        parts.push(format!("not trusted: {}", shown(&why)));
        seen = seen.fact("distrust", word).fact("trust_error", shown(&why));
    }
    let long: Vec<String> = chain
        .iter()
        .enumerate()
        .map(|(at, read)| {
            let days = days_left(read.not_after, now);
            format!("{at}: {}, by {}, {}, {days} days left", read.subject, read.issuer, read.signature)
        })
        .collect();
    let facts: Vec<Value> = long.iter().map(|line| Value::from(line.as_str())).collect();
    Observation { text: parts.join("; ").into(), ..seen }.fact("certificates", Value::List(facts)).long(long.join("\n"))
}

fn distrust(error: &rustls::Error) -> (&'static str, String) {
    use rustls::CertificateError as E;
    let word = match error {
        rustls::Error::InvalidCertificate(why) => match why {
            E::Expired | E::ExpiredContext { .. } => "expired",
            E::NotValidYet | E::NotValidYetContext { .. } => "not_yet_valid",
            E::NotValidForName | E::NotValidForNameContext { .. } => "name",
            E::UnknownIssuer => "unknown_issuer",
            E::Revoked => "revoked",
            E::BadSignature | E::UnsupportedSignatureAlgorithmContext { .. } => "signature",
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => "purpose",
            _ => "invalid",
        },
        _ => "invalid",
    };
    let why = match word {
        // The library tells the bytes of identifiers.
        "signature" => "a signature is wrong, or made in a way that nobody takes any more".to_owned(),
        _ => error.to_string(),
    };
    (word, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW_S, number, text};

    /// A root, an authority below it and a server, whose end is that of the table.
    fn chain(ends: [(i32, u8); 2]) -> (rcgen::CertificateParams, Vec<CertificateDer<'static>>) {
        let params = |name: &str, names: Vec<String>| {
            let mut params = rcgen::CertificateParams::new(names).expect("names");
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            params
        };
        let keys: Vec<rcgen::KeyPair> = (0..3).map(|_| rcgen::KeyPair::generate().expect("key")).collect();
        let mut root = params("root", vec![]);
        root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let mut middle = params("middle", vec![]);
        middle.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let mut leaf = params("leaf", vec!["www.example.org".into(), "192.0.2.7".into()]);
        for (params, (year, month)) in [(&mut middle, ends[0]), (&mut leaf, ends[1])] {
            params.not_after = rcgen::date_time_ymd(year, month, 1);
        }
        let by_root = rcgen::Issuer::from_params(&root, &keys[0]);
        let middle_cert = middle.signed_by(&keys[1], &by_root).expect("signed");
        let by_middle = rcgen::Issuer::from_params(&middle, &keys[1]);
        let leaf_cert = leaf.signed_by(&keys[2], &by_middle).expect("signed");
        (root, vec![leaf_cert.der().clone(), middle_cert.der().clone()])
    }

    #[test]
    fn the_first_end_of_a_chain_need_not_be_the_server_s() {
        let (_, chain) = chain([(2026, 12), (2027, 12)]);
        let shown = Shown { chain, has_staple: false, verdict: Ok(()) };
        let seen = observe(Observation::observed("x"), &shown, Timestamp::from_secs(NOW_S));
        assert_eq!((number(&seen, "tls_days_left"), number(&seen, "chain_days_left")), (374.0, 9.0), "{seen:?}");
        assert_eq!((text(&seen, "chain_first"), text(&seen, "self_signed")), ("CN=middle".into(), "false".into()));
        assert_eq!(text(&seen, "names"), "[www.example.org, 192.0.2.7]");
        assert_eq!(text(&seen, "weak"), "[]");
    }

    #[test]
    fn truncated_certificates_are_unreadable() {
        let (_, chain) = chain([(2027, 12), (2027, 12)]);
        for cut in (0..chain[0].len()).step_by(7) {
            assert_eq!(read(chain[0].get(..cut).unwrap_or_default()), None, "{cut}");
        }
        let cut = CertificateDer::from(chain[0][..50].to_vec());
        let shown = Shown { chain: vec![cut], has_staple: false, verdict: Ok(()) };
        let seen = observe(Observation::observed("x"), &shown, Timestamp::from_secs(NOW_S));
        assert_eq!((number(&seen, "chain"), number(&seen, "unreadable")), (0.0, 1.0));
    }
}

//! What clients show of themselves, and what becomes of it (T16 at the door).

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// A certificate authority of the test.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate of a client with its key.
struct Held {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn issue(&self, serial: u64, expired: bool) -> Held {
        let mut params = CertificateParams::new(vec!["agent.example".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Held { chain: vec![made.der().clone()], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
    }

    fn crl(&self, revoked: &[u64], next_update: i32) -> String {
        let revoked_certs = revoked
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(next_update, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

impl Held {
    fn self_signed() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["agent.example".into()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        Self { chain: vec![made.cert.der().clone()], key }
    }
}

/// A listener that says what its clients showed.
struct Door {
    running: Running,
    tls: Tls,
    root: CertificateDer<'static>,
    folder: tempfile::TempDir,
}

impl Door {
    async fn open(authority: Option<&Authority>, crl: Option<String>, self_signed: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut files, root) = certificate(folder.path());
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        files.clients = Some(ClientCertificates {
            ca_file: authority.map(|authority| write("ca.pem", authority.issuer.pem())),
            crl_files: crl.map(|text| write("crl.pem", text)).into_iter().collect(),
            self_signed,
        });
        let tls = Tls::load(files).unwrap();
        let running = run(config(), Some(tls.clone()), |_, peer: Peer| async move {
            let shown = peer.certificate.map(|shown| (shown.vouched, shown.digest.to_string()));
            Response::new(Body::full(format!("{shown:?}")))
        })
        .await;
        Self { running, tls, root, folder }
    }

    fn client(&self, held: Option<&Held>) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match held {
            Some(held) => config.with_client_auth_cert(held.chain.clone(), held.key.clone_key()).unwrap(),
            None => config.with_no_client_auth(),
        }
    }

    async fn connect(
        &self,
        config: &Arc<rustls::ClientConfig>,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = "localhost".try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        connector.connect(name, connect(self.running.address).await).await
    }

    /// What the listener says to a client that shows this; empty if it hangs up.
    async fn says(&self, held: Option<&Held>) -> String {
        self.says_to(&Arc::new(self.client(held))).await
    }

    async fn says_to(&self, config: &Arc<rustls::ClientConfig>) -> String {
        let Ok(mut stream) = self.connect(config).await else { return String::new() };
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8(answer).unwrap();
        text.rsplit("\r\n\r\n").next().unwrap().to_owned()
    }

    fn replace(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }
}

fn shown(held: &Held, vouched: bool) -> String {
    format!("{:?}", Some((vouched, model::Digest::of(&held.chain[0]).to_string())))
}

#[tokio::test]
async fn certificates_of_our_authority_are_handed_on_and_no_others() {
    let (ours, other) = (Authority::new(), Authority::new());
    let door = Door::open(Some(&ours), Some(ours.crl(&[7], 2100)), false).await;
    let good = ours.issue(1, false);
    assert_eq!(door.says(Some(&good)).await, shown(&good, true));
    assert_eq!(door.says(None).await, "None", "a certificate is not demanded");
    for (name, held) in [
        ("expired", ours.issue(2, true)),
        ("revoked", ours.issue(7, false)),
        ("of another authority", other.issue(1, false)),
        ("self-signed", Held::self_signed()),
    ] {
        assert_eq!(door.says(Some(&held)).await, "", "{name}");
    }
}

#[tokio::test]
async fn a_list_past_its_time_lets_nobody_in() {
    let ours = Authority::new();
    let door = Door::open(Some(&ours), Some(ours.crl(&[], 2025)), false).await;
    assert_eq!(door.says(Some(&ours.issue(1, false))).await, "");
    assert_eq!(door.says(None).await, "None");
}

#[tokio::test]
async fn a_self_signed_certificate_is_handed_on_as_one_nobody_vouches_for() {
    let ours = Authority::new();
    let held = Held::self_signed();
    for authority in [None, Some(&ours)] {
        let door = Door::open(authority, None, true).await;
        assert_eq!(door.says(Some(&held)).await, shown(&held, false));
        if authority.is_some() {
            // One that an authority of ours made is not let through by this door when it is no longer good.
            assert_eq!(door.says(Some(&ours.issue(2, true))).await, "");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_revoked_meanwhile_ends_its_connection() {
    let ours = Authority::new();
    let door = Door::open(Some(&ours), Some(ours.crl(&[], 2100)), false).await;
    let (mine, other) = (ours.issue(5, false), ours.issue(6, false));
    let mut open = door.connect(&Arc::new(door.client(Some(&mine)))).await.unwrap();
    open.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 12];
    open.read_exact(&mut some).await.unwrap();
    door.replace("crl.pem", &ours.crl(&[5], 2100));
    door.tls.reload().unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), open.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is still open");
    assert_eq!(door.says(Some(&mine)).await, "");
    assert_eq!(door.says(Some(&other)).await, shown(&other, true));
    // Another authority altogether.
    let next = Authority::new();
    door.replace("ca.pem", &next.issuer.pem());
    door.replace("crl.pem", &next.crl(&[], 2100));
    door.tls.reload().unwrap();
    assert_eq!(door.says(Some(&other)).await, "");
    let fresh = next.issue(1, false);
    assert_eq!(door.says(Some(&fresh)).await, shown(&fresh, true));
}

#[tokio::test]
async fn a_resumed_session_does_not_bring_a_revoked_certificate_back() {
    let ours = Authority::new();
    let door = Door::open(Some(&ours), Some(ours.crl(&[], 2100)), false).await;
    let mine = ours.issue(5, false);
    let config = Arc::new(door.client(Some(&mine)));
    assert_eq!(door.says_to(&config).await, shown(&mine, true));
    let again = door.connect(&config).await.unwrap();
    assert_eq!(again.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    drop(again);
    assert_eq!(door.says_to(&config).await, shown(&mine, true));
    door.replace("crl.pem", &ours.crl(&[5], 2100));
    door.tls.reload().unwrap();
    assert_eq!(door.says_to(&config).await, "");
}

/// The folder is only read from here on.
#[test]
fn every_file_of_clients_certificates_is_named() {
    let all = ClientCertificates {
        ca_file: Some("ca".into()),
        crl_files: vec!["a".into(), "b".into()],
        self_signed: false,
    };
    let names: Vec<&Path> = all.files().map(|path| path.as_path()).collect();
    assert_eq!(names, [Path::new("ca"), Path::new("a"), Path::new("b")]);
}

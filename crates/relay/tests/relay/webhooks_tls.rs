//! Webhooks over HTTPS: whose certificates are believed.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use crate::process::{ADMIN_KEY, RelayProcess};
use crate::support::{Api, KEY, OTHER_KEY, text};
use crate::target::{Reply, Target, set_webhook, webhook_when};

/// Names the file of those whose certificates a process believes instead of the system's.
const ROOTS: &str = "SSL_CERT_FILE";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What does TLS as `name`, with a certificate of `authority` that ends with this year.
fn certified(authority: &Authority, name: &str, last_year: i32) -> TlsAcceptor {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(last_year, 12, 31);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn register(api: &Api, name: &str) -> String {
    let body = json!({"name": name, "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
    text(&api.post("/agents", ADMIN_KEY, body).await.ok(201)["apiKey"])
}

#[tokio::test]
async fn a_message_is_posted_over_https_where_the_certificate_is_good_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (known, unknown) = (authority(), authority());
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, known.pem()).unwrap();
    let data = folder.path().join("data");
    let relay = RelayProcess::start_with(&data, [(ROOTS, roots.into_os_string())]);
    let api = Api::new(&relay.url);
    let alice = register(&api, "alice").await;
    let good = certified(&known, "localhost", 2999);
    let mut target = Target::start_tls(Reply::Status(200), good).await;
    let bob = register(&api, "bob").await;
    set_webhook(&api, "bob", &bob, &target.url).await;
    for number in 0..3 {
        api.send(&alice, "bob", json!(number)).await;
        assert_eq!(target.next().await.json()["payload"], number);
    }
    webhook_when(&api, &bob, |shown| shown["delivered"] == 3).await;
    for (why, bad) in [
        ("issuer", certified(&unknown, "localhost", 2999)),
        ("name", certified(&known, "elsewhere.example", 2999)),
        ("expiry", certified(&known, "localhost", 2020)),
    ] {
        let mut target = Target::start_tls(Reply::Status(200), bad).await;
        let key = register(&api, why).await;
        set_webhook(&api, why, &key, &target.url).await;
        api.send(&alice, why, json!(why)).await;
        let shown = webhook_when(&api, &key, |shown| !shown["lastFailure"].is_null()).await;
        assert_eq!(shown["lastFailure"]["reason"], "unreachable", "{why}");
        assert_eq!(shown["queued"], 1, "{why}");
        target.assert_quiet();
    }
}

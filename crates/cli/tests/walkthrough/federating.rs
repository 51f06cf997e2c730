//! Two deployments whose trust domains federate, and workloads of theirs that we did not write.

use std::path::PathBuf;

use chancery_api::server::{ServerClient, TrustText};
use chancery_crypto::{SigningKey, random_bytes};
use chancery_identity::trust::{SignedTrust, TrustSignature};
use chancery_signer::ca::{SerialNumber, Validity, root_certificate};
use chancery_signer::keys::open_key;
use chancery_types::{Algorithm, base64url};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

use super::deployment::{Deployment, text};
use super::place::{Place, Ran, Started, checkout, free_port, until};
use super::tools::{python, python_package};

/// A trust domain with both endpoints, and an agent whose program is `peer.py`.
struct Side {
    name: &'static str,
    deployment: Deployment,
    spiffe: String,
    web: String,
    library: PathBuf,
}

impl Side {
    fn start(name: &'static str, library: PathBuf) -> Self {
        let place = Place::new();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        place.write("web.pem", params.signed_by(&key, &root).unwrap().pem());
        place.write("roots.pem", root.pem());
        let file = place.write("web.key", key.serialize_pem());
        let mut mode = place.command("chmod");
        Ran::to_the_end(mode.args(["600", text(&file)]), &place).ok();
        let (spiffe, web) = (free_port(), free_port());
        let (spiffe_at, web_at) = (format!("127.0.0.1:{spiffe}"), format!("127.0.0.1:{web}"));
        let issuer = format!("https://localhost:{web}");
        let deployment = Deployment::started(
            place,
            &[
                "--trust-domain",
                name,
                "--bundle-spiffe",
                &spiffe_at,
                "--bundle-web",
                &web_at,
                "--bundle-web-certificate",
                "web.pem",
                "--bundle-web-key",
                "web.key",
                "--oidc-issuer",
                &issuer,
            ],
        );
        Self {
            name,
            deployment,
            spiffe: format!("https://{spiffe_at}/"),
            web: format!("https://localhost:{web}/"),
            library,
        }
    }

    fn chancery(&self, arguments: &[&str]) -> Ran {
        self.deployment.place.chancery(arguments)
    }

    fn program() -> PathBuf {
        checkout().join("crates/cli/tests/walkthrough/foreign/peer.py")
    }

    /// Registers the agent for those trust domains.
    fn register(&self, federates_with: &[&str]) {
        let program = Self::program();
        self.deployment.agent("peer", text(&program));
        let mut arguments = vec!["agent", "register", "peer.manifest"];
        for name in federates_with {
            arguments.extend(["--federates-with", name]);
        }
        self.chancery(&arguments).ok();
    }

    fn run(&self, arguments: &[&str]) -> Started {
        let place = &self.deployment.place;
        let (python, prefix) = python(place);
        let (program, library) = (Self::program(), text(&self.library));
        let readable = place.at("readable");
        let _ = std::fs::create_dir(&readable);
        let mut all = vec!["--agent", "peer", "--read", &prefix, "--read", library];
        all.extend([
            "--read",
            text(&readable),
            "--",
            &python,
            text(&program),
            library,
        ]);
        all.extend(arguments);
        self.deployment.run(&all)
    }

    fn speak(&self) -> Value {
        let said = self.run(&["speak", "audience"]).ended().json();
        assert!(
            said["id"]
                .as_str()
                .unwrap()
                .starts_with(&format!("spiffe://{}/", self.name))
        );
        said
    }

    /// Starts to judge what somebody said.
    fn judge(&self, said: &Value) -> Started {
        let folder = self.deployment.place.at("readable");
        let _ = std::fs::create_dir(&folder);
        let file = folder.join("said.json");
        std::fs::write(&file, said.to_string()).unwrap();
        self.run(&["judge", text(&file), "audience"])
    }

    /// Adds a relation to `other` by `https_spiffe`.
    fn add_by_spiffe(&self, other: &Self) -> Ran {
        let bundle = other.chancery(&["federation", "show", "--bundle"]).ok();
        let file = self.deployment.place.write("other.bundle", bundle);
        let endpoint = format!("spiffe://{}/service/server", other.name);
        self.chancery(&[
            "--format",
            "json",
            "federation",
            "add",
            other.name,
            "--url",
            &other.spiffe,
            "--profile",
            "https_spiffe",
            "--endpoint-id",
            &endpoint,
            "--bundle",
            text(&file),
        ])
    }

    /// Adds a relation to `other` by `https_web`.
    fn add_by_web(&self, other: &Self) -> Ran {
        let roots = other.deployment.place.at("roots.pem");
        self.chancery(&[
            "--format",
            "json",
            "federation",
            "add",
            other.name,
            "--url",
            &other.web,
            "--profile",
            "https_web",
            "--web-roots",
            text(&roots),
        ])
    }

    /// One more authority of X.509-SVIDs is trusted.
    fn add_authority(&self) {
        let data = self.deployment.place.at("chancery-data");
        let root = open_key(&data.join("root"), ("trust-root.key", Algorithm::Ed25519)).unwrap();
        let known = std::fs::read(data.join("trust.json")).unwrap();
        let known = SignedTrust::parse(&known).unwrap();
        let mut trust = known.trust.clone();
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let validity = Validity::from_now(trust.issued_at, 86_400 * 365);
        let serial = SerialNumber::from_random(random_bytes().unwrap());
        let domain = self.name.parse().unwrap();
        let made = root_certificate(&key, &domain, validity, serial).unwrap();
        trust.x509_authorities.push(base64url::encode(made));
        trust.version += 1;
        trust.previous = Some(known.verify(&chancery_crypto::AwsLc).unwrap().digest());
        let signature = root
            .sign(&SignedTrust::signing_input(&trust).unwrap())
            .unwrap();
        let signatures = vec![TrustSignature {
            kid: root.public().kid(),
            signature: base64url::encode(signature),
        }];
        let next = SignedTrust { signatures, trust }.to_bytes().unwrap();
        let request = TrustText {
            document: String::from_utf8(next).unwrap(),
        };
        let client = ServerClient::new(data.join("run/server.sock"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(client.install_trust(&request)).unwrap();
    }

    /// Whether the gateway takes a connection of whoever spoke.
    fn gateway_hears(&self, said: &Value) -> bool {
        let place = &self.deployment.place;
        let both = format!(
            "{}{}",
            said["chain"].as_str().unwrap(),
            said["key"].as_str().unwrap()
        );
        let file = place.write("client.pem", both);
        let mut command = place.command("python3");
        command.args(["-c", CONNECT, text(&file), &self.deployment.port]);
        let ran = Ran::to_the_end(&mut command, place).ok();
        ran.trim() == "heard"
    }
}

/// Says whether a server answers a client with that certificate.
const CONNECT: &str = "
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.load_cert_chain(sys.argv[1])
try:
    stream = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[2]))))
    stream.sendall(b'GET / HTTP/1.1\\r\\nhost: 127.0.0.1\\r\\nconnection: close\\r\\n\\r\\n')
    print('heard' if stream.recv(10).startswith(b'HTTP/1.1 ') else 'closed')
except (ssl.SSLError, ConnectionError):
    print('refused')
";

#[test]
fn two_trust_domains_federate_over_both_profiles() {
    let Some(library) = python_package("spiffe") else {
        return;
    };
    let (own, other) = (
        Side::start("own.example", library.clone()),
        Side::start("other.example", library),
    );
    own.register(&["other.example"]);
    other.register(&[]);
    let said = other.speak();
    assert_eq!(said["domains"], serde_json::json!(["other.example"]));

    // A workload that runs already is handed the bundle as soon as there is a relation.
    let mut sequence = 1;
    for add in [Side::add_by_spiffe, Side::add_by_web] {
        let judging = own.judge(&said);
        let added = add(&own, &other).json();
        assert_eq!(added["bundle"]["sequence"], sequence, "{added}");
        assert_eq!(added["last_fetch"]["problem"], Value::Null, "{added}");
        let id = said["id"].as_str().unwrap();
        let expected = format!("verified {id} with {sequence} authorities");
        until(&expected, || {
            judging.out().contains(&expected).then_some(())
        });
        // Verified, and yet authority for nothing: neither gateway hears the other's workload.
        assert!(!own.gateway_hears(&said));
        assert!(other.gateway_hears(&said));
        other.add_authority();
        sequence += 1;
        let refresh = ["--format", "json", "federation", "refresh", "other.example"];
        let refreshed = own.chancery(&refresh).json();
        assert_eq!(refreshed["bundle"]["sequence"], sequence);
        assert_eq!(refreshed["bundle"]["x509_authorities"], sequence);
        let listed = own.chancery(&["federation", "list"]).ok();
        assert!(
            listed.contains("other.example") && listed.contains("taken"),
            "{listed}"
        );
        own.chancery(&["federation", "remove", "other.example"])
            .ok();
        assert!(judging.ended().ok().ends_with("gone\n"));
    }
    own.chancery(&["federation", "refresh", "other.example"])
        .refused(1, &["federation_unknown", "chancery federation list"]);

    // Everything was enrolled, in this order.
    let (add, bundle, remove) = ("federation.add", "federation.bundle", "federation.remove");
    let expected = [add, bundle, remove, add, bundle, bundle, remove];
    until("the entries are under a checkpoint", || {
        let entries = ["--format", "json", "log", "--log", "server", "entries"];
        let entries = own.chancery(&entries).json();
        let entries = entries.as_array().unwrap().iter();
        let kinds = entries.filter_map(|line| line["entry"]["type"].as_str());
        let kinds: Vec<_> = kinds
            .filter(|kind| kind.starts_with("federation."))
            .collect();
        (kinds == expected).then_some(())
    });
}

#[test]
fn what_is_wrong_with_an_endpoint_is_said_before_anything_runs() {
    let place = Place::new();
    let up = |arguments: &[&str]| {
        let mut all = vec!["up", "--gateway-port", "1"];
        all.extend(arguments);
        place.chancery(&all)
    };
    up(&["--bundle-web", "127.0.0.1:1"]).refused(2, &["--bundle-web-certificate"]);
    up(&["--oidc-issuer", "http://a.example"]).refused(2, &["--oidc-issuer", "https"]);
    up(&["--bundle-refresh", "5"]).refused(2, &["--bundle-refresh"]);
    let add = |arguments: &[&str]| {
        let mut all = vec!["federation", "add", "other.example"];
        all.extend(arguments);
        place.chancery(&all)
    };
    let url = ["--url", "https://other.example/"];
    let with = |rest: &[&str]| add(&[&url[..], rest].concat());
    add(&["--url", "http://other.example/", "--profile", "https_web"]).refused(2, &["https://"]);
    add(&["--profile", "https_web"]).refused(2, &["--url"]);
    with(&[]).refused(2, &["--profile"]);
    with(&["--profile", "https_spiffe"]).refused(2, &["--endpoint-id"]);
}

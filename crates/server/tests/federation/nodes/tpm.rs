//! Hosts that join by a TPM: a software one, which is real in all but its hardware, and others who try.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chancery_api::BoundClient;
use chancery_api::server::{AdmitNodeTpm, ChallengeTpm, NodeView, TpmChallenge, TpmProof};
use chancery_attestation::AttestationLevel;
use chancery_attestation::tpm::{
    AttestationKey, EndorsementKey, PcrSelection, SignedQuote, make_credential, verify_quote,
};
use chancery_crypto::{AwsLc, TPM_MAKER_ALGORITHMS};
use chancery_identity::{NodeAuthority, tpm_qualifying_data, verify_endorsement_certificate};
use chancery_node::{OwnTpm, TpmAddress, TpmError, TpmKeyKind};
use chancery_types::SvidKeyMaterial;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use super::*;

/// A software TPM of its own, until it is dropped.
struct Swtpm {
    folder: TempDir,
    process: Child,
}

impl Swtpm {
    /// None where there is no such program here, which is said.
    fn start() -> Option<Self> {
        Self::start_with(|_| {})
    }

    fn start_with(setup: impl FnOnce(&Path)) -> Option<Self> {
        let needed = ["swtpm", "swtpm_setup", "swtpm_cert", "tpm2_quote"];
        let is_there = |program: &&str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(program).exists())
        };
        if let Some(missing) = needed.iter().find(|program| !is_there(program)) {
            eprintln!("skipped: there is no {missing} here; scripts/swtpm installs it");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        setup(folder.path());
        let socket = folder.path().join("tpm.sock");
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", folder.path().join("state").display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", socket.display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}.ctrl", socket.display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "no swtpm");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { folder, process })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn address(&self) -> TpmAddress {
        let socket = self.at("tpm.sock");
        format!("swtpm:{}", socket.display()).parse().unwrap()
    }

    fn means(&self, kind: TpmKeyKind) -> Means {
        Means::Tpm(self.address(), kind)
    }

    fn open(&self) -> OwnTpm {
        OwnTpm::open(&self.address(), TpmKeyKind::Rsa).unwrap()
    }

    /// Which TPM it is. It serves one client at a time, and the client here is gone afterwards.
    fn digest(&self, kind: TpmKeyKind) -> Digest {
        OwnTpm::open(&self.address(), kind).unwrap().digest()
    }

    /// Runs one of the tools that are not ours, in the TPM's folder, and lets nothing stay loaded.
    fn tool(&self, line: &str) {
        self.run(line);
        for loaded in ["-t", "-l"] {
            self.run(&format!("tpm2_flushcontext {loaded}"));
        }
    }

    fn run(&self, line: &str) {
        let mut words = line.split(' ');
        let ran = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(self.folder.path())
            .env(
                "TPM2TOOLS_TCTI",
                format!("swtpm:path={}", self.at("tpm.sock").display()),
            )
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{line}: {said}");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn values(values: &[(u8, Digest)]) -> PcrValues {
    let values: std::collections::BTreeMap<_, _> = values.iter().copied().collect();
    values.try_into().unwrap()
}

fn selection(registers: std::ops::Range<u8>) -> PcrSelection {
    let registers: std::collections::BTreeSet<_> = registers.collect();
    registers.try_into().unwrap()
}

impl Domain {
    async fn admit_tpm(&self, tpm: Digest, pcrs: PcrValues) {
        let request = AdmitNodeTpm { tpm, pcrs };
        self.client().admit_node_tpm(&request).await.unwrap();
    }

    async fn only_node(&self) -> NodeView {
        let nodes = self.client().nodes().await.unwrap().nodes;
        assert_eq!(nodes.len(), 1, "{nodes:?}");
        nodes.into_iter().next().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admitted_tpm_joins_renews_and_is_the_same_node_again() {
    let Some(tpm) = Swtpm::start() else { return };
    let domain = Domain::start("own.example").await;
    for kind in [TpmKeyKind::Rsa, TpmKeyKind::Ecc] {
        let join = async || domain.join(tpm.means(kind)).await.map_err(reason);
        assert_eq!(join().await.unwrap_err(), "join_refused");
        let digest = tpm.digest(kind);
        domain.admit_tpm(digest, PcrValues::default()).await;
        let mut node = join().await.unwrap();
        node.renew().await.unwrap();
        let again = join().await.unwrap();
        assert_eq!(again.spiffe_id(), node.spiffe_id());
        let listed = domain.client().nodes().await.unwrap();
        let id = node.spiffe_id().node();
        let mut listed = listed.nodes.into_iter().filter(|one| one.node_id == id);
        let view = listed.next().unwrap();
        assert_eq!(
            (&*view.proof, view.level),
            ("tpm", Some(AttestationLevel::Tpm))
        );
        let shown = view.tpm.unwrap();
        assert_eq!(shown.endorsement_key, digest);
        assert_eq!(
            shown.pcrs.registers().collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6, 7]
        );
        // Out is out, as long as it is the same TPM.
        domain.evict(id).await;
        assert_eq!(join().await.unwrap_err(), "node_evicted");
    }
    let known = domain.client().nodes().await.unwrap();
    assert_eq!((known.nodes.len(), known.tpms.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_in_another_state_than_the_operator_gave_is_refused() {
    let Some(tpm) = Swtpm::start() else { return };
    let domain = Domain::start("own.example").await;
    let join = async || {
        let joined = domain.join(tpm.means(TpmKeyKind::Rsa)).await;
        joined.map(|_| ()).map_err(reason)
    };
    let digest = tpm.digest(TpmKeyKind::Rsa);
    let zeros = Digest::from_bytes([0; 32]);
    domain
        .admit_tpm(digest, values(&[(7, Digest::of("another"))]))
        .await;
    assert_eq!(join().await.unwrap_err(), "join_refused");
    // Register 16 is quoted because it is given.
    let given = [(7, zeros), (16, zeros)];
    domain.admit_tpm(digest, values(&given)).await;
    join().await.unwrap();
    let shown = domain.only_node().await.tpm.unwrap();
    assert_eq!(shown.pcrs.registers().last(), Some(16));
    let measured = Digest::of("another loader").to_hex();
    tpm.tool(&format!("tpm2_pcrextend 16:sha256={measured}"));
    assert_eq!(join().await.unwrap_err(), "join_refused");
    let now_held = tpm.open().pcrs(&selection(16..17)).unwrap();
    domain.admit_tpm(digest, now_held).await;
    join().await.unwrap();
    domain.client().remove_node_tpm(digest).await.unwrap();
    assert_eq!(join().await.unwrap_err(), "join_refused");
    let gone = domain.client().remove_node_tpm(digest).await;
    assert!(gone.unwrap_err().to_string().contains("node_tpm"));
}

/// A TPM whose maker certifies its RSA key, as `swtpm_localca` does.
fn by_a_maker(folder: &Path) {
    let at = |name: &str| folder.join(name).display().to_string();
    std::fs::create_dir(at("ca")).unwrap();
    let files = [
        (
            "setup.conf",
            format!(
                "create_certs_tool=swtpm_localca\ncreate_certs_tool_config={}\n\
                 create_certs_tool_options={}\n",
                at("ca.conf"),
                at("ca.options")
            ),
        ),
        (
            "ca.conf",
            format!(
                "statedir={0}\nsigningkey={0}/signkey.pem\nissuercert={0}/issuercert.pem\n\
                 certserial={0}/certserial\n",
                at("ca")
            ),
        ),
        (
            "ca.options",
            "--platform-manufacturer Chancery\n--platform-version 1\n--platform-model Host\n"
                .to_owned(),
        ),
    ];
    for (name, text) in files {
        std::fs::write(at(name), text).unwrap();
    }
    let ran = Command::new("swtpm_setup")
        .args(["--tpm2", "--create-ek-cert", "--pcr-banks", "sha256"])
        .args(["--tpmstate", &at("state"), "--config", &at("setup.conf")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maker_vouches_for_its_tpms() {
    let Some(tpm) = Swtpm::start_with(by_a_maker) else {
        return;
    };
    let domain = Domain::start("own.example").await;
    let client = domain.client();
    let join = async || {
        domain
            .join(tpm.means(TpmKeyKind::Rsa))
            .await
            .map_err(reason)
    };
    assert_eq!(join().await.unwrap_err(), "join_refused");
    let pem = tpm.read("ca/issuercert.pem");
    let der = CertificateDer::from_pem_slice(&pem).unwrap();
    let admit = async |tpms: bool, pcrs: PcrValues| {
        let request = AdmitNodeAuthority {
            certificate: base64url::encode(&der),
            tpms,
            pcrs,
        };
        client.admit_node_authority(&request).await
    };
    // The same certificate for hosts admits no TPM, and hosts have no registers.
    admit(false, PcrValues::default()).await.unwrap();
    assert_eq!(join().await.unwrap_err(), "join_refused");
    let other = values(&[(0, Digest::of("another"))]);
    admit(false, other.clone()).await.unwrap_err();
    admit(true, other).await.unwrap();
    assert_eq!(join().await.unwrap_err(), "join_refused");
    let fingerprint = admit(true, PcrValues::default()).await.unwrap().fingerprint;
    let node = join().await.unwrap();
    let view = domain.only_node().await;
    assert_eq!(view.level, Some(AttestationLevel::Tpm));
    assert!(
        view.subject.unwrap().contains("swtpm"),
        "what its maker says"
    );
    // Another TPM of no maker, and the same TPM by the key that has no certificate.
    let unknown = Swtpm::start().unwrap();
    let unknown = domain.join(unknown.means(TpmKeyKind::Rsa)).await;
    assert_eq!(reason(unknown.unwrap_err()), "join_refused");
    let uncertified = domain.join(tpm.means(TpmKeyKind::Ecc)).await;
    assert_eq!(reason(uncertified.unwrap_err()), "join_refused");
    client.remove_node_authority(fingerprint).await.unwrap();
    assert_eq!(join().await.unwrap_err(), "join_refused");
    // Named by its digest it is the same node.
    let digest = tpm.digest(TpmKeyKind::Rsa);
    domain.admit_tpm(digest, PcrValues::default()).await;
    assert_eq!(join().await.unwrap().spiffe_id(), node.spiffe_id());
}

/// A join whose parts are the caller's.
struct Hand {
    bound: BoundClient,
    key: SigningKey,
}

impl Hand {
    async fn new(domain: &Domain) -> Self {
        let config = joining_config(domain.authorities(), domain.server_id()).unwrap();
        let server = domain.nodes_at.to_string();
        Self {
            bound: BoundClient::connect(&server, config).await.unwrap(),
            key: SigningKey::generate(Algorithm::Es256).unwrap(),
        }
    }

    async fn challenge(&mut self, ek: &[u8], ak: &[u8]) -> Result<TpmChallenge, String> {
        self.challenge_by(ek, ak, None).await
    }

    async fn challenge_by(
        &mut self,
        ek: &[u8],
        ak: &[u8],
        certificate: Option<&[u8]>,
    ) -> Result<TpmChallenge, String> {
        let request = ChallengeTpm {
            endorsement_key: base64url::encode(ek),
            certificate: certificate.map(base64url::encode),
            attestation_key: base64url::encode(ak),
        };
        self.bound
            .post("/v1/node/tpm", &request)
            .await
            .map_err(said)
    }

    async fn challenged(&mut self, tpm: &OwnTpm) -> TpmChallenge {
        let asked = self.challenge(tpm.endorsement_key(), tpm.attestation_key());
        asked.await.unwrap()
    }

    async fn join(&mut self, proof: TpmProof) -> Result<JoinedNode, String> {
        let input = node_key_signing_input(self.key.public(), self.bound.channel()).unwrap();
        let join = JoinNode {
            key: *self.key.public(),
            proof: jws::assemble(&input, &self.key.sign(input.as_bytes()).unwrap()),
            means: JoinMeans::Tpm(proof),
        };
        self.bound.post("/v1/node/join", &join).await.map_err(said)
    }

    /// What the TPM answers, bound to that connection and that key.
    fn answer(
        challenge: &TpmChallenge,
        tpm: &mut OwnTpm,
        channel: NodeChannel,
        key: &SigningKey,
    ) -> TpmProof {
        let bytes = |text: &str| base64url::decode(text).unwrap();
        let secret = tpm.activate(
            &bytes(&challenge.credential),
            &bytes(&challenge.encrypted_secret),
        );
        let secret = secret.unwrap();
        let nonce: [u8; 32] = bytes(&challenge.nonce).try_into().unwrap();
        let bound = tpm_qualifying_data(channel, key.public(), &nonce, secret.expose());
        let answer = tpm.quote(&challenge.registers, bound).unwrap();
        TpmProof {
            secret: base64url::encode(secret.expose()),
            quote: base64url::encode(answer.quote),
            signature: base64url::encode(answer.signature),
            pcrs: answer.pcrs,
        }
    }

    fn honest(&self, challenge: &TpmChallenge, tpm: &mut OwnTpm) -> TpmProof {
        Self::answer(challenge, tpm, self.bound.channel(), &self.key)
    }
}

fn said(error: ClientError) -> String {
    match error {
        ClientError::Refused(problem) => problem.reason,
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_this_tpm_this_connection_and_this_key_is_refused() {
    let (Some(own), Some(other)) = (Swtpm::start(), Swtpm::start()) else {
        return;
    };
    let domain = Domain::start("own.example").await;
    domain
        .admit_tpm(own.digest(TpmKeyKind::Rsa), PcrValues::default())
        .await;
    let (mut tpm, mut thief) = (own.open(), other.open());
    // One that is admitted, by hand.
    let mut hand = Hand::new(&domain).await;
    let challenge = hand.challenged(&tpm).await;
    let good = hand.honest(&challenge, &mut tpm);
    assert!(
        hand.join(good.clone())
            .await
            .unwrap()
            .spiffe_id
            .contains("/node/")
    );
    // A connection joins once and is challenged once.
    assert_eq!(hand.join(good.clone()).await.unwrap_err(), "join_rate");
    let again = hand.challenge(tpm.endorsement_key(), tpm.attestation_key());
    assert_eq!(again.await.unwrap_err(), "join_rate");
    // Without a challenge; with the answer of another challenge.
    let mut hand = Hand::new(&domain).await;
    assert_eq!(hand.join(good.clone()).await.unwrap_err(), "join_refused");
    let mut hand = Hand::new(&domain).await;
    hand.challenged(&tpm).await;
    assert_eq!(hand.join(good.clone()).await.unwrap_err(), "join_refused");
    // The quote of another challenge beside the secret of this one.
    let mut hand = Hand::new(&domain).await;
    let challenge = hand.challenged(&tpm).await;
    let mut mixed = hand.honest(&challenge, &mut tpm);
    (mixed.quote, mixed.signature) = (good.quote, good.signature);
    assert_eq!(hand.join(mixed).await.unwrap_err(), "join_refused");
    // Bound to another connection: a host that was made to answer for somebody else.
    let mut hand = Hand::new(&domain).await;
    let elsewhere = Hand::new(&domain).await;
    let challenge = hand.challenged(&tpm).await;
    let relayed = Hand::answer(&challenge, &mut tpm, elsewhere.bound.channel(), &hand.key);
    assert_eq!(hand.join(relayed).await.unwrap_err(), "join_refused");
    // Bound to another key on the same connection.
    let mut hand = Hand::new(&domain).await;
    let challenge = hand.challenged(&tpm).await;
    let lent = Hand::answer(&challenge, &mut tpm, hand.bound.channel(), &elsewhere.key);
    assert_eq!(hand.join(lent).await.unwrap_err(), "join_refused");
    // Registers that the TPM does not hold.
    let mut hand = Hand::new(&domain).await;
    let challenge = hand.challenged(&tpm).await;
    let mut shown = hand.honest(&challenge, &mut tpm);
    let held: Vec<_> = shown
        .pcrs
        .iter()
        .map(|(one, _)| (one, Digest::of("x")))
        .collect();
    shown.pcrs = values(&held);
    assert_eq!(hand.join(shown).await.unwrap_err(), "join_refused");
    // The attestation key of another TPM: neither TPM opens the credential.
    let mut hand = Hand::new(&domain).await;
    let challenge = hand.challenge(tpm.endorsement_key(), thief.attestation_key());
    let challenge = challenge.await.unwrap();
    let bytes = |text: &str| base64url::decode(text).unwrap();
    let sealed = (
        bytes(&challenge.credential),
        bytes(&challenge.encrypted_secret),
    );
    for opening in [&mut tpm, &mut thief] {
        let opened = opening.activate(&sealed.0, &sealed.1);
        assert!(matches!(opened, Err(TpmError::Refused { .. })));
    }
    let mut guessed = thief_answer(&hand, &challenge, &mut thief);
    assert_eq!(
        hand.join(guessed.clone()).await.unwrap_err(),
        "join_refused"
    );
    // A key outside of every TPM, which says that it is inside: the same.
    let software = software_key(tpm.attestation_key());
    let mut hand = Hand::new(&domain).await;
    let challenge = hand.challenge(tpm.endorsement_key(), &software);
    let challenge = challenge.await.unwrap();
    let opened = tpm.activate(
        &bytes(&challenge.credential),
        &bytes(&challenge.encrypted_secret),
    );
    assert!(matches!(opened, Err(TpmError::Refused { .. })));
    guessed.secret = String::new();
    assert_eq!(hand.join(guessed).await.unwrap_err(), "join_refused");
    // Another TPM is asked nothing, and what is no such key neither.
    for (ek, ak) in [
        (thief.endorsement_key(), thief.attestation_key()),
        (tpm.attestation_key(), tpm.attestation_key()),
        (tpm.endorsement_key(), tpm.endorsement_key()),
        (&[][..], &[][..]),
    ] {
        let mut hand = Hand::new(&domain).await;
        assert_eq!(hand.challenge(ek, ak).await.unwrap_err(), "join_refused");
    }
    // Nothing stays loaded, whatever was refused.
    drop(tpm);
    own.tool("tpm2_createprimary -C e -c one.ctx");
}

/// What the maker in the TPM's folder says of another of its keys, or of the same one again.
fn certified(tpm: &Swtpm, key: &EndorsementKey, serial: &str) -> Vec<u8> {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let key = match key.key().material() {
        SvidKeyMaterial::Rsa { n, .. } => format!("--modulus {} --exponent 65537", hex(n)),
        SvidKeyMaterial::Ec { point, .. } => {
            let point = (hex(&point[1..33]), hex(&point[33..]));
            format!(
                "--ecc-x {} --ecc-y {} --ecc-curveid secp256r1",
                point.0, point.1
            )
        }
    };
    tpm.run(&format!(
        "swtpm_cert --type ek --tpm2 --decryption --days 30 --serial {serial} {key} --signkey ca/signkey.pem \
         --issuercert ca/issuercert.pem --out-cert certified --subject CN=unknown \
         --tpm-manufacturer id:00001014 --tpm-model swtpm --tpm-version id:20191023 \
         --tpm-spec-family 2.0 --tpm-spec-level 0 --tpm-spec-revision 164"
    ));
    tpm.read("certified")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tpm_that_was_put_out_comes_back_by_no_other_certificate() {
    let Some(tpm) = Swtpm::start_with(by_a_maker) else {
        return;
    };
    let domain = Domain::start("own.example").await;
    let pem = tpm.read("ca/issuercert.pem");
    let maker = CertificateDer::from_pem_slice(&pem).unwrap();
    let request = AdmitNodeAuthority {
        certificate: base64url::encode(&maker),
        tpms: true,
        pcrs: PcrValues::default(),
    };
    domain
        .client()
        .admit_node_authority(&request)
        .await
        .unwrap();
    let mut shown = Vec::new();
    for (kind, serial) in [(TpmKeyKind::Rsa, "77"), (TpmKeyKind::Ecc, "78")] {
        let own = OwnTpm::open(&tpm.address(), kind).unwrap();
        let (ek, ak) = (
            own.endorsement_key().to_vec(),
            own.attestation_key().to_vec(),
        );
        drop(own);
        let key = EndorsementKey::parse(&ek).unwrap();
        let certificate = certified(&tpm, &key, serial);
        // Each is a certificate of that maker over that key.
        let makers = [NodeAuthority::new(maker.to_vec()).unwrap()];
        let algorithms = TPM_MAKER_ALGORITHMS;
        verify_endorsement_certificate(&certificate, key.key(), &makers, now(), algorithms)
            .unwrap();
        shown.push((ek, ak, certificate));
    }
    let asked = async |(ek, ak, certificate): &(Vec<u8>, Vec<u8>, Vec<u8>)| {
        let mut hand = Hand::new(&domain).await;
        let challenged = hand.challenge_by(ek, ak, Some(certificate)).await;
        challenged.map(drop)
    };
    let [rsa, ecc] = &shown[..] else {
        panic!("two keys");
    };
    asked(rsa).await.unwrap();
    assert_eq!(asked(ecc).await.unwrap_err(), "join_refused");
    let joined = domain.join(tpm.means(TpmKeyKind::Rsa)).await.unwrap();
    domain.evict(joined.spiffe_id().node()).await;
    assert_eq!(asked(rsa).await.unwrap_err(), "node_evicted");
    assert_eq!(asked(ecc).await.unwrap_err(), "join_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_since_the_challenge_counts() {
    let Some(own) = Swtpm::start() else { return };
    let domain = Domain::start("own.example").await;
    let client = domain.client();
    let mut tpm = own.open();
    let digest = tpm.digest();
    domain.admit_tpm(digest, PcrValues::default()).await;
    let answered = async |tpm: &mut OwnTpm| {
        let mut hand = Hand::new(&domain).await;
        let challenge = hand.challenged(tpm).await;
        let proof = hand.honest(&challenge, tpm);
        (hand, proof)
    };
    let (mut hand, proof) = answered(&mut tpm).await;
    client.remove_node_tpm(digest).await.unwrap();
    assert_eq!(hand.join(proof).await.unwrap_err(), "join_refused");
    domain.admit_tpm(digest, PcrValues::default()).await;
    // A register that is wanted now and was not quoted.
    let (mut hand, proof) = answered(&mut tpm).await;
    let zeros = Digest::from_bytes([0; 32]);
    domain.admit_tpm(digest, values(&[(16, zeros)])).await;
    assert_eq!(hand.join(proof).await.unwrap_err(), "join_refused");
    let (mut hand, proof) = answered(&mut tpm).await;
    hand.join(proof).await.unwrap();
    let (mut hand, proof) = answered(&mut tpm).await;
    domain.evict(domain.only_node().await.node_id).await;
    assert_eq!(hand.join(proof).await.unwrap_err(), "node_evicted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_that_is_not_heard_lets_no_join_through() {
    let domain = Domain::start("own.example").await;
    for _ in 0..20 {
        let mut hand = Hand::new(&domain).await;
        let refused = hand.challenge(&[], &[]).await.unwrap_err();
        assert_eq!(refused, "join_refused");
    }
    let mut hand = Hand::new(&domain).await;
    assert_eq!(hand.challenge(&[], &[]).await.unwrap_err(), "join_rate");
    let nothing = TpmProof {
        secret: String::new(),
        quote: String::new(),
        signature: String::new(),
        pcrs: PcrValues::default(),
    };
    assert_eq!(hand.join(nothing).await.unwrap_err(), "join_rate");
}

/// What the other TPM quotes, with a secret that is none.
fn thief_answer(hand: &Hand, challenge: &TpmChallenge, thief: &mut OwnTpm) -> TpmProof {
    let nonce = base64url::decode(&challenge.nonce).unwrap();
    let nonce: [u8; 32] = nonce.try_into().unwrap();
    let bound = tpm_qualifying_data(hand.bound.channel(), hand.key.public(), &nonce, &[7; 32]);
    let answer = thief.quote(&challenge.registers, bound).unwrap();
    TpmProof {
        secret: base64url::encode([7; 32]),
        quote: base64url::encode(answer.quote),
        signature: base64url::encode(answer.signature),
        pcrs: answer.pcrs,
    }
}

/// The public area of an attestation key, over a key of ours.
fn software_key(public: &[u8]) -> Vec<u8> {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let point = key.public().to_public_bytes();
    let mut forged = public.to_vec();
    forged[24..56].copy_from_slice(&point[1..33]);
    forged[58..90].copy_from_slice(&point[33..]);
    assert!(AttestationKey::parse(&forged, &AwsLc).is_ok());
    forged
}

/// `tpm2_makecredential`, `tpm2_activatecredential` and `tpm2_quote` of tpm2-tools take what we make,
/// and we what they make.
#[test]
fn agrees_with_tools_that_are_not_ours() {
    let Some(tpm) = Swtpm::start() else { return };
    let secret = [9; 32];
    std::fs::write(tpm.at("secret"), secret).unwrap();
    for kind in ["rsa", "ecc"] {
        tpm.tool(&format!("tpm2_createek -G {kind} -c ek.ctx -u ek.pub"));
        tpm.tool(
            "tpm2_createak -C ek.ctx -c ak.ctx -G ecc -g sha256 -s ecdsa -u ak.pub -n ak.name",
        );
        tpm.run("tpm2_flushcontext -s");
        let endorsement = EndorsementKey::parse(&tpm.read("ek.pub")).unwrap();
        let attestation = AttestationKey::parse(&tpm.read("ak.pub"), &AwsLc).unwrap();
        assert_eq!(attestation.name().as_slice(), tpm.read("ak.name"));
        // Ours is opened by theirs.
        let made = make_credential(&endorsement, &attestation, &secret, &[5; 32], &AwsLc).unwrap();
        let file = [
            &0xbadc_c0de_u32.to_be_bytes()[..],
            &1_u32.to_be_bytes(),
            &made.blob,
            &made.encrypted_secret,
        ];
        std::fs::write(tpm.at("credential"), file.concat()).unwrap();
        tpm.run("tpm2_startauthsession --policy-session -S session.ctx");
        tpm.run("tpm2_policysecret -S session.ctx -c e");
        tpm.run(
            "tpm2_activatecredential -c ak.ctx -C ek.ctx -i credential -o opened -P session:session.ctx",
        );
        tpm.tool("tpm2_flushcontext session.ctx");
        assert_eq!(tpm.read("opened"), secret, "{kind}");
        // Their quote is taken by us.
        let qualifying = Digest::of("qualifying");
        tpm.tool(&format!(
            "tpm2_quote -c ak.ctx -l sha256:0,1,2,3,4,5,6,7 -q {} -m quote -s signature -g sha256",
            qualifying.to_hex()
        ));
        let zeros = Digest::from_bytes([0; 32]);
        let held: Vec<_> = (0..8).map(|register| (register, zeros)).collect();
        let quote = SignedQuote {
            attested: tpm.read("quote"),
            signature: tpm.read("signature"),
            pcrs: values(&held),
        };
        let all = selection(0..8);
        verify_quote(&quote, &attestation, &all, qualifying, &AwsLc).unwrap();
        // Theirs is opened by ours, and our quote is taken by them.
        let ours = match kind {
            "rsa" => TpmKeyKind::Rsa,
            _ => TpmKeyKind::Ecc,
        };
        let own = OwnTpm::open(&tpm.address(), ours).unwrap();
        assert_eq!(own.digest(), endorsement.digest());
        std::fs::write(tpm.at("own.pub"), own.attestation_key()).unwrap();
        let own_key = AttestationKey::parse(own.attestation_key(), &AwsLc).unwrap();
        drop(own);
        let name: String = own_key
            .name()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        tpm.tool(&format!(
            "tpm2_makecredential -u ek.pub -s secret -n {name} -o credential"
        ));
        let theirs = tpm.read("credential");
        let (blob, encrypted) = theirs[8..].split_at(2 + usize::from(theirs[9]));
        let mut own = OwnTpm::open(&tpm.address(), ours).unwrap();
        let opened = own.activate(blob, encrypted).unwrap();
        assert_eq!(opened.expose(), secret);
        let answer = own.quote(&all, qualifying).unwrap();
        drop(own);
        std::fs::write(tpm.at("own.quote"), answer.quote).unwrap();
        std::fs::write(tpm.at("own.signature"), answer.signature).unwrap();
        tpm.run(&format!(
            "tpm2_checkquote -u own.pub -m own.quote -s own.signature -q {} -g sha256",
            qualifying.to_hex()
        ));
    }
}

#[test]
fn what_is_no_tpm_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let open = |address: String| {
        let opened = OwnTpm::open(&address.parse().unwrap(), TpmKeyKind::Rsa);
        opened.unwrap_err().to_string()
    };
    let missing = folder.path().join("tpmrm0");
    let said = open(missing.display().to_string());
    assert!(
        said.contains("tpmrm0: no such device: this host shows no TPM") && said.contains("--tpm"),
        "{said}"
    );
    assert!(open(format!("swtpm:{}", missing.display())).contains("No such file"));
    // Something else listens there.
    let socket = folder.path().join("other.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 14];
        stream.read_exact(&mut asked).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let said = open(format!("swtpm:{}", socket.display()));
    answering.join().unwrap();
    assert!(said.contains("swtpm:") || said.contains("answer"), "{said}");
}

//! The signer's endpoints, on a socket that only its owner may use.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use chancery_api::authority::{
    Authorities as AuthorityStates, Authority, AuthorityKind, CertifyAuthority, ChangeAuthority,
    PrepareAuthority,
};
use chancery_api::lift::SignedLift;
use chancery_api::server::{IssuedX509s, TrustText};
use chancery_api::signer::{
    CheckpointSignature, ConsentCount, Done, LastCheckpoint, SignAccess, SignCheckpoint, SignJwt,
    SignRoot, SignSnapshot, SignWit, SignWitSvid, SignX509, SignX509s, SignedCheckpoint,
    SignedSnapshot, SignedToken, SignedX509,
};
use chancery_api::{OwnerListener, Problem, measured};
use chancery_crypto::{AwsLc, replace_private_file};
use chancery_identity::TrustDomain;
use chancery_identity::trust::{SignedTrust, VerifiedTrust};
use chancery_journal::{CheckpointSigner, LocalSigner};
use chancery_tlog::TreeHash;
use chancery_types::id::ConsentId;
use chancery_types::{Timestamp, base64url};

use crate::authorities::Authorities;
use crate::keys::{KeyFolder, StandingKeys};
use crate::rules::snapshot::{Held, SnapshotRatchet};
use crate::rules::standing::StandingRatchet;
use crate::rules::{access, jwt, root, wit, wit_svid, x509};

/// Every endpoint: method and path. All of them need the owner's socket.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/v1/ready"),
    ("POST", "/v1/sign/x509"),
    ("POST", "/v1/sign/x509s"),
    ("POST", "/v1/sign/wit"),
    ("POST", "/v1/sign/jwt"),
    ("POST", "/v1/sign/wit-svid"),
    ("POST", "/v1/sign/root"),
    ("POST", "/v1/sign/access"),
    ("GET", "/v1/checkpoint"),
    ("POST", "/v1/sign/checkpoint"),
    ("POST", "/v1/sign/snapshot"),
    ("POST", "/v1/lift"),
    ("GET", "/v1/consents/{id}"),
    ("POST", "/v1/trust"),
    ("GET", "/v1/authorities"),
    ("POST", "/v1/authorities/prepare"),
    ("POST", "/v1/authorities/certify"),
    ("POST", "/v1/authorities/activate"),
    ("POST", "/v1/authorities/taint"),
    ("POST", "/v1/authorities/destroy"),
];

/// The signer of one trust domain.
#[derive(Debug)]
pub struct Signer {
    keys: StandingKeys,
    authorities: RwLock<Authorities>,
    trust_domain: TrustDomain,
    trust: RwLock<VerifiedTrust>,
    trust_file: PathBuf,
    log: LocalSigner,
    snapshots: Mutex<SnapshotRatchet>,
    /// What the ratchet holds, for those who do not wait until it is on the disk.
    held: RwLock<Arc<Held>>,
    consents: Mutex<StandingRatchet>,
    clock: fn() -> Timestamp,
}

impl Signer {
    /// Takes the keys, the trust document in force and the server's log key. `folder` holds the
    /// authorities, the ratchets and the highest trust document that was seen.
    pub fn new(
        keys: impl Into<StandingKeys>,
        trust: VerifiedTrust,
        log: LocalSigner,
        folder: &Path,
        clock: fn() -> Timestamp,
    ) -> std::io::Result<Arc<Self>> {
        let trust_domain = trust.trust_domain.parse().map_err(std::io::Error::other)?;
        let mut keys: StandingKeys = keys.into();
        let custody = match keys.folder.take() {
            Some(custody) => custody,
            None => KeyFolder::open(folder).map_err(std::io::Error::other)?,
        };
        let authorities = Authorities::open(folder, Arc::new(custody), &trust, clock());
        let snapshots = SnapshotRatchet::open(folder)?;
        Ok(Arc::new(Self {
            keys,
            authorities: RwLock::new(authorities.map_err(std::io::Error::other)?),
            trust_domain,
            trust: RwLock::new(trust),
            trust_file: folder.join("trust.json"),
            log,
            held: RwLock::new(snapshots.held()),
            snapshots: Mutex::new(snapshots),
            consents: Mutex::new(StandingRatchet::open(folder)?),
            clock,
        }))
    }

    /// Serves until the future is dropped.
    pub async fn serve(self: Arc<Self>, listener: OwnerListener) -> std::io::Result<()> {
        axum::serve(listener, measured(self.router())).await
    }

    fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/v1/ready", get(ready))
            .route("/v1/sign/x509", post(sign_x509))
            .route("/v1/sign/x509s", post(sign_x509s))
            .route("/v1/sign/wit", post(sign_wit))
            .route("/v1/sign/jwt", post(sign_jwt))
            .route("/v1/sign/wit-svid", post(sign_wit_svid))
            .route("/v1/sign/root", post(sign_root))
            .route("/v1/sign/access", post(sign_access))
            .route("/v1/checkpoint", get(last_checkpoint))
            .route("/v1/sign/checkpoint", post(sign_checkpoint))
            .route(
                "/v1/sign/snapshot",
                post(sign_snapshot).layer(DefaultBodyLimit::max(SignSnapshot::MAX_BYTES)),
            )
            .route("/v1/lift", post(lift))
            .route("/v1/consents/{id}", get(count_consent))
            .route("/v1/trust", post(install_trust))
            .route("/v1/authorities", get(authorities))
            .route("/v1/authorities/prepare", post(prepare_authority))
            .route("/v1/authorities/certify", post(certify_authority))
            .route("/v1/authorities/activate", post(activate_authority))
            .route("/v1/authorities/taint", post(taint_authority))
            .route("/v1/authorities/destroy", post(destroy_authority))
            .with_state(self)
    }

    /// What may not be taken back: nothing is signed for what is revoked.
    fn held(&self) -> Arc<Held> {
        let held = self.held.read();
        Arc::clone(&held.unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what may not be taken back, on a thread that may wait for the disk; it is held before anybody is
    /// answered.
    async fn ratchet<T: Send + 'static>(
        self: Arc<Self>,
        change: impl FnOnce(&mut SnapshotRatchet, &StandingKeys, Timestamp) -> Result<T, Problem>
        + Send
        + 'static,
    ) -> Answer<T> {
        let changing = tokio::task::spawn_blocking(move || {
            let now = (self.clock)();
            let snapshots = self.snapshots.lock();
            let mut ratchet = snapshots.unwrap_or_else(PoisonError::into_inner);
            let changed = change(&mut ratchet, &self.keys, now);
            // Also where it went half of the way.
            *self.held.write().unwrap_or_else(PoisonError::into_inner) = ratchet.held();
            changed
        });
        let changed = changing.await;
        changed
            .map_err(|error| Problem::internal("snapshot.ratchet", &error))?
            .map(Json)
    }

    /// What signs SVIDs and tokens now.
    pub fn authorities(&self) -> AuthorityStates {
        self.signing().list()
    }

    fn signing(&self) -> RwLockReadGuard<'_, Authorities> {
        let authorities = self.authorities.read();
        authorities.unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the authorities changed, on a thread that may wait for the disk.
    async fn change(
        self: Arc<Self>,
        change: impl FnOnce(&mut Authorities, &VerifiedTrust, Timestamp) -> Result<Authority, Problem>
        + Send
        + 'static,
    ) -> Answer<Authority> {
        let changing = tokio::task::spawn_blocking(move || {
            let trust = self.trust();
            let authorities = self.authorities.write();
            let mut authorities = authorities.unwrap_or_else(PoisonError::into_inner);
            change(&mut authorities, &trust, (self.clock)())
        });
        let changed = changing.await;
        changed
            .map_err(|error| Problem::internal("authorities", &error))?
            .map(Json)
    }

    /// What a rule makes of a request, by the authorities, the trust document and the revocations of now.
    fn by<R, T>(&self, rule: Rule<R, T>, request: &R) -> Answer<T> {
        let whose = (&self.trust_domain, &self.trust());
        let now = (self.clock)();
        rule(&self.signing(), whose, request, &self.held(), now).map(Json)
    }

    fn trust(&self) -> VerifiedTrust {
        self.trust
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

type Answer<T> = Result<Json<T>, Problem>;

/// How one kind of credential is signed, or not.
type Rule<R, T> =
    fn(&Authorities, (&TrustDomain, &VerifiedTrust), &R, &Held, Timestamp) -> Result<T, Problem>;

async fn ready() -> Json<Done> {
    Json(Done {})
}

async fn sign_x509(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignX509>,
) -> Answer<SignedX509> {
    signer.by(x509::sign, &request)
}

/// Signs several; their arithmetic stands in nobody's way.
async fn sign_x509s(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignX509s>,
) -> Answer<IssuedX509s> {
    let signing = tokio::task::spawn_blocking(move || signer.by(x509::sign_all, &request));
    let signed = signing.await;
    signed.map_err(|error| Problem::internal("sign", &error))?
}

async fn sign_wit(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignWit>,
) -> Answer<SignedToken> {
    signer.by(wit::sign, &request)
}

async fn sign_jwt(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignJwt>,
) -> Answer<SignedToken> {
    signer.by(jwt::sign, &request)
}

async fn authorities(State(signer): State<Arc<Signer>>) -> Json<AuthorityStates> {
    Json(signer.authorities())
}

async fn prepare_authority(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<PrepareAuthority>,
) -> Answer<Authority> {
    let prepare =
        move |all: &mut Authorities, trust: &VerifiedTrust, now| all.prepare(request, trust, now);
    let prepared = Arc::clone(&signer).change(prepare).await?;
    let wanted = prepared.kind == AuthorityKind::X509 && !request.bare;
    let remote = match wanted && prepared.chain.is_empty() {
        true => signer.signing().remote(prepared.id),
        false => None,
    };
    let Some((vault, csr, lifetime_seconds)) = remote else {
        return Ok(prepared);
    };
    // Who is asked may take its time: nothing is held meanwhile.
    let id = prepared.id;
    let certified = match vault.certify(&csr, lifetime_seconds).await {
        Ok(chain) => {
            let chain: Vec<_> = chain.iter().map(base64url::encode).collect();
            let certify = move |all: &mut Authorities, trust: &VerifiedTrust, now| {
                all.certify(id, &chain, trust, now)
            };
            Arc::clone(&signer).change(certify).await
        }
        Err(error) => Err(Problem::unavailable("authority_root", told(&error))
            .with_remedy("look at the signer's root.json and at what it names")),
    };
    if certified.is_err() {
        // What has no certificate would stand in the way of the next attempt.
        let destroy = move |all: &mut Authorities, _: &VerifiedTrust, _| all.destroy(id);
        drop(signer.change(destroy).await?);
    }
    certified
}

/// An error with what caused it.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

async fn certify_authority(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<CertifyAuthority>,
) -> Answer<Authority> {
    let certify = move |all: &mut Authorities, trust: &VerifiedTrust, now| {
        all.certify(request.id, &request.chain, trust, now)
    };
    signer.change(certify).await
}

async fn activate_authority(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<ChangeAuthority>,
) -> Answer<Authority> {
    let activate = move |all: &mut Authorities, trust: &VerifiedTrust, now| {
        all.activate(request.id, trust, now)
    };
    signer.change(activate).await
}

async fn taint_authority(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<ChangeAuthority>,
) -> Answer<Authority> {
    let taint = move |all: &mut Authorities, _: &VerifiedTrust, _| all.taint(request.id);
    signer.change(taint).await
}

async fn destroy_authority(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<ChangeAuthority>,
) -> Answer<Authority> {
    let destroy = move |all: &mut Authorities, _: &VerifiedTrust, _| all.destroy(request.id);
    signer.change(destroy).await
}

async fn sign_wit_svid(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignWitSvid>,
) -> Answer<SignedToken> {
    signer.by(wit_svid::sign, &request)
}

async fn sign_root(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignRoot>,
) -> Answer<SignedToken> {
    root::sign(
        &signer.keys,
        &signer.trust(),
        &request,
        (&signer.held(), &signer.consents),
        (signer.clock)(),
    )
    .map(Json)
}

async fn sign_access(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignAccess>,
) -> Answer<SignedToken> {
    access::sign(
        &signer.keys,
        &signer.trust(),
        &request,
        &signer.held(),
        (signer.clock)(),
    )
    .map(Json)
}

async fn count_consent(
    State(signer): State<Arc<Signer>>,
    UrlPath(id): UrlPath<ConsentId>,
) -> Json<ConsentCount> {
    let consents = signer.consents.lock();
    Json(consents.unwrap_or_else(PoisonError::into_inner).count(id))
}

async fn last_checkpoint(State(signer): State<Arc<Signer>>) -> Answer<LastCheckpoint> {
    let last = signer
        .log
        .last_signed()
        .map_err(|error| Problem::internal("checkpoint", &error))?;
    Ok(Json(LastCheckpoint {
        text: last.map(|checkpoint| checkpoint.to_string()),
    }))
}

/// Signs a checkpoint that continues the last one; the disk is asked on a thread of its own.
async fn sign_checkpoint(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignCheckpoint>,
) -> Answer<SignedCheckpoint> {
    let consistency = request
        .consistency
        .iter()
        .map(|hash| base64url::decode_array(hash).map(TreeHash::from_bytes))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Problem::bad_request("consistency", error.to_string()))?;
    let sign = move || signer.log.sign(&request.text, &consistency);
    let signatures = tokio::task::spawn_blocking(sign)
        .await
        .map_err(|error| Problem::internal("sign", &error))?
        .map_err(|error| Problem::conflict("ratchet", error.to_string()))?;
    let signatures = signatures.iter().map(|one| CheckpointSignature {
        key_id: base64url::encode(one.key_id()),
        signature: base64url::encode(one.signature()),
    });
    Ok(Json(SignedCheckpoint {
        signatures: signatures.collect(),
    }))
}

/// Signs a snapshot once it is held on the disk.
async fn sign_snapshot(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<SignSnapshot>,
) -> Answer<SignedSnapshot> {
    let trust = signer.trust();
    let sign = move |ratchet: &mut SnapshotRatchet, keys: &StandingKeys, now| {
        ratchet.sign((keys, &trust), &request, now)
    };
    signer.ratchet(sign).await
}

/// Lets go of a revocation: signed by the roots that are in force.
async fn lift(State(signer): State<Arc<Signer>>, Json(request): Json<SignedLift>) -> Answer<Done> {
    let verified = request.verify(&signer.trust(), &AwsLc);
    let revocation = verified.map_err(|error| Problem::forbidden("lift", error.to_string()))?;
    let lift = move |ratchet: &mut SnapshotRatchet, _: &StandingKeys, _| {
        ratchet.lift(&revocation)?;
        Ok(Done {})
    };
    signer.ratchet(lift).await
}

/// Installs a later version of the trust document: signed by the roots that are in force.
async fn install_trust(
    State(signer): State<Arc<Signer>>,
    Json(request): Json<TrustText>,
) -> Answer<Done> {
    let refused = |error: &dyn std::error::Error| Problem::forbidden("trust", error.to_string());
    let next = SignedTrust::parse(request.document.as_bytes()).map_err(|e| refused(&e))?;
    let mut trust = signer.trust.write().unwrap_or_else(PoisonError::into_inner);
    if next == *trust.signed() {
        return Ok(Json(Done {}));
    }
    let accepted = trust.accept(next, &AwsLc).map_err(|e| refused(&e))?;
    replace_private_file(&signer.trust_file, request.document.as_bytes())
        .map_err(|error| Problem::internal("trust", &error))?;
    *trust = accepted;
    Ok(Json(Done {}))
}

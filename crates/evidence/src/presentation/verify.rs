use std::fmt;

use chancery_attestation::Evidence;
use chancery_audit::{CredentialForm, Entry, Event, IdentityIssue, SessionJoin, SessionOpen};
use chancery_delegation::{
    ChainContext, Consent, ConsentArtefact, IssuerKey, ManifestContext, TrustAnchor, VerifiedChain,
    VerifiedManifest, verify_chain, verify_consent, verify_manifest,
};
use chancery_identity::trust::{LogOrigin, UnwitnessedRule, VerifiedTrust};
use chancery_identity::{TrustDomain, VerifiedWit, WitBundle, verify_wit};
use chancery_session::Member;
use chancery_tlog::{LogPolicy, TreeHash, VerifiedCheckpoint, verify_checkpoint_cosigned};
use chancery_types::limits::MAX_CHAIN_LINKS;
use chancery_types::{Digest, SignatureVerifier, Timestamp, base64url, causes};

use super::document::{Enrolled, Parts, Presentation};
use super::holder::verify_holder;
use super::{Challenge, Part, PresentationRefusal};
use crate::log::{log_keys, witness_policy};
use crate::snapshot::VerifiedSnapshot;
use crate::verify::{enrolment, is_token};

/// How far the clocks of two writers may differ.
const SKEW_SECONDS: u64 = 5;

/// What a relying party decides about presentations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How old the snapshot may be, in seconds: for so long a revocation may be unknown here.
    pub max_snapshot_age: u64,
}

/// What a relying party knows and a presentation cannot say.
#[derive(Clone, Copy)]
pub struct PresentationContext<'a> {
    /// Everything that may speak, from outside.
    pub trust: &'a VerifiedTrust,
    /// The time.
    pub now: Timestamp,
    /// What is taken.
    pub policy: Policy,
    /// The arithmetic.
    pub verifier: &'a dyn SignatureVerifier,
}

/// A presentation whose every part stands, belongs to the others, and was signed by the holder of the
/// one key just now. Only [`verify_presentation`] makes one. That the session is still open is not
/// among what it says: what was revoked until the snapshot was made is.
#[derive(Debug)]
pub struct VerifiedPresentation {
    pub(super) audience: String,
    pub(super) made: Timestamp,
    pub(super) wit: VerifiedWit,
    pub(super) evidence: Evidence,
    pub(super) issued: IdentityIssue,
    pub(super) manifest: VerifiedManifest,
    pub(super) chain: VerifiedChain,
    pub(super) consent: Consent,
    pub(super) hardware_consent: bool,
    pub(super) stand_in: bool,
    pub(super) snapshot: VerifiedSnapshot,
    pub(super) opened: SessionOpen,
    pub(super) witnessed: [(String, bool); 2],
}

/// Verifies a presentation against trust from outside, for the challenge that was given out: first
/// that the holder answers it, then part by part. Takes the challenge, which is good for one answer.
/// Fails closed with the first reason found.
pub fn verify_presentation(
    bytes: &[u8],
    challenge: Challenge,
    context: &PresentationContext<'_>,
) -> Result<VerifiedPresentation, PresentationRefusal> {
    let presentation = Presentation::parse(bytes)?;
    let (parts, audience) = (&presentation.parts, challenge.audience.clone());
    let desk = Desk { context, parts };
    let wit = desk.credential()?;
    let (now, verifier) = (context.now, context.verifier);
    let made = verify_holder(&presentation, wit.agent_key(), challenge, now, verifier)?;
    let evidence = desk.evidence(&wit)?;
    let server = desk.log(Part::ServerCheckpoint)?;
    let issued = desk.issued(&server, &wit, &evidence)?;
    let snapshot = desk.snapshot()?;
    let manifest = desk.manifest(&wit, &snapshot)?;
    let gateway = desk.log(Part::GatewayCheckpoint)?;
    let (opened, joined) = desk.session(&gateway, &wit)?;
    desk.policy(&manifest, &snapshot, &opened)?;
    let chain = desk.chain(&wit, &snapshot, &opened, &joined)?;
    desk.rooted(&server, &chain, &opened)?;
    let (consent, hardware_consent, stand_in) = desk.consent(&chain)?;
    let witnessed = [server, gateway].map(|log| (log.known.origin.clone(), log.witnessed));
    Ok(VerifiedPresentation {
        audience,
        made,
        wit,
        evidence,
        issued,
        manifest,
        chain,
        consent,
        hardware_consent,
        stand_in,
        snapshot,
        opened,
        witnessed,
    })
}

/// One presentation on the desk.
struct Desk<'a> {
    context: &'a PresentationContext<'a>,
    parts: &'a Parts,
}

/// A log whose checkpoint stands.
struct StandingLog<'a> {
    known: &'a LogOrigin,
    checkpoint: VerifiedCheckpoint,
    witnessed: bool,
}

type Verdict<T> = Result<T, PresentationRefusal>;

impl<'a> Desk<'a> {
    fn credential(&self) -> Verdict<VerifiedWit> {
        let trust = self.context.trust;
        let domain: TrustDomain = (trust.trust_domain.parse())
            .map_err(|_| PresentationRefusal::Trust("names no trust domain".to_owned()))?;
        let keys = WitBundle::new(domain, trust.token_authorities.iter().copied());
        let (now, verifier) = (self.context.now, self.context.verifier);
        verify_wit(&self.parts.credential, &keys, now, verifier)
            .map_err(PresentationRefusal::Credential)
    }

    fn evidence(&self, wit: &VerifiedWit) -> Verdict<Evidence> {
        let part = Part::Evidence;
        let bytes = decode(part, &self.parts.evidence)?;
        let evidence =
            Evidence::parse(&bytes).map_err(|_| PresentationRefusal::PartMalformed(part))?;
        let claims = wit.claims();
        let same = evidence.level() == claims.attestation_level
            && evidence.isolation() == claims.isolation;
        belongs(
            part,
            same,
            "of another level or isolation than the token says",
        )?;
        Ok(evidence)
    }

    /// The log whose checkpoint this is, by what it says itself; whose keys signed it follows.
    fn log(&self, part: Part) -> Verdict<StandingLog<'a>> {
        let (trust, verifier) = (self.context.trust, self.context.verifier);
        let note = match part {
            Part::ServerCheckpoint => &self.parts.checkpoints.server,
            _ => &self.parts.checkpoints.gateway,
        };
        let refused = |why: String| PresentationRefusal::Checkpoint(part, why);
        let origin = note.lines().next().unwrap_or_default();
        let known = match part {
            Part::ServerCheckpoint => trust.server_of_origin(origin),
            _ => trust.gateway_of_origin(origin),
        };
        let known = known.ok_or_else(|| refused("names no such log".to_owned()))?;
        // What was lost when another log went on from it would count here still.
        if trust.current_log(&known.origin) != Some(known) {
            return Err(refused("another log goes on from it".to_owned()));
        }
        let unusable = |problem: crate::LogProblem| PresentationRefusal::Trust(problem.to_string());
        let keys = log_keys(known).map_err(unusable)?;
        let policy: Option<LogPolicy> = witness_policy(trust).map_err(unusable)?;
        let (checkpoint, cosigned) =
            verify_checkpoint_cosigned(note.as_bytes(), &keys, policy.as_ref(), verifier)
                .map_err(|error| refused(causes(&error)))?;
        let withheld = (trust.witnesses.as_ref())
            .is_some_and(|rule| rule.unwitnessed == UnwitnessedRule::Withhold);
        if withheld && !cosigned.is_met() {
            return Err(PresentationRefusal::Unwitnessed(part));
        }
        Ok(StandingLog {
            known,
            checkpoint,
            witnessed: cosigned.is_met(),
        })
    }

    /// The entry of a part, in that log or in one of the same writer that it goes on from.
    fn enrolled(&self, part: Part, log: &StandingLog<'_>, at: &Enrolled) -> Verdict<Entry> {
        let bytes = decode(part, &at.entry)?;
        let path: Result<Vec<TreeHash>, _> = at.path.iter().map(|hash| hash.parse()).collect();
        let path = path.map_err(|_| PresentationRefusal::PartMalformed(part))?;
        log.checkpoint
            .verify_inclusion(at.index, &bytes, &path)
            .map_err(|_| PresentationRefusal::NotEnrolled(part))?;
        let entry = Entry::parse(&bytes).map_err(|_| PresentationRefusal::PartMalformed(part))?;
        let trust = self.context.trust;
        let written = trust.log_origin(entry.origin.as_str());
        let own = written.is_some_and(|written| {
            written.writer == log.known.writer
                && trust.current_log(&written.origin) == trust.current_log(&log.known.origin)
        });
        let ahead = self.context.now.plus_seconds(SKEW_SECONDS);
        if own && entry.at <= ahead {
            Ok(entry)
        } else {
            Err(PresentationRefusal::WrongEntry(part))
        }
    }

    fn issued(
        &self,
        log: &StandingLog<'_>,
        wit: &VerifiedWit,
        evidence: &Evidence,
    ) -> Verdict<IdentityIssue> {
        let part = Part::Issued;
        let entry = self.enrolled(part, log, &self.parts.issued)?;
        let Event::IdentityIssue(issued) = entry.event else {
            return Err(PresentationRefusal::WrongEntry(part));
        };
        let claims = wit.claims();
        let mut credentials = issued.credentials.iter();
        let token = credentials.any(|it| it.form == CredentialForm::Wit && is_token(it, wit));
        belongs(part, token, "enrols another token or key")?;
        let same = issued.instance == *claims.sub.as_str()
            && issued.manifest == claims.manifest_digest
            && issued.attestation_level == *claims.attestation_level.name()
            && issued.isolation.name() == claims.isolation.to_string();
        belongs(
            part,
            same,
            "says something else of the instance than the token",
        )?;
        let attested = evidence
            .digest()
            .is_ok_and(|digest| digest == issued.evidence)
            && issued.executable == evidence.executable()
            && issued.launch == evidence.launch();
        belongs(part, attested, "enrols other evidence")?;
        Ok(issued)
    }

    fn manifest(
        &self,
        wit: &VerifiedWit,
        snapshot: &VerifiedSnapshot,
    ) -> Verdict<VerifiedManifest> {
        let issuers = self.context.trust.manifest_issuers.iter();
        let issuers: Vec<IssuerKey> = issuers.map(IssuerKey::from).collect();
        let context = ManifestContext {
            now: self.context.now,
            issuers: &issuers,
            revoked: &|agent| snapshot.revoked.has_agent(agent),
            verifier: self.context.verifier,
        };
        let envelope = decode(Part::Manifest, &self.parts.manifest)?;
        let manifest =
            verify_manifest(&envelope, &context).map_err(PresentationRefusal::Manifest)?;
        // The tools themselves are not presented; which catalog the manifest binds is shown.
        Member::new(wit, &manifest, manifest.catalog_hash())
            .map_err(PresentationRefusal::Member)?;
        Ok(manifest)
    }

    fn snapshot(&self) -> Verdict<VerifiedSnapshot> {
        let (trust, now) = (self.context.trust, self.context.now);
        let snapshot = self.parts.snapshot.clone();
        let snapshot = snapshot
            .verify(trust, self.context.verifier)
            .map_err(|_| PresentationRefusal::Snapshot)?;
        let most = self.context.policy.max_snapshot_age;
        let age = now.micros_since(snapshot.issued_at).div_ceil(1_000_000);
        if age > most || snapshot.issued_at > now.plus_seconds(SKEW_SECONDS) {
            return Err(PresentationRefusal::SnapshotStale { age, most });
        }
        if snapshot.trust_version > trust.version {
            return Err(PresentationRefusal::TrustSuperseded(snapshot.trust_version));
        }
        let same =
            snapshot.trust_version < trust.version || snapshot.trust_digest == trust.digest();
        belongs(
            Part::Snapshot,
            same,
            "names another trust document of this version",
        )?;
        Ok(snapshot)
    }

    /// One policy: the one that the manifest binds, that the session was opened under and that is in
    /// force, as the gateway demands of whoever enters a session.
    fn policy(
        &self,
        manifest: &VerifiedManifest,
        snapshot: &VerifiedSnapshot,
        opened: &SessionOpen,
    ) -> Verdict<()> {
        let one = opened.policy == snapshot.policy_digest
            && manifest.policy_bundle() == Some(snapshot.policy_digest);
        one.then_some(()).ok_or(PresentationRefusal::Policy)
    }

    fn session(
        &self,
        log: &StandingLog<'_>,
        wit: &VerifiedWit,
    ) -> Verdict<(SessionOpen, SessionJoin)> {
        let parts = self.parts;
        let Event::SessionOpen(opened) = self.enrolled(Part::Opened, log, &parts.opened)?.event
        else {
            return Err(PresentationRefusal::WrongEntry(Part::Opened));
        };
        let Event::SessionJoin(joined) = self.enrolled(Part::Joined, log, &parts.joined)?.event
        else {
            return Err(PresentationRefusal::WrongEntry(Part::Joined));
        };
        let own = opened.gateway == *log.known.writer.as_str();
        belongs(Part::Opened, own, "of another gateway than the log's")?;
        let open = self.context.now < opened.expires;
        belongs(
            Part::Opened,
            open,
            "of a session that is over by its own date",
        )?;
        let order = joined.session == opened.session && parts.opened.index < parts.joined.index;
        belongs(Part::Joined, order, "of another session than was opened")?;
        let claims = wit.claims();
        let same = joined.instance == *claims.sub.as_str()
            && joined.agent_key == claims.cnf.jwk.thumbprint()
            && joined.manifest == claims.manifest_digest
            && joined.attestation_level == *claims.attestation_level.name()
            && joined.isolation.name() == claims.isolation.to_string();
        belongs(Part::Joined, same, "of another instance, key or manifest")?;
        Ok((opened, joined))
    }

    fn chain(
        &self,
        wit: &VerifiedWit,
        snapshot: &VerifiedSnapshot,
        opened: &SessionOpen,
        joined: &SessionJoin,
    ) -> Verdict<VerifiedChain> {
        let part = Part::Chain;
        let anchors = self.context.trust.delegation_authorities.iter();
        let anchors: Vec<TrustAnchor> = anchors.map(TrustAnchor::from).collect();
        let context = ChainContext {
            now: self.context.now,
            audience: opened.gateway.as_str(),
            anchors: &anchors,
            epoch: snapshot.epoch,
            revoked: &snapshot.revoked,
            verifier: self.context.verifier,
        };
        let links = self.parts.chain.iter().take(MAX_CHAIN_LINKS + 1);
        let links: Vec<&str> = links.map(String::as_str).collect();
        let chain = verify_chain(&links, &context).map_err(PresentationRefusal::Chain)?;
        let holder = chain.leaf_key() == wit.agent_key() && chain.leaf_subject() == wit.spiffe_id();
        belongs(part, holder, "its leaf is for another instance or key")?;
        belongs(
            part,
            joined.chain == chain.digest(),
            "not the one that was joined with",
        )?;
        let root = opened.root == *chain.root().jti()
            && opened.mission == chain.mission()
            && chain.sid() == opened.session.to_string();
        belongs(part, root, "not of the session that was opened")?;
        Ok(chain)
    }

    fn rooted(
        &self,
        log: &StandingLog<'_>,
        chain: &VerifiedChain,
        opened: &SessionOpen,
    ) -> Verdict<()> {
        let part = Part::Rooted;
        let entry = self.enrolled(part, log, &self.parts.rooted)?;
        let Event::DelegationRoot(enrolled) = entry.event else {
            return Err(PresentationRefusal::WrongEntry(part));
        };
        let expected = enrolment(chain, opened.session, opened.assurance, enrolled.principal);
        belongs(part, enrolled == expected, "enrols another root")
    }

    /// The consent, and whether the person's key is in hardware and whether it stands in for one.
    fn consent(&self, chain: &VerifiedChain) -> Verdict<(Consent, bool, bool)> {
        let artefact = decode(Part::Consent, &self.parts.consent)?;
        let read = ConsentArtefact::parse(&artefact)
            .map_err(|_| PresentationRefusal::PartMalformed(Part::Consent))?;
        let credential_id = &read.assertion().credential_id;
        let known =
            (self.context.trust).principal_credential(credential_id, &chain.principal().subject);
        let (_, known) = known.ok_or(PresentationRefusal::NotPrincipal)?;
        let consent = verify_consent(chain, &artefact, &known.into(), self.context.verifier)
            .map_err(PresentationRefusal::Consent)?;
        Ok((consent, known.hardware, known.stand_in))
    }
}

fn decode(part: Part, text: &str) -> Verdict<Vec<u8>> {
    base64url::decode(text).map_err(|_| PresentationRefusal::PartMalformed(part))
}

fn belongs(part: Part, holds: bool, otherwise: &'static str) -> Verdict<()> {
    holds
        .then_some(())
        .ok_or(PresentationRefusal::Differs(part, otherwise))
}

impl VerifiedPresentation {
    /// Which instance holds the key.
    pub const fn credential(&self) -> &VerifiedWit {
        &self.wit
    }

    /// What was attested of its process.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What its agent is made of.
    pub const fn manifest(&self) -> &VerifiedManifest {
        &self.manifest
    }

    /// What it may do, and on whose behalf.
    pub const fn chain(&self) -> &VerifiedChain {
        &self.chain
    }

    /// The person's agreement to the chain's root.
    pub const fn consent(&self) -> &Consent {
        &self.consent
    }

    /// What is in force, and how old that knowledge is.
    pub const fn snapshot(&self) -> &VerifiedSnapshot {
        &self.snapshot
    }

    /// The session that it acts in.
    pub const fn session(&self) -> &SessionOpen {
        &self.opened
    }

    /// The thumbprint of the one key that everything leads to.
    pub fn holder(&self) -> Digest {
        self.wit.agent_key().thumbprint()
    }

    /// When the first of its parts ends.
    pub fn expires_at(&self) -> Timestamp {
        let parts = [
            self.wit.expires(),
            self.manifest.expires_at(),
            self.opened.expires,
        ];
        parts
            .into_iter()
            .fold(self.chain.expires_at(), Timestamp::min)
    }
}

impl fmt::Debug for PresentationContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentationContext")
            .field("now", &self.now)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

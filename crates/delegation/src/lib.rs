//! Authority: delegation chains, proofs of possession, consents and approvals, agent manifests.
//!
//! Pure: time, the arithmetic of signatures and private keys are arguments. What verification
//! returns only verification can make; refusals carry one [`Reason`] each.

pub mod access_token;
pub mod chain;
pub mod draft;
pub mod handshake;
pub mod http_signature;
pub mod manifest;
pub mod proof;
pub mod revocation;
pub mod rules;
pub mod standing;
pub mod token;
pub mod webauthn;

mod approval;
mod consent;
mod mission;
mod reason;
mod trusted;

pub use approval::{
    Answer, Approval, ApprovalError, ApprovalStatement, Denial, Verdict, verify_approval,
};
pub use chain::{
    ChainContext, ChainReading, ChainTip, Coverage, Examination, LinkStanding, Restriction, Scope,
    Standing, TrustAnchor, VerifiedChain, VerifiedLink, authorise, examine_chain, verify_chain,
};
pub use consent::{Consent, ConsentError, consent_challenge, verify_consent};
pub use draft::{DraftError, LinkDraft, PersonDraft, ProofDraft, RootDraft, Signer, Terms};
pub use manifest::{
    AuthenticManifest, CatalogError, CatalogTool, EnforcementMode, IssuerKey, ManifestContext,
    ManifestError, ManifestTool, SealError, VerifiedManifest, authenticate_manifest, catalog_root,
    seal_manifest_payload, sign_manifest, verify_manifest,
};
pub use mission::{
    Approver, Budget, MAX_MISSION_BYTES, MISSION_FORM, Mission, MissionError, MissionProblem,
    Progress, Step, StopCondition, Unserved,
};
pub use proof::{
    BoundedReplayMemory, ProofContext, ReplayMemory, ReplayRefusal, VerifiedProof,
    arguments_digest, verify_proof,
};
pub use reason::{Reason, ReasonError, Refusal};
pub use revocation::{Revocable, RevocableError, Revocation, RevocationSet, RevocationSetError};
pub use rules::{ChainRules, ChainRulesError, RuleBreach, RuleReason};
pub use standing::{
    ConsentArtefact, RootTerms, SignedStanding, StandingError, StandingForm, StandingReason,
    StandingStatement,
};
pub use token::{
    Call, CleanPath, Constraint, Entry, Grant, Judgement, Limits, LinkClaims, Network, Principal,
    RootClaims, Scalar, StandingUse, Target, read_arguments,
};
pub use webauthn::{
    Assertion, AssertionError, Credential, Registration, RegistrationError, SoftwareAuthenticator,
    VerifiedAssertion, VerifiedRegistration, verify_assertion, verify_registration,
};

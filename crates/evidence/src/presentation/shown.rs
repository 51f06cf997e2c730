use std::fmt;

use chancery_attestation::{AttestationLevel, Isolation};
use chancery_audit::Assurance;
use chancery_types::{Digest, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::VerifiedPresentation;

/// What a verified presentation says, for a program or a person to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The relying party that asked.
    pub audience: String,
    /// When the holder answered.
    pub made: Timestamp,
    /// The thumbprint of the one key.
    pub holder: Digest,
    /// The instance's SPIFFE ID.
    pub instance: String,
    /// The node that attested it.
    pub node: String,
    /// What vouches for it.
    pub attestation_level: String,
    /// Whether it is fenced in.
    pub isolation: String,
    /// The digest of the file that it executes.
    pub executable: Digest,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The person on whose behalf, by the identifier of the trust document.
    pub person: String,
    /// What the root rests on.
    pub assurance: String,
    /// The digest of the mission.
    pub mission: Digest,
    /// What it may do: `authorization_details` of the leaf.
    pub entries: Vec<Value>,
    /// How many delegations stand between the person and the holder.
    pub links: usize,
    /// The session.
    pub session: String,
    /// Its home gateway.
    pub gateway: String,
    /// The digest of the policy bundle: in force, bound by the manifest, and of the session.
    pub policy: Digest,
    /// The version of the trust document in force.
    pub trust_version: u64,
    /// Until when revocations are known.
    pub revocations_until: Timestamp,
    /// When the first part ends.
    pub expires: Timestamp,
    /// What is weaker than it could be, each in the words of the evidence.
    pub notes: Vec<String>,
}

impl From<&VerifiedPresentation> for Shown {
    fn from(it: &VerifiedPresentation) -> Self {
        let (claims, chain) = (it.wit.claims(), &it.chain);
        Self {
            audience: it.audience.clone(),
            made: it.made,
            holder: it.holder(),
            instance: claims.sub.to_string(),
            node: it.issued.node.to_string(),
            attestation_level: claims.attestation_level.name().to_owned(),
            isolation: claims.isolation.to_string(),
            executable: it.evidence.executable(),
            manifest: claims.manifest_digest,
            person: chain.principal().subject.clone(),
            assurance: it.opened.assurance.name().to_owned(),
            mission: chain.mission(),
            entries: chain
                .leaf()
                .entries()
                .iter()
                .map(|entry| entry.to_json())
                .collect(),
            links: chain.links().len(),
            session: it.opened.session.to_string(),
            gateway: it.opened.gateway.to_string(),
            policy: it.snapshot.policy_digest,
            trust_version: it.snapshot.trust_version,
            revocations_until: it.snapshot.issued_at,
            expires: it.expires_at(),
            notes: notes(it),
        }
    }
}

fn notes(it: &VerifiedPresentation) -> Vec<String> {
    let mut notes = Vec::new();
    let claims = it.wit.claims();
    let software = [AttestationLevel::Process, AttestationLevel::Launch];
    if software.contains(&claims.attestation_level) {
        notes.push(format!(
            "software-only: attestation {}",
            claims.attestation_level.name()
        ));
    }
    if claims.isolation == Isolation::Unisolated {
        notes.push("unisolated: the instance".to_owned());
    }
    if !it.hardware_consent {
        notes.push("software-only: the person's key".to_owned());
    }
    if it.opened.assurance == Assurance::Standing {
        notes.push(
            "standing: the person consented to the agent, and to no instance or key".to_owned(),
        );
    }
    if it.stand_in {
        notes.push("stand-in: the person's authenticator".to_owned());
    }
    for (origin, witnessed) in &it.witnessed {
        if !witnessed {
            notes.push(format!("unwitnessed: {origin}"));
        }
    }
    let unproven = it.manifest.unproven().iter();
    notes.extend(unproven.map(|artefact| format!("unproven: {artefact} of the manifest")));
    notes
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "holder       {}", self.holder)?;
        writeln!(f, "instance     {}", self.instance)?;
        writeln!(
            f,
            "attested     {}, {}, by {}",
            self.attestation_level, self.isolation, self.node
        )?;
        writeln!(f, "executable   {}", self.executable)?;
        writeln!(f, "manifest     {}", self.manifest)?;
        writeln!(
            f,
            "on behalf of {} ({}), {} links",
            self.person, self.assurance, self.links
        )?;
        writeln!(f, "mission      {}", self.mission)?;
        for entry in &self.entries {
            writeln!(f, "may          {entry}, decided at the gateway")?;
        }
        writeln!(f, "session      {} at {}", self.session, self.gateway)?;
        writeln!(f, "policy       {}", self.policy)?;
        writeln!(f, "revocations  known until {}", self.revocations_until)?;
        write!(f, "good until   {}", self.expires)?;
        for note in &self.notes {
            write!(f, "\nnote         {note}")?;
        }
        Ok(())
    }
}

//! Who signs policy bundles, and how many people must.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use chancery_crypto::AwsLc;
use chancery_identity::trust::{PolicyQuorum, TrustDocument};
use chancery_types::id::PersonId;
use chancery_types::{Jwk, Timestamp};

use crate::args::TrustChangeArgs;
use crate::deployment::Layout;
use crate::output;

/// Whether the change is about who signs policy bundles.
pub(super) fn is_asked(args: &TrustChangeArgs) -> bool {
    args.policy_quorum.is_some()
        || !args.add_policy_signer.is_empty()
        || !args.policy_signer_of.is_empty()
        || !args.remove_policy_signer.is_empty()
}

/// Changes who signs policy bundles. A quorum that rises holds from now on: what was decided before rests on
/// fewer signatures.
pub(super) fn edit(
    trust: &mut TrustDocument,
    args: &TrustChangeArgs,
    now: Timestamp,
) -> anyhow::Result<()> {
    if !is_asked(args) {
        return Ok(());
    }
    let mut quorum = trust.policy_quorum.take().unwrap_or(PolicyQuorum {
        people: 1,
        since: now,
        signers: BTreeMap::new(),
    });
    for kid in &args.remove_policy_signer {
        let before = trust.policy_signers.len();
        trust.policy_signers.retain(|key| key.kid() != *kid);
        ensure!(
            trust.policy_signers.len() < before,
            "{kid}: no such policy signer"
        );
        quorum.signers.remove(kid);
    }
    for signer in &args.add_policy_signer {
        let key = public_half(&signer.file)?;
        ensure!(
            !trust.policy_signers.contains(&key),
            "{}: named already",
            signer.file.display()
        );
        trust.policy_signers.push(key);
        name(trust, &mut quorum, signer.person, key.kid())?;
    }
    for signer in &args.policy_signer_of {
        let mut known = trust.policy_signers.iter();
        ensure!(
            known.any(|key| key.kid() == signer.kid),
            "{}: no such policy signer; `trust show --format json` has them",
            signer.kid
        );
        name(trust, &mut quorum, signer.person, signer.kid.clone())?;
    }
    let people = args.policy_quorum.unwrap_or(quorum.people);
    if people > quorum.people {
        quorum.since = now;
    }
    quorum.people = people;
    let unnamed = trust.policy_signers.iter().map(Jwk::kid);
    let unnamed: Vec<_> = unnamed
        .filter(|kid| !quorum.signers.contains_key(kid))
        .collect();
    ensure!(
        unnamed.is_empty(),
        "nobody is named whose the policy signer {} is: --policy-signer-of PERSON=KID",
        unnamed.join(", ")
    );
    trust.policy_quorum = Some(quorum);
    Ok(())
}

fn name(
    trust: &TrustDocument,
    quorum: &mut PolicyQuorum,
    person: PersonId,
    kid: String,
) -> anyhow::Result<()> {
    ensure!(
        trust.person(person).is_some(),
        "{person}: the trust document names no such person; enrol or invite them first"
    );
    quorum.signers.insert(kid, person);
    Ok(())
}

/// Refuses a quorum that fewer holders of root keys could take away again than it names people: it would promise
/// more than it holds.
pub(super) fn check_roots(next: &TrustDocument) -> anyhow::Result<()> {
    let Some(quorum) = &next.policy_quorum else {
        return Ok(());
    };
    ensure!(
        quorum.people <= next.threshold,
        "--policy-quorum {}: {} of the root keys can change who is counted, so that fewer people than that could \
         put a policy in force; raise --threshold first, or say --force",
        quorum.people,
        next.threshold
    );
    Ok(())
}

/// Says aloud where root keys lie beside what they are to hold: whoever has the machine has them.
pub(super) fn warn_of_roots(next: &TrustDocument, layout: &Layout) -> anyhow::Result<()> {
    let held = layout.trust_roots()?;
    let held = held.iter().filter(|key| next.roots.contains(key.public()));
    let held = held.count();
    if next.policy_quorum.is_some() && held > 0 {
        output::say(format!(
            "WARNING: {held} of the {} root keys lie in the data folder: whoever has this machine signs with them, \
             and {} root keys change who must sign a policy; keep them elsewhere",
            next.roots.len(),
            next.threshold
        ));
    }
    Ok(())
}

/// A public key in a file.
pub(super) fn public_half(file: &Path) -> anyhow::Result<Jwk> {
    let shown = || file.display().to_string();
    let text = std::fs::read(file).with_context(shown)?;
    let value = chancery_types::parse_strict(&text).with_context(shown)?;
    serde_json::from_value(value).with_context(shown)
}

/// Refuses a document under which the policy in force would govern no more: gateways would come to a stand.
pub(super) async fn check_in_force(next: &TrustDocument, layout: &Layout) -> anyhow::Result<()> {
    let client = layout.server_client();
    let known = "the server says which policy is in force; or say --force";
    let digest = client.status().await.context(known)?.policy_digest;
    let bundle = client.policy(digest).await.context(known)?;
    let signers = bundle.signers(&next.policy_signers, &AwsLc);
    next.check_policy_signers(signers).context(
        "the policy in force would govern no more under that document: have others run `chancery policy \
         sign`, publish it again, and change the document then",
    )
}

//! `chancery policy sign`: one more person's signature over a bundle.

use std::path::Path;

use anyhow::Context as _;
use chancery_crypto::{AwsLc, SigningKey, read_private_file};
use chancery_policy::{BundleSignature, SignedBundle};
use chancery_session::Rulebook;
use chancery_types::{Algorithm, Digest, Jwk, base64url};
use serde::Serialize;

use super::{approvals, read, test, to_files, warn_observed};
use crate::args::{DataArgs, Format, PolicySignArgs};
use crate::output;

/// A bundle that one more signed.
#[derive(Debug, Serialize)]
struct Signed<'a> {
    file: &'a Path,
    name: &'a str,
    version: u64,
    policy: Digest,
    /// Who has signed it, by key id: the key that signed here, and those of the trust document at hand.
    signers: Vec<String>,
    /// Key ids of signatures that could not be verified here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unverified: Vec<String>,
}

/// Needs no deployment where the key is given.
pub(super) fn run(format: Format, data: &DataArgs, args: &PolicySignArgs) -> anyhow::Result<()> {
    let shown = || args.folder.display().to_string();
    let files = to_files(read(&args.folder)?);
    let bundle = Rulebook::load(&files).with_context(shown)?;
    test::require(&args.folder, &bundle, &files)?;
    warn_observed(&bundle);
    let key = match &args.key {
        Some(file) => {
            let secret = read_private_file(file)?;
            SigningKey::from_pkcs8(Algorithm::Ed25519, secret)
                .with_context(|| file.display().to_string())?
        }
        None => crate::commands::layout(data)?.policy_key()?,
    };
    let (policy, folder) = (bundle.digest(), &args.folder);
    let (file, signatures) = approvals::keep(folder, policy, signature(&key, policy)?)?;
    let trust = crate::commands::layout(data).and_then(|layout| layout.trust());
    let mut known = vec![*key.public()];
    known.extend(trust.iter().flat_map(|trust| trust.policy_signers.iter()));
    let verified = BundleSignature::signers(&signatures, policy, &known, &AwsLc);
    let signers: Vec<String> = verified.into_iter().map(Jwk::kid).collect();
    let unverified = signatures.into_iter().map(|one| one.kid);
    let unverified = unverified.filter(|kid| !signers.contains(kid)).collect();
    let signed = Signed {
        file: &file,
        name: bundle.index().name(),
        version: bundle.index().version(),
        policy,
        signers,
        unverified,
    };
    output::result(format, &signed, || {
        let unverified = match signed.unverified.is_empty() {
            true => String::new(),
            false => format!(
                "; not verified here, since no key at hand made it: {}",
                signed.unverified.join(", ")
            ),
        };
        format!(
            "{}: bundle {}, version {}, {}, is signed by {}{unverified}",
            signed.file.display(),
            signed.name,
            signed.version,
            signed.policy,
            signed.signers.join(", ")
        )
    })
}

/// A key's signature over the bundle of that digest.
pub(super) fn signature(key: &SigningKey, policy: Digest) -> anyhow::Result<BundleSignature> {
    Ok(BundleSignature {
        kid: key.public().kid(),
        signature: base64url::encode(key.sign(&SignedBundle::statement(policy))?),
    })
}

use std::collections::BTreeMap;

use chancery_types::{Digest, Jwk, SignatureVerifier, base64url};
use serde::{Deserialize, Serialize};

use crate::{Files, bundle_digest};

/// A bundle's files with a policy signer's signature over its digest: what is published, served,
/// put in force and kept as evidence, each time verified anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedBundle {
    /// Path to text.
    pub files: BTreeMap<String, String>,
    /// The thumbprint of the policy signer's key.
    pub kid: String,
    /// The signature, base64url, over [`SignedBundle::statement`].
    pub signature: String,
}

impl SignedBundle {
    /// What a policy signer signs: the tag `chancery/policy/v1`, a zero byte and the bundle's digest
    /// as text.
    pub fn statement(digest: Digest) -> Vec<u8> {
        [b"chancery/policy/v1\0", digest.to_string().as_bytes()].concat()
    }

    /// The files as [`Bundle::load`](crate::Bundle::load) takes them.
    pub fn to_files(&self) -> Files {
        let text = self.files.iter();
        text.map(|(path, text)| (path.clone(), text.clone().into_bytes()))
            .collect()
    }

    /// The one of `signers` who signed these files; none when nobody of them did.
    pub fn signer<'a>(
        &self,
        signers: &'a [Jwk],
        verifier: &dyn SignatureVerifier,
    ) -> Option<&'a Jwk> {
        let statement = Self::statement(bundle_digest(&self.to_files()).ok()?);
        let signature = base64url::decode(&self.signature).ok()?;
        signers
            .iter()
            .find(|key| key.kid() == self.kid && verifier.verify(key, &statement, &signature))
    }
}

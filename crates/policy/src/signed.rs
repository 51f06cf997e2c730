use std::collections::BTreeMap;

use chancery_types::{Digest, Jwk, SignatureVerifier, base64url};
use serde::{Deserialize, Serialize};

use crate::{Files, bundle_digest};

/// A bundle's files with the signatures of policy signers over its digest: what is published, served,
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
    /// The signatures of others over the same; absent where one signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<BundleSignature>,
}

/// One policy signer's signature over [`SignedBundle::statement`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleSignature {
    /// The thumbprint of the signer's key.
    pub kid: String,
    /// The signature, base64url.
    pub signature: String,
}

impl SignedBundle {
    /// What a policy signer signs: the tag `chancery/policy/v1`, a zero byte and the bundle's digest
    /// as text. The digest is over `bundle.json` too, and so over the version.
    pub fn statement(digest: Digest) -> Vec<u8> {
        [b"chancery/policy/v1\0", digest.to_string().as_bytes()].concat()
    }

    /// The files as [`Bundle::load`](crate::Bundle::load) takes them.
    pub fn to_files(&self) -> Files {
        let text = self.files.iter();
        text.map(|(path, text)| (path.clone(), text.clone().into_bytes()))
            .collect()
    }

    /// These files with those of the signatures that `signers` made over them, one of each key; none where
    /// nobody of them signed.
    pub fn gathered(
        files: BTreeMap<String, String>,
        signatures: &[BundleSignature],
        signers: &[Jwk],
        verifier: &dyn SignatureVerifier,
    ) -> Option<Self> {
        let bytes = files.iter();
        let bytes: Files = bytes
            .map(|(path, text)| (path.clone(), text.clone().into_bytes()))
            .collect();
        let digest = bundle_digest(&bytes).ok()?;
        let of = |key: &Jwk| {
            let mut own = signatures.iter().filter(|one| one.kid == key.kid());
            own.find(|one| one.is_of(key, digest, verifier)).cloned()
        };
        let signed = BundleSignature::signers(signatures, digest, signers, verifier);
        let mut found = signed.into_iter().filter_map(of);
        let BundleSignature { kid, signature } = found.next()?;
        Some(Self {
            approvals: found.collect(),
            files,
            kid,
            signature,
        })
    }

    /// All its signatures, whoever made them.
    pub fn signatures(&self) -> Vec<BundleSignature> {
        let first = BundleSignature {
            kid: self.kid.clone(),
            signature: self.signature.clone(),
        };
        std::iter::once(first)
            .chain(self.approvals.iter().cloned())
            .collect()
    }

    /// Those of `signers` who signed these very files, each once; none when nobody of them did.
    pub fn signers<'a>(
        &self,
        signers: &'a [Jwk],
        verifier: &dyn SignatureVerifier,
    ) -> Vec<&'a Jwk> {
        match bundle_digest(&self.to_files()) {
            Ok(digest) => BundleSignature::signers(&self.signatures(), digest, signers, verifier),
            Err(_) => Vec::new(),
        }
    }
}

impl BundleSignature {
    /// Those of `signers` who signed the bundle of that digest, each once, in the order of `signers`: for
    /// whoever has the signatures and not the files.
    pub fn signers<'a>(
        signatures: &[Self],
        digest: Digest,
        signers: &'a [Jwk],
        verifier: &dyn SignatureVerifier,
    ) -> Vec<&'a Jwk> {
        let mut found: Vec<&Jwk> = Vec::new();
        for key in signers {
            let mut signed = signatures.iter();
            if !found.contains(&key) && signed.any(|one| one.is_of(key, digest, verifier)) {
                found.push(key);
            }
        }
        found
    }

    fn is_of(&self, key: &Jwk, digest: Digest, verifier: &dyn SignatureVerifier) -> bool {
        let signature = base64url::decode(&self.signature);
        self.kid == key.kid()
            && signature
                .is_ok_and(|bytes| verifier.verify(key, &SignedBundle::statement(digest), &bytes))
    }
}

//! Bundles that several sign: whose signature counts.

use std::collections::BTreeMap;

use chancery_crypto::{AwsLc, SigningKey};
use chancery_policy::{BundleSignature, SignedBundle, bundle_digest};
use chancery_types::{Algorithm, Digest, Jwk, base64url};

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}

fn files() -> BTreeMap<String, String> {
    BTreeMap::from([(
        "a.cedar".to_owned(),
        "permit(principal,action,resource);".to_owned(),
    )])
}

fn digest() -> Digest {
    let files = files().into_iter();
    let files = files
        .map(|(path, text)| (path, text.into_bytes()))
        .collect();
    bundle_digest(&files).unwrap()
}

fn signature(key: &SigningKey, digest: Digest) -> BundleSignature {
    BundleSignature {
        kid: key.public().kid(),
        signature: base64url::encode(key.sign(&SignedBundle::statement(digest)).unwrap()),
    }
}

#[test]
fn only_signatures_of_named_keys_over_these_files_are_gathered() {
    let (first, second, stranger) = (key(), key(), key());
    let known: Vec<Jwk> = vec![*first.public(), *second.public(), *first.public()];
    let other = Digest::of("another bundle");
    let borrowed = BundleSignature {
        kid: second.public().kid(),
        ..signature(&first, digest())
    };
    let signatures = [
        signature(&stranger, digest()),
        signature(&second, other),
        borrowed,
        signature(&first, digest()),
        signature(&first, digest()),
    ];
    let gathered = SignedBundle::gathered(files(), &signatures, &known, &AwsLc).unwrap();
    assert_eq!(gathered.kid, first.public().kid());
    assert_eq!(gathered.approvals, []);
    assert_eq!(gathered.signers(&known, &AwsLc), [first.public()]);
    // One signature alone has the form that it always had.
    let text = serde_json::to_string(&gathered).unwrap();
    assert!(!text.contains("approvals"));

    let both = [signature(&second, digest()), signature(&first, digest())];
    let gathered = SignedBundle::gathered(files(), &both, &known, &AwsLc).unwrap();
    assert_eq!(gathered.signers(&known, &AwsLc).len(), 2);
    let read: SignedBundle =
        serde_json::from_str(&serde_json::to_string(&gathered).unwrap()).unwrap();
    assert_eq!(read, gathered);
    // Over other files they are none.
    let mut altered = gathered;
    altered.files.insert("b.cedar".to_owned(), String::new());
    assert!(altered.signers(&known, &AwsLc).is_empty());

    for nobody in [
        vec![],
        vec![signature(&stranger, digest())],
        vec![signature(&first, other)],
    ] {
        assert_eq!(
            SignedBundle::gathered(files(), &nobody, &known, &AwsLc),
            None
        );
    }
    assert_eq!(SignedBundle::gathered(files(), &both, &[], &AwsLc), None);
}

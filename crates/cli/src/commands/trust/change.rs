//! `chancery trust change`, `key`, `sign` and `install`: the document as it travels between those who
//! hold root keys.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chancery_api::authority::{AuthorityKind, AuthorityList, AuthorityState};
use chancery_api::server::TrustText;
use chancery_crypto::{AwsLc, SigningKey, create_private_file, read_private_file};
use chancery_identity::trust::{SignedTrust, TrustDocument, VerifiedTrust};
use chancery_server::Clock;
use chancery_types::{Algorithm, Digest, Jwk, SignatureVerifier as _, base64url};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;

use super::{policy_signers, wait_for_gateway};
use crate::args::{Format, TrustChangeArgs};
use crate::commands::authority::nameable;
use crate::deployment::{Layout, add_signature, read_trust};
use crate::output;

#[derive(Serialize)]
struct Changed<'a> {
    trust_version: u64,
    digest: Digest,
    changes: Vec<String>,
    /// How many root keys of the document before have signed, and how many must.
    signed_before: usize,
    needed_before: u32,
    /// How many of its own have signed, and how many must.
    signed: usize,
    needed: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
}

/// Changes what the document names.
pub(super) async fn change(
    format: Format,
    layout: &Layout,
    args: TrustChangeArgs,
) -> anyhow::Result<()> {
    let current = layout.trust()?;
    let known = layout.server_client().authorities().await;
    let mut next = current.signed().trust.clone();
    edit(&mut next, &args, known.as_ref().ok())?;
    policy_signers::edit(&mut next, &args, Clock::machine())?;
    ensure!(
        next != current.signed().trust,
        "nothing changes; say what to add or to take out"
    );
    if !args.force {
        let known = known.context("the server says which authorities sign; or say --force")?;
        check_in_use(&next, &known)?;
        if policy_signers::is_asked(&args) || args.threshold.is_some() {
            policy_signers::check_roots(&next)?;
        }
        if policy_signers::is_asked(&args) {
            policy_signers::check_in_force(&next, layout).await?;
        }
    }
    if policy_signers::is_asked(&args) {
        policy_signers::warn_of_roots(&next, layout)?;
    }
    let proposed = layout.proposed_trust(&current, |trust| *trust = next)?;
    let Some(file) = &args.out else {
        let digest = put(layout, &current, proposed).await?;
        return said(format, &layout.trust()?, digest);
    };
    std::fs::write(file, proposed.to_bytes()?).with_context(|| file.display().to_string())?;
    let changed = compared(&current, &proposed, Some(file))?;
    output::result(format, &changed, || written(&changed))
}

/// Signs with what is at hand and puts the next document in force: what `authority revoke` does too.
pub(crate) async fn put(
    layout: &Layout,
    current: &VerifiedTrust,
    proposed: SignedTrust,
) -> anyhow::Result<Digest> {
    let accepted = current.accept(proposed, &AwsLc).context(
        "write the change with `chancery trust change --out FILE` and have the holders of root keys \
         sign it",
    )?;
    let document = String::from_utf8(accepted.signed().to_bytes()?).context("trust document")?;
    let client = layout.server_client();
    client.install_trust(&TrustText { document }).await?;
    wait_for_gateway(layout, accepted.version).await;
    Ok(accepted.digest())
}

fn said(format: Format, trust: &VerifiedTrust, digest: Digest) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct InForce {
        trust_version: u64,
        digest: Digest,
    }
    let in_force = InForce {
        trust_version: trust.version,
        digest,
    };
    output::result(format, &in_force, || {
        format!(
            "trust document, version {}, is in force: {digest}",
            trust.version
        )
    })
}

fn edit(
    trust: &mut TrustDocument,
    args: &TrustChangeArgs,
    known: Option<&AuthorityList>,
) -> anyhow::Result<()> {
    for id in &args.remove_authority {
        ensure!(
            take_out(trust, *id),
            "{id}: the trust document names no such authority"
        );
    }
    for file in &args.add_x509 {
        let shown = || file.display().to_string();
        let pem = std::fs::read(file).with_context(shown)?;
        let der = CertificateDer::from_pem_slice(&pem)
            .map_err(|_| anyhow::anyhow!("holds no certificate in PEM"))
            .with_context(shown)?;
        let domain = trust.trust_domain.parse()?;
        chancery_identity::X509Authority::new(&domain, der.to_vec()).with_context(shown)?;
        let encoded = base64url::encode(&der);
        ensure!(
            !trust.x509_authorities.contains(&encoded),
            "{}: named already",
            file.display()
        );
        trust.x509_authorities.push(encoded);
    }
    for id in &args.add_authority {
        let known = known.context("the server is needed to find an authority by its id")?;
        let authority = nameable(known, id)?;
        let named = match authority.kind {
            AuthorityKind::Jwt => &mut trust.jwt_authorities,
            AuthorityKind::Wit => &mut trust.token_authorities,
            AuthorityKind::X509 => bail!("{id}: of x509, the root is named: --add-x509 FILE"),
        };
        ensure!(!named.contains(&authority.key), "{id}: named already");
        named.push(authority.key);
    }
    for kid in &args.remove_root {
        let before = trust.roots.len();
        trust.roots.retain(|root| root.kid() != *kid);
        ensure!(trust.roots.len() < before, "{kid}: no such root key");
    }
    for file in &args.add_root {
        let key = policy_signers::public_half(file)?;
        ensure!(
            !trust.roots.contains(&key),
            "{}: named already",
            file.display()
        );
        trust.roots.push(key);
    }
    trust.threshold = args.threshold.unwrap_or(trust.threshold);
    let roots = trust.roots.len();
    ensure!(
        (1..=roots).contains(&usize::try_from(trust.threshold).unwrap_or(usize::MAX)),
        "--threshold {}: there are {roots} root keys",
        trust.threshold
    );
    Ok(())
}

/// Takes an authority out, whichever list names it.
pub(crate) fn take_out(trust: &mut TrustDocument, id: Digest) -> bool {
    let count = |trust: &TrustDocument| {
        trust.x509_authorities.len() + trust.jwt_authorities.len() + trust.token_authorities.len()
    };
    let before = count(trust);
    let is_root = |der: &String| base64url::decode(der).is_ok_and(|der| Digest::of(der) == id);
    trust.x509_authorities.retain(|der| !is_root(der));
    trust.jwt_authorities.retain(|key| key.thumbprint() != id);
    trust.token_authorities.retain(|key| key.thumbprint() != id);
    count(trust) < before
}

/// Whether the document names an authority, or its root.
fn names(trust: &TrustDocument, authority: &chancery_api::authority::Authority) -> bool {
    match authority.kind {
        AuthorityKind::Jwt => trust.jwt_authorities.contains(&authority.key),
        AuthorityKind::Wit => trust.token_authorities.contains(&authority.key),
        AuthorityKind::X509 => authority.root.is_none_or(|root| {
            let mut named = trust.x509_authorities.iter();
            named.any(|der| base64url::decode(der).is_ok_and(|der| Digest::of(der) == root))
        }),
    }
}

/// Refuses a document that names what signs, or what somebody rests on, no more.
fn check_in_use(next: &TrustDocument, known: &AuthorityList) -> anyhow::Result<()> {
    for view in known.authorities.iter().filter(|view| view.named) {
        let authority = &view.authority;
        if names(next, authority) {
            continue;
        }
        let (id, kind) = (authority.id, authority.kind);
        ensure!(
            authority.state != AuthorityState::Active,
            "{id} signs, and the document would name it no more; have another {kind} authority sign \
             first: chancery authority prepare {kind}"
        );
        ensure!(
            view.holders == 0,
            "{} instances or services rest on what {id} signed; taint it and wait: chancery \
             authority taint {id}",
            view.holders
        );
    }
    Ok(())
}

#[derive(Serialize)]
struct RootKey<'a> {
    file: &'a Path,
    public: Jwk,
    kid: String,
}

/// Makes a root key.
pub(super) fn key(format: Format, file: &Path) -> anyhow::Result<()> {
    let key = SigningKey::generate(Algorithm::Ed25519)?;
    create_private_file(file, key.pkcs8().expose())?;
    let public = file.with_extension("jwk");
    let text = serde_json::to_vec(key.public())?;
    std::fs::write(&public, text).with_context(|| public.display().to_string())?;
    let made = RootKey {
        file: &public,
        public: *key.public(),
        kid: key.public().kid(),
    };
    output::result(format, &made, || {
        format!(
            "root key {}; its public half is in {}",
            made.kid,
            public.display()
        )
    })
}

/// Adds a signature to a document in a file.
pub(super) fn sign(
    format: Format,
    file: &Path,
    key: &Path,
    since: Option<&Path>,
) -> anyhow::Result<()> {
    let shown = || file.display().to_string();
    let mut signed = read(file)?;
    let secret = read_private_file(key)?;
    let root = SigningKey::from_pkcs8(Algorithm::Ed25519, secret)
        .with_context(|| key.display().to_string())?;
    let before = since.map(read_trust).transpose()?;
    let named = |roots: &[Jwk]| roots.contains(root.public());
    ensure!(
        named(&signed.trust.roots) || before.as_ref().is_none_or(|before| named(&before.roots)),
        "{}: not a root key of the document, nor of the one before",
        key.display()
    );
    if let Some(before) = &before {
        ensure!(
            signed.trust.version > before.version,
            "{}: version {} is not newer than version {} in force",
            file.display(),
            signed.trust.version,
            before.version
        );
    }
    add_signature(&mut signed, &root)?;
    std::fs::write(file, signed.to_bytes()?).with_context(shown)?;
    match before {
        Some(before) => {
            let changed = compared(&before, &signed, Some(file))?;
            output::result(format, &changed, || written(&changed))
        }
        None => output::result(format, &signed.signatures, || {
            format!(
                "{}: version {}, {} signatures; pass the document in force with --since to see what \
                 changes",
                file.display(),
                signed.trust.version,
                signed.signatures.len()
            )
        }),
    }
}

/// Puts a document in force.
pub(super) async fn install(format: Format, layout: &Layout, file: &Path) -> anyhow::Result<()> {
    let current = layout.trust()?;
    let digest = put(layout, &current, read(file)?).await?;
    said(format, &layout.trust()?, digest)
}

fn read(file: &Path) -> anyhow::Result<SignedTrust> {
    let shown = || file.display().to_string();
    let bytes = std::fs::read(file).with_context(shown)?;
    SignedTrust::parse(&bytes).with_context(shown)
}

/// What a document changes, and how far it is signed.
fn compared<'a>(
    before: &VerifiedTrust,
    next: &SignedTrust,
    file: Option<&'a Path>,
) -> anyhow::Result<Changed<'a>> {
    let input = SignedTrust::signing_input(&next.trust)?;
    let count = |roots: &[Jwk]| {
        let signed = roots.iter().filter(|root| {
            let mut of_root = next.signatures.iter().filter(|one| one.kid == root.kid());
            of_root.any(|one| {
                base64url::decode(&one.signature)
                    .is_ok_and(|bytes| AwsLc.verify(root, &input, &bytes))
            })
        });
        signed.count()
    };
    Ok(Changed {
        trust_version: next.trust.version,
        digest: Digest::of(next.to_bytes()?),
        changes: differences(before, &next.trust)?,
        signed_before: count(&before.roots),
        needed_before: before.threshold,
        signed: count(&next.trust.roots),
        needed: next.trust.threshold,
        file,
    })
}

/// The members that differ, and what they gain and lose.
fn differences(before: &TrustDocument, next: &TrustDocument) -> anyhow::Result<Vec<String>> {
    let (before, next) = (serde_json::to_value(before)?, serde_json::to_value(next)?);
    let mut changes = Vec::new();
    let (Some(before), Some(next)) = (before.as_object(), next.as_object()) else {
        return Ok(changes);
    };
    let members: std::collections::BTreeSet<_> = before.keys().chain(next.keys()).collect();
    for member in members {
        if ["issued_at", "previous", "version"].contains(&member.as_str()) {
            continue;
        }
        let (old, new) = (before.get(member), next.get(member));
        if old == new {
            continue;
        }
        let items = |value: Option<&serde_json::Value>| {
            let items = value.and_then(serde_json::Value::as_array);
            items.cloned().unwrap_or_default()
        };
        let (olds, news) = (items(old), items(new));
        if olds.is_empty() && news.is_empty() {
            let text = |value: Option<&serde_json::Value>| {
                value.map_or("none".to_owned(), ToString::to_string)
            };
            changes.push(format!("{member}: {} becomes {}", text(old), text(new)));
        }
        let gained = news.iter().filter(|item| !olds.contains(item));
        changes.extend(gained.map(|item| format!("{member}: gains {item}")));
        let lost = olds.iter().filter(|item| !news.contains(item));
        changes.extend(lost.map(|item| format!("{member}: loses {item}")));
    }
    Ok(changes)
}

fn written(changed: &Changed<'_>) -> String {
    let mut text = String::new();
    for change in &changed.changes {
        text += &format!("{change}\n");
    }
    let file = changed
        .file
        .map_or(String::new(), |file| format!("{}: ", file.display()));
    text + &format!(
        "{file}version {}, signed by {} of {} root keys of before, and {} of {} of its own",
        changed.trust_version,
        changed.signed_before,
        changed.needed_before,
        changed.signed,
        changed.needed
    )
}

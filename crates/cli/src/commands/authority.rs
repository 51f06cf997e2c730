//! `chancery authority`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use chancery_api::authority::{
    Authority, AuthorityChanged, AuthorityKind, AuthorityList, AuthorityState, AuthorityView,
    CertifyAuthority, ChangeAuthority, PrepareAuthority,
};
use chancery_api::server::ServerClient;
use chancery_crypto::random_bytes;
use chancery_identity::{TrustDomain, X509Authority, spki_der};
use chancery_server::Clock;
use chancery_signer::ca::{IssuingAuthority, SerialNumber, certified_intermediate};
use chancery_signer::{Seal, SealCost};
use chancery_types::{Digest, base64url};
use serde::Serialize;

use super::trust::{put, take_out};
use crate::args::{AuthorityArgs, AuthorityCommand, Format, Kind, PrepareArgs};
use crate::deployment::Layout;
use crate::output;

const DAY_SECONDS: u64 = 86_400;

pub(super) async fn run(format: Format, args: AuthorityArgs) -> anyhow::Result<ExitCode> {
    let layout = super::layout(&args.data)?;
    let server = layout.server_client();
    match args.command {
        AuthorityCommand::Show => {
            let known = server.authorities().await?;
            output::result(format, &known, || listed(&known))?;
        }
        AuthorityCommand::Prepare(args) => {
            let done = prepare(&layout, &server, &args).await?;
            changed(format, &done, "is prepared")?;
        }
        AuthorityCommand::Activate { kind, now } => {
            let known = server.authorities().await?;
            let id = find(&known, kind.into(), AuthorityState::Prepared)?;
            let request = ChangeAuthority { id, force: now };
            changed(format, &server.activate_authority(&request).await?, "signs")?;
        }
        AuthorityCommand::Taint { authority } => {
            taint(format, &server, &authority).await?;
        }
        AuthorityCommand::Revoke { authority, force } => {
            revoke(format, &layout, &server, &authority, force).await?;
        }
        AuthorityCommand::Seal { passphrase_file } => seal(format, &layout, &passphrase_file)?,
        AuthorityCommand::Root { days } => root(format, &layout, days)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl From<Kind> for AuthorityKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::X509 => Self::X509,
            Kind::Jwt => Self::Jwt,
            Kind::Wit => Self::Wit,
        }
    }
}

/// Makes another authority; one of x509 is certified by a root that the trust document names.
async fn prepare(
    layout: &Layout,
    server: &ServerClient,
    args: &PrepareArgs,
) -> anyhow::Result<AuthorityChanged> {
    let kind = args.kind.into();
    let known = server.authorities().await?;
    let mut waiting = known.authorities.iter().map(|view| &view.authority);
    // One that an attempt before left without a certificate is gone on with.
    let waiting = waiting.find(|one| {
        let x509 = one.kind == AuthorityKind::X509 && one.chain.is_empty();
        one.kind == kind && one.state == AuthorityState::Prepared && x509
    });
    let own = layout.root();
    let folder = args.root.as_deref().unwrap_or(&own);
    let bare = args.root.is_some();
    if kind == AuthorityKind::X509 && (bare || !known.certifies) {
        // Nothing is begun that could not be ended.
        signing_root(layout, folder)?;
    }
    let prepared = match waiting {
        Some(waiting) => waiting.clone(),
        None => {
            let done = server
                .prepare_authority(&PrepareAuthority { kind, bare })
                .await?;
            if kind != AuthorityKind::X509 || !done.authority.chain.is_empty() {
                return Ok(done);
            }
            done.authority
        }
    };
    let chain = certify(layout, folder, &prepared, args.days)?;
    let id = prepared.id;
    Ok(server
        .certify_authority(&CertifyAuthority { id, chain })
        .await?)
}

/// The newest root of the trust document whose key is in the folder: its certificate and its key.
fn signing_root(
    layout: &Layout,
    folder: &Path,
) -> anyhow::Result<(Vec<u8>, chancery_crypto::SigningKey)> {
    let trust = layout.trust()?;
    let trust_domain: TrustDomain = trust.trust_domain.parse()?;
    let mut keys = Layout::x509_roots(folder)?;
    for der in trust.x509_authorities.iter().rev() {
        let der = base64url::decode(der).context("trust document")?;
        let root = X509Authority::new(&trust_domain, der.clone()).context("trust document")?;
        let place = keys
            .iter()
            .position(|key| spki_der(key.public()) == root.spki_der());
        if let Some(place) = place {
            return Ok((der, keys.swap_remove(place)));
        }
    }
    bail!(
        "{}: holds no key of an X.509 root that the trust document names; say where the offline keys \
         are with --root DIR",
        folder.display()
    )
}

fn certify(
    layout: &Layout,
    folder: &Path,
    prepared: &Authority,
    days: u64,
) -> anyhow::Result<Vec<String>> {
    let trust_domain: TrustDomain = layout.trust()?.trust_domain.parse()?;
    let (certificate, key) = signing_root(layout, folder)?;
    let authority = IssuingAuthority::new(&trust_domain, certificate, &key)?;
    let serial = SerialNumber::from_random(random_bytes()?);
    let spki = spki_der(&prepared.key);
    let seconds = days * DAY_SECONDS;
    let made = certified_intermediate(&authority, &spki, Clock::machine(), seconds, serial)?;
    Ok(vec![base64url::encode(made)])
}

/// Steps that several authorities went.
#[derive(Serialize)]
struct Gone {
    authorities: Vec<AuthorityChanged>,
    /// The version of the trust document that names them, or their roots, no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_version: Option<u64>,
}

async fn taint(format: Format, server: &ServerClient, which: &str) -> anyhow::Result<()> {
    let known = server.authorities().await?;
    let mut tainted = Gone {
        authorities: Vec::new(),
        trust_version: None,
    };
    for view in named(&known, which)? {
        let request = ChangeAuthority {
            id: view.authority.id,
            force: false,
        };
        tainted
            .authorities
            .push(server.taint_authority(&request).await?);
    }
    output::result(format, &tainted, || {
        let what = "is tainted: what it signed is issued again";
        let lines: Vec<_> = tainted
            .authorities
            .iter()
            .map(|done| line(done, what))
            .collect();
        lines.join("\n")
    })
}

async fn revoke(
    format: Format,
    layout: &Layout,
    server: &ServerClient,
    which: &str,
    force: bool,
) -> anyhow::Result<()> {
    let known = server.authorities().await?;
    let views = named(&known, which)?;
    for view in &views {
        revocable(view, force)?;
    }
    let current = layout.trust()?;
    let gone = leaves(&known, &views);
    let proposed = layout.proposed_trust(&current, |trust| {
        for id in &gone {
            take_out(trust, *id);
        }
    })?;
    let changes = proposed.trust.x509_authorities != current.x509_authorities
        || proposed.trust.jwt_authorities != current.jwt_authorities
        || proposed.trust.token_authorities != current.token_authorities;
    if changes {
        let accepted = current.accept(proposed.clone(), &chancery_crypto::AwsLc);
        accepted.with_context(|| {
            let ids: Vec<_> = gone.iter().map(ToString::to_string).collect();
            format!(
                "{} root keys must sign: chancery trust change --remove-authority {} --out FILE",
                current.threshold,
                ids.join(" --remove-authority ")
            )
        })?;
    }
    let mut revoked = Gone {
        authorities: Vec::new(),
        trust_version: None,
    };
    // Nothing is destroyed that the document goes on to name; what fails here can be asked for again.
    if changes {
        put(layout, &current, proposed).await?;
        revoked.trust_version = Some(layout.trust()?.version);
    }
    for view in views {
        let id = view.authority.id;
        let request = ChangeAuthority { id, force };
        revoked
            .authorities
            .push(server.revoke_authority(&request).await?);
    }
    output::result(format, &revoked, || {
        let trust = match revoked.trust_version {
            Some(version) => format!("trust document, version {version}, names it no more"),
            None => "the trust document stays as it is".to_owned(),
        };
        let lines = revoked.authorities.iter();
        let lines: Vec<_> = lines.map(|done| line(done, "is revoked")).collect();
        format!("{}; {trust}", lines.join("\n"))
    })
}

/// What the server would refuse is not begun.
fn revocable(view: &AuthorityView, force: bool) -> anyhow::Result<()> {
    let Authority { id, state, .. } = &view.authority;
    ensure!(
        *state != AuthorityState::Active,
        "{id} is the one that signs; have another one sign first (authority_active)"
    );
    ensure!(
        force || view.holders == 0,
        "{} instances or services rest on what {id} signed; taint it and wait, or say --force \
         (authority_held)",
        view.holders
    );
    Ok(())
}

/// What leaves the trust document with authorities: themselves, or their roots where nothing else is
/// below.
fn leaves(known: &AuthorityList, gone: &[&AuthorityView]) -> BTreeSet<Digest> {
    let is_gone = |id: Digest| gone.iter().any(|view| view.authority.id == id);
    let mut leaving = BTreeSet::new();
    for view in gone.iter().filter(|view| view.named) {
        let authority = &view.authority;
        let Some(root) = authority.root else {
            leaving.insert(authority.id);
            continue;
        };
        let mut others = known.authorities.iter().map(|view| &view.authority);
        if !others.any(|other| !is_gone(other.id) && other.root == Some(root)) {
            leaving.insert(root);
        }
    }
    leaving
}

#[derive(Serialize)]
struct Sealed<'a> {
    passphrase_file: &'a Path,
}

fn seal(format: Format, layout: &Layout, file: &Path) -> anyhow::Result<()> {
    let file = std::path::absolute(file).with_context(|| file.display().to_string())?;
    Seal::begin(&layout.signer(), &file, SealCost::default())?;
    let sealed = Sealed {
        passphrase_file: &file,
    };
    output::result(format, &sealed, || {
        format!(
            "the signer seals its keys when it starts next, by the passphrase in {}; without it they \
             do not open any more",
            file.display()
        )
    })
}

#[derive(Serialize)]
struct NewRoot<'a> {
    certificate: &'a Path,
    digest: Digest,
}

fn root(format: Format, layout: &Layout, days: u64) -> anyhow::Result<()> {
    let (file, certificate) = layout.new_x509_root(days)?;
    let made = NewRoot {
        certificate: &file,
        digest: Digest::of(certificate),
    };
    output::result(format, &made, || {
        format!(
            "{}: root {}; have the trust document name it: chancery trust change --add-x509 {0}",
            made.certificate.display(),
            made.digest
        )
    })
}

/// The one of that kind in that state.
fn find(
    known: &AuthorityList,
    kind: AuthorityKind,
    state: AuthorityState,
) -> anyhow::Result<Digest> {
    let mut all = known.authorities.iter().map(|view| &view.authority);
    let found = all.find(|one| one.kind == kind && one.state == state);
    let found = found.with_context(|| {
        format!("no {kind} authority is {state}; run: chancery authority prepare {kind}")
    })?;
    Ok(found.id)
}

/// Those that are meant: one by its id or the beginning of it, or all old ones of a kind.
fn named<'a>(known: &'a AuthorityList, which: &str) -> anyhow::Result<Vec<&'a AuthorityView>> {
    let of_kind = AuthorityKind::ALL
        .iter()
        .find(|kind| kind.as_str() == which);
    let meant: Vec<_> = known
        .authorities
        .iter()
        .filter(|view| {
            let authority = &view.authority;
            let id = authority.id.to_string();
            match of_kind {
                Some(kind) => authority.kind == *kind && authority.state == AuthorityState::Old,
                None => {
                    let short = id.split_once(':').map_or("", |(_, hex)| hex);
                    id == which || (which.len() >= 8 && short.starts_with(which))
                }
            }
        })
        .collect();
    ensure!(
        !meant.is_empty(),
        "{which}: no such authority, or none of them is old; see `chancery authority show`"
    );
    ensure!(
        of_kind.is_some() || meant.len() == 1,
        "{which}: {} authorities begin so; name one by its whole id",
        meant.len()
    );
    Ok(meant)
}

/// The prepared or active key that a change of the trust document is to name.
pub(crate) fn nameable<'a>(known: &'a AuthorityList, which: &str) -> anyhow::Result<&'a Authority> {
    let mut all = known.authorities.iter().map(|view| &view.authority);
    let found = all.find(|one| {
        let prepared = one.state == AuthorityState::Prepared && one.kind.as_str() == which;
        prepared || one.id.to_string() == which
    });
    found.with_context(|| format!("{which}: none is prepared; see `chancery authority show`"))
}

fn changed(format: Format, done: &AuthorityChanged, what: &str) -> anyhow::Result<()> {
    output::result(format, done, || line(done, what))
}

fn line(done: &AuthorityChanged, what: &str) -> String {
    let (kind, id) = (done.authority.kind, done.authority.id);
    format!("{kind} authority {id} {what}, entry {}", done.log_index)
}

fn listed(known: &AuthorityList) -> String {
    let rows = known.authorities.iter().map(|view| {
        let authority = &view.authority;
        let state = match authority.tainted {
            true => format!("{}, tainted", authority.state),
            false => authority.state.to_string(),
        };
        let prepared = authority.state == AuthorityState::Prepared;
        let trusted = match (view.named, &view.ready_at) {
            (false, _) => "not named".to_owned(),
            (true, Some(at)) if prepared && *at > Clock::machine() => {
                format!("named, known by {at}")
            }
            (true, _) => "named".to_owned(),
        };
        [
            authority.kind.to_string(),
            authority.id.to_string(),
            state,
            trusted,
            authority.ends.to_string(),
            view.holders.to_string(),
        ]
    });
    output::table(
        ["signs", "id", "state", "trust document", "ends", "holders"],
        rows,
    )
}

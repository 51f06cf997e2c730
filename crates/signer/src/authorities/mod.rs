//! The authorities of SVIDs and tokens: of each kind one that signs, one at most that is prepared to,
//! and those that did.
//!
//! What is where is kept in one file that is replaced whole and only ever counts up: after a restart
//! the authority that signs is the one that signed last, and never one that was made earlier.

mod reasons;
mod root_source;
mod slot;
mod vault;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_api::Problem;
use chancery_api::authority::{Authority, AuthorityKind, AuthorityState, PrepareAuthority};
use chancery_crypto::{SVID_ALGORITHMS, random_bytes};
use chancery_identity::trust::TrustDocument;
use chancery_identity::{
    SpiffeId, TrustDomain, X509Authority, X509Bundle, spki_der, verify_x509_svid,
};
use chancery_types::{Digest, Timestamp, base64url};

pub use reasons::AUTHORITY_REASONS;
pub use root_source::{AuthoritiesError, Lifetimes, RootConfig};
pub use vault::{VaultConfig, VaultError};

use crate::ca::{
    IssuingAuthority, LeafRequest, SerialNumber, intermediate_request, leaf_certificate,
};
use crate::keys::{CERTIFICATE, HeldKey, INTERMEDIATE, JWT, KeyCustody, KeyFolder, TOKEN};
use root_source::RootSource;
use slot::{Slot, Slots};
pub(crate) use vault::Vault;

const FILE: &str = "authorities.json";

/// How the names of keys begin that were not there from the first on.
const NUMBERED: &str = "authority-";

/// What signs SVIDs and tokens.
#[derive(Debug)]
pub(crate) struct Authorities {
    file: PathBuf,
    trust_domain: TrustDomain,
    custody: Arc<dyn KeyCustody>,
    root: RootSource,
    lifetimes: Lifetimes,
    slots: Slots,
    held: Vec<Held>,
}

/// The key of a slot, and its certificates in DER.
#[derive(Debug)]
struct Held {
    id: Digest,
    key: Box<dyn HeldKey>,
    chain: Vec<Vec<u8>>,
}

/// What stands above a key, and how long it lives.
struct Certified {
    chain: Vec<Vec<u8>>,
    root: Option<Digest>,
    ends: Timestamp,
}

impl Authorities {
    /// Takes up what a folder holds; a folder from before there were several has the first of each
    /// kind, which signs.
    pub(crate) fn open(
        folder: &Path,
        custody: Arc<KeyFolder>,
        trust: &TrustDocument,
        now: Timestamp,
    ) -> Result<Self, AuthoritiesError> {
        let trust_domain: TrustDomain = trust.trust_domain.parse()?;
        let file = folder.join(FILE);
        let config = RootConfig::read(folder)?;
        let mut authorities = Self {
            root: RootSource::open(&config, folder, &custody, &trust_domain)?,
            lifetimes: config.lifetimes(),
            slots: Slots::read(&file)?.unwrap_or_default(),
            held: Vec::new(),
            file,
            trust_domain,
            custody,
        };
        if authorities.slots.is_new() {
            authorities.take_first(folder, trust, now)?;
        }
        authorities.drop_uncertified()?;
        authorities.finish_destroying()?;
        for slot in authorities.slots.all() {
            authorities
                .held
                .push(Held::open(slot, &*authorities.custody)?);
        }
        Ok(authorities)
    }

    /// What a PKI was being asked about when the signer ended: nobody hands it a certificate any more.
    fn drop_uncertified(&mut self) -> Result<(), AuthoritiesError> {
        let prepared = self.slots.prepared(AuthorityKind::X509);
        let bare = prepared.filter(|slot| slot.authority.chain.is_empty());
        let Some(id) = bare.map(|slot| slot.authority.id) else {
            return Ok(());
        };
        match self.root.remote() {
            Some(_) => self.write(|slots| slots.remove(id)),
            None => Ok(()),
        }
    }

    /// The authorities that a folder was made with.
    fn take_first(
        &mut self,
        folder: &Path,
        trust: &TrustDocument,
        now: Timestamp,
    ) -> Result<(), AuthoritiesError> {
        for (kind, (name, _)) in [
            (AuthorityKind::X509, INTERMEDIATE),
            (AuthorityKind::Jwt, JWT),
            (AuthorityKind::Wit, TOKEN),
        ] {
            if !folder.join(name).exists() {
                continue;
            }
            let key = self.custody.open(name)?;
            let (mut chain, mut root, mut ends) =
                (Vec::new(), None, self.lifetimes.ends(kind, now));
            if kind == AuthorityKind::X509 {
                let der = chancery_crypto::read_private_file(&folder.join(CERTIFICATE))
                    .map_err(crate::KeysError::from)?;
                chain = vec![der.expose().to_vec()];
                ends = X509Authority::new(&self.trust_domain, der.expose().to_vec())?.not_after();
                root = self.root_of(&*key, &chain, trust, now);
            }
            let mut authority = slot::prepared(kind, key.public(), self.slots.reserve(), now, ends);
            authority.state = AuthorityState::Active;
            authority.active_since = Some(now);
            authority.chain = chain.iter().map(base64url::encode).collect();
            authority.root = root;
            self.slots.add(Slot {
                authority,
                key: name.to_owned(),
            });
        }
        self.slots.write(&self.file)
    }

    /// The root of the trust document that a chain leads to, by the verifier that everybody has.
    fn root_of(
        &self,
        key: &dyn HeldKey,
        chain: &[Vec<u8>],
        trust: &TrustDocument,
        now: Timestamp,
    ) -> Option<Digest> {
        let id: SpiffeId = format!("spiffe://{}/service/signer", self.trust_domain)
            .parse()
            .ok()?;
        let spki = spki_der(key.public());
        let request = LeafRequest {
            spiffe_id: &id,
            dns_names: &[],
            spki_der: &spki,
            now,
            lifetime_seconds: 60,
            serial: SerialNumber::from_random(random_bytes().ok()?),
        };
        let own = chain.first()?.clone();
        let issuing = IssuingAuthority::new(&self.trust_domain, own, key).ok()?;
        let leaf = leaf_certificate(&issuing, request).ok()?;
        let presented: Vec<&[u8]> = std::iter::once(&leaf)
            .chain(chain)
            .map(Vec::as_slice)
            .collect();
        let roots = trust.x509_authorities.iter();
        roots
            .filter_map(|root| base64url::decode(root).ok())
            .find_map(|root| {
                let digest = Digest::of(&root);
                let bundle = X509Bundle::new(self.trust_domain.clone(), [root]).ok()?;
                verify_x509_svid(&presented, &bundle, now, SVID_ALGORITHMS).ok()?;
                Some(digest)
            })
    }

    /// What is where.
    pub(crate) fn list(&self) -> chancery_api::authority::Authorities {
        chancery_api::authority::Authorities {
            generation: self.slots.generation(),
            certifies: self.root.certifies(),
            authorities: self
                .slots
                .all()
                .map(|slot| slot.authority.clone())
                .collect(),
        }
    }

    /// The intermediate that signs, and its chain without the root, which the trust document names.
    pub(crate) fn x509(
        &self,
        trust: &TrustDocument,
    ) -> Result<(&dyn HeldKey, &[Vec<u8>]), Problem> {
        let (slot, held) = self.active(AuthorityKind::X509)?;
        check_named(&slot.authority, trust)?;
        Ok((&*held.key, &held.chain))
    }

    /// The key that signs JWT-SVIDs, where it is the one that is asked for.
    pub(crate) fn jwt(&self, trust: &TrustDocument, kid: &str) -> Result<&dyn HeldKey, Problem> {
        let (slot, held) = self.active(AuthorityKind::Jwt)?;
        if held.key.public().kid() != kid {
            return Err(unnamed(AuthorityKind::Jwt));
        }
        check_named(&slot.authority, trust)?;
        Ok(&*held.key)
    }

    /// The key that signs workload identity tokens.
    pub(crate) fn wit(&self, trust: &TrustDocument) -> Result<&dyn HeldKey, Problem> {
        let (slot, held) = self.active(AuthorityKind::Wit)?;
        check_named(&slot.authority, trust)?;
        Ok(&*held.key)
    }

    /// The key that signs WIT-SVIDs, where it is the one that is asked for.
    pub(crate) fn wit_svid(
        &self,
        trust: &TrustDocument,
        kid: &str,
    ) -> Result<&dyn HeldKey, Problem> {
        let key = self.wit(trust)?;
        if key.public().kid() != kid {
            return Err(unnamed(AuthorityKind::Wit));
        }
        Ok(key)
    }

    fn active(&self, kind: AuthorityKind) -> Result<(&Slot, &Held), Problem> {
        let slot = self.slots.active(kind);
        let held = slot.and_then(|slot| Some((slot, self.held(slot.authority.id)?)));
        held.ok_or_else(|| {
            Problem::forbidden("authority", format!("no {kind} authority signs here"))
                .with_remedy(format!("run: chancery authority prepare {kind}"))
        })
    }

    fn held(&self, id: Digest) -> Option<&Held> {
        self.held.iter().find(|held| held.id == id)
    }

    fn slot(&self, id: Digest) -> Result<&Slot, Problem> {
        let slot = self.slots.all().find(|slot| slot.authority.id == id);
        slot.ok_or_else(|| {
            Problem::not_found("authority_unknown", format!("{id}: no such authority"))
                .with_remedy("run: chancery authority show")
        })
    }

    /// Makes another authority, which signs nothing yet. One of X.509 has a certificate where the
    /// signer reaches a root that the trust document names.
    pub(crate) fn prepare(
        &mut self,
        PrepareAuthority { kind, bare }: PrepareAuthority,
        trust: &TrustDocument,
        now: Timestamp,
    ) -> Result<Authority, Problem> {
        if let Some(slot) = self.slots.prepared(kind) {
            let id = slot.authority.id;
            return Err(Problem::conflict(
                "authority_prepared",
                format!("{id} is prepared already"),
            )
            .with_remedy("activate it, or revoke it"));
        }
        if self.slots.are_full() {
            return Err(Problem::conflict(
                "authority_full",
                "as many authorities as can be are kept",
            )
            .with_remedy("revoke old ones, or have authorities live longer: root.json"));
        }
        // A number, and with it the name of a key, is used once, whatever becomes of it.
        let number = self.change(Slots::reserve)?;
        let name = format!("{NUMBERED}{number}.key");
        let key = self
            .custody
            .create(&name)
            .map_err(|error| internal(&error))?;
        let certified = match kind == AuthorityKind::X509 && !bare {
            true => self.certified(&*key, trust, now),
            false => Ok(Certified {
                chain: Vec::new(),
                root: None,
                ends: self.lifetimes.ends(kind, now),
            }),
        };
        let Certified { chain, root, ends } = match certified {
            Ok(certified) => certified,
            Err(problem) => {
                self.custody
                    .discard(&name)
                    .map_err(|error| internal(&error))?;
                return Err(problem);
            }
        };
        let mut authority = slot::prepared(kind, key.public(), number, now, ends);
        authority.chain = chain.iter().map(base64url::encode).collect();
        authority.root = root;
        let slot = Slot {
            authority: authority.clone(),
            key: name,
        };
        // A file that could not be made durable may name the key after a crash: the key stays.
        self.change(|slots| slots.add(slot))?;
        self.held.push(Held {
            id: authority.id,
            key,
            chain,
        });
        Ok(authority)
    }

    /// What the root that the signer holds makes of a key: nothing, where it holds none.
    fn certified(
        &self,
        key: &dyn HeldKey,
        trust: &TrustDocument,
        now: Timestamp,
    ) -> Result<Certified, Problem> {
        let made = self.root.certify(key, self.lifetimes.x509_seconds, now);
        let chain = made.map_err(|error| {
            Problem::unavailable("authority_root", error.to_string())
                .with_remedy("look at the signer's root.json and the files that it names")
        })?;
        let Some(own) = chain.first() else {
            return Ok(Certified {
                ends: self.lifetimes.ends(AuthorityKind::X509, now),
                chain,
                root: None,
            });
        };
        let root = self.root_of(key, &chain, trust, now).ok_or_else(no_root)?;
        let ends = self.end_of(own)?;
        Ok(Certified {
            chain,
            root: Some(root),
            ends,
        })
    }

    /// Who certifies a prepared authority over HTTP, what is asked of it, and for how long.
    pub(crate) fn remote(&self, id: Digest) -> Option<(Vault, String, u64)> {
        let vault = self.root.remote()?.clone();
        let csr = intermediate_request(&self.trust_domain, &*self.held(id)?.key).ok()?;
        Some((vault, csr, self.lifetimes.x509_seconds))
    }

    /// Takes the certificate that a root made of a prepared authority's key.
    pub(crate) fn certify(
        &mut self,
        id: Digest,
        chain: &[String],
        trust: &TrustDocument,
        now: Timestamp,
    ) -> Result<Authority, Problem> {
        let authority = &self.slot(id)?.authority;
        if authority.kind != AuthorityKind::X509 || authority.state != AuthorityState::Prepared {
            return Err(Problem::conflict(
                "authority_state",
                format!("{id} is not a prepared authority of x509"),
            ));
        }
        let decoded: Result<Vec<_>, _> = chain.iter().map(|der| base64url::decode(der)).collect();
        let decoded = decoded
            .map_err(|_| Problem::bad_request("chain", "chain is not base64url certificates"))?;
        let held = self.held(id).ok_or_else(no_root)?;
        let root = self
            .root_of(&*held.key, &decoded, trust, now)
            .ok_or_else(no_root)?;
        let ends = decoded.first().map(|own| self.end_of(own)).transpose()?;
        let changed = self.change(|slots| {
            slots.change(id, |authority| {
                authority.chain = chain.to_vec();
                authority.root = Some(root);
                authority.ends = ends.unwrap_or(authority.ends);
            })
        })?;
        if let Some(held) = self.held.iter_mut().find(|held| held.id == id) {
            held.chain = decoded;
        }
        changed.ok_or_else(no_root)
    }

    fn end_of(&self, certificate: &[u8]) -> Result<Timestamp, Problem> {
        let read = X509Authority::new(&self.trust_domain, certificate.to_vec());
        Ok(read.map_err(|_| no_root())?.not_after())
    }

    /// Has a prepared authority sign in the place of the active one, which is old from now on.
    pub(crate) fn activate(
        &mut self,
        id: Digest,
        trust: &TrustDocument,
        now: Timestamp,
    ) -> Result<Authority, Problem> {
        let authority = self.slot(id)?.authority.clone();
        if authority.state == AuthorityState::Active {
            return Ok(authority);
        }
        let active = self
            .slots
            .active(authority.kind)
            .map(|slot| &slot.authority);
        let later = active.is_none_or(|active| active.number < authority.number);
        if authority.state != AuthorityState::Prepared || !later {
            return Err(Problem::conflict(
                "authority_state",
                format!("{id} is {}, and signs never again", authority.state),
            )
            .with_remedy(format!(
                "run: chancery authority prepare {}",
                authority.kind
            )));
        }
        check_named(&authority, trust)?;
        let before = active.map(|active| active.id);
        let changed = self.change(|slots| {
            if let Some(before) = before {
                slots.change(before, |one| {
                    one.state = AuthorityState::Old;
                    one.old_since = Some(now);
                });
            }
            slots.change(id, |one| {
                one.state = AuthorityState::Active;
                one.active_since = Some(now);
            })
        })?;
        changed.ok_or_else(no_root)
    }

    /// Marks an old authority as not believed any more.
    pub(crate) fn taint(&mut self, id: Digest) -> Result<Authority, Problem> {
        let authority = &self.slot(id)?.authority;
        if authority.state == AuthorityState::Active {
            return Err(active(authority));
        }
        let changed = self.change(|slots| slots.change(id, |one| one.tainted = true))?;
        changed.ok_or_else(no_root)
    }

    /// Destroys the key of an authority that does not sign.
    pub(crate) fn destroy(&mut self, id: Digest) -> Result<Authority, Problem> {
        let slot = self.slot(id)?.clone();
        if slot.authority.state == AuthorityState::Active {
            return Err(active(&slot.authority));
        }
        // INVARIANT: that a key is to be destroyed is written before it is, and gone on with after a
        // crash.
        self.change(|slots| slots.remove(id))?;
        self.held.retain(|held| held.id != id);
        self.finish_destroying().map_err(|error| internal(&error))?;
        Ok(slot.authority)
    }

    fn finish_destroying(&mut self) -> Result<(), AuthoritiesError> {
        if self.slots.destroying().is_empty() {
            return Ok(());
        }
        for name in self.slots.destroying() {
            match name.starts_with(NUMBERED) {
                true => self.custody.discard(name)?,
                false => self.custody.destroy(name)?,
            }
        }
        self.write(Slots::destroyed)
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Slots) -> T) -> Result<T, Problem> {
        self.write(change).map_err(|error| internal(&error))
    }

    /// Changes the slots on the disk first: what cannot be written is not so in memory either.
    fn write<T>(&mut self, change: impl FnOnce(&mut Slots) -> T) -> Result<T, AuthoritiesError> {
        let mut next = self.slots.clone();
        let made = change(&mut next);
        next.write(&self.file)?;
        self.slots = next;
        Ok(made)
    }
}

impl Held {
    fn open(slot: &Slot, custody: &dyn KeyCustody) -> Result<Self, AuthoritiesError> {
        let chain: Result<Vec<_>, _> = slot
            .authority
            .chain
            .iter()
            .map(|der| base64url::decode(der))
            .collect();
        let key = custody.open(&slot.key)?;
        if key.public() != &slot.authority.key {
            return Err(AuthoritiesError::OtherKey(slot.key.clone()));
        }
        Ok(Self {
            id: slot.authority.id,
            key,
            chain: chain.map_err(|_| AuthoritiesError::Malformed)?,
        })
    }
}

/// Whether the trust document names an authority, or the root that it leads to.
fn is_named(authority: &Authority, trust: &TrustDocument) -> bool {
    match authority.kind {
        AuthorityKind::Jwt => trust.jwt_authorities.contains(&authority.key),
        AuthorityKind::Wit => trust.token_authorities.contains(&authority.key),
        AuthorityKind::X509 => authority.root.is_some_and(|root| {
            let mut named = trust.x509_authorities.iter();
            named.any(|der| base64url::decode(der).is_ok_and(|der| Digest::of(der) == root))
        }),
    }
}

fn check_named(authority: &Authority, trust: &TrustDocument) -> Result<(), Problem> {
    match is_named(authority, trust) {
        true => Ok(()),
        false => Err(unnamed(authority.kind)),
    }
}

fn unnamed(kind: AuthorityKind) -> Problem {
    Problem::forbidden(
        "authority",
        format!("the trust document names no such {kind} authority of this signer"),
    )
    .with_remedy("have root keys sign a trust document that names it: chancery trust change")
}

fn active(authority: &Authority) -> Problem {
    Problem::conflict(
        "authority_active",
        format!("{} is the one that signs", authority.id),
    )
    .with_remedy(format!(
        "have another one sign first: chancery authority prepare {0} and activate it",
        authority.kind
    ))
}

fn no_root() -> Problem {
    Problem::forbidden(
        "authority_certificate",
        "the certificate is not of this key, or leads to no root of the trust document",
    )
    .with_remedy("have root keys sign a trust document that names the root first")
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::internal("authorities", error)
}

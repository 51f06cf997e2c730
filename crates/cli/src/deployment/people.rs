use std::path::Path;

use anyhow::Context as _;
use chancery_api::server::RegisteredPasskey;
use chancery_crypto::{
    AwsLc, SigningKey, create_private_file, random_bytes, random_id, read_private_file,
};
use chancery_delegation::{Assertion, SoftwareAuthenticator, verify_registration};
use chancery_identity::trust::{Person, PersonCredential, Role};
use chancery_types::id::PersonId;
use chancery_types::{Algorithm, Digest, Secret, base64url, to_canonical};
use serde::{Deserialize, Serialize};

use super::Layout;

const RP_ID: &str = "localhost";
const ORIGIN: &str = "https://localhost";

/// A person's software authenticator: a key in a file. It signs as a passkey does, and everything
/// that rests on it says `software-only`.
#[derive(Debug)]
pub(crate) struct Authenticator {
    person_id: PersonId,
    credential_id: String,
    stand_in: bool,
    key: SigningKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthenticatorFile {
    format: String,
    person_id: PersonId,
    credential_id: String,
    stand_in: bool,
    pkcs8: String,
}

const FORMAT: &str = "chancery/software-authenticator/v1";

impl Authenticator {
    fn create(path: &Path, stand_in: bool) -> anyhow::Result<Self> {
        let authenticator = Self {
            person_id: random_id()?,
            credential_id: base64url::encode(random_bytes::<16>()?),
            stand_in,
            key: SigningKey::generate(Algorithm::Es256)?,
        };
        let file = AuthenticatorFile {
            format: FORMAT.to_owned(),
            person_id: authenticator.person_id,
            credential_id: authenticator.credential_id.clone(),
            stand_in,
            pkcs8: base64url::encode(authenticator.key.pkcs8().expose()),
        };
        create_private_file(path, &to_canonical(&file)?)?;
        Ok(authenticator)
    }

    /// Reads an authenticator's file.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = || format!("{}: not a software authenticator", path.display());
        let bytes = read_private_file(path)?;
        let file: AuthenticatorFile = serde_json::from_slice(bytes.expose()).with_context(shown)?;
        anyhow::ensure!(file.format == FORMAT, "{}", shown());
        let pkcs8 = base64url::decode(&file.pkcs8).with_context(shown)?;
        Ok(Self {
            person_id: file.person_id,
            credential_id: file.credential_id,
            stand_in: file.stand_in,
            key: SigningKey::from_pkcs8(Algorithm::Es256, Secret::new(pkcs8))
                .with_context(shown)?,
        })
    }

    /// Whose it is.
    pub(crate) const fn person_id(&self) -> PersonId {
        self.person_id
    }

    /// What every output that rests on it says.
    pub(crate) const fn marks(&self) -> &'static str {
        if self.stand_in {
            "stand-in, software-only"
        } else {
            "software-only"
        }
    }

    /// Whether it stands in for a person.
    pub(crate) const fn is_stand_in(&self) -> bool {
        self.stand_in
    }

    /// Signs a challenge, as a person's touch would.
    pub(crate) fn assert(&self, challenge: &Digest) -> anyhow::Result<Assertion> {
        let mut software = SoftwareAuthenticator::new(&self.credential_id, RP_ID, ORIGIN, 0);
        Ok(software.assert(challenge, |message| self.key.sign_der(message))?)
    }

    fn credential(&self) -> PersonCredential {
        PersonCredential {
            credential_id: self.credential_id.clone(),
            key: *self.key.public(),
            rp_id: RP_ID.to_owned(),
            origin: ORIGIN.to_owned(),
            hardware: false,
            stand_in: self.stand_in,
        }
    }
}

/// Who is let in.
#[derive(Debug, Clone)]
pub(crate) enum Admission {
    /// A person who is not named yet.
    New(Vec<Role>),
    /// A person who is, with one more passkey.
    Known(PersonId),
}

/// The next trust document, which names a passkey that was made at the console: what is verified here is
/// what the person's browser sent, not what the server says of it. No attestation is asked for, so nothing
/// says that hardware holds the key.
pub(crate) fn admit(
    layout: &Layout,
    made: &RegisteredPasskey,
    admission: &Admission,
) -> anyhow::Result<(PersonId, Vec<u8>)> {
    let verified = verify_registration(
        &made.registration,
        &made.challenge,
        &made.rp_id,
        &made.origin,
        &AwsLc,
    )
    .context("the passkey that the console hands on")?;
    let credential = PersonCredential {
        credential_id: verified.credential_id().to_owned(),
        key: *verified.key(),
        rp_id: made.rp_id.clone(),
        origin: made.origin.clone(),
        hardware: false,
        stand_in: false,
    };
    let known = layout.trust()?;
    anyhow::ensure!(
        known.credential(&credential.credential_id).is_none(),
        "the trust document names this passkey already"
    );
    let id = match admission {
        Admission::New(_) => random_id()?,
        Admission::Known(person) => {
            let named = known.person(*person);
            named
                .with_context(|| format!("the trust document names no {person}"))?
                .id
        }
    };
    let trust = layout.next_trust(|trust| match admission {
        Admission::New(roles) => trust.people.push(Person {
            id,
            roles: roles.clone(),
            credentials: vec![credential],
        }),
        Admission::Known(_) => {
            if let Some(person) = trust.people.iter_mut().find(|person| person.id == id) {
                person.credentials.push(credential);
            }
        }
    })?;
    Ok((id, trust))
}

/// Makes an authenticator and the next trust document, which names its person.
pub(crate) fn enrol(
    layout: &Layout,
    path: &Path,
    stand_in: bool,
) -> anyhow::Result<(Authenticator, Vec<u8>)> {
    let authenticator = Authenticator::create(path, stand_in)?;
    let trust = layout.next_trust(|trust| {
        trust.people.push(Person {
            id: authenticator.person_id,
            roles: vec![Role::Principal, Role::Approver],
            credentials: vec![authenticator.credential()],
        });
    })?;
    Ok((authenticator, trust))
}

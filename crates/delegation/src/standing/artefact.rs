use chancery_types::{CanonicalError, SignatureVerifier, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

use super::{RootTerms, StandingStatement};
use crate::ConsentError;
use crate::webauthn::{Assertion, AssertionError, Credential, VerifiedAssertion, verify_assertion};

/// Most bytes of a standing consent with its assertion.
const MAX_BYTES: usize = 32_768;

/// A standing consent with the person's assertion over it. Not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStanding {
    /// What was signed.
    pub statement: StandingStatement,
    /// By the person's credential.
    pub assertion: Assertion,
}

impl SignedStanding {
    /// Verifies that `credential` signed exactly this statement, and that it is one. That the
    /// credential is one of the person's is the caller's to look up in the trust document.
    pub fn verify(
        &self,
        credential: &Credential<'_>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedAssertion, ConsentError> {
        self.statement.check().map_err(ConsentError::Statement)?;
        let challenge = self.statement.challenge();
        let challenge = challenge.map_err(ConsentError::Canonical)?;
        verify_assertion(&self.assertion, &challenge, credential, verifier)
            .map_err(ConsentError::Assertion)
    }

    /// The same, and that the statement covers a root of these terms. How often it was used is not
    /// known here: the signer counts, the log shows.
    pub fn verify_for(
        &self,
        root: &RootTerms<'_>,
        credential: &Credential<'_>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedAssertion, ConsentError> {
        let verified = self.verify(credential, verifier)?;
        self.statement
            .covers(root)
            .map_err(ConsentError::Uncovered)?;
        Ok(verified)
    }
}

/// What a root rests on, as it travels beside it: `prn.apr` is the digest of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ConsentArtefact {
    /// The person's assertion over this very root.
    Root(Assertion),
    /// A standing consent; the root says which use of it it is.
    Standing(Box<SignedStanding>),
}

impl ConsentArtefact {
    /// Reads the document strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, AssertionError> {
        let malformed = AssertionError::Malformed;
        if bytes.len() > MAX_BYTES {
            return Err(malformed);
        }
        let value = parse_strict(bytes).map_err(|_| malformed)?;
        // A derived reader takes a list of the values as well.
        let objects = ["statement", "assertion"].map(|name| value.get(name));
        match objects {
            [None, _] => Assertion::parse(bytes).map(Self::Root),
            [Some(statement), Some(assertion)]
                if statement.is_object() && assertion.is_object() =>
            {
                let signed: SignedStanding =
                    serde_json::from_value(value).map_err(|_| malformed)?;
                // Nobody can have signed what has no canonical form.
                signed.statement.to_bytes().map_err(|_| malformed)?;
                Ok(Self::Standing(Box::new(signed)))
            }
            _ => Err(malformed),
        }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical(self)
    }

    /// The person's assertion, over whichever of the two.
    pub const fn assertion(&self) -> &Assertion {
        match self {
            Self::Root(assertion) => assertion,
            Self::Standing(signed) => &signed.assertion,
        }
    }
}

impl From<Assertion> for ConsentArtefact {
    fn from(assertion: Assertion) -> Self {
        Self::Root(assertion)
    }
}

impl From<SignedStanding> for ConsentArtefact {
    fn from(signed: SignedStanding) -> Self {
        Self::Standing(Box::new(signed))
    }
}

use chancery_types::{Digest, base64url};

use super::{Assertion, AuthenticatorData, make_client_data};

/// An authenticator in software, for tests and demonstrations: no hardware holds its key and no
/// person is verified by it, whatever its data says. Whoever rests on its assertions says
/// `software-only`.
#[derive(Debug, Clone)]
pub struct SoftwareAuthenticator {
    credential_id: String,
    rp_id: String,
    origin: String,
    counter: u32,
}

impl SoftwareAuthenticator {
    /// An authenticator with one credential. A counter of zero stays zero, as with passkeys that
    /// have none; any other rises with each assertion.
    pub fn new(credential_id: &str, rp_id: &str, origin: &str, counter: u32) -> Self {
        Self {
            credential_id: credential_id.to_owned(),
            rp_id: rp_id.to_owned(),
            origin: origin.to_owned(),
            counter,
        }
    }

    /// Answers a challenge. `sign` signs with the credential's key: ECDSA in ASN.1 DER.
    pub fn assert<E>(
        &mut self,
        challenge: &Digest,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Assertion, E> {
        if self.counter != 0 {
            self.counter = self.counter.saturating_add(1);
        }
        let client_data_json = make_client_data(challenge, &self.origin);
        let data = AuthenticatorData {
            rp_id_hash: Digest::of(&self.rp_id),
            counter: self.counter,
            backed_up: false,
        };
        let authenticator_data = data.to_bytes();
        let digest = Digest::of(&client_data_json);
        let signature = sign(&[&authenticator_data[..], digest.as_bytes()].concat())?;
        Ok(Assertion {
            credential_id: self.credential_id.clone(),
            client_data_json: base64url::encode(client_data_json),
            authenticator_data: base64url::encode(authenticator_data),
            signature: base64url::encode(signature),
        })
    }
}

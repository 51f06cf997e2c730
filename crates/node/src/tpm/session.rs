use std::collections::{BTreeMap, BTreeSet};

use chancery_attestation::tpm::{EndorsementKey, PcrSelection, PcrValues};
use chancery_types::{Digest, Secret};
use tpm2_protocol::basic::{TpmHandle, TpmInt32, TpmUint16};
use tpm2_protocol::data::{
    Tpm2bData, Tpm2bDigest, Tpm2bEncryptedSecret, Tpm2bIdObject, Tpm2bNonce, Tpm2bPublic,
    Tpm2bSensitiveCreate, TpmAlgId, TpmRh, TpmSe, TpmlPcrSelection, TpmtSigScheme,
    TpmtSymDefObject, TpmuSigScheme, TpmuSymKeyBits, TpmuSymMode,
};
use tpm2_protocol::frame::{
    TpmActivateCredentialCommand, TpmActivateCredentialResponse, TpmCreatePrimaryCommand,
    TpmCreatePrimaryResponse, TpmFlushContextCommand, TpmFlushContextResponse, TpmNvReadCommand,
    TpmNvReadPublicCommand, TpmNvReadPublicResponse, TpmNvReadResponse, TpmPcrReadCommand,
    TpmPcrReadResponse, TpmPolicySecretCommand, TpmPolicySecretResponse, TpmQuoteCommand,
    TpmQuoteResponse, TpmReadPublicCommand, TpmReadPublicResponse, TpmStartAuthSessionCommand,
    TpmStartAuthSessionResponse,
};
use tpm2_protocol::{TpmMarshal, TpmSized, TpmUnmarshal, TpmWriter};

use super::TpmAddress;
use super::device::{Device, TpmError, by_policy, no_password};
use super::templates;

/// Most bytes of a maker's certificate, and how many are read at a time.
const MAX_CERTIFICATE_BYTES: u16 = 4_096;
const PIECE_BYTES: u16 = 512;

/// Registers that a TPM reads out at a time.
const REGISTERS: usize = 8;

/// Which of a TPM's endorsement keys names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TpmKeyKind {
    /// RSA 2048, which every TPM has.
    #[default]
    Rsa,
    /// ECC P-256.
    Ecc,
}

/// This host's TPM, with its endorsement key and a fresh attestation key of the same TPM. What was loaded
/// into it is let go when this value is dropped.
#[derive(Debug)]
pub struct OwnTpm {
    device: Device,
    endorsement: Loaded,
    attestation: Loaded,
    certificate: Option<Vec<u8>>,
    digest: Digest,
}

/// What a TPM answers a challenge.
#[derive(Debug)]
pub struct TpmAnswer {
    /// `TPMS_ATTEST`.
    pub quote: Vec<u8>,
    /// `TPMT_SIGNATURE`.
    pub signature: Vec<u8>,
    /// What the registers hold.
    pub pcrs: PcrValues,
}

#[derive(Debug)]
struct Loaded {
    handle: TpmHandle,
    /// `TPM2B_PUBLIC`.
    public: Vec<u8>,
    /// Whether it is let go again; one that the platform keeps is not.
    transient: bool,
}

impl TpmKeyKind {
    /// Where a platform keeps such a key, and where its certificate (TCG PC Client Platform TPM
    /// Profile; EK Credential Profile 2.2.1.4).
    const fn places(self) -> (u32, u32) {
        match self {
            Self::Rsa => (0x8101_0001, 0x01c0_0002),
            Self::Ecc => (0x8101_0002, 0x01c0_000a),
        }
    }
}

impl OwnTpm {
    /// Opens the TPM and its keys.
    pub fn open(address: &TpmAddress, kind: TpmKeyKind) -> Result<Self, TpmError> {
        let mut device = Device::open(address)?;
        let (kept, certificate) = kind.places();
        let kept = persistent(&mut device, kept);
        let endorsement = match kept {
            Some(kept) => kept,
            None => primary(&mut device, templates::endorsement(kind)?)?,
        };
        let digest = EndorsementKey::parse(&endorsement.public).map(|key| key.digest());
        let digest = digest.map_err(|error| TpmError::Answer(error.into()));
        let attested =
            digest.and_then(|digest| Ok((digest, primary(&mut device, templates::attestation())?)));
        let (digest, attestation) = attested.inspect_err(|_| release(&mut device, &endorsement))?;
        let certificate = certificate_at(&mut device, certificate);
        Ok(Self {
            digest,
            device,
            endorsement,
            attestation,
            certificate,
        })
    }

    /// The digest of the endorsement key, which names the TPM.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The endorsement key, `TPM2B_PUBLIC`.
    pub fn endorsement_key(&self) -> &[u8] {
        &self.endorsement.public
    }

    /// The attestation key, `TPM2B_PUBLIC`.
    pub fn attestation_key(&self) -> &[u8] {
        &self.attestation.public
    }

    /// The maker's certificate over the endorsement key, where the TPM holds one.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Opens a credential that was made for both keys.
    pub fn activate(&mut self, blob: &[u8], encrypted: &[u8]) -> Result<Secret, TpmError> {
        let blob = whole::<Tpm2bIdObject>(blob)?;
        let encrypted = whole::<Tpm2bEncryptedSecret>(encrypted)?;
        let session = self.endorsement_session()?;
        let command = TpmActivateCredentialCommand {
            handles: [self.attestation.handle, self.endorsement.handle],
            credential_blob: blob,
            secret: encrypted,
        };
        let sessions = [no_password(), by_policy(session)];
        let opened = self.device.authorised(&command, &sessions);
        // A session ends with the command that it authorised, and with no other.
        let opened: TpmActivateCredentialResponse =
            opened.inspect_err(|_| flush(&mut self.device, session))?;
        Ok(Secret::new(opened.cert_info.to_vec()))
    }

    /// Quotes registers, bound to `qualifying`.
    pub fn quote(
        &mut self,
        registers: &PcrSelection,
        qualifying: Digest,
    ) -> Result<TpmAnswer, TpmError> {
        let pcrs = self.pcrs(registers)?;
        let command = TpmQuoteCommand {
            handles: [self.attestation.handle],
            qualifying_data: Tpm2bData::try_from(qualifying.as_bytes().as_slice())
                .map_err(TpmError::Wire)?,
            in_scheme: TpmtSigScheme {
                scheme: TpmAlgId::Null,
                details: TpmuSigScheme::Null,
            },
            pcr_select: selected(registers)?,
        };
        let quoted: TpmQuoteResponse = self.device.authorised(&command, &[no_password()])?;
        Ok(TpmAnswer {
            quote: written(&quoted.quoted.inner)?,
            signature: written(&quoted.signature)?,
            pcrs,
        })
    }

    /// Reads registers of the SHA-256 bank.
    pub fn pcrs(&mut self, registers: &PcrSelection) -> Result<PcrValues, TpmError> {
        let all: Vec<u8> = registers.registers().collect();
        let mut values = BTreeMap::new();
        for some in all.chunks(REGISTERS) {
            let some: BTreeSet<u8> = some.iter().copied().collect();
            let some = PcrSelection::try_from(some);
            let some = some.map_err(|error| TpmError::Answer(error.into()))?;
            let command = TpmPcrReadCommand {
                handles: [],
                pcr_selection_in: selected(&some)?,
            };
            let read: TpmPcrReadResponse = self.device.plain(&command)?;
            if read.pcr_selection_out != command.pcr_selection_in {
                let missing = "the tpm has no such registers in its sha-256 bank";
                return Err(TpmError::Answer(missing.into()));
            }
            for (register, value) in some.registers().zip(read.pcr_values.iter()) {
                let value: [u8; 32] = value
                    .as_ref()
                    .try_into()
                    .map_err(|_| TpmError::Answer("a register of another length".into()))?;
                values.insert(register, Digest::from_bytes(value));
            }
        }
        PcrValues::try_from(values).map_err(|error| TpmError::Answer(error.into()))
    }

    /// A session that fulfils the endorsement key's policy.
    fn endorsement_session(&mut self) -> Result<TpmHandle, TpmError> {
        let command = TpmStartAuthSessionCommand {
            handles: [permanent(TpmRh::Null), permanent(TpmRh::Null)],
            nonce_caller: Tpm2bNonce::try_from([0; 16].as_slice()).map_err(TpmError::Wire)?,
            encrypted_salt: Tpm2bEncryptedSecret::default(),
            session_type: TpmSe::Policy,
            symmetric: TpmtSymDefObject {
                algorithm: TpmAlgId::Null,
                key_bits: TpmuSymKeyBits::Null,
                mode: TpmuSymMode::Null,
            },
            auth_hash: TpmAlgId::Sha256,
        };
        let started: TpmStartAuthSessionResponse = self.device.plain(&command)?;
        let [session] = started.handles;
        let command = TpmPolicySecretCommand {
            handles: [permanent(TpmRh::Endorsement), session],
            nonce_tpm: Tpm2bNonce::default(),
            cp_hash_a: Tpm2bDigest::default(),
            policy_ref: Tpm2bNonce::default(),
            expiration: TpmInt32::new(0),
        };
        let fulfilled = self.device.authorised(&command, &[no_password()]);
        let _: TpmPolicySecretResponse =
            fulfilled.inspect_err(|_| flush(&mut self.device, session))?;
        Ok(session)
    }
}

impl Drop for OwnTpm {
    fn drop(&mut self) {
        release(&mut self.device, &self.attestation);
        release(&mut self.device, &self.endorsement);
    }
}

/// The key that the platform keeps there, where it is an endorsement key of a shape that is known.
fn persistent(device: &mut Device, handle: u32) -> Option<Loaded> {
    let handle = TpmHandle::new(handle);
    let command = TpmReadPublicCommand { handles: [handle] };
    let read: TpmReadPublicResponse = device.plain(&command).ok()?;
    let public = written(&read.out_public).ok()?;
    EndorsementKey::parse(&public).ok()?;
    Some(Loaded {
        handle,
        public,
        transient: false,
    })
}

/// A primary key of the endorsement hierarchy: the same for the same template as long as the TPM has
/// the same seed.
fn primary(device: &mut Device, template: Tpm2bPublic) -> Result<Loaded, TpmError> {
    let command = TpmCreatePrimaryCommand {
        handles: [permanent(TpmRh::Endorsement)],
        in_sensitive: Tpm2bSensitiveCreate::default(),
        in_public: template,
        outside_info: Tpm2bData::default(),
        creation_pcr: TpmlPcrSelection::new(),
    };
    let created: TpmCreatePrimaryResponse = device.authorised(&command, &[no_password()])?;
    let [handle] = created.handles;
    Ok(Loaded {
        handle,
        public: written(&created.out_public)?,
        transient: true,
    })
}

/// The certificate at that place; none where the TPM has none or lets nobody read it.
fn certificate_at(device: &mut Device, index: u32) -> Option<Vec<u8>> {
    let index = TpmHandle::new(index);
    let command = TpmNvReadPublicCommand { handles: [index] };
    let public: TpmNvReadPublicResponse = device.plain(&command).ok()?;
    let length = public.nv_public.inner.data_size.value();
    if length > MAX_CERTIFICATE_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    while let Some(rest) = length.checked_sub(u16::try_from(bytes.len()).ok()?) {
        if rest == 0 {
            break;
        }
        let command = TpmNvReadCommand {
            handles: [index, index],
            size: TpmUint16::new(rest.min(PIECE_BYTES)),
            offset: TpmUint16::new(u16::try_from(bytes.len()).ok()?),
        };
        let read: TpmNvReadResponse = device.authorised(&command, &[no_password()]).ok()?;
        let piece: &[u8] = &read.data;
        if piece.is_empty() {
            return None;
        }
        bytes.extend_from_slice(piece);
    }
    Some(one_certificate(bytes))
}

/// What stands after the certificate is what the place has more than it needs.
fn one_certificate(mut bytes: Vec<u8>) -> Vec<u8> {
    if let [0x30, 0x82, high, low, ..] = bytes.as_slice() {
        let length = usize::from(u16::from_be_bytes([*high, *low])) + 4;
        bytes.truncate(length);
    }
    bytes
}

fn release(device: &mut Device, loaded: &Loaded) {
    if loaded.transient {
        flush(device, loaded.handle);
    }
}

/// Lets go of what was loaded. A TPM that does not answer any more has nothing to let go of.
fn flush(device: &mut Device, handle: TpmHandle) {
    let command = TpmFlushContextCommand {
        handles: [],
        flush_handle: handle,
    };
    let flushed: Result<TpmFlushContextResponse, _> = device.plain(&command);
    if let Err(error) = flushed {
        tracing::debug!(%error, "the tpm keeps what was loaded");
    }
}

const fn permanent(handle: TpmRh) -> TpmHandle {
    TpmHandle::new(handle.value())
}

fn selected(registers: &PcrSelection) -> Result<TpmlPcrSelection, TpmError> {
    let selected = registers.to_tpm();
    selected.ok_or_else(|| TpmError::Answer("no registers are asked for".into()))
}

fn written(value: &(impl TpmMarshal + TpmSized)) -> Result<Vec<u8>, TpmError> {
    let mut bytes = vec![0; value.len()];
    let mut writer = TpmWriter::new(&mut bytes);
    value.marshal(&mut writer).map_err(TpmError::Wire)?;
    let length = writer.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// Reads a value that is all there is.
fn whole<T: TpmUnmarshal>(bytes: &[u8]) -> Result<T, TpmError> {
    match T::unmarshal(bytes).map_err(TpmError::Wire)? {
        (value, []) => Ok(value),
        _ => Err(TpmError::Answer("the credential has a rest".into())),
    }
}

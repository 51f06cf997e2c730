use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chancery_types::Digest;
use serde::{Deserialize, Serialize};
use tpm2_protocol::data::{TpmAlgId, TpmlPcrSelection, TpmsPcrSelect, TpmsPcrSelection};

/// The registers of a platform: 0 to 23.
const REGISTERS: u8 = 24;

/// What every join quotes: what firmware, its settings, its loaders and secure boot were.
const ALWAYS: std::ops::RangeInclusive<u8> = 0..=7;

/// Values of platform configuration registers, of the SHA-256 bank: register by value, each of a
/// register that there is.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<u8, Digest>", into = "BTreeMap<u8, Digest>")]
pub struct PcrValues(BTreeMap<u8, Digest>);

/// Registers of the SHA-256 bank, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<u8>", into = "BTreeSet<u8>")]
pub struct PcrSelection(BTreeSet<u8>);

/// There is no such register, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a platform configuration register is one of 0 to 23")]
pub struct PcrError;

impl PcrValues {
    /// The registers that are named here.
    pub fn registers(&self) -> impl Iterator<Item = u8> {
        self.0.keys().copied()
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each register with its value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Digest)> {
        self.0.iter().map(|(register, value)| (*register, *value))
    }

    /// The first register whose value is another one in `found`, or is not in it.
    pub fn differs_in(&self, found: &Self) -> Option<u8> {
        let mut expected = self.0.iter();
        let other = |(register, value): &(&u8, &Digest)| found.0.get(*register) != Some(*value);
        expected.find(other).map(|(register, _)| *register)
    }

    /// What a quote over exactly these registers says of them.
    pub(super) fn digest(&self) -> Digest {
        Digest::of_parts(self.0.values().map(|value| value.as_bytes().as_slice()))
    }

    /// What is quoted of a TPM of which these values are wanted: they, and the first eight.
    pub fn quoted(&self) -> PcrSelection {
        PcrSelection(self.registers().chain(ALWAYS).collect())
    }

    /// Exactly the registers that were asked for.
    pub(super) fn is_of(&self, selection: &PcrSelection) -> bool {
        self.0.keys().eq(&selection.0)
    }
}

impl PcrSelection {
    /// The registers.
    pub fn registers(&self) -> impl Iterator<Item = u8> {
        self.0.iter().copied()
    }

    /// The selection in a TPM's words.
    pub fn to_tpm(&self) -> Option<TpmlPcrSelection> {
        select(self.registers())
    }
}

fn select(registers: impl Iterator<Item = u8>) -> Option<TpmlPcrSelection> {
    let bits = registers.fold(0_u32, |bits, register| {
        bits | 1_u32.checked_shl(register.into()).unwrap_or(0)
    });
    let [first, second, third, _] = bits.to_le_bytes();
    let one = TpmsPcrSelection {
        hash: TpmAlgId::Sha256,
        pcr_select: TpmsPcrSelect::try_from([first, second, third].as_slice()).ok()?,
    };
    let mut list = TpmlPcrSelection::new();
    list.try_push(one).ok()?;
    Some(list)
}

impl TryFrom<BTreeMap<u8, Digest>> for PcrValues {
    type Error = PcrError;

    fn try_from(values: BTreeMap<u8, Digest>) -> Result<Self, PcrError> {
        match values.keys().all(|register| *register < REGISTERS) {
            true => Ok(Self(values)),
            false => Err(PcrError),
        }
    }
}

impl From<PcrValues> for BTreeMap<u8, Digest> {
    fn from(values: PcrValues) -> Self {
        values.0
    }
}

impl TryFrom<BTreeSet<u8>> for PcrSelection {
    type Error = PcrError;

    fn try_from(registers: BTreeSet<u8>) -> Result<Self, PcrError> {
        match !registers.is_empty() && registers.iter().all(|register| *register < REGISTERS) {
            true => Ok(Self(registers)),
            false => Err(PcrError),
        }
    }
}

impl From<PcrSelection> for BTreeSet<u8> {
    fn from(selection: PcrSelection) -> Self {
        selection.0
    }
}

impl fmt::Debug for PcrValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

//! The demo's input, carried in the binary.

use std::path::Path;

use anyhow::Context as _;

/// The books, as `demo/generate.py` made them.
const BOOKS: [(&str, &str); 3] = [
    (
        "accounts.csv",
        include_str!("../../../../demo/accounts.csv"),
    ),
    (
        "invoices.csv",
        include_str!("../../../../demo/invoices.csv"),
    ),
    (
        "payments.csv",
        include_str!("../../../../demo/payments.csv"),
    ),
];

/// The policy bundle.
const POLICY: [(&str, &str); 3] = [
    (
        "bundle.json",
        include_str!("../../../../demo/policy/bundle.json"),
    ),
    (
        "ledger.cedar",
        include_str!("../../../../demo/policy/ledger.cedar"),
    ),
    (
        "schema.cedarschema",
        include_str!("../../../../demo/policy/schema.cedarschema"),
    ),
];

/// What the person consents to.
pub(super) const MISSION: &str = include_str!("../../../../demo/mission.json");

/// The closing balances that the generator computed on its own.
pub(super) const EXPECTED: &str = include_str!("../../../../demo/expected.json");

pub(super) fn write_books(folder: &Path) -> anyhow::Result<()> {
    write(folder, &BOOKS)
}

pub(super) fn write_policy(folder: &Path) -> anyhow::Result<()> {
    write(folder, &POLICY)
}

fn write(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chancery_policy::Bundle;

    use super::*;

    #[test]
    fn the_policy_is_a_valid_bundle() {
        let files = POLICY
            .iter()
            .map(|(name, text)| ((*name).into(), text.as_bytes().to_vec()));
        let bundle = Bundle::load(&files.collect()).unwrap();
        assert!(bundle.is_ask("large-postings-need-a-person"));
    }
}

//! Generated files: the Rust of `proto/`, and the reference documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use protox::prost::Message as _;
use protox::prost_reflect::prost_types::FileDescriptorSet;

const PROTOS: [&str; 2] = ["workloadapi.proto", "chancery_agent.proto"];

/// What the generator calls the file of each package, and where it is committed.
const RENAMED: [(&str, &str); 2] = [
    ("_.rs", "crates/node/src/pb/workload.rs"),
    ("chancery.agent.v1.rs", "crates/api/src/pb/agent.rs"),
];

/// Writes the Rust of `proto/` to where it is committed; with `check`, compares and fails on any
/// difference instead.
pub(crate) fn generate(root: &Path, check: bool) -> anyhow::Result<()> {
    let attacks = (
        "docs/reference/attacks.md".to_owned(),
        crate::attacks::page(root)?,
    );
    let made = generated(root)?.into_iter().chain(references(root)?);
    for (name, content) in made.chain([attacks]) {
        let path = root.join(&name);
        if !check {
            fs::write(&path, content).with_context(|| path.display().to_string())?;
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&content) {
            bail!(
                "{}: differs from what the code says; run: cargo xtask gen",
                path.display()
            );
        }
    }
    Ok(())
}

/// The reference documents, as the program itself writes them.
fn references(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let write = |(part, file): (&str, &str)| {
        let output = Command::new(env!("CARGO"))
            .args([
                "run",
                "--quiet",
                "--package",
                "chancery-cli",
                "--",
                "reference",
                part,
            ])
            .current_dir(root)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("chancery reference {part}"))?;
        anyhow::ensure!(
            output.status.success(),
            "chancery reference {part}: {}",
            output.status
        );
        let text = String::from_utf8(output.stdout)?;
        Ok((format!("docs/reference/{file}"), text))
    };
    [
        ("cli", "cli.md"),
        ("events", "events.md"),
        ("events-schema", "events.schema.json"),
        ("reasons", "reasons.md"),
        ("metrics", "metrics.md"),
    ]
    .into_iter()
    .map(write)
    .collect()
}

/// Where the descriptors of the services stand, for reflection.
const DESCRIPTORS: &str = "crates/node/src/pb/descriptors.rs";

/// The descriptors without comments and places, as Rust.
fn described(descriptors: &FileDescriptorSet) -> String {
    let mut descriptors = descriptors.clone();
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let mut text = String::from(
        "// Generated from `proto/` by `cargo xtask gen`; never edited.\n\
         /// The descriptors of the services and of what they use: a `FileDescriptorSet`.\n\
         pub const FILE_DESCRIPTOR_SET: &[u8] = b\"\\\n",
    );
    for piece in descriptors.encode_to_vec().chunks(32) {
        text.extend(piece.iter().map(|byte| format!("\\x{byte:02x}")));
        text.push_str("\\\n");
    }
    text + "\";\n"
}

fn generated(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let descriptors = protox::compile(PROTOS, [root.join("proto")])?;
    let described = described(&descriptors);
    let folder = std::env::temp_dir().join(format!("chancery-gen-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let outcome = tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .out_dir(&folder)
        .compile_fds(descriptors)
        .map_err(anyhow::Error::from)
        .and_then(|()| read(&folder));
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut files = outcome?;
    files.insert(DESCRIPTORS.to_owned(), described);
    Ok(files)
}

fn read(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for (from, to) in RENAMED {
        let path = folder.join(from);
        let content = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        files.insert(to.to_owned(), content);
    }
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !RENAMED.iter().any(|(from, _)| name == *from) {
            bail!("{}: generated for no package that is known", name.display());
        }
    }
    Ok(files)
}

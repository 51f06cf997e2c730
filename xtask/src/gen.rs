//! Generated files: the Rust of `proto/`, and the reference documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use protox::prost::Message as _;
use protox::prost_reflect::prost_types::FileDescriptorSet;

/// The files of the services of the workload socket, those of the broker socket, and that of a
/// recorder's.
const PROTOS: [&str; 5] = [
    "workloadapi.proto",
    "chancery_agent.proto",
    "brokerapi.proto",
    "chancery_broker.proto",
    "chancery_append.proto",
];

/// What the generator calls the file of each package, and where it is committed.
const RENAMED: [(&str, &str); 5] = [
    ("_.rs", "crates/node/src/pb/workload.rs"),
    ("chancery.agent.v1.rs", "crates/api/src/pb/agent.rs"),
    ("spiffe.broker.rs", "crates/node/src/pb/broker.rs"),
    (
        "chancery.broker.v1.rs",
        "crates/node/src/pb/broker_reference.rs",
    ),
    ("chancery.append.v1.rs", "crates/api/src/pb/append.rs"),
];

/// Writes the Rust of `proto/` to where it is committed; with `check`, compares and fails on any
/// difference instead.
pub(crate) fn generate(root: &Path, check: bool) -> anyhow::Result<()> {
    // The program that writes the references is made of what the protocols say.
    put(root, check, generated(root)?)?;
    let attacks = (
        "docs/reference/attacks.md".to_owned(),
        crate::attacks::page(root)?,
    );
    put(root, check, references(root)?.into_iter().chain([attacks]))
}

fn put(
    root: &Path,
    check: bool,
    made: impl IntoIterator<Item = (String, String)>,
) -> anyhow::Result<()> {
    for (name, content) in made {
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

/// The descriptors of each socket's services, as Rust.
fn described(root: &Path) -> anyhow::Result<String> {
    let [workload, agent, broker, reference, _] = PROTOS;
    let mut text = String::from("// Generated from `proto/` by `cargo xtask gen`; never edited.\n");
    for (name, socket, files) in [
        ("FILE_DESCRIPTOR_SET", "workload", [workload, agent]),
        ("BROKER_DESCRIPTOR_SET", "broker", [broker, reference]),
    ] {
        let descriptors = protox::compile(files, [root.join("proto")])?;
        let meaning = format!(
            "The descriptors of the services of the {socket} socket and of what they use: a \
             `FileDescriptorSet`."
        );
        text += &constant(name, &meaning, descriptors);
    }
    Ok(text)
}

/// Descriptors without comments and places.
fn constant(name: &str, meaning: &str, mut descriptors: FileDescriptorSet) -> String {
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let mut text = format!("/// {meaning}\npub const {name}: &[u8] = b\"\\\n");
    for piece in descriptors.encode_to_vec().chunks(32) {
        text.extend(piece.iter().map(|byte| format!("\\x{byte:02x}")));
        text.push_str("\\\n");
    }
    text + "\";\n"
}

fn generated(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let descriptors = protox::compile(PROTOS, [root.join("proto")])?;
    let described = described(root)?;
    let folder = std::env::temp_dir().join(format!("chancery-gen-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let outcome = tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        // An entry is not copied out of the message that it came in.
        .bytes(".chancery.append.v1")
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

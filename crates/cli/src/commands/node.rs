//! `chancery node`: hosts that join a deployment.

mod join;
mod tpm;

use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::{
    AdmitNodeAuthority, EvictNode, NewNodeToken, NodeView, Nodes, ServerClient,
};
use chancery_crypto::create_private_file;
use chancery_types::base64url;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::args::{Format, NodeArgs, NodeCommand, PcrValue};
use crate::output;

pub(super) async fn run(format: Format, args: NodeArgs) -> anyhow::Result<ExitCode> {
    let Some(command) = args.command else {
        return super::parts::node(&super::layout(&args.data)?).await;
    };
    if let NodeCommand::Join(join) = command {
        return join::run(format, &args.data, join).await;
    }
    if let NodeCommand::Tpm(tpm) = command {
        tpm::show(format, tpm).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let server = super::layout(&args.data)?.server_client();
    match command {
        NodeCommand::Token { lifetime, out } => {
            // A token that cannot be written down is made and enrolled for nobody.
            out.as_deref().map_or(Ok(()), super::absent)?;
            let request = NewNodeToken {
                lifetime_seconds: lifetime,
            };
            let made = server.node_token(&request).await?;
            output::say(format_args!(
                "admits one host until {}; who has it may join",
                made.expires_at
            ));
            match out {
                Some(file) => {
                    create_private_file(&file, format!("{}\n", made.token.expose()).as_bytes())?;
                    output::say(format_args!("{}: the token", file.display()));
                }
                None => output::result(format, &made, || made.token.expose().to_owned())?,
            }
        }
        NodeCommand::List => {
            let nodes = server.nodes().await?;
            output::result(format, &nodes, || listed(&nodes))?;
        }
        NodeCommand::Show { node } => {
            let nodes = server.nodes().await?.nodes.into_iter();
            let view = nodes.into_iter().find(|one| one.node_id == node);
            let view =
                view.with_context(|| format!("there is no node {node}; see `chancery node list`"))?;
            output::result(format, &view, || shown(&view))?;
        }
        NodeCommand::Evict { node, reason } => {
            let evicted = server.evict_node(node, &EvictNode { reason }).await?;
            output::result(format, &evicted, || {
                let revoked = match evicted.instances.len() {
                    0 => "no instance was on it".to_owned(),
                    1 => "1 instance of it is revoked".to_owned(),
                    many => format!("{many} instances of it are revoked"),
                };
                format!(
                    "{} is out, entry {}; {revoked}",
                    evicted.spiffe_id, evicted.log_index
                )
            })?;
        }
        NodeCommand::AdmitCa {
            certificate,
            tpm,
            pcr,
        } => admit(format, &server, &certificate, (tpm, &pcr)).await?,
        NodeCommand::RemoveCa { fingerprint } => {
            let removed = server.remove_node_authority(fingerprint).await?;
            output::result(format, &removed, || {
                format!("{fingerprint} admits no host any more")
            })?;
        }
        NodeCommand::AdmitTpm { tpm, pcr } => tpm::admit(format, &server, &tpm, &pcr).await?,
        NodeCommand::RemoveTpm { tpm } => {
            let removed = server.remove_node_tpm(tpm).await?;
            output::result(format, &removed, || {
                format!("the host of TPM {tpm} joins no more")
            })?;
        }
        NodeCommand::Join(_) | NodeCommand::Tpm(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn admit(
    format: Format,
    server: &ServerClient,
    file: &std::path::Path,
    (tpms, pcr): (bool, &[PcrValue]),
) -> anyhow::Result<()> {
    let shown = || file.display().to_string();
    let pem = std::fs::read(file).with_context(shown)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.ok().with_context(|| format!("{}: not PEM", shown()))?;
    let [certificate] = all.as_slice() else {
        anyhow::bail!(
            "{}: holds {} certificates; name a file with the authority's alone",
            shown(),
            all.len()
        );
    };
    let request = AdmitNodeAuthority {
        certificate: base64url::encode(certificate),
        tpms,
        pcrs: tpm::values(pcr)?,
    };
    let admitted = server.admit_node_authority(&request).await;
    let view = admitted.with_context(shown)?;
    output::result(format, &view, || {
        let whom = if view.tpms {
            "hosts by their TPMs"
        } else {
            "hosts"
        };
        format!(
            "{} ({}) admits {whom}, entry {}",
            view.subject, view.fingerprint, view.log_index
        )
    })
}

fn listed(nodes: &Nodes) -> String {
    let rows = nodes.nodes.iter().map(|one| {
        [
            one.node_id.to_string(),
            one.proof.clone(),
            level(one),
            one.subject.clone().unwrap_or_default(),
            state(one),
            one.instances.to_string(),
        ]
    });
    let mut text = output::table(
        [
            "node",
            "joined by",
            "level",
            "subject",
            "state",
            "instances",
        ],
        rows,
    );
    if !nodes.authorities.is_empty() {
        let rows = nodes.authorities.iter().map(|one| {
            [
                one.fingerprint.to_string(),
                if one.tpms { "TPMs" } else { "hosts" }.to_owned(),
                one.subject.clone(),
                (one.not_after).map_or_else(|| "ever".to_owned(), |end| end.to_string()),
            ]
        });
        text.push_str("\n\n");
        text.push_str(&output::table(
            ["authority", "of", "subject", "until"],
            rows,
        ));
    }
    if !nodes.tpms.is_empty() {
        let rows = nodes.tpms.iter().map(|one| {
            let held = one.pcrs.registers().map(|register| register.to_string());
            let held: Vec<_> = held.collect();
            [one.tpm.to_string(), held.join(" ")]
        });
        text.push_str("\n\n");
        text.push_str(&output::table(["TPM", "registers given"], rows));
    }
    text
}

fn state(node: &NodeView) -> String {
    match node.evicted_at {
        Some(at) => format!("out since {at}"),
        None => format!("SVID until {}", node.expires_at),
    }
}

/// What vouches for the host: nothing but software where nothing else is known.
fn level(node: &NodeView) -> String {
    let level = node.level.map(|level| level.to_string());
    level.unwrap_or_else(|| "software-only".to_owned())
}

fn shown(node: &NodeView) -> String {
    let mut rows = vec![
        ["node".to_owned(), node.spiffe_id.clone()],
        ["joined by".to_owned(), node.proof.clone()],
        ["level".to_owned(), level(node)],
        ["joined".to_owned(), node.joined_at.to_string()],
        ["state".to_owned(), state(node)],
        ["instances".to_owned(), node.instances.to_string()],
        ["enrolled".to_owned(), format!("entry {}", node.log_index)],
    ];
    if let Some(subject) = &node.subject {
        rows.push(["subject".to_owned(), subject.clone()]);
    }
    if let Some(shown) = &node.tpm {
        rows.push(["tpm".to_owned(), shown.endorsement_key.to_string()]);
        rows.push(["resets".to_owned(), shown.resets.to_string()]);
        rows.extend(tpm::registers(&shown.pcrs));
    }
    output::table(["what", "value"], rows)
}

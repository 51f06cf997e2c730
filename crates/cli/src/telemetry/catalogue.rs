use std::fmt::Write as _;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// A family of metrics: its name, its kind, its labels, who shows it, and what it says.
struct Family {
    name: &'static str,
    kind: &'static str,
    labels: &'static str,
    shown_by: &'static str,
    says: &'static str,
}

/// Upper bounds of the buckets of every histogram, in seconds.
const BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

const FAMILIES: [Family; 23] = [
    Family {
        name: "chancery_part_up",
        kind: "gauge",
        labels: "`part`",
        shown_by: "up",
        says: "1 where the part answered when it was asked for its metrics, else 0.",
    },
    Family {
        name: "chancery_part_restarts_total",
        kind: "counter",
        labels: "`part`",
        shown_by: "up",
        says: "How often a part ended on its own and was started again.",
    },
    Family {
        name: "chancery_requests_total",
        kind: "counter",
        labels: "`route`, `status`",
        shown_by: "signer, server, node",
        says: "Requests to the part's own sockets, by the pattern of the route. Issuance is `POST /v1/issue/...` of the server.",
    },
    Family {
        name: "chancery_request_seconds",
        kind: "histogram",
        labels: "`route`",
        shown_by: "signer, server, node",
        says: "How long their answers took. Requests that wait for a change are among them.",
    },
    Family {
        name: "chancery_authority_expiry_timestamp_seconds",
        kind: "gauge",
        labels: "",
        shown_by: "signer",
        says: "When the certificate that signs X.509-SVIDs ends, in seconds since 1970.",
    },
    Family {
        name: "chancery_svid_expiry_timestamp_seconds",
        kind: "gauge",
        labels: "",
        shown_by: "gateway",
        says: "When the gateway's own X.509-SVID ends. It is renewed at half of its life.",
    },
    Family {
        name: "chancery_snapshot_timestamp_seconds",
        kind: "gauge",
        labels: "",
        shown_by: "gateway",
        says: "When the snapshot in force was signed. Older than the grace (900 s): nothing new is allowed.",
    },
    Family {
        name: "chancery_sessions",
        kind: "gauge",
        labels: "",
        shown_by: "gateway",
        says: "Sessions that have not ended for good.",
    },
    Family {
        name: "chancery_decisions_total",
        kind: "counter",
        labels: "`decision`, `reason`",
        shown_by: "gateway",
        says: "Decided calls: `allow`, `deny` or `escalate`; of a denial its [reason code](reasons.md); `observed` of what passed unenforced.",
    },
    Family {
        name: "chancery_unenforced_total",
        kind: "counter",
        labels: "`verdict`",
        shown_by: "gateway",
        says: "Calls that passed though policy said `deny` or `escalate`: observe mode. Not zero in production: look at `session list`.",
    },
    Family {
        name: "chancery_decision_seconds",
        kind: "histogram",
        labels: "`decision`",
        shown_by: "gateway",
        says: "From the whole request to the decision that is durable in the log; a wait for a person is in it.",
    },
    Family {
        name: "chancery_outcomes_total",
        kind: "counter",
        labels: "`status`",
        shown_by: "gateway",
        says: "How forwarded calls ended.",
    },
    Family {
        name: "chancery_node_joins_total",
        kind: "counter",
        labels: "`outcome`",
        shown_by: "server",
        says: "Hosts that asked to join, by whether they `joined` or were `refused`.",
    },
    Family {
        name: "chancery_nodes_evicted_total",
        kind: "counter",
        labels: "",
        shown_by: "server",
        says: "Nodes that were put out.",
    },
    Family {
        name: "chancery_instances_spawned_total",
        kind: "counter",
        labels: "",
        shown_by: "server",
        says: "Instances that another instance started.",
    },
    Family {
        name: "chancery_spawns_refused_total",
        kind: "counter",
        labels: "`reason`",
        shown_by: "server",
        says: "Instances that another one was not let start, by [reason code](reasons.md).",
    },
    Family {
        name: "chancery_launches",
        kind: "gauge",
        labels: "",
        shown_by: "node",
        says: "Launches that run.",
    },
    Family {
        name: "chancery_workload_streams",
        kind: "gauge",
        labels: "",
        shown_by: "node",
        says: "Open streams of the Workload API.",
    },
    Family {
        name: "chancery_log_entries_total",
        kind: "counter",
        labels: "",
        shown_by: "server, gateway",
        says: "Entries that became durable since the part started.",
    },
    Family {
        name: "chancery_log_commit_seconds",
        kind: "histogram",
        labels: "",
        shown_by: "server, gateway",
        says: "How long a group of entries took to become durable: one write and one sync.",
    },
    Family {
        name: "chancery_log_checkpoints_total",
        kind: "counter",
        labels: "`result`",
        shown_by: "server, gateway",
        says: "Checkpoints that were due: `witnessed`, `unwitnessed`, `withheld` (no quorum), `failed` (the signer was away or refused).",
    },
    Family {
        name: "chancery_log_published_entries",
        kind: "gauge",
        labels: "",
        shown_by: "server, gateway",
        says: "Entries that the visible checkpoint covers.",
    },
    Family {
        name: "chancery_log_published_timestamp_seconds",
        kind: "gauge",
        labels: "",
        shown_by: "server, gateway",
        says: "When that checkpoint was last published or found unchanged.",
    },
];

/// The page of all families.
pub(crate) fn markdown() -> String {
    let mut text = "# Metrics\n\n`chancery up --metrics ADDRESS` shows these at `/metrics`, in the text format of \
        Prometheus, each with the label `part` of the process that counted it. A family appears once something \
        was counted. Nothing names a person, an instance, a session, a tool or an argument. \
        [How to watch a deployment](../how-to/watch-a-deployment.md) says how to use them.\n\n\
        | name | kind | labels | part | meaning |\n| --- | --- | --- | --- | --- |\n"
        .to_owned();
    for family in &FAMILIES {
        let Family {
            name,
            kind,
            labels,
            shown_by,
            says,
        } = family;
        let _ = writeln!(
            text,
            "| `{name}` | {kind} | {labels} | {shown_by} | {says} |"
        );
    }
    text
}

/// The lines that stand before the samples of a family; nothing for one that is not in the table.
pub(super) fn head(name: &str) -> String {
    let family = FAMILIES.iter().find(|family| family.name == name);
    family.map_or_else(
        String::new,
        |Family {
             name, kind, says, ..
         }| { format!("# HELP {name} {says}\n# TYPE {name} {kind}\n") },
    )
}

/// Counts in this process from now on; the label goes with every number.
pub(super) fn record(part: &str) -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .add_global_label("part", part)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    for family in &FAMILIES {
        match family.kind {
            "counter" => metrics::describe_counter!(family.name, family.says),
            "histogram" => metrics::describe_histogram!(family.name, family.says),
            _ => metrics::describe_gauge!(family.name, family.says),
        }
    }
    Ok(handle)
}

//! `chancery up`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_identity::TrustDomain;
use chancery_journal::keep_log_in;
use chancery_signer::{Lifetimes, RootConfig};
use chancery_types::Digest;
use nix::sys::stat::{Mode, umask};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::policy::{load, publish};
use super::trust::{copy, follow_first};
use crate::args::{Format, UpArgs, X509Root};
use crate::bundle_config::BundleFile;
use crate::deployment::{DataLock, Layout, Part, Supervisor, create, wait_until_ready};
use crate::gateway_config::GatewayFile;
use crate::output;
use crate::server_config::{ConsoleFile, ServerFile};
use crate::telemetry::Front;

/// What a running deployment has opened.
#[derive(Debug, Serialize)]
pub(crate) struct Opened {
    trust_domain: String,
    data: String,
    trust_version: u64,
    /// Where the trust document was copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_out: Option<String>,
    policy: Digest,
    gateway: String,
    workload_api: String,
    /// Where others fetch the bundle by the server's X.509-SVID.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_spiffe: Option<String>,
    /// Where others fetch the bundle by a certificate of the Web's.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_web: Option<String>,
    tool_servers: Vec<String>,
    /// Where nodes on other hosts are listened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<SocketAddr>,
    /// The revision of the incubating specifications of WIT-SVIDs, where they are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    wit_svid: Option<String>,
    /// Where brokers find the Broker API, which is incubating, where it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_api: Option<String>,
    /// Where people see and sign in a browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    console: Option<String>,
    /// Where metrics, health and readiness are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
    /// Lets the first person enrol; present until somebody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    enrol_code: Option<String>,
    processes: BTreeMap<String, u32>,
}

pub(super) async fn run(format: Format, args: UpArgs) -> anyhow::Result<ExitCode> {
    umask(Mode::from_bits_truncate(0o077));
    let layout = Layout::at(&args.data.data)?;
    let trust_domain: TrustDomain = args
        .trust_domain
        .parse()
        .with_context(|| format!("--trust-domain {}", args.trust_domain))?;
    if let Some(folder) = &args.policy {
        load(folder)?;
    }
    prepare(&layout, &trust_domain, args.x509_root)?;
    let _lock = DataLock::take(&layout).await?;
    let listen = args.gateway_listen.unwrap_or(Ipv4Addr::LOCALHOST.into());
    check_port((listen, args.gateway_port).into())?;
    let front = match args.metrics {
        Some(address) => Some(Front::bind(address).await?),
        None => None,
    };
    let shown_at = front.as_ref().map(Front::address).transpose()?;
    let config = configure(&layout, &args)?;
    let bundle = BundleFile::configure(&layout.bundle_config(), &args.bundle)?;
    let addresses = [
        bundle.https_spiffe,
        bundle.https_web.as_ref().map(|web| web.listen),
        args.nodes,
        args.console.listen,
    ];
    for address in addresses.into_iter().flatten() {
        check_address(address)?;
    }
    if let Some(console) = ConsoleFile::told(&args.console)? {
        let opened = console.config()?.listen().map(drop);
        opened.context("choose another address with --console")?;
    }
    // Whoever sees what was opened may stop it.
    let mut stop = Stop::new()?;
    let mut supervisor = Supervisor::new(&layout);
    // Ends with this process.
    if let Some(front) = front {
        let parts = supervisor.watch().clone();
        tokio::spawn(front.serve(layout.clone(), config.local(), parts));
    }
    let opening = open(
        &layout,
        &args,
        (&config, &bundle, shown_at),
        &mut supervisor,
    );
    let outcome = tokio::select! {
        opened = opening => opened.and_then(|opened| {
            output::result(format, &opened, || shown(&opened))?;
            Ok(Some(opened))
        }),
        () = stop.asked() => Ok(None),
    };
    if let Ok(Some(opened)) = &outcome {
        tokio::select! {
            () = stop.asked() => {}
            () = let_first_in(&layout, opened) => {}
        }
    }
    if outcome.is_ok() {
        output::say("stopping");
    }
    supervisor.stop().await;
    outcome.map(|_| ExitCode::SUCCESS)
}

/// Lets the first person in by the console, where there is one. Never ends.
async fn let_first_in(layout: &Layout, opened: &Opened) {
    if let (Some(_), Some(code)) = (&opened.console, &opened.enrol_code) {
        follow_first(layout, code).await;
    }
    std::future::pending().await
}

/// Starts every part and waits until each of them serves.
async fn open(
    layout: &Layout,
    args: &UpArgs,
    (config, bundle, metrics): (&GatewayFile, &BundleFile, Option<SocketAddr>),
    supervisor: &mut Supervisor,
) -> anyhow::Result<Opened> {
    for part in [Part::Signer, Part::Server] {
        supervisor.start(part);
        wait_until_ready(layout, supervisor, part, config.local()).await?;
    }
    let policy = match &args.policy {
        Some(folder) => publish(layout, folder).await?.digest,
        None => layout.server_client().status().await?.policy_digest,
    };
    for part in [Part::Node, Part::Gateway] {
        supervisor.start(part);
        wait_until_ready(layout, supervisor, part, config.local()).await?;
    }
    let trust = layout.trust()?;
    let server = ServerFile::read(&layout.server_config())?;
    if let Some(file) = &args.trust_out {
        copy(&trust, file)?;
    }
    Ok(Opened {
        trust_domain: trust.trust_domain.clone(),
        data: layout.data().display().to_string(),
        trust_version: trust.version,
        trust_out: (args.trust_out.as_ref()).map(|file| file.display().to_string()),
        policy,
        gateway: format!("https://{}", config.local()),
        workload_api: format!("unix://{}", layout.workload_socket().display()),
        bundle_spiffe: bundle.https_spiffe.map(|at| format!("https://{at}/")),
        bundle_web: (bundle.https_web.as_ref()).map(|web| format!("https://{}/", web.listen)),
        tool_servers: config.tool_servers.keys().cloned().collect(),
        nodes: args.nodes,
        wit_svid: server.wit_svid().map(str::to_owned),
        broker_api: (server.broker_api())
            .map(|_| format!("unix://{}", layout.broker_socket().display())),
        console: server.console.map(|console| console.origin),
        metrics: metrics.map(|address| format!("http://{address}/metrics")),
        enrol_code: layout.open_enrol_code()?,
        processes: Part::ALL
            .iter()
            .filter_map(|part| Some((part.to_string(), supervisor.pid(*part)?)))
            .collect(),
    })
}

/// Makes the data folder if there is none.
fn prepare(layout: &Layout, trust_domain: &TrustDomain, x509_root: X509Root) -> anyhow::Result<()> {
    let data = layout.data();
    if data.join("version").exists() {
        Layout::open(data)?;
        let known = layout.trust()?.trust_domain.clone();
        anyhow::ensure!(
            known == trust_domain.as_str() || trust_domain.as_str() == "chancery.example",
            "{}: the data folder is of trust domain {known}, which is fixed; choose another --data \
             folder for {trust_domain}",
            data.display()
        );
        return Ok(());
    }
    let occupied = std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
    anyhow::ensure!(
        !occupied,
        "{}: not empty and not a data folder of Chancery; choose another --data folder",
        data.display()
    );
    create(layout, trust_domain, x509_root == X509Root::Online)
}

fn configure(layout: &Layout, args: &UpArgs) -> anyhow::Result<GatewayFile> {
    let path = layout.gateway_config();
    let mut config = if path.exists() {
        GatewayFile::read(&path)?
    } else {
        GatewayFile::default()
    };
    config.place(
        args.gateway_port,
        args.gateway_listen,
        args.gateway_advertise,
    );
    reachable(&config, args)?;
    for server in &args.tool_servers {
        config.add(server)?;
    }
    for audience in &args.audiences {
        config.add_audience(audience)?;
    }
    if let Some(seconds) = args.index_interval {
        config.index_seconds = seconds;
    }
    config.write(&path)?;
    configure_server(layout, args)?;
    Ok(config)
}

fn configure_server(layout: &Layout, args: &UpArgs) -> anyhow::Result<()> {
    let path = layout.server_config();
    let known = ServerFile::read(&path)?;
    let mut server = known.clone();
    server.nodes = args.nodes;
    server.console = ConsoleFile::told(&args.console)?;
    if let Some(seconds) = args.x509_authority_lifetime {
        let mut root = RootConfig::read(&layout.signer())?;
        let known = root.lifetimes.unwrap_or_default();
        root.lifetimes = Some(Lifetimes {
            x509_seconds: seconds,
            ..known
        });
        root.write(&layout.signer())?;
    }
    if let Some(lifetime) = args.svid_lifetime {
        server.set_svid_lifetime(lifetime);
    }
    if args.wit_svid || args.no_wit_svid {
        server.set_wit_svid(args.wit_svid);
    }
    if args.broker_api || args.no_broker_api {
        server.set_broker_api(args.broker_api);
    }
    // What was opted in to is what this program implements, or nothing starts.
    server.incubating().context(path.display().to_string())?;
    if let Some(file) = &args.database {
        server.set_database(file, &layout.database())?;
    }
    if let Some(place) = &args.log_storage {
        let place = place.trim_end_matches('/');
        keep_log_in(&layout.server_log(), &format!("{place}/server"))?;
        keep_log_in(&layout.gateway_log(), &format!("{place}/gateway"))?;
    }
    if server != known {
        server.write(&path)?;
    }
    Ok(())
}

/// Says that instances of other hosts could not reach the gateway before any host joins.
fn reachable(config: &GatewayFile, args: &UpArgs) -> anyhow::Result<()> {
    let Some(nodes) = args.nodes else {
        return Ok(());
    };
    let told = config.advertised();
    anyhow::ensure!(
        nodes.port() != 0,
        "--nodes {nodes}: hosts need a port that they can be told"
    );
    anyhow::ensure!(
        !told.ip().is_unspecified(),
        "{told}: no address that other hosts reach the gateway at; say one with --gateway-advertise"
    );
    anyhow::ensure!(
        nodes.ip().is_loopback() || !told.ip().is_loopback(),
        "{told}: other hosts do not reach the gateway there; say where it listens with --gateway-listen"
    );
    Ok(())
}

/// Says that a port is taken before anything is started.
fn check_port(address: SocketAddr) -> anyhow::Result<()> {
    let opened = std::net::TcpListener::bind(address).map(drop);
    opened.with_context(|| {
        format!(
            "{address} cannot be opened; choose another with --gateway-port or --gateway-listen"
        )
    })
}

/// The same for an endpoint of the bundle.
fn check_address(address: std::net::SocketAddr) -> anyhow::Result<()> {
    anyhow::ensure!(
        address.port() != 0,
        "{address}: a listener needs a port that others can be told"
    );
    let opened = std::net::TcpListener::bind(address).map(drop);
    opened.with_context(|| {
        format!("{address} cannot be opened; choose another with --bundle-spiffe, --bundle-web, --nodes or --console")
    })
}

fn shown(opened: &Opened) -> String {
    let processes = opened
        .processes
        .iter()
        .map(|(part, pid)| format!("{part} {pid}"));
    let mut rows = vec![
        ["trust domain".to_owned(), opened.trust_domain.clone()],
        ["data folder".to_owned(), opened.data.clone()],
        [
            "trust document".to_owned(),
            format!("version {}", opened.trust_version),
        ],
        ["policy".to_owned(), opened.policy.to_string()],
        ["gateway".to_owned(), opened.gateway.clone()],
        ["workload API".to_owned(), opened.workload_api.clone()],
        ["tool servers".to_owned(), opened.tool_servers.join(", ")],
        [
            "processes".to_owned(),
            processes.collect::<Vec<_>>().join(", "),
        ],
    ];
    for url in [&opened.bundle_spiffe, &opened.bundle_web]
        .into_iter()
        .flatten()
    {
        rows.push(["bundle".to_owned(), url.clone()]);
    }
    if let Some(nodes) = &opened.nodes {
        rows.push(["nodes".to_owned(), nodes.to_string()]);
    }

    if let Some(revision) = &opened.wit_svid {
        rows.push([
            "wit-svids".to_owned(),
            format!("incubating, revision {revision}"),
        ]);
    }
    if let Some(socket) = &opened.broker_api {
        rows.push(["broker API".to_owned(), format!("{socket} (incubating)")]);
    }
    if let Some(console) = &opened.console {
        rows.push(["console".to_owned(), console.clone()]);
    }
    if let Some(metrics) = &opened.metrics {
        rows.push(["metrics".to_owned(), metrics.clone()]);
    }
    if let Some(code) = &opened.enrol_code {
        rows.push([
            "first person".to_owned(),
            match &opened.console {
                Some(console) => format!("{console}/enrol, with the one-time code {code}"),
                None => format!("chancery trust enrol --code {code} --authenticator FILE"),
            },
        ]);
    }
    output::table(["what", "where"], rows)
}

/// The signals that stop a deployment.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("signals")?,
            interrupt: signal(SignalKind::interrupt()).context("signals")?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

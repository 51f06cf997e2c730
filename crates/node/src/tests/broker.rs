//! The Broker Endpoint, as a client that we did not write uses it: the bindings of the crate `spiffe`.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use chancery_api::tls::{TlsIdentity, client_config};
use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::broker::{BrokerRule, ReferenceKind};
use chancery_identity::{SpiffeId, X509Bundle, verify_x509_svid};
use http::Uri;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use prost_types::Any;
use spiffe::X509Svid;
use spiffe::broker_api::SecurityHeader;
use spiffe::broker_api::pb::spiffe::broker::api_client::ApiClient;
use spiffe::broker_api::pb::spiffe::broker::{
    FetchJwtsvidRequest, KubernetesObjectReference, SubscribeToJwtBundlesRequest,
    SubscribeToX509BundlesRequest, SubscribeToX509svidRequest, SubscribeToX509svidResponse,
    WorkloadPidReference, WorkloadReference,
};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;
use tower_service::Service;

use super::issuer::{Mood, TestIssuer};
use super::{AGENT, Serving, Sleeper};
use crate::Withdrawn;
use crate::clock::now;
use crate::pb::broker_reference::AgentReference;

const SOON: Duration = Duration::from_secs(10);
pub(crate) const BROKER: &str = "spiffe://td/broker/mesh";
const NODE: &str = "spiffe://td/service/node";

type Client = ApiClient<InterceptedService<Channel, SecurityHeader>>;

/// Connects over TLS on a Unix socket.
#[derive(Clone)]
struct Dial {
    socket: PathBuf,
    tls: TlsConnector,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TlsStream<UnixStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let stream = UnixStream::connect(&this.socket).await?;
            let name = "node.invalid".try_into().map_err(io::Error::other)?;
            Ok(TokioIo::new(this.tls.connect(name, stream).await?))
        })
    }
}

/// A broker of that SPIFFE ID, of an issuer's trust domain, that expects the node to be `server`.
async fn dial_as(
    serving: &Serving,
    issuer: &TestIssuer,
    broker: &str,
    server: &str,
) -> Result<Channel, tonic::transport::Error> {
    let (chain, key) = issuer.svid_of(&id(broker));
    let bundle = serving.issuer.bundle.borrow().clone().unwrap();
    let identity = TlsIdentity::new(chain, &key, bundle).unwrap();
    let mut tls = client_config(&identity, id(server)).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let dial = Dial {
        socket: serving.broker_socket(),
        tls: TlsConnector::from(Arc::new(tls)),
    };
    let endpoint = Endpoint::from_static("http://node.invalid");
    endpoint.connect_with_connector(dial).await
}

async fn channel(serving: &Serving, broker: &str) -> Channel {
    dial_as(serving, &serving.issuer, broker, NODE)
        .await
        .unwrap()
}

async fn client(serving: &Serving, broker: &str) -> Client {
    ApiClient::with_interceptor(channel(serving, broker).await, SecurityHeader::new())
}

fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

fn allow(serving: &Serving, broker: &str, kinds: &[ReferenceKind], within: &str) {
    let rule = BrokerRule::new(id(broker), kinds.iter().copied(), [id(within)]).unwrap();
    serving
        .issuer
        .brokers
        .send_modify(|rules| *rules = Arc::new((**rules).clone().with(rule)));
}

/// The broker may name every workload, in every way.
pub(crate) fn allow_all(serving: &Serving) {
    let kinds = [ReferenceKind::Pid, ReferenceKind::Agent];
    allow(serving, BROKER, &kinds, "spiffe://td/agent");
}

/// A node with a broker that may name every workload.
async fn admitted() -> (Serving, Client) {
    let serving = Serving::start_with_brokers();
    allow_all(&serving);
    let client = client(&serving, BROKER).await;
    (serving, client)
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

fn pid(pid: i32) -> Option<WorkloadReference> {
    Some(WorkloadPidReference { pid }.into())
}

fn packed(type_url: &str, value: Vec<u8>) -> Option<WorkloadReference> {
    let type_url = type_url.to_owned();
    Some(WorkloadReference {
        reference: Some(Any { type_url, value }),
    })
}

fn agent(spiffe_id: &str) -> Option<WorkloadReference> {
    let message = AgentReference {
        launch_id: String::new(),
        spiffe_id: spiffe_id.to_owned(),
    };
    let name = "type.googleapis.com/chancery.broker.v1.AgentReference";
    packed(name, message.encode_to_vec())
}

type Svids = Streaming<SubscribeToX509svidResponse>;

async fn svids(client: &mut Client, reference: Option<WorkloadReference>) -> Result<Svids, Status> {
    let request = SubscribeToX509svidRequest { reference };
    Ok(client.subscribe_to_x509svid(request).await?.into_inner())
}

async fn next<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let message = timeout(SOON, stream.message()).await.unwrap()?;
    message.ok_or_else(|| Status::ok("stream ended"))
}

async fn first(
    client: &mut Client,
    reference: Option<WorkloadReference>,
) -> Result<SubscribeToX509svidResponse, Status> {
    next(&mut svids(client, reference).await?).await
}

async fn jwt(
    client: &mut Client,
    reference: Option<WorkloadReference>,
    audience: &[&str],
    spiffe_id: &str,
) -> Result<Vec<(String, String)>, Status> {
    let request = FetchJwtsvidRequest {
        reference,
        audience: audience.iter().map(|one| (*one).to_owned()).collect(),
        spiffe_id: spiffe_id.to_owned(),
    };
    let answer = client.fetch_jwtsvid(request).await?.into_inner();
    let svids = answer.svids.into_iter();
    Ok(svids.map(|svid| (svid.spiffe_id, svid.svid)).collect())
}

/// The code, and the reason of the Broker API.
#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, code: Code, reason: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), code, "{status}");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        (reason, "spiffe.io")
    );
}

#[track_caller]
fn invalid<T: std::fmt::Debug>(outcome: Result<T, Status>) {
    refused(outcome, Code::InvalidArgument, "WORKLOAD_REFERENCE_INVALID");
}

#[track_caller]
fn not_entitled<T: std::fmt::Debug>(outcome: Result<T, Status>) {
    refused(outcome, Code::PermissionDenied, "WORKLOAD_NOT_ENTITLED");
}

#[track_caller]
fn not_found<T: std::fmt::Debug>(outcome: Result<T, Status>) {
    refused(outcome, Code::NotFound, "WORKLOAD_NOT_FOUND");
}

#[tokio::test]
async fn r_01_every_request_carries_the_security_header() {
    let (serving, _) = admitted().await;
    serving.launch_own().await;
    let mut bare = ApiClient::new(channel(&serving, BROKER).await);
    let asked = || SubscribeToX509svidRequest {
        reference: pid(own_pid()),
    };
    let missing = bare.subscribe_to_x509svid(asked()).await.unwrap_err();
    assert_eq!(missing.code(), Code::InvalidArgument);
    for value in ["True", "1", "", "false"] {
        let mut request = Request::new(asked());
        let value = value.parse().unwrap();
        request.metadata_mut().insert("broker.spiffe.io", value);
        let refused = bare.subscribe_to_x509svid(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    // The header of the Workload API is another one.
    let mut request = Request::new(asked());
    let value = "true".parse().unwrap();
    request.metadata_mut().insert("workload.spiffe.io", value);
    let refused = bare.subscribe_to_x509svid(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn r_02_both_ends_have_an_x509_svid_and_only_brokers_are_served() {
    let (serving, mut client) = admitted().await;
    serving.launch_own().await;
    assert!(first(&mut client, pid(own_pid())).await.is_ok());
    // The client holds the node to its SPIFFE ID.
    let gateway = "spiffe://td/service/gateway";
    assert!(
        dial_as(&serving, &serving.issuer, BROKER, gateway)
            .await
            .is_err()
    );
    // An authority of the same name that is none.
    let other = TestIssuer::new();
    let asked = dial_as(&serving, &other, BROKER, NODE).await;
    let asked = match asked {
        Err(_) => true,
        Ok(channel) => {
            let mut client = ApiClient::with_interceptor(channel, SecurityHeader::new());
            first(&mut client, pid(own_pid())).await.is_err()
        }
    };
    assert!(asked);
    // A workload of the trust domain that nobody admitted.
    for nobody in ["spiffe://td/broker/other", "spiffe://td/agent/researcher"] {
        let mut client = self::client(&serving, nobody).await;
        let refused = first(&mut client, pid(own_pid())).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{nobody}");
        assert_eq!(refused.message(), "not a broker");
    }
}
/// The node's own SVID follows the authorities as those of workloads do: whoever believes the newest
/// bundle alone knows the node by it.
#[tokio::test]
async fn r_02_the_nodes_own_svid_is_another_one_once_its_authority_is_not_believed() {
    let serving = Serving::start_with_brokers();
    allow_all(&serving);
    client(&serving, BROKER).await;
    serving.issuer.activate_another();
    serving.issuer.taint_first();
    serving.issuer.drop_root();
    let known = async {
        while dial_as(&serving, &serving.issuer, BROKER, NODE)
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, known).await.unwrap();
}

/// What is issued after a long wait is judged by the time of then.
#[tokio::test]
async fn r_02_the_nodes_own_svid_is_issued_once_at_a_renewal() {
    let serving = Serving::start_with_brokers();
    // Before the node has asked for its first one: half of that life is longer than the ten seconds by
    // which a certificate is dated back.
    *serving.issuer.lifetime_seconds.lock().unwrap() = 26;
    let asked = || serving.issuer.own_asked.load(Ordering::SeqCst);
    let asked_for = async |count| {
        while asked() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, asked_for(1)).await.unwrap();
    *serving.issuer.lifetime_seconds.lock().unwrap() = 3_600;
    timeout(3 * SOON, asked_for(2)).await.unwrap();
    client(&serving, BROKER).await;
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn r_04_a_broker_is_known_until_its_svid_ends_and_is_one_until_it_is_removed() {
    let serving = Serving::start_with_brokers();
    allow(&serving, BROKER, &[ReferenceKind::Pid], "spiffe://td");
    serving.launch_own().await;
    let mut client = self::client(&serving, BROKER).await;
    let mut stream = svids(&mut client, pid(own_pid())).await.unwrap();
    next(&mut stream).await.unwrap();
    allow(&serving, BROKER, &[ReferenceKind::Pid], "spiffe://td/agent");
    let ended = next(&mut stream).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
    let mut stream = svids(&mut client, pid(own_pid())).await.unwrap();
    next(&mut stream).await.unwrap();
    serving.issuer.brokers.send_modify(|rules| {
        *rules = Arc::new((**rules).clone().without(&id(BROKER)).unwrap());
    });
    let ended = next(&mut stream).await.unwrap_err();
    assert_eq!(ended.code(), Code::PermissionDenied);
    let refused = first(&mut client, pid(own_pid())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    allow(&serving, BROKER, &[ReferenceKind::Pid], "spiffe://td");
    *serving.issuer.lifetime_seconds.lock().unwrap() = 2;
    let mut client = self::client(&serving, BROKER).await;
    *serving.issuer.lifetime_seconds.lock().unwrap() = 3_600;
    let mut stream = svids(&mut client, pid(own_pid())).await.unwrap();
    next(&mut stream).await.unwrap();
    let ended = next(&mut stream).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    let refused = first(&mut client, pid(own_pid())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn r_04_who_is_revoked_is_a_broker_no_more_and_of_who_is_revoked_nothing_is_obtained() {
    let serving = Serving::start_with_brokers();
    let office = "spiffe://td/agent/office";
    let broker = format!("{office}/instance/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    allow(&serving, office, &[ReferenceKind::Pid], "spiffe://td/agent");
    serving.launch_own().await;
    let named = |name: &str| std::collections::BTreeSet::from([name.to_owned()]);
    let mut client = self::client(&serving, &broker).await;
    for withdrawn in [
        Withdrawn::new(named(office), named("")),
        Withdrawn::new(named(""), named(&broker)),
        Withdrawn::new(named(AGENT), named("")),
    ] {
        let mut stream = svids(&mut client, pid(own_pid())).await.unwrap();
        next(&mut stream).await.unwrap();
        serving.issuer.withdrawn.send_replace(withdrawn);
        let ended = next(&mut stream).await.unwrap_err();
        assert_eq!(ended.code(), Code::PermissionDenied);
        let refused = first(&mut client, pid(own_pid())).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = jwt(&mut client, pid(own_pid()), &["a"], "").await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        serving.issuer.withdrawn.send_replace(Withdrawn::default());
        let again = async {
            while first(&mut client, pid(own_pid())).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, again).await.unwrap();
    }
}

#[tokio::test]
async fn r_04_a_connection_does_not_outlive_the_authority_that_it_was_made_by() {
    let (serving, mut client) = admitted().await;
    serving.launch_own().await;
    let mut stream = svids(&mut client, pid(own_pid())).await.unwrap();
    let before = next(&mut stream).await.unwrap();
    // What stands below an authority that is not believed any more is issued again to brokers too.
    serving.issuer.activate_another();
    serving.issuer.taint_first();
    let after = loop {
        let message = next(&mut stream).await.unwrap();
        if message.svids[0].x509_svid != before.svids[0].x509_svid {
            break message;
        }
    };
    assert_eq!(after.svids.len(), 1);
    // Then its root leaves, and with it whoever connected below it.
    serving.issuer.drop_root();
    let ended = loop {
        if let Err(status) = next(&mut stream).await {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::Unauthenticated);
    let refused = first(&mut client, pid(own_pid())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn r_06_both_profiles_are_served_and_every_issuance_names_the_broker() {
    let (serving, mut client) = admitted().await;
    let launch = serving.launch_own().await;
    let own = launch.spiffe_id.to_string();
    let sent = first(&mut client, pid(own_pid())).await.unwrap();
    let [svid] = sent.svids.as_slice() else {
        panic!("{sent:?}");
    };
    let parsed = X509Svid::parse_from_der(&svid.x509_svid, &svid.x509_svid_key).unwrap();
    assert_eq!(parsed.spiffe_id().to_string(), own);
    let tokens = jwt(&mut client, pid(own_pid()), &["reports"], "")
        .await
        .unwrap();
    assert_eq!(tokens[0].0, own);
    let through = serving.issuer.through.lock().unwrap().clone();
    assert_eq!(through, [id(BROKER), id(BROKER)]);
}

#[tokio::test]
async fn r_07_a_request_has_one_reference_and_nothing_else_counts() {
    let (serving, mut client) = admitted().await;
    serving.launch_own().await;
    invalid(first(&mut client, None).await);
    invalid(first(&mut client, Some(WorkloadReference { reference: None })).await);
    invalid(jwt(&mut client, None, &["a"], "").await);
    let bundles = SubscribeToX509BundlesRequest { reference: None };
    invalid(client.subscribe_to_x509_bundles(bundles).await.map(drop));
    let bundles = SubscribeToJwtBundlesRequest { reference: None };
    invalid(client.subscribe_to_jwt_bundles(bundles).await.map(drop));
    // A process of no launch has nothing, whatever is said about it.
    let stranger = Sleeper::plain();
    not_entitled(first(&mut client, pid(stranger.0.id().try_into().unwrap())).await);
}

#[tokio::test]
async fn r_10_unknown_types_are_refused() {
    let (serving, mut client) = admitted().await;
    serving.launch_own().await;
    let google = "type.googleapis.com/google.protobuf.Empty";
    invalid(first(&mut client, packed(google, vec![])).await);
    let pod: WorkloadReference = KubernetesObjectReference::default().into();
    invalid(first(&mut client, Some(pod)).await);
    for bad in [0, -1] {
        invalid(first(&mut client, pid(bad)).await);
    }
}

#[tokio::test]
async fn r_10_an_orchestrator_reaches_the_instances_that_it_started_and_no_other() {
    let serving = Serving::start_with_brokers();
    // This process is the orchestrator, and what it launches is its own.
    let parent = serving.launch_as("spiffe://td/agent/office").await;
    let parent_id = parent.spiffe_id.to_string();
    let kinds = [ReferenceKind::Agent];
    allow(
        &serving,
        "spiffe://td/agent/office",
        &kinds,
        "spiffe://td/agent",
    );
    let child = Sleeper::start("sh", &["-c", "sleep 60 & wait"]);
    let launched = serving.launch_apart(child.0.id(), AGENT).await;
    let mut client = self::client(&serving, &parent_id).await;
    let sent = first(&mut client, agent(&launched.to_string()))
        .await
        .unwrap();
    assert_eq!(sent.svids[0].spiffe_id, launched.to_string());
    // Itself it did not start, and by process ids it may name nobody.
    not_entitled(first(&mut client, agent(&parent_id)).await);
    not_entitled(first(&mut client, pid(own_pid())).await);
    not_found(
        first(
            &mut client,
            agent("spiffe://td/agent/office/instance/ins_00000000000000000000000000"),
        )
        .await,
    );
    // Another instance of the same agent is admitted as well, and did not start it.
    let other = "spiffe://td/agent/office/instance/ins_00000000000000000000000001";
    let mut client = self::client(&serving, other).await;
    not_entitled(first(&mut client, agent(&launched.to_string())).await);
}

#[tokio::test]
async fn r_11_what_is_not_allowed_is_denied() {
    let serving = Serving::start_with_brokers();
    serving.launch_as(AGENT).await;
    let second = serving.launch_as("spiffe://td/agent/writer").await;
    allow(
        &serving,
        BROKER,
        &[ReferenceKind::Pid],
        "spiffe://td/agent/writer",
    );
    let mut client = self::client(&serving, BROKER).await;
    // Of two identities only the one that the broker may have.
    let sent = first(&mut client, pid(own_pid())).await.unwrap();
    let ids: Vec<_> = sent
        .svids
        .iter()
        .map(|svid| svid.spiffe_id.clone())
        .collect();
    assert_eq!(ids, [second.spiffe_id.to_string()]);
    not_entitled(first(&mut client, agent(&second.spiffe_id.to_string())).await);
    allow(
        &serving,
        BROKER,
        &[ReferenceKind::Pid],
        "spiffe://td/agent/writ",
    );
    not_entitled(first(&mut client, pid(own_pid())).await);
    not_entitled(jwt(&mut client, pid(own_pid()), &["a"], "").await);
}

#[tokio::test]
async fn r_12_workloads_are_apart_and_a_workloads_own_key_stays_its_own() {
    let (serving, mut client) = admitted().await;
    let (one, mut two) = (Sleeper::plain(), Sleeper::plain());
    let pids = [&one, &two].map(|it| i32::try_from(it.0.id()).unwrap());
    let first_launch = serving.launch_apart(one.0.id(), AGENT).await;
    let writer = "spiffe://td/agent/writer";
    let second_launch = serving.launch_apart(two.0.id(), writer).await;
    let mut streams = Vec::new();
    let mut keys = Vec::new();
    for (at, launch) in [(pids[0], &first_launch), (pids[1], &second_launch)] {
        let mut stream = svids(&mut client, pid(at)).await.unwrap();
        let sent = next(&mut stream).await.unwrap();
        assert_eq!(sent.svids.len(), 1);
        assert_eq!(sent.svids[0].spiffe_id, launch.to_string());
        keys.push(sent.svids[0].x509_svid_key.clone());
        streams.push(stream);
    }
    assert_ne!(keys[0], keys[1]);
    let again = first(&mut client, pid(pids[0])).await.unwrap();
    assert!(!keys.contains(&again.svids[0].x509_svid_key));
    // The end of the one is not told on the stream of the other.
    two.end();
    not_found(next(&mut streams[1]).await);
    serving.issuer.add_root();
    assert_eq!(next(&mut streams[0]).await.unwrap().svids.len(), 1);
}

#[tokio::test]
async fn r_13_each_message_is_the_whole_state_and_comes_when_it_changed() {
    let (serving, mut client) = admitted().await;
    serving.launch_own().await;
    let mut stream = svids(&mut client, pid(own_pid())).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    let silence = timeout(Duration::from_millis(300), stream.message()).await;
    assert!(silence.is_err(), "{silence:?}");
    serving.issuer.add_root();
    let second = next(&mut stream).await.unwrap();
    assert_eq!(first.svids[0].x509_svid, second.svids[0].x509_svid);
    assert!(second.svids[0].bundle.len() > first.svids[0].bundle.len());
    // Renewed in time, with another key.
    *serving.issuer.lifetime_seconds.lock().unwrap() = 4;
    let mut stream = svids(&mut client, pid(own_pid())).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    let second = next(&mut stream).await.unwrap();
    assert_ne!(first.svids[0].x509_svid_key, second.svids[0].x509_svid_key);
}

#[tokio::test]
async fn r_14_what_is_not_there_or_not_entitled_is_told_apart() {
    let (serving, mut client) = admitted().await;
    let launch = serving.launch_own().await;
    let mut gone = Sleeper::plain();
    let number = i32::try_from(gone.0.id()).unwrap();
    gone.end();
    not_found(first(&mut client, pid(number)).await);
    not_found(jwt(&mut client, pid(number), &["a"], "").await);
    serving.issuer.feel(Mood::Refusing);
    not_entitled(first(&mut client, pid(own_pid())).await);
    serving.issuer.feel(Mood::Away);
    let away = first(&mut client, pid(own_pid())).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable);
    serving.issuer.feel(Mood::Willing);
    // Mandatory fields, and identities that the workload has not.
    for audience in [&[][..], &[""]] {
        let refused = jwt(&mut client, pid(own_pid()), audience, "").await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
    let other = "spiffe://td/agent/other";
    not_entitled(jwt(&mut client, pid(own_pid()), &["a"], other).await);
    serving.launches.withdraw(launch.launch_id);
    not_entitled(first(&mut client, pid(own_pid())).await);
}

#[tokio::test]
async fn r_15_a_stream_ends_with_the_process_or_with_what_it_was() {
    let (serving, mut client) = admitted().await;
    let mut child = Sleeper::plain();
    let number = i32::try_from(child.0.id()).unwrap();
    serving.launch_apart(child.0.id(), AGENT).await;
    let mut stream = svids(&mut client, pid(number)).await.unwrap();
    next(&mut stream).await.unwrap();
    child.end();
    not_found(next(&mut stream).await);

    // A process that executes another program than the one that was launched is nobody any more.
    let shell = Sleeper::start("cat", &[]);
    let number = i32::try_from(shell.0.id()).unwrap();
    serving.launch_program(shell.0.id(), "/bin/true").await;
    not_entitled(first(&mut client, pid(number)).await);
}

#[tokio::test]
async fn r_16_bundles_and_audiences_are_the_workload_apis() {
    let (serving, mut client) = admitted().await;
    let launch = serving.launch_own().await;
    let request = SubscribeToX509BundlesRequest {
        reference: pid(own_pid()),
    };
    let stream = client.subscribe_to_x509_bundles(request).await.unwrap();
    let sent = next(&mut stream.into_inner()).await.unwrap();
    assert_eq!(sent.bundles.keys().collect::<Vec<_>>(), ["spiffe://td"]);
    let svid = first(&mut client, pid(own_pid()))
        .await
        .unwrap()
        .svids
        .remove(0);
    assert_eq!(svid.bundle, sent.bundles["spiffe://td"]);
    assert!(svid.hint.is_empty());
    verified(&serving, &svid.x509_svid);
    let request = SubscribeToJwtBundlesRequest {
        reference: pid(own_pid()),
    };
    let stream = client.subscribe_to_jwt_bundles(request).await.unwrap();
    let sent = next(&mut stream.into_inner()).await.unwrap();
    let set: serde_json::Value = serde_json::from_slice(&sent.bundles["spiffe://td"]).unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert!(!keys.is_empty() && keys.iter().all(|key| key["use"] == "jwt-svid"));
    let own = launch.spiffe_id.to_string();
    let tokens = jwt(&mut client, pid(own_pid()), &["a", "b"], &own)
        .await
        .unwrap();
    let token = spiffe::JwtSvid::parse_insecure(&tokens[0].1).unwrap();
    assert_eq!(token.audience(), ["a", "b"]);
}

/// One DER behind the other.
fn verified(serving: &Serving, chain: &[u8]) {
    let bundle: X509Bundle = serving.issuer.bundle.borrow().clone().unwrap();
    let mut rest = chain;
    let mut ders = Vec::new();
    while !rest.is_empty() {
        let length = 4 + usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        ders.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    verify_x509_svid(&ders, &bundle, now(), SVID_ALGORITHMS).unwrap();
}

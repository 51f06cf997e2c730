//! The service beside what the specifications say of it, and as others' clients see it.

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use spiffe::transport::Endpoint;

use super::Serving;
use super::foreign_clients::{library, python};
use crate::pb::{BROKER_DESCRIPTOR_SET, FILE_DESCRIPTOR_SET};

/// The service and its messages in revision 665a28f of the standards (`workloadapi.proto`).
const SPECIFIED: &str = "
FetchX509SVID(X509SVIDRequest) stream X509SVIDResponse
FetchX509Bundles(X509BundlesRequest) stream X509BundlesResponse
FetchJWTSVID(JWTSVIDRequest) JWTSVIDResponse
FetchJWTBundles(JWTBundlesRequest) stream JWTBundlesResponse
ValidateJWTSVID(ValidateJWTSVIDRequest) ValidateJWTSVIDResponse
FetchWITSVID(WITSVIDRequest) stream WITSVIDResponse
FetchWITBundles(WITBundlesRequest) stream WITBundlesResponse
X509SVIDRequest
X509SVIDResponse svids=1 repeated X509SVID, crl=2 repeated bytes, federated_bundles=3 map string bytes
X509SVID spiffe_id=1 string, x509_svid=2 bytes, x509_svid_key=3 bytes, bundle=4 bytes, hint=5 string
X509BundlesRequest
X509BundlesResponse crl=1 repeated bytes, bundles=2 map string bytes
JWTSVIDRequest audience=1 repeated string, spiffe_id=2 string
JWTSVIDResponse svids=1 repeated JWTSVID
JWTSVID spiffe_id=1 string, svid=2 string, hint=3 string
JWTBundlesRequest
JWTBundlesResponse bundles=1 map string bytes
ValidateJWTSVIDRequest audience=1 string, svid=2 string
ValidateJWTSVIDResponse spiffe_id=1 string, claims=2 google.protobuf.Struct
WITSVIDRequest spiffe_id=1 string
WITSVIDResponse svids=1 repeated WITSVID
WITSVID spiffe_id=1 string, wit_svid=2 string, wit_svid_key=3 string, hint=4 string
WITBundlesRequest
WITBundlesResponse bundles=1 map string string
";

/// The same of the Broker API (`brokerapi.proto`).
const SPECIFIED_OF_BROKERS: &str = "
SubscribeToX509SVID(SubscribeToX509SVIDRequest) stream SubscribeToX509SVIDResponse
SubscribeToX509Bundles(SubscribeToX509BundlesRequest) stream SubscribeToX509BundlesResponse
FetchJWTSVID(FetchJWTSVIDRequest) FetchJWTSVIDResponse
SubscribeToJWTBundles(SubscribeToJWTBundlesRequest) stream SubscribeToJWTBundlesResponse
WorkloadReference reference=1 google.protobuf.Any
WorkloadPIDReference pid=1 int32
KubernetesObjectType plural=1 string, group=2 string
KubernetesObjectKey namespace=1 string, name=2 string
KubernetesObjectReference type=1 KubernetesObjectType, key=2 KubernetesObjectKey, uid=3 string
SubscribeToX509SVIDRequest reference=1 WorkloadReference
SubscribeToX509SVIDResponse svids=1 repeated X509SVID, crl=2 repeated bytes, federated_bundles=3 map string bytes
X509SVID spiffe_id=1 string, x509_svid=2 bytes, x509_svid_key=3 bytes, bundle=4 bytes, hint=5 string
SubscribeToX509BundlesRequest reference=1 WorkloadReference
SubscribeToX509BundlesResponse crl=1 repeated bytes, bundles=2 map string bytes
FetchJWTSVIDRequest reference=1 WorkloadReference, audience=2 repeated string, spiffe_id=3 string
FetchJWTSVIDResponse svids=1 repeated JWTSVID
JWTSVID spiffe_id=1 string, svid=2 string, hint=3 string
SubscribeToJWTBundlesRequest reference=1 WorkloadReference
SubscribeToJWTBundlesResponse bundles=1 map string bytes
";

fn short(name: &str) -> &str {
    let name = name.trim_start_matches('.');
    name.strip_prefix("spiffe.broker.").unwrap_or(name)
}

fn kind(field: &FieldDescriptorProto) -> &str {
    match field.r#type() {
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Int32 => "int32",
        Type::Message => short(field.type_name()),
        other => panic!("{other:?}"),
    }
}

fn field(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let place = format!("{}={}", field.name(), field.number());
    let entry = field.type_name().rsplit('.').next().unwrap_or_default();
    let entry = message.nested_type.iter().find(|it| it.name() == entry);
    match (entry, field.label()) {
        (Some(entry), _) => {
            let [key, value] = entry.field.as_slice() else {
                panic!("{entry:?}");
            };
            format!("{place} map {} {}", kind(key), kind(value))
        }
        (None, Label::Repeated) => format!("{place} repeated {}", kind(field)),
        (None, _) => format!("{place} {}", kind(field)),
    }
}

fn lines(file: &FileDescriptorProto, name: &str) -> Vec<String> {
    let [service] = file.service.as_slice() else {
        panic!("{:?}", file.service);
    };
    assert_eq!(service.name(), name);
    let methods = service.method.iter().map(|method| {
        assert!(!method.client_streaming());
        let stream = if method.server_streaming() {
            " stream"
        } else {
            ""
        };
        let (input, output) = (short(method.input_type()), short(method.output_type()));
        format!("{}({input}){stream} {output}", method.name())
    });
    let messages = file.message_type.iter().map(|message| {
        let fields = message.field.iter().map(|it| field(message, it));
        let fields = fields.collect::<Vec<_>>().join(", ");
        format!("{} {fields}", message.name()).trim().to_owned()
    });
    methods.chain(messages).collect()
}

#[test]
fn a_02_the_service_is_the_specifications_and_nothing_more() {
    let described = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut files = described.file.iter();
    let file = files.find(|file| file.name() == "workloadapi.proto");
    let file = file.unwrap();
    assert_eq!(file.package(), "");
    let specified: Vec<_> = SPECIFIED.trim().lines().collect();
    assert_eq!(lines(file, "SpiffeWorkloadAPI"), specified);
}

#[test]
fn r_05_the_service_is_the_specifications_and_nothing_more() {
    let described = FileDescriptorSet::decode(BROKER_DESCRIPTOR_SET).unwrap();
    let mut files = described.file.iter();
    let file = files.find(|file| file.name() == "brokerapi.proto").unwrap();
    assert_eq!(file.package(), "spiffe.broker");
    let specified: Vec<_> = SPECIFIED_OF_BROKERS.trim().lines().collect();
    assert_eq!(lines(file, "API"), specified);
    // A reference of our own is no service.
    let own = described
        .file
        .iter()
        .filter(|file| file.name() != "brokerapi.proto");
    assert!(own.into_iter().all(|file| file.service.is_empty()));
}

/// Asks by reflection what is served, and compares it with what PyPI's `spiffe` was made from.
const REFLECTED: &str = "
import collections, sys
import grpc
from google.protobuf.descriptor_pb2 import DescriptorProto, ServiceDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from spiffe._proto import workload_pb2

sys.stdin.readline()
fields = 'method timeout metadata credentials wait_for_ready compression'
class Details(collections.namedtuple('Details', fields), grpc.ClientCallDetails):
    pass
class Header(grpc.StreamStreamClientInterceptor):
    def intercept_stream_stream(self, go_on, details, messages):
        header = [('workload.spiffe.io', 'true')]
        return go_on(Details(details.method, details.timeout, header, None, None, None), messages)

channel = grpc.insecure_channel(sys.argv[1])
try:
    ProtoReflectionDescriptorDatabase(channel).get_services()
except grpc.RpcError as error:
    print(error.code().name)
database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(channel, Header()))
print(*sorted(database.get_services()))
pool = DescriptorPool(database)
theirs = workload_pb2.DESCRIPTOR
def plain(descriptor, kind):
    copy = kind()
    descriptor.CopyToProto(copy)
    for message in [copy, *getattr(copy, 'nested_type', [])]:
        for field in getattr(message, 'field', []):
            field.ClearField('json_name')
    return copy
for name, message in theirs.message_types_by_name.items():
    ours = plain(pool.FindMessageTypeByName(name), DescriptorProto)
    assert ours == plain(message, DescriptorProto), name
service = plain(pool.FindServiceByName('SpiffeWorkloadAPI'), ServiceDescriptorProto)
known = {method.name: method for method in service.method}
for method in plain(theirs.services_by_name['SpiffeWorkloadAPI'], ServiceDescriptorProto).method:
    ours = known.pop(method.name)
    ours.ClearField('options')
    method.ClearField('options')
    assert ours == method, method.name
print('more:', *known)
";

#[tokio::test]
async fn e_08_reflection_says_what_others_know_already() {
    let Some(library) = library() else {
        return;
    };
    let serving = Serving::start();
    let said = python(&serving, &library, REFLECTED, |_| async {}).await;
    let said: Vec<_> = said.lines().collect();
    let [refused, services, more] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_eq!(*refused, "INVALID_ARGUMENT");
    let ours = "SpiffeWorkloadAPI chancery.agent.v1.AgentIdentity grpc.reflection.";
    assert!(services.starts_with(ours), "{services}");
    assert_eq!(*more, "more: FetchWITSVID FetchWITBundles");
}

/// The crate by which programs of ours read `SPIFFE_ENDPOINT_SOCKET`.
#[test]
fn e_04_an_endpoint_is_a_unix_path_or_an_ip_address_with_a_port() {
    for good in [
        "unix:///run/spire/sock",
        "unix:/run/spire/sock",
        "tcp://127.0.0.1:8000",
        "tcp://[::1]:8000",
    ] {
        assert!(Endpoint::parse(good).is_ok(), "{good}");
    }
    for (bad, reason) in [
        ("", "URI"),
        ("/run/spire/sock", "URI"),
        ("http://127.0.0.1:8000", "unix: or tcp:"),
        ("unix://host/run/sock", "authority"),
        ("unix://", "path"),
        ("unix:run/sock", "path"),
        ("unix:///run/sock?a=b", "query"),
        ("unix:///run/sock#a", "fragment"),
        ("tcp://localhost:8000", "IP address"),
        ("tcp://127.0.0.1", "port"),
        ("tcp://127.0.0.1:8000/path", "path"),
        ("tcp://user@127.0.0.1:8000", "user"),
    ] {
        let refused = Endpoint::parse(bad).unwrap_err().to_string();
        assert!(refused.contains(reason), "{bad}: {refused}");
    }
}

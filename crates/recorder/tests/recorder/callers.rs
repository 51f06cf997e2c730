use std::collections::BTreeSet;
use std::time::Duration;

use chancery_api::append::AppendClient;
use chancery_api::pb::append::append_request::Message as Said;
use chancery_api::pb::append::{AppendRequest, Batch, Open};
use chancery_api::tls::TlsIdentity;
use chancery_recorder::METHODS;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{
    ADMITTED, Authority, ORIGIN, Raw, SERVER, Serving, code, opening, options, reason, run,
};

async fn refusal(serving: &Serving, identity: TlsIdentity) -> String {
    let mut options = options(serving.tls(identity));
    options.patience = Duration::from_secs(2);
    let error = AppendClient::connect(options).await.unwrap_err();
    code(&error).to_owned()
}

/// The authorisation coverage of this crate: every method of the protocol is served to the owner and to who
/// is admitted, and to nobody else.
#[test]
fn every_method_asks_who_is_there() {
    run(async {
        let protocol = include_str!("../../../../proto/chancery_append.proto");
        let service = "chancery.append.v1.LogAppend";
        let methods: BTreeSet<_> = protocol
            .lines()
            .filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next())
            .map(|method| format!("/{service}/{method}"))
            .collect();
        let known: BTreeSet<_> = METHODS.iter().map(ToString::to_string).collect();
        assert_eq!(methods, known);
        assert_eq!(known.len(), 1, "a new method needs its attempts below");

        let serving = Serving::start().await;
        let (home, strange) = (&serving.authority, Authority::new("td.example"));
        let elsewhere = Authority::new("other.example");
        // Who is admitted.
        let admitted = home.identity(ADMITTED, home, 600);
        let client = AppendClient::connect(options(serving.tls(admitted)))
            .await
            .unwrap();
        assert_eq!(client.producer(), ADMITTED);
        assert_eq!(client.append("x").await.unwrap().index, 0);
        // Somebody else of the trust domain, and the log itself.
        for id in [
            "spiffe://td.example/service/other",
            SERVER,
            "spiffe://td.example/service/builds/x",
        ] {
            let refused = refusal(&serving, home.identity(id, home, 600)).await;
            assert_eq!(refused, "append_not_admitted", "{id}");
        }
        // The same name from an authority that is not the trust domain's, and another trust domain.
        for (authority, id) in [
            (&strange, ADMITTED),
            (&elsewhere, "spiffe://other.example/service/builds"),
        ] {
            let refused = refusal(&serving, authority.identity(id, home, 600)).await;
            assert!(!refused.contains("append_"), "{refused}");
        }
        // A certificate that is over.
        let refused = refusal(&serving, home.identity(ADMITTED, home, -5)).await;
        assert!(!refused.contains("append_"), "{refused}");
        assert_eq!(serving.entries().len(), 1);
    });
}

#[test]
fn nobody_is_heard_without_tls() {
    run(async {
        let serving = Serving::start().await;
        let mut stream = TcpStream::connect(&serving.address).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        // The other end closes, with an alert or a reset.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"\0\0"), "{answer:?}");
    });
}

#[test]
fn a_client_takes_no_other_log_for_the_one_it_means() {
    run(async {
        let serving = Serving::start().await;
        let home = &serving.authority;
        let strange = Authority::new("td.example");
        // A log of another authority is not believed by the client.
        let refused = refusal(&serving, home.identity(ADMITTED, &strange, 600)).await;
        assert!(!refused.contains("append_"), "{refused}");
        let mut options = options(serving.owner("a"));
        options.origin = Some("td.example/log/other".to_owned());
        let error = AppendClient::connect(options.clone()).await.unwrap_err();
        assert_eq!(code(&error), "append_origin");
        options.origin = Some(ORIGIN.to_owned());
        AppendClient::connect(options).await.unwrap();
    });
}

#[test]
fn an_svid_that_ends_ends_the_stream() {
    run(async {
        let serving = Serving::start().await;
        let home = &serving.authority;
        let identity = home.identity(ADMITTED, home, 2);
        let mut options = options(serving.tls(identity.clone()));
        options.patience = Duration::from_secs(3);
        let client = AppendClient::connect(options).await.unwrap();
        client.append("while it is good").await.unwrap();
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        // It is tried again, with the certificate that is over, until patience ends.
        let error = client.append("afterwards").await.unwrap_err();
        assert!(!code(&error).is_empty(), "{error}");
        assert_eq!(serving.entries().len(), 1);
    });
}

#[test]
fn a_client_goes_on_with_the_successor_of_its_svid() {
    run(async {
        let serving = Serving::start().await;
        let home = &serving.authority;
        let identity = home.identity(ADMITTED, home, 2);
        let client = AppendClient::connect(options(serving.tls(identity.clone())))
            .await
            .unwrap();
        client.append("a").await.unwrap();
        let (chain, key) = home.svid(ADMITTED, 600);
        identity.replace(chain, &key, home.bundle()).unwrap();
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert_eq!(client.append("b").await.unwrap().sequence, 1);
        assert_eq!(serving.entries().len(), 2);
    });
}

#[test]
fn an_authority_that_is_gone_is_believed_by_no_open_stream() {
    run(async {
        let serving = Serving::start().await;
        let home = &serving.authority;
        let identity = home.identity(ADMITTED, home, 600);
        let mut options = options(serving.tls(identity));
        options.patience = Duration::from_secs(2);
        let client = AppendClient::connect(options).await.unwrap();
        client.append("a").await.unwrap();
        serving.own.trust(Authority::new("td.example").bundle());
        assert!(client.append("b").await.is_err());
        assert_eq!(serving.entries().len(), 1);
    });
}

#[test]
fn a_stream_begins_with_one_open_and_a_name() {
    run(async {
        let serving = Serving::start().await;
        let batch = Said::Batch(Batch {
            first: 0,
            entries: vec![b"x".as_slice().into()],
        });
        let wrong_level = Said::Open(Open {
            producer: "a".to_owned(),
            level: 9,
            origin: String::new(),
        });
        for (first, expected) in [
            (batch, "append_protocol"),
            (opening(""), "append_producer"),
            (opening("a/b"), "append_producer"),
            (opening(ADMITTED), "append_producer"),
            (opening(&"x".repeat(65)), "append_producer"),
            (wrong_level, "append_malformed"),
        ] {
            let refused = Raw::begin(&serving, first).await.err().unwrap();
            assert_eq!(reason(&refused), expected);
        }
        let (mut raw, _) = Raw::open(&serving, "a").await;
        let message = Some(opening("a"));
        raw.requests.send(AppendRequest { message }).await.unwrap();
        assert_eq!(raw.refused().await, "append_protocol");
        let (mut raw, _) = Raw::open(&serving, "a").await;
        raw.requests
            .send(AppendRequest { message: None })
            .await
            .unwrap();
        assert_eq!(raw.refused().await, "append_protocol");
        assert!(serving.entries().is_empty());
    });
}

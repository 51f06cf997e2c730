//! A gateway in a process of its own, for the tests that kill it: `gateway_process DATA SERVER LOG`
//! serves the folder DATA/gateway with one tool server `fs`, and writes its address to
//! DATA/address.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_gateway::{Gateway, GatewayConfig, Hosts, Limits, Upstream};
use chancery_identity::trust::GatewayName;
use chancery_types::Timestamp;

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .ok_or("usage: gateway_process DATA SERVER LOG")
    };
    let (data, server, log) = (PathBuf::from(next()?), next()?, next()?);
    let folder = data.join("gateway");
    let config = GatewayConfig {
        name: GatewayName::default(),
        log: folder.join("log"),
        log_key: folder.join("log-key"),
        record_key: folder.join("record.key"),
        trust_file: data.join("trust.json"),
        server_socket: data.join("server.sock"),
        operator_socket: data.join("gateway.sock"),
        listen: ([127, 0, 0, 1], 0).into(),
        servers: BTreeMap::from([("fs".parse()?, Upstream::new(server, [log]))]),
        audiences: BTreeMap::new(),
        grace_seconds: GatewayConfig::DEFAULT_GRACE_SECONDS,
        abandon_seconds: GatewayConfig::DEFAULT_ABANDON_SECONDS,
        index_seconds: GatewayConfig::DEFAULT_INDEX_SECONDS,
        hosts: Hosts::default(),
        limits: Limits::default(),
        clock: now,
        folder,
    };
    let gateway = Gateway::open(config).await?;
    std::fs::write(data.join("address"), gateway.address().to_string())?;
    gateway.serve(std::future::pending()).await?;
    Ok(())
}

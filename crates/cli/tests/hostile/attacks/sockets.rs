//! The operator's sockets, the neighbour's, and those without a path.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;

use super::attempts;
use super::files::shown;
use crate::orders::{Attempt, Orders, Outcome};

pub(crate) fn all(orders: &Orders) -> Vec<Attempt> {
    let connect = |path: &Path| Outcome::of(UnixStream::connect(path));
    let mut made = attempts(
        "connect to a socket",
        orders
            .sockets
            .iter()
            .map(|path| (shown(path), connect(path))),
    );
    let name = &orders.abstract_socket;
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let connected = Outcome::of(UnixStream::connect_addr(&address));
    made.extend(attempts(
        "connect to an abstract socket",
        [(name.clone(), connected)],
    ));
    made
}

/// Asks the operator's questions on the socket that everybody may connect.
pub(crate) async fn operator_on(workload: &Path) -> Vec<Attempt> {
    let node = chancery_api::UnixClient::new(workload);
    let outcome = match node.get::<serde_json::Value>("/v1/launches").await {
        Ok(launches) => Outcome::Succeeded(launches.to_string()),
        Err(error) => Outcome::Refused(error.to_string()),
    };
    attempts(
        "list launches on the workload socket",
        [(shown(workload), outcome)],
    )
}

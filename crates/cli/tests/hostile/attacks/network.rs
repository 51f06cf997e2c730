//! The network, where the sandbox has none.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::attempts;
use crate::orders::{Attempt, Orders, Outcome};

const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn all(orders: &Orders) -> Vec<Attempt> {
    let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, orders.port));
    let mut made = attempts(
        "connect to the gateway",
        [(gateway.to_string(), Outcome::of(speak(gateway)))],
    );
    let elsewhere: [(IpAddr, u16); 3] = [
        (Ipv6Addr::LOCALHOST.into(), orders.port),
        // TEST-NET-1 and a resolver's usual place.
        (Ipv4Addr::new(192, 0, 2, 1).into(), 443),
        (Ipv4Addr::new(127, 0, 0, 53).into(), 53),
    ];
    if !orders.is_control {
        made.extend(attempts(
            "connect to anybody",
            elsewhere.map(|to| (format!("{to:?}"), Outcome::of(speak(to.into())))),
        ));
    }
    let datagram = UdpSocket::bind(("0.0.0.0", 0))
        .and_then(|socket| socket.send_to(b"x", (Ipv4Addr::LOCALHOST, orders.port)));
    made.extend(attempts(
        "send a datagram",
        [("127.0.0.1".to_owned(), Outcome::of(datagram))],
    ));
    made
}

fn speak(to: SocketAddr) -> io::Result<()> {
    TcpStream::connect_timeout(&to, PATIENCE)?.write_all(b"x")
}

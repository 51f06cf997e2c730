//! A witness that does what it is told, also what no witness does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it answers; none is no answer at all.
pub(crate) type Reply = Option<(u16, &'static str, String)>;

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// A request that it got.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn is_add(&self) -> bool {
        self.method == "POST" && self.path == "/add-checkpoint"
    }

    /// The first line.
    pub(crate) fn old(&self) -> &str {
        self.body.lines().next().unwrap()
    }
}

pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

pub(crate) fn text(status: u16, body: impl Into<String>) -> Reply {
    Some((status, "text/plain", body.into()))
}

pub(crate) fn conflict(body: impl Into<String>) -> Reply {
    Some((409, "text/x.tlog.size", body.into()))
}

impl Scripted {
    pub(crate) fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scripted = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
            stopped: Arc::default(),
        };
        let script: Arc<Script> = Arc::new(script);
        let (requests, connections, stopped) = (
            Arc::clone(&scripted.requests),
            Arc::clone(&scripted.connections),
            Arc::clone(&scripted.stopped),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let (script, requests) = (Arc::clone(&script), Arc::clone(&requests));
                std::thread::spawn(move || serve(stream.unwrap(), &*script, &requests));
            }
        });
        scripted
    }

    /// The add-checkpoint requests so far.
    pub(crate) fn adds(&self) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|it| it.is_add()).cloned().collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, script: &Script, requests: &Mutex<Vec<Request>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        requests.lock().unwrap().push(request.clone());
        let Some((status, content_type, body)) = script(&request) else {
            // Longer than any patience of these tests.
            std::thread::sleep(Duration::from_secs(30));
            return;
        };
        let head = format!(
            "HTTP/1.1 {status} It\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = [head.as_bytes(), body.as_bytes()].concat();
        if stream.get_mut().write_all(&answer).is_err() {
            return;
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        body: String::from_utf8(body).ok()?,
    })
}

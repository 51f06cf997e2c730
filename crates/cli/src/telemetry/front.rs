use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chancery_api::UnixClient;
use futures_util::future::join_all;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};

use super::catalogue::head;
use super::families::Families;
use crate::deployment::{Layout, Part, Watch, answers};

/// Connections that are served at once; others wait.
const PLACES: usize = 128;

/// How long a connection may last: one request and its answer.
const CONNECTION: Duration = Duration::from_secs(5);

/// How long a request may take to arrive.
const REQUEST: Duration = Duration::from_secs(2);

/// For how long an answer is given again without asking the parts: who asks often costs them nothing.
const FRESH: Duration = Duration::from_secs(1);

/// How long a part may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// How long to wait after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The address at which a deployment shows its metrics, health and readiness to whoever asks.
#[derive(Debug)]
pub(crate) struct Front(TcpListener);

/// What the answers are made of.
#[derive(Debug)]
struct Shown {
    layout: Layout,
    gateway: SocketAddr,
    parts: Watch,
    metrics: Fresh<String>,
    serving: Fresh<BTreeMap<String, bool>>,
}

/// Whether everything serves, and which parts do.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    parts: BTreeMap<String, bool>,
}

/// What was answered last, and when.
#[derive(Debug)]
struct Fresh<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Fresh<T> {
    /// The last answer where it is fresh, else another one; it is asked for once, however many wait.
    async fn or_ask(&self, ask: impl Future<Output = T>) -> T {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = ask.await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

impl Front {
    /// Opens the address.
    pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener
            .with_context(|| format!("--metrics {address} cannot be opened; choose another"))?;
        Ok(Self(listener))
    }

    /// The address, with the port that was given where 0 was asked for.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.0.local_addr().context("--metrics")
    }

    /// Answers until it is dropped.
    pub(crate) async fn serve(self, layout: Layout, gateway: SocketAddr, parts: Watch) {
        let shown = Arc::new(Shown {
            layout,
            gateway,
            parts,
            metrics: Fresh::default(),
            serving: Fresh::default(),
        });
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .with_state(shown);
        let places = Arc::new(Semaphore::new(PLACES));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let stream = match self.0.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics was not accepted");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(REQUEST)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // Who is slower than that, or breaks off, asks again.
                let _ = timeout(CONNECTION, served).await;
                drop(place);
            });
        }
    }
}

async fn metrics(State(shown): State<Arc<Shown>>) -> Response {
    let text = shown.metrics.or_ask(shown.gather()).await;
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, text).into_response()
}

/// 200 where every part serves, else 503; the body says which do.
async fn ready(State(shown): State<Arc<Shown>>) -> Response {
    let parts = shown.serving.or_ask(shown.ask_each()).await;
    let ready = parts.values().all(|serves| *serves);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, parts })).into_response()
}

impl Shown {
    /// The numbers of all parts; they are asked at once.
    async fn gather(&self) -> String {
        let texts = join_all(Part::ALL.map(async |part| {
            let client = UnixClient::new(self.layout.metrics_socket(part));
            let text = timeout(ANSWER, client.get::<String>("/metrics")).await;
            (part, text.ok().and_then(Result::ok))
        }));
        let mut families = Families::default();
        let mut up = head("chancery_part_up");
        let mut restarts = head("chancery_part_restarts_total");
        for (part, text) in texts.await {
            let answered = u8::from(text.is_some());
            let ends = self.parts.ends(part);
            let _ = writeln!(up, "chancery_part_up{{part=\"{part}\"}} {answered}");
            let _ = writeln!(
                restarts,
                "chancery_part_restarts_total{{part=\"{part}\"}} {ends}"
            );
            families.add(&text.unwrap_or_default());
        }
        families.add(&up);
        families.add(&restarts);
        families.render()
    }

    /// Which parts serve.
    async fn ask_each(&self) -> BTreeMap<String, bool> {
        let asked = join_all(Part::ALL.map(async |part| {
            let asked = answers(&self.layout, part, self.gateway);
            let serves = timeout(ANSWER, asked).await.unwrap_or(false);
            (part.to_string(), serves)
        }));
        asked.await.into_iter().collect()
    }
}

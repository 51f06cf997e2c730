//! How requests to a part's own sockets are counted.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;

/// Counts every request of a known route by route and status, and how long its answer took
/// (`chancery_requests_total`, `chancery_request_seconds`). What is asked for stays out of it: a route
/// is named by its pattern.
pub fn measured<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.route_layer(from_fn(measure))
}

async fn measure(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(String::new, |path| path.as_str().to_owned());
    let route = format!("{} {route}", request.method());
    let begun = Instant::now();
    let answer = next.run(request).await;
    metrics::histogram!("chancery_request_seconds", "route" => route.clone())
        .record(begun.elapsed());
    let status = answer.status().as_u16().to_string();
    metrics::counter!("chancery_requests_total", "route" => route, "status" => status).increment(1);
    answer
}

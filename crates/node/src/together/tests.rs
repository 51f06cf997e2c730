use std::sync::Mutex;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use chancery_api::OwnerListener;
use chancery_api::server::IssuedX509;
use chancery_types::Timestamp;
use chancery_types::id::InstanceId;

use super::*;

/// A server that answers each request with its own key, when it may; one with the key `bad` it refuses.
struct Server {
    /// How many each question was about.
    asked: Mutex<Vec<usize>>,
    may_answer: Semaphore,
    knows_several: bool,
}

impl Server {
    async fn answer(&self, count: usize) {
        self.asked.lock().unwrap().push(count);
        self.may_answer.acquire().await.unwrap().forget();
    }
}

fn leaf(request: &IssueX509) -> Result<String, Problem> {
    match request.spki.as_str() {
        "bad" => Err(Problem::forbidden("revoked", "revoked")),
        spki => Ok(format!("leaf of {spki}")),
    }
}

async fn one(
    State(server): State<Arc<Server>>,
    Json(request): Json<IssueX509>,
) -> Result<Json<IssuedX509>, Problem> {
    server.answer(1).await;
    Ok(Json(IssuedX509 {
        spiffe_id: String::new(),
        chain: vec![leaf(&request)?, "above".to_owned()],
        bundle: Vec::new(),
        not_after: Timestamp::from_seconds(1),
    }))
}

async fn several(
    State(server): State<Arc<Server>>,
    Json(request): Json<IssueX509s>,
) -> Result<Json<IssuedX509s>, StatusCode> {
    if !server.knows_several {
        return Err(StatusCode::NOT_FOUND);
    }
    server.answer(request.requests.len()).await;
    Ok(Json(IssuedX509s {
        leaves: request
            .requests
            .iter()
            .map(|one| leaf(one).into())
            .collect::<Vec<Leaf>>(),
        intermediates: vec!["above".to_owned()],
    }))
}

/// A server that may answer so often, and who asks it.
fn serve(answers: usize, knows_several: bool) -> (Arc<Server>, Together, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("server.sock");
    let server = Arc::new(Server {
        asked: Mutex::default(),
        may_answer: Semaphore::new(answers),
        knows_several,
    });
    let router = Router::new()
        .route("/v1/issue/x509", post(one))
        .route("/v1/issue/x509s", post(several))
        .with_state(Arc::clone(&server));
    let listener = OwnerListener::bind(&socket).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (server, Together::start(ServerClient::new(socket)), folder)
}

fn request(spki: &str) -> IssueX509 {
    IssueX509 {
        instance_id: InstanceId::from_random([1; 16]),
        spki: spki.to_owned(),
        broker: None,
    }
}

async fn asked_for(server: &Server, questions: usize) {
    while server.asked.lock().unwrap().len() < questions {
        tokio::task::yield_now().await;
    }
}

fn reason(answer: Answer) -> Result<Chain, String> {
    answer.map_err(|error| match error {
        ClientError::Refused(problem) => problem.reason,
        other => other.to_string(),
    })
}

#[tokio::test]
async fn one_alone_waits_for_nobody() {
    let (server, together, _folder) = serve(2, true);
    let chain = together.issue(request("a")).await.unwrap();
    assert_eq!(chain, ["leaf of a", "above"]);
    let refused = reason(together.issue(request("bad")).await);
    assert_eq!(refused.unwrap_err(), "revoked");
    assert_eq!(*server.asked.lock().unwrap(), [1, 1]);
}

/// Asks for these while as many questions are open as may be.
async fn gathered(
    server: &Arc<Server>,
    together: &Together,
    names: Vec<String>,
) -> Vec<tokio::task::JoinHandle<Answer>> {
    let mut all = Vec::new();
    for number in 0..OPEN {
        let together = together.clone();
        let first = request(&format!("first-{number}"));
        all.push(tokio::spawn(async move { together.issue(first).await }));
        asked_for(server, number + 1).await;
    }
    for name in names {
        let together = together.clone();
        all.push(tokio::spawn(
            async move { together.issue(request(&name)).await },
        ));
    }
    // Until all of them wait.
    for _ in 0..10 * all.len() {
        tokio::task::yield_now().await;
    }
    all
}

#[tokio::test]
async fn what_comes_meanwhile_is_asked_for_together_and_answered_by_itself() {
    let (server, together, _folder) = serve(0, true);
    let mut names: Vec<_> = (0..MAX_TOGETHER + 5).map(|n| format!("n{n}")).collect();
    names[3] = "bad".to_owned();
    let waiting = gathered(&server, &together, names.clone()).await;
    server.may_answer.add_permits(Semaphore::MAX_PERMITS / 2);
    let mut answers = Vec::new();
    for one in waiting {
        answers.push(reason(one.await.unwrap()));
    }
    for (answer, name) in answers[OPEN..].iter().zip(&names) {
        match name.as_str() {
            "bad" => assert_eq!(answer.as_ref().unwrap_err(), "revoked"),
            name => assert_eq!(
                answer.as_ref().unwrap(),
                &[format!("leaf of {name}"), "above".to_owned()]
            ),
        }
    }
    let asked = server.asked.lock().unwrap();
    assert_eq!(asked.iter().sum::<usize>(), OPEN + names.len());
    assert_eq!(asked.iter().max(), Some(&MAX_TOGETHER));
    assert!(asked.len() <= OPEN + 3, "{asked:?}");
}

#[tokio::test]
async fn a_server_that_knows_no_several_is_asked_for_each() {
    let (server, together, _folder) = serve(0, false);
    let names = vec!["a".to_owned(), "bad".to_owned(), "c".to_owned()];
    let waiting = gathered(&server, &together, names).await;
    server.may_answer.add_permits(100);
    let mut answers = Vec::new();
    for one in waiting {
        answers.push(reason(one.await.unwrap()));
    }
    assert_eq!(answers[OPEN].as_ref().unwrap()[0], "leaf of a");
    assert_eq!(answers[OPEN + 1].as_ref().unwrap_err(), "revoked");
    assert_eq!(answers[OPEN + 2].as_ref().unwrap()[0], "leaf of c");
    assert_eq!(*server.asked.lock().unwrap(), [1; OPEN + 3]);
}

#[tokio::test]
async fn who_gives_up_before_it_was_asked_for_has_none_issued() {
    let (server, together, _folder) = serve(0, true);
    let waiting = gathered(&server, &together, vec!["a".to_owned(), "b".to_owned()]).await;
    for one in &waiting[OPEN..] {
        one.abort();
    }
    tokio::task::yield_now().await;
    server.may_answer.add_permits(100);
    for one in waiting.into_iter().take(OPEN) {
        one.await.unwrap().unwrap();
    }
    together.issue(request("c")).await.unwrap();
    let asked = server.asked.lock().unwrap();
    // One of the two may have been taken up already, and waits for its place.
    assert!(asked.iter().sum::<usize>() <= OPEN + 2, "{asked:?}");
}

#[tokio::test]
async fn who_gives_up_while_others_are_asked_for_one_by_one_has_none_issued() {
    let (server, together, _folder) = serve(0, false);
    let names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let waiting = gathered(&server, &together, names).await;
    // Of the three the first is asked for, the others are behind it.
    server.may_answer.add_permits(OPEN);
    asked_for(&server, OPEN + 1).await;
    waiting[OPEN + 1].abort();
    tokio::task::yield_now().await;
    server.may_answer.add_permits(100);
    for (number, one) in waiting.into_iter().enumerate() {
        assert_eq!(one.await.is_err(), number == OPEN + 1);
    }
    assert_eq!(*server.asked.lock().unwrap(), [1; OPEN + 2]);
}

#[tokio::test]
async fn an_answer_that_never_comes_holds_no_place_for_ever() {
    let (server, _, folder) = serve(0, true);
    let client = ServerClient::new(folder.path().join("server.sock"));
    let together = Together::waiting_for(client, Duration::from_millis(1));
    let asking = (0..2 * OPEN).map(|_| together.issue(request("a")));
    for answer in futures_util::future::join_all(asking).await {
        assert_eq!(reason(answer).unwrap_err(), "server");
    }
    // So is one that is asked for when as many have hung as may be open.
    let late = together.issue(request("a")).await;
    assert_eq!(reason(late).unwrap_err(), "server");
    assert_eq!(server.may_answer.available_permits(), 0);
}

#[tokio::test]
async fn a_server_that_is_away_is_away_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let together = Together::start(ServerClient::new(folder.path().join("nobody.sock")));
    let many = (0..2 * MAX_TOGETHER).map(|_| together.issue(request("a")));
    for answer in futures_util::future::join_all(many).await {
        assert!(matches!(
            answer,
            Err(ClientError::Connect { .. })
                | Err(ClientError::Refused(Problem { status: 503, .. }))
        ));
    }
}

#[test]
fn only_the_question_itself_is_asked_again_one_by_one() {
    let before = Problem::new(StatusCode::NOT_FOUND, "not_found", "no such endpoint");
    assert!(is_of_before(&before));
    assert!(is_of_before(&Problem::bad_request("requests", "too many")));
    for other in [
        Problem::bad_request("key", "the key is not a key"),
        Problem::forbidden("requests", "not from here"),
        Problem::unavailable("server", "no answer in time"),
    ] {
        assert!(!is_of_before(&other));
    }
}

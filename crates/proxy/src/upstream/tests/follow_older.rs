//! A newer client follows resources of an older server: a subscription in its session, updates on its stream; and how
//! long a subscription may take to open, in either era.

use super::fake::{Fake, Say, Then, data, json, status};
use super::http::{MODERN, modern, older, one, with};
use super::*;

/// A newer client's subscription to one resource.
fn listening() -> Outbound {
    let mut out = call("s", MODERN);
    out.method = Method::SubscriptionsListen;
    out.params = raw(r#"{"notifications":{"resourceSubscriptions":["x://1"]}}"#).members();
    out
}

#[tokio::test]
async fn a_resource_is_followed_until_the_session_is_lost() {
    let lost = Arc::new(AtomicBool::new(false));
    let gone = Arc::clone(&lost);
    let (fake, upstreams) = one(move |seen| {
        let update = data(
            r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://1","z": 1}}"#,
        );
        match (seen.verb.as_str(), seen.method()) {
            ("GET", _) => Say::Events(vec![update], Then::Silence),
            ("POST", "tools/call") if gone.load(Ordering::SeqCst) => status(404, ""),
            _ => older(seen),
        }
    })
    .await;
    let mut exchange = upstreams.exchange(listening()).await.unwrap();
    fake.wait(|seen| seen.method() == "resources/subscribe" && seen.body["params"]["uri"] == "x://1").await;
    lost.store(true, Ordering::SeqCst);
    answer(&upstreams, call("s", MODERN)).await;
    let error = loop {
        match exchange.next().await {
            Ok(Inbound::Notification(told)) => assert!(told.bytes.ends_with(br#""z": 1}}"#)),
            Ok(_) => panic!("neither an update nor the end"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, model::Code::UPSTREAM_FAILED, "{}", error.detail());
}

#[tokio::test]
async fn a_server_that_could_not_tell_of_updates_is_not_followed() {
    let (fake, upstreams) = one(older).await;
    let error = upstreams.exchange(listening()).await.err().unwrap();
    assert_eq!(error.code, model::Code::ERA_UNBRIDGED, "{}", error.detail());
    fake.wait(|seen| seen.method() == "resources/unsubscribe").await;
    let (_fake, upstreams) = one(|seen| match (seen.verb.as_str(), seen.method()) {
        ("GET", _) => Say::Events(vec![], Then::Silence),
        (_, "resources/subscribe") => json(seen.error(-32002, "null")),
        _ => older(seen),
    })
    .await;
    let error = upstreams.exchange(listening()).await.err().unwrap();
    assert_eq!(error.code, model::Code::UPSTREAM_FAILED, "{}", error.detail());
}

#[tokio::test]
async fn a_followed_resource_ends_with_the_servers_configuration() {
    let (_fake, upstreams) = one(|seen| match seen.verb.as_str() {
        "GET" => Say::Events(vec![], Then::Silence),
        _ => older(seen),
    })
    .await;
    let mut exchange = upstreams.exchange(listening()).await.unwrap();
    upstreams.reload(&BTreeMap::new());
    let next = tokio::time::timeout(Duration::from_secs(10), exchange.next()).await;
    assert!(next.expect("it is followed for ever").is_err());
}

#[tokio::test]
async fn a_followed_resource_ends_with_the_stream_on_which_it_is_told_of() {
    let opened = Arc::new(AtomicBool::new(false));
    let (_fake, upstreams) = one(move |seen| match seen.verb.as_str() {
        "GET" if !opened.swap(true, Ordering::SeqCst) => Say::Events(vec![], Then::End),
        _ => older(seen),
    })
    .await;
    let mut exchange = upstreams.exchange(listening()).await.unwrap();
    let next = tokio::time::timeout(Duration::from_secs(10), exchange.next()).await;
    assert!(next.expect("it is followed for ever").is_err());
}

#[tokio::test]
async fn a_session_in_which_something_is_followed_is_not_idle() {
    let limits = Limits { idle_timeout: Duration::from_millis(200), ..Limits::default() };
    let (fake, upstreams) = with(limits, |seen| match seen.verb.as_str() {
        "GET" => Say::Events(vec![], Then::Silence),
        _ => older(seen),
    })
    .await;
    let exchange = upstreams.exchange(listening()).await.unwrap();
    // The reaper comes once a second.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    answer(&upstreams, call("s", MODERN)).await;
    assert_eq!(fake.count("initialize"), 1);
    drop(exchange);
    fake.wait(|seen| seen.verb == "DELETE").await;
}

#[tokio::test]
async fn a_subscription_opens_within_the_time_of_a_call() {
    for newer in [true, false] {
        let fake = Fake::start(move |seen| match (seen.verb.as_str(), seen.method()) {
            (_, "subscriptions/listen" | "resources/subscribe") => Say::Hang,
            ("GET", _) => Say::Events(vec![], Then::Silence),
            _ if newer => modern(seen),
            _ => older(seen),
        })
        .await;
        let config =
            ServerConfig { timeout: Duration::from_millis(1500), ..(*over_http("s", fake.url())).clone() };
        let upstreams = upstreams(Limits::default(), &[Arc::new(config)]);
        let opened = tokio::time::timeout(Duration::from_secs(10), upstreams.exchange(listening())).await;
        let error = opened.expect("it waits for ever").err().unwrap();
        assert_eq!((error.code, error.sent), (model::Code::UPSTREAM_TIMEOUT, Sent::Unknown));
    }
}

//! An older client follows resources of a newer server: a stream of the server's for each.

use super::fake::{Fake, Say, Seen, Then, data, json, status};
use super::*;

const OLDER: Version = Version::V2025_11_25;

fn told(uri: &str) -> String {
    let params = format!(r#"{{"uri":"{uri}"}}"#);
    data(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{params}}}"#))
}

fn agreed(uris: &str) -> String {
    data(&format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{"resourceSubscriptions":{uris}}}}}}}"#
    ))
}

/// A server of 2026-07-28 that agrees to these resources, and then says this of them.
async fn server(uris: Option<&'static str>, says: &'static [&'static str]) -> (Fake, Upstreams) {
    let script = move |seen: &Seen| match seen.method() {
        "server/discover" => json(
            seen.result(r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}"#),
        ),
        "initialize" => status(400, &seen.error(-32022, r#"{"supported":["2026-07-28"]}"#)),
        "subscriptions/listen" => {
            let asked = seen.body["params"]["notifications"]["resourceSubscriptions"].to_string();
            let first = agreed(uris.unwrap_or(&asked));
            Say::Events([first].into_iter().chain(says.iter().copied().map(told)).collect(), Then::Silence)
        }
        _ => json(seen.result(r#"{"resultType":"complete"}"#)),
    };
    let fake = Fake::start(script).await;
    let upstreams = upstreams(Limits::default(), &[over_http("s", fake.url())]);
    (fake, upstreams)
}

/// Says `method` of a resource, as a client session that hears by `inbox`.
async fn say(upstreams: &Upstreams, method: Method, uri: &str, inbox: &Inbox) -> String {
    let mut out = call("s", OLDER);
    (out.method, out.inbox) = (method, Some(inbox.clone()));
    out.params = raw(&format!(r#"{{"uri":"{uri}"}}"#)).members();
    answer(upstreams, out).await
}

#[tokio::test]
async fn only_updates_of_what_is_followed_reach_the_client() {
    let (_fake, upstreams) = server(None, &["x://2", "x://1"]).await;
    let (inbox, mut mail) = mpsc::channel(4);
    assert_eq!(say(&upstreams, Method::ResourcesSubscribe, "x://1", &inbox).await, "{}");
    let Message::Notification(first) = mail.recv().await.unwrap().message else { panic!() };
    assert_eq!(first.params.unwrap().text("uri").as_deref(), Some("x://1"));
}

#[tokio::test]
async fn what_the_server_does_not_agree_to_is_not_followed() {
    let (fake, upstreams) = server(Some(r#"["x://2"]"#), &[]).await;
    let (inbox, _mail) = mpsc::channel(4);
    let refused = say(&upstreams, Method::ResourcesSubscribe, "x://1", &inbox).await;
    assert!(refused.contains("Unknown"), "{refused}");
    fake.wait_abandoned().await;
}

#[tokio::test]
async fn a_followed_resource_is_let_go_with_whoever_followed_it() {
    let owner = Owner { principal: principal(1), session: Some(Digest([1; 32])) };
    for ending in ["unsubscribe", "session", "inbox", "server"] {
        let (fake, upstreams) = server(None, &[]).await;
        let (inbox, mail) = mpsc::channel(4);
        assert_eq!(say(&upstreams, Method::ResourcesSubscribe, "x://1", &inbox).await, "{}");
        assert_eq!(fake.abandoned.load(Ordering::SeqCst), 0);
        match ending {
            "unsubscribe" => drop(say(&upstreams, Method::ResourcesUnsubscribe, "x://1", &inbox).await),
            "session" => upstreams.end(&owner),
            "inbox" => drop(mail),
            _ => upstreams.reload(&BTreeMap::new()),
        }
        fake.wait_abandoned().await;
    }
}

#[tokio::test]
async fn a_session_follows_a_bounded_number_of_resources() {
    let (_fake, upstreams) = server(None, &[]).await;
    let (inbox, _mail) = mpsc::channel(4);
    for number in 0..64 {
        let uri = format!("x://{number}");
        assert_eq!(say(&upstreams, Method::ResourcesSubscribe, &uri, &inbox).await, "{}");
    }
    let refused = say(&upstreams, Method::ResourcesSubscribe, "x://more", &inbox).await;
    assert!(refused.contains("at most 64"), "{refused}");
    // What is followed already may be followed again.
    assert_eq!(say(&upstreams, Method::ResourcesSubscribe, "x://1", &inbox).await, "{}");
}

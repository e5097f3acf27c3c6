//! Who follows which resource of one session or link of an older server: newer clients, each through a stream of its own.

use protocol::{Method, Notification};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The followers.
#[derive(Default)]
pub(super) struct Followers(Mutex<Table>);

#[derive(Default)]
struct Table {
    joined: u64,
    by_uri: HashMap<Box<str>, Vec<Follower>>,
    /// The server will tell of nothing any more.
    over: bool,
}

struct Follower {
    number: u64,
    /// Nothing, once nothing will be told any more.
    told: Option<mpsc::Sender<Notification>>,
}

impl Followers {
    /// One more follower of a resource, by a number of its own. What it hears ends when the server's words do.
    pub(super) fn join(&self, uri: &str) -> (u64, mpsc::Receiver<Notification>) {
        let (told, hears) = mpsc::channel(UPDATES);
        let mut table = self.lock();
        table.joined += 1;
        let number = table.joined;
        let told = (!table.over).then_some(told);
        table.by_uri.entry(uri.into()).or_default().push(Follower { number, told });
        (number, hears)
    }

    /// A follower is gone. Says whether nobody follows the resource any more.
    pub(super) fn leave(&self, uri: &str, number: u64) -> bool {
        let mut table = self.lock();
        let Some(followers) = table.by_uri.get_mut(uri) else { return false };
        followers.retain(|follower| follower.number != number);
        let last = followers.is_empty();
        if last {
            table.by_uri.remove(uri);
        }
        last
    }

    /// Tells those who follow the resource of an update. Says whether it was one of a followed resource.
    pub(super) fn tell(&self, notification: &Notification) -> bool {
        if notification.method.known() != Some(Method::ResourcesUpdated) {
            return false;
        }
        let uri = notification.params.as_ref().and_then(|params| params.text("uri"));
        let table = self.lock();
        let Some(followers) = uri.and_then(|uri| table.by_uri.get(&*uri)) else { return false };
        for told in followers.iter().filter_map(|follower| follower.told.as_ref()) {
            // Full: it hears too slowly, and of the next update again.
            drop(told.try_send(notification.clone()));
        }
        true
    }

    /// Nothing will be told any more.
    pub(super) fn end(&self) {
        let mut table = self.lock();
        table.over = true;
        table.by_uri.values_mut().flatten().for_each(|follower| follower.told = None);
    }

    /// Whether nobody follows anything.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().by_uri.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Updates that wait for one follower.
const UPDATES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Message;

    fn updated(uri: &str) -> Notification {
        let bounds = protocol::Bounds { bytes: 1 << 10, depth: 8, items: 100 };
        let params = format!(r#"{{"uri":"{uri}"}}"#);
        let text =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{params}}}"#);
        let Message::Notification(told) = protocol::decode(text.into(), &bounds).unwrap() else { panic!() };
        told
    }

    #[test]
    fn a_follower_hears_of_its_own_resource_only() {
        let followers = Followers::default();
        let (_, mut one) = followers.join("x://1");
        let (_, mut two) = followers.join("x://2");
        assert!(followers.tell(&updated("x://1")) && !followers.tell(&updated("x://3")));
        assert!(one.try_recv().is_ok() && one.try_recv().is_err() && two.try_recv().is_err());
    }

    #[tokio::test]
    async fn whoever_comes_after_the_end_hears_that_it_is_the_end() {
        let followers = Followers::default();
        let (_, mut before) = followers.join("x://1");
        followers.end();
        let (number, mut after) = followers.join("x://1");
        assert!(before.recv().await.is_none() && after.recv().await.is_none());
        assert!(!followers.leave("x://1", number) && followers.leave("x://1", 1) && followers.is_empty());
    }
}

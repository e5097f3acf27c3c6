//! The rows.

use super::{Direction, Eras, Inspect, Method, Names, Record, Row, Shape};

/// Answered by the gateway itself; recorded nowhere.
const LOCAL: Row = Row {
    name: "",
    eras: Eras::Both,
    direction: Direction::ToServer,
    shape: Shape::Local,
    names: Names::Nothing,
    permit: false,
    inspect: Inspect::Nothing,
    record: Record::Nothing,
    items: None,
    cacheable: false,
    may_ask: false,
};

/// Answered by one server, as a plain read.
const TARGET: Row =
    Row { shape: Shape::Target, permit: true, inspect: Inspect::Both, record: Record::Read, ..LOCAL };

/// Merged from many servers.
const LIST: Row = Row {
    shape: Shape::FanOut,
    permit: true,
    inspect: Inspect::Answer,
    record: Record::Read,
    cacheable: true,
    ..LOCAL
};

/// A server asks the client, on a call under way.
const ASK: Row = Row {
    eras: Eras::Session,
    direction: Direction::ToClient,
    shape: Shape::Ask,
    inspect: Inspect::Both,
    record: Record::Nothing,
    ..LOCAL
};

/// The client tells.
const TOLD: Row = Row { shape: Shape::Notification, ..LOCAL };

/// A server tells.
const TELLS: Row = Row { direction: Direction::ToClient, shape: Shape::Notification, ..LOCAL };

macro_rules! rows {
    ($($method:ident => $row:expr;)*) => {
        impl Method {
            /// Every method, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$method,)*];

            /// Its row.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Self::$method => {
                        const ROW: &Row = &$row;
                        ROW
                    })*
                }
            }
        }
    };
}

rows! {
    Initialize => Row { name: "initialize", eras: Eras::Session, ..LOCAL };
    Ping => Row { name: "ping", eras: Eras::Session, direction: Direction::Both, ..LOCAL };
    ServerDiscover => Row { name: "server/discover", eras: Eras::Stateless, cacheable: true, ..LOCAL };
    ToolsList => Row { name: "tools/list", items: Some("tools"), ..LIST };
    ToolsCall => Row { name: "tools/call", names: Names::Tool, record: Record::ByImpact, may_ask: true, ..TARGET };
    PromptsList => Row { name: "prompts/list", items: Some("prompts"), ..LIST };
    PromptsGet => Row { name: "prompts/get", names: Names::Prompt, may_ask: true, ..TARGET };
    ResourcesList => Row { name: "resources/list", items: Some("resources"), ..LIST };
    ResourcesTemplatesList => Row { name: "resources/templates/list", items: Some("resourceTemplates"), ..LIST };
    ResourcesRead =>
        Row { name: "resources/read", names: Names::ResourceUri, cacheable: true, may_ask: true, ..TARGET };
    ResourcesSubscribe => Row {
        name: "resources/subscribe",
        eras: Eras::Session,
        names: Names::ResourceUri,
        inspect: Inspect::Arguments,
        ..TARGET
    };
    ResourcesUnsubscribe => Row {
        name: "resources/unsubscribe",
        eras: Eras::Session,
        names: Names::ResourceUri,
        inspect: Inspect::Arguments,
        ..TARGET
    };
    CompletionComplete => Row { name: "completion/complete", names: Names::Completion, ..TARGET };
    LoggingSetLevel => Row { name: "logging/setLevel", eras: Eras::Session, ..LOCAL };
    SubscriptionsListen => Row {
        name: "subscriptions/listen",
        eras: Eras::Stateless,
        shape: Shape::Stream,
        permit: true,
        inspect: Inspect::Answer,
        record: Record::Read,
        ..LOCAL
    };
    SamplingCreateMessage => Row { name: "sampling/createMessage", ..ASK };
    ElicitationCreate => Row { name: "elicitation/create", ..ASK };
    RootsList => Row { name: "roots/list", ..ASK };
    Initialized => Row { name: "notifications/initialized", eras: Eras::Session, ..TOLD };
    Cancelled => Row { name: "notifications/cancelled", direction: Direction::Both, ..TOLD };
    Progress => Row { name: "notifications/progress", direction: Direction::Both, ..TOLD };
    RootsListChanged => Row { name: "notifications/roots/list_changed", eras: Eras::Session, ..TOLD };
    Message => Row { name: "notifications/message", inspect: Inspect::Answer, ..TELLS };
    ToolsListChanged => Row { name: "notifications/tools/list_changed", ..TELLS };
    PromptsListChanged => Row { name: "notifications/prompts/list_changed", ..TELLS };
    ResourcesListChanged => Row { name: "notifications/resources/list_changed", ..TELLS };
    ResourcesUpdated => Row { name: "notifications/resources/updated", names: Names::ResourceUri, ..TELLS };
    SubscriptionsAcknowledged =>
        Row { name: "notifications/subscriptions/acknowledged", eras: Eras::Stateless, ..TELLS };
    ElicitationComplete => Row { name: "notifications/elicitation/complete", eras: Eras::Session, ..TELLS };
}

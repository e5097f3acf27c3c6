//! Is it fit to serve? Named checks, each with its reason.

use serde_json::{Value, json};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All is well.
    Ok,
    /// It serves, and somebody should look at it.
    Degraded,
    /// It must not get requests.
    Failed,
}

/// One named check.
#[derive(Clone, Debug)]
pub(crate) struct HealthCheck {
    /// Its name.
    pub(crate) name: String,
    /// How it came out.
    pub(crate) status: Status,
    /// Why, and further facts.
    pub(crate) facts: Value,
}

impl HealthCheck {
    /// A check with its facts.
    pub(crate) fn new(name: impl Into<String>, status: Status, facts: Value) -> Self {
        Self { name: name.into(), status, facts }
    }
}

/// Everything that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Health(pub(crate) Vec<HealthCheck>);

impl Health {
    /// Whether requests should be sent here.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.iter().all(|check| check.status != Status::Failed)
    }

    /// The checks for programs and people.
    pub(crate) fn to_json(&self) -> Value {
        let checks: serde_json::Map<String, Value> = self
            .0
            .iter()
            .map(|check| {
                let mut entry = json!({"status": check.status.word()});
                if let (Some(entry), Value::Object(facts)) = (entry.as_object_mut(), &check.facts) {
                    entry.extend(facts.clone());
                }
                (check.name.clone(), entry)
            })
            .collect();
        let worst =
            self.0.iter().map(|check| check.status).max_by_key(|status| status.rank()).unwrap_or(Status::Ok);
        json!({"ready": self.is_ready(), "status": worst.word(), "version": env!("CARGO_PKG_VERSION"), "checks": checks})
    }
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Degraded => 1,
            Self::Failed => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_takes_it_out_and_a_degraded_one_does_not() {
        let check = |status| HealthCheck::new("x", status, json!({"reason": "why"}));
        assert!(Health(vec![check(Status::Ok), check(Status::Degraded)]).is_ready());
        let failed = Health(vec![check(Status::Degraded), check(Status::Failed)]);
        assert!(!failed.is_ready());
        assert_eq!(failed.to_json()["status"], "failed");
        assert_eq!(failed.to_json()["checks"]["x"]["reason"], "why");
    }
}

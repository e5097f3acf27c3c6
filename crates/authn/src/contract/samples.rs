//! A contract's own samples: what has to pass passes, what has to fail fails, and for the reason it names.

use super::compile::{Contract, is_no_type};
use super::document::{Document, Sample};
use super::judge::{Form, Presented};
use crate::Resource;
use crate::claims::numeric_date;
use model::Timestamp;
use serde_json::Value;

/// A sample that did not do what it has to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("sample {sample:?}: {what}")]
pub struct SampleFault {
    /// Its name.
    pub sample: String,
    /// What it did instead, by the names of claims only.
    pub what: String,
}

impl Contract {
    /// Tries every sample of the document that this was compiled from; empty when all did what they have to. At least
    /// one of each kind is needed: a contract that nobody has seen refuse anything is not published.
    pub fn try_samples(&self, document: &Document) -> Vec<SampleFault> {
        let mut faults = Vec::new();
        let samples = &document.samples;
        for (kind, list) in [("good", &samples.good), ("bad", &samples.bad)] {
            if list.is_empty() {
                faults.push(SampleFault { sample: kind.into(), what: format!("there is no {kind} sample") });
            }
        }
        let mut fault =
            |sample: &Sample, what: String| faults.push(SampleFault { sample: sample.name.clone(), what });
        for sample in &samples.good {
            match self.try_sample(document, sample) {
                Err(what) => fault(sample, what),
                Ok(Some((claim, why))) => {
                    fault(sample, format!("it has to pass, and fails for {claim}: {why}"))
                }
                Ok(None) => {}
            }
        }
        for sample in &samples.bad {
            match (self.try_sample(document, sample), &sample.fails) {
                (Err(what), _) => fault(sample, what),
                (Ok(None), _) => fault(sample, "it has to fail, and passes".into()),
                (Ok(Some((claim, _))), Some(wanted)) if claim != wanted => {
                    fault(sample, format!("it has to fail for {wanted}, and fails for {claim}"));
                }
                (Ok(Some(_)), _) => {}
            }
        }
        faults
    }

    /// The first claim it fails for and why, or `None` when it passes.
    fn try_sample(
        &self,
        document: &Document,
        sample: &Sample,
    ) -> Result<Option<(&'static str, String)>, String> {
        let audience = match sample.claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.first().and_then(Value::as_str),
            other => other.and_then(Value::as_str),
        };
        let named = sample.resource.as_deref().or(document.resource.as_deref());
        let name = named.or(audience).unwrap_or(NOWHERE);
        let plain = |name| Resource::new(name, Vec::new(), Vec::new(), Vec::new());
        let resource = match (plain(name), named) {
            (Ok(resource), _) => resource,
            (Err(error), Some(_)) => return Err(error.to_string()),
            // An audience that is no URL, such as `api://portunus`, is at no resource in particular.
            (Err(_), None) => plain(NOWHERE).map_err(|error| error.to_string())?,
        };
        let date = |name: &str| sample.claims.get(name).and_then(numeric_date);
        let now = match sample.at {
            Some(seconds) => Timestamp::from_seconds(seconds),
            None => date("iat")
                .map(|issued| Timestamp(issued.0.saturating_add(1000)))
                .or_else(|| date("exp").map(|expires| Timestamp(expires.0.saturating_sub(60_000))))
                .unwrap_or(Timestamp(0)),
        };
        let header = sample.header.clone().unwrap_or_default();
        let algorithm = header.alg.or_else(|| self.algorithms.first().map(|first| first.as_str().to_owned()));
        let form = if sample.opaque {
            Form::Introspected { until: Timestamp(now.0.saturating_add(30_000)) }
        } else {
            let word = header.typ.as_deref().or(document.types.first().map(String::as_str));
            Form::Signed {
                token_type: word.filter(|word| !is_no_type(word)),
                algorithm: algorithm.as_deref().unwrap_or_default(),
            }
        };
        let (report, _) = self.report(&Presented { claims: &sample.claims, form }, Some(&resource), now);
        let first = report.first_fault();
        Ok(first
            .map(|clause| (clause.claim, clause.error.map(|error| error.to_string()).unwrap_or_default())))
    }
}

/// A resource that no audience names.
pub(super) const NOWHERE: &str = "https://resource.invalid/mcp";

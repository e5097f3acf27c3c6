//! Reload: another configuration, other policies, without dropping a call. Each is taken as a whole or not at
//! all; a bad one leaves the last good one in force and says where it is wrong, in the log, on record and in
//! `/readyz` (invariant 8).

use crate::compose;
use crate::config::{self, ConfigError, Settings};
use crate::inside::Inside;
use crate::policies;
use crate::standing::{Refused, Standing};
use ledger::{Event, Leaf, What};
use model::{Code, Digest};
use std::path::PathBuf;

/// What was refused in a reload, each fault with its place.
#[derive(Debug, thiserror::Error)]
#[error("refused:\n{}", .0.join("\n"))]
pub struct ReloadError(pub Vec<String>);

impl Inside {
    /// Reads everything again.
    ///
    /// # Errors
    /// Every fault of the configuration and of the policies.
    pub(crate) async fn reload(&self) -> Result<(), ReloadError> {
        let _one = self.reloading.lock().await;
        let seen = self.texts();
        self.in_force(|force| force.seen = Some(seen));
        if let Some(Err(error)) = self.tls.as_ref().map(net::listen::Tls::reload) {
            tracing::error!(%error, "the new certificate is refused, the old one stays");
        }
        let mut faults = self.reload_configuration();
        faults.extend(self.reload_policies());
        if faults.is_empty() { Ok(()) } else { Err(ReloadError(faults)) }
    }

    /// Reads everything again if a text has changed since the last look.
    pub(crate) async fn reload_if_changed(&self) {
        let texts = self.texts();
        if self.in_force(|force| force.seen == Some(texts)) {
            return;
        }
        // Both outcomes are logged where they are found.
        drop(self.reload().await);
    }

    /// The files and folders a reload reads.
    pub(crate) fn sources(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        self.in_force(|force| {
            let mut files = vec![self.file.clone()];
            if let Some(tls) = &force.settings.listen.tls {
                files.extend([tls.cert_file.clone(), tls.key_file.clone()]);
                files.extend(tls.clients.iter().flat_map(net::listen::ClientCertificates::files).cloned());
            }
            (files, vec![force.settings.policies.clone()])
        })
    }

    /// Identifies all texts a reload reads.
    pub(crate) fn texts(&self) -> Digest {
        let (mut paths, folders) = self.sources();
        for folder in folders {
            let cedar = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
            paths.extend(cedar.filter(|path| path.extension().is_some_and(|ending| ending == "cedar")));
        }
        paths.sort();
        let texts: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap_or_default()).collect();
        let names = paths.iter().map(|path| path.as_os_str().as_encoded_bytes());
        let parts: Vec<&[u8]> = names.zip(&texts).flat_map(|(name, text)| [name, text.as_slice()]).collect();
        Digest::of_parts(&parts)
    }

    fn reload_configuration(&self) -> Vec<String> {
        let faults = match self.take_configuration() {
            Ok(digest) => {
                self.metrics.reloaded("configuration", true);
                self.note(What::ConfigLoaded, Some(digest), &[]);
                return Vec::new();
            }
            Err(faults) => faults,
        };
        self.metrics.reloaded("configuration", false);
        self.note(What::ConfigRefused, None, &faults);
        let refused = Refused { at: self.clock.now(), faults: faults.clone() };
        self.in_force(|force| force.configuration.refused = Some(refused));
        faults
    }

    fn take_configuration(&self) -> Result<Digest, Vec<String>> {
        let digest = Digest::of(&std::fs::read(&self.file).unwrap_or_default());
        let settings = config::load(&self.file).map_err(|error| match error {
            ConfigError::Refused(refusal) => refusal.lines(),
            ConfigError::Read { .. } => vec![error.to_string()],
        })?;
        let data_plane = settings.data_plane(&self.public_url);
        let resources =
            compose::resources(&data_plane, &settings).map_err(|error| vec![error.to_string()])?;
        let own = self.identity.as_ref().and_then(|identity| identity.vouches(&settings, &self.public_url));
        self.authn.reload(&settings.authn(own)).map_err(|faults| compose::issuer_lines(&faults))?;
        let issuing = compose::issuer_config(&settings, &self.public_url, &resources);
        if let Some(admin) = &self.admin {
            // Nobody's roles are named any more where the section is gone.
            admin.reconfigure(settings.admin_api.clone().unwrap_or_default());
        }
        if let (Some(issuer), Some(config)) = (&self.issuer, issuing) {
            issuer.reload(config);
        }
        self.house.reconfigure(data_plane, resources);
        self.in_force(|force| {
            warn_of_what_needs_a_restart(&force.settings, &settings);
            force.settings = settings;
            force.configuration = Standing::new(self.clock.now(), digest);
        });
        Ok(digest)
    }

    fn reload_policies(&self) -> Vec<String> {
        let (folder, zone) =
            self.in_force(|force| (force.settings.policies.clone(), force.settings.zone.clone()));
        let taken = policies::read(&folder).map_err(|error| vec![error.to_string()]).and_then(|files| {
            self.rules.reload(&files, &policy::Settings { zone }).map_err(|faults| policies::lines(&faults))
        });
        match taken {
            Ok(()) => {
                let digest = self.rules.current().revision.digest();
                self.metrics.reloaded("policies", true);
                self.note(What::PolicyLoaded, Some(digest), &[]);
                self.in_force(|force| force.policies = Standing::new(self.clock.now(), digest));
                Vec::new()
            }
            Err(faults) => {
                self.metrics.reloaded("policies", false);
                self.note(What::PolicyRefused, None, &faults);
                let refused = Refused { at: self.clock.now(), faults: faults.clone() };
                self.in_force(|force| force.policies.refused = Some(refused));
                faults
            }
        }
    }

    /// Puts an event on record and in the log.
    fn note(&self, what: What, digest: Option<Digest>, faults: &[String]) {
        let code = match what {
            What::ConfigRefused => Some(Code::CONFIG_INVALID),
            What::PolicyRefused => Some(Code::POLICY_INVALID),
            _ => None,
        };
        for fault in faults {
            tracing::error!(event = what.as_str(), fault, "refused, the last good one stays in force");
        }
        if faults.is_empty() {
            tracing::info!(event = what.as_str(), revision = digest.map(tracing::field::display), "in force");
        }
        let detail = (!faults.is_empty()).then(|| faults.join("; ").into());
        let event = Event { digest, code, detail, ..Event::of(what) };
        // The record's own health says so if it cannot be written.
        drop(self.audit.append(self.clock.now(), &Leaf::Event(event)));
    }
}

fn warn_of_what_needs_a_restart(old: &Settings, new: &Settings) {
    let changed = [
        ("listen.address", old.listen.address != new.listen.address),
        ("listen.public_url", old.listen.public_url != new.listen.public_url),
        ("admin.address", old.admin != new.admin),
        ("data_dir", old.data_dir != new.data_dir),
        ("keys_dir", old.keys_dir != new.keys_dir),
        ("admin_api", old.admin_api.is_some() != new.admin_api.is_some()),
        ("storage", old.storage.is_some() != new.storage.is_some()),
        ("authorization_server", old.authorization_server.is_some() != new.authorization_server.is_some()),
        ("traces", old.traces != new.traces),
        ("workers", old.workers != new.workers),
        ("revoked_tokens_file", old.revoked_tokens_file != new.revoked_tokens_file),
    ];
    for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
        tracing::warn!(key, "read at start only; restart to change it");
    }
}

#[cfg(test)]
mod tests;

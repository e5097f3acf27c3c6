//! Tells when a file of the configuration or of the policies has changed.

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Watches folders, since editors and orchestrators replace files rather than write into them.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    changed: mpsc::Receiver<()>,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system has no watches to give.
    pub(crate) fn new() -> Result<Self, notify::Error> {
        // One place is enough: a second change before the first was seen says nothing new.
        let (tell, changed) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = match event {
                Ok(event) => !matches!(event.kind, notify::EventKind::Access(_)),
                Err(_) => true,
            };
            if matters {
                // Full means told already; closed means nobody asks any more.
                let _ = tell.try_send(());
            }
        })?;
        Ok(Self { watcher, folders: BTreeSet::new(), changed })
    }

    /// Watches the folders of these files, and these folders, and nothing else.
    pub(crate) fn follow(&mut self, files: &[&Path], folders: &[&Path]) {
        let parent = |file: &&Path| {
            file.parent()
                .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.to_owned())
        };
        let wanted: BTreeSet<PathBuf> = files
            .iter()
            .filter_map(parent)
            .chain(folders.iter().map(|folder| (*folder).to_owned()))
            .collect();
        for folder in self.folders.difference(&wanted) {
            // Gone with its folder, which is as good.
            drop(self.watcher.unwatch(folder));
        }
        for folder in wanted.difference(&self.folders) {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), %error, "cannot watch; reload with SIGHUP");
            }
        }
        self.folders = wanted;
    }

    /// Waits for a change and then for a quiet moment. Cancel safe: a change is told again.
    pub(crate) async fn changed(&mut self) {
        if self.changed.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while tokio::time::timeout(QUIET, self.changed.recv()).await.is_ok_and(|more| more.is_some()) {}
    }
}

/// How long nothing may change before the files are read: an editor or `cp -r` has finished by then.
const QUIET: Duration = Duration::from_millis(150);

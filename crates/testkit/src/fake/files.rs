//! Files that containers see, and those of the host.

use pontoon_core::engine::Query;
use pontoon_core::files::{Basis, Ipv6, Origin, hosts};
use pontoon_core::model::{NamespaceSource, SandboxId};
use pontoon_core::objects::{File, FileName};

use super::FakeHost;
use super::world::World;

/// A file of a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// What stands in it; nothing if somebody took it away.
    text: Option<String>,
    /// What we wrote last, if that is known.
    last: Option<String>,
}

/// The host's own files.
#[derive(Clone, Debug)]
pub(super) struct Etc {
    resolv_conf: String,
    hosts: String,
}

impl Default for Etc {
    fn default() -> Self {
        Self { resolv_conf: "nameserver 192.0.2.53\n".to_owned(), hosts: "127.0.0.1\tlocalhost\n".to_owned() }
    }
}

impl World {
    /// Edits of the container stay: line by line in a hosts file, as a whole in a resolv.conf.
    pub(super) fn write_file(&mut self, file: &File) {
        let written = self.files.entry((file.sandbox, file.name)).or_default();
        if let Some(content) = &file.content {
            let edited = written.text.take().filter(|text| written.last.as_ref() != Some(text));
            written.text = Some(match (edited, &written.last, file.name) {
                (Some(text), Some(last), FileName::Hosts) => hosts::merge(&text, last, content),
                (Some(text), Some(_), FileName::ResolvConf) => text,
                _ => content.clone(),
            });
        }
        written.last.clone_from(&file.content);
    }

    pub(super) fn remove_file(&mut self, file: &File) {
        self.files.remove(&(file.sandbox, file.name));
    }

    /// What the container made of them cannot be seen.
    pub(super) fn own_files(&self, query: &Query) -> impl Iterator<Item = File> {
        self.files.iter().filter_map(|(&(sandbox, name), written)| {
            let known = query.sandboxes.contains(&sandbox);
            let is_there = !known || written.text.is_some();
            is_there.then(|| File { sandbox, name, content: written.last.clone().filter(|_| known) })
        })
    }

    pub(super) fn files_basis(&self, namespace: &NamespaceSource) -> Basis {
        Basis {
            ipv6: if self.profile.ipv6 { Ipv6::On } else { Ipv6::Off },
            resolv_conf: Origin { text: self.etc.resolv_conf.clone(), ..Origin::default() },
            hosts: (*namespace == NamespaceSource::Host).then(|| self.etc.hosts.clone()),
        }
    }
}

/// What the host's administrator and containers do to files.
impl FakeHost {
    /// Sets the host's own `/etc/resolv.conf`.
    pub fn set_resolv_conf(&self, text: &str) {
        text.clone_into(&mut self.lock().world.etc.resolv_conf);
    }

    /// Sets the host's own `/etc/hosts`.
    pub fn set_hosts(&self, text: &str) {
        text.clone_into(&mut self.lock().world.etc.hosts);
    }

    /// Returns what a container reads in a file, if it is there.
    pub fn file(&self, sandbox: SandboxId, name: FileName) -> Option<String> {
        self.lock().world.files.get(&(sandbox, name))?.text.clone()
    }

    /// Has a container write into a file that is there.
    pub fn edit_file(&self, sandbox: SandboxId, name: FileName, text: &str) {
        if let Some(written) = self.lock().world.files.get_mut(&(sandbox, name)) {
            written.text = Some(text.to_owned());
        }
    }

    /// Takes a file away behind our back.
    pub fn delete_file(&self, sandbox: SandboxId, name: FileName) {
        if let Some(written) = self.lock().world.files.get_mut(&(sandbox, name)) {
            written.text = None;
        }
    }
}

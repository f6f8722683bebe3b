//! Sandboxes: create, attach, delete.

use tracing::{info_span, warn};

use super::gateway_network::Spare;
use super::networks::Survey;
use super::target::{DrawnTarget, NetworkTarget};
use crate::engine::{Draft, Engine, RecordKey, files};
use crate::error::{Error, SandboxError};
use crate::model::{EndpointId, EndpointSpec, NamespaceSource, Phase, Sandbox, SandboxId, SandboxSpec, check_name};

/// A sandbox with all its endpoints, created and joined in one transaction.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The sandbox.
    pub sandbox: SandboxSpec,
    /// Its endpoints in the order they are joined, each with its network.
    pub endpoints: Vec<(NetworkTarget, EndpointSpec)>,
}

/// An endpoint to be made and joined, with what is drawn once: the edit that does it may run several times.
struct Connection {
    network: DrawnTarget,
    endpoint: EndpointId,
    spec: EndpointSpec,
}

/// What was attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// Its endpoints, in the order asked for.
    pub endpoints: Vec<EndpointId>,
}

impl Engine {
    /// Creates a sandbox.
    ///
    /// # Errors
    ///
    /// [`SandboxError::EmptyName`], [`SandboxError::Exists`], or a host that refuses.
    pub fn create_sandbox(&self, spec: SandboxSpec) -> Result<SandboxId, Error> {
        self.attach(Attach { sandbox: spec, endpoints: Vec::new() }).map(|attached| attached.sandbox)
    }

    /// Creates a sandbox with endpoints, and the networks of theirs that are missing, and joins them: one transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::create_sandbox`], [`Engine::create_network`], [`Engine::create_endpoint`] and [`Engine::join`].
    pub fn attach(&self, attach: Attach) -> Result<Attached, Error> {
        let Attach { sandbox: spec, endpoints } = attach;
        let sandbox = SandboxId::draw(|bytes| self.random(bytes));
        let connections: Vec<Connection> =
            endpoints.into_iter().map(|(network, spec)| self.connection(network, spec)).collect();
        let _span = info_span!("libnetwork.Controller.NewSandbox", sid = %sandbox, cid = %spec.name).entered();
        let new = Sandbox {
            id: sandbox,
            created: self.environment.now(),
            basis: self.host().files_basis(&spec.namespace)?,
            spec: SandboxSpec { resolver: spec.resolver.or((!self.config.names).then_some(false)), ..spec },
            phase: Phase::Ready,
        };
        let survey = self.survey_for(connections.iter().map(|connection| &connection.network))?;
        let spare = Spare::default();
        self.transact(&format!("create sandbox {}", new.spec.name), |draft| {
            self.draft_sandbox(draft, &new)?;
            for connection in &connections {
                self.draft_connection(draft, connection, sandbox, &survey)?;
            }
            self.settle(draft, sandbox, &spare, &survey)
        })?;
        Ok(Attached { sandbox, endpoints: connections.iter().map(|connection| connection.endpoint).collect() })
    }

    /// Creates an endpoint, and its network if that is missing, and joins it to a sandbox that is there: one transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::create_network`], [`Engine::create_endpoint`] and [`Engine::join`].
    pub fn connect(
        &self,
        sandbox: SandboxId,
        network: impl Into<NetworkTarget>,
        spec: EndpointSpec,
    ) -> Result<EndpointId, Error> {
        let connection = self.connection(network.into(), spec);
        let _span = info_span!("libnetwork.sbJoin", eid = %connection.endpoint, sid = %sandbox).entered();
        let (spare, survey) = (Spare::default(), self.survey_for([&connection.network])?);
        self.transact(&format!("connect sandbox {sandbox:?}"), |draft| {
            self.draft_connection(draft, &connection, sandbox, &survey)?;
            self.settle(draft, sandbox, &spare, &survey)
        })?;
        Ok(connection.endpoint)
    }

    fn connection(&self, network: NetworkTarget, spec: EndpointSpec) -> Connection {
        Connection { network: self.draw_target(network), endpoint: self.new_endpoint_id(), spec }
    }

    /// Attaches without settling the way out and the ports, which is done once for all endpoints of a sandbox.
    fn draft_connection(
        &self,
        draft: &mut Draft<'_>,
        connection: &Connection,
        sandbox: SandboxId,
        survey: &Survey<'_>,
    ) -> Result<(), Error> {
        let Connection { network, endpoint, spec } = connection;
        let network = self.draft_target(draft, network, survey)?;
        self.draft_endpoint(draft, network, spec, *endpoint)?;
        self.draft_join(draft, *endpoint, sandbox)
    }

    fn draft_sandbox(&self, draft: &mut Draft<'_>, new: &Sandbox) -> Result<(), Error> {
        let spec = &new.spec;
        if spec.name.is_empty() {
            return Err(SandboxError::EmptyName.into());
        }
        check_name(&spec.name)?;
        if let Some(other) = draft.sandbox_named(&spec.name) {
            return Err(SandboxError::Exists { name: spec.name.clone(), id: other.id.to_string() }.into());
        }
        files::check(new)?;
        draft.put_sandbox(new.clone());
        Ok(())
    }

    /// Gives a sandbox its network namespace, by path, and sets up there what was joined before. One of somebody else that it has
    /// already is given up first, for interfaces are not moved; if the new one cannot be set up, it is taken again.
    ///
    /// # Errors
    ///
    /// [`SandboxError::EmptyKey`], [`SandboxError::NotFound`], [`SandboxError::OwnNamespace`], a path that is no network namespace
    /// or the host's own, a host port that is taken meanwhile, or a host that refuses. The sandbox then has, or waits for, the
    /// namespace that it had or waited for before.
    pub fn set_key(&self, id: SandboxId, path: &str) -> Result<(), Error> {
        let _span = info_span!("libnetwork.Sandbox.SetKey", sid = %id).entered();
        if path.is_empty() {
            return Err(SandboxError::EmptyKey.into());
        }
        let next = NamespaceSource::Adopted(path.to_owned());
        let sandbox = self.sandbox(id)?;
        let name = || sandbox.spec.name.clone();
        match &sandbox.spec.namespace {
            NamespaceSource::Later => self.change_namespace(id, &next),
            NamespaceSource::New | NamespaceSource::Host => Err(SandboxError::OwnNamespace { name: name() }.into()),
            present @ NamespaceSource::Adopted(_) => {
                let checked = self.host().check_namespace(id, path);
                checked.map_err(|error| SandboxError::BadKey { name: name(), source: Box::new(error) })?;
                // The same path may lead to another namespace by now.
                self.change_namespace(id, &NamespaceSource::Later)?;
                self.change_namespace(id, &next).inspect_err(|_| {
                    if let Err(error) = self.change_namespace(id, present) {
                        warn!(%error, sandbox = name(), "the namespace that it had cannot be taken again: it waits for one");
                    }
                })
            }
        }
    }

    fn change_namespace(&self, id: SandboxId, namespace: &NamespaceSource) -> Result<(), Error> {
        let (spare, survey) = (Spare::default(), self.survey());
        self.transact(&format!("set the namespace of sandbox {id:?}"), |draft| {
            let sandbox = draft.sandbox(id)?;
            let spec = SandboxSpec { namespace: namespace.clone(), ..sandbox.spec.clone() };
            draft.put_sandbox(Sandbox { spec, ..(*sandbox).clone() });
            self.settle(draft, id, &spare, &survey)
        })
    }

    /// Deletes a sandbox with its endpoints.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotFound`], or [`Error::LeftBehind`] if something could not be removed.
    pub fn delete_sandbox(&self, id: SandboxId) -> Result<(), Error> {
        let _span = info_span!("libnetwork.Sandbox.Delete", sid = %id).entered();
        self.transact(&format!("delete sandbox {id:?}"), |draft| {
            draft.sandbox(id)?;
            let endpoints: Vec<EndpointId> = draft.state().attached_to(id).map(|endpoint| endpoint.id).collect();
            for endpoint in endpoints {
                draft.endpoint(endpoint)?;
                draft.remove(RecordKey::Endpoint(endpoint));
            }
            draft.remove(RecordKey::Sandbox(id));
            Ok(())
        })
    }
}

//! Sandboxes: create, attach, delete.

use tracing::info_span;

use crate::engine::{Draft, Engine, RecordKey};
use crate::error::{Error, SandboxError};
use crate::model::{EndpointId, EndpointSpec, NetworkId, Phase, Sandbox, SandboxId, SandboxSpec, check_name};

/// A sandbox with all its endpoints, created and joined in one transaction.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The sandbox.
    pub sandbox: SandboxSpec,
    /// Its endpoints in the order they are joined, each with its network.
    pub endpoints: Vec<(NetworkId, EndpointSpec)>,
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

    /// Creates a sandbox with endpoints and joins them: one transaction, one durable commit.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::create_sandbox`], [`Engine::create_endpoint`] and [`Engine::join`].
    pub fn attach(&self, attach: Attach) -> Result<Attached, Error> {
        let name = &attach.sandbox.name;
        let sandbox = SandboxId::draw(|bytes| self.random(bytes));
        let endpoints: Vec<EndpointId> = attach.endpoints.iter().map(|_| self.new_endpoint_id()).collect();
        let _span = info_span!("libnetwork.Controller.NewSandbox", sid = %sandbox, cid = %name).entered();
        let created = self.environment.now();
        self.transact(&format!("create sandbox {name}"), |draft| {
            self.draft_sandbox(draft, &attach.sandbox, sandbox, created)?;
            for ((network, spec), id) in attach.endpoints.iter().zip(&endpoints) {
                self.draft_endpoint(draft, *network, spec, *id)?;
                self.draft_join(draft, *id, sandbox)?;
            }
            self.bind_ports(draft, sandbox)
        })?;
        Ok(Attached { sandbox, endpoints })
    }

    /// Creates an endpoint and joins it to a sandbox that is there, in one transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::create_endpoint`] and [`Engine::join`].
    pub fn connect(&self, sandbox: SandboxId, network: NetworkId, spec: EndpointSpec) -> Result<EndpointId, Error> {
        let endpoint = self.new_endpoint_id();
        let _span = info_span!("libnetwork.sbJoin", eid = %endpoint, sid = %sandbox).entered();
        self.transact(&format!("connect sandbox {sandbox:?}"), |draft| {
            self.draft_endpoint(draft, network, &spec, endpoint)?;
            self.draft_join(draft, endpoint, sandbox)?;
            self.bind_ports(draft, sandbox)
        })?;
        Ok(endpoint)
    }

    fn draft_sandbox(
        &self,
        draft: &mut Draft<'_>,
        spec: &SandboxSpec,
        id: SandboxId,
        created: u128,
    ) -> Result<(), Error> {
        if spec.name.is_empty() {
            return Err(SandboxError::EmptyName.into());
        }
        check_name(&spec.name)?;
        if let Some(other) = draft.sandbox_named(&spec.name) {
            return Err(SandboxError::Exists { name: spec.name.clone(), id: other.id.to_string() }.into());
        }
        draft.put_sandbox(Sandbox { id, spec: spec.clone(), created, phase: Phase::Ready });
        Ok(())
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

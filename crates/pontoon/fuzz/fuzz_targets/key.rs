//! Any bytes in the place of a runtime's.
#![no_main]

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use pontoon::{
    Attach, Config, Controller, DefaultPools, EndpointSpec, KeyRequest, NamespaceSource, NetworkSpec, NetworkTarget,
    OciState, SandboxSpec,
};
use pontoon_host::store::MemoryStore;
use pontoon_testkit::{FakeHost, TestEnvironment};
use serde_json::Value;

/// The sandbox that waits.
const CONTAINER: &str = "web";
/// The one namespace that there is to take over.
const NAMESPACE: &str = "/n";

static CONTROLLER: LazyLock<Controller> = LazyLock::new(controller);

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((b'r', request)) => answer(request),
        Some((b'a', answer)) => ask(answer),
        Some((b's', state)) => read(state),
        _ => {}
    }
});

fn controller() -> Controller {
    let host = FakeHost::new();
    host.add_namespace(NAMESPACE);
    let config = Config::new("unused").default_pools(DefaultPools::local(Some("fd00::/48".parse().expect("a prefix"))));
    let controller = Controller::builder(config)
        .host(Arc::new(host))
        .store(Arc::new(MemoryStore::new()))
        .environment(Arc::new(TestEnvironment::new(1)))
        .open()
        .expect("opens");
    let network = NetworkTarget::create_if_missing(NetworkSpec::new("front"));
    let sandbox = SandboxSpec::new(CONTAINER).namespace(NamespaceSource::Later);
    controller.attach(Attach { sandbox, endpoints: vec![(network, EndpointSpec::new("web"))] }).expect("attaches");
    controller
}

/// The server's side: the sandbox gets what another reader finds in the request, or keeps what it has.
fn answer(request: &[u8]) {
    let namespace = || {
        let sandbox = CONTROLLER.sandbox_of(CONTAINER).expect("nothing deletes it");
        sandbox.info().expect("nothing deletes it").spec.namespace.clone()
    };
    let before = namespace();
    let answer = CONTROLLER.answer_key(request);
    if answer.starts_with("invalid request: ") {
        return assert_eq!(namespace(), before);
    }
    // The other reader looks at what nobody asks for too, which may be no text.
    let Some((container, key)) = asked(request) else { return };
    let (known, exists) = (container == CONTAINER, key == NAMESPACE);
    assert_eq!(answer == "success", known && exists, "{answer}");
    let expected = match (known, exists, key.is_empty()) {
        (true, true, _) => NamespaceSource::Adopted(NAMESPACE.to_owned()),
        // What it had is given up before another is looked at.
        (true, false, false) => NamespaceSource::Later,
        (true, false, true) | (false, ..) => before,
    };
    assert_eq!(namespace(), expected, "{answer}");
}

/// What the first JSON value asks for, if it is a request.
fn asked(request: &[u8]) -> Option<(String, String)> {
    let first = serde_json::Deserializer::from_slice(request).into_iter::<Value>().next()?.ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some((text(first.get("ContainerID")?)?, text(first.get("Key")?)?))
}

/// The client's side: it succeeds on one word alone.
fn ask(answer: &[u8]) {
    let request = KeyRequest { container: CONTAINER.to_owned(), key: NAMESPACE.to_owned() };
    let exchanged = request.exchange(Server(Cursor::new(answer)));
    let text = String::from_utf8_lossy(answer);
    let word = text.trim();
    assert_eq!(exchanged.is_ok(), word == "success");
    assert_eq!(exchanged.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof), word.is_empty());
}

/// The hook's side: what is read is what another reader finds.
fn read(state: &[u8]) {
    let Ok(OciState { id, pid }) = OciState::read(state) else { return };
    let Ok(document) = serde_json::from_slice::<Value>(state) else { return };
    assert_eq!(document["id"], id);
    assert_eq!(document.get("pid").map_or(Some(0), Value::as_u64), Some(pid.into()));
}

/// Somebody who takes every request and gives an answer that is settled.
struct Server<'a>(Cursor<&'a [u8]>);

impl Read for Server<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Server<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! What goes on between sandboxes: connections, packets, questions; each noted until it is stopped.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroUsize;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use pontoon_netlink::netns::{Namespace, Visitor};
use pontoon_testkit::run;

/// How long an answer may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(10);
/// A client's pause between two of anything.
const PAUSE: Duration = Duration::from_millis(5);

/// A network namespace in which sockets are opened.
pub(crate) struct Place {
    visitor: Visitor,
    namespace: Namespace,
}

impl Place {
    pub(crate) fn open(path: &str) -> Self {
        let visitor = Visitor::new(NonZeroUsize::MIN).expect("a thread can be started");
        Self { visitor, namespace: Namespace::open(path).expect("a namespace") }
    }

    fn visit<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.visitor.visit(&self.namespace, work).expect("it can be entered")
    }

    /// Sends back whatever comes to a port, as long as this process lives.
    pub(crate) fn echo(&self, port: u16) {
        let listener = self.visit(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))).expect("the port is free");
        spawn(move || {
            for stream in listener.incoming().flatten() {
                spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
    }
}

/// A connection to an echo that carries numbers all the time.
pub(crate) struct Flow {
    name: String,
    over: Arc<AtomicBool>,
    carried: Arc<AtomicU64>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Flow {
    pub(crate) fn open(name: &str, from: &Place, to: SocketAddr) -> Self {
        let stream = from.visit(move || TcpStream::connect_timeout(&to, PATIENCE)).expect("the echo is there");
        let (over, carried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (theirs, count) = (over.clone(), carried.clone());
        let thread = spawn(move || carry(&stream, &theirs, &count));
        Self { name: name.to_owned(), over, carried, thread }
    }

    /// Says how many numbers came back so far.
    pub(crate) fn carried(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
    }

    /// Ends it in order; it must not have ended before.
    pub(crate) fn close(self) {
        self.over.store(true, Ordering::SeqCst);
        let ended = self.thread.join().expect("it does not panic");
        assert!(ended.is_ok(), "the connection {} broke: {ended:?}", self.name);
    }
}

fn carry(mut stream: &TcpStream, over: &AtomicBool, carried: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    while !over.load(Ordering::SeqCst) {
        let sent = (carried.load(Ordering::SeqCst) + 1).to_be_bytes();
        stream.write_all(&sent)?;
        let mut came = [0; 8];
        stream.read_exact(&mut came)?;
        if came != sent {
            return Err(ErrorKind::InvalidData.into());
        }
        carried.fetch_add(1, Ordering::SeqCst);
        sleep(PAUSE);
    }
    Ok(())
}

/// Echo requests (`ping`), a hundred a second.
pub(crate) struct Pings(Child);

impl Pings {
    pub(crate) fn start(netns: &str, to: &str) -> Self {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={netns}")).args(["ping", "-n", "-i", "0.01", to]).stdout(Stdio::piped());
        Self(command.spawn().expect("nsenter can be run"))
    }

    /// Stops, and returns how many answers came, and which were missing before the last.
    pub(crate) fn stop(self) -> (usize, Vec<u64>) {
        let text = stop(self.0);
        let number = |line: &str| line.split("icmp_seq=").nth(1)?.split(' ').next()?.parse().ok();
        let answered = text.lines().filter(|line| line.contains(" bytes from ") && !line.contains("DUP!"));
        let answered: Vec<u64> = answered.filter_map(number).collect();
        let last = answered.iter().max().copied().unwrap_or(0);
        (answered.len(), (1..last).filter(|one| !answered.contains(one)).collect())
    }
}

/// What the kernel tells of changes in a namespace: interfaces, addresses, routes, rules.
pub(crate) struct Changes(Vec<Child>);

impl Changes {
    pub(crate) fn watch(netns: &str) -> Self {
        let watch = |words: &[&str]| {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={netns}")).args(words).stdout(Stdio::piped()).spawn().expect("it can be run")
        };
        Self(vec![watch(&["ip", "monitor", "link", "address", "route", "rule"]), watch(&["nft", "monitor"])])
    }

    /// Stops, and returns what was told.
    pub(crate) fn stop(self) -> String {
        self.0.into_iter().map(stop).collect()
    }
}

/// Interrupts a program and returns what it printed. `nsenter` became the command that it runs.
fn stop(child: Child) -> String {
    run("kill", &["-INT", &child.id().to_string()]);
    String::from_utf8_lossy(&child.wait_with_output().expect("it ends").stdout).into_owned()
}

/// The question for one name, asked all the time, and each time by a client of its own that has not much patience.
pub(crate) struct Questions {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: JoinHandle<Duration>,
}

impl Questions {
    pub(crate) fn ask(from: Place, name: &str) -> Self {
        let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (theirs, count, question) = (over.clone(), answered.clone(), question(name));
        let thread = spawn(move || {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !theirs.load(Ordering::SeqCst) {
                let question = question.clone();
                if let Ok(answer) = from.visit(move || answer(&question)) {
                    // No error and an answer (RFC 1035 section 4.1.1): nobody is told that the name does not exist.
                    assert_eq!((answer[3] & 15, answer[7]), (0, 1), "a wrong answer: {answer:?}");
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    count.fetch_add(1, Ordering::SeqCst);
                }
                sleep(PAUSE);
            }
            longest.max(last.elapsed())
        });
        Self { over, answered, thread }
    }

    /// Says how many were answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// Stops, and returns the longest time without an answer.
    pub(crate) fn stop(self) -> Duration {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("every answer is right")
    }
}

/// Asks for the IPv4 address of a name of one label.
fn question(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.push(u8::try_from(name.len()).expect("a label is short"));
    message.extend(name.as_bytes());
    message.extend([0, 0, 1, 0, 1]);
    message
}

fn answer(question: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    socket.connect((Ipv4Addr::new(127, 0, 0, 11), 53))?;
    socket.send(question)?;
    let mut buffer = vec![0; 512];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

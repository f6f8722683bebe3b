//! Names: an A record of a sandbox's network, asked for inside another sandbox; beside two echoes and aardvark-dns.
//!
//! ```text
//! sandbox that asks                                          where the bridge is
//!   client ─▶ 127.0.0.11:53 ─redirect─▶ pontoon resolver       aardvark-dns on the gateway's address
//!          ─▶ 127.0.0.12:53 ─redirect─▶ echo
//!          ─▶ 127.0.0.1:port            echo
//!          ─▶ 127.0.0.1:port            aardvark-dns
//! ```

mod aardvark;
mod client;
pub(crate) mod echo;
mod memory;
mod question;
mod report;
mod stage;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use aardvark::Aardvark;
use client::{CLIENTS, in_sequence, under_load};
use echo::Echo;
use memory::Memory;
use question::{Expected, Question};
use report::{AtSize, Measured, Server};
use stage::{REDIRECTED, RESOLVER, Stage, wait_for};

use crate::Outcome;

struct Settings {
    rounds: usize,
    /// How many sandboxes there are beside the one that asks; in ascending order.
    sizes: Vec<usize>,
    pontoon: PathBuf,
    /// None if it is not installed.
    aardvark: Option<PathBuf>,
}

impl Settings {
    fn parse(args: &[String]) -> Outcome<Self> {
        let (mut rounds, mut sizes, mut pontoon) = (9, vec![1, 10, 100, 1000], None);
        let mut aardvark = PathBuf::from(aardvark::PROGRAM);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--rounds" => rounds = value.parse()?,
                "--sizes" => sizes = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "--pontoon" => pontoon = Some(PathBuf::from(value)),
                "--aardvark" => aardvark = value.into(),
                other => return Err(format!("unknown flag {other}").into()),
            }
        }
        if !sizes.is_sorted() || sizes.first().is_none_or(|size| *size == 0) {
            return Err("--sizes takes numbers from 1 up, in ascending order".into());
        }
        let pontoon = pontoon.ok_or("--pontoon PATH is needed: the program that answers")?;
        if !aardvark.is_file() {
            println!("There is no {}, so aardvark-dns is left out (Debian: `aardvark-dns`).\n", aardvark.display());
        }
        Ok(Self { rounds, sizes, pontoon, aardvark: Some(aardvark).filter(|program| program.is_file()) })
    }
}

/// Measures, and prints tables in Markdown.
pub(crate) fn run(args: &[String]) -> Outcome<()> {
    let settings = Settings::parse(args)?;
    let dir = tempfile::tempdir()?;
    let mut stage = Stage::set(dir.path(), &settings.pontoon)?;
    let (bare, bare_at) = stage.server(Ipv4Addr::LOCALHOST)?;
    let (redirected, redirected_at) = stage.server(*REDIRECTED.ip())?;
    stage.redirect(redirected_at.port())?;
    let _echoes = [Echo::start(bare)?, Echo::start(redirected)?];
    let (mut at_once, mut sizes) = (0, Vec::new());
    for &size in &settings.sizes {
        at_once += stage.grow(size)?;
        sizes.push(at_size(&stage, &settings, bare_at)?);
    }
    report::print(&sizes, settings.rounds);
    println!(
        "\nAsked for as soon as its attach had returned, {at_once} of {} names were answered.",
        stage.names().len()
    );
    stage.strike()
}

/// A server that is asked.
struct Subject {
    server: Server,
    at: SocketAddrV4,
    questions: Vec<Question>,
}

fn at_size(stage: &Stage, settings: &Settings, echo: SocketAddrV4) -> Outcome<AtSize> {
    let echoed: Vec<_> = stage.names().iter().map(|(name, _)| Question::new(name, Expected::Echo)).collect();
    let named: Vec<_> =
        stage.names().iter().map(|(name, address)| Question::new(name, Expected::Address(*address))).collect();
    let mut subjects = vec![
        Subject { server: Server::Echo, at: echo, questions: echoed.clone() },
        Subject { server: Server::RedirectedEcho, at: REDIRECTED, questions: echoed },
        Subject { server: Server::Pontoon, at: RESOLVER, questions: named.clone() },
    ];
    let peers = settings.aardvark.as_deref().map(|program| peers(program, stage)).transpose()?;
    if let Some([(_, inside), (_, outside)]) = &peers {
        subjects.push(Subject { server: Server::Aardvark, at: *inside, questions: named.clone() });
        subjects.push(Subject { server: Server::AardvarkOnGateway, at: *outside, questions: named });
    }
    let mut measured = vec![Measured::default(); subjects.len()];
    for round in 0..settings.rounds {
        // Each is first at times, and follows each of the others.
        for at in (0..subjects.len()).map(|place| (place + round) % subjects.len()) {
            measure(stage, &subjects[at], &mut measured[at])?;
        }
    }
    // Once they have been asked, so that what they allocate when they are is counted everywhere.
    let peer = peers.map(|[(inside, _), _]| Memory::of(inside.pid())).transpose()?;
    Ok(AtSize {
        names: stage.names().len(),
        measured: subjects.iter().map(|subject| subject.server).zip(measured).collect(),
        helper: Memory::of(stage.helper()?)?,
        peer,
    })
}

/// Starts aardvark-dns inside the sandbox that asks, and where the bridge is.
fn peers(program: &Path, stage: &Stage) -> Outcome<[(Aardvark, SocketAddrV4); 2]> {
    let loopback = [Ipv4Addr::LOCALHOST; 2];
    let inside = Aardvark::start(program, stage, stage.asking(), loopback)?;
    let outside = Aardvark::start(program, stage, stage.host(), [stage.gateway(), stage.address()])?;
    let (name, address) = stage.names().first().ok_or("nothing has a name")?;
    for (_, at) in [&inside, &outside] {
        wait_for(&stage.client(*at)?, &Question::new(name, Expected::Address(*address)))?;
    }
    Ok([inside, outside])
}

fn measure(stage: &Stage, subject: &Subject, measured: &mut Measured) -> Outcome<()> {
    let failed = |error: Box<dyn std::error::Error>| format!("{}: {error}", subject.server.title());
    let sample = in_sequence(&stage.client(subject.at)?, &subject.questions).map_err(failed)?;
    measured.sequence.extend(&sample);
    measured.medians.push(sample.median());
    let sockets = (0..CLIENTS).map(|_| stage.client(subject.at)).collect::<Outcome<Vec<_>>>()?;
    measured.add_load(under_load(&sockets, &subject.questions).map_err(failed)?);
    Ok(())
}

//! Attach and detach: the floor, Pontoon in process, Pontoon as a process; alone and in parallel.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pontoon::{
    Attach, BridgeDriverConfig, Config, Controller, EndpointSpec, Error, NameError, NetworkId, NetworkSpec, Sandbox,
    SandboxSpec,
};

use crate::Outcome;
use crate::floor::Floor;
use crate::sample::Sample;

struct Settings {
    rounds: usize,
    sizes: Vec<usize>,
    pontoon: Option<PathBuf>,
}

impl Settings {
    fn parse(args: &[String]) -> Outcome<Self> {
        let mut settings = Self { rounds: 5, sizes: vec![1, 100, 1000], pontoon: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--rounds" => settings.rounds = value.parse()?,
                "--sizes" => settings.sizes = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "--pontoon" => settings.pontoon = Some(value.into()),
                other => return Err(format!("unknown flag {other}").into()),
            }
        }
        Ok(settings)
    }
}

/// How many attaches are timed in each round at each size.
const TIMED: usize = 20;

#[derive(Default)]
struct AtSize {
    floor_attach: Sample,
    floor_detach: Sample,
    floor_gone: Sample,
    attach: Sample,
    detach: Sample,
    detach_alone: Sample,
    gone: Sample,
    process: Sample,
    pure: Sample,
}

pub(crate) fn run(args: &[String]) -> Outcome<()> {
    let settings = Settings::parse(args)?;
    let dir = tempfile::tempdir()?;
    println!("Bare flush of the disk: {} µs.\n", flush(dir.path())?.text());
    println!(
        "| sandboxes present | floor attach | in process | ratio | of that, own thinking | `pontoon run` | floor detach | detach returned, in a row | alone | floor gone | gone | ratio |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for size in &settings.sizes {
        let mut at = AtSize::default();
        for round in 0..settings.rounds {
            measure_floor(*size, &run_dir(&dir.path().join(format!("floor-{size}-{round}"))), &mut at)?;
            measure_pontoon(*size, &dir.path().join(format!("pontoon-{size}-{round}")), &settings, &mut at)?;
        }
        println!(
            "| {size} | {} | {} | {:.2} | {} | {} | {} | {} | {} | {} | {} | {:.2} |",
            at.floor_attach.text(),
            at.attach.text(),
            at.attach.median() / at.floor_attach.median(),
            at.pure.text(),
            at.process.text(),
            at.floor_detach.text(),
            at.detach.text(),
            at.detach_alone.text(),
            at.floor_gone.text(),
            at.gone.text(),
            at.gone.median() / at.floor_gone.median(),
        );
    }
    println!("\nMicroseconds: median (quartiles) of {} rounds of {TIMED} each.\n", settings.rounds);
    networks(&dir.path().join("networks"), settings.rounds)?;
    parallel(dir.path(), settings.rounds)
}

/// Times what one durable write costs on this disk, without any store: a page that has its place already.
fn flush(dir: &Path) -> Outcome<Sample> {
    let mut file = File::create(dir.join("flush"))?;
    file.write_all(&[0; 4096])?;
    file.sync_all()?;
    let mut sample = Sample::default();
    for byte in 0..200 {
        let start = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[byte; 4096])?;
        file.sync_data()?;
        sample.add(start.elapsed());
    }
    Ok(sample)
}

/// A thread of its own: it changes its network namespace, and ends.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| work().map_err(|error| error.to_string()));
        worker.join().map_err(|_| "a measuring thread panicked")?.map_err(Into::into)
    })
}

fn measure_floor(size: usize, dir: &Path, at: &mut AtSize) -> Outcome<()> {
    let (attach, detach, gone) = on_a_thread(|| {
        let mut floor = Floor::new(dir)?;
        for _ in 1..size {
            floor.attach()?;
        }
        let (mut attach, mut detach, mut gone) = (Sample::default(), Sample::default(), Sample::default());
        for _ in 0..TIMED {
            attach.add(floor.attach()?);
        }
        let start = Instant::now();
        for _ in 0..TIMED {
            detach.add(floor.detach()?);
        }
        floor.settle()?;
        gone.add(start.elapsed() / u32::try_from(TIMED)?);
        while floor.detach().is_ok() {}
        floor.settle()?;
        drop(floor);
        Command::new("ip").args(["link", "del", "floor"]).status()?;
        Command::new("nft").args(["delete", "table", "ip", "floor"]).status()?;
        Ok((attach, detach, gone))
    })?;
    at.floor_attach.extend(&attach);
    at.floor_detach.extend(&detach);
    at.floor_gone.extend(&gone);
    Ok(())
}

/// What does not outlive a boot is kept in memory, as everywhere; the state is on the disk.
fn run_dir(dir: &Path) -> PathBuf {
    Path::new("/run").join(dir.file_name().unwrap_or_default())
}

fn open(dir: &Path) -> Outcome<Controller> {
    let config = Config::new(dir.join("state")).run_dir(run_dir(dir));
    Ok(Controller::open(config.driver("bridge", BridgeDriverConfig::default()))?)
}

fn attach(controller: &Controller, network: NetworkId, number: usize) -> Outcome<Sandbox> {
    let port = format!("{}:80", 10_000 + number);
    let endpoint = EndpointSpec::new(format!("endpoint{number}")).publish(port.parse()?);
    let sandbox = SandboxSpec::new(format!("container{number}"));
    Ok(controller.attach(Attach { sandbox, endpoints: vec![(network.into(), endpoint)] })?)
}

fn measure_pontoon(size: usize, dir: &Path, settings: &Settings, at: &mut AtSize) -> Outcome<()> {
    let controller = open(dir)?;
    let network = controller.create_network(NetworkSpec::new("bench").subnet("10.10.0.0/16".parse()?))?;
    let mut present = Vec::new();
    for number in 1..size {
        present.push(attach(&controller, network.id(), number)?);
    }
    for number in size..size + TIMED {
        // The same without host and store: what is left is our own thinking.
        let start = Instant::now();
        controller.preview(|copy| attach(copy, network.id(), number).map_err(|_| Error::from(NameError::Empty)))?;
        at.pure.add(start.elapsed());
    }
    let mut timed = Vec::new();
    for number in size..size + TIMED {
        let start = Instant::now();
        timed.push(attach(&controller, network.id(), number)?);
        at.attach.add(start.elapsed());
    }
    let all = Instant::now();
    for sandbox in timed {
        let start = Instant::now();
        sandbox.delete()?;
        at.detach.add(start.elapsed());
    }
    controller.settle()?;
    at.gone.add(all.elapsed() / u32::try_from(TIMED)?);
    // One after another they wait for the kernel's clean-up of those before; one alone does not.
    for number in size..size + TIMED / 4 {
        let sandbox = attach(&controller, network.id(), number)?;
        let start = Instant::now();
        sandbox.delete()?;
        at.detach_alone.add(start.elapsed());
        controller.settle()?;
    }
    drop(controller.stop()?);
    if let Some(program) = &settings.pontoon {
        for _ in 0..3 {
            at.process.add(process(program, dir)?);
        }
    }
    let controller = open(dir)?;
    controller.purge()?;
    Ok(())
}

/// Times `pontoon run` of a program that does nothing, less what executing that program costs by itself.
fn process(program: &Path, dir: &Path) -> Outcome<Duration> {
    let start = Instant::now();
    let status = Command::new(program)
        .arg("--root")
        .arg(dir.join("state"))
        .arg("--run-dir")
        .arg(run_dir(dir))
        .args(["run", "--network", "bench", "-p", "9999:80", "--", "/bin/true"])
        .status()?;
    let took = start.elapsed();
    match status.success() {
        true => Ok(took),
        false => Err(format!("{} run ended with {status}", program.display()).into()),
    }
}

fn networks(dir: &Path, rounds: usize) -> Outcome<()> {
    let controller = open(dir)?;
    // The first network brings the ruleset and forwarding, and the last one takes the ruleset away: both are told apart.
    let start = Instant::now();
    let first = controller.create_network(NetworkSpec::new("first"))?;
    println!("First network of a host, which brings ruleset and forwarding: {} µs.\n", start.elapsed().as_micros());
    let (mut create, mut delete) = (Sample::default(), Sample::default());
    for round in 0..rounds * 10 {
        let start = Instant::now();
        let network = controller.create_network(NetworkSpec::new(format!("network{round}")))?;
        create.add(start.elapsed());
        // What goes on in the background must not be counted twice: it holds the lock that the next one needs.
        controller.settle()?;
        let start = Instant::now();
        network.delete()?;
        delete.add(start.elapsed());
        controller.settle()?;
    }
    first.delete()?;
    println!("Network: create {} µs, delete returned {} µs.\n", create.text(), delete.text());
    Ok(())
}

/// Attaches the same number one after the other and from 8 threads.
fn parallel(dir: &Path, rounds: usize) -> Outcome<()> {
    const EACH: usize = 25;
    let (mut serial, mut parallel) = (Sample::default(), Sample::default());
    let (mut floor_serial, mut floor_parallel) = (Sample::default(), Sample::default());
    for round in 0..rounds {
        for (threads, sample) in [(1, &mut serial), (8, &mut parallel)] {
            let controller = open(&dir.join(format!("parallel-{round}-{threads}")))?;
            let network = controller.create_network(NetworkSpec::new("bench").subnet("10.11.0.0/16".parse()?))?.id();
            let each = 8 * EACH / threads;
            let start = Instant::now();
            in_threads(threads, |thread| {
                (0..each).try_for_each(|i| attach(&controller, network, thread * each + i).map(drop))
            })?;
            sample.add(start.elapsed() / u32::try_from(8 * EACH)?);
            controller.purge()?;
        }
        for (threads, sample) in [(1, &mut floor_serial), (8, &mut floor_parallel)] {
            sample.add(floor_in_threads(
                &dir.join(format!("floor-parallel-{round}-{threads}")),
                threads,
                8 * EACH / threads,
            )?);
        }
    }
    let rate = |sample: &Sample| 1e6 / sample.median();
    println!(
        "Parallel attach: {:.0}/s one after the other, {:.0}/s from 8 threads, ratio {:.2}; the floor's own ratio {:.2}.",
        rate(&serial),
        rate(&parallel),
        rate(&parallel) / rate(&serial),
        rate(&floor_parallel) / rate(&floor_serial),
    );
    Ok(())
}

fn in_threads(threads: usize, work: impl Fn(usize) -> Outcome<()> + Sync) -> Outcome<()> {
    std::thread::scope(|scope| {
        let run = |thread| work(thread).map_err(|error| error.to_string());
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        for worker in workers {
            worker.join().map_err(|_| "a measuring thread panicked")??;
        }
        Ok(())
    })
}

/// The floor's attaches from several threads, each with sockets of its own on one bridge.
fn floor_in_threads(dir: &Path, threads: usize, each: usize) -> Outcome<Duration> {
    on_a_thread(|| {
        let floor = Floor::new(dir)?;
        let mut shares = (0..threads).map(|thread| floor.share(thread)).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = shares
                .iter_mut()
                .map(|share| scope.spawn(move || (0..each).try_for_each(|_| share.attach().map(drop))))
                .collect();
            for worker in workers {
                worker.join().map_err(|_| std::io::Error::other("a measuring thread panicked"))??;
            }
            Ok::<_, std::io::Error>(())
        })?;
        let took = start.elapsed() / u32::try_from(threads * each)?;
        drop(shares);
        floor.settle()?;
        Command::new("ip").args(["link", "del", "floor"]).status()?;
        Command::new("nft").args(["delete", "table", "ip", "floor"]).status()?;
        Ok(took)
    })
}

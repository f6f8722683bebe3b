//! Asking: one query after the other, and many at once. Every reply is checked.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use super::question::{Question, id};
use crate::Outcome;
use crate::sample::Sample;

/// How many sockets ask under load, each from a thread of its own.
pub(crate) const CLIENTS: usize = 4;
/// How many queries each of them keeps under way; at most [`SLOTS`]. A receive buffer of the usual 208 KiB has room for about 190
/// small datagrams: with more under way than that, the kernel drops some before any server has seen them.
pub(crate) const IN_FLIGHT: usize = 40;
/// How many queries are asked in sequence, and not counted before.
pub(crate) const SEQUENCE: usize = 1500;
const WARM_UP: usize = 100;
/// How long load lasts.
pub(crate) const LOAD: Duration = Duration::from_millis(300);
/// After how long an answer counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// An id is a place among so many, and how often that place was used.
const SLOTS: usize = 64;

/// What became of queries under load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Good answers while it lasted.
    pub(crate) answered: u32,
    /// Queries in all.
    pub(crate) asked: u32,
    /// Queries without an answer.
    pub(crate) lost: u32,
}

/// Asks once, and returns how long the answer took.
pub(crate) fn ask(socket: &UdpSocket, question: &mut Question, number: u16) -> Outcome<Duration> {
    let mut reply = [0; 4096];
    let start = Instant::now();
    socket.send(question.numbered(number))?;
    let length = socket.recv(&mut reply)?;
    let took = start.elapsed();
    if id(&reply[..length]) != Some(number) {
        return Err(format!("id {number} was asked, this came: {:?}", &reply[..length]).into());
    }
    question.verify(&reply[..length])?;
    Ok(took)
}

/// Asks all questions in turn, one at a time. A lost answer is an error: there is nothing that could crowd it out.
pub(crate) fn in_sequence(socket: &UdpSocket, questions: &[Question]) -> Outcome<Sample> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut questions = questions.to_vec();
    let count = questions.len();
    let mut sample = Sample::default();
    for number in 0..WARM_UP + SEQUENCE {
        let took = ask(socket, &mut questions[number % count], u16::try_from(number)?)?;
        if number >= WARM_UP {
            sample.add(took);
        }
    }
    Ok(sample)
}

/// Asks on all sockets at once for the time of [`LOAD`].
pub(crate) fn under_load(sockets: &[UdpSocket], questions: &[Question]) -> Outcome<Load> {
    let end = Instant::now() + LOAD;
    let each: Vec<Result<Load, String>> = thread::scope(|scope| {
        let ask = |(number, socket)| {
            let questions = questions.to_vec();
            scope.spawn(move || Busy::new(socket, questions, number).run(end).map_err(|error| error.to_string()))
        };
        let clients: Vec<_> = sockets.iter().enumerate().map(ask).collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|_| Err("a measuring thread panicked".to_owned())))
            .collect()
    });
    each.into_iter().try_fold(Load::default(), |sum, one| {
        let one = one?;
        Ok(Load { answered: sum.answered + one.answered, asked: sum.asked + one.asked, lost: sum.lost + one.lost })
    })
}

/// A client that keeps queries under way.
struct Busy<'a> {
    socket: &'a UdpSocket,
    questions: Vec<Question>,
    next: usize,
    /// The query in each place: its id and which question it is; none once it is answered.
    waiting: [Option<(u16, usize)>; SLOTS],
    /// How often the places were used.
    generation: u16,
    load: Load,
}

impl<'a> Busy<'a> {
    /// Makes a client; by its number it begins with a question of its own.
    fn new(socket: &'a UdpSocket, questions: Vec<Question>, number: usize) -> Self {
        let next = number * questions.len() / CLIENTS;
        Self { socket, questions, next, waiting: [None; SLOTS], generation: 0, load: Load::default() }
    }

    fn run(mut self, end: Instant) -> Outcome<Load> {
        self.socket.set_read_timeout(Some(PATIENCE))?;
        (0..IN_FLIGHT).try_for_each(|slot| self.send(slot))?;
        while Instant::now() < end {
            match self.receive()? {
                Some(slot) => {
                    self.load.answered += 1;
                    self.send(slot)?;
                }
                None => {
                    self.give_up();
                    (0..IN_FLIGHT).try_for_each(|slot| self.send(slot))?;
                }
            }
        }
        // What comes late is not counted as fast, nor as lost.
        while self.waiting.iter().any(Option::is_some) && self.receive()?.is_some() {}
        self.give_up();
        Ok(self.load)
    }

    fn send(&mut self, slot: usize) -> Outcome<()> {
        self.next = (self.next + 1) % self.questions.len();
        self.generation = self.generation.wrapping_add(1);
        let number = self.generation << SLOTS.ilog2() | u16::try_from(slot)?;
        self.socket.send(self.questions[self.next].numbered(number))?;
        self.waiting[slot] = Some((number, self.next));
        self.load.asked += 1;
        Ok(())
    }

    /// Waits for an answer to one of the queries, and returns the place that it leaves; none if nothing comes.
    fn receive(&mut self) -> Outcome<Option<usize>> {
        let mut reply = [0; 4096];
        let length = match self.socket.recv(&mut reply) {
            Ok(length) => length,
            Err(error) if is_timeout(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let reply = &reply[..length];
        let slot = id(reply).map(|id| (id, usize::from(id) % SLOTS));
        let asked = slot.and_then(|(id, slot)| self.waiting[slot].filter(|(number, _)| *number == id));
        let (Some((_, slot)), Some((_, question))) = (slot, asked) else {
            return Err(format!("this answers no query that waits: {reply:?}").into());
        };
        self.questions[question].verify(reply)?;
        self.waiting[slot] = None;
        Ok(Some(slot))
    }

    /// Counts what waits as lost.
    fn give_up(&mut self) {
        for place in &mut self.waiting {
            self.load.lost += u32::from(place.take().is_some());
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::super::question::Expected;
    use super::*;

    /// A socket whose peer sends back what `keep` lets through, by its number.
    fn echo(keep: fn(u32) -> bool) -> UdpSocket {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        // It waits for ever, and ends with the tests.
        thread::spawn(move || {
            let mut buffer = [0; 512];
            for number in 1.. {
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                if keep(number) {
                    // The client may have gone.
                    let _ = server.send_to(&buffer[..length], from);
                }
            }
        });
        client
    }

    #[test]
    fn lost_answers_are_counted() {
        let questions = [Question::new("n1", Expected::Echo)];
        let load = under_load(&[echo(|_| true)], &questions).unwrap();
        assert_eq!(load.lost, 0);
        assert!(load.answered <= load.asked, "{load:?}");
        let load = under_load(&[echo(|number| number > 3)], &questions).unwrap();
        assert_eq!(load.lost, 3, "{load:?}");
    }

    #[test]
    fn a_wrong_answer_is_an_error() {
        let questions = [Question::new("n1", Expected::Address([10, 0, 0, 1].into()))];
        assert!(under_load(&[echo(|_| true)], &questions).is_err());
        assert!(in_sequence(&echo(|_| true), &questions).is_err());
    }
}
